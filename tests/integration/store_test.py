"""The store: full, read-only, someone else's, shared; and what lists and tidies it."""
import json
import os
import pathlib
import shutil

import registries
from harness import PullTestCase, as_root, fixtures, is_root, ordinary_user, small_filesystem

PYTHON = "library/python:3.8"
BUSYBOX = "library/busybox:1"
MIB = 1 << 20


class Troubled(PullTestCase):
    def setUp(self):
        super().setUp()
        self.host = registries.plain().host

    def test_disk_full(self):
        for size in (4, 30, 60, 110):
            with self.subTest(f"{size} MiB"), small_filesystem(size * MIB) as filesystem:
                self.store = filesystem / "store"
                self.fails("pull", f"{self.host}/{PYTHON}", says=["no space|full|space", str(filesystem), r"\d (bytes|[KMG]i?B)"])
                self.assert_nothing_stored()
                self.assertEqual(self.json("images"), [])
                self.mlctr("gc", "--max-size", "0")
                self.assert_empty_but_for_cut_downloads()

    def test_disk_full_then_room_again(self):
        with small_filesystem(60 * MIB) as filesystem:
            self.store = filesystem / "store"
            self.fails("pull", f"{self.host}/{PYTHON}", says="space")
            as_root("mount", "-o", f"remount,size={600 * MIB}", filesystem)
            self.pull(f"{self.host}/{PYTHON}")
            self.assert_same_tree(self.squashfs_of(f"{self.host}/{PYTHON}"), "python")

    def test_output_on_a_full_disk_keeps_the_old_file(self):
        with small_filesystem(1 * MIB) as filesystem:
            target = filesystem / "image.sqsh"
            target.write_text("precious")
            self.fails("pull", f"{self.host}/{PYTHON}", "--output", target, says="space|exists", hint=False)
            self.assertEqual(target.read_text(), "precious")
            self.assertEqual(os.listdir(filesystem), ["image.sqsh"])

    def test_read_only_filesystem(self):
        with small_filesystem(400 * MIB) as filesystem:
            self.store = filesystem / "store"
            self.pull(f"{self.host}/{BUSYBOX}")
            as_root("mount", "-o", "remount,ro", filesystem)
            self.fails("pull", f"{self.host}/edge/semantics:1", says=["read-only", str(self.store), "MLCTR_STORE"])
            self.assertEqual(len(self.json("images")), 1)
            self.mlctr("inspect", f"{self.host}/{BUSYBOX}")
            self.export(f"{self.host}/{BUSYBOX}")
            self.fails("rmi", f"{self.host}/{BUSYBOX}", says=["read-only"], hint=False)

    def test_store_is_a_file(self):
        self.store.write_text("")
        self.fails("pull", f"{self.host}/{BUSYBOX}", says=[str(self.store), "not a directory"], hint=False)

    def test_broken_files_do_not_stop_the_listing(self):
        self.pull(f"{self.host}/{BUSYBOX}")
        self.pull(f"{self.host}/edge/semantics:1")
        [record] = [f for f in self.store_files("references") if "busybox" in f]
        (self.store / record).write_text("{")
        out, errors = self.mlctr("images")
        self.assertIn("edge/semantics", out)
        self.assertIn(pathlib.Path(record).name, errors, "what is broken is named")
        self.assertIn(record, self.pull(f"{self.host}/{BUSYBOX}")[1], "it says what it mends")
        self.assertEqual(len([i for i in self.json("images") if i["reference"]]), 2)


class TwoUsers(PullTestCase):
    """One store made by whoever runs the tests, one ordinary user beside it."""

    def setUp(self):
        super().setUp()
        self.host = registries.plain().host
        self.home.chmod(0o755)

    def as_user(self, store):
        other = PullTestCase()
        other.user = ordinary_user()
        other.setUp()
        self.addCleanup(other.doCleanups)
        other.store = store
        return other

    def test_anothers_store_can_be_read_not_written(self):
        self.pull(f"{self.host}/{BUSYBOX}")
        as_root("chmod", "-R", "a+rX", self.store)
        if not is_root():
            as_root("chown", "-R", "root:", self.store)
            self.addCleanup(as_root, "rm", "-rf", self.store)
        other = self.as_user(self.store)
        other.fails("pull", f"{self.host}/edge/semantics:1", says=[str(self.store), "MLCTR_STORE"])
        self.assertEqual(len(other.json("images")), 1)
        other.export(f"{self.host}/{BUSYBOX}")
        other.fails("rmi", f"{self.host}/{BUSYBOX}", says="permission|belongs", hint=False)

    def test_a_private_store_stays_private(self):
        self.pull(f"{self.host}/{BUSYBOX}")
        self.store.chmod(0o700)
        if not is_root():
            as_root("chown", "root:", self.store)
            self.addCleanup(as_root, "rm", "-rf", self.store)
        self.as_user(self.store).fails("images", says=[str(self.store), "permission"], hint=False)

    def test_each_has_a_store_of_its_own(self):
        other = self.as_user(None)
        other.store = other.home / "store"
        self.pull(f"{self.host}/{BUSYBOX}")
        other.pull(f"{self.host}/{BUSYBOX}")
        self.assertEqual(self.json("images")[0]["digest"], other.json("images")[0]["digest"])
        self.assertEqual(self.squashfs_of(f"{self.host}/{BUSYBOX}").read_bytes(), as_root("cat", other.squashfs_of(f"{self.host}/{BUSYBOX}")))

    def test_an_extra_store_lends_its_images_and_layers(self):
        self.pull(f"{self.host}/{PYTHON}")
        as_root("chmod", "-R", "a+rX", self.store)
        other = self.as_user(None)
        other.store = other.home / "store"
        other.write("config/mlctr/mlctr.toml", f'extra_stores = ["{self.store}"]\n', 0o644)
        self.assertEqual([image["reference"] for image in other.json("images")], [f"{self.host}/{PYTHON}"])
        with registries.nginx() as nginx:
            other.pull(f"{self.host}/{PYTHON}", "--policy", "missing")
            self.assertEqual(nginx.requests(blob=True), [])


    def test_several_extra_stores_from_the_environment(self):
        shared = [self.home / "shared a", self.home / "b"]
        for store, name in zip(shared, (BUSYBOX, "edge/semantics:1")):
            self.store = store
            self.pull(f"{self.host}/{name}")
        self.store = self.home / "own"
        found = json.loads(self.mlctr("images", "--json", env={"MLCTR_EXTRA_STORES": f"{shared[0]}:{shared[1]}"})[0])
        self.assertEqual({image["store"] for image in found}, set(map(str, shared)))
        self.assertEqual(self.json("images"), [])


class Commands(PullTestCase):
    def setUp(self):
        super().setUp()
        self.host = registries.plain().host

    def test_images_of_an_empty_store(self):
        self.assertEqual(self.json("images"), [])
        self.mlctr("images")
        self.mlctr("du")
        self.mlctr("gc")
        self.assertFalse(self.store.exists() and self.store_files(), "listing made files")

    def test_inspect(self):
        self.pull(f"{self.host}/{PYTHON}")
        value = self.json("inspect", f"{self.host}/{PYTHON}")
        self.assertIn("PYTHON_VERSION=3.8", str(value))
        self.assertEqual(len(value["layers"]), 4)
        text = self.mlctr("inspect", f"{self.host}/{PYTHON}")[0]
        for expected in ("python3", "linux/amd64", "LANG=C.UTF-8"):
            self.assertIn(expected, text)

    def test_by_digest_and_its_start(self):
        self.pull(f"{self.host}/{BUSYBOX}")
        digest = self.json("images")[0]["digest"]
        self.pull(f"{self.host}/private/team/busybox:1")
        names = [f"{self.host}/{BUSYBOX}", f"{self.host}/private/team/busybox:1"]
        for name in (digest, digest[:19], digest.removeprefix("sha256:")[:4]):
            image = self.json("inspect", name)
            self.assertEqual((image["digest"], sorted(image["references"])), (digest, names))
            self.assertGreater(self.export(name).stat().st_size, 100_000)
        self.assertEqual(self.json("inspect", names[0])["reference"], names[0])
        self.fails("inspect", digest[:10], says=["too short", "4 digits"])
        self.fails("rmi", digest[:12], says=names)
        self.mlctr("rmi", names[0])
        self.assertTrue(self.json("rmi", digest[:12])[0]["image_removed"])
        self.assertEqual(self.json("images"), [])

    def test_the_start_of_several_digests_lists_them(self):
        for name in (BUSYBOX, "edge/semantics:1"):
            self.pull(f"{self.host}/{name}")
        images = self.store / "images/sha256"
        digests = ["abcd" + digit * 60 for digit in "12"]
        for directory, digest in zip(sorted(images.iterdir()), digests):
            directory.rename(images / digest)
        for name in ("abcd", "sha256:abcd"):
            self.fails("inspect", name, says=["2 images begin with 'abcd'", "abcd11111111", "abcd22222222"])

    def test_no_such_image(self):
        for command in (["inspect"], ["rmi"]):
            self.fails(*command, "nothing:here", says=["nothing:here", "in the store"])
        self.fails("export", "nothing:here", self.home / "x", says=["nothing:here"])
        self.assertFalse((self.home / "x").exists())

    def test_export_refuses_to_overwrite(self):
        self.pull(f"{self.host}/{BUSYBOX}")
        target = self.write("there.sqsh", "precious")
        self.fails("export", f"{self.host}/{BUSYBOX}", target, says=["exists", "--force"])
        self.assertEqual(target.read_text(), "precious")
        self.mlctr("export", "--force", f"{self.host}/{BUSYBOX}", target)
        self.assertGreater(target.stat().st_size, 100_000)
        self.fails("export", f"{self.host}/{BUSYBOX}", "/no/such/directory/x.sqsh", says="/no/such/directory", hint=False)

    def test_rmi_keeps_what_another_name_needs(self):
        self.pull(f"{self.host}/{BUSYBOX}")
        self.pull(f"{self.host}/private/team/busybox:1")
        [removed] = self.json("rmi", f"{self.host}/{BUSYBOX}")
        self.assertFalse(removed["image_removed"])
        self.assertEqual(len(self.json("images")), 1)
        [removed] = self.json("rmi", f"{self.host}/private/team/busybox:1")
        self.assertTrue(removed["image_removed"])

    def test_gc_keeps_to_its_size_and_du_adds_up(self):
        self.pull(f"{self.host}/{PYTHON}")
        self.pull(f"{self.host}/{BUSYBOX}")
        usage = self.json("du")
        real_of_image = max(image["size"] for image in usage["images"])
        files = [p.lstat() for p in (self.store / "layers").rglob("*") if p.is_file()]
        self.assertTrue(any(file.st_nlink > 1 for file in files), "large layers are pieces of their images")
        real = sum(file.st_blocks * 512 for file in files if file.st_nlink == 1)
        self.assertAlmostEqual(usage["layers_total"], real, delta=64 * 1024)
        report = self.json("gc", "--dry-run", "--max-size", "10M")
        self.assertEqual(usage["layers_total"], self.json("du")["layers_total"])
        self.assertEqual(self.json("gc", "--max-size", "10M")["freed"], report["freed"])
        self.assertLessEqual(self.json("du")["layers_total"], 10 * MIB)
        self.assertEqual(len(self.json("images")), 2, "gc never removes images")
        self.assert_same_tree(self.squashfs_of(f"{self.host}/{PYTHON}"), "python")
        [removed] = self.json("rmi", f"{self.host}/{PYTHON}")
        self.assertGreater(removed["cached"], 50 * MIB)
        self.assertAlmostEqual(removed["freed"] + removed["cached"], real_of_image, delta=64 * 1024)
        self.assertLessEqual(removed["cached"], self.json("du")["layers_total"])
        self.mlctr("gc", "--max-size", "0")
        self.assertEqual(self.json("du")["layers_total"], 0)

    def test_pull_output(self):
        self.pull(f"{self.host}/{BUSYBOX}", "--output", self.home / "out.sqsh")
        self.assert_same_tree(self.home / "out.sqsh", "busybox")
        self.assertEqual(len(self.json("images")), 1)

    def test_policies(self):
        with registries.nginx() as nginx:
            self.configure(nginx.host["front"])
            name = f"{nginx.host['front']}/{BUSYBOX}"
            self.pull(name, "--policy", "missing")
            asked = len(nginx.requests())
            self.pull(name, "--policy", "missing")
            self.assertEqual(len(nginx.requests()), asked, "nothing is missing")
            self.pull(name, "--policy", "newer")
            self.assertGreater(len(nginx.requests()), asked)

    def test_an_image_for_another_platform_is_as_good_as_missing(self):
        with registries.nginx() as nginx:
            self.configure(nginx.host["front"])
            name = f"{nginx.host['front']}/edge/platforms:1"
            for arch, asks in ((["--arch", "arm64"], True), ([], True), ([], False), (["--arch", "arm64"], True)):
                asked = len(nginx.requests())
                self.pull(name, "--policy", "missing", *arch)
                self.assertEqual(len(nginx.requests()) > asked, asks, arch)
                self.assertIn("arm64" if arch else "amd64", self.json("inspect", name)["platform"])

    def test_missing_policy_works_offline(self):
        with registries.DockerRegistry(fixtures() / "registry", tls=None) as registry:
            name = f"{registry.host}/{BUSYBOX}"
            self.pull(name)
        self.pull(name, "--policy", "missing")
        self.fails("pull", name, "--policy", "always", says=registry.host, seconds=100)
        self.assertEqual(len(self.json("images")), 1, "a failed update takes nothing away")

    def test_quiet_and_plain_output(self):
        out, errors = self.pull(f"{self.host}/{PYTHON}")
        self.assertNotIn("\x1b", out + errors)
        self.assertNotIn("\r", out + errors)
        shutil.rmtree(self.store)
        out, errors = self.pull(f"{self.host}/{PYTHON}", "--quiet")
        self.assertEqual(errors, "")
        self.assertLessEqual(len(out.splitlines()), 1)

    def test_usage_errors(self):
        for arguments in (["pull"], ["pull", "--nonsense", "x"], ["nonsense"], ["pull", "x", "--policy", "perhaps"], ["gc", "--max-size", "much"]):
            with self.subTest(arguments):
                self.fails(*arguments, says="", hint=False)

    def test_no_home_to_keep_a_store_in(self):
        nowhere = {"MLCTR_STORE": None, "XDG_DATA_HOME": None, "HOME": "/dev/null"}
        for command in (["images"], ["du"], ["gc"], ["inspect", "x"], ["pull", f"{self.host}/{BUSYBOX}"]):
            with self.subTest(command):
                self.fails(*command, env=nowhere, says=["not a directory", "MLCTR_STORE"])

    def test_settings_that_make_no_sense_are_refused_with_their_place(self):
        self.fails("images", env={"MLCTR_PULL_PARALLEL_DOWNLOADS": "0"}, says="MLCTR_PULL_PARALLEL_DOWNLOADS=0.*from 1 to 64", hint=False)
        self.write("config/mlctr/mlctr.toml", "[pull]\nmax_layer_bytes = 0\n", 0o644)
        self.fails("images", says=r"mlctr.toml:2.*1 or more", hint=False)

    def test_settings_are_explained(self):
        out, _ = self.mlctr("config", env={"MLCTR_PULL_THREADS": "3"})
        self.assertRegex(out, r"pull\.threads.*3.*MLCTR_PULL_THREADS")
        self.write("config/mlctr/mlctr.toml", "[pull]\nthreds = 3\n", 0o644)
        self.fails("images", says=["threds", "mlctr.toml:2"], hint=False)
