#!/usr/bin/python3
"""The import benchmark; see import.sh. Image and directory lie on a disk. Cold: in a container that was just started, with
nothing of either in memory. Warm: the fourth time in the same container."""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures")]
from pull import log, machine, workplace  # noqa: E402
from run import Bench  # noqa: E402

STACK = ["python3-numpy", "python3-scipy", "python3-pandas", "python3-sympy"]
IMPORTS = "import numpy, scipy.stats, pandas, sympy"
TIMED = f"import time\nbegan = time.perf_counter()\n{IMPORTS}\nprint(time.perf_counter() - began)"
# Each a Python of its own.
REPEATED = 'for n in 1 2 3 4; do python3 -c "$0"; done'
INSTALL = """cp -r /host/apt/. /etc/apt/ && apt-get -qq update && export DEBIAN_FRONTEND=noninteractive
apt-get -qq install -y --no-install-recommends "$@" > /dev/null"""


def install(bench, disk):
    """Debian's packages in a named container, saved as an image, and that unpacked."""
    log("installing " + " ".join(STACK))
    mounts = ["--mount", "/etc/apt:/host/apt:ro"]
    for path in ("/usr/share/keyrings", "/usr/lib/apt/methods"):
        mounts += ["--mount", f"{path}:{path}:ro"]
    bench.must(bench.mlctr_path, "run", "--name", "stack", "--remap-root", *mounts, bench.image, "sh", "-ec", INSTALL, "sh", *STACK)
    image = disk / "stack.sqsh"
    bench.must(bench.mlctr_path, "save", "--quiet", "stack", image)
    tree = disk / "stack"
    subprocess.run(["unsquashfs", "-q", "-n", "-no-xattrs", "-d", tree, image], check=True)
    subprocess.run(["chown", "-R", f"{bench.user.pw_name}:", tree], check=True)
    return image, tree


def forget_files():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def imports(bench, command):
    """Seconds of the first import, of the last, and of all."""
    forget_files()
    began = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command] + ["sh", "-c", REPEATED, TIMED], user=bench.user.pw_name, group=bench.user.pw_name,
        extra_groups=[], env=bench.environment, cwd=bench.work, check=True, capture_output=True, text=True)  # fmt: skip
    seconds = [float(line) for line in done.stdout.split()]
    return seconds[0], seconds[-1], time.perf_counter() - began


def report(times):
    medians = {tool: [statistics.median(column) for column in zip(*rows)] for tool, rows in times.items()}
    print("| | cold | warm | four times, with the container's start and end |\n|---|---:|---:|---:|")
    for tool, (cold, warm, whole) in medians.items():
        print(f"| {tool} | {cold * 1e3:.0f} ms | {warm * 1e3:.0f} ms | {whole * 1e3:.0f} ms |")
    print()
    ours, directory = medians["mlctr run IMAGE"], medians["bwrap --bind DIRECTORY / (unpacked)"]
    for column, name, limit in ((0, "cold", 1.5), (1, "warm", 1.15)):
        ratio = ours[column] / directory[column]
        print(f"- {'met' if ratio <= limit else 'NOT met'}: {name}: {ratio:.2f}x of the directory's (limit {limit})")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=7)
    options = options.parse_args()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlctr-tests"
    layout = next(cache.glob("fixtures-*/layouts/python"))
    os.chmod("/dev/fuse", 0o666)  # as udev has it
    with workplace(layout) as directory, tempfile.TemporaryDirectory(prefix="mlctr-bench-", dir="/var/tmp") as disk:
        bench = Bench(directory, directory / "data")
        os.chown(disk, bench.user.pw_uid, bench.user.pw_gid)
        image, tree = install(bench, pathlib.Path(disk))
        tools = {
            "mlctr run IMAGE": [bench.mlctr_path, "run", image],
            "bwrap --bind DIRECTORY / (unpacked)": ["bwrap", "--unshare-user", "--bind", tree, "/", "--dev", "/dev", "--proc", "/proc"],
            "ch-run IMAGE.sqsh": ["ch-run", image, "--"],
        }
        times = {tool: [] for tool in tools}
        for _ in range(options.runs):
            for tool, command in tools.items():
                times[tool].append(imports(bench, command))
        print(f"`{IMPORTS}`, {machine()}. Medians of {options.runs}; image and directory on a disk, as one ordinary user.\n")
        report(times)


if __name__ == "__main__":
    main()
