"""A shared filesystem without locks, as NFS with nolock: sshfs, each node's with an sftp server of its own in place of ssh."""
import pathlib
import shutil
import tempfile

from fuse_client import mounted

SFTP_SERVER = "/usr/lib/openssh/sftp-server"


class Sshfs:
    """A context manager."""

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-sshfs-"))
        self.directory.chmod(0o755)
        self.shared = self.directory / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)
        self.ssh = self.directory / "ssh"
        self.ssh.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n")
        self.ssh.chmod(0o755)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def node(self):
        """The filesystem as one node mounts it: (its directory, the client's process)."""
        return mounted(["sshfs", "-f", "-o", f"ssh_command={self.ssh}", f"nobody:{self.shared}"])
