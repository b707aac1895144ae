"""The main job, end to end, in a few seconds."""
import registries
from harness import PullTestCase


class Smoke(PullTestCase):
    def test_pull_list_inspect_export_remove(self):
        name = f"{registries.plain().host}/library/busybox:1"
        out, errors = self.pull(name)
        self.assertIn("mlctr", (out + errors).strip().splitlines()[-1], "the last line says what to do next")

        [image] = self.json("images")
        self.assertEqual((image["reference"], image["platform"], image["layers"]), (name, "linux/amd64", 4))
        self.assertIn("busybox", self.mlctr("images")[0])
        self.assertIn(image["digest"], self.mlctr("inspect", name)[0])

        file = self.export(name)
        self.assert_same_tree(file, "busybox")
        self.assertEqual(file.read_bytes(), self.squashfs_of(name).read_bytes())

        usage = self.json("du")
        self.assertEqual([usage["layers_count"], len(usage["images"])], [4, 1])
        self.mlctr("rmi", name)
        self.assertEqual(self.json("images"), [])
        self.mlctr("gc", "--max-size", "0")
        self.assertEqual(self.store_files("layers") + self.store_files("images"), [])
        self.assert_no_litter()

    def test_a_second_pull_downloads_nothing(self):
        with registries.nginx() as nginx:
            self.configure(nginx.host["front"])
            name = f"{nginx.host['front']}/library/busybox:1"
            self.pull(name)
            blobs = nginx.requests(blob=True)
            self.assertEqual(len(blobs), 5)  # four layers and a config
            self.pull(name)
            self.assertEqual(nginx.requests(blob=True), blobs)

    def test_version_and_help(self):
        self.assertRegex(self.mlctr("version")[0], r"\d+\.\d+")
        self.assertIn("pull", self.mlctr("--help")[0])
