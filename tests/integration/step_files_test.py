"""mlctr step: what a step's tasks read and write: descriptors, saved containers, entrypoints, and the hand-off."""
import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from harness import EXIT_OWN_FAILURE, as_root, binary, is_root
from named_containers import until
from steps import STEP_SECONDS, HeldStep, StepTestCase

VARIABLE, DIRECTORY, FILTER, IDENTITY = 1, 2, 3, 4  # src/spank/hand_off.h
SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_WRITE = 1, 2, 4, 8
F_GET_SEALS = 1034
SOCK_FILTER_BYTES = 8


class Descriptors(StepTestCase):
    @unittest.skipUnless(is_root(), "sudo closes the descriptors that tasks are given: run the tests as root")
    def test_streams_are_the_tasks_alone(self):
        """Binary content comes through, a descriptor of srun's survives, and all end with the task: srun waits for that."""
        content = os.urandom(300_000)
        (out, task_out), (errors, task_errors), (extra, task_extra) = os.pipe(), os.pipe(), os.pipe()
        end = self.home / "run/end"
        command = self.step_command("raw", 1, binary(), "step", "run", self.wanted, "--", "sh", "-c", f"cat; echo told >&2; echo extra >&{task_extra}", PMI_FD=task_extra, STEP_END=end)
        step = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=task_out, stderr=task_errors, pass_fds=[task_extra], cwd=self.home)
        for descriptor in (task_out, task_errors, task_extra):
            os.close(descriptor)
        writer = threading.Thread(target=lambda: (step.stdin.write(content), step.stdin.close()))
        writer.start()
        with contextlib.ExitStack() as files:
            read = [files.enter_context(os.fdopen(descriptor, "rb")).read() for descriptor in (out, errors, extra)]
        writer.join()
        self.assertEqual(read, [content, b"told\n", b"extra\n"])
        self.assertEqual(len(self.holders()), 1, "the step is not over")
        end.touch()
        self.assertEqual(step.wait(timeout=STEP_SECONDS), 0)


class Save(StepTestCase):
    def saved(self, *options, tasks=3):
        script = "echo $SLURM_PROCID >> /seen"
        results = self.run_step("sh", "-c", script, options=[*options, "--container-save=out.sqsh"], tasks=tasks)
        self.assertEqual({result["code"] for result in results}, {0}, results)
        self.assertEqual(sum("saved the container in" in result["errors"] for result in results), 1, results)
        return sorted(self.run_in(self.home / "out.sqsh", "cat", "/seen")[0].split())

    def test_an_unnamed_container(self):
        self.assertEqual(self.saved(self.wanted), ["0", "1", "2"])
        self.assertEqual(self.saved(f"--container-image={self.home}/out.sqsh", tasks=1), ["0", "0", "1", "2"])
        self.assertEqual(self.json("ps", "--all"), [])

    def test_a_named_container(self):
        self.assertEqual(self.saved(self.wanted, "--container-name=c"), ["0", "1", "2"])
        self.assertEqual([c["name"] for c in self.json("ps", "--all")], ["c"])

    def test_not_where_a_task_was_killed(self):
        step = self.start_step("sleep 600")
        until(lambda: "sleep" in {self.name_of(pid) for pid in self.processes()}, "a task in the container")
        for pid in self.processes():
            if self.name_of(pid) == "mlctr":
                os.kill(pid, 9)
        step.communicate(timeout=STEP_SECONDS)
        self.assertFalse((self.home / "out.sqsh").exists())
        # What it leaves has no use; the next that saves takes it away.
        self.assertEqual(self.saved(self.wanted, tasks=1), ["0"])
        self.assertEqual(self.json("ps", "--all"), [])

    def start_step(self, script):
        mlctr = [binary(), "step", "run", self.wanted, "--container-save=out.sqsh", "--", "sh", "-c", script]
        return subprocess.Popen(self.step_command("parallel", 1, *mlctr), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=self.home)

    def test_where_it_cant_be_written(self):
        results = self.run_step("true", options=[self.wanted, "--container-save=/proc/x.sqsh"], tasks=2)
        self.assertEqual(sorted(result["code"] for result in results), [0, EXIT_OWN_FAILURE])
        results = self.run_step("touch", "/never", options=[self.wanted, "--container-save=not/there.sqsh"], tasks=1)
        self.assertEqual({result["code"] for result in results}, {EXIT_OWN_FAILURE})


class Entrypoints(StepTestCase):
    def image_with(self, script):
        """busybox, with an entrypoint."""
        tree = pathlib.Path(tempfile.mkdtemp(dir=self.home)) / "tree"
        as_root("unsquashfs", "-quiet", "-no-progress", "-dest", tree, *self.store.rglob("image.sqsh"))
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "config": {"Entrypoint": ["/entry", "word"], "Env": ["FROM_IMAGE=1"]}}
        self.write(tree / "entry", script, mode=0o755)
        (tree / ".mlctr").mkdir(exist_ok=True)
        self.write(tree / ".mlctr/config.json", config, mode=0o644)
        return f"--container-image={self.image_from(tree)}"

    def test_what_it_exports_reaches_every_task_once(self):
        image = self.image_with('#!/bin/sh\necho banner $1; shift; echo x >> /entered; export MADE="a b" FROM_IMAGE=2; unset GIVEN; exec "$@"\n')
        show = ("sh", "-c", 'echo "$MADE" $FROM_IMAGE ${GIVEN-none} $(cat /entered)')
        self.assertEqual(self.outputs(*show, options=[image, "--container-entrypoint"], GIVEN=1, tasks=3), ["a b 2 none x\n"] * 3)
        self.assertEqual(self.outputs("sh", "-c", "echo $MADE $FROM_IMAGE", options=[image]), ["1\n"] * 2)

    def test_its_output_is_shown_on_demand(self):
        image = self.image_with('#!/bin/sh\necho banner $1; shift; exec "$@"\n')
        results = self.run_step("true", options=[image, "--container-entrypoint", "--container-entrypoint-log"])
        self.assertEqual("".join(result["errors"] for result in results), "banner word\n")

    def test_one_that_runs_nothing(self):
        results = self.run_step("true", options=[self.image_with("#!/bin/sh\nexit 0\n"), "--container-entrypoint"])
        self.assertEqual({result["code"] for result in results}, {EXIT_OWN_FAILURE})
        self.assertIn("--no-container-entrypoint", "".join(result["errors"] for result in results))

    @unittest.skipUnless(is_root(), "its tasks are sudo's: run the tests as root")
    def test_the_task_that_makes_the_container_is_killed(self):
        """The others get it all the same."""
        meeting = pathlib.Path(tempfile.mkdtemp(dir=self.home))
        meeting.chmod(0o777)
        script = f"echo x >> {meeting}/entered; until [ -e {meeting}/go ]; do sleep 0.05; done"
        image = self.image_with(f'#!/bin/sh\nshift; {script}; exec "$@"\n')
        mlctr = [str(binary()), "step", "run", image, "--container-entrypoint", f"--container-mounts={meeting}:{meeting}", "--"]
        step = subprocess.Popen(self.step_command("hold", 1, *mlctr, "true"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.home)
        try:
            until((meeting / "entered").exists, "the start of the entrypoint")
            task = int(pathlib.Path(f"/proc/{step.pid}/task/{step.pid}/children").read_text().split()[-1])
            os.kill(task, signal.SIGKILL)
            until(lambda: " (mlctr) Z " in pathlib.Path(f"/proc/{task}/stat").read_text(), "the task's end")
            (meeting / "go").touch()
            held = HeldStep(step, mlctr)
            self.assertEqual(held.first[0]["code"], -signal.SIGKILL)
            self.assertEqual(held.task("cat", str(meeting / "entered"))["out"], "x\n")
        finally:
            (meeting / "go").touch()
            step.communicate()

    def test_one_that_cant_run(self):
        results = self.run_step("true", options=[self.image_with("#!/no/such/shell\n"), "--container-entrypoint"])
        self.assertIn("/no/such/shell", "".join(result["errors"] for result in results))


@unittest.skipUnless(is_root(), "sudo closes the plugin's socket: run the tests as root")
class HandOff(StepTestCase):
    """What the plugin gets: it joins by itself."""

    def enter(self, *options, status=0, **variables):
        """The message's text, the records [(kind, bytes)] and what namespaces the descriptors are."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        variables |= {"PMI_FD": theirs.fileno(), "STEP_END": self.home}
        command = self.step_command("raw", 1, binary(), "step", "enter", "--socket", theirs.fileno(), *options, **variables)
        with ours, theirs:
            done = subprocess.run(command, pass_fds=[theirs.fileno()], cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STEP_SECONDS)
            theirs.close()
            text, fds, _, _ = socket.recv_fds(ours, 4096, 16)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.addCleanup(lambda: [os.close(fd) for fd in fds])
        if not fds:
            return done.stderr
        self.assertEqual(fcntl.fcntl(fds[0], F_GET_SEALS), SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_WRITE)
        return text.decode(), self.records(fds[0]), [os.readlink(f"/proc/self/fd/{fd}").partition(":")[0] for fd in fds[1:]]

    def records(self, file):
        content, records = os.pread(file, 16 << 20, 0), []
        while content:
            kind, length = struct.unpack_from("II", content)
            records.append((kind, content[8 : 8 + length]))
            content = content[8 + length :]
        return records

    def of_kind(self, records, kind):
        return [content.decode(errors="surrogateescape") for found, content in records if found == kind]

    def test_all_of_it(self):
        text, records, namespaces = self.enter(self.wanted, "--container-workdir=/etc", "--container-unshare=net", JOB="1")
        self.assertEqual(text, f"mlctr1 3 {self.uid} {self.uid} 0")
        self.assertEqual(namespaces, ["user", "mnt", "net"])
        self.assertIn("JOB=1", self.of_kind(records, VARIABLE))
        self.assertEqual(self.of_kind(records, DIRECTORY), ["/etc"])
        [program] = self.of_kind(records, FILTER)
        self.assertGreater(len(program), 0)
        self.assertEqual([len(content) % SOCK_FILTER_BYTES for kind, content in records if kind == FILTER], [0])
        self.assertEqual(self.of_kind(records, IDENTITY), [])

    def test_as_mapped_root(self):
        text, records, _ = self.enter(self.wanted, "--container-remap-root")
        self.assertEqual(text, "mlctr1 2 0 0 0")
        self.assertEqual(self.of_kind(records, IDENTITY), [])

    def test_as_another_than_the_container_is(self):
        self.create("c")
        with self.held_step("true", options=["--container-name=c"], SLURM_STEP_ID=1):
            text, records, _ = self.enter("--container-name=c", "--container-remap-root")
            self.assertEqual((text, self.of_kind(records, IDENTITY)), ("mlctr1 2 0 0 0", ["0 0"]))

    def test_a_script_of_slurms_is_shown(self):
        script = self.write("spool/slurm_script", "#!/bin/sh\n", mode=0o700)
        options = [self.wanted, "--script", script]
        self.assertEqual(self.outputs("cat", script, options=options), ["#!/bin/sh\n"] * 2)

    def test_no_message_where_it_fails(self):
        self.assertIn("/none.sqsh", self.enter("--container-image=/none.sqsh", status=EXIT_OWN_FAILURE))
