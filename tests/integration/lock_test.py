"""What images are: locked, compared, told. A tag that moves is refused."""
import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
import tempfile

import registries
from builds import BuildTestCase
from containers import ContainerTestCase, layout
from harness import PullTestCase

TOOL_1 = {"var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nSource: tools\nVersion: 1.0\n", "etc/motd": "one\n"}
TOOL_2 = {"var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nSource: tools\nVersion: 2.0\n", "etc/motd": "two\n"}
SITE = "usr/lib/python3/dist-packages"


def tar_of(files):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, content in sorted(files.items()):
            content, mode = content if isinstance(content, tuple) else (content, 0o644)
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content.encode()))
    return archive.getvalue()


def push(reference, files):
    """An image of one layer; its manifest's digest."""
    with tempfile.TemporaryDirectory() as directory:
        tar = tar_of(files)

        def blob(content, media_type):
            digest = hashlib.sha256(content).hexdigest()
            open(f"{directory}/{digest}", "wb").write(content)
            return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

        layer = blob(gzip.compress(tar, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
        config = {
            "os": "linux", "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            "history": [{"created": "2020-01-02T03:04:05Z", "created_by": "COPY files"}, {"created_by": "CMD x", "empty_layer": True}],
        }  # fmt: skip
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"), "layers": [layer],
        }  # fmt: skip
        body = json.dumps(manifest).encode()
        open(f"{directory}/manifest.json", "wb").write(body)
        open(f"{directory}/version", "w").write("Directory Transport Version: 1.1\n")
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"dir:{directory}", f"docker://{reference}"],
                       check=True, stdin=subprocess.DEVNULL)  # fmt: skip
        return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Lock(PullTestCase):
    def reference(self, name):
        return f"{registries.writable().host}/lock/{name}:1"

    def test_a_moved_tag_is_refused(self):
        reference = self.reference("moved")
        first = push(reference, TOOL_1)
        self.mlctr("lock", reference)
        text = (self.home / "mlctr.lock").read_text()
        self.assertIn(f'manifest = "{first}"', text)
        self.assertIn('{deb = "tool", version = "1.0", origin = "tools"},', text)
        self.mlctr("lock", reference, "-o", "again.lock")
        self.assertEqual((self.home / "again.lock").read_text(), text)
        self.pull(reference, "--locked")

        second = push(reference, TOOL_2)
        self.fails("pull", "--locked", reference, says=[f"locked {first}, now {second}", f"mlctr pull .*@{first}"])
        self.pull(reference)
        self.fails("run", "--locked", reference, "/x", says=[f"locked {first}, now {second}; packages: tool 1.0 -> 2.0"])
        self.assertEqual(self.json("inspect", f"{reference}@{first}")["digest"], first)
        self.mlctr("lock", reference)
        self.pull(reference, "--locked")

    def test_the_squashfs_is_that_of_any_machine(self):
        reference = self.reference("large")
        push(reference, {"random": random.Random(1).randbytes(6 << 20).hex()})
        self.pull(reference)
        self.mlctr("lock", reference)
        self.assertTrue(self.json("inspect", reference)["in_pieces"])
        digest = hashlib.sha256(self.export(reference).read_bytes()).hexdigest()
        self.assertIn(f'squashfs = "sha256:{digest}"', (self.home / "mlctr.lock").read_text())

    def test_an_image_that_was_made_here(self):
        self.pull(layout("busybox"))
        reference = self.reference("here")
        self.write("Containerfile", f"FROM {layout('busybox')}\nENV A=b\n", mode=0o644)
        self.mlctr("build", "-t", reference, self.home)
        self.fails("lock", reference, says=[f"cannot lock {reference}", f"mlctr push {reference}"])

    def test_what_is_not_in_the_lock_is_refused(self):
        reference = self.reference("other")
        push(reference, TOOL_1)
        self.fails("pull", "--locked", reference, says=["there is no mlctr.lock", "mlctr lock"])
        self.mlctr("lock", reference)
        self.fails("pull", "--locked", self.reference("absent"), says=["has no .*/lock/absent:1"])
        self.write("mlctr.lock", "version = 1\n[[image]]\nreference = 5\n", mode=0o644)
        self.fails("pull", "--locked", reference, says=["an image has no reference"])
        self.write("mlctr.lock", "version = 1\n[[image\n", mode=0o644)
        self.fails("pull", "--locked", reference, says=["line 2, column"])

    def test_the_images_of_a_containerfile(self):
        tool, base = self.reference("tool"), self.reference("base")
        push(tool, TOOL_1)
        push(base, TOOL_2)
        self.write("Containerfile", f"ARG TAG=0\nFROM {base[:-1]}$TAG AS b\nFROM b\nCOPY --from={tool} /etc/motd /\nFROM scratch\n",
                   mode=0o644)  # fmt: skip
        self.mlctr("lock", "--build-arg", "TAG=1")
        text = (self.home / "mlctr.lock").read_text()
        self.assertEqual(text.count("[[image]]"), 2)
        self.assertIn(f'reference = "{tool}"', text)
        self.assertIn(f'reference = "{base}"', text)
        self.mlctr("lock", "--file", "Containerfile", "--build-arg", "TAG=1", self.reference("tool"))  # no second value
        self.assertEqual((self.home / "mlctr.lock").read_text(), text)
        self.fails("run", "@mlctr.lock", "x", says=["has 2 images"])
        self.write("Containerfile", "FORM x\n", mode=0o644)
        self.fails("lock", says=["Containerfile:1:1: no instruction is called FORM", "did you mean FROM"])

    def test_history(self):
        reference = self.reference("history")
        push(reference, TOOL_1)
        self.pull(reference)
        steps = self.json("history", reference)
        self.assertEqual([step["created_by"] for step in steps], ["COPY files", "CMD x"])
        self.assertRegex(steps[0]["diff_id"], "^sha256:")
        self.assertIsNone(steps[1]["diff_id"])
        self.assertIn("2020-01-02T03:04:05", self.mlctr("history", reference)[0])


class Diff(PullTestCase):
    def test_packages_then_files(self):
        host = registries.writable().host
        one, two = f"{host}/diff/one:1", f"{host}/diff/two:1"
        push(one, TOOL_1 | {"bin/x": ("x", 0o755), "old": "", f"{SITE}/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n"})
        push(two, TOOL_2 | {"bin/x": ("x", 0o644), "new": "", "usr/lib/sysimage/rpm/rpmdb.sqlite": "SQLite"})
        for reference in (one, two):
            self.pull(reference)
        self.assertEqual(self.mlctr("diff", one, one), ("", ""))
        out, errors = self.mlctr("diff", one, two, status=1)
        lines = out.splitlines()
        self.assertEqual(lines[:3], ["~ deb    tool 1.0 -> 2.0", "- python p 1", ""])
        for line in ("~ /bin/x  (mode 0755 -> 0644)", "~ /etc/motd  (content)", "- /old", "+ /new"):
            self.assertIn(line, lines)
        self.assertIn("rpmdb.sqlite is not read", errors)
        difference = json.loads(self.mlctr("diff", "--json", one, two, status=1)[0])
        self.assertEqual(difference["packages"][1], {"ecosystem": "python", "name": "p", "before": "1", "after": None})
        self.assertIn({"path": "/etc/motd", "change": "changed", "what": ["content"]}, difference["files"])
        self.fails("diff", one, "nothing-here", says=["no image or container nothing-here"])


class DiffContainer(ContainerTestCase):
    def test_a_container_against_its_image(self):
        image = layout("busybox")
        self.pull(image)
        self.run_in(image, "sh", "-c", "echo x >/etc/new; chmod 711 /bin", options=("--name", "c"))
        difference = json.loads(self.mlctr("diff", "--json", image, "c", status=1)[0])
        changes = {file["path"]: (file["change"], file["what"]) for file in difference["files"]}
        self.assertEqual(changes["/etc/new"], ("added", []))
        self.assertRegex(changes["/bin"][1][0], "mode 0[0-7]+ -> 0711")
        self.mlctr("save", "c", self.home / "tmp/c.sqsh")
        self.assertEqual(self.mlctr("diff", "c", self.home / "tmp/c.sqsh")[0], "")


class BuildLocked(BuildTestCase):
    def test_a_moved_base_is_refused(self):
        reference = f"{registries.writable().host}/lock/base:1"
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", layout("busybox"), f"docker://{reference}"],
                       check=True, stdin=subprocess.DEVNULL)  # fmt: skip
        self.base = reference
        text = "FROM BASE\nRUN echo x > /x\n"
        self.build_fails(text, "--locked", says=["there is no mlctr.lock", "mlctr lock"])
        self.write("mlctr.lock", self.mlctr("lock", "-o", "-", reference)[0], mode=0o644)
        self.build(text, "--locked")
        locked = self.manifest()["layers"]
        push(reference, TOOL_1)
        self.build(text, "--locked", "--pull", "missing", "--no-cache")
        self.assertEqual(self.manifest()["layers"], locked)
        self.build_fails(text + f"COPY --from={reference.replace('base', 'absent')} /x /y\n", "--locked", says="has no .*/lock/absent:1")
        self.build_fails(text, "--locked", "--pull", "newer", says="locked sha256:.*, now sha256:")


class RunLocked(ContainerTestCase):
    def test_a_lock_file_is_something_to_run(self):
        reference = f"{registries.writable().host}/lock/busybox:1"
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", layout("busybox"), f"docker://{reference}"],
                       check=True, stdin=subprocess.DEVNULL)  # fmt: skip
        text = self.mlctr("lock", "-o", "-", reference)[0]
        self.write("mlctr.lock", text, mode=0o644)
        self.mlctr("rmi", self.json("images")[0]["reference"])
        self.assertEqual(self.run_in("@mlctr.lock", "echo", "ran")[0], "ran\n")
        self.assertEqual(self.run_in(reference, "echo", "ran", options=("--locked",))[0], "ran\n")
