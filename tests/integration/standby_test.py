"""A server that is killed, as Slurm kills it with its step: where another step is in the container, it goes on."""
import contextlib
import os
import pathlib
import signal
import threading

from containers import servers_below
from harness import EXIT_OWN_FAILURE, as_root
from named_containers import until
from steps import StepTestCase

NAME = "--container-name=c"
NAMESPACE = ("readlink", "/proc/self/ns/mnt")


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


class CreatedTestCase(StepTestCase):
    def setUp(self):
        super().setUp()
        self.create("c")

    def run_lock(self):
        return self.store / "containers/c/run.lock"


class Standby(CreatedTestCase):
    @contextlib.contextmanager
    def two_steps(self):
        """The first made the container, the second joined."""
        with self.held_step(*NAMESPACE, options=[NAME], SLURM_STEP_ID=1) as first:
            serving = self.server()
            with self.held_step(*NAMESPACE, options=[NAME], SLURM_STEP_ID=2) as second:
                self.assertEqual(first.first[0]["out"], second.first[0]["out"])
                yield serving, second
            until(lambda: len(servers_below(self.home)) <= 1, "the end of the second step's server")

    def server(self):
        """The one that serves: its pid is in the lock."""
        return int(self.run_lock().read_text().split()[0])

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        until(lambda: not state_of(pid), "the end of a killed server")

    def test_it_goes_on(self):
        with self.two_steps() as (serving, second):
            self.assertEqual(len(servers_below(self.home)), 2)
            self.kill(serving)
            # Nothing of this was looked at before.
            self.assertEqual(second.task("sh", "-c", "ls -R /etc > /dev/null && cat /etc/motd && touch /made"), {"code": 0, "out": "layer three\n", "errors": ""})
            self.assertNotEqual(self.server(), serving)

    def test_all_that_is_done_with_it(self):
        with self.two_steps() as (serving, second):
            self.kill(serving)
            self.assertEqual([c["name"] for c in self.json("ps")], ["c"])
            self.assertEqual(self.sh("exec", "c", "cat", "/etc/motd"), "layer three")
            self.assertEqual(self.sh("exec", "77.2", *NAMESPACE), second.first[0]["out"].strip())
            self.assertEqual(self.run_in("c", *NAMESPACE)[0], second.first[0]["out"])
            self.mlctr("save", "--live", "c", self.home / "saved.sqsh")
            self.assertIn("in it", self.fails("rm", "c"))
            third = self.outputs(*NAMESPACE, options=[NAME], step=3)
            self.assertEqual(set(third), {second.first[0]["out"]})

    def test_one_after_the_other(self):
        """Each of many steps takes over from the one before, and nothing else of the steps is left."""
        with contextlib.ExitStack() as steps:
            all_steps = [steps.enter_context(self.held_step("true", options=[NAME], SLURM_STEP_ID=i)) for i in range(4)]
            for step in all_steps[1:]:
                self.kill(self.server())
                until(lambda: self.sh("exec", "c", "echo", "in") == "in", "another server")
                self.assertEqual(step.task("cat", "/etc/motd")["out"], "layer three\n")
            self.kill(self.server())
            until(lambda: not servers_below(self.home), "the end of the last server")
            late = all_steps[-1].task("true")
            self.assertEqual(late["code"], EXIT_OWN_FAILURE)
            self.assertIn("was killed", late["errors"])
        until(lambda: not self.holders(), "the end of the steps")
        self.outputs("cat", "/etc/motd", options=[NAME], tasks=1)

    def test_rm_force(self):
        with self.two_steps() as (serving, _):
            self.kill(serving)
            self.mlctr("rm", "--force", "c")
            self.assertEqual(self.json("ps", "--all"), [])

    def test_a_step_that_ends_leaves_none(self):
        with self.held_step("true", options=[NAME], SLURM_STEP_ID=1):
            for step in range(2, 5):
                self.outputs("true", options=[NAME], step=step)
            until(lambda: len(servers_below(self.home)) == 1, "the end of the other steps' servers")

    def test_nothing_hangs(self):
        """Programs read while servers are killed: each sees its file, or an error, and ends."""
        script = "echo >> $0; for i in $(seq 8); do find /bin /etc /lib* -type f -exec cat {} + > /dev/null 2>&1; done; echo ended"
        for round in range(3):
            with self.two_steps() as (serving, second):
                started = self.home / f"run/started-{round}"
                second.begin(*[("sh", "-c", script, str(started))] * 4)
                until(lambda: started.exists(), "a program that reads")
                self.kill(serving)
                self.assertEqual([task["out"] for task in second.result()], ["ended\n"] * 4)
            until(lambda: not self.holders(), "the end of the steps")

    def test_mounted_squashfs_files(self):
        self.mlctr("save", "c", self.home / "data.sqsh")
        mounts = f"--container-mounts={self.home}/data.sqsh:/data"
        with self.held_step("true", options=[NAME, mounts], SLURM_STEP_ID=1):
            serving = self.server()
            with self.held_step("true", options=[NAME], SLURM_STEP_ID=2) as second:
                self.kill(serving)
                self.assertEqual(second.task("cat", "/data/etc/motd")["out"], "layer three\n")


class RuntimeDirectories(CreatedTestCase):
    """A login session has $XDG_RUNTIME_DIR, a job has not: one container may be looked for in both."""

    def setUp(self):
        super().setUp()
        self.other = self.home / "other"
        self.other.mkdir(mode=0o700)
        as_root("chown", self.uid, self.other)

    def test_it_is_joined_all_the_same(self):
        self.host_variables = {}
        with self.held_step(*NAMESPACE, options=[NAME]) as step:
            self.host_variables = {"XDG_RUNTIME_DIR": self.other}
            self.assertEqual(self.run_in("c", *NAMESPACE)[0], step.first[0]["out"])
            self.assertEqual(self.sh("exec", "c", *NAMESPACE), step.first[0]["out"].strip())
            self.assertIn("in it", self.fails("rm", "c"))
            self.assertIn("in it", self.fails("save", "c", self.home / "x.sqsh"))
            self.assertEqual(self.outputs(*NAMESPACE, options=[NAME], step=2, XDG_RUNTIME_DIR=self.other), [step.first[0]["out"]] * 2)

    def test_what_is_out_of_reach_is_never_started_twice(self):
        """Its socket is in a /tmp of the job's own, and its processes are not ours to see."""
        with self.held_step(*NAMESPACE, options=[NAME]):
            self.run_lock().write_text("1 /nowhere\n")
            self.host_variables = {"XDG_RUNTIME_DIR": self.other}
            errors = self.fails("run", "c", "true")
            self.assertRegex(errors, "runs already, where it can't be reached from here: .*process 1, its socket in /nowhere")
            self.assertIn("MLCTR_RUNTIME_DIR", errors)

    def test_many_at_once(self):
        """Half of them with one runtime directory, half with another: all in one container."""
        found = []

        def run(number):
            more = {"XDG_RUNTIME_DIR": self.other} if number % 2 else {}
            found.append(self.run_step(*NAMESPACE, options=[NAME], tasks=1, step=number, **more))

        with self.held_step(*NAMESPACE, options=[NAME], SLURM_STEP_ID=100) as step:
            threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 7)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual([results[0]["out"] for results in found], [step.first[0]["out"]] * 6, found)
