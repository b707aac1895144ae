"""mlctr save and commit: what they write is what the container shows, and nothing else is left."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from containers import ContainerTestCase, layout
from harness import TREE_LISTING, as_root, is_in_pieces, small_filesystem, tree_of

MIB = 1 << 20

# Everything that can become of a file, done by a program in the container (as mapped root).
CHANGES = r"""
import os, shutil, socket, struct
def write(path, content=b"new\n"):
    with open(path, "wb") as file: file.write(content)
os.remove("/etc/adduser.conf")
os.rename("/etc/debconf.conf", "/etc/renamed.conf")
with open("/etc/shadow", "a") as file: file.write("# changed\n")      # 0:42 in the image
os.chmod("/etc/shadow", 0)
os.remove("/etc/issue"); os.mkdir("/etc/issue"); write("/etc/issue/in", b"a directory now")
shutil.rmtree("/etc/cron.daily"); write("/etc/cron.daily", b"a file now")
shutil.rmtree("/usr/share/doc"); os.mkdir("/usr/share/doc"); write("/usr/share/doc/only")           # opaque
shutil.rmtree("/etc/pam.d"); os.mkdir("/etc/pam.d"); os.rmdir("/etc/pam.d")                         # gone
os.remove("/etc/os-release"); os.symlink("/nowhere", "/etc/os-release")
os.mkdir("/srv/all"); os.chdir("/srv/all")
write("small"); write("empty", b""); write("copy-of-small")
noise = os.urandom(700_000)
write("noise", noise); write("noise-again", noise)
write("text", b"compressible " * 100_000)
with open("sparse", "wb") as file: file.truncate(40 << 20); file.seek(17 << 20); file.write(b"island"); file.seek(0, 2); file.write(b"end")
with open("hole-only", "wb") as file: file.truncate(3 << 20)
write("zeros", bytes(300_000))
os.link("small", "hard1"); os.mkdir("deeper"); os.link("small", "deeper/hard2")
os.link("noise", "deeper/noise-link")
os.symlink("x" * 4000, "long-link"); os.mkfifo("fifo"); os.link("fifo", "fifo2")
socket.socket(socket.AF_UNIX).bind("socket")
for mode in (0o4755, 0o2755, 0o1777, 0o000, 0o400):
    write(f"mode-{mode:o}"); os.chmod(f"mode-{mode:o}", mode)
os.mkdir("locked"); write("locked/inside"); os.mkdir("locked/in"); write("locked/in/it"); os.chmod("locked", 0)
os.utime("small", (0, 0)); os.utime("text", (2**31 + 5, 2**31 + 5)); os.utime("empty", (-5, -5))
os.setxattr("text", "user.note", b"kept"); os.setxattr("deeper", "user.note", b"on a directory")
os.setxattr("text", "user.large", b"v" * 3000)
os.setxattr("noise", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
write(b"n\xff\xfe\n\tme", b"odd"); write("a" * 255)
os.makedirs("/".join("d" * 1 for _ in range(300)))
for i in range(3000): write(f"deeper/f{i:04}", b"%d" % i * (i % 50))
"""


def as_image_has_it(listing, base, user):
    """What save promises of owners and capabilities, on a listing of the merged view from outside."""
    for path, record in listing.items():
        if record.get("linked") == [path]:  # the link count of a file below counts names that are gone
            del record["linked"]
        if record["owner"] == [user, user]:
            below = base.get(path)
            record["owner"] = below["owner"] if below and below["type"] == record["type"] else [0, 0]
        capability = bytes.fromhex(record["xattrs"].get("security.capability", ""))
        if len(capability) == 24:  # names the user namespace's root on this host
            record["xattrs"]["security.capability"] = (capability[:3] + b"\2" + capability[4:20]).hex()
    return listing


class SaveTestCase(ContainerTestCase):
    def make(self, name, image, *command, remap="--remap-root"):
        return self.mlctr("run", remap, "--name", name, image, *command)

    def directory(self, name):
        return self.store / "containers" / name

    def save(self, name, file="saved.sqsh", *options, **more):
        target = self.home / file
        self.mlctr("save", name, target, *options, **more)
        return target

    def merged_view(self, name):
        """What overlayfs makes of the container, listed by root; unsquashfs and the kernel's overlayfs are the judges."""
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-merged-"))
        try:
            image = os.path.realpath(self.directory(name) / "image.sqsh")
            if is_in_pieces(image):
                image = self.export(json.loads((self.directory(name) / "container.json").read_text())["image"])
            as_root("unsquashfs", "-quiet", "-no-progress", "-xattrs", "-dest", scratch / "base", image)
            (scratch / "view").mkdir()
            as_root("mount", "-t", "overlay", "mlctr-test", "-o",
                    f"ro,userxattr,lowerdir={self.directory(name)}/upper:{scratch}/base", scratch / "view")  # fmt: skip
            try:
                view = json.loads(as_root("/usr/bin/python3", TREE_LISTING, scratch / "view"))
            finally:
                as_root("umount", scratch / "view")
            return as_image_has_it(view, json.loads(as_root("/usr/bin/python3", TREE_LISTING, scratch / "base")), self.uid)
        finally:
            as_root("rm", "-rf", scratch)

    def assert_same(self, expected, found):
        self.assertEqual(sorted(set(expected) ^ set(found)), [])
        wrong = [f"{path}: {record} != {found[path]}" for path, record in expected.items() if record != found[path]]
        self.assertEqual(wrong[:20], [])

    def assert_saves_as_shown(self, name):
        file = self.save(name, f"{name}.sqsh")
        self.assert_same(self.merged_view(name), tree_of(file))
        return file


class Save(SaveTestCase):
    def test_the_image_is_what_the_container_shows(self):
        self.make("all", layout("python"), "python3", "-c", CHANGES)
        file = self.assert_saves_as_shown("all")
        tree = tree_of(file)
        self.assertNotIn("/etc/adduser.conf", tree)
        self.assertEqual(tree["/etc/issue"]["type"], "directory")
        self.assertEqual([p for p in tree if p.startswith("/usr/share/doc/")], ["/usr/share/doc/only"])
        self.assertEqual(tree["/etc/shadow"]["owner"], [0, 42])
        self.assertEqual(tree["/srv/all/small"]["linked"], ["/srv/all/deeper/hard2", "/srv/all/hard1", "/srv/all/small"])
        self.assertIn("user.note", tree["/srv/all/text"]["xattrs"])
        self.assertNotIn("overlay", json.dumps(tree))
        self.assertLess(file.stat().st_size, (self.directory("all") / "image.sqsh").stat().st_size + 3 * MIB)

    def test_a_saved_image_can_be_changed_and_saved(self):
        self.make("first", layout("busybox"), "sh", "-c", "mkdir /d; seq 9999 >/d/a; seq 9999 >/d/b; ln /d/a /d/c; rm -r /etc; cp /bin/busybox /d/copy")
        self.make("second", self.save("first"), "sh", "-c", "rm /d/a; echo more >/d/b; mv /d /moved; mkdir /etc; echo x >/etc/passwd")
        self.assert_saves_as_shown("second")

    def test_nothing_changed(self):
        self.make("same", layout("busybox"), "true")
        self.assert_saves_as_shown("same")

    def test_the_same_container_gives_the_same_bytes(self):
        self.make("x", layout("python"), "python3", "-c", CHANGES)
        first = self.save("x", "1.sqsh").read_bytes()
        self.mlctr("run", "x", "true")
        self.configure_table("[pull]\nthreads = 7")
        self.assertEqual(self.save("x", "2.sqsh").read_bytes(), first)
        process = self.start("save", "x", "-", text=False)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(out, first)

    def test_images_of_other_tools(self):
        source = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        as_root("unsquashfs", "-quiet", "-no-progress", "-force", "-dest", source, self._squashfs_of_busybox())
        script = "cp /bin/busybox /new; head -c 2500000 /dev/urandom >/noise; rm -r /etc; mkdir /etc; seq 100000 >/etc/seq; cp /etc/seq /x"
        for options in (["gzip", "-b", "4096"], ["xz", "-b", "1M"], ["lzo", "-b", "128K"], ["lz4", "-b", "256K"], ["lz4", "-Xhc"],
                        ["xz", "-Xdict-size", "50%"], ["zstd", "-b", "1M"], ["lzo", "-noI", "-noD", "-noF"], ["gzip", "-no-fragments"]):  # fmt: skip
            with self.subTest(" ".join(options)):
                name = f"f{abs(hash(tuple(options)))}"
                base = self.home / f"{name}.base.sqsh"
                as_root("mksquashfs", source, base, "-quiet", "-no-progress", "-comp", *options)
                self.make(name, base, "sh", "-c", script)
                file = self.assert_saves_as_shown(name)
                head, base_head = file.read_bytes()[:96], base.read_bytes()[:96]
                self.assertEqual(head[12:16] + head[20:22], base_head[12:16] + base_head[20:22], "block size, compressor")
                self.assertEqual(self.run_in(file, "tail", "-n1", "/x")[0], "100000\n")

    def _squashfs_of_busybox(self):
        self.pull(layout("busybox"))
        return self.squashfs_of(layout("busybox"))

    def test_many_files(self):
        with small_filesystem(1500 * MIB) as filesystem:  # 100,000 files are soon gone there
            self.store = filesystem / "store"
            self.make("many", layout("python"), "python3", "-c",
                      "import os\nfor d in range(100):\n os.makedirs(f'/many/{d}')\n for f in range(1000): open(f'/many/{d}/{f}', 'w').write(str(f))")  # fmt: skip
            began = time.monotonic()
            file = self.save("many")
            self.assertLess(time.monotonic() - began, 60)
            listing = subprocess.run(["unsquashfs", "-l", file, "many"], capture_output=True, text=True, check=True).stdout
            self.assertEqual(listing.count("\n"), 100_000 + 100 + 2)

    def test_deep_trees(self):
        down = "import os\nos.chdir('/opt')\nfor _ in range({}): os.chdir('d')\n"
        dig = "for _ in range({}): os.mkdir('d'); os.chdir('d')"
        self.addCleanup(as_root, "rm", "-rf", self.directory("deep"))  # too deep for Python's
        self.make("deep", layout("python"), "python3", "-c", down.format(0) + dig.format(1900))
        self.run_in(self.save("deep"), "python3", "-c", down.format(1900))
        self.run_in("deep", "python3", "-c", down.format(1900) + dig.format(200))
        self.fails("save", "deep", self.home / "deeper.sqsh", says="more than 2048 directories deep", hint=False)
        self.assertFalse((self.home / "deeper.sqsh").exists())


class Marks(SaveTestCase):
    """Uppers as newer kernels, other mount options and hostile hands make them."""

    def setUp(self):
        super().setUp()
        self.make("x", layout("busybox"), "true")
        self.upper = self.directory("x") / "upper"

    def as_user(self, code):
        as_root("/usr/sbin/runuser", "-u", self.user, "--", "/usr/bin/python3", "-c", f"import os; os.chdir({str(self.upper)!r})\n{code}")

    def test_whiteouts_by_xattr(self):
        self.as_user("os.makedirs('etc', exist_ok=True); os.setxattr('etc', 'user.overlay.opaque', b'x')\n"
                     "open('etc/passwd', 'w').close(); os.setxattr('etc/passwd', 'user.overlay.whiteout', b'y')")  # fmt: skip
        tree = tree_of(self.save("x"))
        self.assertNotIn("/etc/passwd", tree)
        self.assertIn("/etc/group", tree, "opaque=x hides nothing")

    def test_what_lies_elsewhere_is_refused(self):
        self.as_user("os.mkdir('moved'); os.setxattr('moved', 'user.overlay.redirect', b'/etc')")
        self.fails("save", "x", self.home / "x.sqsh", says=["cannot save the container x", "moved", "by reference"])
        self.as_user("os.rmdir('moved'); open('meta', 'w').close(); os.setxattr('meta', 'user.overlay.metacopy', b'')")
        self.fails("commit", "x", "x:1", says=["meta was moved by reference"])

    def test_links_lead_nowhere(self):
        secret = self.home / "secret"
        secret.write_text("secret")
        self.as_user(f"os.symlink({str(secret)!r}, 'file'); os.symlink({str(self.home)!r}, 'directory'); os.mkfifo('fifo')")
        tree = tree_of(self.save("x"))
        self.assertEqual([tree[p]["type"] for p in ("/file", "/directory", "/fifo")], ["symlink", "symlink", "fifo"])
        self.assertNotIn(b"secret", b"".join(as_root("unsquashfs", "-cat", self.home / "saved.sqsh", p) for p in ("etc/hostname",)))

    def test_a_file_larger_than_allowed(self):
        self.as_user("open('huge', 'w').truncate(1 << 42)")
        self.fails("save", "x", self.home / "x.sqsh", says=["more than", "holes", "max_layer_bytes"])

    def test_forged_marks_of_layers(self):
        self.as_user("open('f', 'w').write('x'); os.setxattr('f', 'user.mlctr.x', b'y'); os.setxattr('f', 'user.overlay.origin', b'y')")
        self.assertEqual(tree_of(self.save("x"))["/f"]["xattrs"], {})


class Trouble(SaveTestCase):
    def big(self, name="big"):
        self.make(name, layout("python"), "python3", "-c", "import os\nfor i in range(60): open(f'/srv/{i}', 'wb').write(os.urandom(1 << 20) * 2)")

    def test_killed(self):
        self.big()
        target = self.home / "out"
        target.mkdir(mode=0o777)
        target.chmod(0o777)
        for delay in (0.01, 0.02, 0.04, 0.08, 0.12, 0.16, 0.2, 0.3):
            process = self.start("save", "big", target / "x.sqsh")
            time.sleep(delay)
            # runuser's child is mlctr itself
            for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            process.communicate(timeout=30)
            if os.listdir(target) == ["x.sqsh"]:
                break
            self.assertEqual(os.listdir(target), [])
        (target / "x.sqsh").unlink(missing_ok=True)
        self.mlctr("save", "big", target / "x.sqsh")
        self.assertEqual(os.listdir(target), ["x.sqsh"])

    def test_disk_full(self):
        self.big()
        for size in (1, 50, 120):
            with small_filesystem(size * MIB) as filesystem:
                self.fails("save", "big", filesystem / "x.sqsh", says=["cannot save the container big", "space", str(filesystem), "MiB"])
                self.assertEqual(os.listdir(filesystem), [])

    def test_a_running_container(self):
        process = self.start("run", "--name", "r", layout("busybox"), "sh", "-c", "echo started; echo x >/changed; read line", stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "started\n")
        try:
            self.fails("save", "r", self.home / "r.sqsh", says=["cannot save the container r", "process", "--live"])
            self.fails("commit", "r", "r:1", says="process")
            self.assertFalse((self.home / "r.sqsh").exists())
            self.assertIn("/changed", tree_of(self.save("r", "r.sqsh", "--live")))
        finally:
            process.communicate("\n", timeout=30)
        self.save("r", "r2.sqsh")

    def test_bad_arguments(self):
        self.make("x", layout("busybox"), "true")
        self.fails("save", "y", self.home / "f.sqsh", says=["no such container: y", "x"])
        self.fails("save", "../x", self.home / "f.sqsh", says="no such container")
        self.fails("save", "x", self.home, says="is a directory")
        self.fails("save", "x", self.home / "no/f.sqsh", says="no such directory", hint=False)
        file = self.save("x", "f.sqsh")
        self.fails("save", "x", file, says=["exists", "--force"])
        self.save("x", "f.sqsh", "--force")
        self.assertEqual([name for name in os.listdir(self.home) if name.startswith(".")], [])
        for name in ("./f.sqsh", "oci:x:1", "UPPER", "a@sha256:" + "0" * 64, ""):
            self.fails("commit", "x", name, says=".", hint=False)
        (self.home / "dest").symlink_to(self.home / "precious")
        (self.home / "precious").write_text("precious")
        self.mlctr("save", "x", self.home / "dest", "--force")
        self.assertEqual((self.home / "precious").read_text(), "precious")

    def test_json(self):
        self.make("x", layout("busybox"), "true")
        result = json.loads(self.mlctr("save", "x", self.home / "f.sqsh", "--json")[0])
        self.assertEqual((result["container"], result["size"]), ("x", (self.home / "f.sqsh").stat().st_size))


class Commit(SaveTestCase):
    def test_commit_run_inspect(self):
        self.make("x", layout("busybox"), "sh", "-c", "echo hello >/greeting")
        result = json.loads(self.mlctr("commit", "x", "mine:1", "--json")[0])
        self.assertEqual(self.run_in("mine:1", "cat", "/greeting")[0], "hello\n")
        inspection = self.json("inspect", "mine:1")
        self.assertEqual(inspection["digest"], result["digest"])
        self.assertEqual(inspection["reference"], "docker.io/library/mine:1")
        self.assertEqual(inspection["provenance"]["container"], "x")
        self.assertIn("busybox", inspection["provenance"]["reference"])
        self.assertEqual(inspection["config"]["config"], self.json("inspect", layout("busybox"))["config"]["config"])
        without_own = lambda tree: {path: record for path, record in tree.items() if not path.startswith("/.mlctr")}
        self.assert_same(without_own(tree_of(self.save("x"))), without_own(tree_of(self.squashfs_of("mine:1"))))
        self.assert_no_litter()
        # The same once more is the same image; other content takes the name over.
        self.assertEqual(json.loads(self.mlctr("commit", "x", "mine:2", "--json")[0])["digest"], result["digest"])
        self.mlctr("run", "x", "sh", "-c", "echo bye >/greeting")
        self.assertNotEqual(json.loads(self.mlctr("commit", "x", "mine:1", "--json")[0])["digest"], result["digest"])
        self.assertEqual(self.run_in("mine:1", "cat", "/greeting")[0], "bye\n")
        # Without its container and its base the image is whole.
        self.mlctr("rm", "x")
        self.mlctr("rmi", layout("busybox"))
        self.mlctr("gc", "--max-size", "0")
        self.assertEqual(self.run_in("mine:1", "cat", "/greeting")[0], "bye\n")

    def test_what_it_began_with_travels(self):
        self.make("a", layout("busybox"), "true")
        self.mlctr("commit", "a", "one:1")
        self.make("b", "one:1", "true")
        file = self.save("b")
        cat = lambda name: as_root("unsquashfs", "-cat", file, f".mlctr/{name}")
        base = self.json("inspect", layout("busybox"))
        self.assertEqual(json.loads(cat("base/manifest.json")), base["manifest"])
        self.assertEqual(json.loads(cat("base/config.json")), base["config"])
        provenance = json.loads(cat("provenance.json"))
        self.assertEqual((provenance["container"], provenance["base"]["container"]), ("b", "a"))
        self.assertEqual(json.loads(cat("config.json"))["rootfs"]["diff_ids"], [])

    def test_disk_full(self):
        self.configure_table(f'containers = "{self.home}/store/containers"')
        self.make("x", layout("python"), "python3", "-c", "import os\nfor i in range(30): open(f'/srv/{i}', 'wb').write(os.urandom(1 << 20))")
        with small_filesystem(60 * MIB) as filesystem:
            self.store = filesystem / "store"
            self.fails("commit", "x", "x:1", says=["cannot save the container x", "space", "MiB"])
            self.assert_nothing_stored()
            self.assert_no_litter()
