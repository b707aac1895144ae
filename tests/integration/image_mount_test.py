"""The image mount shows what unsquashfs unpacks, whatever made the image."""
import errno
import functools
import hashlib
import multiprocessing
import os
import pathlib
import random
import subprocess
import unittest

import image_mount
from harness import PullTestCase, as_root, fixtures, root_command, shared_directory, small_filesystem
from image_mount import directory_entries, listing, make_image, open_directory, read_entries, served, unpacked_listing

sample_tree = functools.cache(image_mount.sample_tree)
MANY = 100_000


@functools.cache
def sample_image():
    return make_image(sample_tree(), "sample.sqsh", "-comp", "zstd", "-b", "128K")


@functools.cache
def wide_image():
    with small_filesystem("200m") as tree:
        (tree / "wide").mkdir()
        for number in range(MANY):
            os.symlink("target", tree / f"wide/entry-{number}")
        return make_image(tree, "wide.sqsh", "-comp", "gzip")


def digests(arguments):
    """Of each file below a directory, read in an order of the reader's own."""
    root, seed = arguments
    files = sorted(path for path in pathlib.Path(root).rglob("*") if path.is_file() and not path.is_symlink())
    random.Random(seed).shuffle(files)
    return sorted((str(file), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)


class ImageMount(PullTestCase):
    maxDiff = 4000

    def assert_as_unpacked(self, image, offset=0):
        expected = unpacked_listing(image, offset)
        with served(image, offset) as server:
            found = listing(server.root)
        self.assertEqual(sorted(set(expected) ^ set(found)), [])
        wrong = [f"{path}: {found[path]}, not {expected[path]}" for path in expected if found[path] != expected[path]]
        self.assertEqual(wrong, [])

    def test_every_compressor_block_size_and_layout(self):
        for name, *options in (
            ("gzip", "-comp", "gzip", "-b", "128K"),
            ("lzo", "-comp", "lzo", "-b", "64K", "-no-fragments"),
            ("lz4", "-comp", "lz4", "-b", "1M"),
            ("xz", "-comp", "xz", "-b", "256K", "-always-use-fragments"),
            ("zstd", "-comp", "zstd", "-b", "4K", "-always-use-fragments"),
            ("raw", "-comp", "gzip", "-b", "8K", "-noI", "-noD", "-noF", "-noX"),
            ("plain", "-comp", "zstd", "-b", "1M", "-no-fragments", "-no-sparse", "-no-xattrs", "-no-exports"),
        ):
            with self.subTest(name):
                self.assert_as_unpacked(make_image(sample_tree(), f"{name}.sqsh", *options))

    def test_an_image_inside_a_file(self):
        file = self.home / "inside.sif"
        file.write_bytes(b"#!/usr/bin/env run\n".ljust(4096, b"\0") + sample_image().read_bytes())
        self.assert_as_unpacked(file, offset=4096)

    def test_images_of_our_own(self):
        for image in ("busybox", "semantics", "dialects", "opaque-root"):
            with self.subTest(image):
                source = f"oci:{fixtures()}/layouts/{image}:1"
                self.pull(source)
                self.assert_as_unpacked(self.squashfs_of(source))

    def test_directories_and_links_count(self):
        with served(sample_image()) as server:
            self.assertEqual((server.root / "names/linked").stat().st_nlink, 4)
            self.assertEqual(server.root.stat().st_nlink, 2 + sum(p.is_dir() for p in sample_tree().iterdir()))
            root, names = server.root.stat().st_ino, (server.root / "names").stat().st_ino
            self.assertEqual((server.root / "names/..").stat().st_ino, root)
            entries = {entry.name: entry.inode() for entry in os.scandir(server.root / "names")}
            self.assertEqual(entries["a"], (server.root / "names/a").stat().st_ino)
            dots = {name: inode for name, _, inode in directory_entries(server.root / "names")}
            self.assertEqual([dots[b"."], dots[b".."]], [names, root])
            blocks = (server.root / "sparse").stat().st_blocks * 512
            self.assertLess(blocks, 3 << 20, "holes take no space")

    def test_what_is_not_there_and_what_is_not_allowed(self):
        with served(sample_image()) as server:
            for _ in range(2):  # the second time the kernel answers
                self.assertFalse((server.root / "missing").exists())
                self.assertFalse((server.root / "size-0/below-a-file").exists())
            for command in (["touch", "new"], ["touch", "size-1"], ["rm", "size-1"], ["mkdir", "d"], ["ln", "size-1", "l"]):
                result = subprocess.run(root_command(*command), cwd=server.root, capture_output=True, text=True)
                self.assertIn("Read-only file system", result.stderr, command)
            status = os.statvfs(server.root)
            self.assertEqual((status.f_bfree, status.f_ffree, status.f_namemax), (0, 0, 255))
            self.assertGreater(status.f_files, 300)
            self.assertAlmostEqual(status.f_blocks * status.f_frsize, sample_image().stat().st_size, delta=1 << 20)

    def test_an_image_never_steers_the_overlay_above_it(self):
        with served(sample_image()) as server:
            self.assertEqual(os.listxattr(server.root / "many"), ["user.colour"])
            for name in ("user.overlay.opaque", "trusted.overlay.opaque", "user.missing"):
                with self.assertRaises(OSError) as caught:
                    os.getxattr(server.root / "many", name)
                self.assertEqual(caught.exception.errno, errno.ENODATA)

    def test_the_kernel_asks_no_more_where_no_attribute_is_shown(self):
        tree = shared_directory("steering")
        os.setxattr(tree, "user.overlay.opaque", b"y")
        with served(make_image(tree, "steering.sqsh")) as server:
            for attempt in (os.listxattr, lambda path: os.getxattr(path, "user.overlay.opaque")):
                with self.assertRaises(OSError) as caught:
                    attempt(server.root)
                self.assertEqual(caught.exception.errno, errno.ENOTSUP)

    def test_a_wide_directory(self):
        expected = {b".", b".."} | {b"entry-%d" % number for number in range(MANY)}
        with served(wide_image()) as server:
            wide = server.root / "wide"
            names = [name for name, *_ in directory_entries(wide)]
            self.assertEqual(len(names), len(expected))
            self.assertEqual(set(names), expected)
            for number in range(0, MANY, 997):
                self.assertEqual(os.readlink(wide / f"entry-{number}"), "target")
                self.assertFalse(os.path.lexists(wide / f"entry-{number}x"))

    def test_a_listing_goes_on_from_any_place(self):
        with served(wide_image()) as server, open_directory(server.root / "wide") as descriptor:
            entries = list(directory_entries(server.root / "wide"))
            for place in random.Random(1).sample(range(len(entries) - 1), 300):
                os.lseek(descriptor, entries[place][1], os.SEEK_SET)
                self.assertEqual(read_entries(descriptor)[0], entries[place + 1])
            for offset in (entries[-1][1], entries[-1][1] + 1, 1 << 40):
                os.lseek(descriptor, offset, os.SEEK_SET)
                self.assertEqual(read_entries(descriptor), [])
            os.lseek(descriptor, 0, os.SEEK_SET)
            self.assertEqual(read_entries(descriptor)[:3], entries[:3])

    def test_reads_at_any_place(self):
        chance = random.Random(2)
        with served(sample_image()) as server:
            for name in ("sparse", f"size-{(3 << 20) + 7}", "size-131073"):
                with open(sample_tree() / name, "rb") as expected, open(server.root / name, "rb") as found:
                    size = os.stat(found.fileno()).st_size
                    for _ in range(200):
                        place, length = chance.randrange(size + 10), chance.choice((1, 100, 5000, 300_000))
                        want = os.pread(expected.fileno(), length, place)
                        self.assertEqual(os.pread(found.fileno(), length, place), want, (name, place, length))

    def test_many_readers_at_once(self):
        with served(make_image(sample_tree(), "readers.sqsh", "-comp", "gzip", "-b", "64K")) as server:
            with multiprocessing.get_context("fork").Pool(8) as pool:
                seen = pool.map(digests, [(server.root, seed) for seed in range(8)])
            expected = [(f.replace(str(sample_tree()), str(server.root)), d) for f, d in digests((sample_tree(), 0))]
            self.assertEqual([readers == expected for readers in seen], [True] * 8)

    def test_memory_does_not_grow_with_what_was_looked_up(self):
        with served(wide_image()) as server:

            def resident_bytes():
                status = as_root("cat", f"/proc/{server.pid()}/status").decode()
                return int(status.split("VmRSS:")[1].split()[0]) * 1024

            sum(1 for _ in directory_entries(server.root / "wide"))
            for number in range(100):
                os.lstat(server.root / f"wide/entry-{number}")
            before = resident_bytes()
            for entry in os.scandir(server.root / "wide"):
                entry.stat(follow_symlinks=False)
            self.assertLess(resident_bytes() - before, 4 << 20)
            self.assertLess(resident_bytes(), 64 << 20)

    def test_a_killed_server_means_errors_not_hangs(self):
        server = image_mount.Server(sample_image())
        self.addCleanup(server.close)
        (server.root / "size-1").read_bytes()
        as_root("kill", "-KILL", server.pid())
        server.process.wait(image_mount.MOUNT_SECONDS)
        for attempt in (lambda: (server.root / "size-131072").read_bytes(), lambda: os.listdir(server.root / "many")):
            with self.assertRaises(OSError) as caught:
                attempt()
            self.assertIn(caught.exception.errno, (errno.ENOTCONN, errno.ECONNABORTED))


if __name__ == "__main__":
    unittest.main()
