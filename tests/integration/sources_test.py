"""Images that come from files: OCI layouts and archives, docker archives, squashfs files."""
import hashlib
import json
import pathlib
import random
import shutil
import subprocess

import registries
from harness import PullTestCase, fixtures


class Sources(PullTestCase):
    def assert_busybox(self, source):
        self.pull(source)
        self.assert_same_tree(self.squashfs_of(source), "busybox")

    def test_oci_layout(self):
        self.assert_busybox(f"oci:{fixtures()}/layouts/busybox:1")
        self.assert_busybox(f"oci:{fixtures()}/layouts/busybox")

    def test_oci_archive(self):
        self.assert_busybox(f"oci-archive:{fixtures()}/busybox.oci.tar:1")

    def test_docker_archive(self):
        self.assert_busybox(f"docker-archive:{fixtures()}/busybox.docker.tar:library/busybox:1")
        self.assert_busybox(f"docker-archive:{fixtures()}/busybox.docker.tar")

    def test_json_drives_no_terminal(self):
        """C0 and C1 controls, and what reorders text, in a name that anybody may choose."""
        file = self.home / "a\x1b[31m\x9b31m\x85\x7f\u202e.sqsh"
        self.pull(source := f"oci:{fixtures()}/layouts/busybox:1")
        for arguments in (("export", source, file), ("inspect", file)):
            out = self.mlctr(*arguments, "--json")[0]
            self.assertTrue(all(c == "\n" or " " <= c <= "~" for c in out), ascii(out))
            self.assertIn(str(file), json.loads(out).values())

    def test_relative_layout(self):
        shutil.copytree(fixtures() / "layouts/busybox", self.home / "here")
        self.assert_busybox("oci:here:1")

    def test_layers_are_shared_between_sources(self):
        self.pull(f"oci:{fixtures()}/layouts/busybox:1")
        layers = {path: (self.store / path).stat().st_ino for path in self.store_files("layers")}
        with registries.nginx() as nginx:
            self.configure(nginx.host["front"])
            self.pull(f"{nginx.host['front']}/library/busybox:1")
            self.assertLessEqual(len(nginx.requests(blob=True)), 1, "at most the config: the layers are here")
        self.assertEqual({path: (self.store / path).stat().st_ino for path in self.store_files("layers")}, layers)

    def test_missing_tag_of_a_layout(self):
        self.fails("pull", f"oci:{fixtures()}/layouts/busybox:2", says=["2"])

    def test_missing_files(self):
        for source in ("oci:/no/such", "oci-archive:/no/such.tar", "docker-archive:/no/such.tar", "/no/such.sqsh"):
            with self.subTest(source):
                self.fails("pull", source, says=["/no/such", "no such file|not exist|not found"], hint=False)

    def test_wrong_kind_of_file(self):
        junk = self.write("junk", "not a tar, not a squashfs\n" * 100)
        for source in (f"oci-archive:{junk}", f"docker-archive:{junk}", shutil.copy(junk, f"{junk}.sqsh"), f"oci:{self.home}"):
            with self.subTest(source):
                self.fails("pull", source, says="junk|home", hint=False)
        self.assert_nothing_stored()


    def test_a_file_named_without_its_kind_is_told_what_to_type(self):
        for name in ("busybox.oci.tar", "busybox.docker.tar"):
            shutil.copy(fixtures() / name, self.home)
        shutil.copytree(fixtures() / "layouts/busybox", self.home / "layout")
        (self.home / "directory").mkdir()
        for typed, meant in (
            ("busybox.oci.tar", "oci-archive:busybox.oci.tar"), ("./busybox.docker.tar", "docker-archive:./busybox.docker.tar"),
            ("oci:busybox.docker.tar", "docker-archive:busybox.docker.tar"), ("oci-archive:busybox.docker.tar", "docker-archive:busybox.docker.tar"),
            ("docker-archive:busybox.oci.tar", "oci-archive:busybox.oci.tar"), ("layout", "oci:layout"), ("docker-archive:layout", "oci:layout"),
            ("./directory", "oci-layout"), ("oci:directory", "oci-layout"), ("docker-daemon:x:1", "docker save"), ("containers-storage:x", "podman save"),
        ):  # fmt: skip
            for command in ("pull", "inspect"):
                with self.subTest(f"{command} {typed}"):
                    self.fails(command, typed, says=f"hint: .*{meant}")
        self.assertFalse(self.store.exists())


class SquashfsFiles(PullTestCase):
    def make_squashfs(self, *options):
        tree = self.home / "tree"
        tree.mkdir(exist_ok=True)
        (tree / "hello").write_text("hello\n")
        (tree / "more").write_bytes(random.Random(1).randbytes(300_000))
        path = self.home / "foreign.sqsh"
        path.unlink(missing_ok=True)
        subprocess.run(["mksquashfs", tree, path, "-quiet", "-no-progress", *options], check=True, stdout=subprocess.DEVNULL)
        return path

    def test_is_recorded_not_copied(self):
        path = self.make_squashfs()
        self.pull(path)
        [image] = self.json("images")
        self.assertTrue(pathlib.Path(image["squashfs"]).samefile(path))
        stored = sum(p.lstat().st_size for p in (self.store / "images").rglob("*") if p.is_file() and not p.is_symlink())
        self.assertLess(stored, 64 * 1024)
        self.mlctr("rmi", path)
        self.assertTrue(path.exists(), "the user's own file stays")

    def test_one_that_changed_is_another_image(self):
        path = self.make_squashfs()
        self.pull(path)
        [before] = self.json("images")
        self.make_squashfs("-b", "4096")
        out, errors = self.mlctr("images")
        self.assertEqual(len([line for line in errors.splitlines() if "warning" in line]), 1, errors)
        self.assertRegex(errors, "has changed since.*mlctr pull")
        self.fails("export", path, self.home / "out.sqsh", says="has changed since")
        self.pull(path)
        [after] = self.json("images")
        self.assertNotEqual(before["digest"], after["digest"])
        self.assertEqual(self.mlctr("images")[1], "", "what it was before is of no interest")
        self.mlctr("gc")
        self.assertEqual([image["digest"] for image in self.json("du")["images"]], [after["digest"]])

    def test_one_that_is_away(self):
        path = self.make_squashfs()
        self.pull(path)
        hidden = path.rename(self.home / "hidden")
        errors = self.mlctr("images")[1]
        self.assertEqual(len([line for line in errors.splitlines() if "warning" in line]), 1, errors)
        for command in (["inspect", path], ["export", path, self.home / "out.sqsh"]):
            self.fails(*command, says=["is not there", "mlctr rmi"])
        for command in ("du", "gc"):
            self.assertEqual(self.mlctr(command)[1], "")
        hidden.rename(path)
        self.assertEqual(len(self.json("images")), 1, "it is back, as it was")
        path.unlink()
        self.mlctr("rmi", path)
        self.assertEqual(self.mlctr("images")[1].count("warning"), 0)
        self.assertEqual(self.store_files("images"), [])

    def test_is_copied_when_asked(self):
        path = self.make_squashfs()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        self.pull(path, "--copy")
        path.unlink()
        stored = pathlib.Path(self.json("images")[0]["squashfs"])
        self.assertEqual(hashlib.sha256(stored.read_bytes()).hexdigest(), content)

    def test_is_copied_when_asked_after_it_was_recorded(self):
        path = self.make_squashfs()
        content = path.read_bytes()
        self.pull(path)
        self.pull(path, "--copy")
        [image] = self.json("images")
        path.unlink()
        self.assertEqual(pathlib.Path(image["squashfs"]).read_bytes(), content)
        self.assertEqual(image["reference"], str(path))

    def test_gc_keeps_what_was_recorded(self):
        path = self.make_squashfs()
        self.pull(path)
        before = self.json("images")
        self.assertEqual(self.json("gc", "--max-size", "0")["removed"], [])
        self.assertEqual(self.json("images"), before)
        self.assertTrue(path.exists())

    def test_needs_no_suffix_where_it_is_there(self):
        path = self.make_squashfs().rename(self.home / "image")
        self.pull("image")
        self.assertTrue(pathlib.Path(self.json("inspect", "image")["squashfs"]).samefile(path))
        self.mlctr("rmi", "image")
        self.assertEqual(self.json("images"), [])

    def test_every_compressor_of_mksquashfs(self):
        for compressor in ("gzip", "lzo", "xz", "zstd", "lz4"):
            with self.subTest(compressor):
                path = self.make_squashfs("-comp", compressor)
                self.pull(path)
                self.mlctr("inspect", path)
                self.mlctr("rmi", path)

    def test_our_own_keeps_its_story(self):
        name = f"{registries.plain().host}/library/busybox:1"
        self.pull(name, "--output", self.home / "mine.sqsh")
        digest = self.json("images")[0]["digest"]
        self.mlctr("rmi", name)
        self.assertEqual(self.json("inspect", self.home / "mine.sqsh")["digest"], digest)
        self.pull(self.home / "mine.sqsh")
        [image] = self.json("images")
        self.assertNotEqual(image["digest"], digest, "a file's word is not enough to take the place of that manifest")
        self.assertEqual(self.json("inspect", image["digest"])["provenance"]["manifest_digest"], digest)

    def test_truncated(self):
        path = self.make_squashfs()
        path.write_bytes(path.read_bytes()[:-200_000])
        self.fails("pull", path, says="foreign.sqsh", hint=False)
        path.write_bytes(b"")
        self.fails("pull", path, says="foreign.sqsh", hint=False)
