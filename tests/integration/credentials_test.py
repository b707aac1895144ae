"""Every place users keep credentials, login and logout, and that secrets stay secret."""
import base64
import fcntl
import json
import os
import pty
import stat
import subprocess
import termios
import time

import registries
from harness import PASSWORD, USERS, PullTestCase

PRIVATE = "private/team/busybox:1"
HELPER = """#!/bin/sh
# docker-credential-helpers' protocol: get, store, erase; the registry or the JSON on standard input.
echo "$1" >> "$HOME/helper-calls"
case $1 in
  get) read -r registry; cat "$HOME/helper-secret" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
  store) cat > "$HOME/helper-secret" ;;
  erase) rm -f "$HOME/helper-secret" ;;
esac
"""


def encoded(user="alice", password=PASSWORD):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Places(PullTestCase):
    def setUp(self):
        super().setUp()
        self.host = registries.htpasswd().host
        self.name = f"{self.host}/{PRIVATE}"
        self.configure(self.host)

    def helper(self, name="test", secret=True):
        path = self.write(f"bin/docker-credential-{name}", HELPER, 0o755)
        if secret:
            self.write("helper-secret", {"ServerURL": self.host, "Username": "alice", "Secret": PASSWORD})
        return path

    def test_docker_config(self):
        self.write(".docker/config.json", {"auths": {self.host: {"auth": encoded()}}})
        self.pull(self.name)

    def test_docker_config_with_a_url_as_key(self):
        self.write(".docker/config.json", {"auths": {f"https://{self.host}/v1/": {"auth": encoded()}}})
        self.pull(self.name)

    def test_docker_config_with_plain_fields(self):
        self.write(".docker/config.json", {"auths": {self.host: {"username": "alice", "password": PASSWORD}}})
        self.pull(self.name)

    def test_docker_config_directory(self):
        self.write("elsewhere/config.json", {"auths": {self.host: {"auth": encoded()}}})
        self.pull(self.name, env={"DOCKER_CONFIG": self.home / "elsewhere"})

    def test_registry_auth_file_and_longest_match(self):
        self.write("auth.json", {"auths": {self.host: {"auth": encoded(password="wrong")}, f"{self.host}/private/team": {"auth": encoded()}}})
        self.pull(self.name, env={"REGISTRY_AUTH_FILE": self.home / "auth.json"})

    def test_containers_auth_json(self):
        for place in ("run/containers/auth.json", "config/containers/auth.json"):
            with self.subTest(place):
                path = self.write(place, {"auths": {self.host: {"auth": encoded()}}})
                self.pull(self.name, "--policy", "always")
                path.unlink()

    def test_enroot_credentials(self):
        self.write("config/enroot/.credentials", f"# comment\nmachine {self.host} login carol password {USERS['carol']}\n")
        self.pull(self.name)

    def test_enroot_credentials_with_a_variable(self):
        self.write("enroot/.credentials", f"machine {self.host} login alice password $TOKEN\n")
        self.pull(self.name, env={"ENROOT_CONFIG_PATH": self.home / "enroot", "TOKEN": PASSWORD})

    def test_user_name_chooses(self):
        self.write("config/enroot/.credentials",
                   f"machine {self.host} login bob password wrong\nmachine {self.host} login carol password {USERS['carol']}\n")  # fmt: skip
        self.pull(f"carol@{self.name}")
        self.fails("pull", f"bob@{self.name}", "--policy", "always", says=["credentials"])

    def test_helper_of_one_registry(self):
        self.helper()
        self.write(".docker/config.json", {"credHelpers": {self.host: "test"}})
        self.pull(self.name)

    def test_store_of_all(self):
        self.helper()
        self.write(".docker/config.json", {"credsStore": "test", "auths": {self.host: {}}})
        self.pull(self.name)

    def test_helper_without_an_entry_is_nobody(self):
        self.helper(secret=False)
        self.write(".docker/config.json", {"credsStore": "test"})
        self.fails("pull", self.name, says="login")

    def test_missing_helper_is_named(self):
        self.write(".docker/config.json", {"credHelpers": {self.host: "absent"}})
        self.fails("pull", self.name, says="docker-credential-absent", hint=False)

    def test_broken_config_is_named(self):
        self.write(".docker/config.json", "{ not json")
        self.fails("pull", self.name, says=[r"\.docker/config\.json"], hint=False)


class Login(PullTestCase):
    def setUp(self):
        super().setUp()
        self.host = registries.htpasswd().host
        self.name = f"{self.host}/{PRIVATE}"
        self.configure(self.host)

    def test_login_pull_logout(self):
        self.mlctr("login", "--username", "alice", "--password-stdin", self.host, stdin=PASSWORD)
        path = self.home / ".docker/config.json"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.pull(self.name)
        self.mlctr("logout", self.host)
        self.assertNotIn(encoded(), path.read_text())
        self.fails("pull", self.name, "--policy", "always", says="login")

    def test_login_keeps_the_rest_of_the_file(self):
        before = {"auths": {"other.example": {"auth": encoded("x", "y")}}, "HttpHeaders": {"A": "b"}}
        self.write(".docker/config.json", before)
        self.mlctr("login", "-u", "alice", "--password-stdin", self.host, stdin=PASSWORD + "\n")
        after = json.loads((self.home / ".docker/config.json").read_text())
        self.assertEqual(after["HttpHeaders"], {"A": "b"})
        self.assertEqual(sorted(after["auths"]), sorted(["other.example", self.host]))

    def test_login_checks_the_password(self):
        errors = self.fails("login", "-u", "alice", "--password-stdin", self.host, stdin="not-it", says="401|denied|unauthori|wrong", hint=False)
        self.assertNotIn("not-it", errors)
        self.assertFalse((self.home / ".docker/config.json").exists() and encoded() in (self.home / ".docker/config.json").read_text())

    def test_login_with_a_helper(self):
        self.write("bin/docker-credential-test", HELPER, 0o755)
        self.write(".docker/config.json", {"credsStore": "test"})
        self.mlctr("login", "-u", "alice", "--password-stdin", self.host, stdin=PASSWORD)
        self.assertIn("store", (self.home / "helper-calls").read_text())
        self.assertNotIn(PASSWORD, (self.home / ".docker/config.json").read_text())
        self.pull(self.name)
        self.mlctr("logout", self.host)
        self.assertFalse((self.home / "helper-secret").exists())

    def test_prompt_does_not_echo(self):
        parent, child = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = self.start("login", "-u", "alice", self.host, stdin=child, stdout=child, stderr=child, text=False,
                             preexec_fn=take_terminal)  # fmt: skip
        os.close(child)
        shown = b""
        while b"assword" not in shown:
            shown += os.read(parent, 1000)
        time.sleep(0.2)
        os.write(parent, PASSWORD.encode() + b"\n")
        try:
            while chunk := os.read(parent, 1000):
                shown += chunk
        except OSError:
            pass  # the other end is closed
        self.assertEqual(process.wait(20), 0, shown)
        self.assertNotIn(PASSWORD.encode(), shown)
        os.close(parent)
        self.pull(self.name)

    def test_login_without_a_terminal_says_so(self):
        self.fails("login", "-u", "alice", self.host, says="password-stdin")

    def test_logout_of_nothing(self):
        _, errors = self.mlctr("logout", "registry.example", status=None)
        self.assertRegex(errors + _, "(?i)not logged in|no credential")


class Secrets(PullTestCase):
    def test_nothing_that_runs_or_is_written_holds_the_password(self):
        """strace sees every argv, every environment and every byte that the pull and its helpers hand on or write to files."""
        host = registries.token().host
        self.configure(host)
        self.configure(f"127.0.0.1:{registries.token_server().port}")
        self.write(".docker/config.json", {"auths": {host: {"auth": encoded()}}})
        trace = self.home / "trace"
        calls = "trace=execve,write,writev,pwrite64,openat"
        command = ["strace", "-f", "-qq", "-s", "65536", "-o", str(trace), "-e", calls, *self._command(["pull", f"{host}/{PRIVATE}"])]
        subprocess.run(command, env=self.environment(), capture_output=True, check=True)
        text = trace.read_text(errors="replace")
        for secret in (PASSWORD[:11], encoded()):  # strace escapes what is not ASCII
            self.assertNotIn(secret, text)
        self.assertNotRegex(text, r"write\(2, .*eyJ", "a token on stderr")
        stored = b"".join(p.read_bytes() for p in self.store.rglob("*") if p.is_file())
        self.assertNotIn(PASSWORD.encode(), stored)

    def test_messages_keep_queries_out(self):
        """The redirect's URL carries a signature."""
        with registries.nginx() as nginx:
            self.configure(nginx.host["redirecting"])
            errors = self.fails("pull", f"{nginx.host['redirecting']}/library/busybox:1", says="certificate", hint=False)
            self.assertNotIn("signature=secret", errors)
