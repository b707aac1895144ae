"""Layers made by someone who means harm: nothing leaves the image, nothing is taken from the host, memory and disk stay bounded."""
import gzip
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile

from harness import PullTestCase, tree_of
from oci_layout import OCI_LAYER, Layout, sha256
from tar_writer import BLOCK, TarWriter, padded

MIB = 1 << 20


class HostileTestCase(PullTestCase):
    def layout(self, *tars, config=None):
        """A source of an image of these layers."""
        directory = self.home / "layout"
        shutil.rmtree(directory, ignore_errors=True)
        layout = Layout(directory)
        layout.tag(layout.image([layout.layer(tar if isinstance(tar, bytes) else tar.bytes()) for tar in tars], config), "1")
        return f"oci:{directory}:1"

    def tree(self, *tars):
        source = self.layout(*tars)
        self.pull(source)
        return tree_of(self.squashfs_of(source))

    def refused(self, *tars, says=(), hint=False, **more):
        shutil.rmtree(self.store, ignore_errors=True)
        errors = self.fails("pull", self.layout(*tars), says=says, hint=hint, **more)
        self.assert_nothing_stored()
        self.assert_no_litter()
        return errors


class Paths(HostileTestCase):
    def test_dot_dot(self):
        for name in ("../escape", "a/../../escape", "..", "a/b/../../../x"):
            with self.subTest(name):
                self.refused(TarWriter("gnu").file(name, "x"), says=[r"\.\."])

    def test_absolute_names_stay_inside(self):
        """Docker and umoci read /x as x."""
        self.assertIn("/etc/inside", self.tree(TarWriter().directory("/etc/").file("/etc/inside", "x")))

    def test_hard_links_out_of_the_tree(self):
        for target in ("../../etc/passwd", "a/../../x"):
            with self.subTest(target):
                self.refused(TarWriter().file("a", "x").hardlink("link", target), says="link")

    def test_hard_link_to_the_hosts_file(self):
        """Absolute targets are of the image's root: /etc/passwd of this machine never gets in."""
        self.refused(TarWriter().hardlink("link", "/etc/passwd"), says=["link", "etc/passwd"])

    def test_hard_link_to_nothing(self):
        self.refused(TarWriter().hardlink("link", "missing"), says=["link", "missing"])

    def test_hard_link_to_itself_and_to_a_directory(self):
        self.refused(TarWriter().hardlink("link", "link"), says="link")
        self.refused(TarWriter().directory("d/").hardlink("link", "d"), says="link")

    def test_hard_link_through_a_symlink_out(self):
        self.refused(TarWriter().symlink("out", "/etc").hardlink("link", "out/hostname"), says="link")

    def test_files_through_a_symlink_stay_inside(self):
        for target in ("/tmp", "../../../../tmp", "/"):
            with self.subTest(target):
                name = f"mlctr-hostile-{hashlib.sha256(str(self.home).encode()).hexdigest()[:8]}"
                lower = TarWriter().symlink("out", target)
                source = self.layout(lower, TarWriter().file(f"out/{name}", "x"))
                self.mlctr("pull", source, status=None)
                self.assertFalse(pathlib.Path("/tmp", name).exists() or pathlib.Path("/", name).exists())

    def test_symlink_loops_across_layers(self):
        lower = TarWriter().symlink("a", "b").symlink("b", "a").symlink("self", "self/x")
        self.mlctr("pull", self.layout(lower, TarWriter().file("a/x", "x").file("self/y", "y")), status=None, seconds=20)

    def test_a_file_as_a_parent(self):
        source = self.layout(TarWriter().file("file", "x").file("file/child", "y"))
        self.mlctr("pull", source, status=None)
        listing = self.tree(TarWriter().file("file", "x"), TarWriter().file("file/child", "y"))
        self.assertEqual((listing["/file"]["type"], listing["/file/child"]["type"]), ("directory", "file"))

    def test_odd_names(self):
        # A whiteout of "." or ".." or of nothing must not delete anything but itself.
        lower = TarWriter().directory("d/").file("d/keep", "x").file("keep", "x")
        for name in ("d/.wh...", "d/.wh..", "d/.wh.", ".wh..", ".wh..."):
            with self.subTest(name):
                source = self.layout(lower, TarWriter().file(name, ""))
                _, errors = self.mlctr("pull", source, status=None)
                if "error" not in errors:
                    found = tree_of(self.squashfs_of(source))
                    self.assertIn("/keep", found)
                    self.assertIn("/d/keep", found)

    def test_names_too_long_for_any_filesystem(self):
        self.refused(TarWriter().file("n" * 256, "x"), says="long")
        self.refused(TarWriter().symlink("link", "t" * 70_000), says="long|link")

    def test_nul_and_empty_names(self):
        self.mlctr("pull", self.layout(TarWriter().file("", "x", pax={"path": b"a\0b"})), status=None)
        self.mlctr("pull", self.layout(TarWriter().file("x", "x", pax={"path": b""})), status=None)

    def test_deep_nesting(self):
        name = "/".join(["d"] * 3000)
        source = self.layout(TarWriter().file("x", "x", pax={"path": (name + "/file").encode()}))
        self.mlctr("pull", source, status=None, seconds=60)


class Disguise(HostileTestCase):
    def test_overlayfs_markers_of_the_image_are_data(self):
        """A 0/0 device or an overlay xattr in a layer is content, never an order to the merge (or the runtime's overlay)."""
        lower = TarWriter().file("victim", "x").directory("d/").file("d/inside", "x")
        upper = TarWriter().character_device("victim", (0, 0)).directory("d/", pax={"SCHILY.xattr.trusted.overlay.opaque": b"y"})
        source = self.layout(lower, upper)
        _, errors = self.mlctr("pull", source, status=None)
        if "error" in errors:
            return  # refusing is fine; obeying is not
        found = tree_of(self.squashfs_of(source))
        self.assertIn("/d/inside", found)
        for record in found.values():
            self.assertFalse([name for name in record["xattrs"] if ".overlay." in name], "left for an overlay to obey")

    def test_our_own_directory_can_not_be_forged(self):
        for forged in (
            TarWriter().directory(".mlctr/").file(".mlctr/manifest.json", "{}").file(".mlctr/more", "x"),
            TarWriter().file(".mlctr", "a file"),
            TarWriter().symlink(".mlctr", "/etc"),
        ):
            source = self.layout(TarWriter().file("a", "x"), forged)
            self.pull(source)
            squashfs = self.squashfs_of(source)
            manifest = subprocess.run(["unsquashfs", "-cat", squashfs, ".mlctr/manifest.json"], capture_output=True).stdout
            self.assertIn(b"schemaVersion", manifest)
            listing = subprocess.run(["unsquashfs", "-l", squashfs], capture_output=True, text=True).stdout
            self.assertNotIn(".mlctr/more", listing)

    def test_terminal_escapes_in_names_do_not_reach_the_terminal(self):
        errors = self.refused(TarWriter().hardlink("x\x1b[2Jx", "missing\x1b]0;owned\x07"))
        self.assertNotIn("\x1b", errors)
        self.assertNotIn("\x07", errors)


class Damage(HostileTestCase):
    def edit(self, source, change, which=0):
        """Changes a layer's blob under its digest."""
        directory = pathlib.Path(source.split(":")[1])
        manifest = self.manifest(directory)
        path = directory / "blobs" / manifest["layers"][which]["digest"].replace(":", "/")
        path.write_bytes(change(path.read_bytes()))
        return manifest["layers"][which]["digest"]

    def manifest(self, directory):
        index = json.loads((directory / "index.json").read_text())
        return json.loads((directory / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_text())

    def remake(self, change, tar=None):
        """A layout whose manifest and configuration `change` has altered before they were hashed."""
        directory = self.home / "layout"
        shutil.rmtree(directory, ignore_errors=True)
        layout = Layout(directory)
        layer, diff_id = layout.layer((tar or TarWriter().file("a", "x" * 5000)).bytes())
        layer, diff_id = change(layout, layer, diff_id)
        layout.tag(layout.image([(layer, diff_id)]), "1")
        return f"oci:{directory}:1"

    def test_changed_blob(self):
        source = self.layout(TarWriter().file("a", bytes(range(256)) * 100))
        digest = self.edit(source, lambda data: data[:-4] + bytes(b ^ 1 for b in data[-4:]))
        errors = self.fails("pull", source, says=[digest], hint=False)
        self.assertGreaterEqual(errors.count("sha256:"), 1)
        self.assert_nothing_stored()

    def test_blob_replaced_by_another_valid_one(self):
        source = self.layout(TarWriter().file("a", "x" * 100))
        digest = self.edit(source, lambda data: gzip.compress(TarWriter().file("a", "y" * 100).bytes(), mtime=0))
        errors = self.fails("pull", source, says=[digest], hint=False)
        self.assert_nothing_stored()
        self.assertEqual(self.store_files("layers"), [])
        self.assertRegex(errors, r"(?s)sha256:.*(sha256:|bytes)")

    def test_truncated_blob(self):
        source = self.layout(TarWriter().file("a", bytes(range(256)) * 500))
        digest = self.edit(source, lambda data: data[: len(data) // 2])
        self.fails("pull", source, says=[digest], hint=False)
        self.assert_nothing_stored()

    def test_oversized_blob(self):
        source = self.layout(TarWriter().file("a", "x"))
        digest = self.edit(source, lambda data: data + bytes(MIB))
        self.fails("pull", source, says=[digest], hint=False)
        self.assert_nothing_stored()

    def test_wrong_diff_id_names_both(self):
        wrong = "sha256:" + "1" * 64
        source = self.remake(lambda layout, layer, diff_id: (layer, wrong))
        self.fails("pull", source, says=["1111", "sha256:[02-9a-f]"], hint=False)
        self.assert_nothing_stored()
        self.assertEqual(self.store_files("layers"), [])

    def test_wrong_size_in_the_manifest(self):
        for size in (1, 10**6, 2**63, -1):
            with self.subTest(size):
                source = self.remake(lambda layout, layer, diff_id: ({**layer, "size": size}, diff_id))
                self.fails("pull", source, says="size|byte|large", hint=False)
                self.assert_nothing_stored()

    def test_not_gzip_not_tar(self):
        for data in (b"plain text, no gzip at all" * 100, gzip.compress(b"no tar in here" * 1000), b"\x1f\x8b\x08" + bytes(2000)):
            def change(layout, layer, diff_id, data=data):
                return layout.blob(data, OCI_LAYER + "+gzip"), sha256(data)

            with self.subTest(data[:12]):
                self.fails("pull", self.remake(change), hint=False)
                self.assert_nothing_stored()

    def test_tar_cut_between_headers_and_data(self):
        whole = TarWriter().file("a", "x" * 5000).file("b", "y" * 5000).bytes()
        for length in (100, 512, 600, 3000, 6000):
            with self.subTest(length):
                self.refused(whole[:length])

    def test_trailing_garbage_after_the_tar_is_verified_and_ignored(self):
        self.assertIn("/a", self.tree(TarWriter().file("a", "x").bytes() + b"\0" * 20 * BLOCK))

    def test_lying_numbers(self):
        info = tarfile.TarInfo("huge")
        info.size = 8**11 - 1
        self.refused(info.tobuf(tarfile.USTAR_FORMAT) + padded(b"little"))
        self.refused(TarWriter().file("x", "x", pax={"size": b"99999999999999999999999"}))
        self.refused(TarWriter().file("x", "x", pax={"size": b"-5"}))

    def test_sparse_maps_that_lie(self):
        records = {"GNU.sparse.name": b"s", "GNU.sparse.numblocks": b"2"}
        for sparse_map in (b"0,4,18446744073709551615,4", b"100,4,0,4", b"0,9223372036854775807,5,5"):
            pax = {**records, "GNU.sparse.size": b"10", "GNU.sparse.map": sparse_map}
            with self.subTest(sparse_map):
                self.mlctr("pull", self.layout(TarWriter().file("s", "12345678", pax=pax)), status=None, seconds=30)

    def test_huge_sparse_file_costs_nothing(self):
        size = 1 << 40
        pax = {"GNU.sparse.size": b"%d" % size, "GNU.sparse.numblocks": b"1", "GNU.sparse.map": b"0,8", "GNU.sparse.name": b"s"}
        self.refused(TarWriter().file("s", "12345678", pax=pax), says="max_layer_bytes|limit|large", seconds=60)


class Bombs(HostileTestCase):
    def bomb(self, size):
        """A layer of one file of zeros, `size` bytes, gzipped piecewise so that the test needs no memory either."""
        info = tarfile.TarInfo("zeros")
        info.size = size
        raw, digest = io.BytesIO(), hashlib.sha256()
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=1) as out:
            for piece in (info.tobuf(tarfile.USTAR_FORMAT), *([bytes(16 * MIB)] * (size // (16 * MIB))), bytes(2 * BLOCK)):
                digest.update(piece)
                out.write(piece)
        directory = self.home / "layout"
        layout = Layout(directory)
        layer = layout.blob(raw.getvalue(), OCI_LAYER + "+gzip"), "sha256:" + digest.hexdigest()
        layout.tag(layout.image([layer]), "1")
        return f"oci:{directory}:1"

    def test_decompression_bomb_stops_at_the_limit(self):
        source = self.bomb(1024 * MIB)
        self.configure_table('[pull]\nmax_layer_bytes = "256MiB"\n')
        self.fails("pull", source, says=["256 ?MiB|max_layer_bytes", "max_layer_bytes"])
        self.assert_nothing_stored()
        self.configure_table("")

    def test_entries_beyond_the_limit(self):
        tar = TarWriter("ustar")
        for i in range(3000):
            tar.file(f"f{i}")
        self.configure_table("[pull]\nmax_layer_entries = 2000\n")
        self.fails("pull", self.layout(tar), says=["2000|2,000", "max_layer_entries"])

    def test_memory_stays_bounded(self):
        """A gigabyte of zeros, and a file of 300,000 hard links, below 400 MiB."""
        links = TarWriter("ustar").file("f", "x")
        for i in range(300_000):
            links.hardlink(f"d/{i}", "f")
        for source in (self.bomb(1024 * MIB), self.layout(links)):
            script = "import os,sys; pid=os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); _,status,usage=os.wait4(pid,0); print(status, usage.ru_maxrss)"
            done = subprocess.run(["/usr/bin/python3", "-c", script, *self._command(["pull", "--quiet", source])],
                                  env=self.environment(), capture_output=True, text=True, timeout=120)  # fmt: skip
            status, kilobytes = map(int, done.stdout.split()[-2:])
            self.assertEqual(status, 0, done.stderr)
            self.assertLess(kilobytes, 400 * 1024)

    def test_many_xattrs(self):
        pax = {f"SCHILY.xattr.user.n{i}": bytes(1000) for i in range(2000)}
        self.mlctr("pull", self.layout(TarWriter().file("x", "x", pax=pax)), status=None, seconds=60)
        pax = {"SCHILY.xattr.user.large": bytes(10 * MIB)}
        self.mlctr("pull", self.layout(TarWriter().file("x", "x", pax=pax)), status=None, seconds=60)


