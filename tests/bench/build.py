#!/usr/bin/python3
"""The build benchmark; see build.sh. Every tool builds the same context as the same ordinary user, on a base image that it has
pulled before, with its store on the same tmpfs; runs of the tools alternate, and medians are shown. "By hand" are the RUN
lines, one after the other: each in a run of its own (their sum), and all in one `mlctr run --remap-root` of the base image,
where the later ones find what the earlier ones have read."""
import argparse
import os
import pathlib
import shlex
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "servers")]
from certificate import Authority  # noqa: E402
from docker_registry import DockerRegistry  # noqa: E402
from pull import MIB, Bench, Series, log, machine, workplace  # noqa: E402

# What environments are made of: many small files, a large one, and time on the processor. No network: it would be measured.
RUNS = [
    "python3 -m venv --without-pip --system-site-packages /opt/venv",
    "mkdir /opt/data && for i in $(seq 3000); do echo $i > /opt/data/$i.txt; done",
    "cp -r /usr/lib/python3/dist-packages/numpy /opt/venv/lib/copy && python3 -m compileall -q -f /opt/venv/lib/copy",
    "head -c 100M /dev/urandom > /opt/weights && sha256sum /opt/weights > /opt/weights.sum",
    "python3 -c 'import numpy; a = numpy.random.rand(1500, 1500); [a @ a for _ in range(4)]'",
]
LAST_RUN = "python3 /opt/train.py > /opt/trained"
PHASES = {"full": "full build", "cached": "nothing changed", "last": "the last COPY changed", "changed": "a COPY before a RUN changed"}


class BuildBench(Bench):
    def __init__(self, data, directory, registry, authority):
        super().__init__(data, directory, registry, authority)
        self.image = f"{registry.host}/library/python:3.8"
        self.clean()
        self.context = self.tools / "context"
        self.context.mkdir()
        lines = [f"FROM {self.image}", *(f"RUN {command}" for command in RUNS), "COPY train.py /opt/", f"RUN {LAST_RUN}", "COPY settings.json /opt/"]
        (self.context / "Containerfile").write_text("\n".join(lines) + "\n")
        self.write("train.py", 0)
        self.write("settings.json", 0)

    def write(self, name, number):
        (self.context / name).write_text(f"print({number})\n")

    def environment(self):
        git = {f"GIT_{role}_{part}": "bench@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        return super().environment() | git | {"CH_IMAGE_CACHE": "enabled", "BUILDAH_ISOLATION": "chroot"}

    # One method a builder: what makes it pull, and what makes it build; %s is where its word for building anew goes.

    def mlctr(self):
        return f"mlctr pull --quiet {self.image}", f"mlctr build --quiet %s -t bench/built {self.context}", "--no-cache"

    def lines(self):
        return [*RUNS, f"cp {self.context}/train.py /opt/", LAST_RUN, f"cp {self.context}/settings.json /opt/"]

    def steps(self):
        runs = [f"mlctr run --remap-root --mount {self.tools} steps sh -c {shlex.quote(line)}" for line in self.lines()]
        (self.tools / "steps.sh").write_text("\n".join(["set -e", f"mlctr create --name steps {self.image}", *runs, "mlctr rm steps"]) + "\n")
        return f"mlctr pull --quiet {self.image}", f"sh {self.tools}/steps.sh %s", ""

    def by_hand(self):
        (self.tools / "by-hand.sh").write_text("\n".join(["set -e", *self.lines()]) + "\n")
        return f"mlctr pull --quiet {self.image}", f"mlctr run --remap-root --mount {self.tools} {self.image} sh {self.tools}/by-hand.sh %s", ""

    def buildah(self):
        buildah = f"buildah --storage-driver overlay --root {self.work}/buildah --runroot {self.work}/run/buildah"
        return (f"{buildah} pull --quiet --cert-dir {self.tools} {self.image}",
                f"{buildah} build --quiet --layers --pull-never --network host %s -t built {self.context}", "--no-cache")  # fmt: skip

    def podman(self):
        podman = f"podman --storage-driver overlay --root {self.work}/podman --runroot {self.work}/run/podman"
        return (f"{podman} pull --quiet --cert-dir {self.tools} {self.image}",
                f"{podman} build --quiet --layers --pull=never --network host %s -t built {self.context}", "--no-cache")  # fmt: skip

    def charliecloud(self):
        return f"ch-image pull {self.image}", f"ch-image build %s -t built -f {self.context}/Containerfile {self.context}", "--rebuild"


TOOLS = {
    "mlctr": "mlctr build",
    "steps": "the RUN lines by hand, each in a run of its own",
    "by_hand": "the same in one container",
    "buildah": "buildah build --isolation chroot, rootless",
    "podman": "podman build --isolation chroot, rootless",
    "charliecloud": "ch-image build",
}


def measure_all(bench, names, runs):
    series = {(name, phase): Series() for name in names for phase in PHASES}
    scripts = {name: getattr(bench, name)() for name in names}
    failed = set()

    def record(name, phase, script):
        cost = bench.shell(f"PATH={bench.tools}:$PATH; {script} >/dev/null")
        log(f"{name}, {phase}: {cost.seconds:.2f} s, CPU {cost.cpu_seconds:.2f} s, memory {cost.peak_rss_bytes / MIB:.0f} MiB")
        if cost.status != 0:
            log(f"  failed: {cost.errors.strip()[-1500:]}")
            failed.add(name)
        if phase in PHASES:
            series[name, phase].add(cost)
        elif cost.status != 0:
            series[name, "full"].add(cost)

    for name in names:
        record(name, "pull", scripts[name][0])
    for number in range(runs):
        for name in names:
            _, build, anew = scripts[name]
            for phase in PHASES if name not in ("steps", "by_hand") else ["full"]:
                if name in failed:
                    break
                if phase in ("last", "changed"):
                    bench.write("settings.json" if phase == "last" else "train.py", 2 * number + 1)
                record(name, phase, build % (anew if phase == "full" else ""))
            bench.write("settings.json", 2 * number + 2)
            bench.write("train.py", 2 * number + 2)
    return series


def report(series, runs):
    print(f"Machine: {machine()}. Medians of {runs}; stores on tmpfs, all as one ordinary user.\n")
    print(f"| | {' | '.join(PHASES.values())} | CPU time, full | peak memory of a process |\n|---|---:|---:|---:|---:|---:|---:|")
    for name in dict.fromkeys(name for name, _ in series):
        rows = [series[name, phase] for phase in PHASES]
        if rows[0].failure or not rows[0].costs:
            print(f"| {TOOLS[name]} | can't run here: {rows[0].failure} | | | | |")
            continue
        times = " | ".join(f"{row.median('seconds'):.2f} s" if row.costs else "" for row in rows)
        print(f"| {TOOLS[name]} | {times} | {rows[0].median('cpu_seconds'):.1f} s | {rows[0].median('peak_rss_bytes') / MIB:.0f} MiB |")
    print()
    return verdicts(series)


def verdicts(series):
    def seconds(name, phase):
        row = series.get((name, phase))
        return row.median("seconds") if row and row.costs and not row.failure else None

    full, sum_of_steps, cached, changed = seconds("mlctr", "full"), seconds("steps", "full"), seconds("mlctr", "cached"), seconds("mlctr", "last")
    found = []
    if full and sum_of_steps:
        found.append((full <= 1.1 * sum_of_steps, f"full build: {full / sum_of_steps - 1:+.0%} of the sum of its RUN steps (limit +10%)"))
    if cached:
        found.append((cached <= 0.3, f"rebuild with nothing changed: {cached * 1e3:.0f} ms (limit 300)"))
    for name in ("podman", "buildah"):
        if changed and seconds(name, "last"):
            ratio = changed / seconds(name, "last")
            found.append((ratio <= 0.15, f"rebuild after a COPY changed: {ratio:.0%} of {name}'s time (limit 15%)"))
    for good, text in found:
        print(f"- {'met' if good else 'NOT met'}: {text}")
    return all(good for good, _ in found)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only", default=",".join(TOOLS), help="comma-separated: " + ", ".join(TOOLS))
    options = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlctr-tests"
    data = max(cache.glob("fixtures-*/complete"), key=lambda path: path.stat().st_mtime).parent
    os.chmod("/dev/fuse", 0o666)  # as udev has it
    with workplace(data) as directory:
        authority = Authority(directory / "authority")
        with DockerRegistry(data / "registry", authority.issue("registry")) as registry:
            bench = BuildBench(data, directory, registry, authority)
            try:
                series = measure_all(bench, options.only.split(","), options.runs)
            finally:
                bench.clean()
    return 0 if report(series, options.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
