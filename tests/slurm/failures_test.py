"""What goes wrong: told once, with its nodes and in the exit code, and nothing runs on the host."""
import pathlib
import re

from box import NODES
from slurm_case import SlurmTestCase, image


def nodes_told(errors, cause):
    """Each as often as it is named in front of the cause: "n[1,3]" are two."""
    found = []
    for names in re.findall(rf"(?:error: |^)(n\S+): [^\n]*{re.escape(cause)}", errors, re.M):
        for first, last in re.findall(r"(\d)(?:-(\d))?", names):
            found += [f"n{number}" for number in range(int(first), int(last or first) + 1)]
    return sorted(found)


class Causes(SlurmTestCase):
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

    def test_one_line_a_node_where_they_share_nothing(self):
        errors = self.fails("-N3", "-n6", "--container-image=/no/such.sqsh", "echo", "ran", env={"MLCTR_STORE": "/run/lock/mlctr-store"})
        told = re.findall(r"(n\d): .*/no/such.sqsh", errors)
        self.assertEqual(sorted(told), list(NODES), errors)

    def test_only_the_nodes_that_fail(self):
        (self.root_of("n1") / "run/here").mkdir(exist_ok=True)
        errors = self.fails("-N3", "-n3", f"--container-image={image()}", "--container-mounts=/run/here:/x", "sleep", "0", says="source path does not exist")
        self.assertEqual(nodes_told(errors, "source path does not exist"), ["n2", "n3"], errors)


class Saving(SlurmTestCase):
    def test_a_failure_is_the_steps(self):
        """Known at its end alone: the program itself takes the directory away."""
        directory = self.home / "out"
        directory.mkdir()
        directory.chmod(0o777)
        words = ["-w", "n1", "-n3", f"--container-image={image()}", f"--container-save={directory}/saved.sqsh"]
        out, errors = self.srun(*words, "sh", "-c", f"echo ended; sleep 0.$SLURM_PROCID; rm -rf {directory}", status=None)
        self.assertEqual(out, "ended\n" * 3)
        self.assertRegex(errors, "saved.sqsh|error: .*Exited with exit code")
        finished = self.run_command(*self.words_of_srun(*words, "true"))
        self.assertNotEqual(finished.returncode, 0, finished.stderr)
        self.assertEqual(len(re.findall(r"mlctr: .*saved\.sqsh", finished.stderr)), 1, finished.stderr)

    def test_its_own_exit_code_goes_first(self):
        file = self.home / "saved.sqsh"
        self.srun("-w", "n1", f"--container-image={image()}", f"--container-save={file}", "sh", "-c", "exit 7", status=7)
        self.assertGreater(file.stat().st_size, 4096)

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
