"""What people bring along from other tools, and slips of the finger: each is answered with what to type."""
import os
import shutil

from named_containers import NamedContainerTestCase

# A port that nobody listens on.
NOWHERE = "127.0.0.1:9"


class Habits(NamedContainerTestCase):
    def test_options_of_other_tools(self):
        for option, hint in (
            ("-it", "a terminal needs no option"), ("-v/a:/b", "--mount SRC:DST"), ("--volume=/a:/b", "--mount SRC:DST"),
            ("-u", "--remap-root"), ("-u0", "--remap-root"), ("--user=0", "--remap-root"),
            ("-p", "the host's network"), ("--publish=80:80", "the host's network"), ("--network=host", "--unshare net"),
            ("-d", "exec"), ("--read", "run --help"),
        ):  # fmt: skip
            self.fails("run", option, self.image, "true", says=f"no such option: {option}\nhint: .*{hint}")

    def test_the_list_of_gpus_forgotten(self):
        """docker's users say --gpus all; where "all" is left out, no registry is asked for an image called "true"."""
        self.host_variables["https_proxy"] = f"http://{NOWHERE}"
        for image in (f"{NOWHERE}/team/model:1", "debian:12", "py38", "./model.sqsh"):
            errors = self.fails("run", "--gpus", image, "true", says=f"--gpus {image}: {image} is no GPU.*hint: .*--gpus all IMAGE.*device=0,1")
            self.assertNotIn("pull", errors)

    def test_pull_and_run_take_each_others_policy(self):
        for command, option in (("run", "--pull"), ("run", "--policy")):
            self.assertEqual(self.sh(command, option, "never", self.image, "echo", "here"), "here")
        for option in ("--pull", "--policy"):
            self.assertIn("up to date", self.mlctr("pull", option, "missing", self.image)[1])

    def test_a_mistyped_container(self):
        self.create("py38")
        self.host_variables["https_proxy"] = f"http://{NOWHERE}"
        for slip in ("py83", "py39", "p38"):
            self.fails("run", "--pull", "never", slip, "true", says="did you mean the container py38")
        self.fails("run", "py83", "true", says=["cannot pull", "hint: did you mean the container py38, which is here"])
        self.assertNotIn("py38", self.fails("run", "--pull", "never", "python", "true", says="no image or container"))

    def test_a_mistyped_image(self):
        self.create()
        image = f"{NOWHERE}/team/model:1"
        self.mlctr("commit", "c", image)
        slip = f"{NOWHERE}/team/modle:1"
        self.fails("run", slip, "true", says=["cannot pull", f"hint: did you mean {image}, which is here.*{NOWHERE} running"])
        self.fails("run", "--pull", "never", slip, "true", says=f"did you mean {image}")
        errors = self.fails("run", f"{NOWHERE}/team/model:2", "true", says="cannot pull")
        self.assertNotIn("did you mean", errors)

    def test_a_name_and_no_image(self):
        self.create("ab")
        self.fails("run", "--name", "", self.image, "true", says="can't be a container's name")
        self.fails("run", "--name", "ab", "id", "-u", says=["id is no image here", "hint: mlctr run ab id … runs that in it"])
        self.assertEqual(self.sh("run", "--name", "ab", self.image, "echo", "same image"), "same image")

    def test_hidden_commands_are_not_suggested(self):
        self.assertNotIn("mlctr step", self.fails("stop", "x", says="no such command"))

    def test_a_container_whose_file_changed(self):
        tree = self.home / "tree"
        tree.mkdir()
        (tree / "file").write_text("as it was\n")
        file = self.image_from(tree)
        copy = self.home / "mine.sqsh"
        shutil.copy(file, copy)
        self.give_to_user(copy)
        self.mlctr("create", "--name", "c", copy)
        os.utime(copy, ns=(0, os.stat(copy).st_mtime_ns + 1))
        self.fails("run", "c", "true", says=["mine.sqsh has changed since the container c was made", "mlctr rm c"])
