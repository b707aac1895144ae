"""A network and a registry at their worst: cuts, stalls, expired tokens, rate limits, wrong bytes."""
import json
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import time
import urllib.request

import harness
from harness import PullTestCase, fixtures
from oci_layout import OCI_LAYER, OCI_MANIFEST, Layout
from server import die_with_parent
from tar_writer import TarWriter

FAULTY = pathlib.Path(__file__).resolve().parent.parent / "servers/faulty_registry.py"
NAME = "library/python"
BLOBS = "/blobs/"


def limited_to(what, amount):
    """To run in the child, before the program."""

    def limit():
        die_with_parent()
        resource.setrlimit(what, (amount, amount))

    return limit


class FaultyRegistry:
    """servers/faulty_registry.py as a process; it ends when its standard input does."""

    def __init__(self, *arguments):
        layouts = [f"--layout={fixtures()}/layouts/{image}={repository}" for image, repository in (("python", NAME), ("busybox", "library/busybox"))]
        self.process = subprocess.Popen(["/usr/bin/python3", FAULTY, *layouts, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, preexec_fn=die_with_parent)  # fmt: skip
        self.host = f"127.0.0.1:{json.loads(self.process.stdout.readline())['port']}"

    def control(self, what, value=None, content_type="application/json"):
        data = value if isinstance(value, bytes) else json.dumps(value).encode() if value is not None else None
        request = urllib.request.Request(f"http://{self.host}/_control/{what}", data, {"Content-Type": content_type})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def fault(self, kind, **more):
        self.control("fault", {"fault": kind, **more})

    def log(self):
        return [json.loads(line) for line in self.control("log").splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class Faults(PullTestCase):
    def registry(self, *arguments):
        """A new one, and a store without what an earlier one left."""
        shutil.rmtree(self.store, ignore_errors=True)
        registry = FaultyRegistry(*arguments)
        self.addCleanup(registry.__exit__)
        self.name = f"{registry.host}/{NAME}:1"
        return registry

    def assert_pulls(self, **more):
        errors = self.pull(self.name, **more)[1]
        self.assert_undisturbed("python")
        self.assert_no_litter()
        return errors

    def test_connections_cut_at_random(self):
        registry = self.registry()
        generator = random.Random(7)
        for _ in range(10):
            registry.fault("cut", path=BLOBS, at=generator.randrange(12_000_000), method="GET")
        self.assert_pulls()
        ranges = [entry for entry in registry.log() if entry["range"]]
        self.assertTrue(ranges, "a cut transfer goes on where it stopped")

    def test_a_stall_is_noticed_and_the_transfer_goes_on(self):
        registry = self.registry()
        registry.fault("stall", path=BLOBS, at=3_000_000, seconds=100)
        self.configure_table('[pull]\nstall_timeout = "2s"\n')
        self.assert_pulls(seconds=60)

    def test_a_slow_trickle_is_no_stall(self):
        registry = self.registry()
        self.name = f"{registry.host}/library/busybox:1"
        registry.fault("trickle", path=BLOBS, bytes=150_000, seconds=1)
        self.configure_table('[pull]\nstall_timeout = "3s"\n')
        self.pull(self.name, seconds=60)
        self.assertFalse([entry for entry in registry.log() if entry["range"]], "it was cut off")

    def test_token_expires_in_the_middle(self):
        registry = self.registry("--auth", "bearer", "--token-requests", "3")
        registry.fault("cut", path=BLOBS, at=2_000_000)
        registry.fault("cut", path=BLOBS, at=2_500_000)
        self.assert_pulls()
        self.assertGreater(len([entry for entry in registry.log() if entry["server"] == "token"]), 1)

    def test_rate_limit_with_retry_after(self):
        registry = self.registry()
        registry.fault("status", status=429, headers={"Retry-After": "2"}, path="/manifests/")
        began = time.monotonic()
        errors = self.assert_pulls()
        self.assertGreater(time.monotonic() - began, 1.9)
        self.assertRegex(errors, "429|rate|retry")

    def test_server_errors_are_retried(self):
        registry = self.registry()
        registry.fault("status", status=503, path=BLOBS, times=3)
        registry.fault("status", status=500, path="/manifests/")
        self.assert_pulls()

    def test_a_server_error_that_stays_is_reported(self):
        registry = self.registry()
        registry.fault("status", status=503, path=BLOBS, times=-1, body='{"errors":[{"code":"UNAVAILABLE","message":"out for lunch"}]}')
        self.fails("pull", self.name, says="503", hint=False, seconds=170)
        self.assert_nothing_stored()

    def test_wrong_bytes(self):
        registry = self.registry()
        registry.fault("wrong", path=BLOBS, at=1_000_000, times=-1)
        self.fails("pull", self.name, says=["sha256:[0-9a-f]{64}.*sha256:[0-9a-f]{64}"], hint=False)
        self.assert_nothing_stored()
        registry.control("clear", {})
        self.assert_pulls()

    def test_a_mirror_with_wrong_blobs_costs_one_line(self):
        for fault in ({"fault": "wrong", "at": 1000}, {"fault": "oversized", "bytes": 1000}, {"fault": "short", "bytes": 1000},
                      {"fault": "oversized", "bytes": 1000, "declared": True}):
            with self.subTest(fault), FaultyRegistry() as mirror:
                registry = self.registry()
                self.configure(registry.host, mirrors=[f"http://{mirror.host}"])
                mirror.control("fault", {**fault, "path": BLOBS, "times": -1})
                errors = self.assert_pulls()
                lines = [line for line in errors.splitlines() if "not asked again" in line]
                self.assertEqual(len(lines), 1, errors)
                self.assertIn(f"mirror {mirror.host}", lines[0])

    def test_a_mirror_whose_layers_alone_are_wrong(self):
        """Config and manifest are checked before they are used, layers only when their last byte is there."""
        with FaultyRegistry() as mirror:
            registry = self.registry()
            self.configure(registry.host, mirrors=[f"http://{mirror.host}"])
            mirror.fault("wrong", path=BLOBS, at=1000, times=-1, skip=1)  # the config comes first
            errors = self.assert_pulls()
            self.assertEqual(errors.count(f"mirror {mirror.host} is not asked again"), 1, errors)
            self.assertRegex(errors, "sha256:[0-9a-f]{64} is corrupt: its content has the digest sha256:[0-9a-f]{64}")
            self.assertTrue([entry for entry in registry.log() if BLOBS in entry["path"]])

    def test_a_mirror_whose_manifest_is_none(self):
        """As a portal answers that wants a sign-in."""
        for body in ("<html>sign in</html>", "{}", '{"schemaVersion": 2, "layers": [{"digest": "sha256:0"}]}'):
            with self.subTest(body), FaultyRegistry() as mirror:
                registry = self.registry()
                self.configure(registry.host, mirrors=[f"http://{mirror.host}"])
                mirror.fault("body", path="/manifests/", body=body, times=-1)
                errors = self.assert_pulls()
                self.assertEqual(errors.count(f"mirror {mirror.host} is not asked again"), 1, errors)
                registry.fault("body", path="/manifests/", body=body, times=-1)
                self.fails("pull", self.name, says=[f"GET http://{registry.host}/v2/\\S+: "], hint=False)

    def test_mirror_and_registry_both_wrong(self):
        with FaultyRegistry() as mirror:
            registry = self.registry()
            self.configure(registry.host, mirrors=[f"http://{mirror.host}"])
            for server in (mirror, registry):
                server.fault("wrong", path=BLOBS, at=1000, times=-1, skip=1 if server is mirror else 0)
            self.fails("pull", self.name, says=["sha256:[0-9a-f]{64} is corrupt.*sha256:[0-9a-f]{64}"], hint=False)
            self.assert_nothing_stored()
            self.assert_no_litter()

    def test_what_a_wrong_mirror_left_in_a_cut_pull(self):
        """The next pull resumes it, finds it wrong, and gets all of it from the first byte."""
        with FaultyRegistry() as mirror:
            registry = self.registry()
            self.configure(registry.host, mirrors=[f"http://{mirror.host}"])
            mirror.fault("wrong", path=BLOBS, at=1000, times=-1, skip=1)
            registry.fault("status", path=BLOBS, status=404, times=-1)
            self.mlctr("pull", self.name, status=125)
            registry.control("clear", {})
            self.assert_pulls()

    def test_oversized_and_short_blobs(self):
        for fault in ({"fault": "oversized", "bytes": 1000}, {"fault": "oversized", "bytes": 1000, "declared": True}, {"fault": "short", "bytes": 1000}):
            with self.subTest(fault):
                registry = self.registry()
                registry.control("fault", {**fault, "path": BLOBS, "times": -1})
                self.fails("pull", self.name, says="sha256:", hint=False, seconds=170)
                self.assert_nothing_stored()
                registry.control("clear", {})
                self.assert_pulls()

    def test_ranges_that_lie(self):
        for fault in ({"fault": "no-range"}, {"fault": "wrong-range", "shift": 1000}):
            with self.subTest(fault):
                registry = self.registry()
                registry.fault("cut", path=BLOBS, at=2_000_000)
                registry.control("fault", {**fault, "path": BLOBS, "times": -1, "skip": 4})
                self.mlctr("pull", self.name, status=None)
                registry.control("clear", {})
                self.assert_pulls()
                self.mlctr("rmi", self.name)
                self.mlctr("gc", "--max-size", "0")

    def test_every_manifest_request_says_what_it_takes(self):
        """Registries answer one without OCI's types in Accept with 404, or with a manifest converted to schema 1."""
        registry = self.registry()
        self.pull(f"{registry.host}/library/busybox:1")
        accepts = [entry["accept"] for entry in registry.log() if "/manifests/" in entry["path"]]
        self.assertTrue(accepts)
        for accept in accepts:
            self.assertIn("application/vnd.oci.image.index.v1+json", accept)
            self.assertIn("application/vnd.docker.distribution.manifest.v2+json", accept)

    def test_chunked_answers(self):
        registry = self.registry()
        registry.fault("chunked", times=-1)
        self.assert_pulls()

    def test_signed_redirects_that_expire(self):
        registry = self.registry("--auth", "basic", "--user", "alice", "--password", harness.PASSWORD)
        self.write(".docker/config.json", {"auths": {registry.host: {"username": "alice", "password": harness.PASSWORD}}})
        registry.fault("redirect", path=BLOBS, times=-1, uses=1)
        registry.fault("cut", path="/signed/", at=2_000_000)
        self.assert_pulls()
        self.assertEqual({entry["authorization"] for entry in registry.log() if entry["server"] == "storage"}, {"none"})

    def test_redirects_to_bad_places(self):
        for location in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:1/", ""):
            with self.subTest(location):
                registry = self.registry()
                registry.fault("location", path=BLOBS, times=-1, location=location)
                errors = self.fails("pull", self.name, hint=False, seconds=170)
                self.assertNotIn("root:", errors)
                self.assert_nothing_stored()

    def test_redirect_loop(self):
        registry = self.registry()
        registry.fault("location", path="/manifests/", times=-1, location=f"http://{registry.host}/v2/{NAME}/manifests/1")
        self.fails("pull", self.name, says="redirect", hint=False)

    def test_a_hundred_megabytes_of_json(self):
        registry = self.registry()
        registry.fault("padding", path="/manifests/", bytes=100 << 20, times=-1)
        began = time.monotonic()
        self.fails("pull", self.name, says="large|limit|MiB|bytes", hint=False)
        self.assertLess(time.monotonic() - began, 30)

    def test_html_instead_of_json(self):
        registry = self.registry()
        registry.fault("body", path="/manifests/", body="<html>Sign in to the guest network</html>", headers={"Content-Type": "text/html"}, times=-1)
        self.fails("pull", self.name, hint=False)
        self.assert_nothing_stored()

    def test_escape_sequences_of_a_server_are_not_printed(self):
        registry = self.registry()
        registry.fault("status", status=400, times=-1, body='{"errors":[{"code":"X","message":"\\u001b[2J\\u001b]0;owned\\u0007"}]}')
        errors = self.fails("pull", self.name, hint=False)
        self.assertNotIn("\x1b", errors)

    def test_interrupted_while_the_server_hangs(self):
        registry = self.registry()
        registry.fault("hang", path="/manifests/", times=-1)
        process = self.start("pull", self.name)
        time.sleep(1)
        began = time.monotonic()
        process.send_signal(2)
        process.communicate(timeout=20)
        self.assertLess(time.monotonic() - began, 2)


class LowLimits(PullTestCase):
    """What login nodes do to a session with ulimit."""

    def setUp(self):
        super().setUp()
        self.layout = f"oci:{fixtures()}/layouts/python:1"

    def test_address_space(self):
        ends = set()
        for mebibytes in (*range(40, 160, 8), 200, 300, 500, 4000):
            with self.subTest(f"ulimit -v {mebibytes << 10}"):
                shutil.rmtree(self.store, ignore_errors=True)
                limit = limited_to(resource.RLIMIT_AS, mebibytes << 20)
                process = self.start("pull", "--quiet", self.layout, env={"MLCTR_PULL_THREADS": 4}, preexec_fn=limit)
                _, errors = process.communicate(timeout=harness.COMMAND_SECONDS)
                ends.add(process.returncode)
                if process.returncode == 127:
                    continue  # not even the program's libraries fit
                if "Fatal Internal Error in libarchive" in errors:
                    # It ends the program by itself then, from two threads at once perhaps, where exit(3) may crash.
                    self.assertIn(process.returncode, (1, -signal.SIGSEGV))
                    continue
                self.assertIn(process.returncode, (0, harness.EXIT_OWN_FAILURE), errors)
                if process.returncode != 0:
                    self.assertRegex(errors, "cannot start a thread to|out of memory|[Cc]annot allocate memory|failed to map segment")
                    self.assertRegex(errors, "hint: (?!install)")
                    self.assert_nothing_stored()
        self.assertLessEqual({0, harness.EXIT_OWN_FAILURE}, ends, "the sweep must meet both ends")

    def test_file_size(self):
        self.fails("pull", self.layout, says=["File too large", "ulimit -f"], preexec_fn=limited_to(resource.RLIMIT_FSIZE, 1 << 20))
        self.assert_nothing_stored()
        self.assert_no_litter()
        self.pull(self.layout)
        self.assert_undisturbed("python")


class ForeignLayers(PullTestCase):
    def publish(self, registry, urls):
        """An image whose one layer the registry itself does not have."""
        layout = Layout(self.home / "layout")
        tar = TarWriter().file("foreign", "from elsewhere").bytes()
        layer, diff_id = layout.layer(tar)
        blob = (layout.path / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
        layer = {**layer, "mediaType": OCI_LAYER.replace("v1.tar", "nondistributable.v1.tar") + "+gzip", "urls": urls(layer["digest"])}
        image = layout.image([(layer, diff_id)])
        manifest = (layout.path / "blobs" / image["digest"].replace(":", "/")).read_bytes()
        config = (layout.path / "blobs" / json.loads(manifest)["config"]["digest"].replace(":", "/")).read_bytes()
        registry.control("blob", config, "application/octet-stream")
        registry.control("manifest/foreign:1", manifest, OCI_MANIFEST)
        return blob

    def test_layer_by_url(self):
        with FaultyRegistry("--auth", "basic", "--user", "alice", "--password", harness.PASSWORD) as registry, FaultyRegistry() as elsewhere:
            self.write(".docker/config.json", {"auths": {registry.host: {"username": "alice", "password": harness.PASSWORD}}})
            blob = self.publish(registry, lambda digest: [f"http://{elsewhere.host}/missing", f"http://{elsewhere.host}/v2/any/blobs/{digest}"])
            elsewhere.control("blob", blob, "application/octet-stream")
            self.pull(f"{registry.host}/foreign:1")
            self.assertEqual({entry["authorization"] for entry in elsewhere.log()}, {"none"}, "a url is another host")

    def test_urls_that_must_not_be_followed(self):
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/x"):
            with self.subTest(url), FaultyRegistry() as registry:
                self.publish(registry, lambda digest, url=url: [url])
                self.fails("pull", f"{registry.host}/foreign:1", hint=False)
                self.assert_nothing_stored()
