"""What tests of containers in Slurm stand on: one box a suite, in either of the two ways a cluster is run.

$MLCTR_SLURM_MODE: "srun" (the default): nobody installed anything, `mlctr srun` does it all. "plugin": srun itself, with
spank_mlctr.so ($MLCTR_SPANK, else that of the build that $MLCTR is of). With $MLCTR_SLURM_CGROUP Slurm confines and ends tasks by cgroup.
"""
import atexit
import contextlib
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from box import NODES, SlurmBox, processes_with, until
from containers import open_fuse
from harness import as_root, fixtures
from named_containers import change_config

MODE = os.environ.get("MLCTR_SLURM_MODE", "srun")
CGROUP = bool(os.environ.get("MLCTR_SLURM_CGROUP"))
SETTLE_SECONDS = 30
EPILOG = pathlib.Path(__file__).resolve().parents[2] / "examples/epilog.sh"  # sweeps where Slurm kills all there is, without a word


def plugin():
    beside = pathlib.Path(os.environ["MLCTR"]).resolve().parent.parent / "spank/spank_mlctr.so"
    return pathlib.Path(os.environ.get("MLCTR_SPANK", beside))


def missing_part():
    """Why there can be no cluster here, with the command that changes that; None: there can."""
    if os.geteuid() != 0:
        return "needs root: sudo"
    if not all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged", "srun")):
        return "needs Slurm: tests/install.sh slurm"
    if MODE == "plugin" and not plugin().exists():
        return f"needs {plugin()}: install slurm-wlm-basic-plugins-dev and build spank_mlctr"
    return None


@functools.cache
def shared_box():
    """With the mlctr under test in bin/, where every machine has it."""
    if reason := missing_part():
        raise unittest.SkipTest(reason)
    open_fuse()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-box-"))
    line = f"required {directory}/lib/spank_mlctr.so mlctr={directory}/bin/mlctr\n" if MODE == "plugin" else ""
    epilog = directory / "bin/epilog.sh"
    box = SlurmBox(plugstack=line, settings=[f"Epilog={epilog}"] if CGROUP else [], directory=directory, cgroup=CGROUP)
    atexit.register(box.stop)
    mlctr = pathlib.Path(os.environ["MLCTR"]).resolve()
    for path, source in (("bin/mlctr", mlctr), ("bin/mlctr-task", mlctr.parent / "mlctr-task"), ("lib/spank_mlctr.so", plugin())):
        (directory / path).parent.mkdir(exist_ok=True)
        if source.exists():
            shutil.copy(source, directory / path)
    (directory / "bin/shim").mkdir()
    (directory / "bin/shim/srun").symlink_to("../mlctr")
    epilog.write_text(EPILOG.read_text().replace("/usr/bin/mlctr", f"{directory}/bin/mlctr"))
    epilog.chmod(0o755)
    directory.chmod(0o755)
    return box.start()


@functools.cache
def image(name="busybox", **config):
    """A fixture's image where every node can read it, with settings of its config changed."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=shared_box().directory)) / "image"
    subprocess.run(["cp", "-r", fixtures() / "layouts" / name, directory], check=True)
    if config:
        change_config(directory, **{key: list(value) if isinstance(value, tuple) else value for key, value in config.items()})
    subprocess.run(["chmod", "-R", "a+rX", directory.parent], check=True)
    return f"oci:{directory}:1"


class SlurmTestCase(unittest.TestCase):
    """Each test has a home of its own, which all machines share; named containers are on each node's own /tmp."""

    maxDiff = 4000
    mode = MODE

    def setUp(self):
        self.box = shared_box()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=self.box.directory))
        self.local = pathlib.Path("/tmp") / f"containers-{self.home.name}"
        self.addCleanup(self._remove_home)
        (self.home / ".config/mlctr").mkdir(parents=True)
        (self.home / ".config/mlctr/mlctr.toml").write_text(f'containers = "{self.local}"\n')
        as_root("chown", "-R", f"{self.box.user}:", self.home)
        self.addCleanup(self.assert_nothing_is_left)
        self.mlctr = self.box.directory / "bin/mlctr"

    def _remove_home(self):
        for place in (self.home, *(self.root_of(node) / self.local.relative_to("/") for node in ("login", *NODES))):
            subprocess.run(["rm", "-rf", place], check=True)

    # Running

    def run_command(self, *words, env=None, cwd=None, **more):
        env = {"HOME": self.home} | (env or {})
        return self.box.run(*words, env=env, cwd=cwd or env["HOME"], **more)

    def start(self, *words, env=None, **more):
        process = self.box.start_command(*words, env={"HOME": self.home} | (env or {}), cwd=self.home, **more)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        process.kill()
        process.communicate()

    def words_of_srun(self, *words):
        return ([self.mlctr] if self.mode == "srun" else []) + ["srun", *words]

    def srun(self, *words, status=0, **more):
        """(stdout, stderr) of a step, in this suite's way to run one."""
        return self.checked(self.run_command(*self.words_of_srun(*words), **more), status)

    def sbatch(self, script, *options, **more):
        """stdout of a batch script, once it is done; its `srun` is this suite's."""
        self.write("script.sh", f"#!/bin/sh\n{script}\n")
        words = ["sbatch", "--wait", "--output=batch.out", "--error=batch.err", *options, "script.sh"]
        finished = self.run_command(*words, env={"PATH": self.path_with_shim()} | more.pop("env", {}), **more)
        out = self.home / "batch.out"
        return finished.returncode, out.read_text() if out.exists() else ""

    def path_with_shim(self):
        """In which `srun` is mlctr's where there is no plugin."""
        path = self.box.environment()["PATH"]
        return f"{self.box.directory}/bin/shim:{path}" if self.mode == "srun" else path

    def checked(self, finished, status=0):
        if status is not None:
            self.assertEqual(finished.returncode, status, f"{finished.args}\n{finished.stdout[-2000:]}{finished.stderr[-4000:]}")
        return finished.stdout, finished.stderr

    def fails(self, *words, says=(), **more):
        """A step that must not run; what its stderr has, which every one of `says` (regular expressions) is in."""
        out, errors = self.srun(*words, status=None, **more)
        for pattern in [says] if isinstance(says, str) else says:
            self.assertRegex(errors, re.compile(pattern, re.I | re.S))
        self.assertNotIn("ran", out, "the task ran all the same")
        self.assertRegex(errors, r"error|fatal|unrecognized option")
        self.assertNotRegex(errors, r"terminate called|std::|\bassert|AddressSanitizer|runtime error")
        return errors

    def in_container(self, *words, **more):
        """The same, with an image: stdout."""
        return self.srun(f"--container-image={more.pop('image', None) or image()}", *words, **more)[0]

    # Looking

    def root_of(self, node):
        return pathlib.Path(f"/proc/{self.box.machines[node][0]}/root")

    def write(self, path, text, mode=0o755):
        path = self.home / path
        path.write_text(text)
        path.chmod(mode)
        as_root("chown", f"{self.box.user}:", path)
        return path

    def jobs_begun(self):
        return self.box.log("login").count("_slurm_rpc_allocate_resources")

    def processes(self):
        return processes_with(f"HOME={self.home}")

    def runtime_directory(self, node):
        return self.root_of(node) / f"tmp/mlctr-{self.box.account.pw_uid}"

    def leftovers(self):
        """Files of the nodes' runtime directories, and mounts that outlived their container."""
        left = []
        sockets = "*.run" if CGROUP else "*"  # a killed named container's goes with its next start
        for node in NODES:
            for pattern in (f"sockets/{sockets}", "steps/*", "scratch/*"):
                left += [f"{node}:{path}" for path in self.runtime_directory(node).glob(pattern)]
            mounts = pathlib.Path(f"/proc/{self.box.machines[node][0]}/mountinfo").read_text()
            left += [f"{node}:{line}" for line in mounts.splitlines() if "mlctr" in line.split(" - ")[1] and "fuse" in line]
        return left

    def assert_nothing_is_left(self):
        def is_clean():
            return not self.processes() and not self.leftovers()

        with contextlib.suppress(RuntimeError):
            until(is_clean, "", SETTLE_SECONDS)
        left, pids = self.leftovers(), self.processes()
        what = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") for pid in pids if os.path.exists(f"/proc/{pid}")]
        self.run_command("scancel", "--me")  # the next test is not to suffer
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for node in NODES if left else ():
            subprocess.run(["rm", "-rf", self.runtime_directory(node)], check=True)
        self.assertEqual((what, left), ([], []), "a step left something behind")
