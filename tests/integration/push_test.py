"""mlctr push, save --format and commit: what other tools read of it, and what is not sent twice."""
import base64
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import registries
from builds import BuildTestCase
from containers import ContainerTestCase, layout
from harness import PASSWORD, TREE_LISTING, PullTestCase, as_root, authority, fixtures, tree_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "servers"))


def skopeo(*arguments):
    result = subprocess.run(["skopeo", *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(f"skopeo {arguments}: {result.stderr}")
    return result.stdout


def docker_config(host, user="alice"):
    return {"auths": {host: {"auth": base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()}}}


class PushCase(PullTestCase):
    """Each test pushes to a repository of its own."""

    def setUp(self):
        super().setUp()
        self.name = "p" + re.sub("[^a-z0-9]", "", self._testMethodName) + pathlib.Path(self.home).name[-4:].lower().replace("_", "x")

    def at(self, server, tag="1"):
        return f"{server.host}/{self.name}:{tag}"

    def layout_of(self, source, *options):
        """skopeo's copy of it, as a layout."""
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "layout"
        skopeo("copy", "--quiet", "--src-tls-verify=false", *options, source, f"oci:{directory}:1")
        return directory

    def unpacked_tree(self, layout_directory):
        with tempfile.TemporaryDirectory(prefix="mlctr-umoci-") as scratch:
            as_root("umoci", "unpack", "--image", f"{layout_directory}:1", f"{scratch}/bundle")
            try:
                return json.loads(as_root("/usr/bin/python3", TREE_LISTING, f"{scratch}/bundle/rootfs"))
            finally:
                as_root("rm", "-rf", f"{scratch}/bundle")

    def assert_unpacks_as(self, layout_directory, squashfs):
        found, expected = self.unpacked_tree(layout_directory), tree_of(squashfs)
        expected = {path: record for path, record in expected.items() if not path.startswith("/.mlctr")}
        self.assertEqual(sorted(set(found) ^ set(expected)), [])
        for path in expected:
            for listing in (found, expected):
                listing[path].pop("mtime", None)  # of directories that no layer lists umoci makes up its own
        self.assertEqual({p: (expected[p], found[p]) for p in expected if expected[p] != found[p]}, {})

    def diff_ids(self, reference):
        return self.json("inspect", reference)["config"]["rootfs"]["diff_ids"]

    def requests(self, server, method):
        return [line for line in server.log.read_text().splitlines() if f'"{method} /v2/{self.name}/' in line]


class Push(PushCase):
    def test_what_was_pulled_goes_up_under_its_diff_ids(self):
        server = registries.writable()
        for image in ("busybox", "dialects", "semantics", "opaque-root"):
            self.pull(layout(image))
            result = json.loads(self.mlctr("push", layout(image), self.at(server, image), "--json")[0])
            self.assertEqual(result["reference"], self.at(server, image))
            config = json.loads(skopeo("inspect", "--tls-verify=false", "--config", f"docker://{self.at(server, image)}"))
            self.assertEqual(config["rootfs"]["diff_ids"], self.diff_ids(layout(image)))
            if image != "dialects":  # it has a global pax header, which umoci can't read
                self.assert_unpacks_as(self.layout_of(f"docker://{self.at(server, image)}"), self.squashfs_of(layout(image)))
        self.assert_no_litter()

    def test_pulled_again_it_is_the_same(self):
        server = registries.writable()
        self.pull(layout("busybox"))
        for compression in ("gzip", "zstd"):
            reference = f"{server.host}/{self.name}/{compression}:1"
            result = json.loads(self.mlctr("push", layout("busybox"), reference, "--compression", compression, "--json")[0])
            self.pull(reference)
            pulled = self.json("inspect", reference)
            self.assertEqual(pulled["digest"], result["digest"])
            self.assertEqual(pulled["config"], self.json("inspect", layout("busybox"))["config"])
            self.assertEqual({layer["mediaType"].rpartition("+")[2] for layer in pulled["manifest"]["layers"]}, {compression})
            self.assertEqual(tree_of(self.squashfs_of(reference)).keys(), tree_of(self.squashfs_of(layout("busybox"))).keys())
            # And from there it goes on as it is: the registry has those very blobs.
            again = json.loads(self.mlctr("push", reference, reference + "-copy", "--json")[0])
            self.assertEqual((again["digest"], again["sent"]), (result["digest"], 0))

    def test_nothing_goes_up_twice(self):
        server = registries.writable()
        self.pull(layout("busybox"))
        first = json.loads(self.mlctr("push", layout("busybox"), self.at(server), "--json")[0])
        self.assertGreater(first["sent"], 0)
        uploads = len(self.requests(server, "PATCH"))
        second = json.loads(self.mlctr("push", layout("busybox"), self.at(server, "2"), "--json")[0])
        self.assertEqual((second["sent"], second["layers_present"], second["digest"]), (0, first["layers"], first["digest"]))
        self.assertEqual(len(self.requests(server, "PATCH")), uploads)

    def test_blobs_are_mounted(self):
        server = registries.writable()
        self.pull(layout("busybox"))
        first, second = self.at(server), f"{server.host}/{self.name}/other:1"
        self.mlctr("push", layout("busybox"), first)
        self.pull(first)
        result = json.loads(self.mlctr("push", first, second, "--json")[0])
        self.assertEqual((result["layers_mounted"], result["sent"]), (result["layers"], 0))
        self.assertEqual([line for line in self.requests(server, "PATCH") if "/other/" in line and "config" in line], [])
        self.pull(second)
        self.assertEqual(self.json("inspect", second)["digest"], self.json("inspect", first)["digest"])

    def test_signed_in(self):
        for server in (registries.writable_htpasswd(), registries.writable_token()):
            self.configure(server.host)
            self.configure(f"127.0.0.1:{registries.token_server().port}")
            self.pull(layout("busybox"))
            (self.home / ".docker/config.json").unlink(missing_ok=True)
            self.fails("push", layout("busybox"), self.at(server), says=["cannot push", "401|403|denied", "login"])
            self.write(".docker/config.json", docker_config(server.host))
            self.mlctr("push", layout("busybox"), self.at(server))
            self.pull(self.at(server))

    def test_a_killed_push_is_made_again(self):
        server = registries.writable()
        self.pull(layout("debian"))
        for _ in range(2):
            process = self.start("push", layout("debian"), self.at(server))
            while process.poll() is None and not self.requests(server, "POST"):
                pass_time(process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.mlctr("push", layout("debian"), self.at(server))
        self.assert_no_litter()
        self.assert_unpacks_as(self.layout_of(f"docker://{self.at(server)}"), self.squashfs_of(layout("debian")))

    def test_what_it_says(self):
        server = registries.writable()
        self.pull(layout("busybox"))
        _, errors = self.mlctr("push", layout("busybox"), self.at(server))
        self.assertIn("is pushed", errors)
        self.assertNotIn("fetch", errors)
        out, errors = self.mlctr("push", "--quiet", layout("busybox"), self.at(server))
        self.assertRegex(out, r"\Asha256:[0-9a-f]{64}\n\Z")
        self.assertEqual(errors, "")
        self.fails("push", layout("busybox"), says=["no name in a registry", "destination"])
        self.fails("push", "nothing/here:1", says="no image")
        self.fails("push", layout("busybox"), f"{server.host}/x@sha256:{'0' * 64}", says="digest")
        self.fails("push", layout("busybox"), f"{server.host}/UPPER:1", says=["'U' can't be in", "did you mean .*/upper:1"])

    def test_layers_whose_tar_is_not_known(self):
        server = registries.writable()
        self.pull(layout("dialects"))
        for record in (self.store / "layers").rglob("*.tar-record"):
            record.unlink()
        self.fails("push", layout("dialects"), self.at(server), says=["cannot push", "layer", "--rewrite-layers"])
        self.mlctr("push", "--rewrite-layers", layout("dialects"), self.at(server))
        self.assert_unpacks_as(self.layout_of(f"docker://{self.at(server)}"), self.squashfs_of(layout("dialects")))
        self.mlctr("gc", "--max-size", "0")
        self.assertEqual(self.store_files("layers"), [])
        self.fails("push", layout("dialects"), self.at(server, "2"), says="--rewrite-layers")
        self.mlctr("push", "--rewrite-layers", layout("dialects"), self.at(server, "2"))
        self.assert_unpacks_as(self.layout_of(f"docker://{self.at(server, '2')}"), self.squashfs_of(layout("dialects")))

    def test_a_lone_squashfs_file_is_one_layer(self):
        server = registries.writable()
        self.pull(layout("busybox"))
        file = self.export(layout("busybox"))
        as_root("unsquashfs", "-quiet", "-no-progress", "-dest", self.home / "tree", file)
        as_root("rm", "-rf", self.home / "tree/.mlctr")
        as_root("mksquashfs", self.home / "tree", self.home / "lone.sqsh", "-quiet", "-no-progress")
        self.pull(self.home / "lone.sqsh")
        self.mlctr("push", self.home / "lone.sqsh", self.at(server))
        self.assert_unpacks_as(self.layout_of(f"docker://{self.at(server)}"), self.home / "lone.sqsh")


def pass_time(process):
    try:
        process.wait(0.01)
    except subprocess.TimeoutExpired:
        pass


class Archives(PushCase):
    def test_every_format_is_read_by_others(self):
        self.pull(layout("semantics"))
        squashfs = self.squashfs_of(layout("semantics"))
        for number, (options, file, source) in enumerate([
            (["--format", "oci-archive"], "a.tar", "oci-archive:a.tar"),
            (["--format", "oci-archive", "--compression", "zstd"], "z.tar", "oci-archive:z.tar"),
            (["--format", "docker-archive"], "d.tar", "docker-archive:d.tar"),
            (["--format", "oci"], "l", "oci:l"),
            ([], "oci:m:some/name:7", "oci:m:some/name:7"),
        ]):
            self.mlctr("save", layout("semantics"), *options, file)
            kind, _, place = source.partition(":")
            layout_directory = self.layout_of(f"{kind}:{self.home}/{place}")
            if "zstd" not in options:  # which umoci can't read
                self.assert_unpacks_as(layout_directory, squashfs)
            # And by mlctr itself, whatever the archive calls it.
            self.pull(f"{kind}:{self.home}/{place}")
            self.assertEqual(self.diff_ids(f"{kind}:{self.home}/{place}"), self.diff_ids(layout("semantics")), number)
        self.assert_no_litter()

    def test_an_image_is_added_to_a_layout(self):
        for image in ("busybox", "semantics"):
            self.pull(layout(image))
            self.mlctr("save", layout(image), f"oci:{self.home}/all:{image}")
        self.mlctr("save", layout("busybox"), f"oci:{self.home}/all:busybox")
        names = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in json.loads((self.home / "all/index.json").read_text())["manifests"]]
        self.assertEqual(sorted(names), ["busybox", "semantics"])
        skopeo("inspect", f"oci:{self.home}/all:busybox")

    def test_refusals(self):
        self.pull(layout("busybox"))
        (self.home / "full").mkdir()
        (self.home / "full/file").write_text("")
        self.fails("save", layout("busybox"), f"oci:{self.home}/full", says="not empty")
        (self.home / "there.tar").write_text("")
        self.fails("save", "--format", "oci-archive", layout("busybox"), "there.tar", says=["exists", "--force"])
        self.fails("save", "--format", "oci-archive", layout("busybox"), "-", says="standard output")
        self.fails("save", "--format", "oci-archive", "nothing:1", "x.tar", says="no image")


class Built(BuildTestCase):
    unpacked_tree = PushCase.unpacked_tree
    layout_of = PushCase.layout_of
    assert_unpacks_as = PushCase.assert_unpacks_as

    def test_others_read_what_was_built(self):
        name = f"{registries.writable().host}/{pathlib.Path(self.home).name.lower().replace('_', 'x')}:1"
        self.build("FROM BASE\nRUN echo hello > /greeting && rm /etc/motd && ln /greeting /again\nCOPY --chown=5:6 f /d/f\nLABEL a=b\n", files={"f": "f"})
        result = json.loads(self.mlctr("push", self.tag, name, "--json")[0])
        config = json.loads(skopeo("inspect", "--tls-verify=false", "--config", f"docker://{name}"))
        self.assertEqual(config, self.inspected()[1])
        self.assertEqual(config["config"]["Labels"]["a"], "b")
        self.assert_unpacks_as(self.layout_of(f"docker://{name}"), self.squashfs_of(self.tag))
        built = self.json("inspect", self.tag)
        self.mlctr("rmi", self.tag)
        self.pull(name)
        pulled = self.json("inspect", name)
        self.assertEqual(pulled["digest"], result["digest"])
        self.assertEqual(pulled["manifest"]["config"]["digest"], built["manifest"]["config"]["digest"], "the image's id")
        self.assertEqual(self.mlctr("run", "--no-mount-home", name, "cat", "/again")[0], "hello\n")


class Commit(ContainerTestCase):
    unpacked_tree = PushCase.unpacked_tree
    layout_of = PushCase.layout_of
    assert_unpacks_as = PushCase.assert_unpacks_as

    def test_one_layer_more(self):
        server = registries.writable()
        base, name = f"{server.host}/committed-from:1", f"{server.host}/committed:1"
        self.pull(layout("busybox"))
        self.mlctr("push", layout("busybox"), base)
        self.pull(base)
        self.mlctr("run", "--remap-root", "--name", "x", base, "sh", "-c",
                   "echo hello >/greeting; rm /etc/passwd; ln /greeting /again; mkdir -p /a/b; chmod 700 /a")  # fmt: skip
        self.mlctr("commit", "x", name)
        committed, original = self.json("inspect", name), self.json("inspect", base)
        self.assertEqual(committed["config"]["rootfs"]["diff_ids"][:-1], original["config"]["rootfs"]["diff_ids"])
        self.assertEqual(committed["manifest"]["layers"][:-1], original["manifest"]["layers"])
        last = committed["config"]["history"][-1]
        self.assertEqual((last["created_by"], last["author"]), ("mlctr commit x", self.user))
        self.assertIn(base, last["comment"])
        provenance = json.loads(self.mlctr("inspect", "--provenance", "--json", name)[0])
        self.assertEqual([provenance[key] for key in ("container", "user", "created", "manifest_digest")],
                         ["x", self.user, last["created"], original["digest"]])  # fmt: skip
        self.assertIn(f"mlctr commit x ({self.user})", self.mlctr("history", name)[0])
        self.assertEqual(committed["manifest"]["annotations"]["org.opencontainers.image.base.digest"], original["digest"])
        result = json.loads(self.mlctr("push", name, "--json")[0])
        self.assertEqual(result["layers_present"] + result["layers_mounted"], result["layers"] - 1)
        copy = self.layout_of(f"docker://{name}")
        self.assert_unpacks_as(copy, self.squashfs_of(name))
        self.assertEqual(self.run_in(name, "cat", "/again")[0], "hello\n")

    def test_the_same_changes_are_the_same_layer(self):
        self.mlctr("run", "--name", "x", layout("busybox"), "sh", "-c", "echo hello >/greeting")
        digests = [json.loads(self.mlctr("commit", "x", f"mine:{i}", "--json")[0])["digest"] for i in range(2)]
        self.assertEqual(digests[0], digests[1])

    def test_saved_for_others(self):
        self.mlctr("run", "--name", "x", layout("busybox"), "sh", "-c", "echo hello >/greeting")
        self.mlctr("save", "--format", "docker-archive", "x", "x.tar")
        config = json.loads(skopeo("inspect", "--config", f"docker-archive:{self.home}/x.tar"))
        self.assertEqual(config["history"][-1]["created_by"], "mlctr commit x")
        self.assertIn("greeting", "".join(self.unpacked_tree(self.layout_of(f"docker-archive:{self.home}/x.tar"))))
