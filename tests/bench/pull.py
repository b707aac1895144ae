#!/usr/bin/python3
"""The pull benchmark; see pull.sh. Every tool runs as the same ordinary user, from the same local registry over TLS, with its
store on the same tmpfs, emptied before each run; runs of the tools alternate, and medians are shown."""
import argparse
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "servers")]
from certificate import Authority  # noqa: E402
from docker_registry import DockerRegistry  # noqa: E402
from measure import measure  # noqa: E402

USER = "mlctrtest"
TMPFS_BYTES = 14 << 30
MIB = 1 << 20


def log(*words):
    print(*words, file=sys.stderr, flush=True)


def prepare_image():
    """The synthetic image and a registry's storage that has it, made once."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlctr-tests"
    key = subprocess.run(["sha256sum", HERE / "synthetic_image.py"], capture_output=True, text=True, check=True).stdout[:12]
    directory = cache / f"bench-{key}"
    if not (directory / "complete").exists():
        log("making the synthetic image (some minutes, kept in", f"{directory})")
        for old in cache.glob("bench-*"):
            shutil.rmtree(old)
        (directory / "registry").mkdir(parents=True)
        subprocess.run(["/usr/bin/python3", HERE / "synthetic_image.py", directory], check=True)
        images = [f"bench/{name}:1={directory / name}" for name in ("first", "second")]
        # In a process of its own: a child's peak memory starts at what its parent had when it forked.
        subprocess.run(["/usr/bin/python3", HERE.parent / "fixtures/publish.py", directory / "registry", *images], check=True)
        (directory / "complete").touch()
    return directory


@contextlib.contextmanager
def workplace(data):
    """A tmpfs of our own, with `data` where the ordinary user can read it."""
    if subprocess.run(["id", USER], capture_output=True).returncode != 0:
        subprocess.run(["useradd", "--create-home", USER], check=True)
    directory = pathlib.Path(f"/tmp/mlctr-bench-{os.getpid()}")
    directory.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=755", "mlctr-bench", directory], check=True)
        (directory / "data").mkdir()
        subprocess.run(["mount", "--bind", "-o", "ro", data, directory / "data"], check=True)
        yield directory
    finally:
        subprocess.run(["umount", "-R", "-l", directory])
        directory.rmdir()


class Bench:
    def __init__(self, data, directory, registry, authority):
        self.registry, self.work = registry, directory / "work"
        self.tools = directory / "tools"  # what the tools read: not measured
        self.tools.mkdir()
        shutil.copy(os.environ["MLCTR"], self.tools / "mlctr")
        shutil.copy(authority.certificate, self.tools / "ca.crt")
        config = self.tools / "config/mlctr"
        config.mkdir(parents=True)
        (config / "mlctr.toml").write_text(f'[registries."{registry.host}"]\nca_file = "{self.tools}/ca.crt"\n')
        for path in (config.parent, config):
            os.chown(path, pwd.getpwnam(USER).pw_uid, -1)
        self.data = data

    def environment(self):
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.work), "LC_ALL": "C.UTF-8", "USER": USER,
            "TMPDIR": str(self.work / "tmp"), "XDG_RUNTIME_DIR": str(self.work / "run"), "XDG_DATA_HOME": str(self.work / "share"),
            "XDG_CONFIG_HOME": str(self.tools / "config"), "MLCTR_STORE": str(self.work / "store"),
            "REQUESTS_CA_BUNDLE": str(self.tools / "ca.crt"), "CH_IMAGE_STORAGE": str(self.work / "ch"), "CH_IMAGE_CACHE": "disabled",
        }  # fmt: skip

    def clean(self):
        # Files of subordinate ids: removed as root.
        pause = self.work / "run/libpod/tmp/pause.pid"  # podman leaves a process that holds its user namespace
        if pause.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pause.read_text()), signal.SIGKILL)
        for mounted in reversed(re.findall(rf"^\S+ ({re.escape(str(self.work))}\S*) ", pathlib.Path("/proc/mounts").read_text(), re.M)):
            subprocess.run(["umount", "-l", mounted])
        if self.work.exists():
            shutil.rmtree(self.work)
        account = pwd.getpwnam(USER)
        for directory in (self.work, self.work / "tmp", self.work / "run"):
            directory.mkdir(mode=0o700)
            os.chown(directory, account.pw_uid, account.pw_gid)

    def run(self, command):
        user_command = ["runuser", "-u", USER, "--", *command]
        return measure(user_command, self.tools.parent, self.environment(), str(self.work))

    def shell(self, script):
        return self.run(["bash", "-ec", "set -o pipefail; " + script])

    # One method a tool; each leaves what that tool calls pulled.

    def mlctr(self, image="first"):
        return self.run([str(self.tools / "mlctr"), "pull", "--quiet", f"{self.registry.host}/bench/{image}:1"])

    def pipeline(self):
        blobs = [self.tools.parent / "data/first/blobs/sha256" / name for name in (self.data / "blobs.txt").read_text().split()]
        lines = [f"igzip -dc {blob} | tar2sqfs -q -c zstd -X level=1 -j$(nproc) layer{i}.sqfs" for i, blob in enumerate(blobs)]
        return self.shell("\n".join(lines))

    def podman(self):
        return self.shell(
            f"podman --storage-driver overlay --root {self.work}/podman --runroot {self.work}/run/podman pull --quiet --cert-dir {self.tools} "
            f"{self.registry.host}/bench/first:1"
        )

    def skopeo_umoci(self):
        return self.shell(
            f"skopeo copy --quiet --src-cert-dir {self.tools} docker://{self.registry.host}/bench/first:1 oci:image:1; "
            "umoci unpack --rootless --image image:1 bundle"
        )

    def charliecloud(self):
        return self.shell(
            f"ch-image pull {self.registry.host}/bench/first:1 >/dev/null; "
            f"ch-convert -i ch-image -o squash {self.registry.host}/bench/first:1 image.sqfs"
        )


TOOLS = {
    "mlctr": "mlctr pull (to squashfs)",
    "pipeline": "igzip \\| tar2sqfs, layer after layer, no download",
    "podman": "podman pull (no squashfs)",
    "skopeo_umoci": "skopeo copy + umoci unpack (no squashfs)",
    "charliecloud": "ch-image pull + ch-convert (to squashfs)",
}


class Series:
    """The runs of one tool; a tool that fails says why and is not run again."""

    def __init__(self):
        self.costs, self.failure = [], ""

    def add(self, cost):
        if cost.status == 0:
            self.costs.append(cost)
        else:
            self.failure = (cost.errors.strip().splitlines() or [f"exit {cost.status}"])[-1][:200]

    def median(self, field):
        return statistics.median(getattr(cost, field) for cost in self.costs)


def measure_all(bench, names, runs):
    series = {name: Series() for name in [*names, "second"]}

    def record(name, cost):
        log(f"{name}: {cost.seconds:.2f} s, CPU {cost.cpu_seconds:.2f} s, memory {cost.peak_rss_bytes / MIB:.0f} MiB, disk {cost.peak_disk_bytes / MIB:.0f} MiB")
        series[name].add(cost)
        if series[name].failure:
            log(f"  failed: {cost.errors.strip()[-1000:]}")

    for _ in range(runs):
        for name in names:
            if series[name].failure:
                continue
            bench.clean()
            record(name, getattr(bench, name)())
            if name == "mlctr" and not series[name].failure:
                record("second", bench.mlctr("second"))
    return series


def stored_bytes(bench):
    """(layers, images) of the store as a pull leaves it."""
    bench.clean()
    bench.mlctr()
    store = bench.work / "store"
    return [sum(f.stat().st_blocks * 512 for f in (store / part).rglob("*") if f.suffix in (".sqsh", ".layer")) for part in ("layers", "images")]


WRITING = re.compile(r'(?:open|openat|creat|mkdir|mkdirat|rename|renameat2?|link|linkat|symlink|symlinkat)\((.*)\) = \d')


def writes_elsewhere(bench):
    """The paths outside the store that a cold pull opens for writing or creates."""
    bench.clean()
    trace = bench.work / "tmp/trace"
    calls = "trace=open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
    command = f"strace -f -y -qq -o {trace} -e {calls} {bench.tools}/mlctr pull --quiet {bench.registry.host}/bench/first:1"
    cost = bench.shell(command)
    if cost.status != 0:
        return [f"(not checked: {cost.errors.strip()[-200:]})"]
    store, found, inside = str(bench.work / "store"), set(), 0
    for line in trace.read_text(errors="replace").splitlines():
        call = WRITING.search(line)
        if not call or ("open" in call[0] and not re.search("O_WRONLY|O_RDWR|O_CREAT", call[1])):
            continue
        name = re.search(r'"([^"]*)"', call[1])[1]
        base = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>", call[1])
        path = os.path.join(base[1] if base else str(bench.work), name)
        if path.startswith(("/dev/", "/proc/")):
            continue
        if os.path.abspath(path).startswith(store):
            inside += 1
        else:
            found.add(path)
    return sorted(found) if inside else ["(not checked: strace saw nothing)"]


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) >> 20
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())[1]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model[1] if model else '?'}, {memory} GiB, {system}, Linux {os.uname().release}"


def report(series, figures, layers_bytes, image_bytes, elsewhere, runs):
    ours = series.get("mlctr", Series())
    print(f"Image: {figures['layers']} layers, {figures['files']} files, {figures['compressed_bytes'] / MIB:.0f} MiB compressed. "
          f"Machine: {machine()}. Medians of {runs}; stores on tmpfs, all as one ordinary user.\n")  # fmt: skip
    print("| | time | against mlctr | CPU time | largest process | disk at most |\n|---|---:|---:|---:|---:|---:|")
    base = ours.median("seconds") if ours.costs else None
    for name, title in {**TOOLS, "second": "mlctr pull, second image: all but a top layer of 10 MB shared"}.items():
        if name not in series or not (series[name].costs or series[name].failure):
            continue
        row = series[name]
        if row.failure or not row.costs:
            print(f"| {title} | can't run here: {row.failure or 'not reached'} | | | | |")
            continue
        ratio = f"{row.median('seconds') / base:.2f}" if base else "-"
        print(f"| {title} | {row.median('seconds'):.2f} s | {ratio} | {row.median('cpu_seconds'):.1f} s "
              f"| {row.median('peak_rss_bytes') / MIB:.0f} MiB "
              f"| {row.median('peak_disk_bytes') / MIB:.0f} MiB |")  # fmt: skip
    print()
    verdicts = []
    if ours.costs:
        for name, limit, text in (("pipeline", 1.0, "of the pipeline's time"), ("podman", 0.5, "of podman's time")):
            if name in series and series[name].costs:
                ratio = base / series[name].median("seconds")
                verdicts.append((ratio <= limit, f"cold pull: {ratio:.2f}x {text} (limit {limit})"))
        if series["second"].costs:
            ratio = series["second"].median("seconds") / base
            verdicts.append((ratio <= 0.10, f"second image: {ratio:.1%} of the first pull's time (limit 10%)"))
        rss = max(cost.peak_rss_bytes for cost in ours.costs) / MIB
        verdicts.append((rss <= 400, f"peak memory {rss:.0f} MiB (limit 400)"))
        disk = max(cost.peak_disk_bytes for cost in ours.costs)
        allowed = layers_bytes + image_bytes
        verdicts.append((disk <= allowed * 1.01, f"peak disk {disk / MIB:.0f} MiB (layers {layers_bytes / MIB:.0f} + image {image_bytes / MIB:.0f})"))
        verdicts.append((not elsewhere, f"writes outside the store: {', '.join(elsewhere[:5]) or 'none'}"))
    for good, text in verdicts:
        print(f"- {'met' if good else 'NOT met'}: {text}")
    return all(good for good, _ in verdicts)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only", default=",".join(TOOLS), help="comma-separated: " + ", ".join(TOOLS))
    options = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    data = prepare_image()
    figures = json.loads((data / "figures.json").read_text())
    with workplace(data) as directory:
        authority = Authority(directory / "authority")
        with DockerRegistry(data / "registry", authority.issue("registry")) as registry:
            bench = Bench(data, directory, registry, authority)
            try:
                series = measure_all(bench, options.only.split(","), options.runs)
            finally:
                bench.clean()
            ours = "mlctr" in series and series["mlctr"].costs
            stored = stored_bytes(bench) if ours else (0, 0)
            elsewhere = writes_elsewhere(bench) if ours else []
        good = report(series, figures, *stored, elsewhere, options.runs)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
