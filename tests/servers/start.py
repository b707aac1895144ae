#!/usr/bin/python3
"""Serves a registry's storage for a shell script. Usage: coproc { start.py STORAGE [CERTIFICATE-DIRECTORY]; }

Prints one line, "HOST [CA-FILE]", and serves until its standard input ends or its parent dies. With a certificate directory it
speaks TLS with a certificate of an authority made there.
"""
import pathlib
import sys

from certificate import Authority
from docker_registry import DockerRegistry
from server import die_with_parent


def main(storage, certificates=None):
    die_with_parent()
    authority = Authority(certificates) if certificates else None
    with DockerRegistry(pathlib.Path(storage).absolute(), authority and authority.issue("registry")) as registry:
        print(registry.host, authority.certificate if authority else "", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
