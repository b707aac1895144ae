"""The half of faulty_registry.py that takes images: uploads in chunks, and manifests (OCI distribution spec, "Push")."""

import re
import secrets

from faulty_registry_state import sha256

UPLOADS = re.compile(r"/v2/(.+)/blobs/uploads/(.*)")


class Cut(ConnectionError):
    """The connection ends here, in the middle of a request."""


class Uploads:
    def read_chunk(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.fault.get("fault") != "cut-upload":
            self.request_body = self.rfile.read(length)
            return
        received = self.rfile.read(min(length, self.fault["at"]))
        match = UPLOADS.fullmatch(self.path_only)
        if self.fault.get("keep") and match and match.group(2) in self.state.uploads:
            self.state.uploads[match.group(2)] += received
        raise Cut()

    def route_upload(self, method):
        """True where the request was for here."""
        match = UPLOADS.fullmatch(self.path_only)
        if match and method == "POST":
            self.begin_upload(match.group(1))
        elif match and method in ("PATCH", "PUT", "GET"):
            self.go_on(method, match.group(1), match.group(2))
        elif method == "PUT" and (match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", self.path_only)):
            self.take_manifest(match.group(1), match.group(2))
        else:
            return False
        return True

    def begin_upload(self, repository):
        name = secrets.token_hex(8)
        self.state.uploads[name] = b""
        self.upload_origin = self.state.storage_origin if self.fault.get("fault") == "elsewhere" else ""
        self.send(202, headers=self.upload_headers(repository, name))

    def upload_headers(self, repository, name):
        held = len(self.state.uploads[name])
        origin = getattr(self, "upload_origin", "")
        return {"Location": f"{origin}/v2/{repository}/blobs/uploads/{name}?_state={secrets.token_hex(4)}",
                "Range": f"0-{max(held - 1, 0)}"}  # fmt: skip

    def go_on(self, method, repository, name):
        kind = self.fault.get("fault")
        if kind == "forget":
            self.state.uploads.pop(name, None)
        if name not in self.state.uploads or not self.query.get("_state"):
            return self.send_error_json(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if method == "GET":
            return self.send(204, headers=self.upload_headers(repository, name))
        if method == "PUT":
            return self.end_upload(name)
        begin = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range") or "")
        if not begin or int(begin.group(1)) != len(self.state.uploads[name]) or \
                int(begin.group(2)) - int(begin.group(1)) + 1 != len(self.request_body):
            return self.send(416, headers=self.upload_headers(repository, name))
        self.state.uploads[name] += self.request_body[:self.fault["bytes"]] if kind == "short-patch" else self.request_body
        self.send(202, headers=self.upload_headers(repository, name))

    def end_upload(self, name):
        body = self.state.uploads[name] + self.request_body
        digest = sha256(body)
        if self.query.get("digest") != [digest]:
            return self.send_error_json(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.state.uploads.pop(name)
        self.state.add_blob(body)
        shown = sha256(b"something else") if self.fault.get("fault") == "wrong-name" else digest
        # The answer is what gets lost, not what was done.
        self.send(201, b"{}", headers={"Docker-Content-Digest": shown})

    def take_manifest(self, repository, tag):
        digest = sha256(self.request_body)
        kept = (self.request_body, self.headers.get("Content-Type"))
        self.state.add_blob(self.request_body)
        self.state.manifests[repository, tag] = self.state.manifests[repository, digest] = kept
        self.send(201, b"{}", headers={"Docker-Content-Digest": digest})
