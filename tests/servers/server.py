"""A server process of a test: started on a free loopback port, waited for, and ended with the test, whatever happens to it."""
import contextlib
import ctypes
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
START_SECONDS = 20


def _below_ephemeral():
    """Ports that no outgoing connection gets: one given out here must still be free when its server comes to bind it."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return range(min(10_000, first - 2_000), first)


_given = set()


def free_port(address="127.0.0.1"):
    """Never the same twice."""
    for port in random.sample(_below_ephemeral(), 500):
        with socket.socket() as probe:
            if port in _given or probe.connect_ex((address, port)) == 0:
                continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            _given.add(port)
            return port
    raise RuntimeError("no port is free")


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """A context manager. Subclasses fill self.directory (their scratch, removed at the end) and name the command to run."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"mlctr-{type(self).__name__.lower()}-"))
        self.log = self.directory / "log"
        self.ports = []
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent, cwd=self.directory
            )
        deadline = time.monotonic() + START_SECONDS
        while not all(self._listens(port) for port in self.ports):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop_process()
                raise RuntimeError(f"{self.command()[0]} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)
        return self

    @staticmethod
    def _listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def stop_process(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self):
        self.stop_process()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()
