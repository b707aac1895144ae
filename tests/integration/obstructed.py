"""Commands run on a machine that lacks something: mounts of the tests' own hide it, or a library says that it is not there."""
import subprocess

from containers import ContainerTestCase
from harness import binary, root_command, shared_directory

# Between a program and the C library: no overlay, as in a kernel that has none for users.
NO_OVERLAY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
int fsopen(const char* type, unsigned flags) {
  if (strcmp(type, "overlay") == 0) { errno = ENODEV; return -1; }
  return ((int (*)(const char*, unsigned))dlsym(RTLD_NEXT, "fsopen"))(type, flags);
}
"""


class ObstructedTestCase(ContainerTestCase):
    """self.more: variables; self.wrapper: a command around the user's, as root; self.inner: one that the user runs mlctr by."""

    def setUp(self):
        super().setUp()
        self.more = {}
        self.wrapper = []
        self.inner = []

    def environment(self, **more):
        return super().environment(**(getattr(self, "more", {}) | more))

    def _command(self, arguments):
        command = super()._command(arguments)
        at = command.index(str(binary()))
        return [*getattr(self, "wrapper", []), *command[:at], *getattr(self, "inner", []), *command[at:]]

    def with_mounts(self, script):
        """Root runs this before, in a mount namespace of its own."""
        self.wrapper = root_command("unshare", "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh")

    def hide_fuse(self, mode):
        """The tests' commands find a regular file where /dev/fuse would be."""
        file = self.home / "no-fuse"
        file.touch()
        file.chmod(mode)
        self.with_mounts(f"mount --bind {file} /dev/fuse")

    def hide_overlay(self):
        self.preload("no-overlay", NO_OVERLAY)

    def preload(self, name, source):
        library = shared_directory(name) / f"{name}.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
        self.more["LD_PRELOAD"] = str(library)
