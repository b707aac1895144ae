"""mlctr step run: the tasks of a Slurm step on one node share a container, for as long as the step lasts."""
import contextlib
import os
import signal

from containers import layout, servers_below
from harness import EXIT_OWN_FAILURE, as_root
from named_containers import until
from steps import StepTestCase

MANY_TASKS = 16
NAMESPACE = ("readlink", "/proc/self/ns/mnt")


class Sharing(StepTestCase):
    def test_one_container_for_all_tasks(self):
        namespaces = self.outputs(*NAMESPACE, options=[self.wanted], tasks=MANY_TASKS)
        self.assertEqual(len(namespaces), MANY_TASKS)
        self.assertEqual(len(set(namespaces)), 1)
        self.assertNotEqual(namespaces[0].strip(), os.readlink("/proc/self/ns/mnt"))

    def test_a_cold_image_is_fetched_once(self):
        self.mlctr("rmi", self.image)
        self.assertEqual(self.json("images"), [])
        results = self.run_step("true", options=[self.wanted], tasks=8)
        self.assertEqual({result["code"] for result in results}, {0})
        told = "".join(result["errors"] for result in results)
        self.assertRegex(told, r"\Amlctr: n1: imported docker image: \S+ in [\d.]+ s\n\Z")

    def test_a_task_may_end_before_the_next_begins(self):
        outputs = self.outputs("sh", "-c", "echo $SLURM_PROCID >> /seen; cat /seen; readlink /proc/self/ns/mnt", options=[self.wanted], mode="serial", tasks=3)
        self.assertEqual([out.split()[:-1] for out in outputs], [["0"], ["0", "1"], ["0", "1", "2"]])
        self.assertEqual(len({out.split()[-1] for out in outputs}), 1)

    def test_each_task_ends_as_its_program(self):
        results = self.run_step("sh", "-c", "exit $((SLURM_PROCID * 3))", options=[self.wanted], tasks=3)
        self.assertEqual([result["code"] for result in results], [0, 3, 6])
        self.assertEqual({result["code"] for result in self.run_step("/nothing", options=[self.wanted])}, {127})

    def test_two_steps_are_two_containers(self):
        with self.held_step("touch", "/first", options=[self.wanted], SLURM_STEP_ID=1):
            self.assertEqual([result["code"] for result in self.run_step("ls", "/first", options=[self.wanted], step=2, tasks=1)], [1])

    def test_halves_of_a_heterogeneous_step_have_containers_of_their_own(self):
        with self.held_step("touch", "/half", options=[self.wanted]):
            self.assertEqual([result["code"] for result in self.run_step("ls", "/half", options=[self.wanted], tasks=1)], [1])

    def test_a_named_container_is_shared_by_steps(self):
        self.create("c")
        with self.held_step(*NAMESPACE, options=["--container-name=c"], SLURM_STEP_ID=1) as first:
            outputs = self.outputs(*NAMESPACE, options=["--container-name=c"], step=2, mode="serial", tasks=2)
        self.assertEqual({first.first[0]["out"]}, set(outputs))
        self.outputs("touch", "/kept", options=["--container-name=c"])
        self.assertEqual(self.run_in("c", "ls", "/kept")[0], "/kept\n")

    def test_a_step_keeps_a_container_that_another_started(self):
        self.create("c")
        with contextlib.ExitStack() as second:
            with self.held_step(*NAMESPACE, options=["--container-name=c"], SLURM_STEP_ID=1) as first:
                step = second.enter_context(self.held_step("true", options=["--container-name=c"], SLURM_STEP_ID=2))
            until(lambda: len(self.holders()) == 1, "the end of the first step")
            self.assertEqual(step.task(*NAMESPACE)["out"], first.first[0]["out"])

    def test_ps_and_exec_know_an_unnamed_one(self):
        with self.held_step("touch", "/seen", options=[self.wanted]):
            self.assertEqual([c["id"] for c in self.json("ps")], ["77.0"])
            for name in ("77.0", "77"):
                self.assertEqual(self.sh("exec", name, "ls", "/seen"), "/seen")

    def test_exec_knows_the_steps_of_a_named_one(self):
        self.create("c")
        with self.held_step("touch", "/seen", options=["--container-name=c"]):
            self.assertEqual(self.sh("exec", "77.0", "ls", "/seen"), "/seen")


class Names(StepTestCase):
    def test_made_from_the_image(self):
        self.outputs("touch", "/made", options=[self.wanted, "--container-name=new"])
        self.assertEqual(self.outputs("ls", "/made", options=["--container-name=new"], tasks=1), ["/made\n"])
        other = f"--container-image={layout('python')}"  # not even looked for (pyxis)
        self.assertEqual(self.outputs("ls", "/made", options=["--container-name=new", other], tasks=1), ["/made\n"])

    def test_nothing_of_that_name(self):
        results = self.run_step("true", options=["--container-name=nobody"])
        self.assertEqual([result["code"] for result in results], [EXIT_OWN_FAILURE] * 2)
        self.assertRegex("".join(result["errors"] for result in results), r"n1: no container nobody on this node[^$]*hint: --container-image=")

    def test_flags(self):
        self.create("c")
        for flag, says in (("create", "exists already"), ("exec", "is not running"), ("other", "no such flag")):
            [result] = self.run_step("true", options=[self.wanted, f"--container-name=c:{flag}"], tasks=1)
            self.assertEqual(result["code"], EXIT_OWN_FAILURE)
            self.assertIn(says, result["errors"])
        self.outputs("true", options=["--container-name=c:no_exec"])
        with self.held_step("true", options=["--container-name=c"], SLURM_STEP_ID=1):
            self.outputs("true", options=["--container-name=c:exec"])
            [result] = self.run_step("true", options=["--container-name=c:no_exec"], tasks=1)
            self.assertIn("is running", result["errors"])

    def test_scope_of_a_job(self):
        self.outputs("true", options=[self.wanted, "--container-name=c", "--container-scope=job"])
        self.assertEqual([c["name"] for c in self.json("ps", "--all")], ["job77.c"])

    def test_what_a_running_container_ignores(self):
        self.create("c")
        with self.held_step("true", options=["--container-name=c"], SLURM_STEP_ID=1):
            results = self.run_step("ls", "/there", options=["--container-name=c", "--container-mounts=/tmp:/there"])
            self.assertEqual("".join(result["errors"] for result in results).count("ignoring --container-mounts"), 1, results)
            [result] = self.run_step("true", options=["--container-name=c", "--container-unshare=net"], tasks=1)
            self.assertIn("not in a separate network namespace", result["errors"])


class Options(StepTestCase):
    def test_mounts_and_directory(self):
        (self.home / "data").mkdir()
        (self.home / "data/file").write_text("content")
        mounts = f"--container-mounts={self.home}/data:/data:ro,tmpfs:/scratch"
        self.assertEqual(self.outputs("sh", "-c", "pwd; cat file; touch x 2>/dev/null || echo ro; touch /scratch/x", options=[self.wanted, mounts, "--container-workdir=data"], tasks=1), ["/data\ncontentro\n"])

    def test_remapped_root(self):
        self.assertEqual(self.outputs("id", "-u", options=[self.wanted, "--container-remap-root"]), ["0\n"] * 2)
        self.create("c")
        with self.held_step("id", "-u", options=["--container-name=c"], SLURM_STEP_ID=1) as step:
            self.assertEqual(step.first[0]["out"], f"{self.uid}\n")
            self.assertEqual(self.outputs("id", "-u", options=["--container-name=c", "--container-remap-root"]), ["0\n"] * 2)

    def test_own_namespaces_are_the_steps(self):
        spaces = self.outputs("sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/uts", options=[self.wanted, "--container-unshare=net,uts"], mode="serial", tasks=2)
        self.assertEqual(len(set(spaces)), 1)
        self.assertNotIn(os.readlink("/proc/self/ns/net"), spaces[0])

    def test_read_only(self):
        self.assertEqual(self.outputs("sh", "-c", "touch /x 2>/dev/null || echo ro", options=[self.wanted, "--container-readonly"], tasks=1), ["ro\n"])

    def test_environment(self):
        script = "echo $FROM_JOB $SLURM_PROCID $PATH $PMIX_RANK ${LANG-none}"
        variables = {"FROM_JOB": "job", "PMIX_RANK": 5, "PATH": f"{self.home}/bin:/usr/bin:/bin", "LANG": "de_DE.UTF-8"}
        outputs = self.outputs("sh", "-c", script, options=[self.wanted], **variables)
        self.assertEqual([out.split()[:2] for out in outputs], [["job", "0"], ["job", "1"]])
        self.assertNotIn(str(self.home), outputs[0])
        self.assertTrue(outputs[0].endswith(" 5 none\n"), outputs)
        outputs = self.outputs("sh", "-c", script, options=[self.wanted, "--container-env=PATH,LANG,NOT_SET"], **variables)
        self.assertEqual([out.split()[2:] for out in outputs], [[variables["PATH"], "5", "de_DE.UTF-8"]] * 2)

    def test_mpi_and_pytorch_find_their_ways(self):
        as_root("mkdir", "-p", "/var/lib/mlctr-pmix-test")
        self.addCleanup(as_root, "rm", "-r", "/var/lib/mlctr-pmix-test")
        as_root("touch", "/var/lib/mlctr-pmix-test/rendezvous")
        show = ("sh", "-c", "ls $PMIX_SERVER_TMPDIR; echo $MASTER_ADDR $WORLD_SIZE $RANK $LOCAL_RANK")
        outputs = self.outputs(*show, options=[self.wanted], PMIX_SERVER_TMPDIR="/var/lib/mlctr-pmix-test", SLURM_STEP_NUM_TASKS=2, SLURM_STEP_NODELIST="n[1-3]")
        self.assertEqual(outputs, [f"rendezvous\nn1 2 {rank} {rank}\n" for rank in range(2)])

    def test_variables_stand_for_options(self):
        show = ("sh", "-c", "id -u; pwd")
        self.assertEqual(self.outputs(*show, tasks=1, PYXIS_CONTAINER_IMAGE=self.image, PYXIS_CONTAINER_REMAP_ROOT="yes", MLCTR_CONTAINER_WORKDIR="/etc", PYXIS_CONTAINER_WORKDIR="/tmp"), ["0\n/etc\n"])
        self.assertEqual(self.outputs(*show, options=["--no-container-remap-root", "--container-workdir", "/tmp"], tasks=1, MLCTR_CONTAINER_IMAGE=self.image, PYXIS_CONTAINER_REMAP_ROOT=1, MLCTR_CONTAINER_WORKDIR="/etc"), [f"{self.uid}\n/tmp\n"])

    def test_mistakes(self):
        for options, says in (
            ((), "neither --container-image nor --container-name is set"),
            ((self.wanted, "--container-writable", "--container-readonly"), "both --container-writable and --container-readonly"),
            ((self.wanted, "--container-image=other"), "--container-image specified multiple times"),
            ((self.wanted, "--container-mounts=/tmp:"), "--container-mounts: invalid format"),
            ((self.wanted, "--container-env=A,"), "--container-env: invalid format"),
            ((self.wanted, "--container-unshare=pid"), "unknown namespace 'pid'"),
            ((self.wanted, "--container-save=/tmp/"), "target is a directory"),
            ((self.wanted, "--container-remap-root=1"), "takes no argument"),
            ((self.wanted, "--container-en=A"), "ambiguous"),
            ((self.wanted, "--container-name=:exec"), "empty name"),
            ((self.wanted, "--container-image="), "argument required"),
        ):  # fmt: skip
            [result] = self.run_step("true", options=options, tasks=1)
            self.assertEqual(result["code"], EXIT_OWN_FAILURE, options)
            self.assertIn(says, result["errors"])


class Failures(StepTestCase):
    def test_the_cause_is_told_once(self):
        results = self.run_step("true", options=[self.wanted, "--container-mounts=/not/there:/x"], tasks=MANY_TASKS)
        self.assertEqual([result["code"] for result in results], [EXIT_OWN_FAILURE] * MANY_TASKS)
        told = [result["errors"] for result in results if result["errors"]]
        self.assertEqual(len(told), 1, told)
        self.assertRegex(told[0], "n1: source path does not exist: /not/there")

    def test_late_tasks_fail_as_well(self):
        results = self.run_step("true", options=["--container-image=/no/such.sqsh"], mode="serial", tasks=3)
        self.assertEqual([result["code"] for result in results], [EXIT_OWN_FAILURE] * 3)
        self.assertIn("/no/such.sqsh", results[0]["errors"])
        self.assertEqual([result["errors"] for result in results[1:]], ["", ""])

    def test_outside_of_a_job(self):
        self.fails("step", "run", self.wanted, "--", "true", says="no SLURM_JOB_ID")

    def test_a_killed_holder(self):
        with self.held_step("touch", "/mark", options=[self.wanted]) as step:
            step.begin(("sh", "-c", f"touch {self.home}/run/in; while ! [ -e /go ]; do sleep 0.05; done"))
            until((self.home / "run/in").exists, "a task in the container")
            os.kill(*self.holders(), signal.SIGKILL)
            until(lambda: not self.holders(), "the end of the holder")
            # Other tasks hold the container, too: the step's next ones find it.
            self.assertEqual(self.sh("exec", "77.0", "touch", "/go"), "")
            self.assertEqual(step.result()[0]["code"], 0)
        self.mlctr("ps")  # looks at all there is, and so finds what is dead

    def test_a_task_after_a_killed_holder(self):
        with self.held_step("true", options=[self.wanted]) as step:
            os.kill(*self.holders(), signal.SIGKILL)
            until(lambda: not servers_below(self.home), "the end of the container")
            self.assertEqual(step.task("true"), {"code": 0, "out": "", "errors": ""})
            self.assertEqual(len(self.holders()), 1)

    def test_a_killed_server(self):
        with self.held_step("true", options=[self.wanted]) as step:
            for pid in servers_below(self.home):
                os.kill(pid, signal.SIGKILL)
            until(lambda: not servers_below(self.home), "the end of the server")
            late = step.task("true")
            self.assertEqual(late["code"], EXIT_OWN_FAILURE)
            self.assertIn("server of the step's container was killed", late["errors"])
        as_root("rm", *(f"{self.home}/run/mlctr/sockets/{name}" for name in self.runtime_sockets()))

    def test_signals_of_the_job_are_not_for_holder_and_server(self):
        with self.held_step("touch", "/mark", options=[self.wanted]) as step:
            pids = self.holders() + servers_below(self.home)
            self.assertEqual(len(pids), 2)
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGRTMIN + 3):
                for pid in pids:
                    os.kill(pid, number)
            self.assertEqual(step.task("ls", "/mark")["out"], "/mark\n")

    def test_a_runtime_directory_of_another_node(self):
        if not os.path.exists(f"/tmp/mlctr-{self.uid}"):  # another's suite may use it
            self.addCleanup(as_root, "rm", "-rf", f"/tmp/mlctr-{self.uid}")
        self.assertEqual(self.outputs("echo", "in", options=[self.wanted], XDG_RUNTIME_DIR="/run/user/4711"), ["in\n"] * 2)
