"""Debian's docker-registry on loopback: plain or TLS, open, with htpasswd or with tokens. Storage may be shared when read-only."""
import json
import subprocess

from server import Server, free_port


class DockerRegistry(Server):
    """`tls`: (certificate, key) or None. `users`: {name: password} for htpasswd. `token`: a TokenServer to send clients to."""

    def __init__(self, storage, tls, users=None, token=None, foreign_urls=False):
        super().__init__()
        self.port = free_port()
        self.ports = [self.port]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        config = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(storage), "maxthreads": 200},
                "delete": {"enabled": False},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": self.host, "secret": "test", "relativeurls": True},
            "health": {"storagedriver": {"enabled": False}},
        }
        if tls:
            config["http"]["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
        if foreign_urls:
            config["validation"] = {"manifests": {"urls": {"allow": ["^https?://127\\.0\\.0\\.1"]}}}
        if users:
            config["auth"] = {"htpasswd": {"realm": "mlctr-test", "path": str(self._htpasswd(users))}}
        if token:
            config["auth"] = {
                "token": {
                    "realm": token.realm,
                    "service": token.service,
                    "issuer": token.issuer,
                    "rootcertbundle": str(token.signing_certificate),
                }
            }
        self.config = self.directory / "config.yml"
        self.config.write_text(json.dumps(config))  # JSON is YAML

    def _htpasswd(self, users):
        path = self.directory / "htpasswd"
        lines = [
            subprocess.run(["htpasswd", "-nbBi", name], input=password, capture_output=True, text=True, check=True).stdout.strip()
            for name, password in users.items()
        ]
        path.write_text("\n".join(lines) + "\n")
        return path

    def command(self):
        return ["docker-registry", "serve", str(self.config)]
