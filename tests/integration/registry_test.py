"""Every kind of registry: sign-in, redirects, mirrors, TLS, ranges."""
import base64
import collections
import socket

import registries
from harness import PASSWORD, USERS, PullTestCase, authority, fixtures

PRIVATE = "private/team/busybox:1"
OPEN = "library/busybox:1"


def docker_config(host, user="alice", password=PASSWORD):
    return {"auths": {host: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}


class SignIn(PullTestCase):
    def test_open_over_tls(self):
        host = registries.tls().host
        self.configure(host)
        self.pull(f"{host}/{OPEN}")
        self.assert_same_tree(self.squashfs_of(f"{host}/{OPEN}"), "busybox")

    def test_basic(self):
        host = registries.htpasswd().host
        self.configure(host)
        self.fails("pull", f"{host}/{PRIVATE}", says=["401|unauthori|no access|denied", "login"])
        self.write(".docker/config.json", docker_config(host))
        self.pull(f"{host}/{PRIVATE}")

    def test_basic_with_a_wrong_password(self):
        host = registries.htpasswd().host
        self.configure(host)
        self.write(".docker/config.json", docker_config(host, password="not it"))
        errors = self.fails("pull", f"{host}/{PRIVATE}", says=[r"\.docker/config\.json"])
        self.assertNotIn("not it", errors)
        self.assert_nothing_stored()

    def test_token_for_anybody(self):
        host = registries.token().host
        self.configure(host)
        self.configure(f"127.0.0.1:{registries.token_server().port}")
        self.pull(f"{host}/{OPEN}")

    def test_token_for_a_user(self):
        host = registries.token().host
        self.configure(host)
        self.configure(f"127.0.0.1:{registries.token_server().port}")
        self.fails("pull", f"{host}/{PRIVATE}", says=["denied|401|unauthori|no access", "login"])
        self.write(".docker/config.json", docker_config(host))
        self.pull(f"{host}/{PRIVATE}")
        self.assertIn("alice", [request["user"] for request in registries.token_server().requests()])

    def test_token_with_a_wrong_password(self):
        host = registries.token().host
        self.configure(host)
        self.configure(f"127.0.0.1:{registries.token_server().port}")
        self.write(".docker/config.json", docker_config(host, password="not it"))
        self.fails("pull", f"{host}/{PRIVATE}", says=[r"\.docker/config\.json"])

    def test_identity_token(self):
        host = registries.token().host
        self.configure(host)
        self.configure(f"127.0.0.1:{registries.token_server().port}")
        self.write(".docker/config.json", {"auths": {host: {"identitytoken": registries.token_server().refresh_token("alice")}}})
        self.pull(f"{host}/{PRIVATE}")
        self.assertIn("refresh_token", [request["grant"] for request in registries.token_server().requests()])


class Transport(PullTestCase):
    def test_redirects_keep_credentials_at_home(self):
        with registries.nginx(users=USERS) as nginx:
            for name in ("redirecting", "elsewhere"):
                self.configure(nginx.host[name])
            self.configure(f"localhost:{nginx.port['elsewhere']}")
            self.write(".docker/config.json", docker_config(nginx.host["redirecting"]))
            self.pull(f"{nginx.host['redirecting']}/{OPEN}")
            self.assertEqual({e["authorization"] for e in nginx.requests(host="elsewhere")}, {"none"})
            self.assertIn("Basic", {e["authorization"] for e in nginx.requests(host="redirecting")})

    def test_http2(self):
        with registries.nginx() as nginx:
            self.configure(nginx.host["front"])
            self.pull(f"{nginx.host['front']}/{OPEN}")
            self.assertEqual({e["protocol"] for e in nginx.requests()}, {"HTTP/2.0"})

    def test_each_blob_is_asked_for_once(self):
        with registries.nginx() as nginx:
            self.configure(nginx.host["front"])
            self.pull(f"{nginx.host['front']}/library/python:3.8")
            counts = collections.Counter(e["path"] for e in nginx.requests(blob=True))
            self.assertEqual(set(counts.values()), {1}, counts)

    def test_a_mirror_below_a_path_serves_first(self):
        host = registries.plain().host
        with registries.nginx() as nginx:
            self.configure(nginx.host["mirror"])
            self.configure(host, mirrors=[f"https://{nginx.host['mirror']}/hub"])
            self.pull(f"{host}/{OPEN}")
            self.assertEqual(len(nginx.requests(host="mirror", blob=True)), 5)
            self.assertTrue(all(e["path"].startswith("/hub/v2/") for e in nginx.requests(host="mirror")))
            self.assertEqual(self.json("images")[0]["reference"], f"{host}/{OPEN}")

    def test_a_dead_mirror_is_passed_over(self):
        host = registries.plain().host
        self.configure(host, mirrors=["https://127.0.0.1:1"])
        self.pull(f"{host}/{OPEN}", seconds=60)

    def test_a_mirror_without_the_image_is_passed_over(self):
        host = registries.plain().host
        with registries.nginx() as nginx:
            self.configure(nginx.host["mirror"])
            self.configure(host, mirrors=[f"https://{nginx.host['mirror']}/nothing-here"])
            self.pull(f"{host}/{OPEN}")

    def test_unknown_authority(self):
        host = registries.tls().host
        self.fails("pull", f"{host}/{OPEN}", says=["certificate", "ca_file"])
        self.assert_nothing_stored()

    def test_insecure_works_and_warns(self):
        host = registries.tls().host
        self.configure(host, insecure=True, ca_file="")
        self.assertRegex(self.pull(f"{host}/{OPEN}")[1].lower(), "insecure|not verified|without verif|unverified")

    def test_client_certificate(self):
        certificate, key = authority().issue("client")
        host = registries.tls().host
        self.configure(host, client_certificate=str(certificate), client_key=str(key))
        self.pull(f"{host}/{OPEN}")

    def test_expired_certificate_speaks_of_clocks(self):
        expired = authority().issue("expired", valid_days=-1)
        with registries.DockerRegistry(fixtures() / "registry", expired) as registry:
            self.configure(registry.host)
            self.fails("pull", f"{registry.host}/{OPEN}", says=["expired", "clock|date"])

    def test_https_proxy_is_used(self):
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            process = self.start("pull", "registry.example/x:1", env={"https_proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}"})
            proxy.settimeout(20)
            connection, _ = proxy.accept()
            with connection:
                self.assertTrue(connection.recv(100).startswith(b"CONNECT registry.example:443"))
            process.kill()
            process.communicate()

    def test_loopback_goes_round_the_proxy(self):
        host = registries.tls().host
        self.configure(host)
        self.pull(f"{host}/{OPEN}", env={"https_proxy": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"})


class Names(PullTestCase):
    def test_every_form_reaches_the_same_image(self):
        host = registries.plain().host
        for form in (f"{host}/{OPEN}", f"docker://{host}/{OPEN}", f"{host}#library/busybox:1", f"docker://{host}#{OPEN}", f"someone@{host}/{OPEN}"):
            with self.subTest(form):
                self.pull(form)
        self.assertEqual(len(self.json("images")), 1)

    def test_digest(self):
        host = registries.plain().host
        self.pull(f"{host}/{OPEN}")
        digest = self.json("images")[0]["digest"]
        self.mlctr("rmi", f"{host}/{OPEN}")
        self.pull(f"{host}/library/busybox@{digest}")
        self.assertEqual(self.json("inspect", f"{host}/library/busybox@{digest}")["digest"], digest)

    def test_tag_and_digest_that_disagree(self):
        host = registries.plain().host
        wrong = "sha256:" + "0" * 64
        self.fails("pull", f"{host}/{OPEN}@{wrong}", says=["0000"], hint=False)
        self.assert_nothing_stored()

    def test_bad_references_say_where(self):
        for reference, position in (("Upper/case", "1"), ("a/b:tag:tag", ""), ("name:", ""), ("a//b", "3"), ("x@sha256:12", "")):
            with self.subTest(reference):
                errors = self.fails("pull", reference, says="character " + position, hint=False)
                self.assertIn(reference, errors)

    def test_missing_tag_lists_those_that_exist(self):
        host = registries.plain().host
        self.fails("pull", f"{host}/library/busybox:nope", says=["nope", r"\b1\b"])

    def test_missing_repository(self):
        host = registries.plain().host
        self.fails("pull", f"{host}/no/such:1", says=["no/such"])
        self.assert_nothing_stored()

    def test_no_registry_there(self):
        self.fails("pull", "127.0.0.1:1/library/busybox:1", says=[r"127\.0\.0\.1:1", "refused|connect"], seconds=100)

    def test_unresolvable_host(self):
        self.fails("pull", "no-such-host.invalid/x:1", says=["no-such-host.invalid", "resolve|not known|lookup"], seconds=100)
