"""Containers that tests start, watch and look for, each test in a home of its own."""
import hashlib
import json
import pathlib
import subprocess
import time

from containers import ContainerTestCase, layout
from harness import binary, root_command

WAIT_SECONDS = 30


def until(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class NamedContainerTestCase(ContainerTestCase):
    """Looks only at the processes of its own home: several suites may run as one user."""

    def setUp(self):
        self.host_variables = {}
        super().setUp()
        self.image = layout("busybox")
        self.pull(self.image, "--quiet")

    def environment(self, **more):
        return super().environment(**(self.host_variables | more))

    def _command(self, arguments):
        # setpriv becomes the program: signals to it reach mlctr itself.
        variables = [f"{name}={value}" for name, value in self.environment().items()]
        prefix = root_command("setpriv", "--reuid", self.uid, "--regid", self.uid, "--clear-groups", "env", "-i", *variables)
        return [*prefix, str(binary()), *map(str, arguments)]

    def processes(self):
        found = []
        for directory in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(self.home).encode() in (directory / "environ").read_bytes():
                    found.append(int(directory.name))
            except OSError:
                continue
        return found

    def name_of(self, pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return ""

    def assert_nothing_runs(self):
        until(lambda: not self.processes(), f"the end of {self.processes()}")
        self.assertNotIn(str(self.home), pathlib.Path("/proc/self/mountinfo").read_text())
        self.assertEqual(self.runtime_sockets(), [])

    def create(self, name="c"):
        self.assertEqual(self.mlctr("create", "--quiet", "--name", name, self.image)[0], f"{name}\n")
        return name

    def running(self, *arguments, script="sleep 600; true", ready="ready"):
        """`mlctr run` of a shell script that has said it is there; ended by the test's end."""
        process = self.start("run", *arguments, "sh", "-c", f"echo {ready}; {script}")
        self.addCleanup(self.end, process)
        self.assertEqual(process.stdout.readline(), f"{ready}\n", process.poll() is not None and process.stderr.read())
        return process

    def end(self, process):
        # What the shell started holds its pipes open: all goes, but for servers, which must end by themselves.
        process.kill()
        while pids := [pid for pid in self.processes() if self.name_of(pid) != "mlctr-server"]:
            subprocess.run(root_command("kill", "-KILL", *pids), capture_output=True)  # some went this moment
        process.communicate(timeout=WAIT_SECONDS)

    def sh(self, *arguments, **more):
        return self.mlctr(*arguments, **more)[0].strip()


def change_config(layout_directory, architecture=None, **config):
    """Gives the one image of an OCI layout another architecture or other settings of its config."""
    blobs = layout_directory / "blobs/sha256"

    def store(value):
        body = json.dumps(value).encode()
        digest = hashlib.sha256(body).hexdigest()
        (blobs / digest).write_bytes(body)
        return {"digest": f"sha256:{digest}", "size": len(body)}

    index = json.loads((layout_directory / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].split(":")[1]).read_text())
    body = json.loads((blobs / manifest["config"]["digest"].split(":")[1]).read_text())
    body["config"] |= config
    body["architecture"] = architecture or body["architecture"]
    manifest["config"] |= store(body)
    index["manifests"][0] |= store(manifest)
    index["manifests"][0].pop("platform", None)
    (layout_directory / "index.json").write_text(json.dumps(index))
