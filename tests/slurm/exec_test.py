"""`mlctr ps --slurm` and `mlctr exec JOB[.STEP]`, from the login node and from a node."""
import json
import pathlib

from box import NODES, until
from slurm_case import SlurmTestCase, image

OTHER_USER = "games"  # an account that Debian has


class RunningStepCase(SlurmTestCase):
    def running(self, *options, script="", tasks=2, **more):
        """The id of a job whose step 0 waits in a container, on n1 and n2 unless `options` say else."""
        options = options or ("-w", "n1,n2", "-n2")
        words = ["--unbuffered", f"--container-image={image()}", *options, "sh", "-c", f"{script}\necho $SLURM_JOB_ID; sleep 1000; true"]
        process = self.start(*self.words_of_srun(*words), **more)
        jobs = {process.stdout.readline().strip() for _ in range(tasks)}
        self.assertEqual(len(jobs), 1)
        return jobs.pop()

    def listed(self, node="login"):
        out, errors = self.checked(self.run_command(self.mlctr, "ps", "--slurm", "--json", node=node))
        return json.loads(out), errors

    def exec(self, *words, status=0, **more):
        return self.checked(self.run_command(self.mlctr, "exec", *words, **more), status)

    def exec_fails(self, *words, says, **more):
        _, errors = self.exec(*words, "echo", "ran", status=125, **more)
        self.assertIn(says, errors)
        return errors


class Listing(RunningStepCase):
    def test_all_nodes_of_all_jobs(self):
        first = self.running()
        second = self.running("-w", "n3", "--container-name=py38", tasks=1)
        expected = [(first, "0", "n1", ""), (first, "0", "n2", ""), (second, "0", "n3", "py38")]
        for node in ("login", "n1"):
            rows, errors = self.listed(node)
            self.assertEqual([(row["job"], row["step"], row["node"], row["name"]) for row in rows], expected)
            self.assertEqual(errors, "")
        self.assertEqual({row["user"] for row in rows}, {self.box.user})
        self.assertEqual({row["image"] for row in rows}, {image()})
        self.assertTrue(all(row["processes"] >= 2 and row["started"] > 1_700_000_000 for row in rows))
        out = self.checked(self.run_command(self.mlctr, "ps", "--slurm"))[0]
        self.assertEqual(out.split()[:7], ["STEP", "NODE", "USER", "CONTAINER", "IMAGE", "PROCESSES", "SINCE"])
        self.assertEqual(out.count("\n"), 4)

    def test_wishes_for_containers_are_not_its_own(self):
        job = self.running()
        env = {"MLCTR_CONTAINER_IMAGE": "/no/such.sqsh", "SLURM_NTASKS": "7", "SLURM_NNODES": "3"}
        out, errors = self.checked(self.run_command(self.mlctr, "ps", "--slurm", "--json", env=env))
        self.assertEqual([row["job"] for row in json.loads(out)], [job, job], errors)

    def test_a_node_that_can_not_tell(self):
        """It is named, the others are listed."""
        job = self.running()
        runtime = self.runtime_directory("n2")
        runtime.chmod(0o777)  # which mlctr refuses
        self.addCleanup(runtime.chmod, 0o700)
        rows, errors = self.listed()
        self.assertEqual([(row["job"], row["node"]) for row in rows], [(job, "n1")])
        self.assertRegex(errors, rf"n2 \(job {job}\) is not listed: ")
        self.assertNotIn("n1 (job", errors)

    def test_nothing_runs(self):
        rows, errors = self.listed()
        self.assertEqual((rows, errors), ([], ""))
        self.assertIn("no container", self.checked(self.run_command(self.mlctr, "ps", "--slurm"))[1])


class Exec(RunningStepCase):
    def test_mounts_environment_and_files(self):
        (self.home / "d").mkdir()
        self.write("d/f", "data\n")
        job = self.running(f"--container-mounts={self.home}/d:/data", "-w", "n1,n2", "-n2", "--gres=gpu:2", "--export=ALL,MINE=job",
                           script="touch /made-$(hostname)")  # fmt: skip
        script = "ls /made-*; cat /data/f; echo $MINE $CUDA_VISIBLE_DEVICES $SLURM_STEP_ID $SLURM_NODEID"
        expected = "/made-{}\ndata\njob 0,1 0 {}\n"
        for step in (job, f"{job}.0"):
            self.assertEqual(self.exec(step, "sh", "-c", script)[0], expected.format("n1", 0))
        self.assertEqual(self.exec("--node=n2", job, "sh", "-c", script)[0], expected.format("n2", 1))
        # From a shell on the node, which is in no job.
        self.assertEqual(self.exec(job, "sh", "-c", script, node="n2")[0], expected.format("n2", 1))
        self.assertEqual(self.exec("--node=n1", job, "sh", "-c", script, node="n2")[0], expected.format("n1", 0))

    def test_options_pass(self):
        job = self.running()
        out = self.exec("--env", "GIVEN", "--env=SET=a b", "--workdir=/etc", "--remap-root", job, "sh", "-c", "echo $GIVEN-$SET; pwd; id -u",
                        env={"GIVEN": "here"})[0]  # fmt: skip
        self.assertEqual(out, "here-a b\n/etc\n0\n")

    def test_streams_and_exit_codes(self):
        job = self.running()
        self.assertEqual(self.exec(job, "cat", stdin="line\n")[0], "line\n")
        self.exec(job, "sh", "-c", "exit 7", status=7)
        self.exec(job, "sh", "-c", "kill -TERM $$", status=128 + 15)
        self.assertEqual(len(self.listed()[0]), 2, "the step went on")

    def test_a_signal_reaches_the_command(self):
        job = self.running()
        process = self.start(self.mlctr, "exec", job, "sh", "-c", "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.1; done")
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(10)
        self.assertEqual(process.communicate(timeout=60)[0], "got it\n")
        self.assertEqual(process.returncode, 5)

    def test_terminal(self):
        job = self.running()
        words = [self.mlctr, "exec", job, "sh", "-c", "test -t 0 && test -t 1 && echo a terminal"]
        out = self.run_command("script", "--quiet", "--return", "--command", " ".join(f"'{w}'" for w in words), "/dev/null").stdout
        self.assertIn("a terminal", out)

    def test_a_named_container_s_step(self):
        job = self.running("-w", "n3", "--container-name=c", tasks=1, script="touch /made")
        self.assertEqual(self.exec(f"{job}.0", "ls", "/made")[0], "/made\n")

    def test_several_steps(self):
        script = f"""for i in 0 1; do
        srun --overlap --container-image={image()} sh -c 'echo > {self.home}/up-$SLURM_STEP_ID; sleep 1000; true' &
        done; wait"""
        self.write("script.sh", f"#!/bin/sh\n{script}\n")
        words = ["sbatch", "--parsable", "-w", "n1", "--output=/dev/null", "script.sh"]
        job = self.checked(self.run_command(*words, env={"PATH": self.path_with_shim()}))[0].strip()
        self.addCleanup(self.run_command, "scancel", job)
        until(lambda: len(list(self.home.glob("up-*"))) == 2, "two steps")
        for node in ("login", "n1"):
            self.exec_fails(job, says=f"{job}.0, {job}.1", node=node)
            self.assertEqual(self.exec(f"{job}.1", "sh", "-c", "echo $SLURM_STEP_ID", node=node)[0], "1\n")


class Components(RunningStepCase):
    def test_of_a_heterogeneous_job(self):
        part = [f"--container-image={image()}", "sh", "-c", "echo $(hostname) $SLURM_JOB_ID; sleep 1000; true"]
        process = self.start(*self.words_of_srun("--unbuffered", "-w", "n1", "-n1", *part, ":", "-w", "n2", "-n1", *part))
        told = sorted(process.stdout.readline().split() for _ in range(2))
        self.assertEqual([node for node, _ in told], ["n1", "n2"])
        job = told[0][1]
        for component, node in (("+0", "n1"), ("+1", "n2"), ("+1.0", "n2")):
            self.assertEqual(self.exec(f"{job}{component}", "sh", "-c", "hostname; cat /etc/motd")[0], f"{node}\nlayer three\n")


class Mistakes(RunningStepCase):
    def test_no_such_job(self):
        self.exec_fails("999999", says="no job 999999")
        self.exec_fails("999999.0", says="no job 999999")

    def test_a_job_that_has_ended(self):
        job = self.srun("sh", "-c", "echo $SLURM_JOB_ID")[0].strip()
        self.exec_fails(job, says=f"job {job}")

    def test_a_job_that_waits(self):
        self.write("script.sh", "#!/bin/sh\n")
        job = self.checked(self.run_command("sbatch", "--hold", "--parsable", "script.sh"))[0].strip()
        self.addCleanup(self.run_command, "scancel", job)
        self.exec_fails(job, says=f"job {job} does not run: PENDING")

    def test_a_step_without_a_container(self):
        process = self.start("srun", "sh", "-c", "echo $SLURM_JOB_ID; sleep 1000; true")
        job = process.stdout.readline().strip()
        self.addCleanup(self.run_command, "scancel", job)
        self.exec_fails(job, says=f"no container of job {job} runs")

    def test_another_step_and_another_node(self):
        job = self.running()
        self.exec_fails(f"{job}.7", says=f"no container of step {job}.7")
        self.exec_fails("--node=n3", job, says=f"job {job} has no node n3: it runs on n1, n2")
        self.exec_fails("--node=n1", "some-name", says="some-name is no Slurm job")

    def test_another_user_s_job(self):
        job = self.running()
        home = pathlib.Path(self.box.directory) / "home-of-games"
        home.mkdir(exist_ok=True)
        home.chmod(0o777)
        finished = self.box.run(self.mlctr, "exec", job, "echo", "ran", user=OTHER_USER, env={"HOME": home})
        self.assertEqual((finished.returncode, finished.stdout), (125, ""))
        self.assertIn(f"job {job} is another user's", finished.stderr)


assert NODES == ("n1", "n2", "n3")
