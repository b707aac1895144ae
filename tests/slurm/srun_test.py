"""The table by which `mlctr srun` tells srun's options from its command, against the srun that is here; and the link."""
import pathlib
import re

from slurm_case import SlurmTestCase, image

TABLE = pathlib.Path(__file__).resolve().parents[2] / "src/cli/srun_options.cpp"
ROW = re.compile(r'^    \{"([a-z0-9_-]+)", (0|\'.\'), (\w+)\},$', re.M)
NOT_YET = {"container-id", "stepmgr", "tree-width", "tres-per-task"}  # options of later versions
LATER_OPTIONAL = {"pty"}  # takes an argument since 24.05


class Table(SlurmTestCase):
    def said(self, *words):
        return self.run_command("srun", *words).stderr.split("\n")[0]

    def kind(self, name):
        if "unrecognized" in (alone := self.said(f"--{name}")):
            return "unknown"
        if "requires an argument" in alone:
            return "required"
        return "none" if "doesn't allow an argument" in self.said(f"--{name}=zz") else "optional"

    def test_long_options(self):
        rows = ROW.findall(TABLE.read_text())
        self.assertGreater(len(rows), 100)
        expected = {name: "unknown" if name in NOT_YET else "none" if name in LATER_OPTIONAL else kind for name, _, kind in rows}
        found = {name: self.kind(name) for name in expected}
        self.assertEqual(expected, {n: e if n in NOT_YET and found[n] != "unknown" else found[n] for n, e in expected.items()})

    def test_short_options(self):
        letters = {letter[1]: kind for _, letter, kind in ROW.findall(TABLE.read_text()) if letter != "0"}
        for letter in map(chr, range(ord("A"), ord("z") + 1)):
            if not letter.isalpha():
                continue
            said = self.said(f"-{letter}")
            kind = letters.get(letter, "unknown")
            self.assertEqual(("invalid option" in said, "requires an argument" in said), (kind == "unknown", kind == "required"), letter)

    def test_none_is_missing(self):
        listed = re.findall(r"--([a-z][a-z0-9-]+)", self.checked(self.run_command("srun", "--help"))[0])
        names = {name for name, _, _ in ROW.findall(TABLE.read_text())}
        self.assertEqual({n for n in listed if n not in names and "container-" not in n}, set())


class Link(SlurmTestCase):
    def in_path(self, *words, **more):
        return self.run_command(*words, env={"PATH": f"{self.box.directory}/bin/shim:{self.box.environment()['PATH']}"}, **more)

    def test_link_named_srun(self):
        self.assertEqual(self.checked(self.in_path("srun", f"--container-image={image()}", "cat", "/etc/motd"))[0], "layer three\n")
        self.assertEqual(sorted(self.checked(self.in_path("srun", "-w", "n1,n2", "-l", "hostname"))[0].splitlines()), ["0: n1", "1: n2"])
        self.assertIn("slurm", self.checked(self.in_path("srun", "--version"))[0])

    def test_help_has_both(self):
        out = self.checked(self.in_path("srun", "--help"))[0]
        self.assertIn("--container-image", out)
        self.assertIn("--ntasks-per-node", out)

    def test_script_that_leads_back(self):
        self.write("srun", f"#!/bin/sh\nexec {self.mlctr} srun \"$@\"\n")
        finished = self.run_command("srun", "true", env={"PATH": f"{self.home}:{self.box.environment()['PATH']}"}, seconds=20)
        self.assertEqual(finished.returncode, 125)
        self.assertIn("not Slurm's srun", finished.stderr)

    def test_job_has_the_commands_name(self):
        words = [self.mlctr, "srun", f"--container-image={image()}", "sh", "-c", "echo $SLURM_JOB_NAME"]
        self.assertEqual(self.checked(self.run_command(*words))[0], "sh\n")

    def test_no_srun(self):
        finished = self.run_command(self.mlctr, "srun", "true", env={"PATH": str(self.home)})
        self.assertEqual(finished.returncode, 125)
        self.assertIn("cannot find Slurm's srun", finished.stderr)

