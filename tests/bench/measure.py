"""Runs a command and says what it took: seconds, the largest process's memory, the most a filesystem held meanwhile."""
import dataclasses
import os
import signal
import subprocess
import tempfile
import threading
import time

SAMPLE_SECONDS = 0.02
LIMIT_SECONDS = 900


@dataclasses.dataclass
class Cost:
    seconds: float
    cpu_seconds: float  # of the whole tree; other load on the machine hardly changes it
    peak_rss_bytes: int  # of the largest process of the tree
    peak_disk_bytes: int
    status: int
    errors: str


def used_bytes(path):
    stat = os.statvfs(path)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


class DiskSampler(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.peak, self.done = path, 0, threading.Event()
        self.start_bytes = used_bytes(path)

    def run(self):
        while not self.done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, used_bytes(self.path) - self.start_bytes)


def measure(command, filesystem, env=None, cwd="/"):
    """`filesystem`: nothing else writes to it meanwhile."""
    sampler = DiskSampler(filesystem)
    sampler.start()
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=env, cwd=cwd, start_new_session=True)
        killer = threading.Timer(LIMIT_SECONDS, lambda: os.killpg(child.pid, signal.SIGKILL))
        killer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.monotonic() - began
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            killer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0, os.SEEK_END)
        errors.seek(max(0, errors.tell() - 2000))
        text = errors.read().decode("utf-8", "replace")
    sampler.done.set()
    sampler.join()
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, sampler.peak, child.returncode, text)
