"""What faulty_registry.py's connections share: contents, faults, tokens, signatures and the log."""

import contextlib
import hashlib
import json
import os
import random
import re
import secrets
import threading
import time

SETTINGS = ("auth", "user", "password", "refresh_token", "no_post", "realm", "token_seconds", "token_requests",
            "token_bytes")


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class State:
    """What all connections share."""

    def __init__(self, options):
        self.lock = threading.Lock()
        self.idle = threading.Condition()
        self.active = 0
        self.settings = {name: getattr(options, name, None) for name in SETTINGS}
        self.blobs = {}        # digest -> bytes, or the path of a file
        self.manifests = {}    # (repository, tag or digest) -> (bytes, content type)
        self.uploads = {}      # id -> bytes
        self.faults = []
        self.tokens = {}       # token -> {"until", "requests", "bytes"}
        self.signatures = {}   # signature -> {"digest", "until", "uses"}
        self.log_lines = []
        self.log_file = open(options.log, "a", buffering=1) if options.log else None
        self.origin = ""
        self.storage_origin = ""

    @contextlib.contextmanager
    def busy(self):
        with self.idle:
            self.active += 1
        try:
            yield
        finally:
            with self.idle:
                self.active -= 1
                self.idle.notify_all()

    def wait_until_idle(self):
        with self.idle:
            self.idle.wait_for(lambda: self.active == 0, timeout=1)

    def log(self, entry):
        line = json.dumps(entry)
        with self.lock:
            self.log_lines.append(line)
            if self.log_file:
                self.log_file.write(line + "\n")

    def add_layout(self, directory, repository):
        blob_directory = os.path.join(directory, "blobs", "sha256")
        for name in os.listdir(blob_directory):
            self.blobs["sha256:" + name] = os.path.join(blob_directory, name)
        with open(os.path.join(directory, "index.json")) as file:
            pending = json.load(file)["manifests"]
        while pending:
            descriptor = pending.pop()
            body = self.blob(descriptor["digest"])
            kept = (body, descriptor["mediaType"])
            self.manifests[repository, descriptor["digest"]] = kept
            tag = descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name")
            if tag:
                self.manifests[repository, tag] = kept
            pending += json.loads(body).get("manifests", [])

    def blob(self, digest):
        found = self.blobs.get(digest)
        if isinstance(found, str):
            with open(found, "rb") as file:
                return file.read()
        return found

    def take_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.get("method", method) != method or not re.search(fault.get("path", ""), path):
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                if fault.setdefault("times", 1) == 0:
                    continue
                fault["times"] -= 1
                return dict(fault)
        return {}

    def new_token(self):
        token = secrets.token_urlsafe(24)
        seconds = self.settings["token_seconds"]
        with self.lock:
            self.tokens[token] = {
                "until": time.monotonic() + seconds if seconds else None,
                "requests": self.settings["token_requests"],
                "bytes": self.settings["token_bytes"],
            }
        return token

    def use_token(self, token):
        with self.lock:
            known = self.tokens.get(token)
            if known is None or (known["until"] is not None and time.monotonic() > known["until"]):
                return False
            if known["bytes"] is not None and known["bytes"] <= 0:
                return False
            if known["requests"] is not None:
                known["requests"] -= 1
                return known["requests"] >= 0
            return True

    def charge_token(self, token, sent):
        with self.lock:
            known = self.tokens.get(token)
            if known and known["bytes"] is not None:
                known["bytes"] -= sent

    # --- what tests put there

    def control(self, action, body, content_type):
        """Does what a test asks for by POST /_control/ACTION; None where there is no such action."""
        if action == "log":
            self.wait_until_idle()
            with self.lock:
                return "".join(line + "\n" for line in self.log_lines)
        answer = {}
        if action == "blob":
            answer = self.add_blob(body)
        elif action == "random-blob":
            wanted = json.loads(body)
            answer = self.add_blob(random.Random(wanted.get("seed", 0)).randbytes(wanted["bytes"]))
        elif action.startswith("manifest/"):
            repository, _, tag = action[len("manifest/"):].rpartition(":")
            answer = self.add_blob(body)
            self.manifests[repository, tag] = self.manifests[repository, answer["digest"]] = (body, content_type)
        elif action == "fault":
            with self.lock:
                self.faults.append(json.loads(body))
        elif action == "clear":
            with self.lock:
                self.faults.clear()
        elif action == "settings":
            self.settings.update(json.loads(body))
        elif action == "expire-tokens":
            with self.lock:
                self.tokens.clear()
        else:
            return None
        return json.dumps(answer)

    def add_blob(self, body):
        digest = sha256(body)
        self.blobs[digest] = body
        return {"digest": digest, "size": len(body)}
