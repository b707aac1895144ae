"""A real shared filesystem, GlusterFS: its server, and a mount of it for each node that is asked for, all on loopback."""
from fuse_client import mounted
from server import Server, free_port

# https://docs.gluster.org: a volume is a stack of translators; without glusterd, which wants a host of its own, by hand.
SERVER_VOLUME = """\
volume posix
  type storage/posix
  option directory {shared}
end-volume
volume locks
  type features/locks
  subvolumes posix
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.socket.bind-address 127.0.0.1
  option transport.socket.listen-port {port}
  option auth.addr.locks.allow 127.0.0.1
  subvolumes locks
end-volume
"""
CLIENT_VOLUME = """\
volume client
  type protocol/client
  option transport-type tcp
  option remote-host 127.0.0.1
  option remote-port {port}
  option remote-subvolume locks
end-volume
"""


class Gluster(Server):
    """As root. What is shared lies on a disk: it needs xattrs of the trusted namespace, which tmpfs has not everywhere."""

    def __init__(self):
        super().__init__()
        self.directory.chmod(0o755)
        self.shared = self.directory / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)
        self.ports = [free_port()]
        for name, text in (("server", SERVER_VOLUME), ("client", CLIENT_VOLUME)):
            (self.directory / f"{name}.vol").write_text(text.format(shared=self.shared, port=self.ports[0]))

    def command(self):
        return ["glusterfsd", "--no-daemon", f"--volfile={self.directory}/server.vol", "--log-file=-"]

    def node(self):
        """The filesystem as one node mounts it: (its directory, the client's process)."""
        return mounted(["glusterfs", "--no-daemon", f"--volfile={self.directory}/client.vol", f"--log-file={self.directory}/client.log"])
