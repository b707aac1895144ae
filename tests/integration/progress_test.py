"""What a pull shows: live lines on a terminal of any size, plain lines off it, nothing when asked."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import registries
from harness import PullTestCase
from oci_layout import Layout
from tar_writer import TarWriter

PYTHON = "library/python:3.8"
ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>78])")


class Terminal:
    """Runs a command on a pseudo-terminal and keeps what it shows."""

    def __init__(self, test, arguments, rows, columns, **more):
        self.parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = test.start(*arguments, stdin=child, stdout=child, stderr=child, text=False, **more)
        os.close(child)
        self.shown = b""

    def read_until_end(self, limit=90):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if select.select([self.parent], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.parent, 65536)
                except OSError:
                    break
        os.close(self.parent)
        return self.process.wait(10), self.shown.decode("utf-8", "replace")


class OnATerminal(PullTestCase):
    def many_layers(self, count):
        layout = Layout(self.home / "layout")
        tars = [TarWriter().file(f"file{i}", os.urandom(300_000)).bytes() for i in range(count)]
        layout.tag(layout.image([layout.layer(tar) for tar in tars]), "1")
        return f"oci:{self.home / 'layout'}:1"

    def assert_readable(self, shown, rows, columns):
        for line in re.split(r"[\r\n]+", ESCAPE.sub("", shown.split("mlctr: ")[0])):
            self.assertLessEqual(len(line), columns, f"wraps: {line!r}")
        # It never moves up past the screen: what is above would be drawn again and again.
        for up in re.findall(r"\x1b\[(\d+)[AF]", shown):
            self.assertLess(int(up), rows)
        self.assertLessEqual(shown.rfind("\x1b[?25l"), shown.rfind("\x1b[?25h"), "the cursor is hidden for good")

    def test_sixty_layers_in_eighty_columns(self):
        for rows, columns in ((24, 80), (10, 40), (50, 200)):
            with self.subTest(f"{columns}x{rows}"):
                self.mlctr("gc", "--max-size", "0")
                terminal = Terminal(self, ["pull", self.many_layers(60)], rows, columns, env={"TERM": "xterm"})
                status, shown = terminal.read_until_end()
                self.assertEqual(status, 0, shown[-2000:])
                self.assertIn("ready", shown)
                self.assert_readable(shown, rows, columns)

    def test_live_lines_show_layers_and_rate(self):
        with registries.nginx(slow_rate="20m") as nginx:
            self.configure(nginx.host["slow"])
            terminal = Terminal(self, ["pull", f"{nginx.host['slow']}/{PYTHON}"], 24, 80, env={"TERM": "xterm"})
            status, shown = terminal.read_until_end()
        self.assertEqual(status, 0)
        self.assertRegex(shown, r"MB/s|MiB/s")
        self.assert_readable(shown, 24, 80)

    def test_control_c_gives_the_terminal_back(self):
        with registries.nginx(slow_rate="4m") as nginx:
            self.configure(nginx.host["slow"])
            terminal = Terminal(self, ["pull", f"{nginx.host['slow']}/{PYTHON}"], 24, 80, env={"TERM": "xterm"})
            time.sleep(1.5)
            terminal.process.send_signal(signal.SIGINT)
            _, shown = terminal.read_until_end(20)
        self.assert_readable(shown, 24, 80)
        self.assertRegex(shown, "stopped")

    def test_a_dumb_terminal_gets_no_escapes(self):
        terminal = Terminal(self, ["pull", self.many_layers(3)], 24, 80, env={"TERM": "dumb"})
        status, shown = terminal.read_until_end()
        self.assertEqual(status, 0)
        self.assertNotIn("\x1b", shown)


class OffATerminal(PullTestCase):
    def test_lines_come_every_few_seconds_not_more(self):
        with registries.nginx(slow_rate="8m") as nginx:
            self.configure(nginx.host["slow"])
            began = time.monotonic()
            _, errors = self.pull(f"{nginx.host['slow']}/{PYTHON}")
            seconds = time.monotonic() - began
        lines = errors.strip().splitlines()
        self.assertGreater(len(lines), 2, "a silent pull looks hung")
        self.assertLess(len(lines), 5 + seconds)
