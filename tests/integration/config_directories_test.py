"""Hooks, mounts and environment files of the configuration directories: in enroot's formats, for every container."""
import os
import pathlib
import signal
import subprocess
import time

from admin_directory import AdminDirectory
from containers import layout
from harness import as_root, binary, root_command
from named_containers import WAIT_SECONDS, NamedContainerTestCase, until

CONFIG = "config/mlctr"


class ConfigDirectories(NamedContainerTestCase):
    def drop_in(self, path, text, mode=0o644):
        """A file of the user's own."""
        file = self.write(f"{CONFIG}/{path}", text, mode)
        self.give_to_user(file.parent)
        return file

    def hook(self, name, script, mode=0o755):
        return self.drop_in(f"hooks.d/{name}", f"#!/bin/sh\n{script}\n", mode)

    def variables(self, *options, image=None):
        out = self.mlctr("run", *options, image or self.image, "env")[0]
        return dict(line.split("=", 1) for line in out.splitlines())

    def sh_in(self, script, *options):
        return self.mlctr("run", *options, self.image, "sh", "-c", script)


class EnvironmentFiles(ConfigDirectories):
    def test_layers_and_who_set_what(self):
        self.host_variables = {"SHELL_TERM": "xterm", "SLURM_JOB_ID": "17"}
        self.drop_in("environ.d/20-b.env", "B=second\nTOLD=${SHELL_TERM} $SHELL_TERM ${NONE}\nPATH=/bin:/sbin\n")
        file = self.drop_in("environ.d/10-a.env", "# c\n  A='quoted text'\nB=first\nbad name=1\nENROOT_X=1\nSLURM_JOB_ID=18\nOVER=file")
        found = self.variables("--env", "OVER=user")
        self.assertEqual([found.get(n) for n in ("A", "B", "TOLD", "PATH", "ENROOT_X", "SLURM_JOB_ID", "OVER")],
                         ["quoted text", "second", "xterm $SHELL_TERM ", "/bin:/sbin", None, "18", "user"])  # fmt: skip
        out = self.mlctr("run", "--explain-env", "--env", "OVER=user", self.image)[0]
        for line in (f"A=quoted text    # {file}", f"B=second    # {file.parent}/20-b.env", "OVER=user    # --env"):
            self.assertIn(line + "\n", out)

    def test_lines_that_set_nothing_are_named(self):
        file = self.drop_in("environ.d/10-a.env", "# c\n\nA=1\nexport B=2\n\x1b[31m\nMLCTR_STORE=/x\n")
        for options in ([], ["--explain-env"]):
            out, errors = self.mlctr("run", *options, self.image, "env")
            self.assertIn("A=1", out)
            self.assertEqual(errors, f"mlctr: {file}:4: ignored, as it is not NAME=VALUE, or NAME is a runtime's own, and 2 more\n")
        file.write_text("# all of it\n A=1\n")
        self.assertEqual(self.mlctr("run", self.image, "true")[1], "")

    def test_programs_that_come_later_get_them_too(self):
        self.drop_in("environ.d/10-a.env", "A=1\n")
        self.hook("10.sh", 'echo B=2 >> "$ENROOT_ENVIRON"; sed -i /^LANG=/d "$ENROOT_ENVIRON"')
        self.host_variables = {"LANG": "C.UTF-8"}
        self.create()
        self.running("c")
        for command in ("exec", "run"):
            self.assertEqual(self.sh(command, "c", "sh", "-c", "echo $A $B $LANG."), "1 2 .")
        self.assertRegex(self.mlctr("run", "--explain-env", "c")[0], r"B=2    # .*/hooks.d/10.sh\n")

    def test_hostile_files(self):
        self.drop_in("environ.d/nul.env", "A=1\nB=\0\nC=2")
        found = self.variables()
        self.assertEqual([found.get(n) for n in "ABC"], ["1", None, "2"])
        for mode in (0o646, 0o666):
            self.drop_in("environ.d/open.env", "A=1\n", mode)
            self.fails("run", self.image, "true", says=["open.env", "everyone may write"])
        os.unlink(self.home / CONFIG / "environ.d/open.env")
        self.drop_in("environ.d/large.env", "A=" + "x" * (2 << 20))
        self.fails("run", self.image, "true", says=["large.env", "larger than 1 MiB"], hint=False)
        os.unlink(self.home / CONFIG / "environ.d/large.env")
        os.mkfifo(self.home / CONFIG / "environ.d/fifo.env")
        self.fails("run", self.image, "true", says=["fifo.env", "is not a file"], hint=False, seconds=WAIT_SECONDS)

    def test_a_dangling_link_is_no_file(self):
        self.drop_in("environ.d/a.env", "A=1\n")
        (self.home / CONFIG / "environ.d/b.env").symlink_to("/not/there")
        self.assertEqual(self.variables()["A"], "1")


class MountFiles(ConfigDirectories):
    def test_mounts(self):
        data = self.home / "data set"
        data.mkdir()
        (data / "file").write_text("seen")
        self.host_variables = {"DATA": str(data)}
        self.drop_in("mounts.d/10.fstab", "# mine\n${DATA} /mnt/data none x-create=dir,rbind,ro 0 -1\n"
                     f"{self.home}/data\\040set/file /mnt/one x-create=auto,bind\n"
                     "tmpfs /scratch x-create=dir,size=1m\n/not/there /x none x-create=dir,bind,nofail\n"
                     "/etc/hostname /no/target none bind,nofail\n")  # fmt: skip
        out, _ = self.sh_in("cat /mnt/data/file /mnt/one; touch /mnt/data/x 2>/dev/null || echo -ro; echo w > /scratch/f && ls /no 2>&1; true")
        self.assertEqual(out, "seenseen-ro\nls: /no: No such file or directory\n")

    def test_the_users_own_mount_is_last(self):
        self.drop_in("mounts.d/10.fstab", "tmpfs /mnt/a x-create=dir,mode=0700\n")
        self.assertEqual(self.sh_in("ls /mnt/a | head -1", "--mount", "/usr/share/doc:/mnt/a")[0].count("\n"), 1)

    def test_a_squashfs_file_is_a_directory(self):
        tree = self.home / "dataset"
        tree.mkdir()
        (tree / "sample").write_text("42\n")
        file = self.image_from(tree)
        self.drop_in("mounts.d/a.fstab", f"{file} /one\n{file} /two squashfs ro\n{file} /file none x-create=file,bind\n{self.home}/none.sqsh /no squashfs nofail\n")
        self.assertEqual(self.sh_in("cat /one/sample /two/sample; head -c 4 /file; ls -d /no || true")[0], "42\n42\nhsqs")

    def test_mounts_of_the_container_itself(self):
        self.drop_in("mounts.d/10.fstab", "${ENROOT_ROOTFS}/etc /again none x-create=dir,bind,ro\nnone /tmp none x-detach\n"
                     "tmpfs /a x-create=dir\n${ENROOT_ROOTFS}/a /b none x-create=dir,x-move\nnone /dev/shm none remount,bind,ro\n")  # fmt: skip
        out, _ = self.sh_in("cat /again/motd; touch /again/x 2>/dev/null || echo ro; grep -c ' /tmp ' /proc/self/mounts; grep -o ' /b tmpfs' /proc/self/mounts; "
                            "touch /dev/shm/x 2>/dev/null || echo shm")  # fmt: skip
        self.assertEqual(out, "layer three\nro\n0\n /b tmpfs\nshm\n")

    def test_what_fails_names_file_and_line(self):
        for line, says in (
            ("/not/there /x none x-create=dir,bind", "source path does not exist: /not/there"),
            ("/etc/hostname /absent none bind", "cannot find /absent in the container"),
            ("/etc/hostname /etc none bind", "/etc in the container is a directory"),
            ("/a ../../b bind", "leads out of the container"),
            ("/a /b bind,nonsense", "no such mount option: nonsense"),
            ("tmpfs /t x-create=dir,size=lots", "tmpfs"),
            ("/dev/sda1 /b ext4 x-create=dir", "ext4"),
            ("${UNSET} /b bind", "a variable in it is not set"),
        ):
            with self.subTest(line=line):
                file = self.drop_in("mounts.d/bad.fstab", f"# first\n{line}\n")
                errors = self.fails("run", self.image, "true", says=[f"{file}:2: .*{says}"], hint=False)
                self.assertNotIn("\\n", errors)
                until(lambda: self.runtime_sockets() == [], "the end of the server")


class Hooks(ConfigDirectories):
    def test_the_contract(self):
        self.host_variables = {"SLURM_JOB_ID": "17", "PMIX_RANK": "3", "LD_LIBRARY_PATH": "/x", "SECRET": "1"}
        image = self.image
        self.hook("10-see.sh", f'env > {self.home}/seen; pwd >> {self.home}/seen; readlink /proc/self/fd/0 /proc/self/fd/1 >> {self.home}/seen; '
                  'test -d /proc/$ENROOT_PID && cat $ENROOT_ROOTFS/etc/motd > $ENROOT_ROOTFS/etc/copied; grep -q ^PATH=/bin$ $ENROOT_ENVIRON && echo "FOUND=\'a b\'" >> $ENROOT_ENVIRON; '
                  'mkdir $ENROOT_ROOTFS/made; mount -t tmpfs none $ENROOT_ROOTFS/made; echo told >&2')  # fmt: skip
        self.hook("20-mount.sh", f'echo "{self.home} /mnt/home none x-create=dir,bind,ro" >> $ENROOT_MOUNTS; test ! -s $ENROOT_MOUNTS || test "$(wc -l < $ENROOT_MOUNTS)" = 1')
        (self.home / "seen").touch()
        self.give_to_user(self.home / "seen")
        process = self.start("run", image, "sh", "-c", "cat /etc/copied; echo $FOUND; ls /mnt/home/seen; grep -c ' /made tmpfs' /proc/self/mounts")
        out, errors = process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual((out, errors), ("layer three\na b\n/mnt/home/seen\n1\n", "told\n"))
        seen = (self.home / "seen").read_text()
        for line in ("SLURM_JOB_ID=17", "PMIX_RANK=3", f"ENROOT_PID={process.pid}", f"HOME={self.home}", "/", "/dev/null"):
            self.assertIn(line + "\n", seen)
        for line in ("LD_LIBRARY_PATH", "SECRET", "container=", "PATH=/bin\n"):
            self.assertNotIn(line, seen)

    def test_the_images_variables_reach_no_hook(self):
        self.hook("10.sh", "env >&2")
        _, errors = self.sh_in("true")
        python = self.mlctr("run", layout("python"), "true")[1]
        self.assertNotIn("PYTHON_VERSION", python)
        self.assertIn("ENROOT_ROOTFS=", errors)

    def test_order_and_explanation(self):
        for name in ("20.sh", "10.sh", "15.txt"):
            self.hook(name, f'echo "LAST={name}" >> $ENROOT_ENVIRON; echo {name} >&2')
        self.hook("05-not.sh", "exit 1", mode=0o644)
        out, errors = self.mlctr("run", "--explain-env", self.image, "false")
        self.assertEqual(errors.split(), ["10.sh", "20.sh"])
        self.assertRegex(out, r"LAST=20.sh    # .*/hooks.d/20.sh\n")
        self.assertEqual(self.variables("--env", "LAST=user")["LAST"], "user")

    def test_capabilities_and_namespaces(self):
        self.hook("10.sh", "touch $ENROOT_ROOTFS/root/x && chown 0 $ENROOT_ROOTFS/root/x 2>/dev/null; id -u >> $ENROOT_ROOTFS/ids")
        for options in ((), ("--remap-root",), ("--unshare", "pid,net,ipc"), ("--read-only",)):
            with self.subTest(options=options):
                self.assertEqual(self.sh_in("cat /ids", *options)[0], "0\n" if "--remap-root" in options else f"{self.uid}\n")

    def test_a_failure_refuses_the_start(self):
        file = self.hook("10.sh", "echo why >&2; exit 3")
        errors = self.fails("run", self.image, "echo", "ran", says=[f"the hook {file} failed: it ended with exit code 3"], hint=False)
        self.assertTrue(errors.startswith("why\n"))
        self.hook("10.sh", "kill -SEGV $$")
        self.fails("run", self.image, "true", says=["ended by signal 11"], hint=False)
        self.write(f"{CONFIG}/hooks.d/10.sh", "#!/not/there\n", 0o755)
        self.fails("run", self.image, "true", says=["10.sh failed: cannot start it"], hint=False)
        self.write(f"{CONFIG}/hooks.d/10.sh", "echo without a first line >&2\n", 0o755)
        self.assertEqual(self.sh_in("true")[1], "without a first line\n")
        self.create()
        self.hook("10.sh", "exit 1")
        self.fails("run", "c", "true", says="exit code 1", hint=False)
        self.hook("10.sh", "exit 0")
        self.run_in("c", "true")

    def test_one_that_hangs_is_stopped(self):
        self.host_variables = {"MLCTR_RUN_HOOK_TIMEOUT": "1s"}
        file = self.hook("10.sh", "sleep 600 & sleep 600")
        began = time.monotonic()
        self.fails("run", self.image, "true", says=[f"{file} failed: it took longer than 1 s", "run.hook_timeout"])
        self.assertLess(time.monotonic() - began, WAIT_SECONDS)

    def test_what_it_leaves_behind(self):
        """Its process group ends with it; a process that left it is part of the container."""
        self.hook("10.sh", "sleep 600 & sleep 600 2>/dev/null &")
        self.assertEqual(self.sh_in("echo ran")[0], "ran\n")
        self.hook("10.sh", "setsid sleep 600 2>/dev/null & sleep 0.3")
        self.assertEqual(self.sh_in("echo ran")[0], "ran\n")
        left = [pid for pid in self.processes() if self.name_of(pid) == "sleep"]
        self.assertEqual(len(left), 1)
        os.kill(left[0], 9)

    def test_hostile_exchange(self):
        for script, says in (
            ("rm $ENROOT_ENVIRON; mkfifo $ENROOT_ENVIRON", "is not a regular file|not a file"),
            ("rm $ENROOT_ENVIRON; ln -s /dev/zero $ENROOT_ENVIRON", "regular file|not a file"),
            ("head -c 3000000 /dev/zero | tr '\\0' x >> $ENROOT_ENVIRON", "more than 1 MiB"),
            ("head -c 3000000 /dev/zero | tr '\\0' x >> $ENROOT_MOUNTS", "more than 1 MiB"),
            ("rm $ENROOT_MOUNTS", "No such file"),
            ("echo '/not/there /x x-create=dir,bind' >> $ENROOT_MOUNTS", r"mounts of the hook .*10.sh:1: source path does not exist"),
            ("echo '/a ../.. bind' >> $ENROOT_MOUNTS", "10.sh.*leads out"),
        ):
            with self.subTest(script=script):
                self.hook("10.sh", script)
                self.fails("run", self.image, "true", says=["10.sh", says], hint=False, seconds=WAIT_SECONDS)
        self.hook("10.sh", "head -c 100000000 /dev/zero >> $ENROOT_ENVIRON 2>/dev/null; : > $ENROOT_ENVIRON; printf 'A=1\\nB=\\0x\\nbad\\nC=2' >> $ENROOT_ENVIRON")
        found = self.variables()
        self.assertEqual([found.get(n) for n in "ABC"], ["1", None, "2"])

    def test_trust(self):
        self.hook("10.sh", "true", mode=0o757)
        self.fails("run", self.image, "true", says=["10.sh: everyone may write to it", "chmod go-w"])
        self.hook("10.sh", "true", mode=0o775)
        self.fails("run", self.image, "true", says=["10.sh: its group may write to it", "chmod go-w"])
        self.hook("10.sh", "true")
        (self.home / CONFIG / "hooks.d").chmod(0o777)
        self.fails("run", self.image, "true", says=["hooks.d: everyone may write to it"])

    def test_anothers(self):
        file = self.hook("10.sh", "true")
        as_root("chown", "daemon", file)
        self.fails("run", self.image, "true", says=["10.sh: it belongs to user", "make it your own"])

    def test_a_dangling_link_is_named(self):
        file = self.hook("10.sh", "echo ran >&2")
        (file.parent / "20.sh").symlink_to("/not/there")
        errors = self.mlctr("run", self.image, "true")[1]
        self.assertEqual(errors, f"mlctr: {file.parent}/20.sh is a link to no file: that hook is left out\nran\n")

    def test_interrupted(self):
        self.hook("10.sh", "touch $HOME/hooked; sleep 600")
        process = self.start("run", self.image, "true")
        until(lambda: (self.home / "hooked").exists(), "the hook")
        process.terminate()
        process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(process.returncode, -signal.SIGTERM)


    def test_killed(self):
        """A start that was killed leaves nothing of its hooks, and nothing to join."""
        self.create()
        for target in ("c", self.image):
            with self.subTest(target=target):
                self.hook("05.sh", "setsid sleep 600 2>/dev/null &")  # was there before
                self.hook("10.sh", "(sleep 600 & setsid sleep 600 & echo here > $HOME/hooked) 2>/dev/null; sleep 600; true")
                process = self.start("run", target, "true")
                until(lambda: (self.home / "hooked").exists(), "the hook")
                os.kill(process.pid, signal.SIGKILL)
                for name in ("05.sh", "10.sh"):
                    os.unlink(self.home / CONFIG / "hooks.d" / name)
                as_root("rm", self.home / "hooked")
                self.assertEqual(self.mlctr("run", target, "echo", "whole"), ("whole\n", ""))
                process.communicate(timeout=WAIT_SECONDS)
                self.assert_nothing_runs()

    def test_what_a_failing_one_leaves(self):
        self.create()
        self.hook("10.sh", "setsid sleep 600 2>/dev/null & exit 1")
        self.fails("run", "c", "true", says="exit code 1", hint=False)
        os.unlink(self.home / CONFIG / "hooks.d/10.sh")
        self.assertEqual(self.mlctr("run", "c", "echo", "whole"), ("whole\n", ""))


class OfTheAdmin(AdminDirectory, ConfigDirectories):
    def test_the_admins_come_first_and_stay(self):
        self.admins("hooks.d/50.sh", "#!/bin/sh\necho admin 50 >&2\n", 0o755)
        self.hook("50.sh", "echo user 50 >&2")
        self.hook("10.sh", "echo user 10 >&2")
        self.admins("environ.d/50.env", "WHO=admin\nADMIN=1\n")
        self.drop_in("environ.d/50.env", "WHO=user\n")
        self.admins("mounts.d/50.fstab", "tmpfs /site x-create=dir\n")
        out, errors = self.sh_in("echo $WHO $ADMIN; ls -d /site")
        self.assertEqual((out, errors), ("user 1\n/site\n", "admin 50\nuser 10\nuser 50\n"))
        self.assertIn("WHO=user    # " + str(self.home), self.mlctr("run", "--explain-env", self.image)[0])
        self.admins("hooks.d/50.sh", "#!/bin/sh\n", 0o755)
        self.etc.chmod(0o775)
        self.fails("run", self.image, "true", says=["/etc/mlctr: its group may write to it", "chmod go-w /etc/mlctr"])
        self.etc.chmod(0o755)
        as_root("chown", "daemon", self.etc / "hooks.d/50.sh")
        self.fails("run", self.image, "true", says=["50.sh: it belongs to user", "chown root:"])
        as_root("chown", "root", self.etc / "hooks.d/50.sh")
        self.admins("hooks.d/50.sh", "#!/bin/sh\n", 0o757)
        self.fails("run", self.image, "true", says=["/etc/mlctr/hooks.d/50.sh: everyone may write to it"])
