"""Images that enroot made, and images made for enroot."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from containers import layout
from harness import as_root, tree_of
from named_containers import NamedContainerTestCase, change_config

# What `enroot import` leaves in an image (version 4: the lines that matter).
RC = """# enroot-provenance: docker://registry-1.docker.io#library/x:1
# maintainer somebody

mkdir -p "/work dir" 2> /dev/null
cd "/work dir" && unset OLDPWD || exit 1

if [ -s /etc/rc.local ]; then
    . /etc/rc.local
fi

if [ $# -gt 0 ]; then
    exec 'echo' 'entry' "$@"
else
    exec 'echo' 'entry' 'it'\\''s' 'cmd'
fi
"""


class EnrootTestCase(NamedContainerTestCase):
    def tree(self, **files):
        """busybox, and the files of enroot's that are given: rc, environment, fstab."""
        root = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-rootfs-"))
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        for directory in ("bin", "etc", "work dir", "dev", "proc", "sys"):
            (root / directory).mkdir()
        shutil.copy("/bin/busybox", root / "bin/busybox")
        for applet in ("sh", "cat", "ls", "env", "echo", "pwd", "true", "grep", "touch", "id", "mkdir"):
            (root / "bin" / applet).symlink_to("busybox")
        for name, content in files.items():
            (root / "etc" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    def made(self, **files):
        return self.image_from(self.tree(**files), "-all-root")

    def variables(self, image, *options):
        out = self.mlctr("run", "--no-entrypoint", *options, image, "env")[0]
        return dict(line.split("=", 1) for line in out.splitlines())


class Running(EnrootTestCase):
    def test_the_script_gets_the_command(self):
        image = self.made(rc=RC, environment="PATH=/bin\nGREETING=hello world\n")
        self.assertEqual(self.sh("run", image), "entry it's cmd")
        self.assertEqual(self.sh("run", image, "a b", "-x"), "entry a b -x")
        self.assertEqual(self.sh("run", "--no-entrypoint", image, "sh", "-c", "echo $GREETING"), "hello world")
        self.assertEqual(self.sh("run", "--entrypoint", "/bin/echo", image, "own"), "own")
        script = self.made(rc='cd "/work dir"\nexec "$@"\n')
        self.assertEqual(self.sh("run", script, "pwd"), "/work dir")
        self.assertEqual(self.mlctr("run", script, "sh", "-c", "exit 7", status=7), ("", ""))

    def test_a_profile_changes_no_path(self):
        """enroot starts a login shell, and Debian's /etc/profile sets PATH anew."""
        image = self.made(rc='exec "$@"\n', environment="PATH=/own:/bin\n", profile="PATH=/wrong\n")
        self.assertEqual(self.sh("run", image, "sh", "-c", "echo $PATH"), "/own:/bin")

    def test_environment(self):
        self.host_variables = {"DISPLAY_": ":1", "LD_LIBRARY_PATH": "/host"}
        image = self.made(rc="exec \"$@\"\n", environment="# c\n  PATH=/bin\nA='quoted'\nB=${DISPLAY_}\nC=${LD_LIBRARY_PATH}.\nD=$DISPLAY_\nno\nENROOT_X=1\nE=\"\"")
        found = self.variables(image)
        self.assertEqual([found.get(n) for n in ("A", "B", "C", "D", "ENROOT_X", "E")], ["quoted", ":1", ".", "$DISPLAY_", None, ""])
        self.assertEqual(self.variables(image, "--env", "A=mine")["A"], "mine")

    def test_named_container_and_recorded_file(self):
        image = self.made(rc=RC, environment="A=1\nPATH=/bin\n", fstab="${ENROOT_ROOTFS}/vol /vol none x-create=dir,bind,rw\n")
        self.mlctr("create", "--quiet", "--name", "c", image)
        self.assertEqual(self.sh("run", "c", "x"), "entry x")
        self.assertEqual(self.sh("run", "--no-entrypoint", "c", "sh", "-c", "echo $A; ls -d /vol"), "1\n/vol")
        self.mlctr("save", "c", self.home / "saved.sqsh")
        self.assertEqual(self.sh("run", self.home / "saved.sqsh", "y"), "entry y")
        self.pull(str(image), "--quiet")
        self.assertEqual(self.sh("run", "--pull", "never", str(image), "z"), "entry z")

    def test_fstab(self):
        image = self.made(rc='exec "$@"\n', fstab="# UNCONFIGURED FSTAB\n${ENROOT_ROOTFS}/vol /vol none x-create=dir,bind,rw,nosuid,nodev\n"
                          "tmpfs /mem tmpfs x-create=dir,size=1m\nproc /proc proc defaults 0 0\n/dev/sda1 / ext4 defaults 0 1\n")  # fmt: skip
        script = "for f in /mem/x /vol/x /x; do touch $f 2>/dev/null && echo $f; done; grep -c ' /mem tmpfs' /proc/self/mounts"
        self.assertEqual(self.mlctr("run", image, "sh", "-c", script), ("/mem/x\n/vol/x\n/x\n1\n", ""))
        self.assertEqual(self.mlctr("run", "--read-only", image, "sh", "-c", script), ("/mem/x\n1\n", ""))

    def test_without_enroots_files_nothing_changes(self):
        image = self.made(fstab="tmpfs /mem tmpfs x-create=dir\n")
        self.assertEqual(self.sh("run", image, "echo", "plain"), "plain")
        self.assertNotIn("mem", self.sh("run", image, "ls", "/"))


class Hostile(EnrootTestCase):
    def test_no_file_of_the_hosts_is_mounted_unasked(self):
        secret = self.write("secret/file", "the host's")
        lines = [f"{self.home}/secret /s1 none x-create=dir,rbind", f"${{HOME}}/secret /s2 x-create=dir,bind", "/etc /s3", "/ /s4 rbind,x-create=dir",
                 "${ENROOT_ROOTFS}/../../../../../.. /s5 none x-create=dir,rbind", "${ENROOT_ROOTFS}/link /s6 none x-create=dir,rbind",
                 "none /etc none x-detach", "none / none remount,rw", f"tmpfs {self.home}/made tmpfs x-create=dir", "tmpfs ../../x tmpfs", "tmpfs / tmpfs",
                 f"${{ENROOT_ROOTFS}}/etc {self.home}/secret none x-create=dir,bind", "too many fields for a line of it 0 0"]  # fmt: skip
        for line in lines:
            with self.subTest(line=line):
                root = self.tree(rc='exec "$@"\n', fstab=line + "\n")
                (root / "link").symlink_to(self.home / "secret")
                image = self.image_from(root, "-all-root")
                out, errors = self.mlctr("run", "--no-mount-home", image, "sh", "-c", "cat /s?/file /s?/passwd /s?/hostname 2>/dev/null; true")
                self.assertEqual(out, "")
                if not line.startswith(("tmpfs /", "${ENROOT_ROOTFS}/etc", "${ENROOT_ROOTFS}/link")) or line == "tmpfs / tmpfs":
                    self.assertRegex(errors, r"^mlctr: /etc/fstab of the image: 1 mount left out[^\n]*\n$")
                self.mlctr("run", image, "true")
                self.assertEqual(sorted(os.listdir(self.home / "secret")), ["file"])
                self.assertFalse((self.home / "made").exists())
        self.assertEqual(secret.read_text(), "the host's")

    def test_files_that_are_none(self):
        root = self.tree()
        for name in ("rc", "environment", "fstab"):
            (root / "etc" / name).symlink_to("/etc/passwd")
        self.assertEqual(self.sh("run", self.image_from(root), "echo", "plain"), "plain")
        for name in ("rc", "environment", "fstab"):
            (root / "etc" / name).unlink()
            os.mkfifo(root / "etc" / name)
        self.assertEqual(self.sh("run", self.image_from(root), "echo", "plain"), "plain")

    def test_contents(self):
        found = self.variables(self.made(environment=b"A=1\nB=x\0y\n\xff=1\nC=\xff\n=x\nD E=1\nPATH=/bin\nLAST=no end"))
        self.assertEqual([found.get(n) for n in ("A", "B", "LAST")], ["1", None, "no end"])
        found = self.variables(self.made(environment="PATH=/opt/x:${PATH}\nLD_LIBRARY_PATH=${LD_LIBRARY_PATH}:/q\n"))
        self.assertEqual([found["PATH"], found["LD_LIBRARY_PATH"]], ["/opt/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/q"])
        self.host_variables = {"BIG": "x" * 100_000}
        self.fails("run", self.made(environment="A=" + "${BIG}" * 40_000), "true", says=["more than 131072 bytes come of one variable"])
        self.fails("run", self.made(environment="".join(f"A{i}=${{BIG}}\n" for i in range(1000))), "true", says=["becomes too large"])
        self.host_variables = {}
        large = b"A=" + b"x" * (100 << 20)
        out, errors = self.mlctr("run", self.made(environment=large, rc=RC, fstab=large), "true")
        self.assertEqual(out, "entry true\n")
        self.assertEqual(re.findall(r"mlctr: (\S+) of the image has 104857602 bytes, \d+ at most are read: left out", errors), ["/etc/environment", "/etc/fstab"])
        self.assertEqual(self.sh("run", self.made(rc=RC + "\n#" + "x" * (2 << 20)), "long"), "entry long")
        many = "".join(f"tmpfs /t/{n} tmpfs x-create=dir,size=4k\n" for n in range(1000))
        _, errors = self.mlctr("run", self.made(rc='exec "$@"\n', fstab=many), "true")
        self.assertIn("744 mounts left out", errors)

    def test_lines_that_no_file_has(self):
        """They are left out, the image runs: so does enroot."""
        image = self.made(rc='exec "$@"\n', environment=b"A=1\nB=x\0y\nC=3\nPATH=/bin\n", fstab=b"tmpfs /a tmpfs x-create=dir\nbad\0line /b none bind\n"
                          b"too many fields for a line of it 0 0\ntmpfs /c tmpfs x-create=dir\n")  # fmt: skip
        self.mlctr("create", "--quiet", "--name", "c", image)
        for target in (image, "c"):
            out, errors = self.mlctr("run", target, "sh", "-c", "echo $A$B$C; grep -o ' /[abc] tmpfs' /proc/self/mounts")
            self.assertEqual(out, "13\n /a tmpfs\n /c tmpfs\n")
            for says in ("/etc/environment:2 of the image has a NUL byte", "/etc/fstab:2 of the image has a NUL byte", "/etc/fstab of the image: 1 mount left out"):
                self.assertIn(f"mlctr: {says}", errors)

    def test_a_large_environment(self):
        image = self.made(rc='exec "$@"\n', environment="PATH=/bin\n" + "".join(f"V{i}={'x' * 1000}\n" for i in range(400)))
        self.assertEqual(self.mlctr("run", image, "sh", "-c", "echo ${#V399}"), ("1000\n", ""))

    def test_an_empty_script(self):
        image = self.made(rc="", environment="PATH=/bin\n")
        self.assertEqual(self.mlctr("run", image, "echo", "ran"), ("", "mlctr: /etc/rc of the image is empty: nothing runs; --no-entrypoint does without it\n"))
        self.assertEqual(self.mlctr("run", "--no-entrypoint", image, "echo", "ran"), ("ran\n", ""))

    def test_the_script_runs_in_the_container_only(self):
        marker = self.home / "ran"
        image = self.made(rc=f"echo ran >> {marker}; id -u; exec \"$@\"\n", environment="LD_PRELOAD=/evil.so\nPATH=/bin\n")
        for command in (("inspect", image), ("run", "--explain-env", image), ("run", "--no-entrypoint", image, "true")):
            self.mlctr(*command)
        self.assertFalse(marker.exists())
        self.assertEqual(self.sh("run", "--remap-root", image, "true"), "0")
        self.assertEqual(marker.read_text(), "ran\n")


class Exporting(EnrootTestCase):
    def image_with(self, **config):
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "image"
        subprocess.run(["cp", "-r", layout("busybox").split(":")[1], directory], check=True)
        change_config(directory, **config)
        subprocess.run(["chmod", "-R", "a+rX", directory.parent], check=True)
        self.pull(name := f"oci:{directory}:1", "--quiet")
        return name

    def exported(self, image, *options):
        file = self.home / "enroot.sqsh"
        self.mlctr("export", "--force", "--format", "enroot", *options, image, file)
        return file

    def without_config(self, file):
        """The image as enroot sees it."""
        with tempfile.TemporaryDirectory(prefix="mlctr-tree-") as scratch:
            as_root("unsquashfs", "-quiet", "-no-progress", "-dest", f"{scratch}/tree", file)
            as_root("rm", "-rf", f"{scratch}/tree/.mlctr")
            return self.image_from(f"{scratch}/tree")

    HARD = ["two words", "it's", '"$HOME" `id` ${X}', "a\nb", "", "\\", "\t*"]

    def test_what_comes_out_is_what_went_in(self):
        arguments = ["printf", "%s|", *self.HARD]
        environment = ["PATH=/bin", *(f"V{i}={value}" for i, value in enumerate(self.HARD)), "Q='x'", "V0=again"]
        image = self.image_with(Entrypoint=arguments, Cmd=["c'md"], WorkingDir="/work/it's here", Env=environment, Volumes={"/my vol": {}},
                                Labels={"a": "b\nc"})  # fmt: skip
        file = self.exported(image)
        bare = self.without_config(file)
        for source in (image, file, bare):
            with self.subTest(source=source):
                self.assertEqual(self.mlctr("run", source)[0], "|".join(self.HARD) + "|c'md|")
                self.assertEqual(self.mlctr("run", source, "x y")[0], "|".join(self.HARD) + "|x y|")
        plain = self.exported(self.image_with(Entrypoint=None, Cmd=["sh"], WorkingDir="/work/it's here", Env=environment, Volumes={"/my vol": {}}))
        script = "pwd; ls -d '/my vol'; for v in 0 1 2 3 4 5 6; do eval printf '%s\\|' \\\"\\$V$v\\\"; done; echo $Q"
        expected = "|".join(["again", *self.HARD[1:]])
        self.assertEqual(self.mlctr("run", self.without_config(plain), "sh", "-c", script)[0], f"/work/it's here\n/my vol\n{expected}|'x'\n")

    def test_a_working_directory_replaces_nothing(self):
        for directory, made in (("../../../srv/esc", "/srv/esc"), ("/a/../b/./c/", "/b/c"), ("/bin/sh/x", None), ("/etc/passwd", None)):
            with self.subTest(directory=directory):
                file = self.exported(self.image_with(WorkingDir=directory, Entrypoint=None))
                listing = as_root("unsquashfs", "-lc", file).decode()
                self.assertNotIn("/..", listing)
                # What an image runs with can't be entered: enroot's script ends then, as Docker does.
                out = self.mlctr("run", "--no-entrypoint", "--workdir", made or "/", file, "sh", "-c", "pwd")[0]
                self.assertEqual(out, f"{made or '/'}\n")

    def test_only_four_files_differ(self):
        image = layout("busybox")
        before, after = tree_of(self.squashfs_of(image)), tree_of(self.exported(image))
        added = {f"/etc/{name}" for name in ("rc", "rc.local", "environment", "fstab")}
        self.assertEqual(set(after) - set(before), added)
        self.assertEqual({path for path in before if before[path] != after[path]}, set())
        again = self.home / "again.sqsh"
        self.mlctr("export", "--format", "enroot", image, again)
        self.assertEqual(again.read_bytes(), (self.home / "enroot.sqsh").read_bytes())

    def test_of_a_saved_container(self):
        self.create()
        self.run_in("c", "sh", "-c", "echo mine > /mine; ln -s /tmp/evil /etc/rc; ln -s environment /etc/fstab; mkdir /etc/environment")
        self.mlctr("save", "c", self.home / "saved.sqsh")
        tree = tree_of(self.exported(self.home / "saved.sqsh"))
        self.assertEqual([tree[f"/etc/{name}"]["type"] for name in ("rc", "environment", "fstab")], ["file"] * 3)
        self.assertEqual(self.mlctr("run", self.without_config(self.home / "enroot.sqsh"), "cat", "/mine")[0], "mine\n")

    def test_refusals(self):
        bare = self.made(rc='exec "$@"\n')
        self.fails("export", "--format", "enroot", bare, self.home / "x.sqsh", says=["not made by mlctr", "cp "])
        self.fails("export", "--format", "tar", layout("busybox"), self.home / "x.sqsh", says="format", status=None, hint=False)
        self.fails("export", "--format", "enroot", layout("busybox"), "-", says="to a file only", hint=False, status=None)
        image = self.image_with(Env=["a.b=1", "PATH=/bin"])
        out, errors = self.mlctr("export", "--format", "enroot", image, self.home / "y.sqsh", "--json")
        self.assertEqual(json.loads(out)["left_out"], ["the variable a.b"])
