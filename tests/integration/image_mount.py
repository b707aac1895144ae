"""mlctr's image mount by itself: images to serve, and the server (tests/unit/runtime/image_server_demo.cpp, as root)."""
import contextlib
import ctypes
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from harness import TREE_LISTING, as_root, root_command, shared_directory
from server import die_with_parent

BUILD = pathlib.Path(__file__).resolve().parent.parent.parent / "build/release"
MOUNT_SECONDS = 20
SHOWN_PREFIX, HIDDEN_PREFIX = "user.", "user.overlay."
SYS_GETDENTS64 = {"x86_64": 217, "aarch64": 61}


def server_binary():
    binary = pathlib.Path(os.environ.get("MLCTR_IMAGE_SERVER_DEMO", BUILD / "tests/unit/runtime/image_server_demo"))
    if not binary.exists():
        raise unittest.SkipTest(f"no {binary}: ninja -C {BUILD} image_server_demo")
    if not os.path.exists("/dev/fuse"):
        raise unittest.SkipTest("no /dev/fuse: modprobe fuse")
    return binary


class Server:
    """Serves `image` at self.root until close()."""

    def __init__(self, image, offset=0):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-mount-"))
        command = root_command(server_binary(), image, self.root, offset)
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        deadline = time.monotonic() + MOUNT_SECONDS
        while self.process.poll() is None and not self._is_mounted() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _is_mounted(self):
        """Not os.path.ismount, which asks the server."""
        return f" {self.root} " in pathlib.Path("/proc/self/mountinfo").read_text()

    def pid(self):
        """The server's own, not its sudo's."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children[0] if children else str(self.process.pid)

    def is_serving(self):
        return self.process.poll() is None

    def close(self):
        """Unmounts; returns the server's exit status and what it said. The server must end by itself."""
        try:
            if self._is_mounted():
                as_root("umount", self.root)
            errors = self.process.communicate(timeout=MOUNT_SECONDS)[1]
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()
                subprocess.run(root_command("umount", "-l", self.root), stderr=subprocess.DEVNULL)
            self.root.rmdir()
        return self.process.returncode, errors


@contextlib.contextmanager
def served(image, offset=0):
    server = Server(image, offset)
    ended = None
    try:
        if not server.is_serving():
            raise AssertionError("the server refused the image")
        yield server
    finally:
        ended = server.close()
    if ended != (0, ""):
        raise AssertionError(f"the server ended with {ended[0]}: {ended[1]}")


def listing(root):
    """The tree below `root` as an image mount shows it: files are their reader's, and of their attributes only those show that
    are harmless."""
    records = json.loads(as_root("/usr/bin/python3", TREE_LISTING, root))
    for record in records.values():
        record.pop("owner")
        record["xattrs"] = {
            name: value
            for name, value in record["xattrs"].items()
            if name.startswith(SHOWN_PREFIX) and not name.startswith(HIDDEN_PREFIX)
        }
    return records


def unpacked_listing(image, offset=0):
    with tempfile.TemporaryDirectory(prefix="mlctr-unpacked-") as scratch:
        command = ["unsquashfs", "-quiet", "-no-progress", "-xattrs", "-offset", offset, "-dest", f"{scratch}/tree", image]
        as_root(*map(str, command))
        try:
            return listing(f"{scratch}/tree")
        finally:
            as_root("rm", "-rf", f"{scratch}/tree")


def make_image(tree, name, *options):
    image = shared_directory("images") / name
    as_root("mksquashfs", tree, image, "-quiet", "-no-progress", *options)
    return image


def sample_tree():
    """A tree with one of everything that an image can hold. Its owner is root."""
    tree = shared_directory("sample")
    chance = random.Random(5)
    content = lambda size: chance.randbytes((size + 1) // 2) + bytes(size - (size + 1) // 2)  # noqa: E731 (half compresses)
    for block in (4096, 131072, 1 << 20):
        for size in {0, 1, block // 2, block - 1, block, block + 1, 3 * block, 3 * block + 7}:
            (tree / f"size-{size}").write_bytes(content(size))
    for number in range(300):
        file = tree / f"many/{number % 7}/file-{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content(chance.randrange(6000)))
    _add_sparse_files(tree, content)
    _add_names(tree)
    _add_special_files(tree)
    _add_xattrs(tree)
    (tree / "size-1").chmod(0o4711)
    (tree / "size-0").chmod(0o2070)
    (tree / "many").chmod(0o1777)
    os.utime(tree / "size-4096", (2**31 + 5, 2**31 + 5))
    os.utime(tree / "size-0", (0, 0))
    return tree


def _add_sparse_files(tree, content):
    with open(tree / "sparse", "wb") as file:
        file.truncate(150 << 20)
        for place in (0, (20 << 20) + 17, (149 << 20) + 5):
            file.seek(place)
            file.write(content(200_000))
    with open(tree / "only-a-hole", "wb") as file:
        file.truncate((5 << 20) + 100)


def _add_names(tree):
    deep = tree.joinpath(*(f"level-{level}" for level in range(40)))
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("far down\n")
    (tree / "empty-directory").mkdir()
    names = tree / "names"
    names.mkdir()
    for name in ("x" * 255, "новый файл", "space and\nnewline", "-dash", "a", "A", "a.b", "~", "\u00e9" * 127):
        (names / name).write_text(name)
    (names / os.fsdecode(b"not-utf8-\xff\xfe")).write_text("bytes")
    for place in ("many/1", "many/2", "names"):
        os.link(tree / "size-4097", tree / place / "linked")


def _add_special_files(tree):
    (tree / "short-link").symlink_to("many/1/linked")
    (tree / "dangling").symlink_to("/nowhere/at all")
    (tree / "long-link").symlink_to("/".join(["y" * 100] * 40))
    os.mkfifo(tree / "fifo", 0o600)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tree / "socket"))
    as_root("mknod", tree / "null", "c", "1", "3")
    as_root("mknod", tree / "disk", "b", "259", "1048575")


def _add_xattrs(tree):
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    for file, name, value in (
        ("size-4097", "user.note", b"one"),
        ("size-4097", "user.big", b"v" * 3000),
        ("size-4097", "user.empty", b""),
        ("size-4097", "security.capability", capability),
        ("many", "user.overlay.opaque", b"y"),
        ("many", "trusted.overlay.opaque", b"y"),
        ("many", "user.colour", b"red"),
    ):
        as_root("/usr/bin/python3", "-c", "import os, sys; os.setxattr(sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]))",
                tree / file, name, value.hex())  # fmt: skip


@contextlib.contextmanager
def open_directory(directory):
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def directory_entries(directory):
    """(name, offset behind it, inode number) of each entry, as getdents64(2) has them; its small buffer makes many requests."""
    with open_directory(directory) as descriptor:
        while entries := read_entries(descriptor):
            yield from entries


def read_entries(descriptor, buffer_bytes=4096):
    buffer = ctypes.create_string_buffer(buffer_bytes)
    size = ctypes.CDLL(None, use_errno=True).syscall(SYS_GETDENTS64[os.uname().machine], descriptor, buffer, buffer_bytes)
    if size < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    entries, at = [], 0
    while at < size:
        inode, offset, length = struct.unpack_from("=QqH", buffer, at)
        entries.append((buffer.raw[at + 19 : at + length].split(b"\0")[0], offset, inode))
        at += length
    return entries
