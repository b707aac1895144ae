"""What killed commands left: the next one of the kind removes it, and nothing that is in use."""
import os
import pathlib
import signal
import subprocess
import time

from harness import as_root, shared_directory
from named_containers import WAIT_SECONDS, NamedContainerTestCase, until

AGE_SECONDS = 2.1  # younger files may be about to be locked

# Between a program and the C library: no files without a name, as on NFS, and no rename that replaces nothing; and time
# to see their place before the end.
SLOW_AND_OLD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int lacks(const char* what) {
  const char* all = getenv("LACKS");
  return all && strstr(all, what);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  if ((flags & O_TMPFILE) == O_TMPFILE && lacks("tmpfile")) { errno = EOPNOTSUPP; return -1; }
  return ((int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open64"))(path, flags, mode);
}
int open(const char*, int, ...) __attribute__((alias("open64")));
int renameat2(int from, const char* old, int to, const char* new, unsigned flags) {
  if (flags && lacks("noreplace")) { errno = EINVAL; return -1; }
  return ((int (*)(int, const char*, int, const char*, unsigned))dlsym(RTLD_NEXT, "renameat2"))(from, old, to, new, flags);
}
int link(const char* old, const char* new) {
  if (lacks("links")) { errno = EPERM; return -1; }
  return ((int (*)(const char*, const char*))dlsym(RTLD_NEXT, "link"))(old, new);
}
int fsync(int fd) {
  usleep(300000);
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"""


class Leftovers(NamedContainerTestCase):
    def setUp(self):
        super().setUp()
        self.out = self.home / "out"
        self.out.mkdir()
        self.give_to_user(self.out)

    def on_filesystem_without(self, what):
        library = shared_directory("slow-and-old") / "slow-and-old.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=SLOW_AND_OLD, text=True, check=True)
        self.host_variables = {"LD_PRELOAD": str(library), "LACKS": what}

    def hidden(self):
        return [name for name in os.listdir(self.out) if name.startswith(".")]

    def saving(self, name):
        process = self.start("save", "c", self.out / name)
        until(lambda: self.hidden(), "the file being written")
        return process

    def test_a_killed_save(self):
        self.create()
        self.on_filesystem_without("tmpfile")
        process = self.saving("x.sqsh")
        process.kill()
        process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(len(self.hidden()), 1)
        time.sleep(AGE_SECONDS)
        self.mlctr("save", "c", self.out / "x.sqsh")
        self.assertEqual(os.listdir(self.out), ["x.sqsh"])

    def test_a_save_that_goes_on(self):
        self.create()
        self.on_filesystem_without("tmpfile")
        process = self.saving("x.sqsh")
        process.send_signal(signal.SIGSTOP)
        time.sleep(AGE_SECONDS)
        self.mlctr("save", "c", self.out / "y.sqsh")
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.communicate(timeout=WAIT_SECONDS)[1].count("saved"), 1)
        self.assertEqual(sorted(os.listdir(self.out)), ["x.sqsh", "y.sqsh"])

    def test_a_file_that_appears_meanwhile_stays(self):
        for lacks in ("", "tmpfile", "tmpfile noreplace", "tmpfile noreplace links"):
            with self.subTest(lacks=lacks):
                self.on_filesystem_without(lacks)
                process = self.start("export", self.image, self.out / "x.sqsh")
                time.sleep(0.15)  # its end takes twice as long
                self.assertFalse((self.out / "x.sqsh").exists())
                (self.out / "x.sqsh").write_text("another's")
                errors = process.communicate(timeout=WAIT_SECONDS)[1]
                self.assertIn("x.sqsh: it exists", errors)
                self.assertEqual((self.out / "x.sqsh").read_text(), "another's")
                self.assertEqual(os.listdir(self.out), ["x.sqsh"])
                (self.out / "x.sqsh").unlink()
                self.mlctr("export", self.image, self.out / "x.sqsh")
                self.assertGreater((self.out / "x.sqsh").stat().st_size, 100_000)
                (self.out / "x.sqsh").unlink()

    def test_a_killed_doctor(self):
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        dead = self.store / f".new-doctor-{boot}-0123456789abcdef"
        for path in (dead, dead / "work", dead / "work/work"):
            path.mkdir()
            self.give_to_user(path)
        as_root("chmod", "0", dead / "work/work")
        os.utime(dead, (1, 1))
        self.mlctr("doctor")
        self.assertFalse(dead.exists())
        self.assertEqual([name for name in os.listdir(self.store) if name.startswith(".")], [])
