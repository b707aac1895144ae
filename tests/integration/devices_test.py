"""Devices by CDI files, AMD's, Intel's and InfiniBand's nodes, and what `mlctr gpus` and `mlctr doctor --gpu` say of a machine: a tree of files stands for it."""
import json
import os
import pathlib
import subprocess
import tempfile

from admin_directory import AdminDirectory
from harness import as_root
from named_containers import NamedContainerTestCase

FOLDER = "/usr/lib/x86_64-linux-gnu"
DRIVER = "/run/mlctr/driver"
CDI = f"""---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
    - name: "0"
      containerEdits:
        deviceNodes: [{{path: /dev/nvidia0}}]
    - name: "1"
      containerEdits:
        deviceNodes: [{{path: /dev/nvidia1}}]
containerEdits:
    env: [NVIDIA_VISIBLE_DEVICES=void, TOLD_BY=cdi]
    deviceNodes: [{{path: /dev/nvidiactl}}]
    hooks:
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, create-symlinks, --link, "libcuda.so.1::{FOLDER}/libcuda.so"]
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, update-ldcache, --folder, {FOLDER}]
    mounts:
        - {{hostPath: {FOLDER}/libcuda.so.580.1, containerPath: {FOLDER}/libcuda.so.580.1, options: [ro, nosuid, nodev, rbind]}}
        - {{hostPath: /usr/bin/nvidia-smi, containerPath: /usr/bin/nvidia-smi, options: [ro, nosuid, nodev, rbind]}}
        - {{hostPath: /etc/vendor.conf, containerPath: /etc/vendor/vendor.conf, options: [ro, rbind]}}
"""


class Devices(NamedContainerTestCase):
    def setUp(self):
        super().setUp()
        self.machine = self.home / "machine"
        self.host_variables = {"MLCTR_HOST_ROOT": str(self.machine)}
        self.file("/etc/hostname", "fake\n")

    def file(self, path, text="", mode=0o644):
        file = self.machine / path.lstrip("/")
        for directory in reversed(file.parents):
            if self.home in directory.parents and not directory.exists():
                directory.mkdir()
                self.give_to_user(directory)
        file.write_text(text)
        file.chmod(mode)
        self.give_to_user(file)
        return file

    def library(self, path, soname):
        file = self.file(path)
        subprocess.run(["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{soname}", "-x", "c", "/dev/null", "-o", file], check=True)

    def driver(self, spec=CDI):
        self.file("/etc/cdi/nvidia.yaml", spec)
        for node in ("nvidia0", "nvidia1", "nvidiactl"):
            self.file(f"/dev/{node}", f"node {node}\n", 0o666)
        self.library(f"{FOLDER}/libcuda.so.580.1", "libcuda.so.1")
        self.file("/usr/bin/nvidia-smi", "#!/bin/sh\necho a driver of its own\n", 0o755)
        self.file("/etc/vendor.conf", "of the host\n")

    def run_sh(self, script, *options, **more):
        return self.mlctr("run", *options, self.image, "sh", "-c", script, **more)


class CdiFiles(Devices):
    def test_a_driver_comes_whole(self):
        self.driver()
        out = self.run_sh(f"cat /dev/nvidia1 /dev/nvidiactl; ls /dev | grep -c 'nvidia[0-9]'; nvidia-smi; echo $TOLD_BY $NVIDIA_VISIBLE_DEVICES;"
                          f"cd {DRIVER}/lib64; readlink libcuda.so; readlink libcuda.so.1; cat /etc/vendor/vendor.conf; (: > libcuda.so.580.1) || echo sealed",
                          "--device", "nvidia.com/gpu=1")[0]  # fmt: skip
        self.assertEqual(out.splitlines(), ["node nvidia1", "node nvidiactl", "1", "a driver of its own", "cdi void",
                                            "libcuda.so.1", "libcuda.so.580.1", "of the host", "sealed"])  # fmt: skip

    def test_gpus_takes_the_same_name(self):
        self.driver()
        self.assertEqual(self.run_sh("cat /dev/nvidia0", "--gpus", "nvidia.com/gpu=0")[0], "node nvidia0\n")

    def test_nothing_is_left_in_a_named_container(self):
        self.driver()
        self.mlctr("create", "--name", "kept", self.image)
        self.mlctr("run", "--device", "nvidia.com/gpu=0", "kept", "nvidia-smi")
        upper = self.home / "share/mlctr/containers/kept/upper"
        uppers = [upper] if upper.exists() else list(self.home.glob("**/kept/upper"))
        self.assertEqual(len(uppers), 1, uppers)
        left = [str(path.relative_to(uppers[0])) for path in uppers[0].rglob("*") if "vendor" in path.name or "nvidia" in path.name]
        self.assertEqual(left, [])

    def test_all_unknown_devices_are_told(self):
        self.driver()
        errors = self.run_sh("true", "--device", "nvidia.com/gpu=7", "--device", "v.com/x=1", status=125)[1]
        self.assertIn("cdi: no such device: nvidia.com/gpu=7, v.com/x=1", errors)
        self.assertIn("hint: there are: nvidia.com/gpu=0, nvidia.com/gpu=1", errors)

    def test_a_broken_file_is_told_and_the_others_are_used(self):
        self.driver()
        self.file("/etc/cdi/broken.yaml", "cdiVersion: 0.5.0\nkind: v.com/x\nmystery: 1\ndevices: [{name: a}]\n")
        out, errors = self.run_sh("cat /dev/nvidia0", "--device", "nvidia.com/gpu=0")
        self.assertEqual(out, "node nvidia0\n")
        self.assertIn("/etc/cdi/broken.yaml:3: a CDI file has an unknown field, mystery", errors)

    def test_what_is_gone_from_the_host_is_told_with_file_and_line(self):
        self.driver(CDI.replace("path: /dev/nvidia0", "path: /dev/gone"))
        errors = self.run_sh("true", "--device", "nvidia.com/gpu=0", status=125)[1]
        self.assertIn("/etc/cdi/nvidia.yaml:7: /dev/gone is not on this host", errors)

    def test_no_program_of_the_host_is_run(self):
        ran = self.home / "ran"
        hook = self.file("/opt/hook", f"#!/bin/sh\ntouch {ran}\n", 0o755)
        self.driver(CDI.replace("/usr/bin/nvidia-cdi-hook", str(hook)))
        errors = self.run_sh("true", "--device", "nvidia.com/gpu=0", status=125)[1]
        self.assertIn("to be run on the host", errors)
        self.assertFalse(ran.exists())

    def test_a_file_that_everybody_may_write_is_not_used(self):
        self.driver()
        os.chmod(self.machine / "etc/cdi/nvidia.yaml", 0o666)
        self.file("/etc/cdi/other.yaml", "cdiVersion: 0.5.0\nkind: v.com/x\ndevices: [{name: a}]\n")
        errors = self.run_sh("true", "--device", "v.com/x=b", status=125)[1]
        self.assertIn("everybody may write it", errors)


class CdiHooks(AdminDirectory, Devices):
    """Programs of the host's that a CDI file has run: root's, in a tree of root's."""

    def hooked(self, script, mode=0o755, stage="createContainer"):
        """The hook's path, not allowed yet."""
        self.file("/dev/x", "node x\n", 0o666)
        self.file("/opt/hook", f"#!/bin/sh\n{script}\n", mode)
        self.file("/etc/cdi/v.yaml", f"cdiVersion: 0.5.0\nkind: v.com/x\ndevices: [{{name: a, containerEdits: {{deviceNodes: [{{path: /dev/x}}]}}}}]\n"
                  f"containerEdits:\n  hooks: [{{hookName: {stage}, path: /opt/hook, args: [hook, --word, 'two words'], env: [A=1]}}]\n")  # fmt: skip
        tree = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-machine-"))
        self.addCleanup(as_root, "rm", "-rf", tree)
        as_root("cp", "-r", "--preserve=mode", f"{self.machine}/.", tree)
        as_root("chown", "-R", "root:root", tree)
        as_root("chmod", "755", tree)
        self.host_variables["MLCTR_HOST_ROOT"] = str(tree)
        return tree / "opt/hook"

    def allow(self, hook, more=""):
        self.admins("mlctr.toml", f'[cdi]\nallowed_hooks = ["{hook}"]\n{more}')

    def test_an_allowed_hook_gets_the_containers_state_and_no_variables(self):
        told, own = self.home / "told", self.write("config/mlctr/hooks.d/10.sh", "#!/bin/sh\necho OWN=ran >> $ENROOT_ENVIRON\n", 0o755)
        self.give_to_user(own.parent)
        value = r's/.*"%s":"\([^"]*\)".*/\1/'
        hook = self.hooked(f"""exec > {told}
echo "[$(pwd)] $# $*"; echo "[$(tr '\\0' ' ' < /proc/$$/environ)]"
state=$(cat); echo "$state"
root=$(sed '{value % "path"}' "$(echo "$state" | sed '{value % "bundle"}')/config.json")
cat "$root/dev/x"; echo left > "$root/left"; test -d /proc/$(echo "$state" | sed 's/.*"pid":\\([0-9]*\\).*/\\1/') && echo alive""")
        self.allow(hook)
        out, errors = self.run_sh("cat /left; echo $OWN", "--device", "v.com/x=a", "--env", "LD_PRELOAD=/evil.so")
        self.assertEqual(out, "left\nran\n")
        self.assertIn("/etc/cdi/v.yaml:5: a hook's env is left out", errors)
        place, variables, state, *rest = told.read_text().splitlines()
        self.assertEqual((place, variables, rest), ("[/] 2 --word two words", "[]", ["node x", "alive"]))
        self.assertEqual((json.loads(state)["status"], json.loads(state)["ociVersion"]), ("created", "1.0.2"))
        told.unlink()
        plan = json.loads(self.mlctr("run", "--explain-hooks", "--device", "v.com/x=a", self.image, "true")[0])
        self.assertEqual([(each["file"], each["arguments"]) for each in plan["hooks"]], [(str(hook), ["hook", "--word", "two words"])])
        self.assertFalse(told.exists())

    def test_what_is_not_allowed_or_not_roots_is_not_run(self):
        ran = self.home / "ran"
        hook = self.hooked(f"touch {ran}")
        run = ("run", "--device", "v.com/x=a", self.image, "true")
        self.fails(*run, says=["v.yaml:5: the device wants /opt/hook to be run on the host", rf'allowed_hooks = \["{hook}"\] in /etc/mlctr/mlctr.toml'])
        self.allow("/opt/hook")  # where nothing is: names are those of this machine
        self.fails(*run, says="to be run on the host")
        self.configure_table(f'[cdi]\nallowed_hooks = ["{hook}"]\n')
        self.fails(*run, says="cdi.allowed_hooks: only an admin can set this")
        self.tables.clear()
        self._write_configuration()
        self.allow(hook)
        for command, says in ((("chmod", "g+w", hook), "hook is writable for others"), (("chmod", "777", hook.parent), "opt is writable for others"),
                              (("chown", self.user, hook.parent), "opt belongs to user")):  # fmt: skip
            as_root(*command)
            self.fails(*run, says=f"the hook {hook} is not run: .*{says}")
            as_root("chown", "root:root", hook.parent)
            as_root("chmod", "755", hook.parent, hook)
        self.assertFalse(ran.exists())

    def test_a_hook_that_fails_or_hangs_refuses_the_start(self):
        self.allow(self.hooked("echo why >&2; exit 3"))
        errors = self.fails("run", "--device", "v.com/x=a", self.image, "true", says="v.yaml:5: the hook .*/opt/hook failed: it ended with exit code 3", hint=False)
        self.assertIn("why", errors)
        self.allow(self.hooked("sleep 600"), '[run]\nhook_timeout = "1s"\n')
        self.fails("run", "--device", "v.com/x=a", self.image, "true", says=["/opt/hook failed: it took longer than 1 s and was stopped", "run.hook_timeout"])
        self.allow(self.hooked("true", stage="poststop"))
        self.fails("run", "--device", "v.com/x=a", self.image, "true", says=["wants to be run at poststop", "prestart, createRuntime, createContainer"])


class OtherVendors(Devices):
    def test_amd_gpus(self):
        nodes = "/sys/class/kfd/kfd/topology/nodes"
        self.file("/dev/kfd", "kfd\n", 0o666)
        for place, minor in ((1, 129), (2, 128)):
            self.file(f"/dev/dri/renderD{minor}", f"render {minor}\n", 0o666)
            self.file(f"{nodes}/{place}/properties", f"simd_count 4\ndrm_render_minor {minor}\nlocation_id {place * 256}\n")
        seen = "cat /dev/kfd /dev/dri/*; echo rocr $ROCR_VISIBLE_DEVICES"
        self.assertEqual(self.run_sh(seen, "--gpus", "device=1")[0], "kfd\nrender 128\nrocr\n")
        self.host_variables |= {"SLURM_JOB_ID": "7", "SLURM_STEP_GPUS": "1", "ROCR_VISIBLE_DEVICES": "1"}
        self.assertEqual(self.run_sh(seen)[0], "kfd\nrender 128\nrocr 0\n")
        errors = self.run_sh("true", "--device", "amd.com/gpu=9", status=125)[1]
        self.assertIn("amdgpu: no AMD GPU 9", errors)
        gpus = json.loads(self.mlctr("gpus", "--json")[0])
        self.assertEqual([(gpu["index"], gpu["node"], gpu["usable"]) for gpu in gpus],
                         [(0, "/dev/dri/renderD129", True), (1, "/dev/dri/renderD128", True)])  # fmt: skip

    def test_infiniband(self):
        for number in (0, 1):
            self.file(f"/dev/infiniband/uverbs{number}", f"verbs {number}\n", 0o666)
            self.file(f"/sys/class/infiniband_verbs/uverbs{number}/ibdev", f"mlx5_{number}\n")
            self.file(f"/sys/class/infiniband/mlx5_{number}/node_type", "1: CA\n")
        self.file("/dev/infiniband/rdma_cm", "cm\n", 0o666)
        seen = "cd /dev/infiniband 2>/dev/null && cat *"
        self.assertEqual(self.run_sh(seen)[0], "cm\nverbs 0\nverbs 1\n")
        self.assertEqual(self.run_sh(seen, "--env", "MELLANOX_VISIBLE_DEVICES=mlx5_1")[0], "cm\nverbs 1\n")
        for nothing in ("void", "none"):
            self.run_sh("test ! -e /dev/infiniband", "--env", f"MELLANOX_VISIBLE_DEVICES={nothing}")
        errors = self.run_sh("true", "--env", "MELLANOX_VISIBLE_DEVICES=mlx5_9", status=125)[1]
        self.assertIn("infiniband: no InfiniBand device mlx5_9", errors)


class Survey(Devices):
    def nvidia(self):
        self.file("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\n")
        for place, minor in ((0x1B, 3), (0x43, 0)):
            bus = f"0000:{place:02x}:00.0"
            self.file(f"/proc/driver/nvidia/gpus/{bus}/information",
                      f"Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-{minor}\nBus Location: \t {bus}\nDevice Minor: \t {minor}\n")  # fmt: skip
            self.file(f"/dev/nvidia{minor}", mode=0o666)
        for node in ("nvidiactl", "nvidia-uvm"):
            self.file(f"/dev/{node}", mode=0o666)

    def test_a_machine_without_gpus(self):
        self.assertEqual(self.mlctr("gpus", "--json")[0].strip(), "[]")
        out = self.mlctr("doctor", "--gpu", status=1)[0]
        self.assertIn("no GPU is on the bus", " ".join(out.split()))
        self.assertIn("Containers can use no GPU here.", out)

    def test_gpus_by_index_minor_and_why_not(self):
        self.nvidia()
        os.chmod(self.machine / "dev/nvidia3", 0)
        gpus = json.loads(self.mlctr("gpus", "--json")[0])
        self.assertEqual([(gpu["index"], gpu["minor"], gpu["uuid"], gpu["problem"]) for gpu in gpus],
                         [(None, 3, "GPU-3", "/dev/nvidia3 can't be opened by you"), (0, 0, "GPU-0", "")])  # fmt: skip
        table = self.mlctr("gpus")[0]
        self.assertIn("no: /dev/nvidia3 can't be opened by you", table)
        self.assertIn("0000:43:00.0", table)

    def test_a_driver_without_libraries_is_no_usable_gpu(self):
        self.nvidia()
        report = json.loads(self.mlctr("doctor", "--gpu", "--json", status=1)[0])
        status = {probe["name"]: probe["status"] for probe in report["probes"]}
        self.assertEqual((report["ok"], status["GPUs"], status["libraries"], status["a container"]), (False, "ok", "failed", "failed"))

    def test_a_whole_driver(self):
        self.nvidia()
        for name in ("libcuda", "libnvidia-ml"):
            self.library(f"{FOLDER}/{name}.so.580.159.04", f"{name}.so.1")
        self.file("/etc/cdi/broken.yaml", "kind: [\n")
        out = self.mlctr("doctor", "--gpu")[0]
        self.assertIn("gets 2 GPUs of NVIDIA: 0, 1", out)
        self.assertIn("Containers can use the GPUs.", out)
        self.assertIn("not used: /etc/cdi/broken.yaml:", out)
        (self.machine / "dev/nvidia-uvm").unlink()
        self.assertIn("/dev/nvidia-uvm is not there", self.mlctr("doctor", "--gpu", status=1)[0])
