#!/usr/bin/env python3
"""What a test leaves out is told and counted: run_scenarios() says it, and hack/count-tests finds it in the log, as hack/test does."""

import contextlib
import pathlib
import subprocess
import sys
import tempfile

from cluster import ROOT, expect, run_scenarios, skip_part, skip_scenario

TITLE = "a test that leaves out"


def one_runs(_):
    expect(True, "it is here; this is not skipped: nor this")


def one_leaves_a_part_out(_):
    skip_part("the first half")


def one_is_left_out(_):
    skip_scenario("the second scenario")
    raise AssertionError("it went on")


def log_of_this():
    """What these scenarios print."""
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        code = subprocess.run([sys.executable, __file__, "--scenarios"], stdout=log, stderr=log, timeout=60).returncode
        found = subprocess.run([ROOT / "hack/count-tests", "--skipped", log.name], capture_output=True, text=True, check=True).stdout
        return code, pathlib.Path(log.name).read_text(), found.splitlines()


def main():
    if sys.argv[1:] == ["--scenarios"]:
        del sys.argv[1:]
        return run_scenarios(TITLE, contextlib.nullcontext, [one_runs, one_leaves_a_part_out, one_is_left_out], ())
    code, log, skipped = log_of_this()
    if code != 0:
        print(log)
        return code  # 77: the machine cannot run scenarios
    expect(skipped == ["the first half", "the second scenario"], f"what was left out is found in the log: {skipped}")
    expect(log.endswith(f"{TITLE}: 2 scenarios passed, 2 skipped\n"), log.splitlines()[-1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
