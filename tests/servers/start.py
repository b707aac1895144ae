#!/usr/bin/python3
"""Serves a registry's storage for a shell script. Usage: coproc { start.py STORAGE [CERTIFICATE-DIRECTORY]; }

Prints one line, "HOST [CA-FILE]", and serves until its standard input ends or its parent dies. With a certificate directory it
speaks TLS with a certificate of an authority made there.
"""
import pathlib
import signal
import sys

from certificate import Authority
from docker_registry import DockerRegistry
from server import die_with_parent


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough: the next would interrupt the cleaning up
    sys.exit()


def main(storage, certificates=None):
    signal.signal(signal.SIGTERM, stop)  # by default it ends a program without its cleaning up
    die_with_parent()
    authority = Authority(certificates) if certificates else None
    with DockerRegistry(pathlib.Path(storage).absolute(), authority and authority.issue("registry")) as registry:
        print(registry.host, authority.certificate if authority else "", flush=True)
        sys.stdin.read()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent's death often follows


if __name__ == "__main__":
    main(*sys.argv[1:])
