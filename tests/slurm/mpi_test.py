"""What MPI libraries start with, PMI2 and PMIx: tasks in containers of several nodes that tell each other something."""
import functools
import pathlib
import shutil
import subprocess
import unittest

from slurm_case import SlurmTestCase, image, shared_box

SOURCES = pathlib.Path(__file__).resolve().parent / "mpi"
PMIX_HEADERS = "/usr/lib/x86_64-linux-gnu/pmix2/include"
TASKS = 4
SECONDS = 150


@functools.cache
def programs():
    """Where the two are, and what of the host's libraries they are linked with."""
    if not shutil.which("gcc"):
        raise unittest.SkipTest("needs gcc: tests/install.sh test slurm")
    directory = shared_box().directory / "mpi"
    directory.mkdir()
    for name, flags in (("pmi2_exchange", ["-lpmi2"]), ("pmix_exchange", [f"-I{PMIX_HEADERS}", "-lpmix"])):
        command = ["gcc", "-O1", "-o", directory / name, SOURCES / f"{name}.c", *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise unittest.SkipTest(f"needs libpmi2-0-dev and libpmix-dev: tests/install.sh slurm\n{done.stderr}")
    libraries = directory / "lib"
    libraries.mkdir()
    for name in ("pmi2_exchange", "pmix_exchange"):
        for line in subprocess.run(["ldd", directory / name], capture_output=True, text=True, check=True).stdout.splitlines():
            path = line.partition(" => ")[2].partition(" (")[0]
            if path and not (libraries / pathlib.Path(path).name).exists():
                shutil.copy(path, libraries)
    subprocess.run(["chmod", "-R", "a+rX", directory], check=True)
    return directory


class Exchange(SlurmTestCase):
    """The container is the fixtures' Debian, the host's own release: the programs run in it with the host's libraries."""

    def exchange(self, kind, *options, **more):
        directory = programs()
        mounts = f"--container-mounts={directory}:/mpi:ro" + (",/usr/lib/x86_64-linux-gnu/pmix2:/usr/lib/x86_64-linux-gnu/pmix2:ro" if kind == "pmix" else "")
        words = [f"--mpi={kind}", mounts, *options, "env", "LD_LIBRARY_PATH=/mpi/lib", f"/mpi/{kind}_exchange"]
        out = self.in_container("-N2", f"-n{TASKS}", "--ntasks-per-node=2", *words, image=image("debian"), seconds=SECONDS, **more)
        told = " ".join(f"value-{rank}" for rank in range(TASKS))
        self.assertEqual(sorted(out.splitlines()), [f"{rank} of {TASKS}: {told}" for rank in range(TASKS)])

    def test_pmi2(self):
        self.exchange("pmi2")

    def test_pmix(self):
        self.exchange("pmix")

    def test_in_named_containers(self):
        """The second time in containers that are there already. Root inside is PMI2's alone: a PMIx client says who it is to its
        server, which knows better."""
        self.exchange("pmi2", "--container-name=mpi", "--container-remap-root")
        self.exchange("pmix", "--container-name=mpi")

    def test_root_inside_is_told_what_pmix_makes_of_it(self):
        """Once, and only where several tasks may want to find each other."""
        for words, times in (("--mpi=pmix", 1), ("--mpi=pmi2", 0)):
            _, errors = self.srun("-N2", "-n4", words, f"--container-image={image()}", "--container-remap-root", "true")
            self.assertEqual(errors.count("PMIx lets no client in that is root inside"), times, errors)
        _, errors = self.srun("-n1", "--mpi=pmix", f"--container-image={image()}", "--container-remap-root", "true")
        self.assertNotIn("PMIx", errors)

    def test_in_a_container_that_another_job_started(self):
        """Its directory of PMIx's was not there yet when the container was made."""
        first = self.start(*self.words_of_srun("-N2", "--unbuffered", f"--container-image={image('debian')}", "--container-name=c",
                                               "sh", "-c", "echo ready; sleep 1000; true"))  # fmt: skip
        self.addCleanup(self.run_command, "scancel", "--me")
        for _ in range(2):
            self.assertEqual(first.stdout.readline(), "ready\n")
        out = self.srun("-N2", "-n4", "--ntasks-per-node=2", "--mpi=pmi2", "--container-name=c", "sh", "-c", "echo $PMI_RANK")[0]
        self.assertEqual(sorted(out.split()), list("0123"))
