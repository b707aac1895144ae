"""A host whose NVIDIA driver is a tree of files, and programs in containers that load what it has."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from containers import ContainerTestCase, layout
from harness import as_root, shared_directory

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))
import fake_driver  # noqa: E402

# Loads each soname as programs do, and says from where.
PROBE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    void *library = dlopen(argv[i], RTLD_NOW);
    int (*version)(int *) = library ? (int (*)(int *))dlsym(library, "cuDriverGetVersion") : 0;
    int number = 0;
    Dl_info info = {0};
    if (!version || version(&number) != 0 || !dladdr((void *)version, &info)) return printf("%s: %s\n", argv[i], dlerror()), 1;
    printf("%s %d %s\n", argv[i], number, info.dli_fname);
  }
  return 0;
}
"""
CACHE_LISTING = "ldconfig -p | grep libcuda.so.1 || true"


def build_probe(directory, compiler):
    program = directory / f"probe-{compiler}"
    if not program.exists():
        subprocess.run([compiler, "-x", "c", "-", "-o", program, "-ldl"], input=PROBE, text=True, check=True)
        program.chmod(0o755)
    return program


class GpuTestCase(ContainerTestCase):
    """Commands run on a host with the driver of fake_driver.py: two GPUs, minor is not index."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tree = shared_directory("gpu") / "host"
        if not cls.tree.exists():
            cls.tree.parent.chmod(0o755)
            fake_driver.make(cls.tree)
        cls.sonames = [soname.format(fake_driver.VERSION) for soname in fake_driver.SONAMES.values()]

    variables = {}

    def setUp(self):
        super().setUp()
        self.host = {"MLCTR_HOST_ROOT": str(self.tree)}

    def environment(self, **more):
        return super().environment(**{**self.variables, **more})

    def mlctr(self, *arguments, env=None, **more):
        """What `env` has is the ordinary user's, too."""
        self.variables = env or {}
        try:
            return super().mlctr(*arguments, **more)
        finally:
            self.variables = {}

    def run_gpu(self, image, *command, gpus="all", options=(), **more):
        return self.mlctr("run", "--gpus", gpus, *options, image, *command, env={**self.host, **more.pop("env", {})}, **more)

    def shell(self, image, script, **more):
        return self.run_gpu(image, "sh", "-ec", script, **more)[0]

    def plan(self, *options, **more):
        return json.loads(self.mlctr("run", "--explain-hooks", *options, layout("debian"), "true", env={**self.host, **more})[0])

    def probe(self, compiler="gcc"):
        return build_probe(self.tree.parent, compiler)

    def small_root(self):
        """A root without a shell, packages or loader cache ("distroless"): the probe, its C library."""
        root = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        root.chmod(0o755)
        for directory in ("bin", "lib64", "lib/x86_64-linux-gnu", "etc", "proc", "sys", "dev", "tmp", "run"):
            (root / directory).mkdir(parents=True, exist_ok=True)
        shutil.copy(self.probe(), root / "bin/probe")
        for library in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
            shutil.copy(library, root / library[1:])
        return root

    def assert_loads(self, out, names):
        self.assertEqual(len(out.splitlines()), len(names), out)
        for line in out.splitlines():
            self.assertRegex(line, r"^\S+ 13000 /run/mlctr/driver/lib64/")
