"""Sessions whose limits are lower than mlctr's needs: it raises them for itself, and only for itself."""
from containers import layout
from harness import binary, root_command
from named_containers import NamedContainerTestCase


class Limits(NamedContainerTestCase):
    limit = ""

    def _command(self, arguments):
        variables = [f"{name}={value}" for name, value in self.environment().items()]
        prefix = root_command("setpriv", "--reuid", self.uid, "--regid", self.uid, "--clear-groups", "env", "-i", *variables)
        return [*prefix, "bash", "-c", f'{self.limit or ":"} && exec "$@"', "bash", str(binary()), *map(str, arguments)]

    def test_soft_limits_are_the_programs_only(self):
        self.pull(layout("python"), "--quiet")
        for letter, value in (("s", 64), ("n", 16), ("u", 1)):
            with self.subTest(limit=letter):
                self.limit = f"ulimit -S -{letter} {value}"
                out = self.mlctr("run", self.image, "sh", "-c", f"ulimit -S{letter}; ulimit -H{letter}")[0].split()
                self.assertEqual(out[0], str(value))
                self.assertNotEqual(out[1], str(value))
                self.assertIn("not found", self.fails("run", self.image, "/no/such/program", status=127))
                self.mlctr("create", "--quiet", "--name", f"c{letter}", layout("python"))
                self.mlctr("save", "--quiet", f"c{letter}", self.home / f"tmp/{letter}.sqsh")

    def test_a_hook_sees_the_sessions_too(self):
        self.write("config/mlctr/hooks.d/10.sh", "#!/bin/sh\nulimit -n >&2\n", 0o755)
        self.give_to_user(self.home / "config/mlctr/hooks.d")
        self.limit = "ulimit -S -n 20"
        self.assertEqual(self.mlctr("run", self.image, "true")[1], "20\n")

    def test_a_umask_is_the_programs_only(self):
        """What mlctr makes stays its owner's: its runtime directory, the store, containers."""
        self.write("config/mlctr/hooks.d/10.sh", "#!/bin/sh\numask >&2\n", 0o755)
        self.give_to_user(self.home / "config/mlctr/hooks.d")
        for mask in ("0777", "0277", "0477"):
            with self.subTest(umask=mask):
                self.limit = f"umask {mask}; export MLCTR_STORE={self.home}/tmp/s{mask} MLCTR_RUNTIME_DIR={self.home}/tmp/r{mask}"
                self.mlctr("pull", "--quiet", self.image)
                for name in ("c", "c"):
                    self.assertEqual(self.mlctr("run", "--name", name, self.image, "sh", "-c", "umask"), (f"{mask}\n", f"{mask}\n"))
                self.mlctr("save", "--quiet", "c", self.home / f"tmp/{mask}.sqsh")
                self.assertEqual(self.mlctr("run", self.home / f"tmp/{mask}.sqsh", "echo", "ran")[0], "ran\n")
                self.mlctr("rm", "c")
                self.mlctr("gc")
                self.limit = self.limit.partition(";")[2].strip()
                self.assertEqual(self.mlctr("run", "--name", "after", self.image, "echo", "ran")[0], "ran\n")
                self.assertEqual(self.json("doctor")["ok"], True)

    def test_hard_limits_are_named(self):
        for letter, value, says in (
            ("s", 64, ["64 KiB of stack", "ulimit -s 8192"]),
            ("n", 12, ["Too many open files", "may open 12 files", "ulimit -n 1024"]),
            ("u", 1, ["cannot start", "you may have 1 processes", "ulimit -Hu"]),
        ):
            with self.subTest(limit=letter):
                self.limit = f"ulimit -{letter} {value}"
                self.fails("run", self.image, "true", says=says)

    def test_doctor_tells_what_programs_will_have(self):
        self.limit = "ulimit -S -n 100"
        found = {result["name"]: result for result in self.json("doctor")["probes"]}
        self.assertEqual(found["open files"]["status"], "warning")
        self.assertIn("ulimit -n 100", found["open files"]["finding"])
