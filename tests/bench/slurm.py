#!/usr/bin/python3
"""The Slurm benchmark; see slurm.sh. Steps of `true` take turns, in an image that is in the store, as one ordinary user; medians are
shown. CPU time is that of srun and of all processes of the nodes (slurmd, slurmstepd, mlctr, the tasks)."""
import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures"), str(HERE.parent / "slurm")]
from box import NODES, SlurmBox, processes_with, until  # noqa: E402
from pull import log, machine, workplace  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
ONE, MANY = ["-w", "n1"], ["-N3", "-n24", "--ntasks-per-node=8"]
MORE_ONE_MS, AIM_ONE_MS, MORE_MANY_MS, MEMORY_KIB = 20, 10, 80, 1024


class Bench:
    def __init__(self, box, layout):
        self.box, self.image = box, f"oci:{layout}"
        self.mlctr = box.directory / "mlctr"
        self.must(self.mlctr, "pull", "--quiet", self.image)
        by_name = [f"--container-image={self.image}", "--container-name=bench"]
        self.must("srun", "-N3", *by_name, "true")  # made on each node
        self.steps = {}
        for key, options in (("plain", []), ("image", by_name[:1]), ("name", by_name[1:])):
            for size, nodes in (("one", ONE), ("many", MANY)):
                if key == "plain":
                    self.steps[f"plain {size}"] = ["srun", *nodes, "/bin/true"]
                else:
                    self.steps[f"plugin {key} {size}"] = ["srun", *nodes, *options, "/bin/true"]
                    self.steps[f"mlctr srun {key} {size}"] = [self.mlctr, "srun", *nodes, *options, "/bin/true"]

    def must(self, *words):
        done = self.box.run(*words)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")

    def node_ticks(self):
        """Of a node's processes, those that have ended and been reaped included."""
        ticks = 0
        for name, (pid, _) in self.box.machines.items():
            if name == "login":
                continue
            for path in [f"/proc/{pid}", *(f"/proc/{child}" for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
                try:
                    fields = pathlib.Path(f"{path}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                ticks += sum(int(field) for field in fields[11:15])
        return ticks

    def run_once(self, words):
        before = self.node_ticks()
        began = time.perf_counter()
        child = self.box.start_command(*words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if status != 0:
            sys.exit(f"{' '.join(map(str, words))}: {errors}")
        return seconds, usage.ru_utime + usage.ru_stime + (self.node_ticks() - before) / TICKS

    def series(self, runs):
        """{step: [(seconds, CPU seconds)]}; the first round warms up."""
        times = {name: [] for name in self.steps}
        for number in range(runs + 1):
            for name, words in self.steps.items():
                cost = self.run_once(words)
                if number > 0:
                    times[name].append(cost)
        return times

    def slurmstepd_kib(self, *options):
        """(PSS, private) of the slurmstepd of a step that runs, without its task."""
        mark = f"MARK={os.urandom(8).hex()}"
        step = self.box.start_command("srun", *ONE, *options, "sleep", "1000", env=dict([mark.split("=")]))
        try:
            tasks = lambda: [pid for pid in processes_with(mark) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]
            task = until(tasks, "the task")[0]
            daemon = re.search(r"^PPid:\s*(\d+)", pathlib.Path(f"/proc/{task}/status").read_text(), re.M)[1]
            text = pathlib.Path(f"/proc/{daemon}/smaps_rollup").read_text()
            figures = {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
            return figures["Pss"], figures["Private_Clean"] + figures["Private_Dirty"]
        finally:
            self.box.run("scancel", f"--user={self.box.user}")
            step.communicate()

    def memory(self):
        with_plugin = self.slurmstepd_kib(f"--container-image={self.image}")
        line = (self.box.directory / "plugstack.conf").read_text()
        (self.box.directory / "plugstack.conf").write_text("")
        without = self.slurmstepd_kib()
        (self.box.directory / "plugstack.conf").write_text(line)
        return with_plugin, without


def median(rows, field):
    return statistics.median(row[field] for row in rows) * 1e3


def report(times, memory):
    print("| | time | more than plain srun | CPU time | more |\n|---|---:|---:|---:|---:|")
    for size, title in (("one", "true"), ("many", "24 tasks of true on 3 nodes")):
        base = times[f"plain {size}"]
        for name, rows in times.items():
            if not name.endswith(size):
                continue
            more = [f"{median(rows, field) - median(base, field):.1f} ms" if rows is not base else "" for field in (0, 1)]
            label = name.removesuffix(f" {size}").replace(" image", ", --container-image").replace(" name", ", --container-name")
            print(f"| {label}: {title} | {median(rows, 0):.1f} ms | {more[0]} | {median(rows, 1):.1f} ms | {more[1]} |")
    print()
    for size, limit in (("one", MORE_ONE_MS), ("many", MORE_MANY_MS)):
        worst = max((median(rows, 0) - median(times[f"plain {size}"], 0), name) for name, rows in times.items() if name.endswith(size))
        aim = f", aim {AIM_ONE_MS}" if size == "one" else ""
        print(f"- {'met' if worst[0] <= limit else 'NOT met'}: at most {worst[0]:.1f} ms more ({worst[1]}; limit {limit}{aim})")
    (pss, private), (plain_pss, plain_private) = memory
    more = max(pss - plain_pss, private - plain_private)
    print(f"- {'met' if more <= MEMORY_KIB else 'NOT met'}: the plugin adds {pss - plain_pss} KiB (PSS), {private - plain_private} KiB (private) to slurmstepd's "
          f"{plain_pss} and {plain_private} KiB (limit {MEMORY_KIB})")  # fmt: skip


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=21)
    options.add_argument("--layout", help="an OCI layout to run (default: the tests' python image)")
    options = options.parse_args()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlctr-tests"
    layout = pathlib.Path(options.layout) if options.layout else next(cache.glob("fixtures-*/layouts/python"))
    os.chmod("/dev/fuse", 0o666)  # as udev has it
    mlctr = pathlib.Path(os.environ["MLCTR"]).resolve()
    with workplace(layout) as directory:
        place = directory / "box"
        place.mkdir()
        for program in ("mlctr", "mlctr-task"):
            shutil.copy(mlctr.parent / program, place)
        shutil.copy(mlctr.parent.parent / "spank/spank_mlctr.so", place)
        data = place / "data"  # the nodes see nothing else of the workplace
        shutil.copytree(layout, data)
        subprocess.run(["chmod", "-R", "a+rX", data], check=True)
        with SlurmBox(plugstack=f"required {place}/spank_mlctr.so mlctr={place}/mlctr\n", directory=place) as box:
            bench = Bench(box, f"{data}:1")
            times, memory = bench.series(options.runs), bench.memory()
        log("machine:", machine())
        print(f"Machine: {machine()}. Medians of {options.runs}; {len(NODES)} nodes on one machine, store on tmpfs.\n")
        report(times, memory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
