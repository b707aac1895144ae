"""git's own server on loopback, and repositories for it."""
import os
import subprocess

from server import Server, free_port

ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent"} | {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "test"), ("EMAIL", "test@example.org"), ("DATE", "1700000000 +0000"))
}


class GitDaemon(Server):
    def __init__(self):
        super().__init__()
        self.directory.chmod(0o755)
        self.port = free_port()
        self.ports = [self.port]

    def command(self):
        return ["git", "daemon", f"--base-path={self.directory}", "--export-all", "--listen=127.0.0.1", f"--port={self.port}", str(self.directory)]

    def url(self, name):
        return f"git://127.0.0.1:{self.port}/{name}"

    def git(self, name, *words):
        return subprocess.run(["git", "-C", self.directory / name, *words], env=os.environ | ALONE, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, name, files):
        """One more commit of the repository, which is made: {path: content or (content, mode)}. Its hash."""
        top = self.directory / name
        if not top.exists():
            top.mkdir()
            self.git(name, "init", "--quiet", "--initial-branch=main")
        for path, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o644)
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_text(content)
            (top / path).chmod(mode)
        self.git(name, "add", "--all", "--force")
        self.git(name, "commit", "--quiet", "--message=more")
        return self.git(name, "rev-parse", "HEAD")
