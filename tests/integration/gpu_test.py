"""--gpus on a host whose driver is a tree of files (tests/fixtures/fake_driver.py): what programs in containers load, see
and leave behind."""
import pathlib
import shutil
import subprocess
import tempfile

import fake_driver
from containers import layout
from fake_gpu_host import CACHE_LISTING, GpuTestCase
from harness import as_root, binary


class Gpu(GpuTestCase):
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

    def test_distroless_image_without_a_cache(self):
        image = self.image_from(self.small_root())
        for options in ((), ("--read-only",)):
            out, _ = self.run_gpu(image, "/bin/probe", "libcuda.so.1", options=options)
            self.assert_loads(out, ["libcuda.so.1"])

    def test_forward_compatibility(self):
        """The image's own libcuda goes first where it is newer and, if it says for which drivers it is, names this one."""
        for version, note, is_used in (
            ("590.48.01", "", True), ("535.104.05", "", False), (fake_driver.VERSION, "", False),
            ("590.48.01", '{"CUDA Version": "13.1", "Driver": [570, 580]}', True),
            ("590.48.01", '{"CUDA Version": "13.1", "Driver": [535, 550]}', False),
        ):  # fmt: skip
            with self.subTest(version=version, note=note):
                root = self.small_root()
                fake_driver.make_compat(root, version, note)
                place = "/usr/local/cuda/compat" if is_used else "/run/mlctr/driver/lib64"
                image = self.image_from(root)
                for options in ((), ("--read-only",)):
                    out, _ = self.run_gpu(image, "/bin/probe", "libcuda.so.1", options=options)
                    self.assertIn(f"libcuda.so.1 13000 {place}/libcuda.so", out)
        out, _ = self.run_gpu(image, "/bin/probe", "libcuda.so.1", env={"MLCTR_GPU_FORWARD_COMPAT": "always"})
        self.assertIn("/usr/local/cuda/compat/", out)

    def test_an_image_with_a_libcuda_of_its_own(self):
        root = self.small_root()
        fake_driver.make_library(root / "lib/x86_64-linux-gnu/libcuda.so.1", "libcuda.so.1")
        out, _ = self.run_gpu(self.image_from(root), "/bin/probe", "libcuda.so.1")
        self.assert_loads(out, ["libcuda.so.1"])

    def test_layout_of_the_host(self):
        """For programs that open the driver's files where distributions have them."""
        mount = ("--mount", f"{self.probe()}:/probe:ro")
        for options in ((), ("--read-only",)):
            out, _ = self.run_gpu(layout("debian"), "/probe", "libcuda.so.1", f"/{fake_driver.LIBRARIES}/libcuda.so", options=(*options, *mount),
                                  env={"MLCTR_GPU_DRIVER_LIB_LAYOUT": "system"})  # fmt: skip
            self.assertEqual([line.split()[2].rpartition("/")[0] for line in out.splitlines()], [f"/{fake_driver.LIBRARIES}"] * 2, out)

    def test_libraries_for_32_bit_programs(self):
        tree = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "host"
        fake_driver.make(tree)
        fake_driver.make_library(tree / f"usr/lib/i386-linux-gnu/libcuda.so.{fake_driver.VERSION}", "libcuda.so.1", "-m32")
        as_root("chmod", "-R", "a+rX", tree.parent)
        self.host["MLCTR_HOST_ROOT"] = str(tree)
        narrow = "libcuda.so.1 (libc6) => /run/mlctr/driver/lib32/libcuda.so.1"
        self.assertIn(narrow, self.shell(layout("debian"), CACHE_LISTING, gpus="all,capabilities=compute,capabilities=utility,capabilities=compat32"))
        self.assertNotIn("(libc6) =>", self.shell(layout("debian"), CACHE_LISTING))

    def test_utility_none_and_void(self):
        script = f"{CACHE_LISTING}; nvidia-smi 2>/dev/null || true; cd /dev; echo nvidia*; ls /run"
        self.assertEqual(self.shell(layout("debian"), script, gpus="all,capabilities=utility").split("\n")[:2],
                         [f"nvidia-smi {fake_driver.VERSION}", "nvidia0 nvidia1 nvidiactl"])  # fmt: skip
        none = self.shell(layout("debian"), script, gpus="none")
        self.assertIn("/run/mlctr/driver/lib64/libcuda.so.1", none)
        self.assertNotRegex(none, "nvidia[0-9]")
        self.assertNotIn("mlctr", self.shell(layout("debian"), script, gpus="void"))

    def test_twelve_gpus(self):
        tree = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "host"
        fake_driver.make(tree, gpus=12)
        as_root("chmod", "-R", "a+rX", tree.parent)
        self.host["MLCTR_HOST_ROOT"] = str(tree)
        self.assertEqual(self.shell(layout("debian"), "cat /dev/nvidia[0-9]*", gpus="device=10,2").split("\n")[:2], ["gpu 10", "gpu 2"])
        self.assertEqual(self.shell(layout("debian"), "ls /dev | grep -c 'nvidia[0-9]'"), "12\n")
        self.fails("run", "--gpus", "device=12", layout("debian"), "true", says="no GPU 12 here.*there are: 0 .* 2 .* 10 .* 11 ", env=self.host)

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

    def test_what_was_deleted_stays_deleted(self):
        """Where the driver's files were put over it: the image's must not show again."""
        context = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        (context / "Containerfile").write_text(
            f"FROM {layout('debian')}\nRUN echo old > /usr/bin/nvidia-smi && mkdir -p /etc/OpenCL/vendors && echo old > /etc/OpenCL/vendors/nvidia.icd\n")
        as_root("chmod", "-R", "a+rX", context)
        self.mlctr("build", "-t", "test/old:1", context)
        self.mlctr("create", "--name", "kept", "test/old:1")
        self.mlctr("run", "--remap-root", "kept", "rm", "-r", "/usr/bin/nvidia-smi", "/etc/OpenCL")
        self.assertIn(f"nvidia-smi {fake_driver.VERSION}", self.shell("kept", "nvidia-smi; cat /etc/OpenCL/vendors/nvidia.icd"))
        self.assert_nothing_runs()
        script = "for f in /usr/bin/nvidia-smi /etc/OpenCL; do test -e $f && echo $f; done; true"
        self.assertEqual(self.mlctr("run", "kept", "sh", "-c", script)[0], "")
        self.mlctr("save", "kept", self.home / "kept.sqsh")
        self.assertEqual(self.mlctr("run", self.home / "kept.sqsh", "sh", "-c", script)[0], "")

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

    def test_explained_as_json(self):
        plan = self.plan("--gpus", "device=0")
        self.assertEqual([node["target"] for node in plan["devices"]], ["/dev/nvidiactl", "/dev/nvidia1", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"])
        self.assertTrue(all(node["origin"] == "nvidia" for node in plan["devices"]))
        self.assertEqual(self.plan()["devices"], [])
        self.assertEqual(len(self.plan("--device", "nvidia.com/gpu=all")["devices"]), 5)

    def test_the_script_for_hosts_with_a_gpu(self):
        """It must not fail for reasons of its own on the day there is one."""
        script = pathlib.Path(__file__).resolve().parents[1] / "gpu/run.sh"
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "MLCTR_HOST_ROOT": str(self.tree), "SUDO_USER": self.user}
        ran = subprocess.run(["bash", script, binary()], env=environment, cwd="/", capture_output=True, text=True, timeout=300)
        self.assertEqual((ran.returncode, ran.stdout.splitlines()[-1]), (0, "0 failed"), ran.stdout + ran.stderr)
        self.assertGreaterEqual(ran.stdout.count("\nok "), 10, ran.stdout)

    def test_refusals(self):
        def refused(gpus, says, **more):
            self.fails("run", "--gpus", gpus, layout("debian"), "true", says=says, env={**self.host, **more})

        refused("device=9", "no GPU 9 here.*hint: there are: 0")
        refused("", "which GPUs")
        refused("all,capabilities=nonsense", "nonsense.*utility, compute")
        refused("0", "--gpus device=0")
        refused("MIG-00000000-1111", "no GPU MIG-00000000-1111 here.*there are: 0 .GPU-0")
        refused("device=0:7", "no GPU 0:7 here.*there are: 0 .GPU-0")
        self.fails("run", "--gpus", "all", layout("debian"), "true", says="no NVIDIA driver")
        self.fails("run", "--gpus", "all", "--env", "NVIDIA_REQUIRE_DRIVER=driver>=999", layout("debian"), "true",
                   says=r"driver 580\.159\.04 < 999 required by the image.*CUDA 13\.0 or older", env=self.host)  # fmt: skip

    def test_step_given_gpus(self):
        out, _ = self.mlctr("run", layout("debian"), "sh", "-c", "ls /dev/nvidia[0-9]; echo $CUDA_VISIBLE_DEVICES",
                            env={**self.host, "SLURM_JOB_ID": "1", "SLURM_STEP_GPUS": "0", "CUDA_VISIBLE_DEVICES": "1"})  # fmt: skip
        self.assertEqual(out.split(), ["/dev/nvidia0", "0"])
