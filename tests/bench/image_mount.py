"""See image_mount.sh. Each round mounts anew, so that the first walk and the first read are cold; tools take turns within a round."""
import argparse
import contextlib
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PYTHON_TREES = ("/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/python3.12")
BIG_BYTES = 1 << 30
MOUNT_SECONDS = 20
WALK = "find {} -printf '%s\\n' > {}/walked"
READ_BIG = "cat {}/big > /dev/null"
READ_SMALL = "find {}/copy-0 -type f -exec cat {{}} + > /dev/null"


def log(text):
    print(text, file=sys.stderr, flush=True)


def make_tree(tree, files):
    """Copies of Python's own libraries up to `files`, and one big file that halves."""
    copies = [source for source in PYTHON_TREES if os.path.isdir(source)]
    made = number = 0
    while made < files:
        for source in copies:
            shutil.copytree(source, tree / f"copy-{number}" / os.path.basename(source), symlinks=True)
        if number == 0:
            each = sum(len(names) + len(more) for _, names, more in os.walk(tree))
        made, number = made + each, number + 1
    chance = random.Random(1)
    words = [chance.randbytes(8) for _ in range(4096)]
    with open(tree / "big", "wb") as big:
        for _ in range(BIG_BYTES >> 20):
            big.write(b"".join(chance.choices(words, k=131072)))


def children_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Mount:
    """`command` serves the image at `root` in the foreground (None: something is mounted there already)."""

    def __init__(self, root, command):
        self.root, self.process = root, command and subprocess.Popen(command)
        deadline = time.monotonic() + MOUNT_SECONDS
        while command and not os.path.ismount(root):
            assert self.process.poll() is None and time.monotonic() < deadline, command
            time.sleep(0.01)

    def cpu_seconds(self):
        if not self.process:
            return 0
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self):
        if not self.process:
            return 0
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def timed(self, command):
        """(seconds, CPU seconds of command and server)"""
        cpu, began = children_cpu_seconds() + self.cpu_seconds(), time.monotonic()
        subprocess.run(command, shell=True, check=True)
        return time.monotonic() - began, children_cpu_seconds() + self.cpu_seconds() - cpu


@contextlib.contextmanager
def mounted(tool, work):
    root, image = work / "mount", work / "image.sqsh"
    if tool == "plain directory":
        yield Mount(work / "tree", None)
        return
    if tool == "kernel squashfs":
        subprocess.run(["mount", "-t", "squashfs", "-o", "loop,ro", image, root], check=True)
        mount = Mount(root, None)
    else:
        mount = Mount(root, [os.environ["MLCTR_IMAGE_SERVER_DEMO"], image, root] if tool == "mlctr" else ["squashfuse_ll", "-f", image, root])
    try:
        yield mount
    finally:
        subprocess.run(["umount", root], check=True)
        if mount.process:
            mount.process.terminate()  # a mount namespace that somebody else made meanwhile may have a copy of the mount
            mount.process.wait()


def measure(tool, work):
    with mounted(tool, work) as mount:
        walk = WALK.format(mount.root, work)
        found = {"cold walk": mount.timed(walk), "warm walk": min(mount.timed(walk) for _ in range(3))}
        found["memory"] = (mount.peak_bytes() / (1 << 20), 0)
        found["small cold"] = mount.timed(READ_SMALL.format(mount.root))
        found["small warm"] = min(mount.timed(READ_SMALL.format(mount.root)) for _ in range(3))
        found["big cold"] = mount.timed(READ_BIG.format(mount.root))
        return found


def measure_unsquashfs(work):
    mount = Mount(work, None)
    return {"big cold": mount.timed(f"unsquashfs -cat {work}/image.sqsh big > /dev/null")}


def has_kernel_squashfs(work):
    try:
        with mounted("kernel squashfs", work):
            return True
    except subprocess.CalledProcessError:
        return False


def table(rounds):
    columns = ["cold walk", "warm walk", "small cold", "small warm", "big cold"]
    print(f"| | {' | '.join(columns)} | server's peak memory |")
    print("|---" * (len(columns) + 2) + "|")
    medians = {}
    for tool, found in rounds.items():
        cells = []
        for column in columns:
            seconds = [one[column][0] for one in found if column in one]
            cpu = [one[column][1] for one in found if column in one]
            if seconds:
                medians[tool, column] = statistics.median(seconds)
                cells.append(f"{statistics.median(seconds):.2f} s (CPU {statistics.median(cpu):.2f})")
            else:
                cells.append("")
        memory = max((one["memory"][0] for one in found if "memory" in one), default=0)
        print(f"| {tool} | {' | '.join(cells)} | {f'{memory:.0f} MiB' if memory else ''} |")
    print()
    for text, above, below in (
        ("cold walk: squashfuse_ll / mlctr", ("squashfuse_ll", "cold walk"), ("mlctr", "cold walk")),
        ("warm walk: mlctr / plain directory", ("mlctr", "warm walk"), ("plain directory", "warm walk")),
        ("small files cold: squashfuse_ll / mlctr", ("squashfuse_ll", "small cold"), ("mlctr", "small cold")),
        ("small files warm: mlctr / plain directory", ("mlctr", "small warm"), ("plain directory", "small warm")),
        ("big file cold: unsquashfs -cat / mlctr (speed)", ("unsquashfs -cat", "big cold"), ("mlctr", "big cold")),
    ):
        print(f"{text}: {medians[above] / medians[below]:.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-bench-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=7g,mode=755", "mlctr-bench", work], check=True)
    try:
        (work / "tree").mkdir()
        (work / "mount").mkdir()
        log("making the tree and its image")
        make_tree(work / "tree", options.files)
        subprocess.run(["mksquashfs", work / "tree", work / "image.sqsh", "-comp", "zstd", "-Xcompression-level", "3", "-b", "128K",
                        "-quiet", "-no-progress"], check=True)  # fmt: skip
        tools = ["mlctr", "squashfuse_ll", "plain directory", *(["kernel squashfs"] if has_kernel_squashfs(work) else [])]
        rounds = {tool: [] for tool in [*tools, "unsquashfs -cat"]}
        for number in range(options.runs):
            log(f"round {number + 1} of {options.runs}")
            rounds["unsquashfs -cat"].append(measure_unsquashfs(work))
            for tool in tools:
                rounds[tool].append(measure(tool, work))
        table(rounds)
    finally:
        subprocess.run(["umount", "-l", work], check=True)
        work.rmdir()


if __name__ == "__main__":
    main()
