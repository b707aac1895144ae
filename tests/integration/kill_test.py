"""Processes of a container killed at any moment: nothing stays that stops the next run."""
import os
import random
import signal
import subprocess
import time

from containers import ContainerTestCase, layout, servers_below

ROUNDS = 100


class Kill(ContainerTestCase):
    def processes(self, marker):
        """The user's processes that have `marker` in their environment or command line: those of this test's containers."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environment, open(f"/proc/{pid}/cmdline", "rb") as command:
                    if marker.encode() in environment.read() + command.read():
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def test_kill_any_process_at_any_stage(self):
        image = layout("busybox")
        self.mlctr("create", "--name", "k", image)
        random.seed(4)
        hits = 0
        for number in range(ROUNDS):
            target = "k" if number % 2 else image
            marker = f"mlctr-kill-{os.getpid()}-{number}"
            child = self.start("run", "--env", f"MARKER={marker}", target, "sh", "-c", f"echo {number} > /mark; sleep 30", start_new_session=True)
            time.sleep(random.uniform(0, 0.06))
            victims = [pid for pid in self.processes(marker) + servers_below(self.home) if pid != os.getpid()]
            if victims:
                hits += 1
                try:
                    os.kill(random.choice(victims), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(random.uniform(0, 0.02))
            for pid in self.processes(marker):  # the rest goes as a scancel would have it
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.communicate(timeout=20)
        self.assertGreater(hits, ROUNDS // 4, "the kills came too early to meet anything")
        self.assert_nothing_runs()
        self.assertEqual(self.run_in("k", "echo", "well")[0], "well\n")
        self.assertEqual(self.run_in(image, "echo", "well")[0], "well\n")
        self.assertEqual(self.json("ps"), [])
        self.assertEqual(self.runtime_sockets(), [], "sockets of killed servers stay")

    def test_a_dead_server_is_an_error_never_a_hang(self):
        image = layout("python")
        child = self.start("run", image, "sh", "-c", "echo up; read line; cat /usr/share/perl5/* /usr/lib/python3/dist-packages/*/* >/dev/null; ls -R /usr >/dev/null; echo rc $?",
                           stdin=subprocess.PIPE)  # fmt: skip
        self.assertEqual(child.stdout.readline(), "up\n")
        for pid in servers_below(self.home):
            os.kill(pid, signal.SIGKILL)
        out, errors = child.communicate("go\n", timeout=30)
        # The shell itself lives in the image: a bus error is what reading its code gives then.
        self.assertRegex(f"{out}{errors}exit {child.returncode}", "rc [1-9]|not connected|Input/output|exit (-|[1-9])")

    def test_no_second_overlay_on_what_a_killed_server_left(self):
        self.mlctr("create", "--name", "k", layout("busybox"))
        # Having read before, it needs nothing more of the image to wait for a line: what it did would be a bus error.
        first = self.start("run", "k", "sh", "-c", "read line; echo up; read line", stdin=subprocess.PIPE)
        first.stdin.write("\n")
        first.stdin.flush()
        self.assertEqual(first.stdout.readline(), "up\n")
        for pid in servers_below(self.home):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        self.json("ps")
        for arguments in (["run", "k", "true"], ["rm", "k"], ["save", "k", self.home / "tmp/k.sqsh"]):
            self.fails(*arguments, says=["server of the container k was killed", "kill -9"])
        self.assertEqual(self.mlctr("rm", "--force", "k")[0], "removed k\n")
        first.communicate("\n", timeout=20)
        self.assertIn(first.returncode, (-signal.SIGKILL, 128 + signal.SIGKILL))

    def test_the_container_outlives_its_first_program(self):
        image = layout("busybox")
        self.mlctr("create", "--name", "k", image)
        first = self.start("run", "k", "sleep", "1")
        time.sleep(0.3)
        second = self.start("run", "k", "sh", "-c", "sleep 2; echo here > /here; cat /bin/busybox | wc -c", stdin=subprocess.DEVNULL)
        first.communicate(timeout=20)
        self.assertEqual(first.returncode, 0)
        third = self.mlctr("run", "k", "cat", "/proc/self/mounts")[0]
        self.assertIn("overlay", third)
        out, errors = second.communicate(timeout=20)
        self.assertEqual(second.returncode, 0, errors)
        self.assertGreater(int(out), 100_000)
        self.assertEqual(self.run_in("k", "cat", "/here")[0], "here\n")

    def test_two_hundred_at_once(self):
        image = layout("busybox")
        self.mlctr("pull", "--quiet", image)
        children = [self.start("run", image, "sh", "-c", f"echo {n} > /n; cat /n", stdout=subprocess.PIPE) for n in range(200)]
        for number, child in enumerate(children):
            out, errors = child.communicate(timeout=120)
            self.assertEqual((child.returncode, out), (0, f"{number}\n"), errors)

    def test_many_join_one_container(self):
        self.mlctr("create", "--name", "k", layout("busybox"))
        children = [self.start("run", "k", "sh", "-c", f"echo {n} >> /all; sleep 1; readlink /proc/self/ns/mnt") for n in range(40)]
        namespaces = set()
        for child in children:
            out, errors = child.communicate(timeout=120)
            self.assertEqual(child.returncode, 0, errors)
            namespaces.add(out)
        self.assertEqual(len(namespaces), 1, "an upper directory was mounted twice")
        self.assertEqual(sorted(map(int, self.run_in("k", "cat", "/all")[0].split())), list(range(40)))
