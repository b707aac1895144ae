"""What a node mounts a shared filesystem with: a process that serves the mount, and may be killed as a node that dies."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

from server import die_with_parent

MOUNT_SECONDS = 20


@contextlib.contextmanager
def mounted(command):
    """`command`, which takes the place to mount at as its last word and stays: (that place, the process)."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mlctr-node-"))
    client = subprocess.Popen([*command, str(place)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        deadline = time.monotonic() + MOUNT_SECONDS
        while not os.path.ismount(place):
            if client.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not mount")
            time.sleep(0.02)
        yield place, client
    finally:
        client.kill()
        client.wait()
        subprocess.run(["umount", "--lazy", place], capture_output=True)
        place.rmdir()
