"""Many pulls at once, and pulls that die: each blob crosses the network once, and whatever happens the next pull works."""
import collections
import random
import re
import signal
import time

import registries
from harness import COMMAND_SECONDS, PullTestCase

PYTHON = "library/python:3.8"


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Together(PullTestCase):
    def finish(self, processes):
        for process in processes:
            _, errors = process.communicate(timeout=COMMAND_SECONDS)
            self.assertEqual(process.returncode, 0, errors[-2000:])

    def test_ten_pulls_download_each_blob_once(self):
        with registries.nginx() as nginx:
            host = nginx.host["front"]
            self.configure(host)
            self.finish([self.start("pull", "--quiet", f"{host}/{PYTHON}") for _ in range(10)])
            counts = collections.Counter(e["path"] for e in nginx.requests(blob=True) if e["sent"] > 100_000)
            self.assertEqual(set(counts.values()), {1}, counts)
        self.assert_same_tree(self.squashfs_of(f"{host}/{PYTHON}"), "python")
        self.assert_no_litter()

    def test_images_that_share_a_layer(self):
        with registries.nginx() as nginx:
            host = nginx.host["front"]
            self.configure(host)
            self.finish([self.start("pull", "--quiet", f"{host}/{name}") for name in (PYTHON, "library/debian:stable")])
            counts = collections.Counter(e["path"] for e in nginx.requests(blob=True) if e["sent"] > 100_000)
            self.assertEqual(set(counts.values()), {1}, counts)

    def test_the_waiting_go_on_when_the_first_is_killed(self):
        with registries.nginx(slow_rate="8m") as nginx:
            host = nginx.host["slow"]
            self.configure(host)
            first = self.start("pull", "--quiet", f"{host}/{PYTHON}")
            time.sleep(1.5)
            others = [self.start("pull", "--quiet", f"{host}/{PYTHON}") for _ in range(3)]
            time.sleep(1)
            first.kill()
            first.communicate()
            self.finish(others)
        self.assert_undisturbed("python")

    def test_gc_and_rmi_beside_pulls(self):
        host = registries.plain().host
        pulls = [self.start("pull", "--quiet", f"{host}/{name}") for name in (PYTHON, "library/busybox:1", "edge/semantics:1")]
        while any(process.poll() is None for process in pulls):
            self.mlctr("gc", "--max-size", "0")
            self.mlctr("rmi", f"{host}/library/busybox:1", status=None)
        self.finish(pulls)
        self.mlctr("gc")
        self.assert_same_tree(self.squashfs_of(f"{host}/{PYTHON}"), "python")
        self.assert_no_litter()


class Interrupted(PullTestCase):
    def cut_in_the_middle_of_a_layer(self, nginx, number):
        """Starts a pull from the slow host, sends it signal `number` while it downloads, and returns the requests so far."""
        process = self.start("pull", f"{nginx.host['slow']}/{PYTHON}")
        wait_until(lambda: sum(p.stat().st_size for p in self.store.rglob("*") if p.is_file()) > 8 << 20)
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        self.assertLess(time.monotonic() - began, 3, "it did not stop at once")
        self.assertEqual(process.returncode, -number, "it did not die of the signal, as shells and Slurm expect")
        time.sleep(0.3)  # nginx writes its log when it notices
        self.assert_nothing_stored()
        return len(nginx.requests())

    def assert_resumes(self, number):
        with registries.nginx(slow_rate="8m") as nginx:
            host = nginx.host["slow"]
            self.configure(host)
            before = self.cut_in_the_middle_of_a_layer(nginx, number)
            self.pull(f"{host}/{PYTHON}")
            ranges = [e["range"] for e in nginx.requests()[before:] if e["range"]]
            starts = [int(m[1]) for m in (re.fullmatch(r"bytes=(\d+)-\d*", r) for r in ranges) if m]
            self.assertTrue(starts and max(starts) > 1 << 20, f"not resumed: {ranges}")
        self.assert_undisturbed("python")
        self.assert_no_litter()

    def test_control_c_then_resume(self):
        self.assert_resumes(signal.SIGINT)

    def test_sigterm_then_resume(self):
        """What scancel sends."""
        self.assert_resumes(signal.SIGTERM)

    def test_sigkill_then_resume(self):
        self.assert_resumes(signal.SIGKILL)

    def test_a_second_signal_while_stopping(self):
        """Slurm sends SIGTERM again and again; both arrive here before the first is dealt with."""
        with registries.nginx(slow_rate="8m") as nginx:
            host = nginx.host["slow"]
            self.configure(host)
            process = self.start("pull", f"{host}/{PYTHON}")
            wait_until(lambda: sum(p.stat().st_size for p in self.store.rglob("*") if p.is_file()) > 8 << 20)
            for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
                process.send_signal(number)
            began = time.monotonic()
            process.communicate(timeout=20)
            self.assertLess(time.monotonic() - began, 3, "it did not stop at once")
            # 128 + n where it could not wait for its own end, else dead of the first one it saw.
            self.assertIn(process.returncode, (130, 143, -signal.SIGINT, -signal.SIGTERM))
            self.assert_nothing_stored()
            self.pull(f"{host}/{PYTHON}")
        self.assert_undisturbed("python")
        self.assert_no_litter()

    def test_resume_where_the_server_ignores_range(self):
        with registries.nginx(slow_rate="20m") as nginx:
            host = nginx.host["no_range"]
            self.configure(host)
            process = self.start("pull", f"{host}/{PYTHON}")
            wait_until(lambda: sum(p.stat().st_size for p in self.store.rglob("*") if p.is_file()) > 8 << 20)
            process.kill()
            process.communicate()
            self.pull(f"{host}/{PYTHON}")
        self.assert_undisturbed("python")

    def test_stopped_pull_says_how_to_go_on(self):
        with registries.nginx(slow_rate="4m") as nginx:
            self.configure(nginx.host["slow"])
            process = self.start("pull", f"{nginx.host['slow']}/{PYTHON}")
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=20)
            self.assertRegex(out + errors, "(?i)stopp|interrupt|cancel")

    def test_killed_at_random_moments(self):
        host = registries.plain().host
        generator = random.Random(20)
        for _ in range(15):
            process = self.start("pull", "--quiet", f"{host}/{PYTHON}", "--policy", "always")
            try:
                process.wait(generator.uniform(0, 2.5))
            except Exception:
                process.kill()
            process.communicate()
            self.mlctr("images")
        self.pull(f"{host}/{PYTHON}")
        self.assert_undisturbed("python")
        self.mlctr("rmi", f"{host}/{PYTHON}")
        self.mlctr("gc", "--max-size", "0")
        self.assert_empty_but_for_cut_downloads()

    def test_killed_then_gc_leaves_no_litter(self):
        with registries.nginx(slow_rate="8m") as nginx:
            self.configure(nginx.host["slow"])
            for seconds in (0.3, 1, 2):
                process = self.start("pull", "--quiet", f"{nginx.host['slow']}/{PYTHON}")
                time.sleep(seconds)
                process.kill()
                process.communicate()
        self.mlctr("gc", "--max-size", "0")
        self.assert_empty_but_for_cut_downloads()
