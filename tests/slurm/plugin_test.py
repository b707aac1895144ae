"""The plugin's own part: what it refuses before a job waits, tasks that must not run on the host, jobs that don't want it.

What containers do in jobs is tested elsewhere, with the plugin and without.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from box import SlurmBox, processes_with, until  # noqa: E402
from containers import open_fuse  # noqa: E402
from harness import fixtures, is_root  # noqa: E402

MEMORY_KIB = 1024
ON_THE_HOST = "it ran on the host"
MALFORMED = (
    ("--container-image=", "argument required"),
    ("--container-name=x:attach", 'flag must be "auto", "create", "exec" or "no_exec"'),
    ("--container-mounts=/tmp:", "invalid format"),
    ("--container-unshare=pid", "unknown namespace 'pid'"),
    ("--container-save=/tmp/", "target is a directory"),
)


def built_plugin():
    """$MLCTR_SPANK, else what was built with $MLCTR."""
    return pathlib.Path(os.environ.get("MLCTR_SPANK") or pathlib.Path(os.environ["MLCTR"]).parent.parent / "spank/spank_mlctr.so")


@unittest.skipUnless(is_root(), "needs root: sudo")
@unittest.skipUnless(shutil.which("slurmctld") and built_plugin().exists(), "needs Slurm and the plugin: tests/install.sh slurm, then build anew")
class Plugin(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        open_fuse()
        cls.box = SlurmBox()
        cls.image = f"oci:{cls.box.directory}/busybox:1"
        for file in (built_plugin(), os.environ["MLCTR"]):
            shutil.copy(file, cls.box.directory)
        shutil.copytree(fixtures() / "layouts/busybox", cls.box.directory / "busybox")
        subprocess.run(["chmod", "-R", "a+rX", cls.box.directory / "busybox"], check=True)
        cls.box.plugstack = cls.line()
        cls.enterClassContext(cls.box)

    @classmethod
    def line(cls, *arguments, flag="required", mlctr="mlctr"):
        return " ".join([flag, f"{cls.box.directory}/spank_mlctr.so", f"mlctr={cls.box.directory}/{mlctr}", *arguments]) + "\n"

    def setUp(self):
        self.configure(self.line())

    def configure(self, text):
        """Slurm's programs read it as they start; slurmd has what was there when the box came up."""
        (self.box.directory / "plugstack.conf").write_text(text)

    def script(self, name, text):
        path = self.box.directory / name
        path.write_text(text)
        path.chmod(0o755)
        return name

    def srun(self, *words, status=0, **more):
        done = self.box.srun(*words, **more)
        self.assertEqual(done.returncode, status, f"srun {words}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done

    def contained(self, *words, status=0, **more):
        return self.srun(f"--container-image={self.image}", *words, status=status, **more)

    def fails_off_the_host(self, *words, says, times, **more):
        """A step in a container that can't be: on 2 nodes, 2 tasks on each."""
        done = self.contained("-N2", "-n4", "--ntasks-per-node=2", *words, "echo", ON_THE_HOST, status=1, **more)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(re.findall(says, done.stderr)), times, done.stderr)
        self.assertNotIn("task_init", done.stderr)

    # In srun and sbatch

    def test_what_is_malformed_never_waits(self):
        before = self.submit("--wrap=true")
        for option, message in MALFORMED:
            for program, command in (("srun", "true"), ("sbatch", "--wrap=true"), ("salloc", "true")):
                with self.subTest(option=option, program=program):
                    done = self.box.run(program, option, command)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(message, done.stderr)
        self.assertEqual(self.submit("--wrap=true"), before + 1)

    def submit(self, *words):
        done = self.box.run("sbatch", "--parsable", "--wait", "--output=/dev/null", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(done.stdout)

    def test_contradictions(self):
        done = self.contained("--container-remap-root", "--no-container-remap-root", "true", status=255)
        self.assertIn("both --container-remap-root and --no-container-remap-root were given", done.stderr)

    def test_a_forgotten_slash(self):
        (self.box.home / "cont.sqsh").touch()
        for how in ({}, {"env": {"MLCTR_CONTAINER_IMAGE": "cont.sqsh"}}):
            done = self.box.srun(*([] if how else ["--container-image=cont.sqsh"]), "true", **how)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("hint: --container-image=./cont.sqsh", done.stderr)

    def test_options_without_a_container(self):
        done = self.srun("--container-mounts=/etc:/x", "--container-remap-root", "id", "-u")
        self.assertEqual(done.stdout, f"{self.box.account.pw_uid}\n")
        self.assertIn("ignoring --container-mounts because neither --container-image nor --container-name is set", done.stderr)

    def test_a_site_without_sbatch_support(self):
        self.configure(self.line("sbatch_support=0"))
        done = self.box.run("sbatch", f"--container-image={self.image}", "--wrap=true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("unrecognized option", done.stderr)
        self.contained("true")

    def test_an_allocation_s_image_and_a_step_s(self):
        words = ("salloc", "--quiet", "-n1", "--container-image=oci:/nonexistent:1", "srun")
        done = self.box.run(*words, f"--container-image={self.image}", "sh", "-c", "ls /etc/motd")
        self.assertEqual((done.returncode, done.stdout), (0, "/etc/motd\n"), done.stderr)
        self.assertNotEqual(self.box.run(*words, "true").returncode, 0)

    def test_beside_mlctr_srun(self):
        done = self.box.run(f"{self.box.directory}/mlctr", "srun", "-n2", "ls", "/etc/motd", env={"MLCTR_CONTAINER_IMAGE": self.image})
        self.assertEqual((done.returncode, done.stdout), (0, "/etc/motd\n" * 2), done.stderr)

    def test_a_site_whose_containers_are_the_jobs(self):
        """An option goes first."""
        self.configure(self.line("container_scope=job"))
        self.contained("-w", "n1", "--container-name=c", "true")
        self.assertIn("no container", self.box.srun("-w", "n1", "--container-name=c", "true").stderr)
        self.contained("-w", "n1", "--container-name=c", "--container-scope=global", "true")
        self.srun("-w", "n1", "--container-name=c", "--container-scope=global", "true")

    # In slurmstepd

    def test_a_missing_mlctr(self):
        for flag in ("required", "optional"):
            with self.subTest(flag):
                self.configure(self.line(flag=flag, mlctr="missing"))
                self.fails_off_the_host(says="mlctr: cannot run .*/missing: No such file or directory", times=2)
                self.assertEqual(self.srun("-n2", "echo", "fine").stdout, "fine\nfine\n")

    def test_a_broken_mlctr(self):
        for name, text, says, times in (
            ("silent", "#!/bin/sh\n", "there is no message", 2),
            ("garbage", "\x7fELFnot", "cannot run .*: Exec format error", 2),
            ("failing", "#!/bin/sh\necho no such image >&2\nexit 3\n", "no such image", 4),
            ("killed", "#!/bin/sh\nkill -9 $$\n", "was ended by signal 9", 4),
        ):
            with self.subTest(name):
                self.configure(self.line(flag="optional", mlctr=self.script(name, text)))
                self.fails_off_the_host(says=says, times=times)
                self.assertEqual(self.srun("echo", "fine").stdout, "fine\n")

    def test_an_argument_that_nobody_knows(self):
        self.configure(self.line("nonsense=1", flag="optional"))
        self.fails_off_the_host(says='can\'t make sense of "nonsense=1"', times=2)
        self.assertEqual(self.srun("echo", "fine").stdout, "fine\n")

    def test_scancel_while_mlctr_prepares(self):
        mark = f"MARK={self.box.directory}"
        self.configure(self.line(mlctr=self.script("slow", "#!/bin/sh\nexec sleep 60\n")))
        step = self.box.start_command("srun", "-N2", "-n4", f"--container-image={self.image}", "true", env={"MARK": self.box.directory})
        self.addCleanup(step.communicate)
        until(lambda: len([pid for pid in processes_with(mark) if self.is_sleep(pid)]) == 4, "4 helpers")
        self.box.run("scancel", f"--user={self.box.user}")
        out, errors = step.communicate(timeout=30)
        self.assertNotEqual(step.returncode, 0)
        self.assertIn("CANCELLED", errors)
        self.assertNotIn("mlctr:", out + errors)
        until(lambda: not processes_with(mark), "no process left")

    @staticmethod
    def is_sleep(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
        except OSError:
            return False

    def test_tasks_after_the_first_need_no_mlctr(self):
        """The holder lets them in, each with what is its own."""
        log = self.box.home / "calls"
        self.configure(self.line(mlctr=self.script("noting", f'#!/bin/sh\necho $SLURM_NODEID $SLURM_LOCALID >> {log}\nexec {self.box.directory}/mlctr "$@"\n')))
        script = 'echo $SLURM_PROCID $SLURM_LOCALID $RANK $MINE $(cat /proc/self/uid_map | tr -s " "); test ! -e /etc/debian_version || echo on the host'
        words = ["-N2", "-n8", "--ntasks-per-node=4", "--container-remap-root", "--container-env=MINE", "sh", "-c", script]
        lines = self.contained(*words, env={"MINE": "its own"}).stdout.splitlines()
        uid = self.box.account.pw_uid
        self.assertEqual(sorted(lines), [f"{rank} {rank % 4} {rank} its own 0 {uid} 1" for rank in range(8)])
        self.assertEqual(sorted(log.read_text().splitlines()), ["0 0", "1 0"])

    def test_a_holder_that_is_killed(self):
        """The next task to come has mlctr look what is the matter, and gets in."""
        step = self.box.start_command("srun", "-w", "n1", f"--container-image={self.image}", "--container-name=held", "sh", "-c", "echo ready; sleep 60")
        self.addCleanup(step.communicate)
        self.addCleanup(self.box.run, "scancel", f"--user={self.box.user}")
        self.assertEqual(step.stdout.readline(), "ready\n")
        holders = [pid for pid in processes_with(f"HOME={self.box.home}") if pathlib.Path(f"/proc/{pid}/comm").read_text() == "mlctr-holder\n"]
        self.assertEqual(len(holders), 1)
        os.kill(holders[0], 9)
        done = self.srun("-w", "n1", "-n2", "--container-name=held", "cat", "/etc/passwd")
        self.assertEqual(done.stdout.count("root:x:0:0"), 2)

    def test_a_batch_script_runs_inside(self):
        """Also in a container that runs already, and nothing of the script stays in it."""
        script = self.box.home / "script.sh"
        script.write_text(f"#!/bin/sh\n#SBATCH -w n1 --container-image={self.image} --container-name=batch\nls /etc/motd; echo $# $2; find / -xdev -name slurm_script\n")
        self.run_batch(script)
        step = self.box.start_command("srun", "-w", "n1", "--container-name=batch", "sh", "-c", "echo ready; sleep 60")
        self.addCleanup(step.communicate)
        self.addCleanup(self.box.run, "scancel", f"--user={self.box.user}")
        self.assertEqual(step.stdout.readline(), "ready\n")
        self.run_batch(script)

    def run_batch(self, script):
        done = self.box.run("sbatch", "--wait", "--output=out.txt", script, "one", "two words")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex((self.box.home / "out.txt").read_text(), r"/etc/motd\n2 two words\n\Z")

    def test_what_it_adds_to_slurmstepd_s_memory(self):
        with_plugin = self.slurmstepd_kib(f"--container-image={self.image}")
        self.configure("")
        self.assertLessEqual(with_plugin - self.slurmstepd_kib(), MEMORY_KIB)

    def slurmstepd_kib(self, *options):
        mark = f"MARK={os.urandom(8).hex()}"
        step = self.box.start_command("srun", *options, "sleep", "60", env=dict([mark.split("=")]))
        self.addCleanup(step.communicate)
        self.addCleanup(self.box.run, "scancel", f"--user={self.box.user}")
        task = until(lambda: [pid for pid in processes_with(mark) if self.is_sleep(pid)], "the task")[0]
        stepd = re.search(r"^PPid:\s*(\d+)", pathlib.Path(f"/proc/{task}/status").read_text(), re.M)[1]
        status = pathlib.Path(f"/proc/{stepd}/status").read_text()
        self.assertIn("slurmstepd", status)
        return int(re.search(r"^VmRSS:\s*(\d+)", status, re.M)[1])


if __name__ == "__main__":
    unittest.main()
