"""Each way of making a rootfs, forced, and what a machine without FUSE or without overlays falls back to."""
import os
import pathlib
import signal
import struct
import subprocess
import tempfile

import containers
from containers import layout
from harness import as_root, small_filesystem
from named_containers import until
from obstructed import ObstructedTestCase


class FallbackTestCase(ObstructedTestCase):
    way = None

    def setUp(self):
        super().setUp()
        self.more = {"MLCTR_RUN_ROOTFS": self.way} if self.way else {}

    def unpacked(self):
        """What lies where images are unpacked, but for locks."""
        directory = self.store / "containers/.unpacked"
        return sorted(set(os.listdir(directory)) - {"locks"}) if directory.exists() else []

    def assert_only_shared_trees_left(self):
        until(lambda: all(name.startswith(("sha256-", "file-")) for name in self.unpacked()), self.unpacked())

    def assert_no_fuse_overlayfs(self):
        def running():
            return [p for p in pathlib.Path("/proc").glob("[0-9]*/environ") if self._is_fuse_overlayfs(p.parent)]

        until(lambda: not running(), "fuse-overlayfs outlived its container", 10)

    def _is_fuse_overlayfs(self, process):
        try:
            return str(self.home).encode() in os.readlink(process / "cwd").encode() and (process / "comm").read_text() == "fuse-overlayfs\n"
        except OSError:
            return False


class EveryWay:
    """What a container can do must not depend on how its rootfs is made."""

    def test_a_run(self):
        self.pull(layout("busybox"), "--quiet")
        out, errors = self.run_in(layout("busybox"), "sh", "-c", "echo new >/etc/new; cat /etc/new; stat -c '%u' /bin; id -u")
        self.assertEqual(out.split(), ["new", str(self.uid), str(self.uid)])
        self.assertEqual(errors, "")
        self.assert_only_shared_trees_left()
        self.assert_no_fuse_overlayfs()

    def test_a_named_container_keeps_its_changes(self):
        image = layout("busybox")
        self.run_in(image, "sh", "-c", "echo kept >/etc/kept; rm -r /bin/wget /usr; mkdir /usr; echo >/usr/own", options=["--name", "n"])
        for _ in range(2):
            until(lambda: not containers.servers_below(self.home), "the server stays")
            out, _ = self.run_in("n", "sh", "-c", "cat /etc/kept; ls /bin/wget 2>&1; ls -A /usr")
            self.assertEqual(out.splitlines()[0], "kept")
            self.assertIn("No such file", out)
            self.assertEqual(out.splitlines()[2:], ["own"])
        other, _ = self.run_in(image, "sh", "-c", "ls /etc/kept /bin/wget 2>&1; true")
        self.assertIn("/etc/kept: No such file", other)
        self.assertNotIn("/bin/wget: No such", other)
        self.mlctr("rm", "n")
        self.assert_only_shared_trees_left()

    def test_several_processes_share_a_container(self):
        with self.start("run", "--name", "n", layout("busybox"), "sh", "-c", "echo 1 >/etc/mine; echo up; sleep 60") as first:
            self.assertEqual(first.stdout.readline(), "up\n")
            out, _ = self.run_in("n", "cat", "/etc/mine")
            self.assertEqual(out, "1\n")
            self.mlctr("rm", "--force", "n")
        self.assert_only_shared_trees_left()
        self.assert_no_fuse_overlayfs()

    def test_a_nested_mount_namespace_keeps_the_container(self):
        """Whoever left the container's own namespaces still has its files."""
        script = "unshare -m sh -c 'touch /etc/before; sleep 1; ls /etc/before /bin/sh >/tmp/seen 2>&1' & sleep 0.3"
        self.run_in(layout("busybox"), "sh", "-c", script, options=["--remap-root", "--mount", f"{self.home}/tmp:/tmp"])
        until(lambda: (self.home / "tmp/seen").exists() and (self.home / "tmp/seen").read_text(), "the nested program died")
        self.assertEqual((self.home / "tmp/seen").read_text(), "/bin/sh\n/etc/before\n")
        self.assert_only_shared_trees_left()

    def test_mapped_root(self):
        script = "id -u; touch /etc/x && chown 5:6 /etc/x && stat -c '%a' /bin"
        out, _ = self.run_in(layout("busybox"), "sh", "-c", script, options=["--remap-root"])
        self.assertEqual(out.split()[0], "0")

    def test_read_only(self):
        out, _ = self.run_in(layout("busybox"), "sh", "-c", "touch /etc/x 2>&1; echo $?", options=["--read-only"])
        self.assertIn("Read-only file system", out)
        self.assertEqual(out.split()[-1], "1")

    def test_a_pid_namespace(self):
        out, _ = self.run_in(layout("busybox"), "sh", "-c", "echo x >/etc/x; cat /etc/x", options=["--unshare", "pid"])
        self.assertEqual(out, "x\n")
        self.assert_no_fuse_overlayfs()

    def test_failure_leaves_nothing(self):
        self.mlctr("run", layout("busybox"), "no-such-program", status=127)
        self.assert_only_shared_trees_left()
        self.assert_no_fuse_overlayfs()


class OverlayTest(EveryWay, FallbackTestCase):
    way = "overlay"

    def test_it_is_not_given_up_silently(self):
        self.hide_fuse(0o000)
        self.fails("run", layout("busybox"), "true", says=["/dev/fuse", "permission denied"])
        self.wrapper = []
        self.hide_overlay()
        self.fails("run", layout("busybox"), "true", says="overlay")


class UnpackTest(EveryWay, FallbackTestCase):
    way = "unpack"

    def test_it_needs_no_fuse(self):
        self.pull(layout("busybox"), "--quiet")
        self.hide_fuse(0o000)
        self.assertEqual(self.run_in(layout("busybox"), "echo", "here"), ("here\n", ""))

    def test_an_image_is_unpacked_once(self):
        image = layout("python")
        self.pull(image)
        self.more["MLCTR_CONTAINERS"] = str(self.home / "containers")
        making, runs = set(), [self.start("run", image, "sh", "-c", "echo ready") for _ in range(8)]
        unpacked = self.home / "containers/.unpacked"
        while any(run.poll() is None for run in runs):
            making |= {name for name in (os.listdir(unpacked) if unpacked.exists() else []) if name.startswith("new-")}
        for run in runs:
            out, errors = run.communicate()
            self.assertEqual((run.returncode, out), (0, "ready\n"), errors)
        self.assertEqual(len(making), 1, "more than one process unpacked it")
        self.assertEqual([name[:7] for name in os.listdir(unpacked) if name != "locks"], ["sha256-"])

    def test_files_are_as_in_the_image(self):
        with tempfile.TemporaryDirectory(dir=self.home) as tree:
            tree = pathlib.Path(tree)
            tree.chmod(0o755)
            (tree / "ro").mkdir()
            (tree / "ro/file").write_text("x")
            os.link(tree / "ro/file", tree / "other-name")
            os.symlink("/etc/passwd", tree / "link")
            os.mkfifo(tree / "fifo", 0o640)
            with open(tree / "sparse", "wb") as sparse:
                sparse.seek(64 << 20)
                sparse.write(b"end")
            (tree / "suid").write_text("")
            (tree / "suid").chmod(0o6755)
            for path in ("ro/file", "sparse", "suid", "ro"):
                os.utime(tree / path, (1_500_000_000, 1_500_000_000))
            (tree / "ro").chmod(0o555)
            for program in ("bin", "lib", "lib64", "usr", "proc", "etc"):
                (tree / program).mkdir()
            subprocess.run(["cp", "/bin/busybox", tree / "bin/sh"], check=True)
            image = self.image_from(tree)
        self.run_in(image, "/bin/sh", "-c", "true")
        root = next((self.store / "containers/.unpacked").glob("file-*")) / "tree"
        self.assertEqual((root / "ro/file").stat().st_ino, (root / "other-name").stat().st_ino)
        self.assertEqual(os.readlink(root / "link"), "/etc/passwd")
        self.assertEqual(oct((root / "fifo").lstat().st_mode), oct(0o010640))
        self.assertEqual((root / "sparse").stat().st_size, (64 << 20) + 3)
        self.assertLess((root / "sparse").stat().st_blocks * 512, 1 << 20)
        self.assertEqual(oct((root / "suid").stat().st_mode), oct(0o100755))
        self.assertEqual(oct((root / "ro").stat().st_mode), oct(0o040555))
        for path in ("ro/file", "sparse", "suid", "ro"):
            self.assertEqual((root / path).stat().st_mtime, 1_500_000_000, path)

    def start_unpacking(self):
        """A run that is busy unpacking now."""
        image = layout("python")
        self.pull(image)
        run = self.start("run", image, "true")
        until(lambda: any(name.startswith("new-") for name in self.unpacked()) or run.poll() is not None, "nothing is unpacked")
        self.assertIsNone(run.poll(), "it was unpacked before it could be stopped")
        return run

    def mlctr_pid(self, run):
        """Below runuser, where the tests run as root."""
        children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        return self.mlctr_pid_of(int(children[0])) if children and self.user else run.pid

    def mlctr_pid_of(self, pid):
        while pathlib.Path(f"/proc/{pid}/comm").read_text() in ("sudo\n", "runuser\n", "env\n"):
            pid = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid

    def test_an_interrupted_run_leaves_nothing(self):
        for stop in (signal.SIGINT, signal.SIGKILL):
            run = self.start_unpacking()
            as_root("kill", f"-{stop.value}", self.mlctr_pid(run))
            run.communicate()
            until(lambda: not self.unpacked(), f"{stop.name} leaves {self.unpacked()}")

    def test_what_a_dead_machine_leaves_stops_nobody(self):
        run = self.start_unpacking()
        for pid in (*containers.servers_below(self.home), self.mlctr_pid(run)):
            as_root("kill", "-KILL", pid)
        run.communicate()
        self.assertEqual([name[:4] for name in self.unpacked()], ["new-"])
        self.run_in(layout("python"), "true")
        self.assertEqual([name[:7] for name in self.unpacked()], ["sha256-"])

    def test_disk_full(self):
        with small_filesystem("3m") as directory:
            self.more["MLCTR_CONTAINERS"] = str(directory / "containers")
            self.fails("run", layout("python"), "true", says=["cannot unpack", "no space left"])
            until(lambda: set(os.listdir(directory / "containers/.unpacked")) <= {"locks"}, "something is left")

    def test_gc_removes_what_has_no_image(self):
        image = layout("busybox")
        self.run_in(image, "true")
        self.mlctr("gc")
        self.assertEqual(len(self.unpacked()), 1)
        with self.start("run", image, "sh", "-c", "echo up; sleep 60") as running:
            self.assertEqual(running.stdout.readline(), "up\n")
            self.mlctr("rmi", image)
            self.mlctr("gc")
            self.assertEqual(len(self.unpacked()), 1, "gc took a running container's files")
            as_root("kill", self.mlctr_pid(running))
        until(lambda: not containers.servers_below(self.home), "the server stays")
        out, _ = self.mlctr("gc")
        self.assertIn("unpacked image", out)
        self.assertEqual(self.unpacked(), [])


class FuseOverlayfsTest(EveryWay, FallbackTestCase):
    way = "fuse-overlayfs"

    def setUp(self):
        if not os.access("/usr/bin/fuse-overlayfs", os.X_OK):
            self.skipTest("no fuse-overlayfs: apt-get install fuse-overlayfs")
        super().setUp()

    def test_another_way_goes_on_with_its_changes(self):
        script = "rm -r /etc; mkdir /etc; echo a >/etc/a; rm /bin/wget"
        self.run_in(layout("busybox"), "sh", "-c", script, options=["--name", "n"])
        for way in ("overlay", "fuse-overlayfs", "unpack"):
            self.more["MLCTR_RUN_ROOTFS"] = way
            until(lambda: not containers.servers_below(self.home), "the server stays")
            out, _ = self.run_in("n", "sh", "-c", "cd /etc; cat a; ls -A | grep -v -e host -e resolv -e passwd -e group -e localtime -e machine; ls /bin/wget 2>&1; true")
            self.assertEqual(out.splitlines()[:2], ["a", "a"], way)
            self.assertIn("No such file", out)


class CopyTest(EveryWay, FallbackTestCase):
    way = "copy"

    def test_changes_stay_in_the_copy_for_ever(self):
        self.run_in(layout("busybox"), "sh", "-c", "echo kept >/etc/kept", options=["--name", "n"])
        until(lambda: not containers.servers_below(self.home), "the server stays")
        self.more["MLCTR_RUN_ROOTFS"] = "auto"
        self.assertEqual(self.run_in("n", "cat", "/etc/kept"), ("kept\n", ""))
        until(lambda: not containers.servers_below(self.home), "the server stays")
        self.more["MLCTR_RUN_ROOTFS"] = "overlay"
        self.fails("run", "n", "true", says="unpacked copy")
        self.fails("save", "n", self.home / "saved.sqsh", says="unpacked copy")

    def test_changes_of_an_overlay_are_not_lost(self):
        self.more["MLCTR_RUN_ROOTFS"] = "overlay"
        self.run_in(layout("busybox"), "touch", "/etc/kept", options=["--name", "n"])
        until(lambda: not containers.servers_below(self.home), "the server stays")
        self.more["MLCTR_RUN_ROOTFS"] = "copy"
        self.fails("run", "n", "true", says="changes that only an overlay can show")


class AutomaticTest(FallbackTestCase):
    def assert_falls_back(self, *words, options=(), image=None):
        out, errors = self.run_in(image or layout("busybox"), "sh", "-c", "echo x >/etc/x; cat /etc/x", options=options)
        self.assertEqual(out, "x\n")
        self.assertEqual(len(errors.splitlines()), 1, errors)
        for word in words:
            self.assertIn(word, errors)

    def test_without_permission_for_fuse(self):
        self.pull(layout("busybox"), "--quiet")
        self.hide_fuse(0o000)
        self.assert_falls_back("/dev/fuse: Permission denied", "unpacking", "chmod 0666 /dev/fuse")
        self.assert_falls_back("/dev/fuse", options=["--name", "n"])

    def test_with_another_thing_for_fuse(self):
        self.pull(layout("busybox"), "--quiet")
        self.hide_fuse(0o666)
        self.assert_falls_back("fuse", "unpacking")

    def test_datasets_without_fuse(self):
        data = self.home / "data"
        data.mkdir()
        (data / "numbers").write_text("1 2 3\n")
        data.chmod(0o755)
        file = self.image_from(data)
        self.pull(layout("busybox"), "--quiet")
        self.hide_fuse(0o000)
        out, errors = self.run_in(layout("busybox"), "sh", "-c", "cat /data/numbers; touch /data/x 2>&1", options=["--mount", f"{file}:/data"], status=1)
        self.assertIn("1 2 3\n", out)
        self.assertIn("Read-only", out)
        self.assertEqual(len(errors.splitlines()), 1, errors)

    def test_without_overlay(self):
        self.pull(layout("busybox"), "--quiet")
        self.hide_overlay()
        self.assert_falls_back("overlay", "No such device", "modprobe overlay")
        self.assert_no_fuse_overlayfs()

    def test_without_both(self):
        self.pull(layout("busybox"), "--quiet")
        self.hide_overlay()
        self.hide_fuse(0o000)
        self.assert_falls_back("/dev/fuse", "no overlays either")
        self.assert_falls_back("no overlays either", options=["--name", "n"])
        self.assert_only_shared_trees_left()

    def test_a_bad_upper_directory_is_no_reason(self):
        """The user's mistake is told, not worked around."""
        self.run_in(layout("busybox"), "true", options=["--name", "n"])
        until(lambda: not containers.servers_below(self.home), "the server stays")
        as_root("mount", "-t", "ramfs", "ramfs", self.store / "containers/n/work")
        try:
            self.fails("run", "n", "true", says="MLCTR_CONTAINERS")
        finally:
            as_root("umount", self.store / "containers/n/work")

    def test_wrong_setting(self):
        self.more["MLCTR_RUN_ROOTFS"] = "overlays"
        self.fails("run", layout("busybox"), "true", says=["MLCTR_RUN_ROOTFS", "auto, overlay, unpack, fuse-overlayfs, copy"], hint=False)


class SifTest(FallbackTestCase):
    def sif_of(self, squashfs):
        """As `apptainer build` lays it out; the format is pkg/sif's of github.com/sylabs/sif."""
        data = pathlib.Path(squashfs).read_bytes()
        begin = 32768
        header = struct.pack("<32s10s3s3s16s8q", b"#!/usr/bin/env run-singularity\n", b"SIF_MAGIC", b"01", b"02", b"i" * 16, 0, 0, 46, 48, 4096, 48 * 585, begin, len(data))
        label = struct.pack("<i?3I7q128s384s", 0x4003, True, 1, 0xF0000001, 0, 100, 5, 5, 0, 0, 0, 0, b"", b"")
        extra = struct.pack("<ii3s", 1, 2, b"02")
        system = struct.pack("<i?3I7q128s384s", 0x4004, True, 2, 0xF0000001, 0, begin, len(data), len(data), 0, 0, 0, 0, b"system", extra)
        file = self.home / "image.sif"
        file.write_bytes((header.ljust(4096, b"\0") + label + system).ljust(begin, b"\0") + data)
        file.chmod(0o644)
        return file

    def setUp(self):
        super().setUp()
        self.pull(layout("busybox"))
        self.squashfs = self.squashfs_of(layout("busybox"))
        self.sif = self.sif_of(self.squashfs)

    def test_it_runs_in_every_way(self):
        for way in ("overlay", "unpack", "copy"):
            self.more["MLCTR_RUN_ROOTFS"] = way
            self.assertEqual(self.run_in(self.sif, "sh", "-c", "ls /bin/sh")[0], "/bin/sh\n", way)

    def test_a_container_of_one(self):
        self.run_in(self.sif, "touch", "/etc/kept", options=["--name", "n"])
        until(lambda: not containers.servers_below(self.home), "the server stays")
        self.assertEqual(self.run_in("n", "ls", "/etc/kept")[0], "/etc/kept\n")

    def test_it_is_mounted_and_inspected(self):
        out, _ = self.run_in(layout("busybox"), "ls", "/data/bin/sh", options=["--mount", f"{self.sif}:/data"])
        self.assertEqual(out, "/data/bin/sh\n")
        self.assertEqual(self.json("inspect", self.sif)["config"], self.json("inspect", layout("busybox"))["config"])

    def test_a_cut_one(self):
        os.truncate(self.sif, 32768 + 100)
        self.fails("run", self.sif, "true", says=["SIF", "outside of it"])


class EnrootImageTest(FallbackTestCase):
    def test_its_environment_file(self):
        with tempfile.TemporaryDirectory(dir=self.home) as tree:
            tree = pathlib.Path(tree)
            tree.chmod(0o755)
            for directory in ("bin", "etc", "proc"):
                (tree / directory).mkdir()
            subprocess.run(["cp", "/bin/busybox", tree / "bin/sh"], check=True)
            (tree / "etc/environment").write_text('# comment\nPLAIN=a b\nQUOTED="c d"\n=none\nnothing\nEQUALS=x=y\n')
            image = self.image_from(tree)
        for target, options in ((image, ["--name", "n"]), ("n", [])):
            out, _ = self.run_in(target, "/bin/sh", "-c", 'echo "$PLAIN|$QUOTED|$EQUALS"', options=options)
            self.assertEqual(out, "a b|c d|x=y\n")
            until(lambda: not containers.servers_below(self.home), "the server stays")
