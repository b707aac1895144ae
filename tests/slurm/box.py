#!/usr/bin/python3
"""A Slurm cluster on one machine: munge, slurmctld, a login node and nodes n1, n2 and n3, all below one directory.

Usage: box.py up|down|shell|run [--node NODE] -- COMMAND...      as root; COMMAND runs as the ordinary user of the tests
The directory is $MLCTR_BOX, else /tmp/mlctr-box. `up` takes --plugstack LINE, --set LINE (of slurm.conf) and --cgroup.

Every machine of it has a mount and a UTS namespace (and a node a pid namespace) of its own, with its own /tmp, /run and
/dev/shm, so that what is local to a node can't be found on another. They share the network: ports and abstract sockets.
"""
import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent / "servers")]

from harness import ordinary_user  # noqa: E402
from server import free_port  # noqa: E402
from slurm_conf import make_devices, write_configuration  # noqa: E402

NODES = ("n1", "n2", "n3")
START_SECONDS = 60
END_SECONDS = 20
COMMAND_SECONDS = 120
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def until(condition, what, seconds=START_SECONDS):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return value


def began(pid):
    """When a process started, in the kernel's ticks: with the pid it names one process for ever. None: it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def is_named(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text() == f"{name}\n"
    except OSError:
        return False  # it went this moment


def processes_with(variable):
    """Pids of the processes whose environment has NAME=VALUE."""
    found = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"{variable}\0".encode() in (directory / "environ").read_bytes():
                found.append(int(directory.name))
        except OSError:
            continue  # it went this moment
    return found


class SlurmBox:
    """A context manager. `plugstack`: text of plugstack.conf. `settings`: lines of slurm.conf. `cgroup`: tasks are confined to
    their cores and GPUs. What the machines share, a home (`home`) for instance, is below `directory`."""

    def __init__(self, plugstack="", settings=(), cgroup=False, directory=None):
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="mlctr-box-"))
        self.plugstack, self.settings, self.cgroup = plugstack, settings, cgroup
        self.user = ordinary_user()
        self.account = pwd.getpwnam(self.user)
        self.home = self.directory / "home"
        self.machines = {}  # name: [pid of its first process, when it began]

    # Bringing up

    def __enter__(self):
        try:
            return self.start(preexec_fn=die_with_parent)
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self, **popen):
        """popen: of the machines' first processes; by default they outlive whoever starts them."""
        self.popen = popen
        self.directory.mkdir(exist_ok=True)
        self.directory.chmod(0o755)
        for name in ("run", "log", "spool", "spool/slurmctld", *(f"spool/{node}" for node in NODES), "home"):
            (self.directory / name).mkdir(mode=0o755)
        os.chown(self.home, self.account.pw_uid, self.account.pw_gid)
        make_devices(self.directory)
        write_configuration(self.directory, {name: free_port() for name in ("login", *NODES)}, self.plugstack, self.settings, self.cgroup)
        key = self.directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        munged = f"/usr/sbin/munged --foreground --force --key-file={key} --num-threads=2"
        for kind, name in (("socket", "run/munge.socket"), ("pid-file", "run/munged.pid"), ("log-file", "log/munged.log"), ("seed-file", "spool/munge.seed")):
            munged += f" --{kind}={self.directory}/{name}"
        self._start_machine("login", [munged, "slurmctld -D"], popen)
        until(lambda: (self.directory / "run/munge.socket").exists(), f"munged: see {self.directory}/log")
        for node in NODES:
            self._start_machine(node, [f"slurmd -D -N {node}"], popen)
        (self.directory / "state.json").write_text(json.dumps({"machines": self.machines, "cgroup": self.cgroup}))
        self.wait_until_idle()
        return self

    def _start_machine(self, name, services, popen):
        namespaces = ["--mount", "--uts", "--propagation", "slave"]
        if name != "login":  # there, a command that nsenter becomes is our child, and can be sent signals
            namespaces += ["--pid", "--fork", "--kill-child", "--mount-proc"]
        log = (self.directory / f"log/{name}.out").open("ab")
        settings = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True, "cwd": "/"} | popen
        command = ["/usr/bin/unshare", *namespaces, str(HERE / "machine.sh"), str(self.directory), name, str(self.account.pw_uid), *services]
        process = subprocess.Popen(command, env=self.environment(user="root"), **settings)
        log.close()
        ready = self.directory / f"run/{name}.up"
        until(lambda: ready.exists() or process.poll() is not None, f"machine {name}")
        if process.poll() is not None:
            raise RuntimeError(f"machine {name}: {pathlib.Path(log.name).read_text()}")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        pid = process.pid if name == "login" else int(children[0])
        self.machines[name] = [pid, began(pid)]

    def wait_until_idle(self):
        until(self._is_idle, f"a cluster whose nodes are all idle: see {self.directory}/log")

    def reboot(self, node):
        """All its processes, and what is in its /tmp, /run and /dev/shm, are gone at once."""
        os.kill(self.machines[node][0], signal.SIGKILL)
        until(lambda: began(self.machines[node][0]) is None, f"the end of {node}", END_SECONDS)
        (self.directory / f"run/{node}.up").unlink()
        self._start_machine(node, [f"slurmd -D -N {node}"], self.popen)

    def restart_slurmd(self, node):
        """As an update of Slurm does it: steps go on."""
        inside = f"/proc/{self.machines[node][0]}/ns/pid"
        running = [pid for pid in processes_with(f"SLURM_CONF={self.directory}/slurm.conf") if is_named(pid, "slurmd") and os.path.samefile(f"/proc/{pid}/ns/pid", inside)]
        for pid in running:
            os.kill(pid, signal.SIGTERM)
        until(lambda: not any(began(pid) for pid in running), f"the end of {node}'s slurmd", END_SECONDS)
        self.run("sh", "-c", f"slurmd -N {node} > {self.directory}/log/{node}.again 2>&1 < /dev/null", node=node, user="root")

    def _is_idle(self):
        found = self.run("sinfo", "--noheader", "--partition=all", "--Node", "--format=%T", user="root").stdout.split()
        return found == ["idle"] * len(NODES)

    # Taking down

    @classmethod
    def found_in(cls, directory):
        """The one that `up` left there."""
        state = json.loads((directory / "state.json").read_text())
        box = cls(directory=directory, cgroup=state["cgroup"])
        box.machines = state["machines"]
        return box

    def stop(self):
        for pid, start in self.machines.values():
            if start is not None and began(pid) == start:
                os.kill(pid, signal.SIGKILL)  # a node's takes everything in its pid namespace along
        until(self._is_killed, f"the end of {self.directory}'s processes", END_SECONDS)
        if self.cgroup:
            until(self._has_no_cgroup, "the end of the nodes' cgroups", END_SECONDS)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _is_killed(self):
        """The login node's processes: the box's munged and slurmctld, and what commands left."""
        pids = [pid for pid in processes_with(f"SLURM_CONF={self.directory}/slurm.conf") if pid != os.getpid()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    @staticmethod
    def _has_no_cgroup():
        """Removes what is empty by now."""
        tops = [path for node in NODES for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/slurm_{node}")]
        for top in tops:
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
        return not tops

    # Using

    def environment(self, user=None, **more):
        """Of a fresh login; None as a value leaves a variable out."""
        user = user or self.user
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "USER": user, "LOGNAME": user, "SHELL": "/bin/sh",
            "HOME": str(self.home) if user == self.user else pwd.getpwnam(user).pw_dir, "SLURM_CONF": f"{self.directory}/slurm.conf",
        }  # fmt: skip
        if user != "root":
            environment["XDG_RUNTIME_DIR"] = f"/run/user/{pwd.getpwnam(user).pw_uid}"
        return {name: str(value) for name, value in (environment | more).items() if value is not None}

    def command(self, *words, node="login", user=None, cwd=None):
        """What runs a command on one of the machines, as the ordinary user: it becomes the command, on the login node."""
        user = user or self.user
        cwd = cwd or (self.home if user == self.user else "/")
        enter = ["/usr/bin/nsenter", f"--target={self.machines[node][0]}", "--mount", "--uts", f"--wdns={cwd}"]
        if node != "login":
            enter += ["--pid"]
        account = pwd.getpwnam(user)
        change = ["/usr/bin/setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        return [*enter, *(change if user != "root" else []), "--", *map(str, words)]

    def start_command(self, *words, node="login", user=None, cwd=None, env=None, **popen):
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | popen
        command = self.command(*words, node=node, user=user, cwd=cwd)
        return subprocess.Popen(command, env=self.environment(user=user, **(env or {})), **settings)

    def run(self, *words, stdin=None, seconds=COMMAND_SECONDS, **more):
        """The finished command: returncode, stdout, stderr."""
        process = self.start_command(*words, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, **more)
        try:
            out, errors = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
            raise RuntimeError(f"{words} hung:\n{out[-2000:]}{errors[-4000:]}") from None
        return subprocess.CompletedProcess(words, process.returncode, out, errors)

    def srun(self, *words, **more):
        return self.run("srun", *words, **more)

    def log(self, name):
        """Of slurmctld, or of a node's slurmd."""
        return (self.directory / f"log/{'slurmctld' if name == 'login' else f'slurmd.{name}'}.log").read_text()


def default_directory():
    return pathlib.Path(os.environ.get("MLCTR_BOX", "/tmp/mlctr-box"))


def up(options):
    directory = default_directory()
    if directory.exists():
        sys.exit(f"{directory} is there already: box.py down")
    box = SlurmBox("".join(f"{line}\n" for line in options.plugstack), options.set, options.cgroup, directory)
    try:
        box.start()
    except BaseException:
        box.stop()
        raise
    print(f"up: {' '.join(NODES)}; export SLURM_CONF={directory}/slurm.conf, or: box.py run -- srun -N3 hostname")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("action", choices=["up", "down", "run", "shell"])
    options.add_argument("--plugstack", action="append", default=[])
    options.add_argument("--set", action="append", default=[])
    options.add_argument("--cgroup", action="store_true")
    options.add_argument("--node", default="login")
    options.add_argument("--user")
    words = sys.argv[1:]
    command = words[words.index("--") + 1 :] if "--" in words else []
    options = options.parse_args(words[: words.index("--")] if "--" in words else words)
    if os.geteuid() != 0:
        sys.exit("box.py needs root: sudo")
    if options.action == "up":
        return up(options)
    if not default_directory().exists():
        sys.exit("no box: box.py up") if options.action != "down" else sys.exit(0)
    box = SlurmBox.found_in(default_directory())
    if options.action == "down":
        return box.stop()
    words = box.command(*(command or ["/bin/bash"]), node=options.node, user=options.user)
    os.execve(words[0], words, box.environment(user=options.user, TERM=os.environ.get("TERM")))


if __name__ == "__main__":
    main()
