"""The command line as people meet it: a real terminal (tmux), signals, pipes, completion."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import registries
from harness import PASSWORD, PullTestCase, binary, fixtures

PYTHON = "library/python:3.8"


def progress_demo():
    """The display on its own, fed with fake layers."""
    build = pathlib.Path(os.environ["MLCTR"]).resolve().parents[2]
    demo = build / "tests/unit/cli/progress_demo"
    if not demo.exists():
        raise unittest.SkipTest(f"no {demo}: ninja -C {build} progress_demo")
    return demo


class Terminal:
    """A tmux of its own with a bash in it."""

    def __init__(self, environment, columns=80, rows=24):
        self.directory = tempfile.TemporaryDirectory(prefix="mlctr-tmux-")
        self.socket = f"{self.directory.name}/socket"
        # tmux looks at the locale for what its panes can show.
        self.environment = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        exports = [f"{name}={value}" for name, value in (environment | {"PS1": "prompt> ", "HISTFILE": "/dev/null"}).items()]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", columns, "-y", rows,
                  "env", *exports, "bash", "--norc", "--noprofile")  # fmt: skip
        self.wait_for("prompt>")  # what tmux captures ends without spaces

    def tmux(self, *arguments):
        command = ["tmux", "-S", self.socket, *map(str, arguments)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.tmux("kill-server")
        self.directory.cleanup()

    def type(self, text):
        self.tmux("send-keys", "-t", "t", "-l", text)

    def key(self, name):
        self.tmux("send-keys", "-t", "t", name)

    def run(self, line):
        self.type(line)
        self.key("Enter")

    def resize(self, columns, rows):
        self.tmux("resize-window", "-t", "t", "-x", columns, "-y", rows)

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options, "-t", "t").rstrip("\n").split("\n")

    def has_cursor(self):
        return self.tmux("display-message", "-p", "-t", "t", "#{cursor_flag}").strip() == "1"

    def wait_for(self, pattern, seconds=20):
        return self.wait_until(lambda screen: re.search(pattern, "\n".join(screen), re.M), f"no {pattern!r}", seconds)

    def wait_until(self, holds, what, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if holds(screen):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} on the screen after {seconds} s:\n" + "\n".join(screen))
            time.sleep(0.05)


class TerminalTestCase(PullTestCase):
    def terminal(self, columns=80, rows=24, **environment):
        (self.home / "bin").mkdir(exist_ok=True)
        link = self.home / "bin/mlctr"
        if not link.exists():
            link.symlink_to(binary())
        terminal = Terminal(self.environment(**environment), columns, rows)
        self.addCleanup(terminal.close)
        return terminal

    def totals(self, screen):
        return [line for line in screen if line.startswith("total  ")]


class Progress(TerminalTestCase):
    def test_sixty_layers_on_a_small_screen(self):
        terminal = self.terminal()
        terminal.run(f"{progress_demo()} 60 6")
        screen = terminal.wait_for(r"total +\d+/60 done .*MB/s")
        self.assertEqual(len(self.totals(screen)), 1)
        self.assertTrue(any(re.match(r"[0-9a-f]{12} downloading +[━─·]+ .*/\d+ MB", line) for line in screen), screen)
        self.assertTrue(any("more waiting" in line for line in screen), screen)
        self.assertFalse(terminal.has_cursor())

        # Nothing but the note and the last line stays.
        screen = terminal.wait_for(r"is ready\nprompt>$")
        self.assertEqual([line for line in screen if line and "progress_demo" not in line],
                         ["layer 0f1e2d3c4b5a: HTTP 429; trying again in 2 s", "demo:1.0 is ready", "prompt>"])  # fmt: skip
        self.assertTrue(terminal.has_cursor())

    def test_a_terminal_that_changes_its_size(self):
        terminal = self.terminal()
        terminal.run(f"{progress_demo()} 60 12")
        terminal.wait_for(r"total +\d+/60 done")
        for columns, rows in ((40, 10), (120, 24), (60, 24), (200, 30), (40, 24)):
            terminal.resize(columns, rows)
            settled = lambda screen: len(self.totals(screen)) == 1 and screen[-1].startswith("total") and len(screen[-1]) > min(columns * 0.6, 80)
            screen = terminal.wait_until(settled, f"not one frame of {columns} columns", 5)
            self.assertLessEqual(max(map(len, screen)), columns)
        terminal.key("C-c")
        terminal.wait_for("stopped")

    def test_control_c_leaves_the_terminal_as_it_was(self):
        terminal = self.terminal()
        terminal.run(f"{progress_demo()} 20 60; echo status=$?")
        terminal.wait_for("total ")
        terminal.key("C-c")
        screen = terminal.wait_for("prompt>$")
        self.assertIn("stopped; the next pull goes on from here", screen)
        self.assertEqual(self.totals(screen), [])
        self.assertTrue(terminal.has_cursor())
        terminal.run("echo status=$?")
        terminal.wait_for("status=130")

    def test_control_c_ends_a_loop_of_pulls(self):
        """Which it only does for a program that dies of the signal."""
        terminal = self.terminal()
        terminal.run(f"for i in 1 2 3; do {progress_demo()} 20 60; done")
        terminal.wait_for("total ")
        terminal.key("C-c")
        screen = terminal.wait_for("prompt>$", 5)
        self.assertEqual(sum("stopped" in line for line in screen), 1)

    def test_suspended_and_continued(self):
        terminal = self.terminal()
        terminal.run(f"{progress_demo()} 20 20")
        terminal.wait_for("total ")
        terminal.key("C-z")
        screen = terminal.wait_for(r"Stopped(.|\n)*\nprompt>\Z")
        self.assertEqual([line for line in screen if "downloading" in line or line.startswith("total")], [])
        self.assertTrue(terminal.has_cursor())

        # In the background it does not write over what the shell's user does.
        terminal.run("bg")
        terminal.run("echo one; sleep 1; echo two")
        terminal.wait_for("one\ntwo\nprompt>\\Z")
        terminal.run("clear; fg")
        screen = terminal.wait_for("total ")
        self.assertEqual(len(self.totals(screen)), 1)
        self.assertFalse(terminal.has_cursor())
        terminal.key("C-c")
        terminal.wait_for("stopped")
        self.assertTrue(terminal.has_cursor())

    def test_terminals_that_can_less(self):
        demo = progress_demo()
        terminal = self.terminal(LC_ALL="C")
        terminal.run(f"{demo} 4 4")
        screen = terminal.wait_for(r"downloading +[=.-]{9,} ")
        self.assertTrue(all(line.isascii() for line in screen))
        terminal.wait_for("is ready")

        terminal.run(f"clear; NO_COLOR=1 {demo} 4 4")
        terminal.wait_for("downloading")
        self.assertNotIn("\x1b[3", "\n".join(terminal.screen("-e")))
        terminal.wait_for("is ready")

        terminal.run(f"clear; {demo} 4 4")
        terminal.wait_for("downloading")
        self.assertIn("\x1b[3", "\n".join(terminal.screen("-e")))
        terminal.wait_for("is ready")

        terminal.run(f"clear; TERM=dumb {demo} 4 3")
        terminal.wait_for(r"^pull demo:1.0: \d/4 layers, \d+/\d+ MB, \d+ MB/s")

    def test_a_log_gets_plain_lines(self):
        for seconds, least in (("0.2", 1), ("4", 3)):
            errors = subprocess.run([progress_demo(), "6", seconds], capture_output=True, text=True, check=True).stderr
            self.assertNotIn("\x1b", errors)
            self.assertNotIn("\r", errors)
            lines = errors.splitlines()
            self.assertRegex(lines[0], r"^pull demo:1.0: 6 layers, \d+ MB to fetch, 1 already here$")
            self.assertEqual(lines[-1], "demo:1.0 is ready")
            self.assertEqual(sum("to fetch" in line for line in lines), 1)
            self.assertGreaterEqual(len(lines), least + 1)
            if seconds == "0.2":
                self.assertEqual(len(lines), 2)

    def test_quiet(self):
        errors = subprocess.run([progress_demo(), "6", "0.2", "quiet"], capture_output=True, text=True, check=True).stderr
        self.assertEqual(errors, "demo:1.0 is ready\n")

    def test_a_real_pull(self):
        with registries.nginx(slow_rate="20m") as nginx:
            host = nginx.host["slow"]
            self.configure(host)
            terminal = self.terminal(160)
            terminal.run(f"mlctr pull {host}/{PYTHON}")
            screen = terminal.wait_for(r"total +\d/\d+ done .*MB/s")
            self.assertTrue(any(re.match(r"[0-9a-f]{12} (downloading|converting)", line) for line in screen), screen)
            screen = terminal.wait_for(r"prompt>$")
            self.assertRegex(screen[-2], rf"^mlctr: {host}/{PYTHON} is ready \([\d.]+ [MG]B, \d+ layers, [\d.]+ s\)\.", screen)
            self.assertEqual(len([line for line in screen if line]), 3)
            terminal.run(f"clear; mlctr pull {host}/{PYTHON}")
            terminal.wait_for("is up to date")


class Commands(PullTestCase):
    def test_alone_it_shows_the_lines_that_matter(self):
        lines = self.mlctr()[0].splitlines()
        self.assertEqual([line.split()[:2] for line in lines[:3]], [["mlctr", "pull"], ["mlctr", "run"], ["mlctr", "run"]])
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertEqual(self.mlctr("help"), self.mlctr())
        self.assertEqual(self.mlctr("--help"), self.mlctr())

    def test_every_command_tells_about_itself(self):
        listed = re.findall(r"^  ([a-z]+) +[A-Z]", self.mlctr("help")[0], re.M)
        self.assertIn("completion", listed)
        for command in listed:
            text, errors = self.mlctr(command, "--help")
            self.assertEqual(errors, "")
            self.assertEqual((text, ""), self.mlctr("help", command))
            self.assertLessEqual(max(map(len, text.splitlines())), 80, command)

    def test_mistakes_are_told_with_what_was_meant(self):
        self.fails("pul", "python:3.8", says="no such command: pul\nhint: did you mean: mlctr pull")
        self.fails("ls", says="mlctr images")
        self.fails("frobnicate", says="mlctr help")
        self.fails("pull", "--quite", "python:3.8", says="no such option: --quite\nhint: did you mean --quiet")
        self.fails("pull", says="REF")
        self.fails("pull", "a", "b", says="too many: b")
        self.fails("pull", "--policy", "sometimes", "python:3.8", says="missing")
        self.fails("pull", "UPPER/case", says="UPPER")
        self.fails("gc", "--max-size", "lots", says="size")
        self.fails("help", "imagse", says="mlctr images")

    def test_errors_are_one_line_and_a_hint(self):
        errors = self.fails("inspect", "no/such:image", says="no/such:image")
        self.assertRegex(errors, r"\Amlctr: error: [^\n]*\nhint: [^\n]*\n\Z")

    def test_a_reader_that_goes_away_is_no_error(self):
        shell = subprocess.run(["bash", "-c", f"{binary()} config 2>&1 | head -n 1; echo ${{PIPESTATUS[1]}}"],
                               capture_output=True, text=True, env=self.environment(), check=True)  # fmt: skip
        self.assertNotIn("error", shell.stdout + shell.stderr)

    def test_a_full_disk_behind_standard_output_is_one(self):
        shell = subprocess.run(["bash", "-c", f"{binary()} config >/dev/full"], capture_output=True, text=True, env=self.environment())
        self.assertEqual((shell.returncode, shell.stderr), (125, "mlctr: error: cannot write standard output: No space left on device\n"))

    def test_closed_standard_descriptors(self):
        command = f"exec 0<&- 1<&- 2<&-; exec {binary()} config"
        subprocess.run(["bash", "-c", command], env=self.environment(), check=True)

    def test_quiet_prints_the_reference(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.assertEqual(self.pull(name, "--quiet"), (f"{name}\n", ""))

    def test_a_short_pull_is_two_lines_in_a_log(self):
        name = f"{registries.plain().host}/library/busybox:1"
        out, errors = self.pull(name)
        self.assertEqual(out, "")
        self.assertEqual(len(errors.splitlines()), 2, errors)
        self.assertRegex(errors, rf"\Apull {name}: 4 layers, .* to fetch\nmlctr: {name} is ready \(.*4 layers.* s\)\. Try: mlctr inspect {name}\n\Z")
        self.assertRegex(self.pull(name)[1], rf"\Amlctr: {name} is up to date \(.*\)\. Try: [^\n]*\n\Z")

    def test_names_in_an_image_do_not_control_the_terminal(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name)
        [config] = (self.store / "images").rglob("config.json")
        config.chmod(0o644)
        config.write_text(config.read_text().replace('"PATH=', '"EVIL=\\u001b]0;owned\\u0007\\u009b\\u202e","PATH='))
        for text in (self.mlctr("inspect", name)[0], self.mlctr("inspect", name, "--json")[0]):
            self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
        self.assertIn("EVIL=\x1b]0;owned\x07\x9b\u202e", self.json("inspect", name)["config"]["config"]["Env"])

    def test_export_overwrites_only_by_force(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name)
        file = self.home / "out.sqsh"
        file.write_text("mine")
        self.fails("export", name, file, says="exists.*--force")
        self.assertEqual(file.read_text(), "mine")
        self.mlctr("export", "--force", name, file)
        self.assertEqual(self.json("inspect", file)["provenance"]["reference"], name)
        self.assertEqual(self.json("inspect", file)["digest"], self.json("inspect", name)["digest"])
        self.fails("export", name, self.home, says="directory")
        self.assertEqual([f for f in os.listdir(self.home) if f.startswith(".")], [])


    def test_an_image_goes_to_standard_output(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name)
        expected = self.squashfs_of(name).read_bytes()
        for arguments in (["export", name, "-"], ["pull", "--quiet", "--output", "-", name], ["pull", "-o", "-", name]):
            with self.subTest(arguments):
                process = self.start(*arguments, text=False)
                out, errors = process.communicate(timeout=60)
                self.assertEqual((process.returncode, out), (0, expected), errors)
        self.fails("export", "--json", name, "-", says="--json")
        self.assertFalse((self.home / "-").exists())

        command = f"{binary()} export {name} - | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}"
        shell = subprocess.run(["bash", "-c", command], env=self.environment(), capture_output=True, text=True)
        self.assertEqual((shell.returncode, shell.stderr), (128 + signal.SIGPIPE, ""))

    def test_a_file_without_a_name_is_refused(self):
        self.fails("pull", "--output", "", "python:3.8", says="--output.*empty")
        self.fails("export", "python:3.8", "", says="FILE.sqsh.*empty")


class Lists(TerminalTestCase):
    def test_tables_fit_the_terminal(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name)
        layout = self.home / "a-directory-with-a-rather-long-name/layout"
        shutil.copytree(fixtures() / "layouts/busybox", layout)
        self.pull(f"oci:{layout}:1")
        terminal = self.terminal(70, rows=60)
        for command, end in (("images", "MB"), ("config", None)):
            terminal.run(f"clear; mlctr {command}; echo done")
            screen = terminal.wait_for("^done\nprompt>$")
            lines = screen[: screen.index("done")]
            self.assertEqual(len(lines), len(self.mlctr(command)[0].splitlines()), "it wraps")
            if end:
                self.assertTrue(all(line.endswith(end) for line in lines[1:]), lines)
        self.assertIn(f"oci:{layout}:1", self.mlctr("images")[0], "whole off a terminal")

    def test_an_image_is_not_for_a_terminal(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name)
        terminal = self.terminal(120)
        for command in (f"export {name} -", f"pull -o - {name}"):
            terminal.run(f"clear; mlctr {command}")
            terminal.wait_for("cannot write an image to a terminal\nhint: .*ssh HOST")


class Login(TerminalTestCase):
    def test_a_registry_that_asks_for_no_password_did_not_check_it(self):
        host = registries.plain().host
        errors = self.mlctr("login", "-u", "alice", "--password-stdin", host, stdin=PASSWORD + "\n")[1]
        self.assertRegex(errors, f"stored the password of alice for {host}, unchecked: the registry lets anyone in")
        self.assertNotIn("logged in", errors)

    def test_the_password_is_not_shown(self):
        host = registries.htpasswd().host
        self.configure(host)
        terminal = self.terminal(100)
        terminal.run(f"mlctr login {host}")
        terminal.wait_for("User name for")
        terminal.run("alice")
        terminal.wait_for("Password of alice")
        terminal.run(PASSWORD)
        screen = "\n".join(terminal.wait_for(f"logged in to {host} as alice"))
        self.assertNotIn(PASSWORD[:6], screen)
        self.assertIn("warning: the password is in", screen)

    def test_control_c_at_the_prompt_gives_the_echo_back(self):
        host = registries.htpasswd().host
        self.configure(host)
        terminal = self.terminal(100)
        terminal.run(f"mlctr login -u alice {host}")
        terminal.wait_for("Password of alice")
        terminal.key("C-c")
        terminal.wait_for("mlctr: stopped; nothing was stored\n+prompt>$")
        terminal.run("stty -a | grep -o -- '.echo '")
        terminal.wait_for("\n echo\n?")


class Completion(TerminalTestCase):
    def complete(self, terminal, text, expected):
        terminal.run("clear")
        # Keys that come before the prompt are echoed twice, by the terminal and by readline.
        terminal.wait_until(lambda screen: [line.strip() for line in screen if line.strip()] == ["prompt>"], "no lone prompt")
        terminal.type(text)
        terminal.key("Tab")
        terminal.wait_for("^" + re.escape(f"prompt> {expected}".rstrip()) + "$")
        terminal.key("C-u")

    def test_bash(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name)
        terminal = self.terminal(120)
        terminal.run("source <(mlctr completion bash)")
        self.complete(terminal, "mlctr pul", "mlctr pull ")
        self.complete(terminal, "mlctr insp", "mlctr inspect ")
        self.complete(terminal, "mlctr pull --qui", "mlctr pull --quiet ")
        self.complete(terminal, f"mlctr inspect {name[:7]}", f"mlctr inspect {name}")
        self.complete(terminal, f"mlctr inspect {name[:-2]}", f"mlctr inspect {name}")
        self.complete(terminal, "mlctr completion f", "mlctr completion fish ")
        self.complete(terminal, "mlctr pull --policy m", "mlctr pull --policy missing ")
        self.complete(terminal, "mlctr pull --policy=n", "mlctr pull --policy=newer ")

    def test_other_shells_can_read_their_scripts(self):
        for shell, check in (("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"]), ("bash", ["bash", "-n"])):
            script = self.write(f"completion.{shell}", self.mlctr("completion", shell)[0])
            try:
                subprocess.run([*check, script], check=True, capture_output=True, text=True)
            except FileNotFoundError:
                continue  # of no use here then
        self.fails("completion", "tcsh", says="bash, zsh and fish")


class Signals(PullTestCase):
    def stopped(self, number, count=1):
        with registries.nginx(slow_rate="2m") as nginx:
            self.configure(nginx.host["slow"])
            process = self.start("pull", f"{nginx.host['slow']}/{PYTHON}")
            time.sleep(1.5)
            for _ in range(count):
                process.send_signal(number)
            return process, process.communicate(timeout=20)[1]

    def test_each_ends_it_as_it_would_without_us(self):
        """So that a shell says 130 after ^C, and its loops stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process, errors = self.stopped(number)
            self.assertEqual(process.returncode, -number)
            self.assertIn("mlctr: stopped; the next pull goes on from here", errors)

    def test_an_impatient_user(self):
        process, _ = self.stopped(signal.SIGINT, count=2)
        self.assertIn(process.returncode, (130, -signal.SIGINT))

    def test_nohup_is_heeded(self):
        command = ["nohup", str(binary()), "pull", "--quiet", f"{registries.plain().host}/library/busybox:1"]
        process = subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.2)
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
