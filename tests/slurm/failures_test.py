"""What goes wrong: told once, with its nodes and in the exit code, and nothing runs on the host."""
import pathlib
import re
import signal

from box import NODES
from harness import EXIT_OWN_FAILURE
from slurm_case import SlurmTestCase, image


def nodes_told(errors, cause):
    """Each as often as it is named in front of the cause: "n[1,3]" are two."""
    found = []
    for names in re.findall(rf"(?:error: |^)(n\S+): [^\n]*{re.escape(cause)}", errors, re.M):
        for first, last in re.findall(r"(\d)(?:-(\d))?", names):
            found += [f"n{number}" for number in range(int(first), int(last or first) + 1)]
    return sorted(found)


class SmallDisks(SlurmTestCase):
    def small_disk(self, node):
        """A directory of the node's that a container does not fit into."""
        directory = f"/run/small-{self.home.name}"
        for words in (["mkdir", directory], ["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "small", directory]):
            self.checked(self.box.run(*words, node=node, user="root"))
        self.addCleanup(self.box.run, "umount", directory, node=node, user="root")
        return directory


class Causes(SmallDisks):
    def test_each_node_is_told_once(self):
        """The store is in a home that all nodes share: in one line, but for a node that came late."""
        for words, cause in (
            (["--container-image=/no/such.sqsh"], "cannot open /no/such.sqsh"),
            ([f"--container-image={image()}", "--container-mounts=/no/such:/x"], "source path does not exist"),
            (["--container-name=nobody"], "no container nobody"),
        ):
            with self.subTest(cause):
                errors = self.fails("-N3", "-n12", *words, "echo", "ran", says=re.escape(cause))
                self.assertEqual(nodes_told(errors, cause), list(NODES), errors)

    def assert_told(self, errors, nodes, cause, hint):
        """In one line with its nodes, and one that says what to do; nothing else but Slurm's own."""
        lines = [line for line in errors.splitlines() if not line.startswith(("srun: ", "slurmstepd: "))]
        self.assertEqual(len(lines), 2, errors)
        self.assertRegex(lines[0], rf"\Amlctr: error: {re.escape(nodes)}: [^\n]*{cause}")
        self.assertRegex(lines[1], rf"\A *hint: [^\n]*{hint}")

    def test_a_full_disk_on_one_node(self):
        small = self.small_disk("n1")
        for node in NODES:
            for words in (["-m", "1777", small], ["-m", "700", "-o", self.box.user, f"{small}/containers"]):
                self.checked(self.box.run("install", "-d", *words, node=node, user="root"))
        self.checked(self.run_command("sh", "-c", f"cat /dev/zero > {small}/full 2>/dev/null; [ -s {small}/full ]", node="n1"))
        (self.home / ".config/mlctr/mlctr.toml").write_text(f'containers = "{small}/containers"\n')
        self.checked(self.run_command(self.mlctr, "pull", "--quiet", image()))
        words = ["-N3", "-n6", f"--container-image={image()}", "--container-name=c"]
        _, errors = self.srun(*words, "true", status=None)
        self.assert_told(errors, "n1", f"cannot make the container c: [^\n]*{small}[^\n]*: No space left on device", "MLCTR_CONTAINERS")
        errors = self.fails("-w", "n1", *words[2:], "echo", "ran")
        self.assert_told(errors, "n1", "No space left on device", "MLCTR_CONTAINERS")

    def test_an_image_of_another_machine(self):
        other = image(architecture="s390x")
        errors = self.fails("-N3", "-n6", f"--container-image={other}", "echo", "ran")
        self.assert_told(errors, "n[1-3]", rf"failed to import docker image: {re.escape(other)}: .*s390x", "")
        self.checked(self.run_command(self.mlctr, "pull", "--quiet", "--arch", "s390x", other))
        errors = self.fails("-N3", "-n6", f"--container-image={other}", "echo", "ran")
        self.assert_told(errors, "n[1-3]", "is for s390x, this machine is", "--arch")

    def test_one_line_a_node_where_they_share_nothing(self):
        errors = self.fails("-N3", "-n6", "--container-image=/no/such.sqsh", "echo", "ran", env={"MLCTR_STORE": "/run/lock/mlctr-store"})
        told = re.findall(r"(n\d): .*/no/such.sqsh", errors)
        self.assertEqual(sorted(told), list(NODES), errors)

    def test_only_the_nodes_that_fail(self):
        (self.root_of("n1") / "run/here").mkdir(exist_ok=True)
        errors = self.fails("-N3", "-n3", f"--container-image={image()}", "--container-mounts=/run/here:/x", "sleep", "0", says="source path does not exist")
        self.assertEqual(nodes_told(errors, "source path does not exist"), ["n2", "n3"], errors)


class AtStart(SlurmTestCase):
    """What one task made or waits for goes with the step, however the others began."""

    def test_some_tasks_fail(self):
        script = "[ $SLURM_LOCALID != 0 ] || exit 9; sleep 0.2"
        self.in_container("-N3", "-n12", "sh", "-c", script, status=9)

    def test_the_first_task_is_killed_as_it_begins(self):
        self.in_container("-w", "n1", "-n4", "sh", "-c", "[ $SLURM_PROCID != 0 ] || kill -KILL $$; sleep 0.2", status=128 + signal.SIGKILL)

    def test_srun_is_killed(self):
        """Its tasks are told to end by nobody but Slurm, when the job is cancelled."""
        script = "sleep 1000 & echo ready; wait"  # Slurm's linuxproc may miss what is forked as it looks
        process = self.start(*self.words_of_srun("-N3", "-n12", "--unbuffered", f"--container-image={image()}", "sh", "-c", script))
        for _ in range(12):
            self.assertEqual(process.stdout.readline(), "ready\n")
        process.kill()
        self.checked(self.run_command("scancel", "--me"))

    ALONE = "(setsid sleep 1000 &)"  # whose parent is none of the step's: linuxproc, which follows parents, never finds it

    def test_what_a_task_left_alone_ends_with_the_step(self):
        """Without a container it would stay for good, and srun wait for its output."""
        for name in ([], ["--container-name=c"]):
            self.in_container("-N2", "-n4", *name, "sh", "-c", self.ALONE, seconds=60)
            self.assert_nothing_is_left()

    def test_what_another_step_left_alone_stays(self):
        """In a named container each step's end is its own affair."""
        other = self.start(*self.words_of_srun("-w", "n1", f"--container-image={image()}", "--container-name=c", "sh", "-c",
                                               f"{self.ALONE}; echo ready; while [ ! -e /go ]; do sleep 0.05; done; pidof sleep > /dev/null && echo there"))  # fmt: skip
        self.assertEqual(other.stdout.readline(), "ready\n")
        self.srun("-w", "n1", "--container-name=c", "sh", "-c", f"{self.ALONE}; touch /go")
        self.assertEqual(other.communicate(timeout=60)[0], "there\n")

    def test_srun_is_killed_and_slurm_misses_a_process(self):
        process = self.start(*self.words_of_srun("-N3", "-n6", "--unbuffered", f"--container-image={image()}", "sh", "-c", f"{self.ALONE}; echo ready; sleep 1000"))
        for _ in range(6):
            self.assertEqual(process.stdout.readline(), "ready\n")
        process.kill()
        self.checked(self.run_command("scancel", "--me"))


class Saving(SmallDisks):
    def test_a_failure_at_its_end_is_the_steps(self):
        """The tasks have run: the disk turns out too small, or the directory is no longer there."""
        gone = self.home / "out"
        for directory, cause in ((self.small_disk("n1"), "No space left on device"), (gone, "no such directory")):
            with self.subTest(cause):
                gone.mkdir()
                gone.chmod(0o777)
                words = ["-w", "n1", "-n3", f"--container-image={image()}", f"--container-save={directory}/saved.sqsh"]
                script = f"echo ended; [ $SLURM_PROCID != 1 ] || rm -rf {gone}"
                out, errors = self.srun(*words, "sh", "-c", script, status=EXIT_OWN_FAILURE)
                self.assertEqual(out, "ended\n" * 3, errors)
                self.assertEqual(len(re.findall(rf"mlctr: error: n1: [^\n]*{cause}", errors)), 1, errors)

    def test_it_is_checked_before_the_tasks_run(self):
        words = ["-w", "n1", "-n3", f"--container-image={image()}", f"--container-save={self.home}/nowhere/saved.sqsh"]
        errors = self.fails(*words, "echo", "ran", says="no such directory")
        self.assertEqual(nodes_told(errors, "no such directory"), ["n1"], errors)

    def test_its_own_exit_code_goes_first(self):
        file = self.home / "saved.sqsh"
        self.srun("-w", "n1", f"--container-image={image()}", f"--container-save={file}", "sh", "-c", "exit 7", status=7)
        self.assertGreater(file.stat().st_size, 4096)
        words = ["-w", "n1", f"--container-image={image()}", f"--container-save={self.small_disk('n1')}/saved.sqsh"]
        self.assertIn("No space left on device", self.srun(*words, "sh", "-c", "exit 7", status=7)[1])

    def test_it_is_whole_when_srun_ends(self):
        file = self.home / "saved.sqsh"
        for number in range(3):
            self.srun("-w", "n1", "-n4", f"--container-image={image()}", f"--container-save={file}", "sh", "-c", f"echo {number} > /etc/number")
            self.assertEqual(self.in_container("cat", "/etc/number", image=file), f"{number}\n")
        self.assertEqual([path.name for path in pathlib.Path(self.home).glob("saved*")], ["saved.sqsh"])

    def test_signals_reach_the_program(self):
        file = self.home / "saved.sqsh"
        script = "trap 'echo got; exit 0' USR1; echo ready; while :; do sleep 0.1; done"
        process = self.start(*self.words_of_srun("-w", "n1", f"--container-image={image()}", f"--container-save={file}", "sh", "-c", script))
        self.assertEqual(process.stdout.readline(), "ready\n")
        job = self.run_command("squeue", "--noheader", "--me", "--format=%A").stdout.split()[0]
        self.checked(self.run_command("scancel", "--signal=USR1", f"{job}.0"))
        self.assertEqual(process.communicate(timeout=60)[0], "got\n")
        self.assertTrue(file.exists())
