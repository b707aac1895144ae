"""Containers by name: create, run, exec, ps, rm, and what gc, rmi, du and completion know of them."""
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from containers import layout, servers_below
from harness import as_root, is_root, small_filesystem
from named_containers import WAIT_SECONDS, NamedContainerTestCase, change_config, until


class Lifecycle(NamedContainerTestCase):
    def test_create_run_remove(self):
        self.create("py38")
        self.assertEqual(self.mlctr("run", "py38", "sh", "-c", "echo kept > /etc/mine; rm /etc/motd"), ("", ""))
        self.assertEqual(self.sh("run", "py38", "sh", "-c", "cat /etc/mine; ls /etc/motd 2>&1; true"), "kept\nls: /etc/motd: No such file or directory")
        self.assertEqual(self.sh("run", "--remap-root", "py38", "sh", "-c", "id -u; cat /etc/mine; echo root > /etc/rooted"), "0\nkept")
        self.assertEqual(self.sh("run", "py38", "sh", "-c", "id -u; cat /etc/rooted"), f"{self.uid}\nroot")
        self.assertEqual(self.mlctr("rm", "py38")[0], "removed py38\n")
        self.assertEqual(self.store_files("containers"), [])
        self.assertEqual(self.json("ps", "--all"), [])

    def test_run_makes_what_is_missing(self):
        self.run_in(self.image, "touch", "/made", options=("--name", "new"))
        self.assertEqual(self.run_in("new", "ls", "/made")[0], "/made\n")
        self.assertEqual(self.run_in(self.image, "ls", "/made", options=("--name", "new"))[0], "/made\n")
        self.fails("run", "--name", "new", layout("python"), "true", says="container new was made from")

    def test_unnamed_changes_go(self):
        self.run_in(self.image, "touch", "/made")
        self.assertNotIn("made", self.run_in(self.image, "ls", "/")[0])

    def test_rm_flag(self):
        self.run_in(self.image, "true", options=("--name", "short", "--rm"))
        self.assertEqual(self.json("ps", "--all"), [])
        self.assertEqual(self.mlctr("run", "--rm", "--name", "short", self.image, "sh", "-c", "exit 7", status=7), ("", ""))
        self.assertEqual(self.store_files("containers"), [])

    def test_rm_flag_spares_what_was_there(self):
        self.create()
        for arguments in (("--rm", "c"), ("--rm", "--name", "c", self.image)):
            self.fails("run", *arguments, "true", says=["the container c was there before", "mlctr rm c"])
        self.assertEqual([c["name"] for c in self.json("ps", "--all")], ["c"])

    def test_rm_flag_spares_who_joined(self):
        first = self.start("run", "--rm", "--name", "c", self.image, "sh", "-c", "echo ready; read go", stdin=subprocess.PIPE)
        self.addCleanup(self.end, first)
        first.stdout.readline()
        self.running("c")
        first.communicate("go\n", timeout=WAIT_SECONDS)
        self.assertEqual([(c["name"], c["running"]) for c in self.json("ps", "--all")], [("c", True)])
        self.mlctr("rm", "--force", "c")

    def test_trees_that_nobody_may_read_are_removed(self):
        self.create()
        self.run_in("c", "sh", "-c", "mkdir -p /a/b/c; touch /a/b/c/f; chmod 0 /a/b/c /a/b; chmod 0 /a")
        self.mlctr("rm", "c")
        self.assertEqual(os.listdir(self.store / "containers"), [])

    def test_ps_shows_a_command_that_runs(self):
        first = self.running("--name", "c", self.image, script="sleep 601 >/dev/null 2>&1 & wait")
        self.assertEqual(self.json("ps")[0]["command"][:2], ["sh", "-c"])
        first.kill()
        first.wait()
        until(lambda: self.json("ps")[0]["command"] == ["sleep", "601"], "the command that is left")
        self.assertRegex(self.mlctr("ps")[0], r"c .* sleep 601\n")

    def test_rm_of_what_runs(self):
        self.create()
        process = self.running("c")
        until(lambda: len(self.json("ps")[0]["pids"]) == 2, "sleep")
        self.fails("rm", "c", says=[r"cannot remove the container c: 2 processes are in it \(\d+, \d+\)", r"rm --force c"])
        self.assertEqual(self.sh("exec", "c", "echo", "still"), "still")
        self.mlctr("rm", "--force", "c")
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), -signal.SIGTERM)
        self.assertEqual(self.json("ps", "--all"), [])

    def test_rm_force_of_who_ignores_sigterm(self):
        self.create()
        process = self.running("c", script="trap '' TERM; sleep 600 & wait; sleep 600")
        bystander = subprocess.Popen(["sleep", "600"])
        self.addCleanup(self.end, bystander)
        self.mlctr("rm", "--force", "c")
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), -signal.SIGKILL)
        self.assertIsNone(bystander.poll())

    def test_two_rm_at_once(self):
        for round_number in range(10):
            self.create()
            both = [self.start("rm", "c") for _ in range(2)]
            ends = sorted((p.communicate(timeout=WAIT_SECONDS), p.returncode)[::-1] for p in both)
            self.assertEqual([status for status, _ in ends], [0, 125], f"round {round_number}")
            self.assertRegex(ends[1][1][1], "removed by another just now|no such container: c")
            self.assertEqual(self.store_files("containers"), [])

    def test_rm_against_run(self):
        """Whoever is first: the program runs whole, or the run says that the container went."""
        for _ in range(10):
            self.create()
            run = self.start("run", "--pull", "never", "c", "sh", "-c", "echo made > /made && cat /made")
            remove = self.start("rm", "c")
            out, errors = run.communicate(timeout=WAIT_SECONDS)
            remove_errors = remove.communicate(timeout=WAIT_SECONDS)[1]
            if run.returncode == 0:
                self.assertEqual(out, "made\n")
            else:
                self.assertRegex(errors, "removed just now|no image or container c here")
            self.assertIn("process", remove_errors) if remove.returncode else None
            self.mlctr("rm", "--force", "c", status=None)

    def test_rm_goes_on_after_a_bad_name(self):
        self.create("one")
        self.create("two")
        errors = self.fails("rm", "one", "twoo", "two", says="no such container: twoo")
        self.assertIn("did you mean", errors)
        self.assertEqual(self.json("ps", "--all"), [])

    def test_a_broken_record_can_be_removed(self):
        self.create()
        as_root("sh", "-c", f"echo x > {self.store}/containers/c/container.json")
        self.assertIn("container.json", self.mlctr("ps", "--all")[1])
        self.fails("run", "c", "true", says=["not a container's record", "mlctr rm c"])
        self.mlctr("rm", "c")


class Ps(NamedContainerTestCase):
    def test_what_runs(self):
        self.create("idle")
        self.create("busy")
        self.running("busy")
        until(lambda: len(self.json("ps")[0]["pids"]) == 2, "sleep")
        unnamed = self.running(self.image)
        busy, other = self.json("ps")
        self.assertEqual((busy["id"], busy["name"], busy["running"], len(busy["pids"])), ("busy", "busy", True, 2))
        self.assertEqual((other["id"], other["name"]), (str(unnamed.pid), ""))
        self.assertEqual(busy["command"][:2], ["sh", "-c"])
        self.assertLess(abs(busy["started"] - time.time()), 60)
        for pid in busy["pids"]:
            self.assertIn(pathlib.Path(f"/proc/{pid}/comm").read_text().strip(), ("sh", "sleep"))
        table = self.mlctr("ps")[0].splitlines()
        self.assertRegex(table[1], rf"^busy +{self.image} +2 .*sleep 600")
        everything = {c["name"]: c for c in self.json("ps", "--all")}
        self.assertEqual(sorted(everything), ["", "busy", "idle"])
        self.assertEqual((everything["idle"]["running"], everything["idle"]["pids"]), (False, []))

    def test_changes_on_disk(self):
        self.create()
        [before] = self.json("ps", "--all")
        self.run_in("c", "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=3")
        [after] = self.json("ps", "--all")
        self.assertAlmostEqual(after["changes"] - before["changes"], 3 << 20, delta=64 << 10)
        self.assertLess(abs(after["created"] - time.time()), 60)

    def test_sockets_of_killed_servers_go(self):
        self.create()
        process = self.running("c")
        [server] = [pid for pid in self.processes() if pathlib.Path(f"/proc/{pid}/comm").read_text() == "mlctr-server\n"]
        os.kill(server, signal.SIGKILL)
        self.end(process)
        self.assertEqual(len(self.runtime_sockets()), 1)
        self.assertEqual(self.json("ps"), [])
        self.assertEqual(self.sh("run", "c", "echo", "again"), "again")
        until(lambda: not self.runtime_sockets(), "the end of the dead server's socket")

    def test_nothing(self):
        out, errors = self.mlctr("ps")
        self.assertEqual(out, "")
        self.assertIn("no container", errors)


class Exec(NamedContainerTestCase):
    def test_as_the_first_program(self):
        self.create()
        self.host_variables = {"SLURM_JOB_ID": "17", "PYTHONPATH": "/host"}
        self.running("--env", "A=from run", "--workdir", "/etc", "--mount", "/usr:/mnt/host:ro", "c")
        self.host_variables["SLURM_JOB_ID"] = "18"
        out = self.sh("exec", "--env", "B=2", "c", "sh", "-c", "echo $A,$B,$SLURM_JOB_ID,$PYTHONPATH,$container,$PATH; pwd; ls -d /mnt/host/bin")
        self.assertEqual(out, "from run,2,18,,mlctr,/bin\n/etc\n/mnt/host/bin")
        self.assertEqual(self.sh("exec", "--env", "A=new", "--workdir", "/var", "c", "sh", "-c", "echo $A; pwd"), "new\n/var")
        self.assertEqual(self.mlctr("exec", "c", "sh", "-c", "exit 9", status=9), ("", ""))

    def test_environments_of_any_size_and_bytes(self):
        self.create()
        value = "x" * 100_000
        file = self.write("env", f"BIG={value}\nMORE={value}\n", mode=0o644)
        self.running("--env-file", file, "--env", b"LATIN=\xe9t\xe9".decode("utf-8", "surrogateescape"), "c")
        out = self.sh("exec", "c", "sh", "-c", "echo ${#BIG} ${#MORE}; printf %s $LATIN | od -An -tx1")
        self.assertEqual(out.split(), ["100000", "100000", "e9", "74", "e9"])

    def test_files_and_processes_are_shared(self):
        self.create()
        process = self.running("--unshare", "pid,uts,net", "c", script="hostname inside; sleep 600")
        self.sh("exec", "c", "sh", "-c", "echo shared > /shared")
        self.assertEqual(self.sh("exec", "c", "cat", "/shared"), "shared")
        listing = self.sh("exec", "c", "sh", "-c", "ps -o pid,comm; ls /sys/class/net; test -e /proc/self/stat && echo proc")
        self.assertRegex(listing, r"(?s)\b1 .*sleep.*lo\nproc$")
        self.assertNotIn("python3", listing)
        self.mlctr("rm", "--force", "c")
        process.wait(timeout=WAIT_SECONDS)

    def test_by_pid_and_number(self):
        unnamed = self.running(self.image, script="touch /here; sleep 600; true")
        [container] = self.json("ps")
        until(lambda: len(self.json("ps")[0]["pids"]) == 2, "sleep")
        for pid in [*self.json("ps")[0]["pids"], container["id"]]:
            self.assertEqual(self.sh("exec", pid, "ls", "/here"), "/here")
        self.fails("exec", os.getpid(), "true", says=[f"no container of yours has a process {os.getpid()}", "mlctr ps"])
        self.fails("exec", 2**22 + 1, "true", says="mlctr ps")
        self.assertIsNone(unnamed.poll())

    def test_identity(self):
        self.create()
        self.running("--remap-root", "c")
        self.assertEqual(self.sh("exec", "c", "id", "-u"), "0")
        self.assertEqual(self.sh("exec", "--no-remap-root", "c", "id", "-u"), str(self.uid))
        self.mlctr("rm", "--force", "c")
        self.create()
        self.running("c")
        self.assertEqual(self.sh("exec", "c", "id", "-u"), str(self.uid))
        self.assertEqual(self.sh("exec", "--remap-root", "c", "sh", "-c", "id -u; chown 12:12 /etc/motd && echo fine"), "0\nfine")

    def test_what_does_not_run(self):
        self.create("python")
        self.fails("exec", "python", "true", says=["python is not running", "mlctr run python"])
        self.fails("exec", "pyton", "true", says=["no such container: pyton", "did you mean python"])
        self.fails("exec", says="mlctr ps")

    def test_a_joining_run_says_what_comes_too_late(self):
        self.create()
        self.running("c")
        late = ("--mount", "/usr:/mnt", "--read-only", "--unshare", "net", "--no-mount-home")
        out, errors = self.mlctr("run", *late, "c", "sh", "-c", "echo in; ls /mnt 2>&1; true")
        self.assertEqual(out, "in\nls: /mnt: No such file or directory\n")
        self.assertEqual(errors, "mlctr: ignoring --mount, --no-mount-home, --read-only, --unshare: c is already running\n")
        self.assertEqual(self.mlctr("run", "--env", "A=1", "c", "sh", "-c", "echo $A"), ("1\n", ""))

    def test_joining_is_fast(self):
        """The figure is 8 ms on a quiet machine; here only that nothing of a container's start is repeated."""
        self.create()
        self.running("c")
        until(lambda: len(self.processes()) == 3, "server, shell and sleep")
        before = self.processes()
        for _ in range(5):
            self.sh("exec", "c", "true")
            self.sh("run", "c", "true")
        self.assertEqual(sorted(self.processes()), sorted(before), "joining left a process")
        self.assertEqual(len(self.runtime_sockets()), 1)

    def test_many_join_at_once(self):
        self.create()
        until_all = "echo $$ >> /pids; for i in $(seq 300); do [ $(wc -l < /pids) -lt 12 ] || break; sleep 0.1; done; wc -l < /pids"
        first = [self.start("run", "c", "sh", "-c", until_all) for _ in range(12)]
        counts = [p.communicate(timeout=60) for p in first]
        self.assertEqual([c for c in counts if c != ("12\n", "")], [])


class StoreCommands(NamedContainerTestCase):
    def setUp(self):
        super().setUp()
        self.create()

    def elsewhere(self):
        """The containers on a filesystem of their own: no hard link reaches the image."""
        filesystem = small_filesystem("64m")
        directory = filesystem.__enter__()
        self.addCleanup(filesystem.__exit__, None, None, None)
        self.host_variables["MLCTR_CONTAINERS"] = str(directory / "containers")
        self.create("far")

    def test_rmi_of_an_image_with_linked_containers(self):
        out = self.mlctr("rmi", self.image)[0]
        self.assertRegex(out, r"removed .*; the container c keeps its file: `mlctr rm c` removes it too\)")
        self.assertEqual(self.sh("run", "c", "echo", "well"), "well")
        usage = self.json("du")
        [container] = usage["named_containers"]
        self.assertGreater(container["own_image"], 100_000)
        self.mlctr("gc")
        self.assertEqual(self.sh("run", "c", "echo", "well"), "well")

    def test_rmi_and_gc_of_an_image_that_a_container_needs(self):
        self.elsewhere()
        self.fails("rmi", self.image, says=["the container far needs it", "mlctr rm far"])
        for reference in (self.store / "references").rglob("*.json"):
            as_root("rm", reference)
        self.mlctr("gc")
        self.assertEqual(self.sh("run", "far", "echo", "well"), "well")
        self.mlctr("rm", "far")
        self.mlctr("gc")
        self.assertEqual(self.store_files("images"), [])

    def own_trees(self):
        return [path for path in (self.store / "containers/.unpacked").glob("*") if path.name.startswith("own-")]

    def test_an_unnamed_container_with_its_changes_on_disk(self):
        self.host_variables["MLCTR_RUN_CHANGES"] = "disk"
        base = "/usr/share/base-"
        changes = f"rm -r {base}files && mkdir {base}files && echo new > {base}files/only && mv {base}passwd /moved && ls {base}files && ls -d /moved"
        out = self.sh("run", layout("debian"), "sh", "-c", changes)
        self.assertEqual(out, "only\n/moved")
        until(lambda: not self.own_trees(), "the end of the changes")
        process = self.start("run", "--no-mount-home", self.image, "sleep", "600")
        until(self.own_trees, "a container")
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        process.wait()
        self.assertEqual(len(self.own_trees()), 1)
        self.sh("run", self.image, "true")
        until(lambda: not self.own_trees(), "the end of what was left")
        self.mlctr("gc")
        self.assertIn("run.changes", self.mlctr("config")[0])
        with small_filesystem("16m") as directory:
            self.host_variables["MLCTR_CONTAINERS"] = str(directory / "containers")
            self.fails("run", self.image, "true", says=["run.changes=disk: .*/containers is not on a local disk", "MLCTR_CONTAINERS"])

    def test_a_container_keeps_the_pieces_of_its_image(self):
        image = layout("python")
        self.mlctr("create", "--name", "pieces", image)
        self.assertTrue(self.json("inspect", image)["in_pieces"])
        self.assertIn("the container pieces keeps its file", self.mlctr("rmi", image)[0])
        self.mlctr("gc", "--max-size", "0")
        self.assertEqual(self.sh("run", "pieces", "python3", "-c", "import json; print(json.dumps(6 * 7))"), "42")
        [container] = [one for one in self.json("du")["named_containers"] if one["name"] == "pieces"]
        self.assertGreater(container["own_image"], 50_000_000)
        self.mlctr("rm", "pieces")
        self.mlctr("gc", "--max-size", "0")
        self.assertEqual(self.store_files("layers"), [])
        self.assertLess(self.json("du")["total"], 10_000_000)

    def test_gc_sweeps_what_was_left(self):
        containers = self.store / "containers"
        old, new, removed = containers / ".new-0123456789abcdef", containers / ".new-fedcba9876543210", containers / ".removed-0123456789abcdef"
        for directory in (old, new, removed):
            as_root("mkdir", "-p", directory / "upper/closed")
            as_root("chown", "-R", f"{self.user}:", directory)
            as_root("chmod", "0", directory / "upper/closed")
        as_root("touch", "-d", "-2 hours", old)
        dead = self.home / "run/mlctr/sockets"
        if not dead.exists():
            self.json("ps")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(dead / "4711.run"))
        self.give_to_user(dead / "4711.run")
        self.assertIn(".removed-", self.mlctr("gc", "--dry-run")[0])
        self.assertTrue(removed.exists())
        self.mlctr("gc")
        self.assertEqual(sorted(os.listdir(containers)), [new.name, "c"])
        self.assertEqual(self.runtime_sockets(), [])

    def test_du(self):
        self.run_in("c", "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=2")
        usage = self.json("du")
        [container] = usage["named_containers"]
        self.assertEqual((container["name"], container["own_image"]), ("c", 0))
        self.assertAlmostEqual(container["changes"], 2 << 20, delta=128 << 10)
        self.assertAlmostEqual(usage["containers"], 2 << 20, delta=256 << 10)
        self.assertRegex(self.mlctr("du")[0], r"\nCONTAINER .*\nc +2\.\d MB")

    def test_completion_and_help(self):
        self.assertEqual(self.sh("completion", "containers"), "c")
        self.assertIn("c", self.sh("completion", "targets").split())
        self.assertIn("mlctr completion targets", self.sh("completion", "bash"))
        groups = self.sh("help")
        [containers] = [part for part in groups.split("\n\n") if part.startswith("Containers")]
        self.assertEqual([line.split()[0] for line in containers.splitlines()[1:5]], ["run", "exec", "ps", "create"])
        self.fails("start", says="mlctr run")


class Errors(NamedContainerTestCase):
    def test_names(self):
        for name in ("a/b", "x" * 300, "", "..", ".hidden", "a b", "a\n"):
            with self.subTest(name=name):
                self.fails("create", "--name", name, self.image, says="name")
                self.fails("run", "--name", name, self.image, "true", says="name") if name else None
                self.fails("rm", name, says="container")
        self.create("x" * 64)
        self.assertEqual(self.sh("run", "x" * 64, "echo", "well"), "well")
        self.fails("create", "--name", "x" * 64, self.image, says="already")

    def test_what_can_not_be_run(self):
        file = self.home / "image.sqsh"
        self.mlctr("pull", "--quiet", "--output", file, self.image)
        self.assertEqual(self.run_in(file, "echo", "well")[0], "well\n")
        content = file.read_bytes()
        truncated = self.write("truncated.sqsh", "", mode=0o644)
        truncated.write_bytes(content[: len(content) // 2])
        archive = self.home / "image.tar"
        subprocess.run(["tar", "-C", self.image.split(":")[1], "-cf", archive, "."], check=True)
        (self.home / "directory").mkdir()
        self.fails("run", truncated, "true", says="truncated.sqsh")
        self.fails("run", archive, "true", says="oci-archive:")
        self.fails("run", self.home / "directory", "true", says="directory")
        self.fails("run", self.home / "missing.sqsh", "true", says="missing.sqsh", hint=False)
        self.fails("run", "--pull", "never", "nosuchimage", "true", says=["nosuchimage", "mlctr pull"])
        self.fails("run", says="mlctr run")

    def test_commands(self):
        self.fails("run", self.image, "nosuchcommand", status=127, says=["command not found in the container: nosuchcommand", "PATH there is /bin"])
        self.fails("run", self.image, "/etc/motd", status=126, says=["cannot run /etc/motd", "chmod"])
        self.fails("run", self.image, "/etc", status=126, says="/etc", hint=False)
        self.fails("run", "--workdir", "/nowhere", self.image, "true", says="cannot start in the container's /nowhere", hint=False)
        self.create()
        self.running("c")
        self.fails("exec", "c", "nosuchcommand", status=127, says="command not found")

    def test_mounts(self):
        marker = self.home / "started"
        program = ("sh", "-c", f"touch {marker}")
        self.fails("run", "--mount", "/no/such:/mnt", self.image, *program, says="source path does not exist: /no/such", hint=False)
        self.fails("run", "--mount", "/usr:/../../mnt", self.image, *program, says="cross-device link")
        self.fails("run", "--mount", "/usr:/etc/motd", self.image, *program, says="/etc/motd", hint=False)
        self.fails("run", "--mount", "/etc/passwd:/etc", self.image, *program, says="/etc", hint=False)
        self.fails("run", "--mount", "/usr:/mnt:rx", self.image, *program, says="no such mount option: rx")
        self.assertFalse(marker.exists())
        self.assert_nothing_runs()  # a server ends after its maker, which is what has told the error
        self.assertEqual(self.runtime_sockets(), [])

    def test_another_architecture(self):
        if list(pathlib.Path("/proc/sys/fs/binfmt_misc").glob("qemu-*")):
            self.skipTest("an interpreter is registered here: update-binfmts --disable")
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        layout_directory = directory / "foreign"
        subprocess.run(["cp", "-r", self.image.split(":")[1], layout_directory], check=True)
        change_config(layout_directory, architecture="s390x")
        subprocess.run(["chmod", "-R", "a+rX", directory], check=True)
        self.mlctr("pull", "--quiet", "--arch", "s390x", f"oci:{layout_directory}:1")
        self.fails("run", f"oci:{layout_directory}:1", "true", says=["is for s390x, this machine is", "--arch"])

    def test_no_fuse(self):
        if not is_root():
            self.skipTest("hiding /dev/fuse takes root")
        node = self.home / "fuse"
        as_root("mknod", "-m", "600", node, "c", "10", "229")
        command = ["unshare", "--mount", "sh", "-c", f'mount --bind {node} /dev/fuse && exec "$@"', "sh", *self._command(["run", self.image, "true"])]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=self.home)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertRegex(ended.stderr, r"cannot open /dev/fuse: Permission denied: unpacking.*chmod 0666 /dev/fuse")

    def test_a_stopped_server_is_told_and_goes_on(self):
        self.create()
        process = self.running("c")
        (server,) = servers_below(self.home)
        as_root("kill", "-STOP", server)
        self.fails("run", "c", "true", says=["does not answer", "pkill -CONT mlctr-server"])
        as_root("kill", "-CONT", server)
        self.assertEqual(self.mlctr("run", "c", "echo", "in")[0], "in\n")
        self.end(process)

    def test_a_removed_current_directory(self):
        self.create()
        gone = self.home / "tmp/gone"
        as_root("install", "-d", "-o", self.uid, gone)
        for arguments, says in ((["save", "c", "x.sqsh"], "the current directory was removed"), (["run", "c", "pwd"], "")):
            command = ["sh", "-c", f'mkdir -p {gone}; cd {gone}; rmdir {gone}; exec "$@"', "sh", *self._command(arguments)]
            ended = subprocess.run(command, capture_output=True, text=True, cwd=self.home)
            self.assertIn(says, ended.stderr)
            self.assertEqual(ended.returncode, 125 if says else 0, ended.stderr)

    def test_a_container_is_no_image(self):
        self.create()
        self.fails("inspect", "c", says=["c is a container, not an image", "mlctr save c FILE.sqsh"])

    def test_exit_codes_of_signals(self):
        self.assertEqual(self.mlctr("run", self.image, "sh", "-c", "kill -KILL $$", status=-signal.SIGKILL)[1], "")
        self.mlctr("run", "--unshare", "pid", self.image, "sh", "-c", "kill -SEGV $$", status=139)
        self.mlctr("run", "--rm", "--name", "c", self.image, "sh", "-c", "kill -SEGV $$", status=139)
        self.mlctr("run", "--rm", "--name", "c", self.image, "sh", "-c", "kill -TERM $$", status=-signal.SIGTERM)
