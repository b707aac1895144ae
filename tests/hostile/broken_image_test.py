"""A broken or hostile image under the image mount: errors for who reads the broken place, and nothing else."""
import os
import random
import struct
import time

import image_mount
from harness import PullTestCase, as_root, shared_directory
from image_mount import make_image

ROUNDS = int(os.environ.get("MLCTR_BROKEN_IMAGES", "60"))
SUPERBLOCK = {"inode_count": 4, "fragment_count": 16, "root": 32, "bytes_used": 40, "ids": 48, "xattrs": 56, "inodes": 64,
              "directories": 72}  # fmt: skip
RAW_TABLES = ("-noI", "-noD", "-noF", "-noX")
MOST_ENTRIES, DEEPEST, READ_BYTES = 3000, 20, 8 << 20
TREE_SECONDS = 60


def small_tree():
    """Little, so that a flipped bit hits something that matters."""
    tree = shared_directory("small")
    chance = random.Random(3)
    for number in range(120):
        file = tree / f"d{number % 5}/e{number % 3}/file-{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(chance.randrange(3000)) * 3)
    (tree / "large").write_bytes(chance.randbytes(300_000) + bytes(300_000))
    (tree / "link").symlink_to("d0/e0")
    os.link(tree / "large", tree / "d1/large")
    os.setxattr(tree / "large", "user.note", b"x" * 100)
    return tree


def try_everything(root):
    """Asks for all there is, within limits: a broken tree may be a loop."""
    deadline = time.monotonic() + TREE_SECONDS
    pending, errors, seen = [(root, 0)], 0, 0
    while pending and seen < MOST_ENTRIES:
        directory, depth = pending.pop()
        try:
            with os.scandir(directory) as entries:
                names = [entry.name for entry, _ in zip(entries, range(MOST_ENTRIES))]
        except OSError:
            errors += 1
            continue
        for name in [*names, "file-1", "missing"]:
            seen += 1
            path = os.path.join(directory, name)
            try:
                status = os.lstat(path)
                if os.path.islink(path):
                    os.readlink(path)
                elif os.path.isdir(path):
                    if depth < DEEPEST:
                        pending.append((path, depth + 1))
                elif os.path.isfile(path):
                    os.listxattr(path)
                    with open(path, "rb") as file:
                        file.read(READ_BYTES)
                        file.seek(max(status.st_size - 5000, 0))
                        file.read(10_000)
            except (OSError, OverflowError):
                errors += 1
        assert time.monotonic() < deadline, "a broken image takes too long"
    return errors


class BrokenImages(PullTestCase):
    def serve_and_try(self, content):
        """Whether the image was served at all."""
        file = self.home / "broken.sqsh"
        file.write_bytes(content)
        server = image_mount.Server(file)
        try:
            if served := server.is_serving():
                try_everything(server.root)
                self.assertTrue(server.is_serving(), "the server died")
        finally:
            status, errors = server.close()
        self.assertNotRegex(errors, "Sanitizer|runtime error|terminate called")
        if served:
            self.assertEqual((status, errors), (0, ""))
        else:
            self.assertEqual(status, 1, errors)
            self.assertRegex(errors, "is not a whole squashfs image")
        return served

    def images(self):
        for name, *options in (("zstd", "-comp", "zstd", "-b", "16K"), ("raw", "-comp", "gzip", "-b", "4K", *RAW_TABLES)):
            yield name, make_image(small_tree(), f"small-{name}.sqsh", *options).read_bytes()

    def test_flipped_bits(self):
        for name, whole in self.images():
            tables = struct.unpack_from("<Q", whole, SUPERBLOCK["inodes"])[0]
            served = 0
            for seed in range(ROUNDS):
                chance = random.Random(f"{name} {seed}")
                broken = bytearray(whole)
                first = tables if seed % 3 else 0
                for _ in range(chance.choice((1, 3, 30))):
                    broken[chance.randrange(first, len(whole))] ^= 1 << chance.randrange(8)
                with self.subTest(name, seed=seed):
                    served += self.serve_and_try(bytes(broken))
            self.assertGreater(served, ROUNDS // 4, "most of it was refused: nothing was tried")

    def test_false_numbers_in_the_superblock(self):
        for name, whole in self.images():
            for field, place in SUPERBLOCK.items():
                for value in (0, 1, 97, 2**31, 2**40 + 3, len(whole) - 1):
                    with self.subTest(name, field=field, value=value):
                        broken = bytearray(whole)
                        if field.endswith("_count"):
                            struct.pack_into("<I", broken, place, value & 0xFFFFFFFF)
                        else:
                            struct.pack_into("<Q", broken, place, value)
                        self.serve_and_try(bytes(broken))

    def test_cut_short_while_it_is_served(self):
        whole = make_image(small_tree(), "cut.sqsh", "-comp", "gzip").read_bytes()
        self.assertFalse(self.serve_and_try(whole[: len(whole) // 2]), "short from the start")
        file = self.home / "cut.sqsh"
        file.write_bytes(whole)
        server = image_mount.Server(file)
        try:
            os.truncate(file, 4096)
            self.assertGreater(try_everything(server.root), 0)
            self.assertTrue(server.is_serving())
        finally:
            self.assertEqual(server.close(), (0, ""))

    def test_a_directory_inside_itself(self):
        """Its entries' places are rewritten to those of their parent, which the raw tables let us find."""
        tree = shared_directory("loop")
        (tree / "outer/inner").mkdir(parents=True)
        (tree / "outer/inner/file").write_text("x")
        whole = make_image(tree, "loop.sqsh", "-comp", "gzip", *RAW_TABLES).read_bytes()
        directories = struct.unpack_from("<Q", whole, SUPERBLOCK["directories"])[0]
        place_of = {name: whole.index(name, directories) - 8 for name in (b"outer", b"inner", b"file")}
        offsets = {name: struct.unpack_from("<H", whole, place)[0] for name, place in place_of.items()}
        root = struct.unpack_from("<H", whole, SUPERBLOCK["root"])[0]
        for entry, target in ((b"inner", offsets[b"outer"]), (b"inner", offsets[b"inner"]), (b"outer", root)):
            broken = bytearray(whole)
            struct.pack_into("<H", broken, place_of[entry], target)
            with self.subTest(entry=entry, target=target):
                self.assertTrue(self.serve_and_try(bytes(broken)))

    def test_a_small_image_of_a_huge_file(self):
        """All holes: half a million blocks, none stored."""
        tree = shared_directory("huge")
        with open(tree / "huge", "wb") as file:
            file.truncate(2 << 30)
        image = make_image(tree, "huge.sqsh", "-comp", "gzip", "-b", "4K")
        with image_mount.served(image) as server:
            began = time.monotonic()
            with open(server.root / "huge", "rb") as file:
                for place in (0, 1 << 30, (2 << 30) - 100_000):
                    file.seek(place)
                    self.assertEqual(file.read(100_000), bytes(100_000))
            self.assertLess(time.monotonic() - began, 20)
            resident = as_root("grep", "VmRSS", f"/proc/{server.pid()}/status").split()[1]
            self.assertLess(int(resident), 64 << 10)
