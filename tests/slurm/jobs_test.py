"""Containers by name, across steps, jobs and nodes, and what the end of a step leaves."""
import pathlib
import shutil
import signal
import subprocess
import tempfile

from box import until
from slurm_case import SlurmTestCase, image


OTHER_USER = "games"  # an account that Debian has


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # it went this moment


class Names(SlurmTestCase):
    def test_what_is_installed_stays(self):
        self.in_container("-w", "n1", "--container-name=py38", "--container-remap-root", "touch", "/etc/installed")
        self.assertEqual(self.srun("-w", "n1", "--container-name=py38", "ls", "/etc/installed")[0], "/etc/installed\n")
        self.assertEqual(self.in_container("-w", "n1", "--container-name=py38", "ls", "/etc/installed"), "/etc/installed\n")

    def test_a_name_is_the_nodes_own(self):
        self.in_container("-w", "n1", "--container-name=here", "true")
        errors = self.fails("-w", "n2", "--container-name=here", "echo", "ran", says=["n2.*here", "--container-image"])
        self.assertNotIn("No such file", errors)

    def test_a_missing_name_is_told_with_the_nodes_that_have_it(self):
        def errors():
            return self.fails("-w", "n2", "--container-name=here", "echo", "ran", says="n2: no container here on this node")

        self.assertNotIn("though on", errors())
        self.in_container("-w", "n1,n3", "-n2", "--container-name=here", "true")
        told = errors()
        self.assertIn("this node, though on n[1,3], and no --container-image", told)
        self.assertIn("hint: --nodelist=n[1,3] runs where it is", told)
        self.checked(self.run_command(self.mlctr, "rm", "here", node="n1"))
        self.assertRegex(errors(), r"this node, though on n3, and")
        shutil.rmtree(self.root_of("n3") / self.local.relative_to("/"))  # a record that is no longer true
        self.fails("-w", "n3", "--container-name=here", "echo", "ran", says="n3: no container here on this node, and")

    def test_flags(self):
        named = ["-w", "n1", f"--container-image={image()}"]
        self.fails(*named, "--container-name=c:exec", "echo", "ran", says="c")
        self.srun(*named, "--container-name=c:create", "touch", "/made")
        self.srun(*named, "--container-name=c:no_exec", "ls", "/made")
        self.srun(*named, "--container-name=c:auto", "ls", "/made")

    def test_concurrent_steps_share_it(self):
        first = self.start(*self.words_of_srun("-w", "n1", f"--container-image={image()}", "--container-name=c", "sh", "-c",
                                               "echo ready; while [ ! -e /go ]; do sleep 0.05; done; echo seen"))  # fmt: skip
        self.assertEqual(first.stdout.readline(), "ready\n")
        # A step that joined ends while the container goes on: nothing of it holds this one's streams.
        self.assertEqual(self.srun("-w", "n1", "--container-name=c", "sh", "-c", "touch /go; echo done", seconds=30)[0], "done\n")
        self.assertEqual(first.communicate(timeout=30)[0], "seen\n")

    def test_it_outlives_the_step_that_started_it(self):
        first = self.start(*self.words_of_srun("-w", "n1", f"--container-image={image()}", "--container-name=c", "sh", "-c",
                                               "echo ready; while [ ! -e /go ]; do sleep 0.05; done"))  # fmt: skip
        self.assertEqual(first.stdout.readline(), "ready\n")
        second = self.start(*self.words_of_srun("-w", "n1", "--container-name=c", "sh", "-c",
                                                "touch /go; echo ready; while [ ! -e /end ]; do sleep 0.05; done; cat /etc/motd"))  # fmt: skip
        self.assertEqual(second.stdout.readline(), "ready\n")
        self.assertEqual(first.wait(30), 0)
        self.srun("-w", "n1", "--container-name=c:exec", "touch", "/end")
        self.assertEqual(second.communicate(timeout=30)[0], "layer three\n")

    def test_job_scope(self):
        self.in_container("-w", "n1", "--container-name=c", "--container-scope=job", "true")
        self.fails("-w", "n1", "--container-name=c", "--container-scope=job", "echo", "ran", says="c")

    def names_on(self, node):
        return [path.name for path in (self.root_of(node) / self.local.relative_to("/")).glob("*")]

    def test_job_scope_by_the_settings(self):
        """The job's steps share it; it goes once the job has ended, with the next gc or in the epilog."""
        with (self.home / ".config/mlctr/mlctr.toml").open("a") as settings:
            settings.write('[slurm]\ncontainer_scope = "job"\n')
        self.in_container("-w", "n1", "--container-name=c", "--container-scope=global", "true")
        script = f"srun --container-image={image()} --container-name=c touch /made\n{self.mlctr} gc > /dev/null\nsrun --container-name=c ls /made"
        self.assertEqual(self.sbatch(script, "-w", "n1"), (0, "/made\n"))
        self.assertEqual(len(self.names_on("n1")), 2)
        until(lambda: self.checked(self.run_command(self.mlctr, "gc", node="n1")) and len(self.names_on("n1")) == 1, "a gc that knows of the job's end")
        self.assertEqual(self.names_on("n1"), ["c"])

    def test_job_scope_and_the_epilog(self):
        words = [f"--container-image={image()}", "--container-name=c", "--container-scope=job", "sh", "-c", "echo $SLURM_JOB_ID"]
        first, second = (self.srun("-w", "n1", *words)[0].strip() for _ in range(2))
        settings = {"MLCTR_CONTAINERS": self.local, "MLCTR_STORE": self.home / ".local/share/mlctr", "SLURM_JOB_USER": self.box.user, "SLURM_JOB_ID": first}
        self.checked(self.box.run(self.box.directory / "bin/epilog.sh", node="n1", user="root", env=settings))
        self.assertEqual(self.names_on("n1"), [f"job{second}.c"])


class Saves(SlurmTestCase):
    def test_save_after_the_last_task(self):
        file = self.home / "saved.sqsh"
        script = "touch /etc/task-$SLURM_PROCID; sleep 0.$SLURM_PROCID"
        self.in_container("-w", "n1", "-n4", f"--container-save={file}", "sh", "-c", script)
        self.assertEqual(len(self.in_container("sh", "-c", "ls -d /etc/task-*", image=file).split()), 4)
        self.srun("-w", "n1", f"--container-image={file}", "--container-name=c", f"--container-save={file}", "touch", "/etc/more")
        self.in_container("-w", "n2", "ls", "/etc/more", "/etc/task-0", image=file)


class TwoUsers(SlurmTestCase):
    def test_one_name_is_two_containers(self):
        other = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=self.box.directory))
        self.addCleanup(subprocess.run, ["rm", "-rf", other], check=True)
        shutil.chown(other, OTHER_USER)
        theirs = {"user": OTHER_USER, "env": {"HOME": other}}
        for more in ({}, theirs):
            self.in_container("-w", "n1", "--container-name=c", "sh", "-c", "echo $HOME > /owner", **more)
        for home, more in ((self.home, {}), (other, theirs)):
            words = self.words_of_srun("-w", "n1", "--container-name=c", "cat", "/owner")
            self.assertEqual(self.checked(self.box.run(*words, **({"env": {"HOME": home}} | more)))[0], f"{home}\n")


class Endings(SlurmTestCase):
    def running(self, *options):
        words = [f"--container-image={image()}", *options, "sh", "-c", "echo ready; sleep 1000; true"]
        process = self.start(*self.words_of_srun("-N2", "--unbuffered", *words))
        for _ in range(2):
            self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def job(self):
        return self.run_command("squeue", "--noheader", "--me", "--format=%A").stdout.split()[0]

    def test_scancel(self):
        for options in ([], ["--container-name=c"]):
            process = self.running(*options)
            self.checked(self.run_command("scancel", self.job()))
            process.communicate(timeout=30)
            self.assertNotEqual(process.returncode, 0)
            self.assert_nothing_is_left()

    def test_scancel_of_the_step(self):
        process = self.running()
        self.checked(self.run_command("scancel", "--signal=TERM", f"{self.job()}.0"))
        process.communicate(timeout=30)
        self.assert_nothing_is_left()

    def test_scancel_while_the_entrypoint_runs(self):
        """The first task's mlctr makes the container, the others wait for it; nobody makes it anew."""
        entered = image(Entrypoint=("/bin/sh", "-c", "echo begun >> $HOME/begun; sleep 1000; true", "entrypoint"))
        process = self.start(*self.words_of_srun("-w", "n1", "-n4", f"--container-image={entered}", "--container-entrypoint", "--container-mount-home", "true"))
        until(lambda: (self.home / "begun").exists(), "the entrypoint")
        self.checked(self.run_command("scancel", self.job()))
        process.communicate(timeout=30)
        self.assertNotEqual(process.returncode, 0)
        self.assert_nothing_is_left()
        self.assertEqual((self.home / "begun").read_text(), "begun\n")

    def test_interrupt(self):
        process = self.running("--quit-on-interrupt")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assert_nothing_is_left()

    def test_srun_is_killed(self):
        process = self.running()
        process.kill()
        process.communicate(timeout=30)
        until(lambda: not self.run_command("squeue", "--noheader", "--me").stdout, "the job's end")

    def test_slurmstepd_is_killed(self):
        """With no time to clean up (the OOM killer). Slurm itself then leaves the tasks: the container goes with the last."""
        process = self.running()
        found = subprocess.run(["pgrep", "-f", rf"^slurmstepd: \[{self.job()}\.0\]"], capture_output=True, text=True).stdout.split()
        self.assertEqual(len(found), 2)
        subprocess.run(["kill", "-KILL", *found], check=True)
        self.run_command("scancel", self.job())
        process.communicate(timeout=60)
        for pid in self.processes():
            if name_of(pid) in ("sh", "sleep"):
                subprocess.run(["kill", "-KILL", str(pid)], capture_output=True)


class Nodes(SlurmTestCase):
    """What happens to nodes while steps run there."""

    def waiting(self, *options):
        """A step on n1 in the container c, in a place that outlives the node's own /tmp."""
        self.local = self.home / "disk"
        (self.home / ".config/mlctr/mlctr.toml").write_text(f'containers = "{self.local}"\n')
        words = [f"--container-image={image()}", "--container-name=c", *options, "sh", "-c", f"touch /kept; echo ready; until [ -e {self.home}/go ]; do sleep 0.05; done"]
        process = self.start(*self.words_of_srun("-w", "n1", "-n2", "--unbuffered", *words))
        for _ in range(2):
            self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def test_slurmd_is_restarted(self):
        process = self.waiting()
        self.box.restart_slurmd("n1")
        self.write("go", "")
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.srun("-w", "n1", "--container-name=c", "ls", "/kept")[0], "/kept\n")

    def test_a_node_is_rebooted(self):
        """Its processes are gone at once, and what is in its /tmp and /run; its disk is not."""
        process = self.waiting()
        self.box.reboot("n1")
        self.run_command("scancel", "--me")
        process.communicate(timeout=60)
        self.box.wait_until_idle()
        self.assertEqual(self.srun("-w", "n1", "--container-name=c", "ls", "/kept")[0], "/kept\n")
        self.in_container("-w", "n1", "true")


class Batch(SlurmTestCase):
    def test_the_cards_third_line(self):
        script = "srun -w n1 --container-name=py38 cat /etc/mine"
        self.in_container("-w", "n1", "--container-name=py38", "--container-remap-root", "sh", "-c", "echo installed > /etc/mine")
        self.assertEqual(self.sbatch(script, "-w", "n1"), (0, "installed\n"))

    def test_batch_script_with_two_steps(self):
        script = f"""srun --container-image={image()} --container-name=c sh -c 'touch /made-$(hostname)'
        srun --container-name=c sh -c 'ls /made-*' | sort"""
        self.assertEqual(self.sbatch(script, "-w", "n1,n2"), (0, "/made-n1\n/made-n2\n"))

    def test_variables_of_the_script(self):
        self.assertEqual(self.sbatch(f"export PYXIS_CONTAINER_IMAGE={image()}\nsrun cat /etc/motd"), (0, "layer three\n"))

    def test_exit_code(self):
        self.assertEqual(self.sbatch(f"srun -Q --container-image={image()} sh -c 'exit 9' 2>/dev/null"), (9, ""))

    def test_array(self):
        script = f"srun -w n1 --container-image={image()} --container-name=shared sh -c 'touch /job-$SLURM_ARRAY_TASK_ID'"
        self.assertEqual(self.sbatch(script, "--array=0-3", "-w", "n1")[0], 0)
        out = self.srun("-w", "n1", "--container-name=shared", "sh", "-c", "ls -d /job-*")[0]
        self.assertEqual(out.split(), [f"/job-{i}" for i in range(4)])

    def test_salloc(self):
        words = self.words_of_srun("-l", f"--container-image={image()}", "hostname")
        out = self.checked(self.run_command("salloc", "-Q", "-w", "n1,n2", *words))[0]
        self.assertEqual(sorted(out.split()), ["0:", "1:", "n1", "n2"])

    def test_overlap(self):
        script = f"""srun --overlap --container-image={image()} --container-name=c sh -c 'while [ ! -e /go ]; do sleep 0.1; done; echo one' &
        while ! srun --overlap --container-name=c:exec touch /go 2>/dev/null; do sleep 0.2; done
        wait"""
        self.assertEqual(self.sbatch(script, "-w", "n1"), (0, "one\n"))

    def test_heterogeneous_step(self):
        words = self.words_of_srun("-n1", f"--container-image={image()}", "cat", "/etc/motd", ":", "-n2", "sh", "-c", "cat /etc/motd; id -u")
        out = self.checked(self.run_command("salloc", "-Q", "-n1", ":", "-n2", *words))[0]
        self.assertEqual(sorted(out.split("\n")), sorted(["", *3 * ["layer three"], *2 * [f"{self.box.account.pw_uid}"]]))

    def submitted(self, *options):
        """A job whose one step tells how often it was started, and then waits; by name, in a container that it has on n1."""
        step = "echo run $SLURM_RESTART_COUNT >> /runs; cat /runs; sleep 1000; true"
        self.write("script.sh", f"#!/bin/sh\nsrun --unbuffered --container-image={image()} --container-name=c sh -c '{step}'\n")
        words = ["sbatch", "--parsable", "--requeue", "-w", "n1", "--open-mode=append", "--output=batch.out", *options, "script.sh"]
        job = self.checked(self.run_command(*words, env={"PATH": self.path_with_shim()}))[0].strip()
        self.addCleanup(self.run_command, "scancel", job)
        self.until_it_said("run\n")
        return job

    def until_it_said(self, text):
        out = self.home / "batch.out"
        until(lambda: out.exists() and text in out.read_text(), f"{text!r} in the job's output")

    def until_pending(self, job):
        until(lambda: self.run_command("squeue", "--noheader", f"--jobs={job}", "--format=%T").stdout == "PENDING\n", "the job in the queue again")

    def test_requeue(self):
        job = self.submitted()
        self.checked(self.run_command("scontrol", "requeue", job))
        self.until_pending(job)
        until(lambda: not self.processes() and not self.leftovers(), "the end of the first run's container")
        # Slurm lets it wait for some minutes; another may use the container meanwhile.
        self.assertEqual(self.srun("-w", "n1", "--container-name=c", "cat", "/runs")[0], "run\n")

    def test_a_requeued_job_runs_again(self):
        """In the container that its first run left."""
        job = self.submitted()
        self.checked(self.run_command("scontrol", "requeue", job))
        self.until_pending(job)
        # Not only in some minutes; nor within the second in which slurmd took the first run's credential back.
        self.checked(self.run_command("scontrol", "update", f"JobId={job}", "StartTime=now+2"))
        self.until_it_said("run\nrun 1\n")

    def test_preemption(self):
        """By a job of a partition that goes first; the other one goes back into the queue."""
        job = self.submitted("--exclusive")
        out = self.srun("-w", "n1", "--partition=urgent", "--exclusive", f"--container-image={image()}", "--container-name=c", "cat", "/runs")[0]
        self.assertEqual(out, "run\n")
        self.until_pending(job)
