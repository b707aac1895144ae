"""mlctr build: ADD of git repositories, symbolic modes, many steps, and builds beside which others clean up."""
import contextlib
import hashlib
import json
import pathlib
import random
import sys
import unittest

import registries
from builds import BuildTestCase
from harness import as_root
from named_containers import until
from push_test import skopeo

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "servers"))
from git_daemon import GitDaemon  # noqa: E402

FILES = {"a": "one\n", "bin/tool": ("#!/bin/sh\necho tool\n", 0o755), "sub/deep/x": "x", ".gitignore": "y\n"}


class Git(BuildTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.enterClassContext(GitDaemon())

    def test_a_repository_s_files(self):
        first = self.server.commit("r", FILES)
        self.server.git("r", "tag", "v1")
        self.server.commit("r", {"a": "two\n"})
        url = self.server.url("r")
        self.build(f"""FROM BASE
ADD {url} /head
ADD {url}#v1 /v1/
ADD {url}#{first} /commit
ADD --chown=5:6 {url}#main:sub /sub
ADD --checksum={first} {url}#v1:/bin /bin/of/v1
""")
        tree = {path: entry for path, entry in self.tree().items()}
        self.assertEqual([self.run_built("cat", f"/{at}/a") for at in ("head", "v1", "commit")], ["two\n", "one\n", "one\n"])
        self.assertEqual(self.run_built("/bin/of/v1/tool"), "tool\n")
        self.assertEqual([path for path in tree if ".git/" in path or path.endswith("/.git")], [])
        self.assertIn("/head/.gitignore", tree)
        self.assertIn("/sub/deep/x", tree)
        self.assertEqual(tree["/sub/deep/x"]["owner"], [5, 6])
        self.assertNotIn("/sub/a", tree)

    def test_its_cache_is_what_it_holds(self):
        self.server.commit("c", FILES)
        text = f"FROM BASE\nADD {self.server.url('c')} /r\n"
        self.assertNotIn("cached", self.build(text)[1].splitlines()[0])
        self.server.git("c", "commit", "--quiet", "--allow-empty", "--message=nothing")
        self.assertIn("cached", self.build(text)[1].splitlines()[0])
        self.server.commit("c", {"a": "other"})
        self.assertNotIn("cached", self.build(text)[1].splitlines()[0])

    def test_nothing_of_it_runs(self):
        """Neither hooks nor filters, nor what settings of the caller would run."""
        self.server.commit("h", FILES | {".gitattributes": "* filter=evil\n", "hooks/post-checkout": ("#!/bin/sh\ntouch /tmp/x\n", 0o755)})
        ran = self.home / "ran"
        script = self.write("evil", f"#!/bin/sh\ntouch {ran}\ncat\n", mode=0o755)
        self.write(".gitconfig", f"[filter \"evil\"]\n\tsmudge = {script}\n\trequired = true\n[core]\n\thooksPath = {self.home}/hooks\n", mode=0o644)
        self.write("hooks/post-checkout", f"#!/bin/sh\ntouch {ran}\n", mode=0o755)
        self.build(f"FROM BASE\nADD {self.server.url('h')} /r\n", env={"GIT_DIR": "/nonexistent"})
        self.assertFalse(ran.exists())
        self.assertIn("/r/hooks/post-checkout", self.tree())

    def test_links_lead_nowhere(self):
        self.server.commit("l", FILES)
        top = self.server.directory / "l"
        (top / "out").symlink_to("/etc")
        self.server.commit("l", {"b": ""})
        self.build_fails(f"FROM BASE\nADD {self.server.url('l')}#main:out/passwd /x\n", says="Containerfile:2: .*is not in")
        self.build(f"FROM BASE\nADD {self.server.url('l')} /r\n")
        self.assertEqual(self.tree()["/r/out"]["target"], "/etc")

    def test_what_is_refused(self):
        other = self.server.commit("n", FILES)[::-1]
        url = self.server.url("n")
        for source, says in (
            (f"{url}#absent", ["Containerfile:2", "cannot get", "absent"]),
            (f"--checksum={other} {url}", "is not what --checksum says"),
            (f"--keep-git-dir=true {url}", "differs with each fetch"),
            (f"{url}#--upload-pack=x", "is no branch, tag or commit"),
            (f"{url}#main:../up", "is no directory of a repository"),
            ("https://u:hidden@127.0.0.1:1/x.git", "a password in the address"),
        ):
            errors = self.build_fails(f"FROM BASE\nADD {source} /x\n", says=says)
            self.assertNotIn("hidden", errors.replace("https://u:hidden@127.0.0.1:1/x.git /x\n", ""))
        self.server.commit("n", {".gitmodules": "[submodule \"x\"]\n"})
        self.build_fails(f"FROM BASE\nADD {url} /x\n", says="has submodules")


class Modes(BuildTestCase):
    def test_symbolic(self):
        files = {"d/run": ("", 0o700), "d/data": ("", 0o600), "f": ("", 0o640)}
        self.build("FROM BASE\nCOPY --chmod=u=rwX,go=rX d /d\nCOPY --chmod=g=u,+x f /f\nADD --chmod=a-w f /g\nCOPY --chmod=go-r <<E /h\nx\nE\n", files=files)
        tree = self.tree()
        mode = {path: tree[path]["mode"] for path in ("/d", "/d/run", "/d/data", "/f", "/g", "/h")}
        self.assertEqual({path: int(str(value), 8) & 0o777 if isinstance(value, str) else value & 0o777 for path, value in mode.items()},
                         {"/d": 0o755, "/d/run": 0o755, "/d/data": 0o644, "/f": 0o771, "/g": 0o440, "/h": 0o600})  # fmt: skip
        self.build_fails("FROM BASE\nCOPY --chmod=rwx f /f\n", files=files, says=["Containerfile:2", "--chmod=rwx", "755"])


class Platforms(BuildTestCase):
    def content(self, path):
        return as_root("unsquashfs", "-cat", self.squashfs_of(self.tag), path).decode()

    def test_for_another_machine(self):
        several = f"{registries.plain().host}/edge/platforms:1"
        self.build(f"""FROM --platform=linux/arm64 {several} AS arm
FROM --platform=$BUILDPLATFORM BASE AS host
ARG BUILDPLATFORM TARGETARCH
RUN echo "$BUILDPLATFORM makes $TARGETARCH" > /made
FROM {several}
ARG TARGETPLATFORM TARGETVARIANT
COPY --from=arm /platform /arm
COPY --from=host /made /made
COPY <<E /target
$TARGETPLATFORM $TARGETVARIANT
E
""", "--platform", "arm/v7")
        self.assertEqual([self.content(path) for path in ("platform", "arm", "made", "target")],
                         ["armv7", "arm64v8", "linux/amd64 makes arm\n", "linux/arm/v7 v7\n"])  # fmt: skip
        config = self.inspected()[1]
        self.assertEqual((config["architecture"], config["variant"]), ("arm", "v7"))
        self.build(f"FROM {several}\nENV A=1\n")
        self.assertEqual(self.content("platform"), "amd64", "what the tag means here stays what it was")
        self.build_fails(f"FROM {several}\nENV A=1\nRUN true\n", "--platform", "ppc64le",
                         says=["Containerfile:3: RUN in an image for linux/ppc64le: this machine is amd64", "qemu-user-static"])  # fmt: skip
        self.build_fails(f"FROM --platform=linux/s390x {several}\n", says=["s390x", "linux/arm64"], files={})

    def test_an_index_of_several(self):
        name = f"{registries.writable().host}/{self.home.name[-8:].lower().replace('_', 'x')}/several:1"
        context = self.context({"Containerfile": "FROM scratch\nARG TARGETARCH\nCOPY <<E /arch\n$TARGETARCH\nE\n"})
        for architecture in ("amd64", "arm64"):
            self.mlctr("build", "--platform", architecture, "-t", f"test/{architecture}", context)
        result = json.loads(self.mlctr("push", "test/amd64", name, "--with", "test/arm64", "--json")[0])
        self.assertEqual(result["platforms"], ["linux/amd64", "linux/arm64"])
        raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}")
        self.assertEqual("sha256:" + hashlib.sha256(raw.encode()).hexdigest(), result["digest"])
        entries = {entry["platform"]["architecture"]: entry["digest"] for entry in json.loads(raw)["manifests"]}
        for architecture in ("amd64", "arm64"):
            directory = self.home / f"tmp/{architecture}"
            skopeo("copy", "--quiet", f"--override-arch={architecture}", "--src-tls-verify=false", f"docker://{name}", f"oci:{directory}:1")
            as_root("umoci", "unpack", "--image", f"{directory}:1", directory / "bundle")
            self.assertEqual(as_root("cat", directory / "bundle/rootfs/arch").decode(), f"{architecture}\n")
            self.pull(name, "--arch", architecture)
            self.assertEqual(self.json("inspect", name)["digest"], entries[architecture])
        self.fails("push", "test/amd64", name, "--with", "test/amd64", says="is for linux/amd64 too")


class Cleaning(BuildTestCase):
    def end(self, *command):
        """Whether there was such a program."""
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if path.read_bytes() == "".join(f"{word}\0" for word in command).encode():
                    as_root("kill", path.parent.name)
                    return True
        return False

    def test_beside_a_running_build(self):
        """gc of all it may take, and rmi of the base, leave a build alone."""
        seconds = random.randrange(10**6, 10**7)  # nobody else sleeps so long
        context = self.context()
        (context / "Containerfile").write_text(f"""FROM {self.base}
RUN echo 1 > /log
RUN echo 2 >> /log
RUN echo waits; sleep {seconds}; echo 3 >> /log
RUN echo 4 >> /log
""")
        process = self.start("build", "--progress", "plain", "-t", "test/cleaned", context)
        self.addCleanup(process.kill)
        said = iter(process.stderr)
        self.assertTrue(any(line.endswith("waits\n") and "echo" not in line for line in said))
        self.mlctr("rmi", self.base)
        self.mlctr("gc", "--max-size", "0")
        until(lambda: self.end("sleep", seconds), "the step's sleep")
        rest = "".join(said)
        self.assertEqual(process.wait(), 0, rest)
        self.tag = "test/cleaned"
        self.assertEqual(self.run_built("cat", "/log").split(), ["1", "2", "3", "4"])


if __name__ == "__main__":
    unittest.main()
