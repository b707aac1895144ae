"""mlctr build: what each instruction makes, the cache, and what a step may see."""
import hashlib
import io
import json
import lzma
import os
import pathlib
import signal
import subprocess
import tarfile
import time
import unittest

from builds import BuildTestCase
from harness import as_root, small_filesystem
from named_containers import until


class Instructions(BuildTestCase):
    def test_run_and_copy(self):
        out, errors = self.build("FROM BASE\nCOPY a.txt sub /data/\nRUN cat /data/a.txt > /made && echo two >> /made\n",
                                 files={"a.txt": "one\n", "sub/b.txt": ("b\n", 0o755)})  # fmt: skip
        self.assertEqual(self.run_built("cat", "/made"), "one\ntwo\n")
        tree = self.tree()
        self.assertEqual(tree["/data/b.txt"]["mode"] & 0o7777 if isinstance(tree["/data/b.txt"]["mode"], int) else tree["/data/b.txt"]["mode"][-3:],
                         0o755 if isinstance(tree["/data/b.txt"]["mode"], int) else "755")  # fmt: skip
        self.assertNotIn("/run/mlctr", tree, "what a step needs is not left in the image")
        self.assertNotIn("/proc/1", tree)

    def test_configuration(self):
        self.build("""ARG WHO=world
FROM BASE AS base
ARG WHO
ENV A=1 B="two words" C=${WHO:-none}
LABEL x=y "a b"="c d"
EXPOSE 80 53/udp
VOLUME /data
STOPSIGNAL SIGINT
USER 5:6
SHELL ["/bin/busybox", "sh", "-c"]
HEALTHCHECK --interval=5s --retries=2 CMD true
WORKDIR /made
WORKDIR below
ENTRYPOINT ["echo"]
CMD ["$A"]
""")
        config = self.inspected()[1]["config"]
        self.assertEqual(config["Env"], ["PATH=/bin", "A=1", "B=two words", "C=world"])
        self.assertEqual(config["Labels"], {"org.example.fixture": "busybox", "x": "y", "a b": "c d"})
        self.assertEqual(list(config["ExposedPorts"]), ["53/udp", "80/tcp"])
        self.assertEqual(list(config["Volumes"]), ["/data"])
        self.assertEqual((config["StopSignal"], config["User"], config["WorkingDir"]), ("SIGINT", "5:6", "/made/below"))
        self.assertEqual(config["Healthcheck"], {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2})
        self.assertEqual((config["Entrypoint"], config["Cmd"]), (["echo"], ["$A"]))
        self.assertIn("/made/below", self.tree())

    def test_run_sees_what_it_should(self):
        self.build("""FROM BASE
ARG A=arg
ENV E=env
WORKDIR /work
RUN echo $A $E $PWD $HOME $(id -u) $(umask) > /out; env | sort > /env; hostname > /host
RUN ["/bin/sh", "-c", "echo $0 > /exec"]
RUN <<EOF
echo first > /here
echo second >> /here
EOF
RUN <<EOF cat > /doc
content $A
EOF
""")
        self.assertEqual(self.run_built("cat", "/out"), "arg env /work /root 0 0022\n")
        self.assertEqual(self.run_built("cat", "/here"), "first\nsecond\n")
        self.assertEqual(self.run_built("cat", "/doc"), "content arg\n")
        environment = dict(line.split("=", 1) for line in self.run_built("cat", "/env").splitlines())
        self.assertNotIn("MLCTR_STORE", environment)
        self.assertNotIn("A", self.inspected()[1]["config"]["Env"])

    def test_stages(self):
        self.build("""FROM BASE AS compile
RUN mkdir /out && echo program > /out/program && chmod 755 /out/program && ln -s program /out/link
FROM BASE AS unused
RUN exit 7
FROM compile AS more
RUN echo more > /out/more
FROM scratch
COPY --from=compile /out /bin/
COPY --from=more /out/more /
COPY --from=2 --chown=7:8 --chmod=600 /out/program /owned
""")
        tree = self.tree()
        self.assertEqual(sorted(path for path in tree if not path.startswith("/.mlctr")),
                         ["/", "/bin", "/bin/link", "/bin/program", "/more", "/owned"])  # fmt: skip
        self.assertEqual(tree["/owned"]["owner"], [7, 8])

    def test_copy_rules(self):
        files = {"one.txt": "1", "two.txt": "2", "dir/x": "x", "dir/deep/y": "y", "dir/skip.log": "", ".dockerignore": "*.secret\ndir/*.log\n!dir/keep.log\n",
                 "dir/keep.log": "k", "no.secret": "s"}  # fmt: skip
        self.build("""FROM BASE
WORKDIR /w
COPY *.txt globs/
COPY dir dir
COPY one.txt renamed
COPY one.txt /etc/motd
COPY --exclude=deep dir without
COPY <<EOF /inline
text $PATH
EOF
COPY . /all/
""", files=files)  # fmt: skip
        tree = self.tree()
        for path in ("/w/globs/one.txt", "/w/globs/two.txt", "/w/dir/x", "/w/dir/deep/y", "/w/renamed", "/w/without/x", "/all/dir/keep.log"):
            self.assertIn(path, tree)
        for path in ("/w/dir/skip.log", "/w/without/deep", "/all/no.secret"):
            self.assertNotIn(path, tree)
        self.assertEqual(self.run_built("cat", "/etc/motd"), "1")
        self.assertEqual(self.run_built("cat", "/inline"), "text /bin\n")
        self.build_fails("FROM BASE\nCOPY no.secret /x\n", says=["Containerfile:2", "no.secret is not in the context"], files=files)
        self.build_fails("FROM BASE\nCOPY ../../etc/passwd /x\n", says="not in the context")

    def test_links_of_a_context_lead_nowhere_else(self):
        context = self.context({"Containerfile": f"FROM {self.base}\nCOPY link /x\n"})
        as_root("ln", "-s", "/etc/hostname", context / "link")
        self.fails("build", context, says="link is not in the context")

    def test_copy_through_links_of_the_image(self):
        self.build("FROM BASE\nRUN mkdir /real && ln -s real /alias && ln -s /nowhere/file /dangling\nCOPY a /alias/a\nCOPY a /dangling\n", files={"a": "a"})
        tree = self.tree()
        self.assertIn("/real/a", tree)
        self.assertIn("/nowhere/file", tree)

    def test_add_unpacks_archives(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, kind in (("d", tarfile.DIRTYPE), ("d/f", tarfile.REGTYPE), ("../up", tarfile.REGTYPE)):
                if name.startswith(".."):
                    continue
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode, entry.uid, entry.gid = kind, 0o755, 11, 12
                entry.size = 2 if kind == tarfile.REGTYPE else 0
                tar.addfile(entry, io.BytesIO(b"hi") if entry.size else None)
        self.build("FROM BASE\nADD a.tgz /in/\nCOPY a.tgz /as/\nADD plain /in/\n", files={"a.tgz": buffer.getvalue(), "plain": "p"})
        tree = self.tree()
        self.assertEqual(tree["/in/d/f"]["owner"], [11, 12])
        self.assertIn("/as/a.tgz", tree)
        self.assertIn("/in/plain", tree)
        self.build("FROM BASE\nRUN rm -rf /lib /usr/lib /lib64\nADD a.tgz /in/\n", files={"a.tgz": buffer.getvalue()})
        self.assertIn("/in/d/f", self.tree())
        self.build_fails("FROM BASE\nADD a.txz /in/\n", files={"a.txz": lzma.compress(b"")}, says=["Containerfile:2", "xz", "RUN"])

    def test_onbuild(self):
        self.build("FROM BASE\nONBUILD COPY a /a\nONBUILD RUN cat /a > /b\n", files={"a": "parent"})
        parent = self.tag
        self.build(f"FROM {parent}\nENV X=1\n", files={"a": "child"})
        self.assertEqual(self.run_built("cat", "/b"), "child")
        self.assertNotIn("OnBuild", self.inspected()[1]["config"])

    def test_removed_and_replaced(self):
        self.build("FROM BASE\nRUN rm /etc/motd && rm -r /var/www && mkdir /var/www && echo x > /var/www/new\nRUN ls /var/www > /seen; ls /etc >> /seen\n")
        self.assertEqual(self.run_built("cat", "/seen").split(), ["new", "hosts", "passwd", "resolv.conf"], "the network's files are mounted")
        tree = self.tree()
        self.assertNotIn("/var/www/index.html", tree)
        self.assertEqual([path for path in tree if path.startswith("/etc/")], ["/etc/passwd"])

    def test_a_step_owns_the_user_databases(self):
        self.build("FROM BASE\nRUN rm /etc/passwd\nRUN echo x:x:5: > /etc/group && echo y:x:6:5::/:/bin/sh > /etc/passwd\nCOPY --chown=y:x f /f\n",
                   files={"f": ""})  # fmt: skip
        tree = self.tree()
        self.assertEqual((tree["/etc/group"]["size"], tree["/etc/passwd"]["size"]), (7, 19))
        self.assertEqual(tree["/f"]["owner"], [6, 5])


class Mounts(BuildTestCase):
    def test_mounts(self):
        self.build("""FROM BASE AS other
RUN mkdir /o && echo other > /o/f
FROM BASE
RUN --mount=type=bind,target=/ctx cat /ctx/a > /a && ls /ctx > /list
RUN --mount=type=bind,from=other,source=/o,target=/o,rw cat /o/f > /b && echo changed > /o/f
RUN --mount=type=bind,from=other,source=/o/f,target=/file cat /file > /c
RUN --mount=type=tmpfs,target=/t touch /t/x
RUN --mount=type=cache,target=/cache echo kept > /cache/k
RUN --mount=type=cache,target=/cache cat /cache/k > /d
""", files={"a": "context\n", "hidden": "h", ".dockerignore": "hidden\nContainerfile*\n"})  # fmt: skip
        self.assertEqual([self.run_built("cat", f"/{name}") for name in "abcd"], ["context\n", "other\n", "other\n", "kept\n"])
        self.assertNotIn("hidden", self.run_built("cat", "/list"))
        tree = self.tree()
        for path in ("/ctx", "/o", "/file", "/t", "/cache"):
            self.assertNotIn(path, tree)

    def test_secrets_stay_secret(self):
        secret = "correct horse battery"
        file = self.write("secret", secret)
        text = """FROM BASE
RUN --mount=type=secret,id=s cat /run/secrets/s | tr a-z b-za > /turned; ls -l /run/secrets/s > /mode
RUN --mount=type=secret,id=v,env=TOKEN test -n "$TOKEN"
RUN --mount=type=secret,id=s for f in /proc/*/environ /proc/*/cmdline; do tr '\\0' '\\n' < $f; done > /seen; ls -l /proc/self/fd > /fds; ls -d /proc/[0-9]* > /pids
RUN test ! -e /run/secrets
"""
        out, errors = self.build(text, "--secret", f"id=s,src={file}", "--secret", f"id=v,src={file}", "--progress", "plain")
        self.assertNotIn(secret, out + errors)
        self.assertNotIn(secret, self.run_built("cat", "/seen"))
        self.assertIn("-r--------", self.run_built("cat", "/mode"))
        self.assertRegex(self.run_built("head", "-1", "/pids"), "^/proc/1\n")
        for path in self.store.rglob("*"):
            if path.is_file():
                self.assertNotIn(secret.encode(), as_root("cat", path), path)
        self.build_fails("FROM BASE\nRUN --mount=type=secret,id=no,required=true true\n", says="secret no is required")

    def test_nothing_is_inherited(self):
        context = self.context({"Containerfile": f"FROM {self.base}\nRUN ls -l /proc/self/fd > /fds\n"})
        with open("/etc/hostname") as file:
            os.dup2(file.fileno(), 42)
            try:
                process = self.start("build", "-t", "test/fds", context, pass_fds=(42,))
                self.assertEqual(process.communicate()[1] and process.returncode, 0)
            finally:
                os.close(42)
        self.tag = "test/fds"
        numbers = [line.split()[8] for line in self.run_built("cat", "/fds").splitlines() if "->" in line]
        self.assertEqual(sorted(set(numbers) - {"3"}), ["0", "1", "2"])

    def test_no_network(self):
        self.build("FROM BASE\nRUN --network=none ls /sys/class/net > /net || cat /proc/net/dev > /net\n")
        self.assertNotIn("eth0", self.run_built("cat", "/net"))


class Cache(BuildTestCase):
    TEXT = "FROM BASE\nRUN echo a > /a\nCOPY f /f\nRUN cat /f > /g\n"

    def steps(self, errors):
        return ["cached" if line.endswith("cached") else "built" for line in errors.splitlines() if line.startswith("[")]

    def test_what_changed_is_done_again(self):
        context = self.context({"f": "1"})
        self.assertEqual(self.steps(self.build(self.TEXT, context=context)[1]), ["built"] * 3)
        self.assertEqual(self.steps(self.build(self.TEXT, context=context)[1]), ["cached"] * 3)
        (context / "f").write_text("2")
        self.assertEqual(self.steps(self.build(self.TEXT, context=context)[1]), ["cached", "built", "built"])
        self.assertEqual(self.run_built("cat", "/g"), "2")
        (context / "f").chmod(0o755)
        self.assertEqual(self.steps(self.build(self.TEXT, context=context)[1])[1], "built")
        self.assertEqual(self.steps(self.build(self.TEXT, "--no-cache", context=context)[1]), ["built"] * 3)

    def test_arguments_and_names_are_part_of_a_step(self):
        text = "FROM BASE\nARG A\nRUN echo $A > /a\n"
        self.build(text, "--build-arg", "A=1")
        self.build(text, "--build-arg", "A=2")
        self.assertEqual(self.run_built("cat", "/a"), "2\n")
        self.build("FROM BASE\nCOPY a b /x/\n", files={"a": "1", "b": ""})
        self.build("FROM BASE\nCOPY a b /x/\n", files={"a": "", "b": "1"})
        self.assertEqual(self.run_built("cat", "/x/b"), "1")

    def test_two_builds_at_once_share_steps(self):
        context = self.context({"Containerfile": f"FROM {self.base}\nRUN --mount=type=cache,target=/c echo x >> /c/count; sleep 1; cp /c/count /count\n"})
        both = [self.start("build", "-t", f"test/both:{n}", context) for n in range(2)]
        for process in both:
            self.assertEqual((process.communicate()[1], process.returncode)[1], 0)
        self.tag = "test/both:0"
        self.assertEqual(self.run_built("cat", "/count"), "x\n")

    def test_killed_and_done_again(self):
        context = self.context({"Containerfile": f"FROM {self.base}\nRUN echo 1 > /one\nRUN test -e /one && sleep 600\n"})
        process = self.start("build", context, stderr=subprocess.DEVNULL)
        until(lambda: any(self.store.glob("steps/*.json")), "the first step")
        process.kill()
        process.communicate()
        until(lambda: not self.processes(), "the end of all that the build started")
        for remnant in self.store.glob("containers/.build-*-*"):
            os.utime(remnant, (0, 0))  # one of this second may be about to be locked
        (context / "Containerfile").write_text(f"FROM {self.base}\nRUN echo 1 > /one\nRUN test -e /one && echo 2 > /two\n")
        self.assertEqual(self.steps(self.mlctr("build", "-t", "test/killed", context)[1]), ["cached", "built"])
        self.assertEqual([d.name for d in self.store.glob("containers/.build-*-*")], [], "what the killed one left is gone")

    def test_interrupted(self):
        context = self.context({"Containerfile": f"FROM {self.base}\nRUN echo 1 > /one\nRUN echo begun; sleep 600\n"})
        before = sorted(self.store_files())
        process = self.start("build", "--progress", "plain", "-t", "test/interrupted", context)
        for line in process.stderr:
            if "begun" in line and "echo" not in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assert_nothing_runs()
        self.assert_no_litter()
        self.assertEqual([d.name for d in self.store.glob("containers/.build-*-*")], [])
        kept = [file for file in self.store_files() if file not in before and not file.startswith("locks/")]
        self.assertEqual(sorted({file.split("/")[0] for file in kept}), ["layers", "steps"], kept)
        (context / "Containerfile").write_text(f"FROM {self.base}\nRUN echo 1 > /one\nRUN echo 2 > /two\n")
        self.assertEqual(self.steps(self.mlctr("build", "-t", "test/interrupted", context)[1]), ["cached", "built"])

    def test_many_steps(self):
        self.build("FROM BASE\n" + "".join(f"RUN echo {n} >> /log\n" for n in range(60)))
        self.assertEqual(self.run_built("cat", "/log").split(), [str(n) for n in range(60)])


class Results(BuildTestCase):
    def test_same_bytes_everywhere(self):
        text = "FROM BASE\nCOPY . /all/\nRUN mkdir /made && for i in 3 1 2; do date > /made/$i; echo same > /made/$i; done; touch -t 203001010000 /made/1\n"
        files = {"b": "b", "a": "a", "d/c": "c"}
        found = []
        for threads, epoch in ((1, "1e9"), (4, "5e8")):
            self.forget_builds()
            self.configure_table(f"[pull]\nthreads = {threads}\n") if not self.tables else None
            context = self.context(files)
            for path in context.rglob("*"):
                os.utime(path, (float(epoch), float(epoch)))
            self.build(text, "--no-cache", context=context)
            squashfs = self.squashfs_of(self.tag)
            found.append((squashfs.parent.name, hashlib.sha256(squashfs.read_bytes()).hexdigest()))
            self.mlctr("rmi", self.tag)
            self.mlctr("gc")
        self.assertEqual(found[0], found[1])

    def test_base_layers_stay_what_they_are(self):
        base = json.loads((self.stored_squashfs(self.base).parent / "manifest.json").read_text())
        self.build("FROM BASE\nRUN echo x > /x\n")
        manifest = self.manifest()
        self.assertEqual(manifest["layers"][:-1], base["layers"])
        config = self.inspected()[1]
        self.assertEqual(len(config["rootfs"]["diff_ids"]), len(manifest["layers"]))
        self.assertEqual(manifest["layers"][-1]["digest"], config["rootfs"]["diff_ids"][-1])

    def test_a_failed_step_can_be_entered(self):
        errors = self.build_fails("FROM BASE\nRUN echo left > /left && echo loud && exit 3\n", says=["exit code 3", "loud", "mlctr run -r build:"])
        target = errors.split("mlctr run -r ")[1].split("`")[0]
        self.assertEqual(self.mlctr("run", "-r", target, "cat", "/left")[0], "left\n")
        self.assertEqual(self.mlctr("run", "-r", "--writable", target, "sh", "-c", "echo more >> /left; cat /left")[0], "left\nmore\n")
        self.fails("run", "-r", "build:00000000", "true", says="no failed step build:00000000")

    def test_full_disk(self):
        with small_filesystem(48 << 20) as directory:
            self.store = directory / "store"
            self.pull(self.base, "--quiet")
            self.build_fails("FROM BASE\nRUN dd if=/dev/urandom of=/big bs=1M count=64\n", says="no space left|exit code")
            self.build("FROM BASE\nRUN echo small > /small\n")
            self.assertEqual(self.run_built("cat", "/small"), "small\n")

    def test_what_is_wrong_is_told_with_its_line(self):
        self.build_fails("FROM BASE\nRUN true\nCOPY nothing /x\n", says="Containerfile:3: nothing is not in the context")
        self.build_fails("FROM BASE\nRUN --mount=type=tmpfs,target=/ true\n", says="root")


if __name__ == "__main__":
    unittest.main()
