"""An admin's settings that no other process of the machine sees."""
import pathlib
import subprocess

from harness import binary, root_command


class AdminDirectory:
    """For test cases of commands that an ordinary user runs: /etc/mlctr of the test's own, in a mount namespace that root makes."""

    @property
    def etc(self):
        directory = self.home / "etc-mlctr"
        directory.mkdir(mode=0o755, exist_ok=True)
        return directory

    def _command(self, arguments):
        variables = [f"{name}={value}" for name, value in self.environment().items()]
        script = f"mkdir -p /etc/mlctr && mount --bind {self.etc} /etc/mlctr && exec setpriv --reuid {self.uid} --regid {self.uid} --clear-groups env -i \"$@\""
        prefix = root_command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *variables)
        return [*prefix, str(binary()), *map(str, arguments)]

    def admins(self, path, text, mode=0o644):
        file = self.etc / path
        file.parent.mkdir(mode=0o755, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def setUp(self):
        if not pathlib.Path("/etc/mlctr").exists():
            self.addCleanup(subprocess.run, root_command("rmdir", "/etc/mlctr"), check=False)
        super().setUp()
