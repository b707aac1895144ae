"""Builds in tests: a context of files, a Containerfile, and a look into what came of them."""
import json
import pathlib
import shutil
import tempfile

from harness import as_root, tree_of
from named_containers import NamedContainerTestCase


class BuildTestCase(NamedContainerTestCase):
    """Images are built as the ordinary user, from the fixtures' layouts."""

    def setUp(self):
        super().setUp()
        self.base = self.image

    def context(self, files=None):
        """A directory with these files: {name: content, or (content, mode)}."""
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.home, prefix="context-"))
        directory.chmod(0o755)
        for name, content in (files or {}).items():
            content, mode = content if isinstance(content, tuple) else (content, 0o644)
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(mode)
        as_root("chown", "-R", f"{self.user}:", directory)
        return directory

    def build(self, text, *options, files=None, context=None, **more):
        """Builds `text` (BASE stands for busybox); what it said, and the image's tag."""
        context = context or self.context(files)
        name = f"Containerfile-{len(list(context.glob('Containerfile-*')))}"
        (context / name).write_text(text.replace("BASE", self.base))
        self.tag = f"test/image:{len(text)}"
        return self.mlctr("build", "-f", context / name, "-t", self.tag, *options, context, **more)

    def build_fails(self, text, *options, says=(), files=None, **more):
        context = self.context(files)
        (context / "Containerfile").write_text(text.replace("BASE", self.base))
        return self.fails("build", "-t", "test/fails", *options, context, says=says, **more)

    def run_built(self, *command, **more):
        return self.mlctr("run", "--no-mount-home", self.tag, *command, **more)[0]

    def tree(self):
        return tree_of(self.squashfs_of(self.tag))

    def inspected(self):
        found = self.json("inspect", self.tag)
        return found, json.loads((pathlib.Path(found["squashfs"]).parent / "config.json").read_text())

    def manifest(self):
        return json.loads((self.stored_squashfs(self.tag).parent / "manifest.json").read_text())

    def forget_builds(self):
        """All but the base image."""
        for name in ("steps", "layers/sha256"):
            shutil.rmtree(self.store / name, ignore_errors=True)
            as_root("rm", "-rf", self.store / name)
        as_root("install", "-d", "-o", self.user, self.store / "layers/sha256")
