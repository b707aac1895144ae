"""Slurm steps without Slurm: a slurmstepd of the tests' own, and the variables that tasks have."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

from harness import binary, root_command, shared_directory
from named_containers import NamedContainerTestCase, until

FAKE_SLURMSTEPD = pathlib.Path(__file__).resolve().parent / "slurmstepd"
STEP_SECONDS = 60


class StepTestCase(NamedContainerTestCase):
    def setUp(self):
        super().setUp()
        self.slurmstepd = pathlib.Path(shutil.copy(FAKE_SLURMSTEPD, shared_directory("slurmstepd")))
        self.wanted = f"--container-image={self.image}"
        self.addCleanup(self.assert_no_holder)

    def holders(self):
        """Pids of this test's holders, and of those who tell that a step failed."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name, variables = (process / "comm").read_text().strip(), (process / "environ").read_bytes()
            except OSError:
                continue
            if name in ("mlctr-holder", "mlctr-failed") and f"HOME={self.home}\0".encode() in variables:
                found.append(int(process.name))
        return found

    def assert_no_holder(self):
        until(lambda: not self.holders(), "a holder ends with its step")
        self.assertEqual(self.step_sockets(), [])

    def step_sockets(self):
        directory = self.home / "run/mlctr/steps"
        return os.listdir(directory) if directory.exists() else []

    def step_command(self, mode, tasks, *command, step=0, **variables):
        slurm = {"SLURM_JOB_ID": 77, "SLURM_STEP_ID": step, "SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_NODEID": 0, "SLURMD_NODENAME": "n1"}
        settings = [f"{name}={value}" for name, value in self.environment(**(slurm | variables)).items()]
        prefix = root_command("setpriv", "--reuid", self.uid, "--regid", self.uid, "--clear-groups", "env", "-i", *settings)
        return [*prefix, str(self.slurmstepd), mode, str(tasks), *map(str, command)]

    def run_step(self, *command, options=(), mode="parallel", tasks=2, step=0, verb="run", **variables):
        """What each task did: {"code", "out", "errors"}."""
        mlctr = [binary(), "step", verb, *options, "--", *command]
        done = subprocess.run(self.step_command(mode, tasks, *mlctr, step=step, **variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.home, timeout=STEP_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def outputs(self, *command, **more):
        """What each task printed; all ended well and said nothing."""
        results = self.run_step(*command, **more)
        self.assertEqual([(result["code"], result["errors"]) for result in results], [(0, "")] * len(results), results)
        return [result["out"] for result in results]

    @contextlib.contextmanager
    def held_step(self, *command, options=(), tasks=1, **variables):
        """A step whose first tasks have ended, and which goes on."""
        mlctr = [str(binary()), "step", "run", *options, "--"]
        held = subprocess.Popen(self.step_command("hold", tasks, *mlctr, *command, **variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.home)
        try:
            yield HeldStep(held, mlctr)
        finally:
            held.communicate(timeout=STEP_SECONDS)


class HeldStep:
    def __init__(self, slurmstepd, mlctr):
        self._slurmstepd, self._mlctr = slurmstepd, mlctr
        self.first = self.result()

    def begin(self, *commands):
        """More tasks of it, one a command: those of a slurmstepd are its children."""
        self._slurmstepd.stdin.write(json.dumps([[*self._mlctr, *command] for command in commands]) + "\n")
        self._slurmstepd.stdin.flush()

    def result(self):
        """Of the tasks begun last."""
        return json.loads(self._slurmstepd.stdout.readline())

    def task(self, *command):
        self.begin(command)
        return self.result()[0]
