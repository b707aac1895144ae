#!/usr/bin/python3
"""The start benchmark; see run.sh. Every tool runs `true` in the same image as the same ordinary user; runs of the tools
alternate, and medians are shown. CPU time is that of the process tree that was waited for."""
import argparse
import json
import os
import pathlib
import pwd
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures")]
from pull import USER, log, machine, workplace  # noqa: E402


class Bench:
    def __init__(self, directory, layout):
        self.work = directory / "work"
        self.work.mkdir()
        self.user = pwd.getpwnam(USER)
        shutil.copy(os.environ["MLCTR"], self.work / "mlctr")
        subprocess.run(["chown", "-R", f"{USER}:", self.work], check=True)
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.work),
            "USER": USER,
            "XDG_RUNTIME_DIR": str(self.work / "run"),
            "TMPDIR": str(self.work),
        }
        self.image, self.rootfs = f"oci:{layout}", self.work / "rootfs"
        self.must("mkdir", "-m700", self.work / "run")
        self.must(self.mlctr_path, "pull", "--quiet", "--output", self.work / "image.sqfs", self.image)
        self.must(self.mlctr_path, "create", "--quiet", "--name", "bench", self.image)
        subprocess.run(["unsquashfs", "-q", "-n", "-no-xattrs", "-d", self.rootfs, self.work / "image.sqfs"], check=True)
        shutil.rmtree(self.rootfs / "dev")
        for name in ("dev", "proc", "sys", "tmp", "home"):
            (self.rootfs / name).mkdir(exist_ok=True)
        subprocess.run(["chown", "-R", f"{USER}:", self.rootfs], check=True)

    @property
    def mlctr_path(self):
        return str(self.work / "mlctr")

    def spawn(self, command):
        """(seconds, CPU seconds, exit code): of a child that is the ordinary user."""
        began = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in command], user=USER, group=USER, extra_groups=[], env=self.environment, cwd=self.work,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, child.returncode

    def must(self, *command):
        with open(self.work / "errors", "w+") as self.errors:
            if self.spawn(command)[2] != 0:
                self.errors.seek(0)
                sys.exit(f"{' '.join(map(str, command))}: {self.errors.read()}")

    # Each gives the command that runs `true` in the image.
    def fork(self):
        return ["/bin/true"]

    def bwrap(self):
        return ["bwrap", "--unshare-user", "--bind", self.rootfs, "/", "--dev", "/dev", "--proc", "/proc", "/bin/true"]

    def crun(self):
        bundle = self.work / "bundle"
        if not bundle.exists():
            bundle.mkdir()
            subprocess.run(["crun", "spec", "--rootless"], cwd=bundle, check=True)
            config = json.loads((bundle / "config.json").read_text())
            config["root"] = {"path": str(self.rootfs), "readonly": False}
            config["process"].update(args=["/bin/true"], terminal=False)
            config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": self.user.pw_uid, "size": 1}]
            config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": self.user.pw_gid, "size": 1}]
            config["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}, {"type": "pid"}]
            (bundle / "config.json").write_text(json.dumps(config))
            subprocess.run(["chown", "-R", f"{USER}:", bundle], check=True)
        return ["crun", "--cgroup-manager=disabled", "run", "--bundle", bundle, f"bench{time.monotonic_ns()}"]

    def ch_run_directory(self):
        return ["ch-run", self.rootfs, "--", "/bin/true"]

    def ch_run_squashfs(self):
        return ["ch-run", self.work / "image.sqfs", "--", "/bin/true"]

    def podman(self):
        return ["podman", "run", "--rm", "--cgroups=disabled", "--network=host", "--rootfs", self.rootfs, "/bin/true"]

    def mlctr(self):
        return [self.mlctr_path, "run", self.image, "/bin/true"]

    def mlctr_named(self):
        return [self.mlctr_path, "run", "bench", "/bin/true"]

    def mlctr_remapped(self):
        return [self.mlctr_path, "run", "--remap-root", "bench", "/bin/true"]

    def mlctr_join(self):
        return [self.mlctr_path, "exec", "bench", "/bin/true"]


TOOLS = {
    "mlctr": "mlctr run IMAGE true",
    "mlctr_named": "mlctr run NAME true",
    "mlctr_remapped": "mlctr run --remap-root NAME true",
    "mlctr_join": "mlctr exec NAME true (it runs)",
    "ch_run_squashfs": "ch-run IMAGE.sqfs -- true",
    "ch_run_directory": "ch-run DIRECTORY -- true (unpacked)",
    "bwrap": "bwrap --bind DIRECTORY / true (unpacked)",
    "crun": "crun run, rootless (unpacked)",
    "podman": "podman run --rootfs DIRECTORY, rootless (unpacked)",
    "fork": "true, no container",
}


def series(bench, names, runs):
    times, failures = {name: [] for name in names}, {}
    for number in range(runs + 1):
        for name in names:
            if name in failures or (name == "podman" and number > 10):
                continue
            with open(bench.work / "errors", "w+") as bench.errors:
                seconds, cpu, code = bench.spawn(getattr(bench, name)())
                if code != 0:
                    bench.errors.seek(0)
                    failures[name] = (bench.errors.read().strip().splitlines() or [f"exit {code}"])[-1][:160]
                elif number > 0:  # the first is a warm-up
                    times[name].append((seconds, cpu))
    return times, failures


def median(times, field):
    return statistics.median(row[field] for row in times) * 1e3


def report(times, failures):
    ours, bwrap = times.get("mlctr"), times.get("bwrap")
    print("| | time | against mlctr | CPU time |\n|---|---:|---:|---:|")
    for name, rows in times.items():
        if name in failures:
            print(f"| {TOOLS[name]} | can't run here: {failures[name]} | | |")
        else:
            ratio = f"{median(rows, 0) / median(ours, 0):.2f}" if ours else "-"
            print(f"| {TOOLS[name]} | {median(rows, 0):.1f} ms | {ratio} | {median(rows, 1):.1f} ms |")
    print()
    if ours and times.get("ch_run_squashfs") and "ch_run_squashfs" not in failures:
        ratio = median(ours, 0) / median(times["ch_run_squashfs"], 0)
        print(f"- {'met' if ratio <= 1 else 'NOT met'}: {ratio:.2f}x of ch-run's time on a squashfs (limit 1)")
    if ours and bwrap:
        print(f"- {median(ours, 0) / median(bwrap, 0):.1f}x of bwrap's time (aim 3)")
    if times.get("mlctr_join") and "mlctr_join" not in failures:
        print(f"- joining: {median(times['mlctr_join'], 0):.1f} ms (limit 8)")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=40)
    options.add_argument("--only", default=",".join(TOOLS), help="comma-separated: " + ", ".join(TOOLS))
    options.add_argument("--layout", help="an OCI layout to run (default: the tests' python image)")
    options = options.parse_args()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mlctr-tests"
    layout = pathlib.Path(options.layout) if options.layout else next(cache.glob("fixtures-*/layouts/python"))
    os.chmod("/dev/fuse", 0o666)  # as udev has it
    with workplace(layout) as directory:
        bench = Bench(directory, directory / "data")
        names = options.only.split(",")
        holder = None
        if "mlctr_join" in names:
            holder = subprocess.Popen([bench.mlctr_path, "run", "bench", "sleep", "1000"], user=USER, group=USER,
                                      extra_groups=[], env=bench.environment, cwd=bench.work)  # fmt: skip
            time.sleep(0.5)
            times, failures = series(bench, ["mlctr_join"], options.runs)
            holder.kill()
            holder.wait()
            time.sleep(0.2)
            names.remove("mlctr_join")
        else:
            times, failures = {}, {}
        more, failed = series(bench, names, options.runs)
        log("machine:", machine())
        print(f"Machine: {machine()}. Medians of {options.runs}; stores on tmpfs, all as one ordinary user.\n")
        report({**more, **times}, {**failures, **failed})
    return 0


if __name__ == "__main__":
    sys.exit(main())
