"""What is in an image is what an independent unpacker makes of the same layers, byte for byte and the same every time."""
import hashlib
import shutil
import subprocess

import registries
from harness import PullTestCase, fixtures, ordinary_user, shared_directory


class Trees(PullTestCase):
    """Layouts, not a registry: the same bytes, one thing less that can be wrong."""

    def pull_layout(self, image):
        source = f"oci:{fixtures() / 'layouts' / image}:1"
        self.pull(source)
        return self.squashfs_of(source)

    def test_busybox(self):
        self.assert_same_tree(self.pull_layout("busybox"), "busybox")

    def test_python(self):
        self.assert_same_tree(self.pull_layout("python"), "python")

    def test_every_tar_dialect_and_compression(self):
        self.assert_same_tree(self.pull_layout("dialects"), "dialects")

    def test_plain_gzip_twin(self):
        self.assert_same_tree(self.pull_layout("dialects-plain"), "dialects")

    def test_whiteouts_links_and_replacements(self):
        self.assert_same_tree(self.pull_layout("semantics"), "semantics")

    def test_opaque_marker_at_the_root(self):
        self.assert_same_tree(self.pull_layout("opaque-root"), "opaque-root")

    def test_image_names_its_origin(self):
        squashfs = self.pull_layout("busybox")
        listing = subprocess.run(["unsquashfs", "-l", squashfs], capture_output=True, text=True, check=True).stdout
        self.assertIn("squashfs-root/.mlctr/", listing)
        layers = fixtures() / "layouts/busybox/blobs/sha256"
        manifest = subprocess.run(["unsquashfs", "-cat", squashfs, ".mlctr/manifest.json"], capture_output=True, check=True).stdout
        self.assertEqual(manifest, (layers / hashlib.sha256(manifest).hexdigest()).read_bytes())

    def test_kernel_style_statistics(self):
        """squashfs-tools reads the superblock as the kernel does."""
        info = subprocess.run(["unsquashfs", "-s", self.pull_layout("busybox")], capture_output=True, text=True, check=True).stdout
        self.assertIn("Compression zstd", info)
        self.assertIn("Block size 131072", info)


class OrdinaryUser(Trees):
    """The same without any privilege: device nodes, owners and capabilities are kept all the same."""

    def setUp(self):
        self.user = ordinary_user()
        self.layouts = shared_directory("layouts")
        super().setUp()

    def pull_layout(self, image):
        shutil.copytree(fixtures() / "layouts" / image, self.layouts / image)
        source = f"oci:{self.layouts / image}:1"
        self.pull(source)
        return self.squashfs_of(source)


class SameBytes(PullTestCase):
    def image_bytes(self, reference, **environment):
        shutil.rmtree(self.store, ignore_errors=True)
        self.pull(reference, env=environment)
        return hashlib.sha256(self.squashfs_of(reference).read_bytes()).hexdigest()

    def test_whatever_the_threads_and_the_order_of_layers(self):
        name = f"{registries.plain().host}/library/python:3.8"
        digests = {self.image_bytes(name, MLCTR_PULL_THREADS=threads) for threads in (1, 2, 8)}
        digests.add(self.image_bytes(name, MLCTR_PULL_PARALLEL_DOWNLOADS=1))
        with registries.nginx(slow_rate="20m") as nginx:
            self.configure(nginx.host["slow"])
            self.configure(registries.plain().host, mirrors=[f"https://{nginx.host['slow']}"])
            digests.add(self.image_bytes(name))
            self.assertTrue(nginx.requests(blob=True), "the throttled mirror was not asked")
        self.assertEqual(len(digests), 1, digests)

    def test_every_edge_case(self):
        for image in ("dialects", "semantics"):
            source = f"oci:{fixtures() / 'layouts' / image}:1"
            with self.subTest(image):
                self.assertEqual(len({self.image_bytes(source, MLCTR_PULL_THREADS=threads) for threads in (1, 3, 8)}), 1)


class Platforms(PullTestCase):
    def platform_file(self, *arguments):
        name = f"{registries.plain().host}/edge/platforms:1"
        self.pull(name, *arguments)
        return subprocess.run(["unsquashfs", "-cat", self.squashfs_of(name), "platform"], capture_output=True, check=True).stdout.decode()

    def test_own_platform_past_attestations(self):
        self.assertEqual(self.platform_file(), "amd64")

    def test_arch_option(self):
        for wanted, found in (("arm64", "arm64v8"), ("arm/v7", "armv7"), ("linux/arm/v6", "armv6"), ("aarch64", "arm64v8"), ("ppc64le", "ppc64le")):
            with self.subTest(wanted):
                self.assertEqual(self.platform_file("--arch", wanted), found)

    def test_missing_platform_lists_those_that_exist(self):
        name = f"{registries.plain().host}/edge/platforms:1"
        self.fails("pull", name, "--arch", "s390x", says=["s390x", "amd64", r"arm64", "ppc64le"])
        self.assert_nothing_stored()
