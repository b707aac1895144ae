"""What tests of running containers stand on: an ordinary user, images made from directories, and a look at what is left."""
import os
import pathlib
import stat
import subprocess
import tempfile
import time

from harness import PullTestCase, as_root, fixtures, ordinary_user, shared_directory

SETTLE_SECONDS = 10


def open_fuse():
    """As udev has it; test machines come without udev."""
    if stat.S_IMODE(os.stat("/dev/fuse").st_mode) & 0o006 != 0o006:
        as_root("chmod", "666", "/dev/fuse")


def layout(name):
    """A fixture's OCI layout where every user can read it."""
    if name not in _layouts:
        directory = shared_directory("layout") / name
        subprocess.run(["cp", "-r", fixtures() / "layouts" / name, directory], check=True)
        subprocess.run(["chmod", "-R", "a+rX", directory], check=True)
        _layouts[name] = f"oci:{directory}:1"
    return _layouts[name]


_layouts = {}


def servers_below(home):
    """Pids of the container servers whose environment names this home; zombies have none."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text() == "mlctr-server\n" and f"HOME={home}\0".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # it went this moment
    return found


def unkillable_of(uid):
    """Pids of the user's processes with a thread that waits in the kernel and can't be killed: /proc hides the rest of such a one."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid and any(is_unkillable(thread) for thread in (process / "task").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def is_unkillable(thread):
    return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "D"


class ContainerTestCase(PullTestCase):
    """Commands run as the ordinary user, in a home of the test's own."""

    def setUp(self):
        open_fuse()
        self.user = ordinary_user()
        self.uid = int(subprocess.run(["id", "-u", self.user], capture_output=True, text=True, check=True).stdout)
        super().setUp()
        self.addCleanup(self.assert_nothing_runs)

    def run_in(self, image, *command, options=(), **more):
        """(stdout, stderr) of a command in a container."""
        return self.mlctr("run", *options, image, *command, **more)

    def image_from(self, directory, *options):
        """A squashfs file of a directory's content, as root packs it."""
        file = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "image.sqsh"
        file.parent.chmod(0o755)
        as_root("mksquashfs", directory, file, "-quiet", "-no-progress", "-comp", "zstd", *options)
        as_root("chmod", "644", file)
        return file

    def runtime_sockets(self):
        directory = self.home / "run/mlctr/sockets"
        listing = subprocess.run(["ls", directory], capture_output=True, text=True) if directory.exists() else None
        return listing.stdout.split() if listing else []

    def assert_nothing_runs(self):
        """No server, no mount: the last process of a container takes all with it."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := (servers_below(self.home), unkillable_of(self.uid))) != ([], []) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(left, ([], []), "a server outlived its container, or processes hang in the kernel")
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        self.assertNotIn("fuse mlctr", mounts)
