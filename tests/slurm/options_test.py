"""The options each alone, in the combinations users write, as variables, and the words that scripts look for in what pyxis says."""
import re
import pathlib
import shutil

from slurm_case import MODE, SlurmTestCase, image


class Alone(SlurmTestCase):
    def test_unshare(self):
        def spaces(*options):
            return dict(line.split() for line in self.in_container(*options, "sh", "-c", "for n in net ipc uts; do echo $n $(readlink /proc/self/ns/$n); done").splitlines())

        host = {name: pathlib.Path(f"/proc/{self.box.machines['n1'][0]}/ns/{name}").readlink().name for name in ("net", "ipc", "uts")}
        self.assertEqual(spaces("-w", "n1"), host)
        for wanted in (("net",), ("ipc",), ("uts",), ("net", "ipc", "uts")):
            found = spaces("-w", "n1", f"--container-unshare={','.join(wanted)}")
            self.assertEqual({name for name in found if found[name] != host[name]}, set(wanted))

    def test_tasks_share_what_is_unshared(self):
        out = self.in_container("-n3", "--container-unshare=net,uts", "sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/uts")
        self.assertEqual(len(set(out.split())), 2)

    def test_entrypoint(self):
        """It runs once, when the container starts; what it sets is there for the tasks."""
        script = "echo from the entrypoint; echo once >> /ran; export SET=by-entrypoint; exec \"$@\""
        entered = image(Entrypoint=("/bin/sh", "-c", script, "entrypoint"))
        show = ["-n2", "sh", "-c", "echo $(cat /ran 2>/dev/null) set: $SET"]

        def run(*options):
            out, errors = self.srun(f"--container-image={entered}", *options, *show)
            return out, "from the entrypoint" in errors

        self.assertEqual(run(), (2 * "set:\n", False))
        self.assertEqual(run("--no-container-entrypoint"), (2 * "set:\n", False))
        self.assertEqual(run("--container-entrypoint"), (2 * "once set: by-entrypoint\n", False))
        self.assertEqual(run("--container-entrypoint", "--container-entrypoint-log"), (2 * "once set: by-entrypoint\n", True))

    def test_readonly_by_name(self):
        some = ["-w", "n1", f"--container-image={image()}", "--container-name=c"]
        self.srun(*some, "touch", "/made")
        _, errors = self.srun("-w", "n1", "--container-name=c", "--container-readonly", "touch", "/more", status=None)
        self.assertIn("Read-only file system", errors)
        self.assertEqual(self.srun("-w", "n1", "--container-name=c", "--container-writable", "sh", "-c", "touch /more; ls -d /made /more")[0], "/made\n/more\n")

    def test_workdir(self):
        # A relative one counts from the root, as pyxis has it; one that is not there ends the task.
        self.assertEqual(self.in_container("--container-workdir=etc", "pwd"), "/etc\n")
        self.fails(f"--container-image={image()}", "--container-workdir=/no/such", "echo", "ran", says="/no/such")

    def test_mount_options(self):
        (self.home / "d").mkdir()
        self.write("d/f", "data\n")
        shutil.chown(self.home / "d", self.box.user)
        for mounts, expected in (
            (f"{self.home}/d:/a,{self.home}/d:/b:ro+rprivate", "a:rw b:ro"),
            (f"{self.home}/d:/a:rbind+ro,{self.home}/d/f:/b/deep/file", "a:ro b:rw"),
        ):
            with self.subTest(mounts):
                script = "for m in a b; do f=$(ls -d /$m/deep/file 2>/dev/null || echo /$m/f); (: >> $f) 2>/dev/null && echo $m:rw || echo $m:ro; done"
                self.assertEqual(self.in_container(f"--container-mounts={mounts}", "sh", "-c", script).split(), expected.split())


class Environment(SlurmTestCase):
    def test_what_the_image_sets_wins(self):
        configured = image(Env=("PATH=/bin", "A=image", "B=image", "EMPTY="))
        job = {"A": "job", "B": "job", "EMPTY": "job", "MINE": "a b\nc"}
        show = ["sh", "-c", 'echo "$A|$B|$EMPTY|$MINE"']
        self.assertEqual(self.in_container(*show, image=configured, env=job), "image|image||a b\nc\n")
        self.assertEqual(self.in_container("--container-env=B,EMPTY", *show, image=configured, env=job), "image|job|job|a b\nc\n")
        # A name that the job does not have changes nothing.
        self.assertEqual(self.in_container("--container-env=NOBODYS,A", *show, image=configured, env=job), "job|image||a b\nc\n")

    def test_slurm_s_own_pass_even_where_the_image_has_them(self):
        configured = image(Env=("PATH=/bin", "SLURM_JOB_ID=image", "SLURM_PROCID=image", "PMI_RANK=image", "PMIX_RANK=image"))
        for kind, rank in (("pmi2", "PMI_RANK"), ("pmix", "PMIX_RANK")):
            out = self.in_container("-n2", f"--mpi={kind}", "sh", "-c", f"echo $SLURM_PROCID ${rank} $SLURM_JOB_ID", image=configured)
            rows = sorted(line.split() for line in out.splitlines())
            self.assertEqual([row[:2] for row in rows], [["0", "0"], ["1", "1"]])
            self.assertTrue(all(row[2].isdigit() for row in rows))

    def test_tasks_keep_their_own_in_a_shared_container(self):
        """Also the second step in it, whose tasks are other ones."""
        show = ["-n3", "sh", "-c", "echo $SLURM_PROCID $SLURM_LOCALID $RANK $LOCAL_RANK ${SLURM_TASK_PID:+pid}"]
        for options in ([f"--container-image={image()}"], []):
            out = self.srun("-w", "n1", "--container-name=c", *options, *show)[0]
            self.assertEqual(sorted(out.splitlines()), [f"{i} {i} {i} {i} pid" for i in range(3)])

    def test_torch_variables(self):
        show = ["-N2", "-n4", "--ntasks-per-node=2", "-w", "n1,n2", "sh", "-c", "echo $RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR ${MASTER_PORT:-none} ${OMP_NUM_THREADS:-none}"]
        torch = image(Env=("PATH=/bin", "PYTORCH_VERSION=2"))
        rows = sorted(line.split() for line in self.in_container(*show, image=torch).splitlines())
        self.assertEqual([row[:4] for row in rows], [[str(i), str(i % 2), "4", "n1"] for i in range(4)])
        self.assertEqual({row[5] for row in rows}, {"1"})
        ports = {row[4] for row in rows}
        low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        self.assertEqual(len(ports), 1)
        self.assertFalse(low <= int(ports.pop()) <= high)
        # A user's own wins.
        rows = self.in_container(*show, image=torch, env={"MASTER_PORT": "1234", "OMP_NUM_THREADS": "7"}).splitlines()
        self.assertEqual({tuple(row.split()[4:]) for row in rows}, {("1234", "7")})
        # Switched off, and for PyTorch's images alone.
        off = self.in_container(*show, image=torch, env={"MLCTR_SLURM_PYTORCH": "never"})
        self.assertEqual([line.split() for line in off.splitlines()], 4 * [["none", "none"]])
        self.assertEqual(self.in_container(*show, env={"MLCTR_SLURM_PYTORCH": "image"}).count("none none"), 4)
        self.assertEqual(self.in_container(*show, image=torch, env={"MLCTR_SLURM_PYTORCH": "image"}).count("none"), 0)


class Together(SlurmTestCase):
    def test_what_users_write(self):
        (self.home / "data").mkdir()
        self.write("data/f", "data\n")
        saved = self.home / "saved.sqsh"
        out = self.srun("-w", "n1", "-n2", f"--container-image={image(Env=('PATH=/bin', 'KEPT=image'))}", "--container-name=all:create",
                        f"--container-mounts={self.home}/data:/data:ro,tmpfs:/scratch", "--container-workdir=/data", "--container-remap-root",
                        "--no-container-mount-home", "--container-env=KEPT", "--container-unshare=ipc", "--container-writable",
                        "--no-container-entrypoint", f"--container-save={saved}",
                        "sh", "-c", "pwd; cat f; id -u; echo $KEPT; touch /etc/made-$SLURM_PROCID; test -w /scratch && echo scratch",
                        env={"KEPT": "job"})[0]  # fmt: skip
        self.assertEqual(sorted(out.split()), sorted(2 * ["/data", "data", "0", "job", "scratch"]))
        made = "/etc/made-0\n/etc/made-1\n"
        self.assertEqual(self.in_container("sh", "-c", "ls -d /etc/made-*", image=saved), made)
        self.assertEqual(self.srun("-w", "n1", "--container-name=all", "sh", "-c", "ls -d /etc/made-*")[0], made)

    def test_variables_for_all_of_them(self):
        (self.home / "data").mkdir()
        self.write("data/f", "data\n")
        for prefix in ("MLCTR", "PYXIS"):
            with self.subTest(prefix):
                wishes = {"IMAGE": image(Env=("PATH=/bin", "KEPT=image")), "NAME": f"c-{prefix.lower()}", "MOUNTS": f"{self.home}/data:/data", "WORKDIR": "/data",
                          "REMAP_ROOT": "1", "MOUNT_HOME": "0", "ENV": "KEPT", "UNSHARE": "uts", "WRITABLE": "1", "ENTRYPOINT": "0"}  # fmt: skip
                env = {f"{prefix}_CONTAINER_{name}": value for name, value in wishes.items()} | {"KEPT": "job"}
                out = self.srun("-w", "n1", "sh", "-c", "pwd; cat f; id -u; echo $KEPT", env=env)[0]
                self.assertEqual(out, "/data\ndata\n0\njob\n")

    def test_an_option_wins_over_its_variable(self):
        env = {"MLCTR_CONTAINER_WORKDIR": "/bin", "PYXIS_CONTAINER_WORKDIR": "/var", "MLCTR_CONTAINER_IMAGE": image()}
        self.assertEqual(self.srun("pwd", env=env)[0], "/bin\n")
        self.assertEqual(self.srun("--container-workdir=/etc", "pwd", env=env)[0], "/etc\n")

    def with_options(self):
        """The script itself runs in the container, and so do the steps of a fresh sbatch's variables."""
        (self.home / "data").mkdir()
        self.write("data/f", "data\n")
        lines = [f"#SBATCH -w n1 --container-image={image()}", f"#SBATCH --container-mounts={self.home}/data:/data", "#SBATCH --container-workdir=/data"]
        status, out = self.sbatch("\n".join([*lines, "pwd; cat f; cat /etc/motd; echo ${RANK:-no rank}"]), "-n2")
        self.assertEqual((status, out), (0, "/data\ndata\nlayer three\nno rank\n"))


    if MODE == "plugin":  # without it, sbatch knows none of the options
        test_batch_script_with_options = with_options


class Words(SlurmTestCase):
    """What pyxis prints and scripts look for."""

    def test_nothing_is_said_where_the_image_is_there(self):
        words = ["-Q", "-n3", f"--container-image={image()}", "true"]
        self.srun(*words)
        self.assertEqual(self.srun(*words)[1], "")

    def test_no_import(self):
        errors = self.fails("-n8", "--container-image=127.0.0.1:1/none:1", "echo", "ran", says="failed to import docker image: 127.0.0.1:1/none:1")
        self.assertEqual(errors.count("failed to import docker image"), 1)

    def test_what_a_running_container_can_not_become(self):
        first = self.start(*self.words_of_srun("-w", "n1", f"--container-image={image()}", "--container-name=c", "sh", "-c", "echo ready; sleep 1000; true"))
        self.addCleanup(self.run_command, "scancel", "--me")
        self.assertEqual(first.stdout.readline(), "ready\n")
        joins = ["-w", "n1", "--container-name=c"]
        for options, says in (
            (["--container-mounts=/etc:/x"], "ignoring --container-mounts"),
            (["--container-writable"], "ignoring --container-writable"),
            (["--no-container-mount-home"], "ignoring --.*container-mount-home"),
        ):
            self.assertRegex(self.srun(*joins, *options, "true")[1], says)
        for name, title in (("net", "network"), ("ipc", "IPC"), ("uts", "UTS")):
            self.fails(*joins, f"--container-unshare={name}", "echo", "ran", says=f"not in a separate {title} namespace")
        self.fails(*joins, "--container-unshare=cgroup", "echo", "ran", says="unknown namespace")

    def test_mounts(self):
        self.fails(f"--container-image={image()}", "--container-mounts=/no/such:/x", "echo", "ran", says="source path does not exist: /no/such")
        _, errors = self.srun("--container-mounts=/etc:/x", "true")
        self.assertRegex(errors, re.compile("ignoring --container-mounts.* neither --container-image nor --container-name", re.S))
