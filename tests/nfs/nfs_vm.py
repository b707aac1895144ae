#!/usr/bin/python3
"""mlctr on Debian 12's own kernel (6.1) and on a store on NFS: 4.2, 3, and 3 without locks. In a virtual machine of its own.

Usage, as root: MLCTR=build/release/src/cli/mlctr nfs_vm.py [-k REGEX]     ($MLCTR_VM: where its disks are kept, /var/tmp/mlctr-vm)

The first time it makes a disk of Debian packages. qemu emulates the processor (no /dev/kvm is needed): nothing here is to be timed.
The machine is the file server; each node is a network, mount and UTS namespace in it, which the kernel gives an NFS client of its
own (Documentation/filesystems/nfs/client-identifier.rst): separate caches, locks and leases.
"""
import collections
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import traceback

FIXTURES = os.environ.get("FIXTURES") or pathlib.Path(__file__).resolve().parent.parent / "fixtures/build.sh"
SECONDS = 3600  # for the whole machine

# ---- the host: packages, disks, the machine

PACKAGES = """linux-image-amd64 initramfs-tools systemd-sysv udev dbus libpam-systemd iproute2 procps python3 zstd
 nfs-kernel-server nfs-common rpcbind docker-registry fuse3 busybox-static ca-certificates
 libarchive13 libcurl4 libisal2 libssl3 libsquashfs1"""  # the last line: what mlctr opens when it needs it
HOST_PACKAGES = ("qemu-system-x86", "mmdebstrap", "e2fsprogs")
FILES = {
    # An initrd of three drivers instead of hundreds: quick to make and to load.
    "etc/initramfs-tools/conf.d/few": "MODULES=list\n",
    "etc/initramfs-tools/hooks/disk": '#!/bin/sh\n[ "$1" != prereqs ] || exit 0\n'
        ". /usr/share/initramfs-tools/hook-functions\nmanual_add_modules virtio_pci virtio_blk ext4\n",
    "etc/hostname": "server\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n/dev/vdb /data ext4 ro 0 0\n",
    "etc/exports": "/export 10.0.0.0/24(rw,root_squash,no_subtree_check,sync)\n",
    "etc/systemd/system/tests.service": "[Unit]\nAfter=nfs-server.service rpcbind.service systemd-logind.service\n[Service]\nType=oneshot\n"
        "EnvironmentFile=-/data/environment\nExecStart=/usr/bin/python3 -u /data/nfs_vm.py guest\nExecStopPost=systemctl poweroff\n"
        "StandardOutput=file:/dev/ttyS1\nStandardError=inherit\n[Install]\nWantedBy=multi-user.target\n",
}  # fmt: skip
MASKED = "docker-registry.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer"


def sh(command, check=True):
    return subprocess.run(["bash", "-ec", command], check=check, capture_output=True, text=True).stdout


def make_root_disk(work):
    seed = work / "seed"
    for name, text in FILES.items():
        (seed / name).parent.mkdir(parents=True, exist_ok=True)
        (seed / name).write_text(text)
        (seed / name).chmod(0o755 if text.startswith("#!") else 0o644)
    # mmdebstrap's own choice of sources has no site's mirror.
    sources = sh("grep -lsE '^[^#]*\\bbookworm\\b' /etc/apt/sources.list /etc/apt/sources.list.d/* | grep -v google || true").split()
    tree = work / "root"
    sh(f"rm -rf {tree}")
    subprocess.run(
        ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=" + ",".join(PACKAGES.split()),
         "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
         f"--setup-hook=cp -r {seed}/. $1/", f"--customize-hook=cp -r {seed}/. $1/; mkdir -p $1/data $1/export/home",
         "--customize-hook=chroot $1 useradd -m -u 1000 alice; chown 1000:1000 $1/export/home",
         f"--customize-hook=chroot $1 systemctl -q mask {MASKED}; chroot $1 systemctl -q enable tests nfs-server",
         "bookworm", str(tree), *sources], check=True)  # fmt: skip
    sh(f"cp {tree}/boot/vmlinuz-* {work}/vmlinuz; cp {tree}/boot/initrd.img-* {work}/initrd; rm -f {work}/root.img.new")
    sh(f"mke2fs -q -t ext4 -d {tree} {work}/root.img.new 8G; mv {work}/root.img.new {work}/root.img; rm -rf {tree} {seed}")


def make_data_disk(work, fixtures):
    data = work / "data"
    sh(f"rm -rf {data}; mkdir -p {data}/layouts; cp {os.environ['MLCTR']} {data}/mlctr; cp {__file__} {data}/nfs_vm.py")
    sh(f"cp -r {fixtures}/registry {data}; cp -r {fixtures}/layouts/{{busybox,debian}} {data}/layouts; chmod -R a+rX {data}")
    pattern = sys.argv[2] if sys.argv[1:2] == ["-k"] else ""
    (data / "environment").write_text(f'PATTERN="{pattern}"\n')
    sh(f"rm -f {work}/data.img; mke2fs -q -t ext4 -d {data} {work}/data.img 1G; rm -rf {data}")


def main():
    work = pathlib.Path(os.environ.get("MLCTR_VM", "/var/tmp/mlctr-vm"))
    work.mkdir(parents=True, exist_ok=True)
    missing = [name for name in HOST_PACKAGES if subprocess.run(["dpkg", "-s", name], capture_output=True).returncode != 0]
    if missing:
        sh("DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends " + " ".join(missing))
    if not (work / "root.img").exists():
        make_root_disk(work)
    fixtures = subprocess.run([FIXTURES], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    make_data_disk(work, fixtures)
    machine = subprocess.Popen(
        ["timeout", str(SECONDS), "nice", "qemu-system-x86_64", "-nodefaults", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "3G",
         "-accel", "tcg,thread=multi,tb-size=512", "-kernel", f"{work}/vmlinuz", "-initrd", f"{work}/initrd",
         "-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off", "-device", "virtio-rng-pci", "-no-reboot", "-display", "none",
         "-drive", f"file={work}/root.img,format=raw,if=virtio,snapshot=on", "-drive", f"file={work}/data.img,format=raw,if=virtio",
         "-nic", "none", "-serial", f"file:{work}/console.log", "-serial", "stdio"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")  # fmt: skip
    last = ""
    for line in machine.stdout:
        last = line.strip() or last
        print(line.rstrip(), flush=True)
    if not re.fullmatch(r"\d+ ok, 0 not ok", last):
        sys.exit(f"it did not all pass; the machine's console: {work}/console.log")


# ---- the machine

REGISTRY = "10.0.0.1:5000"
BUSYBOX, DEBIAN, PYTHON = (f"{REGISTRY}/library/{name}" for name in ("busybox:1", "debian:stable", "python:3.8"))
REGISTRY_CONFIG = f"""{{"version": 0.1, "log": {{"level": "info"}}, "http": {{"addr": "{REGISTRY}", "secret": "test", "relativeurls": true}},
 "storage": {{"filesystem": {{"rootdirectory": "/data/registry"}}, "maintenance": {{"uploadpurging": {{"enabled": false}}}}}}}}"""
ACCESS_LOG = pathlib.Path("/var/log/registry.log")
STORE = pathlib.Path("/export/home/store")
SETTINGS = {"PATH": "/data:/usr/bin:/bin", "HOME": "/home/alice", "LC_ALL": "C.UTF-8", "MLCTR_CONTAINERS": "/home/alice/containers"}

# statd and rpcbind are a node's own: they keep their state and their socket where the server's are.
MOUNT = """
hostname n{number}; ip link set lo up; ip addr add 10.0.0.1{number}/24 dev e0; ip link set e0 up
mount -t tmpfs run /run; mkdir -p /run/rpcbind /run/user/1000; chown 1000:1000 /run/user/1000
cp -a /var/lib/nfs /run/nfs; mount --bind /run/nfs /var/lib/nfs; rm -rf /var/lib/nfs/sm/* /var/lib/nfs/sm.bak/*
case {options} in *nolock*) ;; vers=3*) rpcbind -w; rpc.statd --no-notify;; esac
mkdir -p /mnt; mount -t nfs -o {options} 10.0.0.1:/export /mnt"""


class Place:
    """Where mlctr runs: the machine itself, with a store on its disk."""

    enter, settings = [], SETTINGS | {"XDG_RUNTIME_DIR": "/run/user/1000"}

    def start(self, command, user=1000, **settings):
        environment = [f"{name}={value}" for name, value in (self.settings | settings).items()]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return subprocess.Popen([*self.enter, *become, "env", "-i", "-C", "/tmp", *environment, "sh", "-c", command],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip

    def mlctr(self, arguments, status=0, **more):
        return finish(self.start(f"exec mlctr {arguments}", **more), status)


class Node(Place):
    def __init__(self, number, options):
        self.number = number
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "--uts", "--propagation=private", "sleep", "infinity"])
        self.enter = ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--uts"]
        self.settings = self.settings | {"MLCTR_STORE": "/mnt/home/store"}
        wait_until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/uts") != os.readlink("/proc/self/ns/uts"))
        sh(f"ip link add v{number} type veth peer name e0 netns {self.holder.pid}; ip link set v{number} master br0 up")
        subprocess.run([*self.enter, "sh", "-ec", MOUNT.format(number=number, options=options)], check=True)

    def connect(self, state):
        sh(f"ip link set v{self.number} {state}")

    def close(self):
        self.connect("up")
        subprocess.run([*self.enter, "umount", "-fl", "/mnt"])
        mine = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process / "ns/net") == mine:
                    os.kill(int(process.name), signal.SIGKILL)
        self.holder.wait()
        sh(f"ip link del v{self.number}", check=False)


def finish(process, status=0, seconds=300):
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        raise AssertionError(f"not done after {seconds} s: {process.communicate()[0][-1500:]}") from None
    assert process.returncode == status, f"{process.args[-1]}: exit {process.returncode}, not {status}:\n{output[-1500:]}"
    return output


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


class Downloads(contextlib.AbstractContextManager):
    """What the registry sends meanwhile: .counts, by blob, of those of more than 10 kB."""

    def __enter__(self):
        self.begin = ACCESS_LOG.stat().st_size
        return self

    def __exit__(self, *_):
        text = ACCESS_LOG.read_text()[self.begin :]
        sent = re.findall(r'"GET /v2/\S+/blobs/(\S+) HTTP/1.1" 200 (\d+)', text)
        self.counts = collections.Counter(digest[:19] for digest, size in sent if int(size) > 10_000)


def forget(node, *images):
    """The store, as if it had never had them."""
    for image in images:
        node.start(f"mlctr rmi {image}").communicate()
    node.mlctr("gc --max-size 0")


# Without NFS: the kernel.

CONTEXT = "rm -rf /tmp/context; mkdir /tmp/context; cd /tmp/context; echo f > f; printf '%s\\n' 'FROM oci:/data/layouts/debian:1' 'RUN useradd dave && echo a > /a && chown dave /a' 'COPY --chown=33:33 f /f' > Containerfile;"
AS_ROOT = """id -u | grep -x 0 && apt-get --version | grep ^apt && touch /f && chown daemon:games /f && useradd carol && mkdir -p /p/DEBIAN /p/etc &&
 printf "Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: x\\n" > /p/DEBIAN/control && dpkg-deb -b /p /p.deb && dpkg -i /p.deb"""
REPLACE = "rm -r /usr/share/bash-completion && mkdir /usr/share/bash-completion && mv /etc/apt /etc/apt2"


def kernel_doctor(here):
    assert "mlctr run works here" in here.mlctr("doctor")


def kernel_run(here):
    here.mlctr("pull oci:/data/layouts/debian:1")
    assert "uid=1000(alice)" in here.mlctr("run oci:/data/layouts/debian:1 id")
    here.mlctr(f"run --remap-root oci:/data/layouts/debian:1 sh -c '{AS_ROOT}'")
    here.mlctr("run --unshare pid,net,ipc,uts oci:/data/layouts/debian:1 sh -c 'test $$ -lt 4'")


def kernel_unnamed_container_replaces_a_directory(here):
    here.mlctr(f"run oci:/data/layouts/debian:1 sh -c '{REPLACE}'")


def containers(here):
    here.mlctr(f"run --name c -r oci:/data/layouts/debian:1 sh -c '{REPLACE}; echo kept > /kept'")
    running = here.start("exec mlctr run c sleep 10")
    time.sleep(4)
    assert here.mlctr("exec c cat /kept") == "kept\n"
    finish(running)
    here.mlctr("save c /tmp/c.sqsh")
    assert here.mlctr("run /tmp/c.sqsh cat /kept") == "kept\n"
    here.mlctr("commit c lab/c:1")
    here.mlctr("rm c")
    finish(here.start("rm -f /tmp/c.sqsh"))


def builds(here):
    finish(here.start(f"{CONTEXT} exec mlctr build -t lab/b:1 ."))
    assert "3 of" not in (again := finish(here.start(f"{CONTEXT} exec mlctr build -t lab/b:1 ."))) and "cached" in again
    assert here.mlctr("run lab/b:1 cat /a /f") == "a\nf\n"


# With NFS: `nodes` are three.

def nfs_one_node(nodes):
    assert "mlctr run works here" in nodes[0].mlctr("doctor")
    nodes[0].mlctr("pull oci:/data/layouts/debian:1")
    containers(nodes[0])
    builds(nodes[0])
    assert "oci:/data/layouts/debian:1" in nodes[1].mlctr("images")
    forget(nodes[1], "oci:/data/layouts/debian:1", "lab/c:1", "lab/b:1")
    assert not list(STORE.glob("images/sha256/*")) and not list(STORE.glob("layers/sha256/*"))


def nfs_six_pulls(nodes):
    with Downloads() as downloads:
        said = [finish(pull) for pull in [nodes[number % 3].start(f"exec mlctr pull {PYTHON}") for number in range(6)]]
    assert set(downloads.counts.values()) == {1}, downloads.counts
    made = [text for text in said if "is ready" in text]
    assert len(made) == 1, f"{len(made)} of them made the image:\n" + "\n".join(made)
    assert not (unknown := re.findall("waiting: process 0 .*", "".join(said))), unknown
    assert "42" in nodes[1].mlctr(f"run {PYTHON} python3 -c 'print(6 * 7)'")
    assert not list(STORE.glob("tmp/*")), list(STORE.glob("tmp/*"))


def nfs_layer_of_two_images(nodes):
    """n2 has looked for it, and waits while n1 makes it."""
    forget(nodes[1], PYTHON, DEBIAN)
    for image in (DEBIAN, PYTHON):
        nodes[1].mlctr(f"pull {image}")
    nodes[1].mlctr(f"rmi {DEBIAN} {PYTHON}")
    max(STORE.glob("layers/sha256/*.sqsh"), key=lambda path: path.stat().st_size).unlink()
    time.sleep(65)  # what the nodes know of that directory expires
    with Downloads() as downloads:
        first = nodes[0].start(f"exec mlctr pull {DEBIAN}")
        wait_until(lambda: any(STORE.glob("tmp/layer-*")))
        finish(nodes[1].start(f"exec mlctr pull {PYTHON}"))
        finish(first)
    assert set(downloads.counts.values()) == {1}, downloads.counts


def downloaded_bytes():
    total = 0
    for path in STORE.glob("tmp/*.blob"):
        with contextlib.suppress(FileNotFoundError):  # done meanwhile
            total += path.stat().st_size
    return total


def dies(nodes, how, seconds):
    forget(nodes[1], PYTHON, DEBIAN)
    first = nodes[0].start(f"exec mlctr pull {PYTHON}")
    wait_until(lambda: downloaded_bytes() > 20_000_000)
    others = [node.start(f"exec mlctr pull {PYTHON}") for node in nodes[1:]]
    time.sleep(3)
    how()
    first.kill()
    try:
        for pull in others:
            finish(pull, seconds=seconds)
    finally:
        nodes[0].connect("up")
        for pull in (first, *others):
            pull.kill()
            pull.wait()
    nodes[2].mlctr(f"run {PYTHON} true")


def nfs_pull_killed(nodes):
    dies(nodes, lambda: None, 120)


def nfs_node_cut_off(nodes):
    """NFSv4 frees its locks after 90 s, a lease of ours is taken over after 30, NFSv3's locks stay until it boots again."""
    dies(nodes, lambda: nodes[0].connect("down"), 240)


def nfs_gc_beside_pulls(nodes):
    forget(nodes[1], PYTHON, DEBIAN)
    pulls = [nodes[number].start(f"exec mlctr pull {DEBIAN}") for number in (0, 2)]
    while any(pull.poll() is None for pull in pulls):
        nodes[1].mlctr("gc --max-size 0")
    for pull in pulls:
        finish(pull)
    nodes[1].mlctr(f"run {DEBIAN} true")


def nfs_rmi_of_what_runs_here(nodes):
    nodes[0].mlctr(f"pull {BUSYBOX}")
    running = nodes[0].start(f"exec mlctr run {BUSYBOX} sh -c 'sleep 15; ls -R / | wc -l'")
    time.sleep(5)
    nodes[0].mlctr(f"rmi {BUSYBOX}")
    nodes[0].mlctr("gc")
    finish(running)


def nfs_messages(nodes):
    nodes[0].mlctr(f"pull {BUSYBOX}")
    said = nodes[0].mlctr(f"run --name on-nfs {BUSYBOX} true", status=125, MLCTR_CONTAINERS="")
    assert "hint:" in said and "MLCTR_CONTAINERS" in said, said
    said = nodes[0].mlctr(f"pull {BUSYBOX}", status=125, user=0, MLCTR_STORE="/mnt/root", HOME="/root")
    assert "Permission denied" in said and "hint:" in said, said


class Results:
    good = bad = 0

    def run(self, test, name, *arguments):
        if not re.search(os.environ.get("PATTERN", ""), name):
            return
        began = time.monotonic()
        try:
            test(*arguments)
            self.good += 1
            print(f"ok {name} ({time.monotonic() - began:.0f} s)")
        except Exception as error:
            self.bad += 1
            print(f"NOT OK {name} ({time.monotonic() - began:.0f} s)\n{error if isinstance(error, AssertionError) else traceback.format_exc()}")


def guest():
    results = Results()
    tests = {name: test for name, test in globals().items() if callable(test)}
    print(os.uname().release)
    sh("ip link add br0 type bridge; ip addr add 10.0.0.1/24 dev br0; ip link set br0 up; ip link set lo up; loginctl enable-linger alice")
    sh(f"mkdir -p /etc/mlctr; printf '[registries.\"{REGISTRY}\"]\\nplain_http = true\\n' > /etc/mlctr/mlctr.toml")
    pathlib.Path("/etc/registry.yml").write_text(REGISTRY_CONFIG)
    registry = subprocess.Popen(["docker-registry", "serve", "/etc/registry.yml"], stdout=ACCESS_LOG.open("a"), stderr=subprocess.STDOUT)
    wait_until(lambda: os.path.exists("/run/user/1000"))
    for name, test in tests.items():
        if name.startswith("kernel_"):
            results.run(test, name, Place())
    results.run(containers, "kernel_containers", Place())
    results.run(builds, "kernel_builds", Place())
    for options in ("vers=4.2", "vers=3", "vers=3,nolock"):
        sh("rm -rf /export/home/* /home/alice/containers")
        nodes = [Node(number, options) for number in (1, 2, 3)]
        for name, test in tests.items():
            if name.startswith("nfs_"):
                results.run(test, f"{name} {options}", nodes)
        for node in nodes:
            node.close()
    registry.terminate()
    print(f"{results.good} ok, {results.bad} not ok")


if __name__ == "__main__":
    guest() if sys.argv[1:] == ["guest"] else main()
