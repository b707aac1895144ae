#!/usr/bin/python3
"""The token half of registry authentication (distribution's docs/spec/auth: token.md, oauth.md, jwt.md).

Anonymous users may pull library/ and edge/; known users may pull and push everything. GET takes Basic, POST a password or a refresh token. Every
request is logged as one JSON line, without secrets, to requests.jsonl. As a class it starts itself as a process.
"""
import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse

from server import Server, free_port

OPEN_PREFIXES = ("library/", "edge/")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer(Server):
    service, issuer = "mlctr-test-registry", "mlctr-test-issuer"

    def __init__(self, tls, users, valid_seconds=300):
        super().__init__()
        self.port = free_port()
        self.ports = [self.port]
        self.realm = f"https://127.0.0.1:{self.port}/token"
        self.signing_certificate = tls[0]
        self.requests_log = self.directory / "requests.jsonl"
        settings = {"port": self.port, "certificate": str(tls[0]), "key": str(tls[1]), "users": users,
                    "valid_seconds": valid_seconds, "log": str(self.requests_log)}  # fmt: skip
        (self.directory / "settings.json").write_text(json.dumps(settings))

    def command(self):
        return ["/usr/bin/python3", __file__, str(self.directory / "settings.json")]

    def requests(self):
        return [json.loads(line) for line in self.requests_log.read_text().splitlines()] if self.requests_log.exists() else []

    @staticmethod
    def refresh_token(user):
        return f"refresh-token-of-{user}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query), self._basic_user())

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        users = self.server.settings["users"]
        kind = form.get("grant_type", [""])[0]
        if kind == "refresh_token":
            users_by_token = {TokenServer.refresh_token(user): user for user in users}
            user = users_by_token.get(form["refresh_token"][0], False)
        else:
            name = form.get("username", [""])[0]
            user = name if users.get(name) == form.get("password", [None])[0] else False
        self._answer(form, user, kind)

    def _basic_user(self):
        """A user's name, None for nobody, False for a wrong password."""
        header = self.headers.get("Authorization", "")
        if not header.startswith("Basic "):
            return None
        name, _, password = base64.b64decode(header[6:]).decode().partition(":")
        return name if self.server.settings["users"].get(name) == password else False

    def _answer(self, query, user, grant="basic"):
        scopes = " ".join(query.get("scope", [])).split()
        self._log(user, scopes, grant)
        if user is False:
            return self._send(401, {"details": "incorrect username or password"})
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            if kind == "repository" and (user or name.startswith(OPEN_PREFIXES)):
                access.append({"type": kind, "name": name, "actions": [a for a in actions.split(",") if a == "pull" or user]})
        seconds = self.server.settings["valid_seconds"]
        token = self._sign(user or "", access, seconds)
        self._send(200, {"token": token, "access_token": token, "expires_in": seconds})

    def _sign(self, subject, access, seconds):
        settings, now = self.server.settings, int(time.time())
        certificate = ssl.PEM_cert_to_DER_cert(pathlib.Path(settings["certificate"]).read_text())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(certificate).decode()]}
        claims = {"iss": TokenServer.issuer, "sub": subject, "aud": TokenServer.service, "exp": now + seconds, "nbf": now - 10,
                  "iat": now, "jti": str(time.time_ns()), "access": access}  # fmt: skip
        body = base64url(json.dumps(header).encode()) + "." + base64url(json.dumps(claims).encode())
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", settings["key"]], input=body.encode(), capture_output=True, check=True)
        return body + "." + base64url(signed.stdout)

    def _log(self, user, scopes, grant):
        with open(self.server.settings["log"], "a") as log:
            log.write(json.dumps({"method": self.command, "user": user, "scopes": scopes, "grant": grant}) + "\n")

    def _send(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(settings_path):
    settings = json.loads(pathlib.Path(settings_path).read_text())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", settings["port"]), Handler)
    server.settings = settings
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["certificate"], settings["key"])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
