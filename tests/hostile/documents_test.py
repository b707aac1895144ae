"""Manifests, indexes and configurations of the wrong shape, size or depth: a clear error that names what is wrong, nothing stored."""
import json
import resource
import shutil

from harness import PullTestCase
from oci_layout import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Layout
from tar_writer import TarWriter

MIB = 1 << 20


class Documents(PullTestCase):
    def new_layout(self):
        shutil.rmtree(self.home / "layout", ignore_errors=True)
        self.source = f"oci:{self.home / 'layout'}:1"
        return Layout(self.home / "layout")

    def refused(self, says=(), **more):
        errors = self.fails("pull", self.source, says=says, hint=False, seconds=60, **more)
        self.assert_nothing_stored()
        self.assertLess(len(errors), 4000, "a message is not a dump")
        return errors

    def manifest_refused(self, body, says=()):
        layout = self.new_layout()
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        layout.tag(layout.blob(data, OCI_MANIFEST), "1")
        return self.refused(says)

    def config_refused(self, body, says=()):
        layout = self.new_layout()
        layer, _ = layout.layer(TarWriter().file("a", "x").bytes())
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layout.blob(data, OCI_CONFIG), "layers": [layer]}
        layout.tag(layout.json_blob(manifest, OCI_MANIFEST), "1")
        return self.refused(says)

    def test_manifests_of_the_wrong_shape(self):
        good = {"mediaType": OCI_CONFIG, "digest": "sha256:" + "a" * 64, "size": 2}
        for body, says in (
            (b"", "json|empty"), (b"not json", "json"), (b'{"schemaVersion":2', "json"), (b"[]", "object|array"), (b"null", ""),
            (b'"x"', ""), ({}, ""), ({"schemaVersion": 1, "fsLayers": []}, "schema"), ({"schemaVersion": 2}, "neither"),
            ({"schemaVersion": 2, "config": good, "layers": {}}, "layers"), ({"schemaVersion": 2, "config": 5, "layers": []}, "config"),
            ({"schemaVersion": 2, "config": good, "layers": [5]}, "layers"),
            ({"schemaVersion": 2, "config": {**good, "digest": "sha256:zz"}, "layers": []}, "digest"),
            ({"schemaVersion": 2, "config": {**good, "digest": "../../etc/passwd"}, "layers": []}, "digest"),
            ({"schemaVersion": 2, "config": {**good, "digest": "md5:abc"}, "layers": []}, "digest|md5"),
            ({"schemaVersion": 2, "config": {**good, "size": "5"}, "layers": []}, "size"),
            ({"schemaVersion": 2, "config": {**good, "size": 1.5}, "layers": []}, "size"),
            ({"schemaVersion": 2, "config": {**good, "size": 10**30}, "layers": []}, "size"),
            (b"\xff\xfe\x00", ""), (b'{"schemaVersion": 2, "config": "\xff"}', ""),
        ):  # fmt: skip
            with self.subTest(str(body)[:60]):
                self.manifest_refused(body, says)

    def test_depth_and_size(self):
        self.manifest_refused(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")
        self.manifest_refused(b'{"a":"' + b"x" * (100 * MIB) + b'"}', "large|size|limit|exceed|MiB")
        self.manifest_refused({"schemaVersion": 2, "config": {}, "layers": [{"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": 1}] * 30_000})

    def test_indexes(self):
        layout = self.new_layout()
        own = layout.json_blob({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, OCI_INDEX)
        layout.tag(own, "1")
        self.refused("platform|no image|empty")
        # An index of indexes of indexes … ends.
        for _ in range(60):
            own = layout.index([{**own, "platform": {"os": "linux", "architecture": "amd64"}}])
        layout = Layout(self.home / "layout")
        layout.tag(own, "1")
        self.refused()

    def test_encrypted_layers_and_artifacts_say_what_they_are(self):
        layout = self.new_layout()
        layer, diff_id = layout.layer(TarWriter().file("a", "x").bytes())
        layout.tag(layout.image([({**layer, "mediaType": layer["mediaType"] + "+encrypted"}, diff_id)]), "1")
        self.refused("encrypt")
        layout = self.new_layout()
        empty = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
        body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.chart", "config": empty,
                "layers": [layout.blob(b"chart", "application/vnd.example.chart")]}  # fmt: skip
        layout.tag(layout.json_blob(body, OCI_MANIFEST), "1")
        self.refused("not a container image|artifact|vnd.example.chart|image")

    def test_configurations_of_the_wrong_shape(self):
        digest = "sha256:" + "b" * 64
        base = {"os": "linux", "architecture": "amd64"}
        for body, says in (
            (b"", ""), (b"{", "json"), ([], ""), ({**base, "rootfs": {"type": "layers", "diff_ids": []}}, "diff_ids|layers"),
            ({**base, "rootfs": {"type": "layers", "diff_ids": [digest, digest]}}, "diff_ids|layers"), ({**base, "rootfs": 5}, "rootfs"),
            ({**base, "rootfs": {"type": "layers", "diff_ids": ["../../x"]}}, "diff_id|digest"),
            ({**base, "rootfs": {"type": "layers", "diff_ids": [digest]}, "config": {"Env": "PATH=x"}}, "env"),
            ({**base, "rootfs": {"type": "layers", "diff_ids": [digest]}, "config": {"Env": [1]}}, "env"),
        ):  # fmt: skip
            with self.subTest(str(body)[:60]):
                self.config_refused(body, says)
        self.config_refused(b'{"os":"linux","x":"' + b"y" * (100 * MIB) + b'"}', "large|size|limit|exceed|MiB")

    def test_memory_of_a_large_document(self):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.config_refused(b'{"os":"linux","x":[' + b"1," * (50 * MIB) + b"1]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(after, max(before, 400 * 1024) + 1)

    def test_layout_that_points_outside(self):
        (self.home / "secret").write_text('{"schemaVersion": 2}')
        layout = self.new_layout()
        layout.tag({"mediaType": OCI_MANIFEST, "digest": "sha256:../../../../secret", "size": 20}, "1")
        self.refused("digest")
