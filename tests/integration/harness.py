"""What an integration test stands on: a home and a store of its own, mlctr run in them, and trees to compare."""
import atexit
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from certificate import Authority
from server import die_with_parent

FIXTURE_SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "fixtures/build.sh"
TREE_LISTING = FIXTURE_SCRIPT.parent / "tree_listing.py"
ORDINARY_USER = "mlctrtest"
PASSWORD = "s3cret-Pass wörd"  # nothing that mlctr prints or runs may ever hold it
USERS = {"alice": PASSWORD, "carol": "netrc-has-no-quotes"}
EXIT_OWN_FAILURE = 125
COMMAND_SECONDS = 120

# No tar has an entry of its own for these: umoci gives them the time of unpacking.
VOLATILE_TIMES = {
    "busybox": ("/",),
    "dialects": ("/gnu", "/gnu/double"),
    "semantics": ("/", "/tree", "/tree/a"),
    "opaque-root": (),
    "python": (),
}


@functools.cache
def fixtures():
    return pathlib.Path(subprocess.run([FIXTURE_SCRIPT], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def shared_directory(name):
    """One that every user may enter, removed when the tests end."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"mlctr-{name}-"))
    directory.chmod(0o755)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@functools.cache
def binary():
    """$MLCTR, copied to where every user may run it."""
    return pathlib.Path(shutil.copy(os.environ["MLCTR"], shared_directory("binary") / "mlctr"))


@functools.cache
def authority():
    return Authority(shared_directory("authority"))


@functools.cache
def certificate():
    return authority().issue("server")


def root_command(*command):
    return list(map(str, command)) if os.geteuid() == 0 else ["sudo", "-n", *map(str, command)]


def as_root(*command):
    return subprocess.run(root_command(*command), capture_output=True, check=True).stdout


def is_root():
    return os.geteuid() == 0


def ordinary_user():
    """An account that is neither root nor in any group of importance; made when missing."""
    if subprocess.run(["id", ORDINARY_USER], capture_output=True).returncode != 0:
        as_root("useradd", "--create-home", ORDINARY_USER)
    return ORDINARY_USER


@contextlib.contextmanager
def small_filesystem(size, mode=0o777):
    """A tmpfs of `size` bytes."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-tmpfs-"))
    as_root("mount", "-t", "tmpfs", "-o", f"size={size},mode={mode:o}", "mlctr-test", directory)
    try:
        yield directory
    finally:
        as_root("umount", "-l", directory)
        directory.rmdir()


def tree_of(squashfs):
    """The listing of a squashfs file's tree, unpacked by squashfs-tools as root."""
    with tempfile.TemporaryDirectory(prefix="mlctr-tree-") as scratch:
        as_root("unsquashfs", "-quiet", "-no-progress", "-xattrs", "-dest", f"{scratch}/tree", squashfs)
        try:
            return json.loads(as_root("/usr/bin/python3", TREE_LISTING, f"{scratch}/tree"))
        finally:
            as_root("rm", "-rf", f"{scratch}/tree")


def expected_tree(image):
    return json.loads((fixtures() / "trees" / f"{image}.json").read_text())


def layer_digests(store):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (store / "layers").rglob("*.sqsh")}


@functools.cache
def undisturbed_layers(image):
    store = shared_directory("undisturbed")
    command = [binary(), "pull", "--quiet", f"oci:{fixtures()}/layouts/{image}:1"]
    subprocess.run(command, env={"MLCTR_STORE": str(store), "HOME": str(store)}, check=True, stdout=subprocess.DEVNULL)
    return layer_digests(store)


def is_in_pieces(path):
    """Whether the store has the image in pieces (src/squashfs/image_pieces.hpp)."""
    with open(path, "rb") as file:
        return file.read(4) == b"mlcp"


class PullTestCase(unittest.TestCase):
    """Each test has its own home and store below self.home; self.user runs mlctr (None: whoever runs the tests)."""

    user = None
    maxDiff = 4000

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-home-"))
        self.addCleanup(self._remove_home)
        self.store = self.home / "store"
        self.registries = {}
        self.tables = []
        (self.home / "config/mlctr").mkdir(parents=True)
        for name in ("run", "tmp"):
            (self.home / name).mkdir(mode=0o700)
            self.give_to_user(self.home / name)
        if self.user:
            self.home.chmod(0o777)  # both write here: the tests as whoever runs them, mlctr as the user

    def _remove_home(self):
        shutil.rmtree(self.home, ignore_errors=True)
        if self.home.exists():
            as_root("rm", "-rf", self.home)

    def give_to_user(self, path):
        if self.user:
            as_root("chown", f"{self.user}:", path)

    def environment(self, **more):
        environment = {
            "PATH": f"{self.home}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.home / "config"), "XDG_RUNTIME_DIR": str(self.home / "run"),
            "XDG_DATA_HOME": str(self.home / "share"), "TMPDIR": str(self.home / "tmp"), "MLCTR_STORE": str(self.store),
        }  # fmt: skip
        return {name: str(value) for name, value in (environment | more).items() if value is not None}

    def configure(self, host, **settings):
        """Adds [registries."host"]; by default it trusts the test authority."""
        self.registries[host] = {"ca_file": str(authority().certificate)} | settings
        self._write_configuration()

    def configure_table(self, text):
        self.tables.append(text)
        self._write_configuration()

    def _write_configuration(self):
        lines = list(self.tables)
        for host, settings in self.registries.items():
            lines.append(f'[registries."{host}"]')
            lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        path = self.home / "config/mlctr/mlctr.toml"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o644)

    def write(self, path, text, mode=0o600):
        path = self.home / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        path.chmod(mode)
        self.give_to_user(path)
        return path

    def _command(self, arguments):
        prefix = []
        if self.user:
            prefix = root_command("/usr/sbin/runuser", "-u", self.user, "--", "env", "-i", *(f"{k}={v}" for k, v in self.environment().items()))
        return [*prefix, str(binary()), *map(str, arguments)]

    def start(self, *arguments, **popen):
        environment = self.environment(**popen.pop("env", {}))
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
                    "preexec_fn": die_with_parent} | popen  # fmt: skip
        return subprocess.Popen(self._command(arguments), env=environment, cwd=self.home, **settings)

    def mlctr(self, *arguments, status=0, stdin=None, seconds=COMMAND_SECONDS, **more):
        """Runs mlctr, checks its exit status and that it kept every secret; returns (stdout, stderr)."""
        process = self.start(*arguments, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, **more)
        try:
            out, errors = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
            self.fail(f"mlctr {arguments} hung:\n{errors[-2000:]}")
        self.assertNotIn(PASSWORD, out + errors)
        if status is not None:
            self.assertEqual(process.returncode, status, f"mlctr {' '.join(map(str, arguments))}\n{out[-2000:]}{errors[-4000:]}")
        return out, errors

    def pull(self, reference, *arguments, **more):
        return self.mlctr("pull", *arguments, reference, **more)

    def fails(self, *arguments, says=(), hint=True, status=EXIT_OWN_FAILURE, **more):
        """mlctr fails; its message has every one of `says` (regular expressions) and, with `hint`, a hint."""
        out, errors = self.mlctr(*arguments, status=status, **more)
        for pattern in [says] if isinstance(says, str) else says:
            self.assertRegex(errors, re.compile(pattern, re.I | re.S))
        self.assertNotRegex(errors, r"terminate called|std::|\bassert|AddressSanitizer|runtime error", "an internal failure shows")
        if hint:
            self.assertIn("hint:", errors)
        return errors

    def json(self, *arguments):
        return json.loads(self.mlctr(*arguments, "--json")[0])

    def export(self, reference):
        """The image as a file; its path."""
        path = self.home / f"export-{abs(hash(str(reference)))}.sqsh"
        path.unlink(missing_ok=True)
        self.mlctr("export", reference, path)
        return path

    def stored_squashfs(self, reference):
        return pathlib.Path(self.json("inspect", reference)["squashfs"])

    def squashfs_of(self, reference):
        """As one file, which other programs can read."""
        path = self.stored_squashfs(reference)
        return self.export(reference) if is_in_pieces(path) else path

    def store_files(self, part=""):
        root = self.store / part
        return sorted(str(path.relative_to(self.store)) for path in root.rglob("*") if path.is_file()) if root.exists() else []

    def litter(self):
        """What is in the store that is neither whole nor a lock nor a cut download that the next pull goes on with."""
        return [f for f in self.store_files("tmp") if not re.fullmatch(r"tmp/sha256-[0-9a-f-]+\.blob", f)]

    def assert_no_litter(self):
        self.assertEqual(self.litter(), [])

    def assert_empty_but_for_cut_downloads(self):
        self.assertEqual(self.store_files("layers") + self.store_files("images") + self.store_files("references"), [])
        self.assert_no_litter()

    def assert_nothing_stored(self):
        self.assertEqual(self.store_files("images"), [])
        self.assertEqual(self.store_files("references"), [])

    def assert_undisturbed(self, image):
        """The store's layers are those of a pull that nothing troubled, byte for byte (a layer file does not say where it is from)."""
        self.assertEqual(layer_digests(self.store), undisturbed_layers(image))

    def assert_same_tree(self, squashfs, image):
        expected, found = expected_tree(image), tree_of(squashfs)
        for path in VOLATILE_TIMES[image]:
            for listing in (expected, found):
                listing.get(path, {}).pop("mtime", None)
        self.assertEqual(sorted(set(expected) - set(found)), [], "missing from the image")
        self.assertEqual(sorted(set(found) - set(expected)), [], "only in the image")
        wrong = [
            f"{path} {field}: expected {expected[path].get(field)}, found {found[path].get(field)}"
            for path in expected
            for field in sorted(expected[path].keys() | found[path].keys())
            if expected[path].get(field) != found[path].get(field)
        ]
        self.assertEqual(len(wrong), 0, "\n".join(wrong[:40]))
