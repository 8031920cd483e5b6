#!/usr/bin/env python3
"""The drill of docs/howto/disaster-recovery.md, command by command as the page has them, on a devcluster: what a cut site, and those that are left,
can do and cannot. Each ends with the exit code that the page says (0 where it says none). SHIMA_TEST_LONG=1: also those that only wait until they give up.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from cluster import (BIN, EXISTS, LONG, PROGRAMS, ROOT, UNKNOWN, UNREACHABLE, expect, run_scenarios, skip_part,
                     wait_until)

PAGE = ROOT / "docs/howto/disaster-recovery.md"
GAVE_UP = 8
TRIES = 5  # of who is asked may stand still
CHAPTER = "## The drill, without Kubernetes"
COMMAND = re.compile(r"^ {7}(\S.*?)(?:\s{2,}#\s*(.*))?$")


def steps():
    """{number: [(command, exit code)]}"""
    chapter = PAGE.read_text().split(CHAPTER, 1)[1].split("\n## ", 1)[0]
    found, number = {}, 0
    for line in chapter.splitlines():
        begins = re.match(r"^(\d+)\. ", line)
        number = int(begins[1]) if begins else number
        command = COMMAND.match(line)
        if command and not line.startswith(" " * 8):
            code = re.match(r"exit code (\d+)", command[2] or "")
            found.setdefault(number, []).append((command[1], int(code[1]) if code else 0))
    return found


class Drill:
    """A folder that stands for the page's /tmp, and what was printed so far by each command."""

    def __init__(self):
        self.folder, self.steps, self.shell = pathlib.Path(tempfile.mkdtemp(prefix="shima-drill-")), steps(), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([ROOT / "hack/devcluster", "down", "--purge", "--dir", self.folder / "drill"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, number, first=0, last=None):
        """The step's commands, or the first to the last of them; [what each printed]."""
        printed = []
        for command, code in self.steps[number][first:last]:
            if re.match(r"^\w+\(\) ", command):  # a function: of all commands after it
                self.shell.append(command.replace("/tmp/", f"{self.folder}/"))
                continue
            if code == GAVE_UP and not LONG:
                skip_part(f"{number}. {command}, which waits until it gives up; SHIMA_TEST_LONG=1 runs it")
                continue
            begin = time.monotonic()
            answer = self._patiently(command, code)
            expect(answer.returncode == code, f"{number}. {command}: exit code {answer.returncode}, {time.monotonic() - begin:.0f} s"
                   + ("" if answer.returncode == code else f", wanted {code}: {answer.stdout[-800:]}{answer.stderr[-800:]}"))
            printed.append(answer.stdout + answer.stderr)
        return printed

    def until(self, good, *which):
        """Steps that only look, until good() of all that they printed."""
        for _ in range(TRIES):
            printed = self.run(*which)
            if good(*printed):
                break
            time.sleep(5)
        return printed

    def _patiently(self, command, code):
        """Again where nobody answered in time."""
        unknown = False
        for _ in range(TRIES):
            answer = self._bash(command)
            if unknown and answer.returncode == EXISTS:  # what nobody knew of was done
                answer.returncode = 0
            silent = answer.returncode in (UNREACHABLE, UNKNOWN) or "does not answer" in answer.stderr
            if answer.returncode == code or not silent:
                break
            unknown = unknown or answer.returncode == UNKNOWN
        return answer

    def _bash(self, command):
        script = "\n".join([*self.shell, command.replace("/tmp/", f"{self.folder}/")])
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=400, cwd=ROOT,
                              env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})

    def wait_away(self, count):
        """What the page waits for with a sleep takes longer on a busy machine."""
        def look():
            answer = self._bash("at site-b -o json status")
            return answer.returncode == 0 and len(json.loads(answer.stdout)["servers_away"]) == count
        wait_until(f"site-b to miss {count} servers", look)

    def wait_caught_up(self):
        """The page's reader sees it."""
        def look():
            answer = self._bash("at site-a -o json replication show vm1")
            rows = json.loads(answer.stdout)["sites"] if answer.returncode == 0 else []
            return [row["lag_bytes"] for row in rows if row["role"] == "remote"] == [0, 0]
        wait_until("the other sites to have all of vm1", look)


def sums(printed):
    return re.findall(r"\b[0-9a-f]{64}\b", printed)


def the_drill(drill):
    expect(sorted(drill.steps) == [1, 2, 3, 4, 5, 6, 7, 8], f"the page has {sum(map(len, drill.steps.values()))} commands in 8 steps")
    before = drill.run(1)
    written = sums(before[1])
    expect(len(written) == 1 and "site-c" in before[-1], "three sites, and an image with a known sum")
    drill.wait_caught_up()
    drill.run(2)
    drill.wait_away(2)
    def told(status, replication):
        return "4 of 6 alive" in status and "0 of 2 healthy" in status and "unknown" in replication
    expect(told(*drill.until(told, 3)), "the other sites say what is away")
    checksum, _, refused = drill.run(4)
    expect(sums(checksum) == written, "the copy at another site has every byte")
    expect("published at" in refused, "a claim's volume is not read by shimactl")
    for waited in drill.run(5):
        expect("site-a/core-" in waited, "what asks the home says which server it waits for")
    drill.run(6)
    status, again, *_ = drill.run(7)
    expect("NOT reachable" in status, "the cut site says that it does not reach etcd")
    drill.run(8, 0, 1)
    drill.wait_away(0)
    drill.wait_caught_up()
    status, replication, checksum = drill.until(lambda status, *_: "6 of 6 alive" in status, 8, 1, 4)
    expect("6 of 6 alive" in status and "site-b" in replication, "healed, all are there")
    drill.run(8, 4)
    expect(sums(checksum) == sums(again) != written, "what the cut site wrote alone is everywhere")


if __name__ == "__main__":
    sys.exit(run_scenarios("the drill", Drill, [the_drill], PROGRAMS))
