"""One step in a container: what the task finds, by option."""
import collections
import json
import pathlib
import re
import shutil
import signal
import tempfile

import registries
from box import NODES
from harness import authority
from slurm_case import SlurmTestCase, image


def said(errors):
    """The lines that are not Slurm's."""
    return [line for line in errors.splitlines() if not line.startswith("srun: ")]


class Images(SlurmTestCase):
    def test_image_of_one_task(self):
        self.assertEqual(self.in_container("cat", "/etc/motd"), "layer three\n")

    def test_every_node_its_own_container(self):
        out = self.in_container("-N3", "sh", "-c", "touch /only-$(hostname); ls /only-*")
        self.assertEqual(sorted(out.split()), [f"/only-{node}" for node in NODES])

    def test_tasks_of_a_node_share_one(self):
        script = "touch /task-$SLURM_PROCID; while [ $(ls -d /task-* | wc -l) -lt 4 ]; do sleep 0.05; done; echo together"
        self.assertEqual(self.in_container("-N2", "-n8", "--ntasks-per-node=4", "sh", "-c", script), 8 * "together\n")

    def test_changes_of_an_unnamed_one_go(self):
        self.in_container("touch", "/made")
        self.assertNotIn("made", self.in_container("ls", "/"))

    def test_cold_start_of_many_tasks(self):
        """All ask at once for an image that nobody has."""
        out, errors = self.srun(f"--container-image={image()}", "-N3", "-n24", "cat", "/etc/motd", seconds=170)
        self.assertEqual(out, 24 * "layer three\n")
        self.assertEqual(errors.count(": imported docker image: "), 1)
        self.assertEqual(list((self.home / ".local/share/mlctr/tmp").glob("*")), [])

    def test_a_store_that_nodes_share_gets_each_layer_once(self):
        """All ask at once for what is on a registry; the store is in a home that the nodes share. Which layers there are each
        node asks (the manifest and the configuration)."""
        with registries.nginx(slow_rate="300k") as nginx:
            host = nginx.host["slow"]
            shutil.copy(authority().certificate, self.home / "ca.pem")
            with (self.home / ".config/mlctr/mlctr.toml").open("a") as settings:
                settings.write(f'[registries."{host}"]\nca_file = "{self.home}/ca.pem"\n')
            name = f"{host}/library/busybox:1"
            out, errors = self.srun("-N3", "-n24", "--ntasks-per-node=8", f"--container-image={name}", "hostname", seconds=170)
            counts = collections.Counter(request["path"].rpartition("/")[2] for request in nginx.requests(blob=True))
        self.assertEqual(sorted(out.split()), sorted(8 * NODES))
        described = json.loads(self.checked(self.run_command(self.mlctr, "inspect", "--json", f"{host}/library/busybox:1"))[0])
        layers = [layer["digest"] for layer in described["layers"]]
        self.assertGreater(len(layers), 1)
        self.assertEqual([counts[layer] for layer in layers], [1] * len(layers), counts)
        lines = said(errors)
        writer = re.search(r"^mlctr: (n\d): imported ", errors, re.M)[1]
        lines = [line for line in lines if not re.fullmatch(rf"mlctr: {writer}: importing docker image: {re.escape(name)}: (\d/\d layers, .*|writing .*)", line)]
        waits = [line for line in lines if re.fullmatch(rf"mlctr: n\d: importing docker image: {re.escape(name)}: waiting for {writer}", line)]
        self.assertLessEqual(len(waits), 1, errors)
        self.assert_import(writer, name, [line for line in lines if line not in waits])

    def assert_import(self, node, name, lines):
        self.assertRegex("\n".join(lines), rf"\Amlctr: {node}: importing docker image: {re.escape(name)}: \d layers, [\d.]+ [kM]?B to fetch\n"
                                            rf"mlctr: {node}: imported docker image: {re.escape(name)} in [\d.]+ m?s\Z")  # fmt: skip

    def test_an_import_is_two_lines(self):
        """However many tasks wait for it; nothing where the image is there."""
        words = ["-w", "n1", "-n8", f"--container-image={image()}"]
        self.assert_import("n1", image(), said(self.srun(*words, "true")[1]))
        self.assertEqual(said(self.srun(*words, "true")[1]), [])

    def test_an_import_that_is_quiet(self):
        quiet = {"env": {"MLCTR_SLURM_QUIET": "1"}} if self.mode == "plugin" else {}
        self.assertEqual(said(self.srun("-Q", f"--container-image={image()}", "true", **quiet)[1]), [])

    def test_squashfs_file(self):
        self.checked(self.run_command(self.mlctr, "pull", "--quiet", image()))
        self.checked(self.run_command(self.mlctr, "export", image(), self.home / "image.sqsh"))
        self.assertEqual(self.in_container("cat", "/etc/motd", image="./image.sqsh"), "layer three\n")
        self.assertEqual(self.in_container("cat", "/etc/motd", image=self.home / "image.sqsh"), "layer three\n")

    def test_writable_and_readonly(self):
        self.assertEqual(self.in_container("sh", "-c", "echo x > /etc/x && cat /etc/x"), "x\n")
        self.assertEqual(self.in_container("--container-writable", "sh", "-c", "echo x > /etc/x && cat /etc/x"), "x\n")
        out, errors = self.srun(f"--container-image={image()}", "--container-readonly", "sh", "-c", "echo x > /etc/x", status=None)
        self.assertIn("Read-only file system", errors)


class Users(SlurmTestCase):
    def test_oneself_and_root(self):
        self.assertEqual(self.in_container("id", "-u"), f"{self.box.account.pw_uid}\n")
        self.assertEqual(self.in_container("--no-container-remap-root", "id", "-u"), f"{self.box.account.pw_uid}\n")
        self.assertEqual(self.in_container("--container-remap-root", "sh", "-c", "id -u; touch /r; chown 5 /r && echo chowned"), "0\nchowned\n")

    def test_no_task_gains_privileges(self):
        for option in ("--no-container-remap-root", "--container-remap-root"):
            out = self.in_container(option, "grep", "-E", "^(NoNewPrivs|Seccomp):", "/proc/self/status")
            self.assertEqual(out.split(), ["NoNewPrivs:", "1", "Seccomp:", "2"])

    def test_home(self):
        # Not below /tmp, which a container sees anyway.
        home = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-home-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, home)
        (home / "mine").write_text("here\n")
        shutil.chown(home, self.box.user)
        env = {"HOME": home, "XDG_DATA_HOME": self.home, "XDG_CONFIG_HOME": self.home / ".config"}
        self.assertEqual(self.in_container("cat", home / "mine", env=env), "here\n")
        self.assertEqual(self.in_container("--container-mount-home", "cat", home / "mine", env=env), "here\n")
        self.in_container("--no-container-mount-home", "test", "!", "-e", home / "mine", env=env)


class Mounts(SlurmTestCase):
    def test_mounts(self):
        (self.home / "d").mkdir()
        self.write("d/f", "data\n")
        mounts = f"--container-mounts={self.home}/d:/data:ro,{self.home}/d/f:/etc/one,tmpfs:/scratch"
        out = self.in_container(mounts, "sh", "-c", "cat /data/f /etc/one; touch /scratch/x && ls /scratch; touch /data/x 2>&1; true")
        self.assertEqual(out, "data\ndata\nx\ntouch: /data/x: Read-only file system\n")

    def test_missing_source(self):
        self.fails(f"--container-image={image()}", "--container-mounts=/no/such:/x", "echo", "ran", says=["source path does not exist", "/no/such"])

    def test_source_missing_on_one_node(self):
        for node in ("n1", "n3"):
            (self.root_of(node) / "run/data").mkdir(exist_ok=True)
        says = ["n2.*source path does not exist.*/run/data"]
        errors = self.fails("-N3", "-n3", f"--container-image={image()}", "--container-mounts=/run/data:/data", "sh", "-c", "sleep 1", says=says)
        self.assertNotRegex(errors, "n[13]: source path")


class Environment(SlurmTestCase):
    def test_who_wins(self):
        configured = image(Env=("PATH=/bin", "BOTH=image", "KEPT=image"))
        out = self.in_container("--container-env=KEPT", "sh", "-c", "echo $BOTH $KEPT $MINE $PATH", image=configured,
                                env={"BOTH": "job", "KEPT": "job", "MINE": "job"})  # fmt: skip
        self.assertEqual(out, "image job job /bin\n")

    def test_each_tasks_own(self):
        out = self.in_container("-N2", "-n4", "sh", "-c", "echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NODEID")
        self.assertEqual(sorted(line.split()[0] for line in out.splitlines()), ["0", "1", "2", "3"])
        self.assertEqual(len({tuple(line.split()[1:]) for line in out.splitlines()}), 4)

    def test_nothing_is_exported(self):
        out = self.in_container("--export=NONE", "sh", "-c", "echo ${MINE:-none} $SLURM_PROCID", env={"MINE": "job"})
        self.assertEqual(out, "none 0\n")

    def test_gpus(self):
        self.assertEqual(self.in_container("--gres=gpu:2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"), "0,1\n")

    def test_mpi(self):
        for kind, rank in (("pmi2", "PMI_RANK"), ("pmix", "PMIX_RANK")):
            out = self.in_container("-N2", "-n4", f"--mpi={kind}", "sh", "-c", f"echo ${rank}")
            self.assertEqual(sorted(out.split()), ["0", "1", "2", "3"], kind)

    def test_working_directory(self):
        self.assertEqual(self.in_container("--container-workdir=/etc", "pwd"), "/etc\n")
        self.assertEqual(self.in_container("pwd", image=image(WorkingDir="/var")), "/var\n")

    def test_variables_instead_of_options(self):
        for prefix in ("MLCTR", "PYXIS"):
            env = {f"{prefix}_CONTAINER_IMAGE": image(), f"{prefix}_CONTAINER_WORKDIR": "/etc", f"{prefix}_CONTAINER_REMAP_ROOT": "1"}
            self.assertEqual(self.srun("sh", "-c", "pwd; id -u", env=env)[0], "/etc\n0\n")
        self.assertEqual(self.srun("--container-workdir=/bin", "pwd", env=env)[0], "/bin\n")


class Ends(SlurmTestCase):
    def test_exit_code(self):
        self.in_container("sh", "-c", "exit 7", status=7)
        self.in_container("-n2", "sh", "-c", "exit $SLURM_PROCID", status=1)
        self.in_container("sh", "-c", "kill -KILL $$", status=128 + signal.SIGKILL)

    def test_command_not_found(self):
        errors = self.fails(f"--container-image={image()}", "no-such-command", says="no-such-command")
        self.assertRegex(errors, "not found|No such file")

    def test_standard_streams(self):
        out = self.in_container("-n2", "--input=all", "sh", "-c", "cat; echo $SLURM_PROCID >&2", stdin="line\n")
        self.assertEqual(out, "line\nline\n")

    def test_output_ends_with_the_task(self):
        """The holder of the container keeps no stream of a task open: srun would wait for it."""
        out = self.in_container("-N2", "sh", "-c", "echo last", seconds=30)
        self.assertEqual(out, "last\nlast\n")

    def test_pty(self):
        words = self.words_of_srun("--pty", f"--container-image={image()}", "sh", "-c", "test -t 0 && echo a terminal")
        out = self.run_command("script", "--quiet", "--return", "--command", " ".join(f"'{w}'" for w in words), "/dev/null").stdout
        self.assertIn("a terminal", out)


class Mistakes(SlurmTestCase):
    """None runs on the host."""

    def test_no_such_image(self):
        self.fails("--container-image=/no/such.sqsh", "echo", "ran", says=[r"n\d", "/no/such.sqsh"])
        self.fails("--container-image=127.0.0.1:1/none:1", "echo", "ran", says="127.0.0.1:1/none")

    def test_cause_is_told_once_a_node(self):
        errors = self.fails("-N2", "-n8", "--container-image=/no/such.sqsh", "echo", "ran")
        self.assertLessEqual(errors.count("cannot open /no/such.sqsh"), 2, errors)

    def test_told_before_the_job_waits(self):
        before = self.jobs_begun()
        some = f"--container-image={image()}"
        for words, says in (
            (["--container-image="], "argument required"),
            ([some, "--container-name=a:forever"], "flag must be"),
            ([some, "--container-name=a/b"], "name"),
            ([some, "--container-writable", "--container-readonly"], "both --container-writable and --container-readonly"),
            ([some, "--container-remap-root", "--no-container-remap-root"], "both --"),
            ([some, "--container-mounts=/a::ro"], "invalid format"),
            ([some, "--container-unshare=net,time"], "unknown namespace"),
            ([some, "--container-imgae=x"], "container-imgae"),
        ):
            with self.subTest(words[-1]):
                self.fails(*words, "echo", "ran", says=says)
        self.assertEqual(self.jobs_begun(), before, "a job was submitted")

    def test_options_without_a_container(self):
        out, errors = self.srun("--container-mounts=/etc:/x", "sh", "-c", "ls -d /x 2>&1; true")
        self.assertIn("ignoring --container-mounts", errors)

    def test_other_steps_are_untouched(self):
        self.assertEqual(sorted(self.srun("-w", "n1,n2", "-l", "hostname")[0].splitlines()), ["0: n1", "1: n2"])
        self.assertEqual(self.srun("sh", "-c", "grep Seccomp: /proc/self/status; exit 3", status=3)[0], "Seccomp:\t0\n")
