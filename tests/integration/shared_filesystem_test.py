"""One store for several nodes, on filesystems that are really shared: each blob crosses the network once, and a node that dies
holds up nobody for long. With locks (GlusterFS) and without any (sshfs), where leases take their place."""
import collections
import contextlib
import signal
import time
import unittest

import registries
from gluster import Gluster
from harness import PullTestCase, is_root
from sshfs import Sshfs

SECONDS = 180  # a lease expires after 30


def until(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class SharedStore:
    """Of the two test cases below: `filesystem` makes it; `image` is pulled, whose tree is `tree`, at `rate` where it should take
    its time; `program` prints 42 in it."""

    def setUp(self):
        super().setUp()
        self.assertTrue(is_root(), "a filesystem is mounted")
        self.all = contextlib.ExitStack()
        self.addCleanup(self.all.close)
        served = self.all.enter_context(self.filesystem())
        self.shared = served.shared  # on the server: a node may see it late
        self.nodes = [self.all.enter_context(served.node()) for _ in range(2)]
        self.store = self.nodes[1][0] / "store"  # the one that lives

    def store_of(self, node):
        return {"MLCTR_STORE": str(self.nodes[node][0] / "store")}

    def start_on(self, node, *arguments):
        return self.start(*arguments, env=self.store_of(node))

    def finish(self, processes):
        for process in processes:
            _, errors = process.communicate(timeout=SECONDS)
            self.assertEqual(process.returncode, 0, errors[-2000:])

    def assert_each_blob_once(self, nginx):
        counts = collections.Counter(e["path"] for e in nginx.requests(blob=True) if e["sent"] > 100_000)
        self.assertEqual(set(counts.values()), {1}, counts)

    def test_pulls_on_two_nodes_download_each_blob_once(self):
        with registries.nginx() as nginx:
            host = nginx.host["front"]
            self.configure(host)
            self.finish([self.start_on(number % 2, "pull", "--quiet", f"{host}/{self.image}") for number in range(6)])
            self.assert_each_blob_once(nginx)
        self.assert_same_tree(self.squashfs_of(f"{host}/{self.image}"), self.tree)
        self.assert_undisturbed(self.tree)
        self.assert_no_litter()

    def test_a_node_that_dies_while_it_pulls(self):
        with registries.nginx(slow_rate=self.rate) as nginx:
            host = nginx.host["slow"]
            self.configure(host)
            first = self.start_on(0, "pull", "--quiet", f"{host}/{self.image}")
            self.assertTrue(until(lambda: any(self.shared.glob("store/tmp/sha256-*"))), "it did not begin")
            second = self.start_on(1, "pull", "--quiet", f"{host}/{self.image}")
            first.send_signal(signal.SIGKILL)
            self.nodes[0][1].kill()  # with all that it held
            first.communicate()
            self.finish([second])
        self.assert_undisturbed(self.tree)

    def test_gc_on_one_node_beside_pulls_on_the_other(self):
        host = registries.plain().host
        pulls = [self.start_on(0, "pull", "--quiet", f"{host}/{name}") for name in (self.image, "edge/semantics:1")]
        while any(process.poll() is None for process in pulls):
            self.mlctr("gc", "--max-size", "0")
        self.finish(pulls)
        self.assert_same_tree(self.squashfs_of(f"{host}/{self.image}"), self.tree)

    def test_an_image_runs_on_the_other_node(self):
        host = registries.plain().host
        self.finish([self.start_on(0, "pull", "--quiet", f"{host}/{self.image}")])
        out, _ = self.mlctr("run", f"{host}/{self.image}", *self.program, env={"MLCTR_CONTAINERS": str(self.home / "containers")})
        self.assertEqual(out, "42\n")


class WithLocks(SharedStore, PullTestCase):
    filesystem, image, tree, rate = Gluster, "library/python:3.8", "python", "8m"
    program = ("python3", "-c", "print(6 * 7)")


class WithoutLocks(SharedStore, PullTestCase):
    """With a small image: sshfs reads back over its line what was just written."""

    filesystem, image, tree, rate = Sshfs, "library/busybox:1", "busybox", "300k"
    program = ("sh", "-c", "echo $((6 * 7))")


if __name__ == "__main__":
    unittest.main()
