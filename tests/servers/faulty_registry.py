#!/usr/bin/env python3
"""A container registry that misbehaves on demand: for what real registries won't do when a test asks.

    faulty_registry.py [--layout DIR=REPOSITORY]... [--port N] [--tls CERT.pem KEY.pem] [--log FILE.jsonl]
                       [--auth anonymous|basic|bearer] [--user NAME --password P] [--refresh-token T] [--no-post]
                       [--realm URL] [--token-seconds N] [--token-requests N] [--token-bytes N] [--fault JSON]...

Python's standard library only; HTTP/1.1 with keep-alive, a thread a connection. Listens on 127.0.0.1 and prints one line
of JSON when ready: {"port": P, "storage_port": S}. Port S is a second origin, for redirects: it serves GET /signed/DIGEST
with a signature, and like S3 answers 400 where a request carries Authorization. Ends when its standard input closes, so
that no test leaves one behind (give it /dev/null only with --detached).

What it serves: OCI layouts (--layout DIR=library/python: every tag of index.json and all blobs) and what tests put there
through the control endpoint, which takes no authentication and is never logged:

    POST /_control/blob                        body: the bytes               -> {"digest": …, "size": …}
    POST /_control/random-blob                 {"bytes": N, "seed": S}       -> {"digest": …, "size": …}
    POST /_control/manifest/REPOSITORY:TAG     body, with its Content-Type   -> {"digest": …, "size": …}
    POST /_control/fault                       one fault (below)
    POST /_control/clear                       forgets all faults
    POST /_control/settings                    {"auth": …, "realm": …, "token_seconds": …, …}: as on the command line
    POST /_control/expire-tokens               every token given so far is refused from now on
    GET  /_control/log                         the requests so far, JSON lines as in --log; waits a second for those under way

Authentication: `basic` takes --user/--password; `bearer` sends clients to /token, which gives tokens by GET (anonymous, or
Basic) and by POST (grant_type=refresh_token; 405 with --no-post). A token is refused after --token-seconds, or once it was
used for --token-requests requests, or once --token-bytes of blobs were sent for it: a transfer goes on then, but its next
request is answered 401.

A fault is an object {"fault": KIND, "path": REGEX of the path (default: any), "method": (any), "times": N (default 1, -1
for ever), "skip": N (let the first N matching requests pass)} and, by its kind:

    cut         "at": N               closes the connection after N bytes of this answer's body
    stall       "at": N, "seconds": S sends nothing more for S seconds, then closes the connection
    trickle     "bytes": N, "seconds": S   sends N bytes every S seconds
    status      "status": 429, "headers": {"Retry-After": "1"}, "body": "…"     answers that instead
    wrong       "at": N               inverts the byte of the blob at offset N
    oversized   "bytes": N            appends N bytes; "declared": true puts them into Content-Length too
    short       "bytes": N            leaves off the last N bytes, Content-Length too
    no-range    "at": N               ignores Range: 200 and the whole blob, cut after N bytes where `at` is given
    wrong-range "shift": N            answers a Range with 206 and bytes from N further on
    chunked     -                     no Content-Length
    redirect    "seconds": N, "uses": N   307 to the storage port, signed, valid N seconds (60) and N times (any)
    location    "location": URL, "status": 307   redirects there, whatever was asked and by whomever
    padding     "bytes": N            answers 200 and N bytes of valid JSON
    body        "body": TEXT, "headers": {…}   answers 200 and that
    hang        -                     reads the request and never answers
    cut-upload  "at": N, "keep": BOOL closes the connection after N bytes of a PATCH's body, which it keeps or not
    short-patch "bytes": N            takes the first N bytes of a PATCH only, and says so
    forget      -                     of a PATCH or PUT: has no such upload (any more)
    elsewhere   -                     of a POST for an upload: the bytes are to go to the storage port
    wrong-name  -                     of a PUT: answers with another digest than the blob's

The log has one line a request: {"server": "registry"|"storage"|"token", "method", "path", "range", "authorization":
"none"|"basic"|"bearer"|"other", "fresh": whether the bearer token was good, "status", "bytes": of the body sent, "agent",
"accept", "scope": of a token request, "fault": its kind or null, "connection": a number, the same for all its requests}. Credentials, tokens and signatures are never in it.
"""

import argparse
import base64
import itertools
import json
import re
import secrets
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.dont_write_bytecode = True
from faulty_registry_state import State, sha256  # noqa: E402
from faulty_uploads import Uploads  # noqa: E402

CHUNK = 64 * 1024


class Cut(Exception):
    """The connection ends here, in the middle of an answer."""


class Handler(Uploads, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    server_name = "registry"
    connection_numbers = itertools.count(1)

    def setup(self):
        super().setup()
        self.connection_number = next(Handler.connection_numbers)

    def log_message(self, *_):
        pass

    @property
    def state(self):
        return self.server.state

    def do_GET(self):
        self.answer("GET")

    def do_HEAD(self):
        self.answer("HEAD")

    def do_POST(self):
        self.answer("POST")

    def do_PUT(self):
        self.answer("PUT")

    def do_PATCH(self):
        self.answer("PATCH")

    def answer(self, method):
        # A PATCH's is read when it is known what is to go wrong with it.
        self.request_body = b"" if method == "PATCH" else self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.path_only, _, query = self.path.partition("?")
        self.query = urllib.parse.parse_qs(query)
        self.status_sent, self.bytes_sent, self.token, self.token_good, self.scope = None, 0, None, None, None
        self.is_logged = False
        if self.path_only.startswith("/_control/"):
            return self.control(self.path_only[len("/_control/"):])
        with self.state.busy():
            self.answer_or_break(method)

    def answer_or_break(self, method):
        self.fault = self.state.take_fault(method, self.path_only)
        try:
            if method == "PATCH":
                self.read_chunk()
            if not self.answer_by_fault():
                self.route(method)
        except (Cut, ConnectionError, ssl.SSLError):
            self.close_connection = True
            # The answer announced more: no half-sent body must look whole.
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        finally:
            self.log_once()

    def log_once(self):
        if self.is_logged:
            return
        self.is_logged = True
        value = self.headers.get("Authorization", "")
        kind = value.split(" ")[0].lower() if value else "none"
        entry = {
            "server": "token" if self.path_only == "/token" else self.server_name,
            "method": self.command,
            "path": self.path_only,
            "range": self.headers.get("Range"),
            "content_range": self.headers.get("Content-Range"),
            "authorization": kind if kind in ("none", "basic", "bearer") else "other",
            "fresh": self.token_good,
            "status": self.status_sent,
            "bytes": self.bytes_sent,
            "agent": self.headers.get("User-Agent"),
            "accept": self.headers.get("Accept"),
            "scope": self.scope,
            "fault": self.fault.get("fault"),
            "connection": self.connection_number,
        }
        self.state.log(entry)

    # --- answers

    def send(self, status, body=b"", content_type="application/json", headers=None):
        self.status_sent = status
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        declared = len(body)
        if self.fault.get("fault") == "oversized":
            extra = self.fault["bytes"]
            body += b"\xaa" * extra
            declared += extra if self.fault.get("declared") else 0
        if self.fault.get("fault") == "short":
            body = body[:len(body) - self.fault["bytes"]]
            declared = len(body)
        if self.fault.get("fault") in ("chunked", "oversized") and not self.fault.get("declared"):
            # Without a length the end of the connection ends the body.
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(declared))
        if not body or self.command == "HEAD":
            self.log_once()
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body)

    def send_body(self, body):
        kind = self.fault.get("fault")
        end = len(body)
        step = CHUNK
        breaks = kind in ("cut", "stall") or kind == "no-range" and "at" in self.fault
        if breaks:
            end = min(end, self.fault["at"])
        if kind == "trickle":
            step = self.fault["bytes"]
        for start in range(0, end, step):
            piece = body[start:min(start + step, end)]
            self.bytes_sent += len(piece)
            if self.token:
                self.state.charge_token(self.token, len(piece))
            # Before the client has all of it, so that it finds the line when it looks.
            if start + step >= end:
                self.log_once()
            self.wfile.write(piece)
            if kind == "trickle":
                time.sleep(self.fault["seconds"])
        if kind == "stall":
            time.sleep(self.fault["seconds"])
        if breaks:
            raise Cut()

    def send_error_json(self, status, code, message, headers=None):
        self.send(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers=headers)

    def answer_by_fault(self):
        fault, kind = self.fault, self.fault.get("fault")
        if kind == "status":
            body = fault.get("body", json.dumps({"errors": [{"code": "FAULT", "message": "as the test wants it"}]}))
            self.send(fault["status"], body.encode(), headers=fault.get("headers"))
        elif kind == "location":
            self.send(fault.get("status", 307), headers={"Location": fault["location"]})
        elif kind == "body":
            self.send(200, fault["body"].encode(), headers=fault.get("headers"))
        elif kind == "padding":
            self.send(200, b'{"padding": "' + b"x" * (fault["bytes"] - 15) + b'"}')
        elif kind == "hang":
            self.log_once()
            time.sleep(fault.get("seconds", 3600))
            raise Cut()
        else:
            return False
        return True

    # --- who may

    def challenge(self):
        if self.state.settings["auth"] == "basic":
            return {"WWW-Authenticate": 'Basic realm="faulty registry"'}
        realm = self.state.settings["realm"] or self.state.origin + "/token"
        match = re.match(r"/v2/(.+)/(?:manifests|blobs|tags)/", self.path_only)
        actions = "pull" if self.command in ("GET", "HEAD") else "pull,push"
        scope = f',scope="repository:{match.group(1)}:{actions}"' if match else ""
        return {"WWW-Authenticate": f'Bearer realm="{realm}",service="faulty, registry"{scope}'}

    def is_allowed(self):
        auth = self.state.settings["auth"]
        value = self.headers.get("Authorization", "")
        if auth == "basic":
            return self.has_password(value)
        if auth == "bearer":
            self.token = value[len("Bearer "):] if value.startswith("Bearer ") else None
            self.token_good = self.token is not None and self.state.use_token(self.token)
            return self.token_good
        return True

    def has_password(self, value):
        wanted = f"{self.state.settings['user']}:{self.state.settings['password']}"
        return value == "Basic " + base64.b64encode(wanted.encode()).decode()

    def give_token(self, method):
        value = self.headers.get("Authorization", "")
        form = urllib.parse.parse_qs(self.request_body.decode()) if method == "POST" else self.query
        self.scope = " ".join(form.get("scope", []))
        if method == "POST":
            if self.state.settings["no_post"]:
                return self.send(405)
            good = form.get("refresh_token") == [self.state.settings["refresh_token"]] and \
                form.get("grant_type") == ["refresh_token"] and form.get("client_id") == ["mlctr"]
        elif value:
            as_password = f":{self.state.settings['refresh_token']}".encode()
            good = self.has_password(value) or value == "Basic " + base64.b64encode(as_password).decode()
        else:
            good = not self.state.settings["user"]
        if not good:
            return self.send(401, b'{"details": "incorrect username or password"}')
        if form.get("service") != ["faulty, registry"]:
            return self.send(400, b'{"details": "wrong service"}')
        answer = {"access_token" if method == "POST" else "token": self.state.new_token()}
        if self.state.settings["token_seconds"]:
            answer["expires_in"] = self.state.settings["token_seconds"]
        self.send(200, json.dumps(answer).encode())

    # --- what there is

    def route(self, method):
        if self.path_only == "/token":
            return self.give_token(method)
        if not self.is_allowed():
            return self.send_error_json(401, "UNAUTHORIZED", "authentication required", self.challenge())
        if self.fault.get("fault") == "redirect":
            return self.redirect()
        if self.route_upload(method):
            return
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags)/([^/]+)", self.path_only)
        if self.path_only == "/v2/":
            self.send(200, b"{}")
        elif match and match.group(2) == "manifests":
            self.send_manifest(match.group(1), match.group(3))
        elif match and match.group(2) == "blobs":
            self.send_blob(match.group(3))
        elif match and match.group(3) == "list":
            self.send_tags(match.group(1))
        else:
            self.send_error_json(404, "NOT_FOUND", "no such page")

    def send_manifest(self, repository, selector):
        found = self.state.manifests.get((repository, selector))
        if found is None:
            return self.send_error_json(404, "MANIFEST_UNKNOWN", "manifest unknown")
        body, content_type = found
        digest = sha256(body)
        if self.fault.get("fault") == "wrong":
            body = self.with_wrong_byte(body)
        self.send(200, body, content_type, {"Docker-Content-Digest": digest})

    def send_tags(self, repository):
        tags = sorted(t for r, t in self.state.manifests if r == repository and ":" not in t)
        if not tags:
            return self.send_error_json(404, "NAME_UNKNOWN", "repository name not known to registry")
        last, count = self.query.get("last", [""])[0], int(self.query.get("n", ["100"])[0])
        rest = [t for t in tags if t > last]
        headers = {}
        if len(rest) > count:
            headers["Link"] = f'</v2/{repository}/tags/list?n={count}&last={rest[count - 1]}>; rel="next"'
        self.send(200, json.dumps({"name": repository, "tags": rest[:count]}).encode(), headers=headers)

    def with_wrong_byte(self, body):
        at = self.fault["at"]
        return body[:at] + bytes([body[at] ^ 0xff]) + body[at + 1:]

    def send_blob(self, digest):
        body = self.state.blob(digest)
        if body is None:
            return self.send_error_json(404, "BLOB_UNKNOWN", "blob unknown to registry")
        kind = self.fault.get("fault")
        if kind == "wrong":
            body = self.with_wrong_byte(body)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted or kind == "no-range":
            return self.send(200, body, "application/octet-stream", {"Accept-Ranges": "bytes"})
        first = int(wanted.group(1)) + (self.fault["shift"] if kind == "wrong-range" else 0)
        last = min(int(wanted.group(2) or len(body) - 1), len(body) - 1)
        if first > last:
            return self.send(416, headers={"Content-Range": f"bytes */{len(body)}"})
        self.send(206, body[first:last + 1], "application/octet-stream",
                  {"Content-Range": f"bytes {first}-{last}/{len(body)}"})

    def redirect(self):
        signature = secrets.token_urlsafe(16)
        digest = self.path_only.rsplit("/", 1)[-1]
        with self.state.lock:
            self.state.signatures[signature] = {
                "digest": digest,
                "until": time.monotonic() + self.fault.get("seconds", 60),
                "uses": self.fault.get("uses"),
            }
        self.send(307, headers={"Location": f"{self.state.storage_origin}/signed/{digest}?X-Signature={signature}"})

    # --- the tests' own entrance

    def control(self, action):
        self.fault = {}
        self.is_logged = True  # the tests' own requests are not what they count
        answer = self.state.control(action, self.request_body, self.headers.get("Content-Type", "application/json"))
        if answer is None:
            return self.send(404)
        self.send(200, answer.encode())


class StorageHandler(Handler):
    """What object storage does behind a registry's redirect."""

    server_name = "storage"

    def route(self, method):
        if self.headers.get("Authorization"):
            return self.send(400, b"<Code>InvalidArgument</Code>", "application/xml")
        if self.route_upload(method):
            return
        signature = self.query.get("X-Signature", [""])[0]
        with self.state.lock:
            known = self.state.signatures.get(signature)
            good = known is not None and self.path_only == "/signed/" + known["digest"]
            good = good and time.monotonic() < known["until"] and known["uses"] != 0
            if good and known["uses"] is not None:
                known["uses"] -= 1
        if not good:
            return self.send(403, b"<Code>AccessDenied</Code>", "application/xml")
        self.send_blob(known["digest"])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, handler, state, tls):
        super().__init__(("127.0.0.1", port), handler)
        self.state = state
        self.tls = tls

    def finish_request(self, request, client_address):
        # The handshake belongs to the connection's own thread: a client that never starts it must not stop the others.
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.RequestHandlerClass(request, client_address, self)

    def handle_error(self, request, client_address):
        """Broken connections are this server's business."""


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", action="append", default=[], metavar="DIR=REPOSITORY")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--auth", choices=["anonymous", "basic", "bearer"], default="anonymous")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--refresh-token")
    parser.add_argument("--no-post", action="store_true")
    parser.add_argument("--realm", metavar="URL")
    parser.add_argument("--token-seconds", type=int)
    parser.add_argument("--token-requests", type=int)
    parser.add_argument("--token-bytes", type=int)
    parser.add_argument("--fault", action="append", default=[], metavar="JSON")
    parser.add_argument("--detached", action="store_true")
    return parser.parse_args()


def main():
    options = parse_options()
    state = State(options)
    for layout in options.layout:
        directory, _, repository = layout.rpartition("=")
        state.add_layout(directory, repository)
    state.faults = [json.loads(fault) for fault in options.fault]
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*options.tls)
    registry = Server(options.port, Handler, state, tls)
    storage = Server(0, StorageHandler, state, tls)
    scheme = "https" if tls else "http"
    state.origin = f"{scheme}://127.0.0.1:{registry.server_port}"
    state.storage_origin = f"{scheme}://127.0.0.1:{storage.server_port}"
    for server in (registry, storage):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": registry.server_port, "storage_port": storage.server_port}), flush=True)
    if options.detached:
        threading.Event().wait()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
