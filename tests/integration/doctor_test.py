"""mlctr doctor: each thing that can be in the way, put there for real; the cause named, and the fix right."""
import json
import os
import pathlib
import re
import subprocess

from harness import as_root, binary, small_filesystem
from obstructed import ObstructedTestCase

NO_RUN = 1  # the exit code

# Forbids user namespaces to a program as docker's default filter does. Usage: python3 -c … PROGRAM ARGUMENT...
NO_UNSHARE = r"""
import ctypes, os, struct, sys
number = {"x86_64": 272, "aarch64": 97}[os.uname().machine]  # unshare
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("HBBI", *rule) for rule in rules)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""

# As AppArmor does to programs without a profile on Ubuntu: a namespace, but no rights in it.
NO_RIGHTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/types.h>
int open(const char* path, int flags, mode_t mode) {
  if (strcmp(path, "/proc/self/uid_map") == 0) { errno = EACCES; return -1; }
  return ((int (*)(const char*, int, mode_t))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}
int open64(const char* path, int flags, mode_t mode) { return open(path, flags, mode); }
"""

INOTIFY = """
#include <stdlib.h>
#include <unistd.h>
int inotify_init1(int flags) { %s }
"""


class DoctorTestCase(ObstructedTestCase):
    def doctor(self, ok=True):
        """What --json says, by the probes' names; checks the exit code (ok=None: whatever it is) and that every fix is a shell's."""
        out, errors = self.mlctr("doctor", "--json", status=None if ok is None else 0 if ok else NO_RUN)
        self.assertEqual(errors, "")
        report = json.loads(out)
        self.assertIn(ok, (report["ok"], None))
        for probe in report["probes"]:
            self.assertEqual(sorted(probe), ["finding", "fix", "name", "status", "tried"])
            for command in probe["fix"]:
                subprocess.run(["sh", "-n", "-c", command], check=True)
        return {probe["name"]: probe for probe in report["probes"]}

    def assert_found(self, probe, status, *patterns):
        self.assertEqual(probe["status"], status, probe)
        for pattern in patterns:
            self.assertRegex(probe["finding"], pattern)

    def with_devices(self, options="", more="true"):
        """A /dev of the usual devices, without /dev/fuse; `more` adds to it, in $dev."""
        devices = "null zero full random urandom tty"
        self.with_mounts(f"""dev=$(mktemp -d)
            mount -t tmpfs {options} none $dev
            for d in {devices}; do touch $dev/$d; mount --bind /dev/$d $dev/$d; done
            mkdir $dev/shm $dev/pts
            {more}
            mount --rbind $dev /dev
            umount -l $dev
            rmdir $dev""")

    def export_of(self, probe):
        """What the fix sets: (variable, value)."""
        [match] = [m for command in probe["fix"] if (m := re.fullmatch(r"export (\w+)=(/\S+)", command))]
        return match.groups()

    def fixed(self, command):
        """What an admin's files would hold and which commands would run: of `sudo` stubs."""
        stub = self.home / "bin/sudo"
        stub.parent.mkdir(exist_ok=True)
        stub.write_text('#!/bin/sh\necho "+ $*"\n[ "$1" != tee ] || cat\n')
        stub.chmod(0o755)
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=self.environment()).stdout


class HealthyTest(DoctorTestCase):
    def test_it_says_so(self):
        probes = self.doctor()
        for name in ("user namespaces", "mounts", "remapped root", "overlay", "FUSE", "runtime directory", "containers", "a run"):
            self.assertEqual((probes[name]["status"], probes[name]["fix"]), ("ok", []), probes[name])
        for probe in probes.values():
            self.assertIn(probe["status"], ("ok", "warning"), probe)
            self.assertTrue(probe["tried"] and probe["finding"], probe)

    def test_what_hooks_say_has_their_name(self):
        hook = self.home / "config/mlctr/hooks.d/10-site.sh"
        hook.parent.mkdir(parents=True)
        hook.write_text("#!/bin/sh\necho one >&2; printf 'two \\033[1m' >&2\n")
        hook.chmod(0o755)
        as_root("chown", "-R", f"{self.uid}:{self.uid}", self.home / "config")
        errors = self.mlctr("doctor")[1]
        self.assertEqual(errors, "10-site.sh: one\n10-site.sh: two \\x1b[1m\n")

    def test_lines_for_people(self):
        out, errors = self.mlctr("doctor")
        lines = out.splitlines()
        self.assertEqual((errors, lines[-1]), ("", "mlctr run works here."))
        self.assertLessEqual(max(len(line) for line in lines if "fix:" not in line), 80)
        self.assertRegex(out, r"(?m)^ok    user namespaces    as yourself")
        self.assertRegex(out, r"(?m)^ok    a run              a program ran in a container$")

    def test_it_leaves_nothing(self):
        """Where a run needs nothing unpacked, not even the store's directory."""
        self.mlctr("doctor")
        self.assertFalse(self.store.exists())
        self.assertEqual(sorted(os.listdir(self.home / "tmp")), [])
        self.assert_nothing_runs()
        self.assertEqual(self.runtime_sockets(), [])

    def test_inside_of_a_container(self):
        """Namespaces nest, and so do containers."""
        image = self.image_of_the_host()
        out, _ = self.run_in(image, binary(), "doctor", options=["--env", f"MLCTR_STORE={self.store}", "--env", f"MLCTR_RUNTIME_DIR={self.home}/tmp/run"])
        self.assertEqual(out.splitlines()[-1], "mlctr run works here.", out)

    def image_of_the_host(self):
        """mlctr's libraries are the host's."""
        directory = self.home / "image"
        for name in ("usr", "etc", "proc", "dev"):
            (directory / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64"):
            (directory / name).symlink_to(f"usr/{name}")
        libraries = subprocess.run(["ldd", binary()], capture_output=True, text=True, check=True).stdout
        for file in sorted(set(re.findall(r"(/\S+) \(0x", libraries))):
            target = directory / os.path.realpath(pathlib.Path(file).parent).lstrip("/") / pathlib.Path(file).name
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "--dereference", file, target], check=True)
        return self.image_from(directory)


class UserNamespacesTest(DoctorTestCase):
    def assert_nothing_can_run(self, *patterns):
        probes = self.doctor(ok=False)
        self.assert_found(probes["user namespaces"], "failed", *patterns)
        for name in ("mounts", "remapped root", "overlay", "FUSE", "containers"):
            self.assert_found(probes[name], "untried", "user namespace")
        self.assert_found(probes["a run"], "failed", "user namespace|uid_map")
        self.assertEqual(self.mlctr("doctor", status=NO_RUN)[0].splitlines()[-1], "mlctr run does not work here.")
        return probes["user namespaces"]["fix"]

    def test_the_limit_is_0(self):
        self.inner = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-ec", 'echo 0 >/proc/sys/user/max_user_namespaces\nexec "$@"', "sh"]
        fix = self.assert_nothing_can_run(r"user\.max_user_namespaces=0")
        self.assertEqual(self.fixed(fix[0]), "+ sysctl -w user.max_user_namespaces=60000\n")
        self.assertEqual(self.fixed(fix[1]), "+ tee -a /etc/sysctl.d/90-mlctr.conf\nuser.max_user_namespaces=60000\n")

    def test_debians_switch(self):
        self.with_mounts("mount -t tmpfs none /proc/sys/kernel; echo 0 >/proc/sys/kernel/unprivileged_userns_clone")
        self.inner = ["/usr/bin/python3", "-c", NO_UNSHARE]
        fix = self.assert_nothing_can_run(r"kernel\.unprivileged_userns_clone=0")
        self.assertEqual(self.fixed(fix[0]), "+ sysctl -w kernel.unprivileged_userns_clone=1\n")

    def test_ubuntus_apparmor(self):
        self.with_mounts("mount -t tmpfs none /proc/sys/kernel; echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
        self.preload("no-rights", NO_RIGHTS)
        fix = self.assert_nothing_can_run("AppArmor", "uid_map: Permission denied")
        to, abi, include, *profile = self.fixed(fix[0]).splitlines()
        self.assertEqual((to, abi, include), ("+ tee /etc/apparmor.d/mlctr", "abi <abi/4.0>,", "include <tunables/global>"))
        self.assertEqual(profile, [f'profile mlctr "{binary()}" flags=(unconfined) {{', "  userns,", "}"])
        self.assertEqual(self.fixed(fix[1]), "+ apparmor_parser -r /etc/apparmor.d/mlctr\n")

    def test_an_outer_containers_filter(self):
        self.inner = ["/usr/bin/python3", "-c", NO_UNSHARE]
        [fix] = self.assert_nothing_can_run("seccomp filter")
        self.assertIn("--security-opt seccomp=unconfined", fix)

    def test_a_chroot(self):
        root = self.home / "chroot"
        root.mkdir()
        script = [f"cd {root}", "ln -s usr/bin usr/lib usr/lib64 usr/sbin ."]
        script += [f"mkdir {d}; mount --rbind /{d} {d}" for d in ("usr", "proc", "dev", "etc", "tmp", "sys")]
        self.with_mounts("\n".join(script))
        self.wrapper = [*self.wrapper, "/usr/sbin/chroot", root]
        self.assertEqual(self.assert_chrooted(), [])

    def assert_chrooted(self):
        probes = self.doctor(ok=False)
        self.assert_found(probes["user namespaces"], "failed", "chroot")
        return probes["user namespaces"]["fix"]


class FuseTest(DoctorTestCase):
    def assert_unpacks(self, *patterns):
        probes = self.doctor()
        self.assert_found(probes["FUSE"], "warning", "images are unpacked instead", *patterns)
        self.assert_found(probes["a run"], "warning", "unpacking the image")
        self.assertEqual(self.store_files("containers"), [], "the trial's image stays")
        return probes["FUSE"]["fix"]

    def test_not_for_this_user(self):
        self.hide_fuse(0o600)
        fix = self.assert_unpacks(r"/dev/fuse \(mode 0600\)", "Permission denied")
        self.assertEqual(self.fixed(fix[0]), "+ chmod 0666 /dev/fuse\n")
        self.assertEqual(self.fixed(fix[1]), '+ tee /etc/udev/rules.d/99-fuse.rules\nKERNEL=="fuse", MODE="0666"\n')

    def test_no_device(self):
        self.with_devices()
        self.assertEqual(self.assert_unpacks("the kernel has FUSE, but there is no /dev/fuse"), ["docker run --device /dev/fuse …"])

    def test_no_module(self):
        self.with_devices(more="grep -v fuse /proc/filesystems >$dev/filesystems; mount --bind $dev/filesystems /proc/filesystems")
        fix = self.assert_unpacks("module fuse is not loaded")
        self.assertEqual(self.fixed(fix[0]), "+ modprobe fuse\n")
        self.assertEqual(self.fixed(fix[1]), "+ tee /etc/modules-load.d/fuse.conf\nfuse\n")

    def test_a_device_directory_without_devices(self):
        self.with_devices("-o nodev", "mknod -m 0666 $dev/fuse c 10 229")
        self.assert_unpacks("nodev", "Permission denied")

    def test_no_driver_behind_the_device(self):
        self.with_devices(more="mknod -m 0666 $dev/fuse c 10 251")
        self.assert_unpacks("module fuse is not loaded", "No such device")

    def test_another_thing(self):
        self.hide_fuse(0o666)
        fix = self.assert_unpacks("not the kernel's device")
        self.assertEqual(self.fixed(fix[1]), "+ mknod -m 0666 /dev/fuse c 10 229\n")

    def test_it_is_needed_where_the_settings_say_so(self):
        self.hide_fuse(0o600)
        self.more["MLCTR_RUN_ROOTFS"] = "overlay"
        self.assert_found(self.doctor(ok=False)["a run"], "failed", "/dev/fuse: Permission denied")


class OverlayTest(DoctorTestCase):
    def test_no_module(self):
        self.hide_overlay()
        probes = self.doctor()
        self.assert_found(probes["overlay"], "warning", "overlay is not loaded", "fuse-overlayfs is used instead")
        self.assertEqual(self.fixed(probes["overlay"]["fix"][0]), "+ modprobe overlay\n")
        self.assert_found(probes["a run"], "warning", "using fuse-overlayfs")
        self.assert_found(probes["containers"], "ok", "without the kernel's overlays")

    def test_neither_overlay_nor_fuse_overlayfs(self):
        self.hide_overlay()
        file = self.write("no-program", "", mode=0o644)
        self.with_mounts(f"[ ! -e /usr/bin/fuse-overlayfs ] || mount --bind {file} /usr/bin/fuse-overlayfs")
        probes = self.doctor()
        self.assert_found(probes["overlay"], "warning", "each container gets a copy")
        self.assert_found(probes["a run"], "warning", "unpacking the image for this container")


class PlacesTest(DoctorTestCase):
    def test_containers_on_a_filesystem_without_xattrs(self):
        """ramfs, as NFS, Lustre and an old kernel's tmpfs are."""
        directory = self.home / "ramfs"
        directory.mkdir()
        self.with_mounts(f"mount -t ramfs ramfs {directory}; chmod 777 {directory}")
        self.more["MLCTR_CONTAINERS"] = str(directory / "containers")
        probes = self.doctor()
        self.assert_found(probes["containers"], "warning", f"{directory}/containers, on ramfs", "cannot replace a directory")
        variable, value = self.export_of(probes["containers"])
        self.assertEqual(variable, "MLCTR_CONTAINERS")
        self.more[variable] = value
        self.assert_found(self.doctor()["containers"], "ok")
        self.assertFalse(os.path.exists(value))

    def test_a_store_that_is_not_ones_own(self):
        directory = self.home / "another's"
        directory.mkdir(mode=0o755)
        self.more["MLCTR_STORE"] = str(directory)
        probes = self.doctor()
        self.assert_found(probes["store"], "warning", "belongs to", "none can be pulled")
        variable, value = self.export_of(probes["store"])
        self.assertEqual(variable, "MLCTR_STORE")
        self.more[variable] = value
        self.assertNotRegex(self.doctor()["store"]["finding"], "cannot|belongs")

    def test_a_store_that_everyone_may_write_to(self):
        self.store.mkdir()
        self.store.chmod(0o777)
        self.give_to_user(self.store)
        store = self.doctor()["store"]
        self.assert_found(store, "warning", "everyone may write to it")
        self.assertEqual(store["fix"], [f"chmod o-w {self.store}"])
        as_root("sh", "-c", store["fix"][0])
        self.assertNotIn("everyone", self.doctor()["store"]["finding"])

    def test_a_store_without_room(self):
        with small_filesystem("30m") as directory:
            self.more["MLCTR_STORE"] = str(directory / "store")
            store = self.doctor()["store"]
        self.assert_found(store, "warning", "on tmpfs, 0.0 GB free", "3 to 20 GB")
        self.assertEqual(store["fix"][0], "mlctr gc")

    def test_a_runtime_directory_that_is_not_ones_own(self):
        directory = self.home / "runtime"
        directory.mkdir(mode=0o755)
        self.more["MLCTR_RUNTIME_DIR"] = str(directory)
        probes = self.doctor(ok=False)
        self.assert_found(probes["runtime directory"], "failed", f"{directory}: it is not yours alone")
        self.assert_found(probes["a run"], "failed", "runtime directory")
        variable, value = self.export_of(probes["runtime directory"])
        self.assertFalse(os.path.exists(value))
        self.addCleanup(as_root, "rm", "-rf", value)
        self.more[variable] = value
        self.assert_found(self.doctor()["runtime directory"], "ok", value)


class LimitsTest(DoctorTestCase):
    def limited(self, **limits):
        self.inner = ["prlimit", *(f"--{name}={value}" for name, value in limits.items())]

    def test_few_open_files(self):
        self.limited(nofile="500:4096")
        probe = self.doctor()["open files"]
        self.assert_found(probe, "warning", "ulimit -n 500")
        self.inner = [*self.inner, "bash", "-ec", f'{probe["fix"][0]}\nexec "$@"', "bash"]
        self.assert_found(self.doctor()["open files"], "ok", "4096")

    def test_too_few_open_files(self):
        self.limited(nofile="12")
        probes = self.doctor(ok=False)
        self.assert_found(probes["a run"], "failed", "Too many open files")
        self.assertRegex(self.fixed(probes["open files"]["fix"][0]), r"limits\.d/90-mlctr\.conf\n\* - nofile 65536\n")

    def test_no_process(self):
        self.limited(nproc="1")
        probes = self.doctor(ok=False)
        self.assert_found(probes["processes"], "failed", "cannot start a process", r"ulimit -u|pids\.max")
        self.assertIn("nproc", probes["processes"]["fix"][0])

    def test_little_address_space(self):
        self.limited(**{"as": 4 << 30})
        probe = self.doctor()["address space"]
        self.assert_found(probe, "warning", "limited to 4.3 GB", f"ulimit -v {4 << 20}")
        self.assertIn("- as unlimited", self.fixed(probe["fix"][0]))

    def test_small_files(self):
        self.limited(fsize=1 << 30)
        self.assert_found(self.doctor()["file size"], "warning", "1.1 GB at most", "ulimit -f")

    def test_no_inotify_instance(self):
        self.inner = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-ec", 'echo 0 >/proc/sys/user/max_inotify_instances\nexec "$@"', "sh"]
        probe = self.doctor()["inotify"]
        self.assert_found(probe, "warning", "max_user_instances")
        self.assertEqual(self.fixed(probe["fix"][0]), "+ sysctl -w fs.inotify.max_user_instances=1024\n")


class ProbesThatGoWrongTest(DoctorTestCase):
    def test_a_crash_is_a_finding(self):
        self.preload("crash", INOTIFY % "abort();")
        probes = self.doctor()
        self.assert_found(probes["inotify"], "warning", "killed: Aborted")
        self.assert_found(probes["a run"], "ok")

    def test_a_hang_is_a_finding(self):
        self.preload("hang", INOTIFY % "for (;;) pause();")
        probes = self.doctor()
        self.assert_found(probes["inotify"], "warning", "no answer within 10 s")
        self.assert_found(probes["a run"], "ok")


class SiteTest(DoctorTestCase):
    def with_nvidia(self, device):
        version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
        driver = f"mount -t tmpfs none /proc/driver; mkdir /proc/driver/nvidia; echo '{version}' >/proc/driver/nvidia/version"
        self.with_devices(more=f"{driver}; {device}")

    def test_a_driver_without_devices(self):
        self.with_nvidia("true")
        probe = self.doctor()["GPU"]
        self.assert_found(probe, "warning", "NVIDIA driver 550.54.15, but there are no devices")
        self.assertEqual(self.fixed(probe["fix"][0]), "+ nvidia-modprobe -c 0 -u\n")

    def test_devices(self):
        """Any will do: it is opened, no more."""
        self.with_nvidia("mknod -m 0666 $dev/nvidia0 c 1 3")
        self.assert_found(self.doctor()["GPU"], "ok", "NVIDIA driver 550.54.15, 1 device opened", "mlctr run --gpus all")

    def test_devices_of_a_job_that_is_not_ours(self):
        self.with_nvidia("mknod -m 0600 $dev/nvidia0 c 1 3")
        probe = self.doctor()["GPU"]
        self.assert_found(probe, "warning", "/dev/nvidia0 can't be opened")
        self.assertEqual(probe["fix"][0], "srun --gpus=1 mlctr doctor")

    def test_slurm(self):
        self.assert_found(self.doctor()["Slurm"], "ok", "no srun" if not self.has_srun() else "srun")
        self.write("bin/srun", "#!/bin/sh\n", mode=0o755)
        self.more["SLURM_CONF"] = str(self.home / "slurm/slurm.conf")
        self.write("slurm/plugstack.conf", "include plugstack.conf.d/*\n", mode=0o644)
        self.assert_found(self.doctor()["Slurm"], "ok", f"{self.home}/bin/srun, without mlctr's plugin", "mlctr srun")
        self.write("slurm/plugstack.conf.d/mlctr.conf", "required /usr/lib/slurm/spank_mlctr.so\n", mode=0o644)
        self.assert_found(self.doctor()["Slurm"], "ok", f"{self.home}/slurm/plugstack.conf names spank_mlctr.so")

    def has_srun(self):
        return subprocess.run(["sh", "-c", "command -v srun"], capture_output=True).returncode == 0
