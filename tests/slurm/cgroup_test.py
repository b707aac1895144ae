"""Where Slurm confines a job's processes by cgroup, as clusters do: a container is in the job like any other program."""
import os
import pathlib

os.environ["MLCTR_SLURM_CGROUP"] = "1"

import slurm_case  # noqa: E402
from box import NODES  # noqa: E402
from slurm_case import SlurmTestCase, image  # noqa: E402


class Confined(SlurmTestCase):
    def setUp(self):
        if not pathlib.Path("/sys/fs/cgroup/devices").is_dir():
            self.skipTest("needs cgroup v1 with devices: boot with systemd.unified_cgroup_hierarchy=0")
        super().setUp()

    def test_nothing_leaves_the_job(self):
        """What a container needs is killed with its step."""
        out = self.in_container("-N2", "sh", "-c", "grep freezer /proc/self/cgroup", "--", "x")
        self.assertEqual([line.count("/step_0") for line in out.splitlines()], [1, 1])
        self.assertEqual(self.processes(), [])

    def test_a_name_outlives_its_step(self):
        self.in_container("-w", "n1", "--container-name=c", "touch", "/made")
        self.assertEqual(self.srun("-w", "n1", "--container-name=c", "ls", "/made")[0], "/made\n")

    def test_scancel(self):
        words = self.words_of_srun("-N3", f"--container-image={image()}", "sh", "-c", "echo ready; sleep 1000; true")
        process = self.start(*words)
        for _ in NODES:
            self.assertEqual(process.stdout.readline(), "ready\n")
        self.checked(self.run_command("scancel", "--me"))
        process.communicate(timeout=30)


assert slurm_case.CGROUP
