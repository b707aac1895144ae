"""--gpus on a host whose driver is a tree of files (tests/fixtures/fake_driver.py): what programs in containers load, see
and leave behind."""
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


class Gpu(ContainerTestCase):
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

    def assert_loads(self, out, names):
        self.assertEqual(len(out.splitlines()), len(names), out)
        for line in out.splitlines():
            self.assertRegex(line, r"^\S+ 13000 /run/mlctr/driver/lib64/")

    def test_loader_finds_every_library(self):
        names = ["libcuda.so", "libnvidia-ml.so"] + [name for name in self.sonames if "EGL" not in name and "glcore" not in name]
        for options in ((), ("--read-only",), ("--remap-root",)):
            with self.subTest(options=options):
                mount = ("--mount", f"{self.probe()}:/probe:ro")
                out, _ = self.run_gpu(layout("debian"), "/probe", *names, options=(*options, *mount))
                self.assert_loads(out, names)

    def test_all_capabilities(self):
        options = ("--mount", f"{self.probe()}:/probe:ro")
        out, _ = self.run_gpu(layout("debian"), "/probe", *self.sonames, gpus="all,capabilities=all", options=options)
        self.assert_loads(out, self.sonames)

    def test_musl(self):
        if shutil.which("musl-gcc") is None:
            self.skipTest("no musl-gcc: apt install musl-tools")
        root = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        for directory in ("bin", "lib", "etc", "proc", "sys", "dev", "tmp", "run"):
            (root / directory).mkdir()
        shutil.copy("/bin/busybox", root / "bin/sh")
        shutil.copy("/lib/ld-musl-x86_64.so.1", root / "lib")  # a link to the library itself
        shutil.copy(self.probe("musl-gcc"), root / "bin/probe")
        as_root("chmod", "-R", "a+rX", root)
        out, errors = self.run_gpu(self.image_from(root), "/bin/probe", "libcuda.so.1")
        self.assert_loads(out, ["libcuda.so.1"])
        self.assertIn("musl", errors)

    def test_image_without_a_cache(self):
        root = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        for directory in ("bin", "lib64", "lib/x86_64-linux-gnu", "etc", "proc", "sys", "dev", "tmp", "run"):
            (root / directory).mkdir(parents=True)
        shutil.copy(self.probe(), root / "bin/probe")
        for library in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
            shutil.copy(library, root / library[1:])
        as_root("chmod", "-R", "a+rX", root)
        image = self.image_from(root)
        for options in ((), ("--read-only",)):
            out, _ = self.run_gpu(image, "/bin/probe", "libcuda.so.1", options=options)
            self.assert_loads(out, ["libcuda.so.1"])

    def test_nodes_and_programs(self):
        self.assertEqual(self.shell(layout("debian"), "nvidia-smi; cat /dev/nvidia0 /dev/nvidia1"), f"nvidia-smi {fake_driver.VERSION}\ngpu 1\ngpu 0\n")
        one = self.shell(layout("debian"), "ls /dev | grep nvidia; echo $NVIDIA_VISIBLE_DEVICES", gpus="device=0")
        self.assertEqual(one.split(), ["nvidia-uvm", "nvidia-uvm-tools", "nvidia1", "nvidiactl", "GPU-00000000-0000-0000-0000-000000000000"])

    def test_visible_devices_of_the_host(self):
        """A position of the host's must not leave a container without GPUs."""
        out = self.shell(layout("debian"), "echo $CUDA_VISIBLE_DEVICES; ls /dev/nvidia[0-9]", gpus="1", env={"CUDA_VISIBLE_DEVICES": "1"})
        self.assertEqual(out.split(), ["0", "/dev/nvidia0"])
        out = self.shell(layout("debian"), "echo ${CUDA_VISIBLE_DEVICES-unset}", gpus="device=0", env={"CUDA_VISIBLE_DEVICES": "1"})
        self.assertEqual(out, "unset\n")

    def test_nothing_asked_nothing_mounted(self):
        script = "cat /proc/self/mounts | wc -l; ls /run; ls /dev | grep nvidia || true"
        asked, _ = self.mlctr("run", layout("debian"), "sh", "-c", script, env=self.host)
        bare, _ = self.mlctr("run", layout("debian"), "sh", "-c", script)
        self.assertEqual(asked, bare)
        self.assertNotIn("nvidia", asked)
        wished, _ = self.mlctr("run", "--env", "NVIDIA_VISIBLE_DEVICES=void", layout("debian"), "sh", "-c", script, env=self.host)
        self.assertEqual(wished, bare)

    def test_nothing_stays_in_a_named_container(self):
        self.mlctr("create", "--name", "kept", layout("debian"))
        self.mlctr("run", "--remap-root", "kept", "sh", "-c", "echo mine > /etc/mine")
        upper = next(self.home.glob("**/kept/upper"))
        tree_before = self.tree_of(upper)
        out = self.shell("kept", f"{CACHE_LISTING}; cat /etc/ld.so.conf.d/00-mlctr-driver.conf; ls /etc/OpenCL/vendors")
        self.assertIn("/run/mlctr/driver/lib64/libcuda.so.1", out)
        self.assertIn("nvidia.icd", out)
        self.assert_nothing_runs()
        self.assertEqual(self.tree_of(upper), tree_before)
        out, _ = self.mlctr("run", "kept", "sh", "-c", CACHE_LISTING)
        self.assertEqual(out, "")

    def test_ldconfig_keeps_the_driver_and_loses_it_at_the_end(self):
        self.mlctr("create", "--name", "kept", layout("debian"))
        script = f"mkdir -p /opt/own; echo /opt/own > /etc/ld.so.conf.d/own.conf; ldconfig; {CACHE_LISTING}; ldconfig -p | wc -l"
        out = self.shell("kept", script, options=("--remap-root",))
        self.assertIn("/run/mlctr/driver/lib64/libcuda.so.1", out)
        self.assert_nothing_runs()
        out, _ = self.mlctr("run", "--remap-root", "kept", "sh", "-c", f"{CACHE_LISTING}; ls /etc/ld.so.conf.d; ldconfig -p | wc -l")
        self.assertNotIn("libcuda", out)
        self.assertIn("own.conf", out)
        self.assertNotIn("mlctr", out)
        self.mlctr("save", "kept", self.home / "kept.sqsh")
        listing = subprocess.run(["unsquashfs", "-l", self.home / "kept.sqsh"], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("00-mlctr-driver", listing)

    def test_an_image_of_a_running_container_has_nothing_of_the_driver(self):
        self.mlctr("create", "--name", "kept", layout("debian"))
        self.mlctr("run", "--remap-root", "kept", "sh", "-c", "mkdir /opt/own; echo /opt/own > /etc/ld.so.conf.d/own.conf; ldconfig")
        before = self.saved("before.sqsh")
        self.variables = self.host
        process = self.start("run", "--remap-root", "--gpus", "all", "kept", "sh", "-c", f"{CACHE_LISTING}; echo ready; read line", stdin=subprocess.PIPE)
        try:
            self.assertIn("/run/mlctr/driver/lib64/libcuda.so.1", process.stdout.readline())
            self.assertEqual(process.stdout.readline(), "ready\n")
            self.assertEqual(self.saved("live.sqsh", "--live"), before)
            self.mlctr("commit", "--live", "kept", "test/live:1")
        finally:
            process.communicate("\n", timeout=60)
        out, _ = self.mlctr("run", "test/live:1", "sh", "-c", f"{CACHE_LISTING}; ls /etc/ld.so.conf.d; ls /etc/OpenCL /run/mlctr; true")
        self.assertNotIn("libcuda", out)
        self.assertIn("own.conf", out)
        self.assertNotRegex(out, "mlctr|vendors")

    def saved(self, name, *options):
        """The files of the container "kept" once saved, with what tells their content."""
        self.mlctr("save", *options, "kept", self.home / name)
        with tempfile.TemporaryDirectory(dir=self.home) as directory:
            subprocess.run(["unsquashfs", "-no-progress", "-d", f"{directory}/x", self.home / name, "etc", "opt", "run", "usr/share"], capture_output=True, check=True)
            files = subprocess.run("find . -type f -exec sha256sum {} + | sort -k 2; find . ! -type f | sort", shell=True, cwd=f"{directory}/x",
                                   capture_output=True, text=True, check=True)  # fmt: skip
            return files.stdout

    def test_a_build_has_nothing_of_the_driver(self):
        """Whatever an image's variables wish for: what is built is to run with the driver of any host."""
        context = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        script = f"ls /dev /run > /seen; cat /proc/self/mounts >> /seen; ldconfig; {CACHE_LISTING} >> /seen"
        (context / "Containerfile").write_text(
            f"FROM {layout('debian')}\nENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all\nRUN {script}\n")
        as_root("chmod", "-R", "a+rX", context)
        self.mlctr("build", "-t", "test/built:1", context, env=self.host)
        script = f"cat /seen; ls /etc/ld.so.conf.d /etc/OpenCL /run; {CACHE_LISTING}"
        out, _ = self.mlctr("run", "--env", "NVIDIA_VISIBLE_DEVICES=void", "test/built:1", "sh", "-c", script)
        self.assertIn("overlay", out)
        self.assertNotRegex(out, "nvidia|cuda|mlctr/driver|mlctr-driver|vendors")
        # And such an image gets them where it is run.
        out, _ = self.mlctr("run", "test/built:1", "sh", "-c", CACHE_LISTING, env=self.host)
        self.assertIn("/run/mlctr/driver/lib64/libcuda.so.1", out)

    def tree_of(self, directory):
        found = subprocess.run(["find", directory, "-printf", "%P %y %s\n"], capture_output=True, text=True, check=True)
        return sorted(line for line in found.stdout.splitlines() if not line.rpartition(" ")[0].endswith(" d"))

    def test_hostile_rootfs(self):
        """Links at every place that is written to, and other kinds: nothing outside changes."""
        victim = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        (victim / "ld.so.cache").write_text("mine\n")
        (victim / "ld.so.conf.d").mkdir()
        as_root("chown", "-R", self.user, victim)
        before = self.tree_of(victim)
        for name, script in {
            "etc is a link": f"rm -rf etc; ln -s {victim} etc",
            "the cache is a link": f"rm -f etc/ld.so.cache; ln -s {victim}/ld.so.cache etc/ld.so.cache",
            "the directory is a link": f"rm -rf etc/ld.so.conf.d; ln -s {victim}/ld.so.conf.d etc/ld.so.conf.d",
            "the cache is a FIFO": "rm -f etc/ld.so.cache; mkfifo etc/ld.so.cache",
            "the cache is a directory": "rm -f etc/ld.so.cache; mkdir -p etc/ld.so.cache/x",
            "the cache is garbage": "rm -f etc/ld.so.cache; head -c 5000 /dev/urandom > etc/ld.so.cache",
            "OpenCL is a link": f"mkdir -p etc; ln -s {victim} etc/OpenCL",
        }.items():
            with self.subTest(name):
                root = pathlib.Path(tempfile.mkdtemp(dir=self.home))
                for directory in ("bin", "etc/ld.so.conf.d", "proc", "sys", "dev", "tmp", "run"):
                    (root / directory).mkdir(parents=True)
                shutil.copy("/bin/busybox", root / "bin/sh")
                subprocess.run(["sh", "-ec", script], cwd=root, check=True)
                as_root("chmod", "-R", "a+rX", root)
                self.run_gpu(self.image_from(root), "/bin/sh", "-c", "echo ran", status=None)
                self.assertEqual(self.tree_of(victim), before)

    def test_environment_of_an_image_reaches_no_host_process(self):
        """CVE-2025-23266: a library of the image's in LD_PRELOAD must load in no process but the image's own."""
        marker = self.home / "loaded"
        library = self.home / "evil.so"
        source = f'#include <stdio.h>\n__attribute__((constructor)) static void f(void) {{ FILE *m = fopen("{marker}", "a"); if (m) fclose(m); }}\n'
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
        options = ("--env", f"LD_PRELOAD={library}", "--env", "NVIDIA_REQUIRE_ARCH=arch>=1.0")  # asks NVML, in a child
        self.run_gpu(layout("debian"), "/nothing/there", options=options, status=127)
        self.assertFalse(marker.exists())

    def test_explained_as_json(self):
        plan = self.plan("--gpus", "device=0")
        self.assertEqual([node["target"] for node in plan["devices"]], ["/dev/nvidiactl", "/dev/nvidia1", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"])
        self.assertTrue(all(node["origin"] == "nvidia" for node in plan["devices"]))
        self.assertEqual(self.plan()["devices"], [])
        self.assertEqual(len(self.plan("--device", "nvidia.com/gpu=all")["devices"]), 5)

    def test_refusals(self):
        def refused(gpus, says, **more):
            self.fails("run", "--gpus", gpus, layout("debian"), "true", says=says, env={**self.host, **more})

        refused("device=9", "no GPU 9 here.*hint: there are: 0")
        refused("", "which GPUs")
        refused("all,capabilities=nonsense", "nonsense.*utility, compute")
        refused("0", "--gpus device=0")
        self.fails("run", "--gpus", "all", layout("debian"), "true", says="no NVIDIA driver")
        self.fails("run", "--gpus", "all", "--env", "NVIDIA_REQUIRE_DRIVER=driver>=999", layout("debian"), "true",
                   says=r"driver 580\.159\.04 < 999 required by the image.*CUDA 13\.0 or older", env=self.host)  # fmt: skip

    def test_step_given_gpus(self):
        out, _ = self.mlctr("run", layout("debian"), "sh", "-c", "ls /dev/nvidia[0-9]; echo $CUDA_VISIBLE_DEVICES",
                            env={**self.host, "SLURM_JOB_ID": "1", "SLURM_STEP_GPUS": "0", "CUDA_VISIBLE_DEVICES": "1"})  # fmt: skip
        self.assertEqual(out.split(), ["/dev/nvidia0", "0"])
