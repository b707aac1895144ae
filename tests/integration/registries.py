"""The servers tests pull from, each started when first asked for and stopped when the tests end."""
import atexit
import functools

from docker_registry import DockerRegistry
from harness import USERS, certificate, fixtures, shared_directory
from nginx import Nginx
from token_server import TokenServer


def _running(server):
    server.start()
    atexit.register(server.stop)
    return server


def _storage():
    return fixtures() / "registry"


@functools.cache
def plain():
    return _running(DockerRegistry(_storage(), tls=None))


@functools.cache
def tls():
    return _running(DockerRegistry(_storage(), certificate()))


@functools.cache
def htpasswd():
    return _running(DockerRegistry(_storage(), certificate(), users=USERS))


@functools.cache
def token_server():
    return _running(TokenServer(certificate(), USERS))


@functools.cache
def token():
    return _running(DockerRegistry(_storage(), certificate(), token=token_server()))


@functools.cache
def writable():
    """An empty one to push to, which takes foreign layers' urls on loopback."""
    return _running(DockerRegistry(shared_directory("storage"), tls=None, foreign_urls=True))


def nginx(**settings):
    """One of its own a test, for its log: a context manager."""
    return Nginx(certificate(), plain(), _storage(), **settings)


@functools.cache
def writable_htpasswd():
    return _running(DockerRegistry(shared_directory("storage"), certificate(), users=USERS))


@functools.cache
def writable_token():
    return _running(DockerRegistry(shared_directory("storage"), certificate(), token=token_server()))
