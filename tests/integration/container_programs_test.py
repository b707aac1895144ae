"""What a program in a container finds: its environment, mounts, namespaces, terminal, signals and pipes."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

from containers import layout
from named_containers import WAIT_SECONDS, NamedContainerTestCase, change_config, until


def heed_interrupts():
    """A shell starts what runs in the background with SIGINT ignored, and mlctr passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Environment(NamedContainerTestCase):
    def variables(self, *options, image=None):
        out = self.mlctr("run", *options, image or self.image, "env")[0]
        return dict(line.split("=", 1) for line in out.splitlines())

    def test_layers(self):
        self.host_variables = {"SLURM_JOB_ID": "17", "LANG": "C.UTF-8", "PYTHON_VERSION": "host's"}
        found = self.variables("--env", "A=1", "--env", "SLURM_JOB_ID=mine", image=layout("python"))
        self.assertEqual([found[name] for name in ("A", "SLURM_JOB_ID", "PYTHON_VERSION")], ["1", "mine", "3.8"])
        self.assertEqual((found["HOME"], found["container"]), (str(self.home), "mlctr"))
        self.assertEqual(self.variables()["SLURM_JOB_ID"], "17")
        found = self.variables("--remap-root")
        self.assertEqual((found["HOME"], found["USER"]), ("/root", "root"))
        self.assertEqual(self.variables("--no-mount-home")["HOME"], "/")

    def test_host_paths_do_not_leak_but_when_asked(self):
        steering = {"PYTHONPATH": "/host/py", "LD_LIBRARY_PATH": "/host/lib", "LD_PRELOAD": "/host/lib.so", "BASH_ENV": "/host/rc", "MANPATH": "/host"}
        # LD_PRELOAD of a file that is not there makes env(1) and setpriv say so, and nothing else.
        self.host_variables = steering | {"KEEP": "this"}
        found = self.variables()
        self.assertEqual({name: found.get(name) for name in steering}, dict.fromkeys(steering))
        self.assertEqual(found["KEEP"], "this")
        asked = [word for name in steering for word in ("--env", name)]
        found = self.variables(*asked)
        self.assertEqual({name: found.get(name) for name in steering}, steering)
        self.assertNotIn("NOT_THERE", self.variables("--env", "NOT_THERE"))

    def test_env_file(self):
        self.host_variables = {"FROM_HOST": "yes"}
        file = self.write("some.env", "# comment\n\nA=1\nB=with spaces and = and #\n  C=\r\nFROM_HOST\nABSENT\nLAST=1\nLAST=2\n", mode=0o644)
        found = self.variables("--env-file", file, "--env", "A=over")
        self.assertEqual([found.get(n) for n in ("A", "B", "C", "FROM_HOST", "ABSENT", "LAST")], ["over", "with spaces and = and #", "", "yes", None, "2"])
        self.write("bad.env", "A=1\nnot a variable=2\n", mode=0o644)
        self.fails("run", "--env-file", "bad.env", self.image, "true", says=["--env-file bad.env", "line 2"], hint=False)
        self.fails("run", "--env-file", "nothere.env", self.image, "true", says="nothere.env", hint=False)
        self.fails("run", "--env", "=x", self.image, "true", says="not a variable")

    def test_explain_env(self):
        self.host_variables = {"SLURM_JOB_ID": "17"}
        out = self.mlctr("run", "--explain-env", "--env", "A=1", self.image, "touch", f"{self.home}/ran")[0]
        for line in ("A=1    # --env", "PATH=/bin    # image", "SLURM_JOB_ID=17    # host", "container=mlctr    # mlctr"):
            self.assertIn(line + "\n", out)
        self.assertFalse((self.home / "ran").exists())
        run = self.variables("--env", "A=1")
        self.assertEqual({line.split("    # ")[0] for line in out.splitlines()}, {f"{k}={v}" for k, v in run.items() if k != "SHLVL"})


class Entrypoints(NamedContainerTestCase):
    """docker's table: ENTRYPOINT + (command, else CMD); --entrypoint replaces both of the image's."""

    def image_with(self, **config):
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "image"
        subprocess.run(["cp", "-r", self.image.split(":")[1], directory], check=True)
        change_config(directory, **config)
        subprocess.run(["chmod", "-R", "a+rX", directory.parent], check=True)
        name = f"oci:{directory}:1"
        self.mlctr("pull", "--quiet", name)
        return name

    def test_rules(self):
        both = self.image_with(Entrypoint=["echo", "entry"], Cmd=["cmd"], WorkingDir="/var")
        neither = self.image_with(Entrypoint=None, Cmd=None)
        for expected, *arguments in (
            ("entry cmd", both),
            ("entry a b", both, "a", "b"),
            ("entry -x", both, "--", "-x"),
            ("plain", "--no-entrypoint", both, "echo", "plain"),
            ("own a", "--entrypoint", "/bin/echo", both, "own", "a"),
            ("", "--entrypoint", "/bin/echo", both),
            ("/var", "--no-entrypoint", both, "pwd"),
            ("/etc", "--no-entrypoint", "--workdir", "/etc", both, "pwd"),
            (str(self.home), neither, "pwd"),
        ):
            with self.subTest(arguments=arguments[:-1]):
                self.assertEqual(self.sh("run", *arguments), expected)
        self.assertEqual(self.mlctr("run", neither, stdin="echo shell\n")[0], "shell\n")
        self.assertEqual(self.mlctr("run", self.image, stdin="echo $0\n")[0], "sh\n")


class Namespaces(NamedContainerTestCase):
    def test_own_ones(self):
        script = "for kind in net ipc uts pid mnt user; do readlink /proc/self/ns/$kind; done"
        host = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "ipc", "uts", "pid", "mnt", "user")]
        shared = self.sh("run", self.image, "sh", "-c", script).split()
        own = self.sh("run", "--unshare", "net,ipc", "--unshare", "uts,pid", self.image, "sh", "-c", script).split()
        self.assertEqual([a == b for a, b in zip(host, shared)], [True] * 4 + [False] * 2)
        self.assertEqual([a == b for a, b in zip(host, own)], [False] * 6)

    def test_net_has_a_loopback_that_is_up(self):
        out = self.sh("run", "--unshare", "net", self.image, "sh", "-c", "ls /sys/class/net; ip -o link; ping -c 1 -W 2 127.0.0.1 > /dev/null 2>&1; cat /proc/net/route | wc -l")
        self.assertRegex(out, r"^lo\n1: lo: <LOOPBACK,UP,LOWER_UP>")
        self.assertRegex(out, r"\n1$")

    def test_uts_takes_a_hostname(self):
        host = os.uname().nodename
        self.assertEqual(self.sh("run", "--remap-root", "--unshare", "uts", self.image, "sh", "-c", "hostname box && hostname"), "box")
        self.assertEqual(os.uname().nodename, host)
        self.assertEqual(self.sh("run", self.image, "hostname"), host)

    def test_pid_one_reaps(self):
        script = "(sh -c 'sleep 0.1 &'); sleep 0.4; ps -o pid,stat,comm; echo pid $$"
        out = self.sh("run", "--unshare", "pid", self.image, "sh", "-c", script)
        self.assertNotRegex(out, r" Z")
        self.assertLess(int(re.search(r"pid (\d+)", out)[1]), 5)
        self.assertLess(len(out.splitlines()), 7)

    def test_ipc_is_own_memory(self):
        name = f"mlctr-{os.getpid()}"
        self.addCleanup(pathlib.Path(f"/dev/shm/{name}").unlink, missing_ok=True)
        self.sh("run", "--unshare", "ipc", self.image, "touch", f"/dev/shm/{name}")
        self.assertFalse(os.path.exists(f"/dev/shm/{name}"))
        self.sh("run", self.image, "touch", f"/dev/shm/{name}")
        self.assertTrue(os.path.exists(f"/dev/shm/{name}"))

    def test_mistakes(self):
        self.fails("run", "--unshare", "network", self.image, "true", says="unknown namespace: network")

    def test_nothing_stays_behind_a_pid_namespace(self):
        self.mlctr("run", "--unshare", "pid", self.image, "sh", "-c", "sleep 600 & setsid sleep 600 & exit 3", status=3)
        until(lambda: not self.processes(), "the namespace's end")


class Mounts(NamedContainerTestCase):
    def test_sources(self):
        data = self.home / "da ta"
        data.mkdir()
        data.chmod(0o777)
        self.write(data / "file", "content\n", mode=0o644)
        mounts = ("da ta:/mnt/rel", f"{data}:/mnt/ro:ro+nosuid+nodev+noexec+noatime", f"{data / 'file'}:/etc/motd", "/dev/zero:/mnt/zero", "tmpfs:/scratch", f"{data}:/with space/and\\:colon")
        script = (
            "cat /mnt/rel/file /etc/motd '/with space/and:colon/file'; echo x > /mnt/rel/new; echo x > /mnt/ro/no;"
            "head -c 2 /mnt/zero | od -An -tx1; touch /scratch/f && ls /scratch; stat -f -c %T /scratch"
        )
        out, errors = self.mlctr("run", *(word for mount in mounts for word in ("--mount", mount)), self.image, "sh", "-c", script)
        self.assertEqual(out, "content\ncontent\ncontent\n 00 00\nf\ntmpfs\n")
        self.assertIn("Read-only file system", errors)
        self.assertEqual((data / "new").read_text(), "x\n")

    def test_a_directory_of_the_hosts_on_etc_gets_nothing(self):
        etc = self.home / "etc"
        etc.mkdir()
        etc.chmod(0o777)
        self.assertEqual(self.sh("run", "--mount", "etc:/etc", self.image, "ls", "/etc"), "")
        self.assertEqual(list(etc.iterdir()), [])
        self.assertEqual(self.sh("run", "--mount", "/dev/null:/etc/passwd", self.image, "cat", "/etc/passwd"), "")

    def test_umount_and_nofail(self):
        self.assertNotIn("host", self.sh("run", "--mount", "umount:/tmp", self.image, "ls", "/tmp"))
        self.assertNotIn(self.home.name, self.sh("run", "--mount", "umount:/tmp", "--workdir", "/", self.image, "ls", "/tmp"))
        self.assertEqual(self.sh("run", "--mount", "/no/such:/mnt:nofail", self.image, "echo", "well"), "well")

    def test_a_squashfs_file_is_a_directory(self):
        tree = self.home / "dataset"
        tree.mkdir()
        (tree / "sample").write_text("42\n")
        file = self.image_from(tree)
        self.assertEqual(self.sh("run", "--mount", f"{file}:/data", self.image, "cat", "/data/sample"), "42")
        self.assertEqual(self.sh("run", "--mount", f"{file}:/data:file", self.image, "head", "-c", "4", "/data"), "hsqs")
        out = self.mlctr("run", "--mount", f"{file}:/data", self.image, "touch", "/data/new", status=1)[1]
        self.assertIn("Read-only file system", out)

    def test_a_file_that_only_has_such_a_name(self):
        self.write("text.sqsh", "no squashfs\n", mode=0o644)
        self.fails("run", "--mount", "text.sqsh:/data", self.image, "true", says=["--mount text.sqsh:/data: it is no squashfs file"])
        self.assertEqual(self.sh("run", "--mount", "text.sqsh:/data:file", self.image, "cat", "/data"), "no squashfs")

    def test_the_current_directory_brought_along(self):
        for mount in (".", "/usr/share"):
            command = ["sh", "-c", 'cd /usr/share/doc && exec "$@"', "sh", *self._command(["run", "--mount", mount, self.image, "pwd"])]
            ended = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual((ended.stdout, ended.stderr), ("/usr/share/doc\n", ""))

    def test_read_only(self):
        options = ("--read-only", "--mount", "/usr:/mnt/made", "--mount", "tmpfs:/scratch")
        for name in ((), ("--name", "c")):
            out, errors = self.mlctr("run", *options, *name, self.image, "sh", "-c", "touch /scratch/f; ls -d /mnt/made/bin; touch /etc/x; echo $?")
            self.assertEqual(out, "/mnt/made/bin\n1\n")
            self.assertIn("/etc/x: Read-only file system", errors)

    def test_home(self):
        self.write("mine", "here\n", mode=0o644)
        self.assertEqual(self.sh("run", self.image, "sh", "-c", "cat ~/mine"), "here")
        errors = self.mlctr("run", "--no-mount-home", "--mount", "umount:/tmp", "--workdir", "/", self.image, "cat", self.home / "mine", status=1)[1]
        self.assertIn("No such file", errors)


class Programs(NamedContainerTestCase):
    def test_pipes_are_binary_clean(self):
        data = os.urandom(3 << 20)
        for options in ((), ("--unshare", "pid")):
            process = self.start("run", *options, self.image, "cat", stdin=subprocess.PIPE, text=False)
            out, errors = process.communicate(data, timeout=60)
            self.assertEqual((out == data, errors, process.returncode), (True, b"", 0), options)

    def test_closed_readers_end_it(self):
        process = self.start("run", self.image, "yes")
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), -signal.SIGPIPE)
        process.stderr.close()

    def test_descriptors_do_not_leak(self):
        read, write = os.pipe()
        extra = [os.dup(write) for _ in range(200)]
        out, _ = self.start("run", self.image, "ls", "/proc/self/fd", pass_fds=extra).communicate(timeout=WAIT_SECONDS)
        inside = [int(fd) for fd in out.split()]
        for fd in [*extra, read, write]:
            os.close(fd)
        self.assertEqual(sorted(set(inside) - set(extra) - {0, 1, 2, 3}), [], "mlctr's own")

    def test_signals_reach_the_program(self):
        script = "trap 'echo got term; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
        for options in ((), ("--unshare", "pid"), ("--rm", "--name", "c")):
            process = self.start("run", *options, self.image, "sh", "-c", script)
            self.addCleanup(self.end, process)
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=WAIT_SECONDS)
            self.assertEqual((out, errors, process.returncode), ("got term\n", "", 5), options)

    def test_the_end_of_mlctr_is_the_programs(self):
        for options in (("--unshare", "pid"), ("--rm", "--name", "c")):
            process = self.running(*options, self.image, script="exec sleep 600")
            process.kill()
            process.communicate()
            until(lambda: not self.processes(), f"the end of what {options} started")

    def terminal(self, *arguments):
        """mlctr on a terminal of its own: (process, master descriptor)."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = self.start(*arguments, stdin=slave, stdout=slave, stderr=slave, preexec_fn=take_terminal)
        os.close(slave)
        self.addCleanup(os.close, master)
        self.addCleanup(self.end, process)
        return process, master

    def read_until(self, master, pattern):
        text, deadline = "", time.monotonic() + WAIT_SECONDS
        while not re.search(pattern, text):
            ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
            try:
                part = os.read(master, 4096).decode(errors="replace") if ready else ""
            except OSError:  # EIO: the last program on it has ended
                part = ""
            if not part:
                self.fail(f"no {pattern!r} in {text!r}")
            text += part
        return text

    def test_interrupt_and_window_size(self):
        for options in ((), ("--unshare", "pid"), ("--name", "c")):
            process, master = self.terminal("run", *options, self.image, "sh", "-c", "trap 'echo got int; exit 6' INT; stty size; while :; do sleep 0.05; done")
            self.read_until(master, "33 99")
            os.write(master, b"\x03")
            self.read_until(master, "got int")
            self.assertEqual(process.wait(timeout=WAIT_SECONDS), 6, options)

    def test_interrupt_without_a_handler(self):
        process, master = self.terminal("run", self.image, "sleep", "600")
        until(lambda: b"sleep\n" in [pathlib.Path(f"/proc/{p}/comm").read_bytes() for p in self.processes() if os.path.exists(f"/proc/{p}/comm")], "sleep")
        os.write(master, b"\x03")
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), -signal.SIGINT)

    def test_a_terminal_that_goes_away(self):
        for options in ((), ("--unshare", "pid"), ("--name", "c")):
            process, master = self.terminal("run", *options, self.image, "sleep", "600")
            until(lambda: "sleep" in map(self.name_of, self.processes()), "sleep")
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, master)
            os.close(null)
            self.assertIn(process.wait(timeout=WAIT_SECONDS), (-signal.SIGHUP, 128 + signal.SIGHUP), options)
            until(lambda: not self.processes(), f"the end of what {options} started")

    def from_shell(self, script, *arguments):
        """Output of mlctr, started by a shell that did something before."""
        command = ["sh", "-c", f'{script}; exec "$@"', "sh", *self._command(arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, restore_signals=True).stdout

    def test_ignored_signals_and_the_umask_are_the_sessions(self):
        script = ("sh", "-c", "grep SigIgn /proc/self/status; umask; stat -c %a /")
        for options in ((), ("--unshare", "pid"), ("--name", "c")):
            out = self.from_shell("trap '' PIPE XFSZ; umask 077", "run", *options, self.image, *script)
            self.assertEqual(out, "SigIgn:\t0000000001001000\n0077\n755\n", options)

    def has_terminal(self, name):
        """A process of that name runs and is whom keys are for (proc(5): state, pgrp, tpgid)."""
        for pid in self.processes():
            if self.name_of(pid) == name:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                return fields[0] != "T" and fields[2] == fields[5]
        return False

    def test_job_control(self):
        process, master = self.terminal("run", "--name", "c", self.image, "sh", "-i")
        prompt = r"\$ "  # a line editor that comes later throws away what was typed before
        self.read_until(master, prompt)
        os.write(master, b"sleep 600\n")
        self.read_until(master, "sleep 600")
        until(lambda: self.has_terminal("sleep"), "sleep")
        os.write(master, b"\x1a")
        self.read_until(master, r"Stopped[\s\S]*" + prompt)
        os.write(master, b"fg\n")
        self.read_until(master, r"fg\s+.*sleep 600")
        until(lambda: self.has_terminal("sleep"), "sleep again")
        os.write(master, b"\x03")
        self.read_until(master, r"\^C[\s\S]*" + prompt)
        os.write(master, b"exit 4\n")
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), 4)

    def test_the_prompt_says_which_container_it_is(self):
        script = 'echo "[$debian_chroot $MLCTR_CONTAINER]"'
        for arguments, shown in ((("run", "--name", "c", self.image), "[c c]"), (("run", self.image), "[busybox:1 ]")):
            process, master = self.terminal(*arguments, "sh", "-c", script)
            self.assertIn(shown, self.read_until(master, r"\]"))
            self.assertEqual(process.wait(timeout=WAIT_SECONDS), 0)
        self.assertEqual(self.sh("run", "c", "sh", "-c", script), "[ c]")
        self.running("c")
        self.assertEqual(self.sh("exec", "c", "sh", "-c", script), "[ c]")
        process, master = self.terminal("exec", "c", "sh", "-c", script)
        self.assertIn("[c c]", self.read_until(master, r"\]"))
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), 0)

    def test_lost_changes_are_told_on_a_terminal(self):
        process, master = self.terminal("run", self.image, "sh", "-c", "touch /one /two; rm /etc/motd")
        self.assertIn("3 changed files went with this unnamed container (/one, /two, /etc/motd); --name NAME keeps them", self.read_until(master, r"keeps them|\Z(?<=x)"))
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), 0)
        script = "mkdir -p /root/.cache/pip /var/lib/apt /opt/x/y; touch /root/.cache/pip/a /var/lib/apt/b /opt/x/y/c /opt/x/d /e /f"
        process, master = self.terminal("run", "-r", self.image, "sh", "-c", script)
        self.assertIn("6 changed files went with this unnamed container (/e, /f, /opt/x/d, …);", self.read_until(master, "keeps them"))
        self.assertEqual(process.wait(timeout=WAIT_SECONDS), 0)
        for arguments in ((self.image, "echo", "all"), ("--name", "c", self.image, "sh", "-c", "touch /one; echo all")):
            process, master = self.terminal("run", *arguments)
            self.assertEqual(self.read_until(master, "all\r\n"), "all\r\n")
            self.assertEqual(process.wait(timeout=WAIT_SECONDS), 0)
            with self.assertRaises(OSError):
                self.fail(f"more was said: {os.read(master, 4096)}")


class Python(NamedContainerTestCase):
    def test_a_real_interpreter(self):
        script = "import json, sys, os, site; print(json.dumps([sys.version_info[0], site.ENABLE_USER_SITE, os.getuid()]))"
        self.host_variables = {"PYTHONPATH": str(self.home / "host"), "PYTHONHOME": "/nowhere"}
        out = self.sh("run", layout("python"), "python3", "-c", script)
        self.assertEqual(out, f"[3, false, {self.uid}]")
        process = self.start("run", layout("python"), "python3", "-c", "import time; print('up', flush=True); time.sleep(600)", preexec_fn=heed_interrupts)
        self.addCleanup(self.end, process)
        process.stdout.readline()
        time.sleep(0.5)  # Python loses a signal that comes between its last look and the system call
        process.send_signal(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", process.communicate(timeout=WAIT_SECONDS)[1])
        self.assertEqual(process.returncode, -signal.SIGINT)
