#!/usr/bin/python3
"""Runs integration suites: one line a test, then "N ok, N not ok". Usage: run.py [-k PATTERN] FILE...

Needs $MLCTR, the binary under test. A test that can't run says why and which command would let it; then the exit code is 77,
or 1 where $MLCTR_STRICT is set. A test that hangs is ended, with its stack, after TEST_SECONDS. Where $CI is set, a test that
fails is run once more: one that passes then is told of as "flaky", and is not counted as failed.
"""
import argparse
import faulthandler
import importlib.util
import os
import pathlib
import signal
import sys
import time
import traceback
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("servers", "fixtures", "slurm"))]
TEST_SECONDS = 180


class TestHang(Exception):
    pass


def on_end(*_):
    raise KeyboardInterrupt  # all else unittest takes for a test's failure, and goes on


def on_alarm(*_):
    raise TestHang(f"not done after {TEST_SECONDS} s")


class Attempt(unittest.TestResult):
    """One run of one test: `problems` is a text for each thing that went wrong, `skipped_for` why it did not run."""

    def __init__(self, test):
        super().__init__()
        self.problems, self.skipped_for = [], None
        began = time.monotonic()
        type(test).run(test, self)
        self.seconds = time.monotonic() - began

    def startTest(self, test):
        super().startTest(test)
        signal.alarm(TEST_SECONDS)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def addFailure(self, test, error):
        self.problems.append("".join(traceback.format_exception(*error, limit=-4)))

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error:
            self.problems.append(f"{subtest.id()}\n" + "".join(traceback.format_exception(*error, limit=-4)))

    def addSkip(self, test, reason):
        self.skipped_for = reason


class LineResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.good = self.bad = self.skipped_count = 0

    def _line(self, word, test, detail="", seconds=0.0):
        name = test.id().removeprefix("__main__.")
        print(f"{word} {name} ({seconds:.1f} s)" + ("\n" + detail if detail else ""), flush=True)

    def run_test(self, test):
        attempt = Attempt(test)
        if attempt.problems and os.environ.get("CI"):
            again = Attempt(type(test)(test._testMethodName))
            if not again.problems:
                self.good += 1
                return self._line("flaky", test, "\n".join(attempt.problems), again.seconds)
        if attempt.skipped_for is not None:
            return self.addSkip(test, attempt.skipped_for)
        self.good += not attempt.problems
        self.bad += bool(attempt.problems)
        self._line("NOT OK" if attempt.problems else "ok", test, "\n".join(attempt.problems), attempt.seconds)

    def addError(self, test, error):
        """Of a class's or a module's setting up."""
        self.bad += 1
        self._line("NOT OK", test, "".join(traceback.format_exception(*error, limit=-4)))

    def addSkip(self, test, reason):
        if os.environ.get("MLCTR_STRICT"):
            self.bad += 1
            self._line("NOT OK", test, f"can't run here: {reason}")
        else:
            self.skipped_count += 1
            self._line("skip", test, reason)


def load(path):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    options = argparse.ArgumentParser()
    options.add_argument("-k", dest="pattern", default="")
    options.add_argument("files", nargs="+")
    options = options.parse_args()
    if not os.access(os.environ.get("MLCTR", ""), os.X_OK):
        sys.exit("set MLCTR to the mlctr to test: MLCTR=build/release/src/cli/mlctr")
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_end)  # so that servers are stopped
    result = LineResult()
    tests = [t for f in options.files for t in flatten(load(f)) if options.pattern in t.id()]
    for test in tests:
        test.run = lambda _, test=test: result.run_test(test)  # what the suite calls, between its classes' setting up and taking down
    unittest.TestSuite(tests).run(result)
    print(f"{result.good} ok, {result.bad} not ok" + (f", {result.skipped_count} skipped" if result.skipped_count else ""))
    if result.bad:
        return 1
    return 77 if result.skipped_count and not result.good else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(143)
