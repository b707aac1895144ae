"""Images that mean harm to whoever starts them: links, FIFOs and devices where the runtime mounts and reads, environments
that steer programs. Nothing outside the rootfs may change, hang or run."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

from containers import ContainerTestCase
from harness import as_root, shared_directory

TARGETS = ("proc", "sys", "dev", "run", "tmp", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/passwd", "etc/group")
SECONDS = 30


def program_that_needs(interpreter, libraries, run_paths):
    """An ELF file with these headers and nothing to run (elf(5))."""
    texts = b"\0" + b"".join(text.encode() + b"\0" for text in (interpreter, *libraries, *run_paths))
    headers, dynamic = 64 + 3 * 56, 64 + 3 * 56
    entries, at = [], 1 + len(interpreter) + 1
    for tag, names in ((1, libraries), (29, run_paths)):
        for name in names:
            entries.append((tag, at))
            at += len(name) + 1
    begin = headers + 16 * (len(entries) + 2)
    table = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (5, begin), (0, 0)])
    size = begin + len(texts)
    segments = [(1, 0, size), (3, begin + 1, len(interpreter) + 1), (2, dynamic, len(table))]
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    return header + b"".join(struct.pack("<IIQQQQQQ", kind, 5, at, at, at, length, length, 8) for kind, at, length in segments) + table + texts


class HostileRootfs(ContainerTestCase):
    def setUp(self):
        super().setUp()
        self.victim = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-victim-"))
        self.addCleanup(shutil.rmtree, self.victim)
        self.victim.chmod(0o777)
        for name in ("file", "directory/inner"):
            path = self.victim / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("untouched")
            as_root("chown", f"{self.user}:", path.parent if "/" in name else path, path)

    def tree(self):
        """busybox with the directories a rootfs has."""
        root = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-rootfs-"))
        self.addCleanup(shutil.rmtree, root)
        root.chmod(0o755)
        for directory in ("bin", "etc", "usr/bin", "home", "var"):
            (root / directory).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin/busybox")
        for applet in ("sh", "cat", "ls", "id", "true", "env", "stat", "touch", "mount", "sleep", "grep"):
            (root / "bin" / applet).symlink_to("busybox")
        return root

    def picture(self):
        """Everything of the victim that could change."""
        return {
            str(path.relative_to(self.victim)): (os.lstat(path).st_mode, os.lstat(path).st_nlink, path.read_text() if path.is_file() else sorted(os.listdir(path)))
            for path in sorted(self.victim.rglob("*"))
        }

    def assert_harmless(self, root, *options):
        """The container starts or is refused; either way in time, and with the victim as it was."""
        before = self.picture()
        image = self.image_from(root)
        process = self.start("run", *options, image, "/bin/sh", "-c", "test -e /proc/self/mounts; echo started")
        out, errors = process.communicate(timeout=SECONDS)
        self.assertEqual(self.picture(), before)
        self.assertIn(process.returncode, (0, 125, 126, 127), errors)
        if process.returncode == 125:
            self.assertIn("in the container", errors)
        self.assertNotRegex(errors, "terminate called|std::")
        return out

    def test_absolute_links_at_every_mount_point(self):
        for target in TARGETS:
            for victim in ("file", "directory"):
                with self.subTest(target=target, victim=victim):
                    root = self.tree()
                    (root / target).parent.mkdir(parents=True, exist_ok=True)
                    (root / target).symlink_to(self.victim / victim)
                    self.assert_harmless(root)

    def test_relative_links_out_of_the_root(self):
        for target in TARGETS:
            with self.subTest(target=target):
                root = self.tree()
                (root / target).parent.mkdir(parents=True, exist_ok=True)
                (root / target).symlink_to("../" * 12 + str(self.victim / "directory").lstrip("/"))
                self.assert_harmless(root)

    def test_dangling_links_are_followed_inside_only(self):
        root = self.tree()
        (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
        (root / "etc/hosts").symlink_to(self.victim / "made/by/link")
        out = self.assert_harmless(root)
        self.assertEqual(out, "started\n")
        self.assertFalse((self.victim / "made").exists())

    def test_dangling_links_make_nothing_on_the_host(self):
        source = shared_directory("source")
        (source / "data").write_text("data")
        for target in ("passwd", "group", "hosts", "resolv.conf"):
            for link in (self.victim / "new", self.victim / "directory/new", self.victim / "deep/er/new"):
                with self.subTest(target=target, link=link):
                    root = self.tree()
                    (root / "etc" / target).symlink_to(link)
                    self.assert_harmless(root)
        root = self.tree()
        (root / "data").symlink_to(self.victim / "data/deep")
        self.assert_harmless(root, "--mount", f"{source}:/data")
        self.assert_harmless(root, "--mount", f"{source}:/data/more")
        self.assert_harmless(root, "--mount", f"{source}/data:/data")

    def test_links_that_run_in_a_circle(self):
        root = self.tree()
        (root / "etc/hosts").symlink_to("hostname")
        (root / "etc/hostname").symlink_to("hosts")
        (root / "proc").symlink_to("proc")
        self.assert_harmless(root)

    def test_fifos_and_devices_where_files_are_read(self):
        for kind in (("p",), ("c", "1", "3"), ("b", "7", "0")):
            with self.subTest(kind=kind):
                root = self.tree()
                for name in ("passwd", "group", "hosts", "resolv.conf"):
                    as_root("mknod", root / "etc" / name, *kind)
                self.assert_harmless(root)

    def test_files_where_directories_belong_and_the_other_way(self):
        root = self.tree()
        for name in ("proc", "sys", "dev", "run"):
            (root / name).write_text("not a directory")
        self.assert_harmless(root)
        root = self.tree()
        for name in ("hosts", "passwd", "resolv.conf"):
            (root / "etc" / name).mkdir()
        self.assert_harmless(root)

    def test_links_at_the_target_of_a_mount(self):
        source = shared_directory("source")
        (source / "data").write_text("data")
        for link in (str(self.victim / "directory"), "../../../../.." + str(self.victim / "directory"), "/proc/1/root/tmp", "/proc/self/fd/0"):
            with self.subTest(link=link):
                root = self.tree()
                (root / "mnt").symlink_to(link)
                self.assert_harmless(root, "--mount", f"{source}:/mnt", "--remap-root")
                self.assert_harmless(root, "--mount", f"{source}:/mnt/deeper/still")
                self.assert_harmless(root, "--mount", f"{source}/data:/mnt/file")

    def test_a_giant_user_database_is_not_read(self):
        root = self.tree()
        with open(root / "etc/passwd", "wb") as file:
            file.truncate(300 << 20)
        self.assert_harmless(root)

    def test_the_image_environment_reaches_no_helper(self):
        marker = self.home / "tmp/marker"
        library = self.home / "evil.so"
        source = self.write("evil.c", '#include <stdio.h>\n#include <stdlib.h>\n__attribute__((constructor)) static void f(void)'
                                      f'{{ FILE* m = fopen("{marker}", "a"); if (m) fclose(m); }}\n', mode=0o644)  # fmt: skip
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        library.chmod(0o755)
        root = self.tree()
        (root / ".mlctr").mkdir()
        config = {
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
            "config": {"Env": [f"LD_PRELOAD={library}", f"LD_LIBRARY_PATH={self.home}", "PATH=/bin", "BASH_ENV=/x", "MLCTR_STORE=/x"], "Cmd": ["/bin/env"]},
        }  # fmt: skip
        (root / ".mlctr/config.json").write_text(json.dumps(config))
        image = self.image_from(root)
        # busybox is static: whoever loads the library is a program of the host's.
        out, _ = self.run_in(image)
        self.assertIn(f"LD_PRELOAD={library}", out)
        self.assertFalse(marker.exists(), "a program outside the container loaded the image's library")
        self.run_in(image, "/bin/true", options=("--name", "evil", "--rm", "--unshare", "pid"))
        self.assertFalse(marker.exists())

    def test_overlay_marks_in_an_image_hide_nothing(self):
        root = self.tree()
        (root / "secret").mkdir()
        (root / "secret/file").write_text("seen")
        (root / "plain").write_text("seen too")
        for path in (root / "secret", root / "plain"):
            for name in ("opaque", "redirect", "whiteout", "metacopy"):
                os.setxattr(path, f"user.overlay.{name}", b"y")
        out, _ = self.run_in(self.image_from(root), "/bin/sh", "-c", "cat /secret/file /plain; touch /secret/new; ls /secret")
        self.assertEqual(out, "seenseen toofile\nnew\n")

    def test_nothing_in_the_container_gains_privileges(self):
        root = self.tree()
        shutil.copy("/bin/busybox", root / "bin/setuid")
        as_root("chmod", "6755", root / "bin/setuid")
        out, _ = self.run_in(self.image_from(root), "/bin/sh", "-c", "grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status")
        self.assertRegex(out, r"NoNewPrivs:\s+1")
        self.assertRegex(out, r"Seccomp:\s+2")
        self.assertRegex(out, r"CapEff:\s+0+\n")

    def test_device_nodes_of_an_image_are_no_devices(self):
        root = self.tree()
        as_root("mknod", "-m", "666", root / "disk", "b", "7", "0")
        as_root("mknod", "-m", "666", root / "mem", "c", "1", "5")
        self.run_in(self.image_from(root), "/bin/sh", "-c", "! cat /disk && ! cat /mem", options=("--remap-root",))

    def test_the_host_root_can_not_be_reached(self):
        root = self.tree()
        out, _ = self.run_in(
            self.image_from(root), "/bin/sh", "-c",
            "ls -d /../../../../../../bin/setuid /proc/1/root/boot /oldroot 2>/dev/null; ls /..", options=("--unshare", "pid", "--remap-root"),
        )  # fmt: skip
        self.assertIn("bin\n", out)
        self.assertNotIn("boot", out)

    def test_a_program_whose_libraries_are_hard_to_look_for(self):
        """The server looks ahead for them: it must end with the container all the same."""
        root = self.tree()
        (root / "e/d/zz").mkdir(parents=True)
        for link in range(39):
            (root / f"e/s{link}").symlink_to("d/zz/../../" * 370 + f"s{link + 1}")
        (root / "e/s39").mkdir()
        program = program_that_needs("/bin/busybox", [f"lib{n}.so" for n in range(64)], [f"/e/s0/{n}" for n in range(64)])
        (root / "bin/evil").write_bytes(program)
        (root / "bin/evil").chmod(0o755)
        image = self.image_from(root)
        subprocess.run(self._command(["run", image, "/bin/evil"]), capture_output=True, timeout=SECONDS)
        self.assert_nothing_runs()  # within 10 s; it took minutes
