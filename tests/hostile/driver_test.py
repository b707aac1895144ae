"""Images, and users of a machine, that mean harm where a driver is put into a container: links at every place that is written
to or mounted on, now and while it is being done, and variables that steer programs of the host's."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from containers import layout
from fake_gpu_host import GpuTestCase
from harness import as_root, root_command

LOADER_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf.d/00-mlctr-driver.conf")
LAYOUTS = ("own", "system")
ROUNDS = 12
# Swaps each directory with the link beside it until its input ends.
SWAPPER = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
print("swapping", flush=True)
while not over.is_set():
    for path in sys.argv[1:]:
        libc.renameat2(-100, path.encode(), -100, (path + ".link").encode(), 2)
"""


class HostileDriverPlace(GpuTestCase):
    def setUp(self):
        super().setUp()
        self.victim = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-victim-"))
        self.addCleanup(as_root, "rm", "-rf", self.victim)
        for name in ("file", "directory/inner", "directory/ld.so.cache", "directory/ld.so.conf.d/x"):
            (self.victim / name).parent.mkdir(parents=True, exist_ok=True)
            (self.victim / name).write_text("untouched")
        as_root("chmod", "-R", "go-rwx", self.victim / "directory", self.victim / "file")
        as_root("chown", "-R", f"{self.user}:", self.victim)

    def picture(self):
        find = root_command("find", self.victim, "-printf", "%P %y %s %m %n %u\\n")
        listing = subprocess.run(find, capture_output=True, text=True, check=True).stdout
        return sorted(listing.splitlines()), as_root("cat", self.victim / "file", self.victim / "directory/inner")

    def targets(self):
        """Every place in a container that a driver's plan names."""
        found = set(LOADER_FILES)
        for way in LAYOUTS:
            plan = self.plan("--gpus", "all,capabilities=all", MLCTR_GPU_DRIVER_LIB_LAYOUT=way)
            found |= {each["target"] for each in plan["mounts"] + plan["devices"]} | {each["path"] for each in plan["links"]}
        return sorted(found)

    def tree_with_links(self, paths, target):
        root = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        root.chmod(0o755)
        for directory in ("bin", "etc", "usr/bin"):
            (root / directory).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin/sh")
        for path in paths:
            place = root / path.lstrip("/")
            if any(parent.is_symlink() for parent in place.parents) or place.exists() or place.is_symlink() or place == root:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        return root

    def assert_harmless(self, image, before):
        for way in LAYOUTS:
            _, errors = self.run_gpu(image, "/bin/sh", "-c", "true", gpus="all,capabilities=all", status=None, env={"MLCTR_GPU_DRIVER_LIB_LAYOUT": way})
            self.assertNotRegex(errors, "terminate called|std::")
            self.assertEqual(self.picture(), before)

    def test_links_at_every_target_and_above(self):
        targets, before = self.targets(), self.picture()
        self.assertGreater(len(targets), 30)
        for above in range(3):
            paths = sorted({str([pathlib.Path(target), *pathlib.Path(target).parents][above]) for target in targets})
            for leads_to in (self.victim / "file", self.victim / "directory", self.victim / "directory/new", f"{'../' * 12}{str(self.victim)[1:]}/directory"):
                with self.subTest(above=above, leads_to=leads_to):
                    self.assert_harmless(self.image_from(self.tree_with_links(paths, leads_to)), before)

    def test_directories_that_are_swapped_for_links_meanwhile(self):
        """By somebody else who may write to the container's directory: another container with it, or the user's own program."""
        self.mlctr("create", "--name", "kept", layout("debian"))
        script = "for d in etc etc/ld.so.conf.d etc/OpenCL/vendors usr/bin usr/share usr/lib/x86_64-linux-gnu run dev proc; do mkdir -p /$d; touch /$d/.own 2>/dev/null; done; true"
        self.mlctr("run", "--remap-root", "kept", "sh", "-c", script)
        self.assert_nothing_runs()
        upper = next(self.home.glob("**/kept/upper"))
        swapped = []
        for name in ("etc", "etc/ld.so.conf.d", "etc/OpenCL", "usr", "usr/bin", "usr/share", "usr/lib/x86_64-linux-gnu", "run", "dev"):
            if subprocess.run(root_command("test", "-d", upper / name)).returncode == 0:
                as_root("ln", "-s", self.victim / "directory", f"{upper / name}.link")
                swapped.append(upper / name)
        self.assertGreater(len(swapped), 3)
        before = self.picture()
        swapper = subprocess.Popen(root_command(sys.executable, "-c", SWAPPER, *swapped), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(swapper.stdout.readline(), "swapping\n")
            for number in range(ROUNDS):
                env = {"MLCTR_GPU_DRIVER_LIB_LAYOUT": LAYOUTS[number % 2], "MLCTR_RUN_ROOTFS": "overlay"}
                self.run_gpu("kept", "/bin/true", gpus="all,capabilities=all", status=None, env=env)
                self.assertEqual(self.picture(), before)
        finally:
            swapper.communicate("")
        self.assertEqual(self.picture(), before)

    def test_variables_of_an_image_reach_no_program_of_the_host(self):
        """CVE-2025-23266: what the image says of the loader and of shells, for the hooks of a container that gets a driver."""
        marker = self.home / "loaded"
        library = self.home / "evil.so"
        source = f'#include <stdio.h>\n__attribute__((constructor)) static void f(void) {{ FILE *m = fopen("{marker}", "a"); if (m) fclose(m); }}\n'
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
        start = self.write("start.sh", f"touch {marker}\n", 0o755)
        library.chmod(0o755)
        # The library does what is feared of it where it is loaded: else the test could not fail.
        subprocess.run(["/bin/true"], env={"LD_PRELOAD": str(library)}, check=True)
        self.assertTrue(marker.exists())
        marker.unlink()

        ran = self.home / "ran"
        self.write("config/mlctr/hooks.d/10.sh", f"#!/bin/bash\n/bin/true\n/usr/bin/env > {ran}\n", 0o755)
        self.give_to_user(self.home / "config/mlctr/hooks.d")
        variables = {"LD_PRELOAD": library, "LD_AUDIT": library, "LD_LIBRARY_PATH": self.home, "BASH_ENV": start, "ENV": start,
                     "NVIDIA_REQUIRE_ARCH": "arch>=1.0", "NVIDIA_VISIBLE_DEVICES": "all"}  # fmt: skip
        context = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        lines = [f'ENV {name}="{value}"' for name, value in variables.items()]
        (context / "Containerfile").write_text("\n".join([f"FROM {layout('debian')}", *lines, ""]))
        as_root("chmod", "-R", "a+rX", context)
        self.mlctr("build", "-t", "test/evil:1", context)
        # No program of the image's is run: it would load the library by right.
        self.run_gpu("test/evil:1", "/nothing/there", status=127)
        self.assertFalse(marker.exists())
        self.assertNotRegex(ran.read_text(), "evil|start.sh|NVIDIA_REQUIRE")
