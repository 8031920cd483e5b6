#!/usr/bin/env python3
"""POSIX by real system calls on the FUSE mount of a real cluster: every rule of tests/posix/rules, random operations on a
file and on a tree against models and another file system, and fio with verification. As root.
"""

import os
import subprocess
import sys
import tempfile

from cluster import BIN, Cluster, FILE_PROGRAMS, LONG, expect, run_scenarios, say

VOLUME = "posix"
FILE_STEPS, TREE_STEPS = (200_000, 50_000) if LONG else (3_000, 2_000)
TESTERS = ("posix_rules", "posix_random_file", "posix_random_tree")
SEED = os.environ.get("SHIMA_SEED", "1")


def make_cluster():
    return Cluster(access="0")  # the mount is an access server


def run_tester(what, command, environment=None, timeout_s=3000):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout_s,
                            env={**os.environ, **(environment or {})})
    if result.returncode != 0:
        say(f"{what}: the end of its output:\n{(result.stdout + result.stderr)[-3000:]}")
    expect(result.returncode == 0, f"{what}: exit code {result.returncode}")
    return result.stdout


def mount_it(cluster):
    cluster.create(VOLUME)
    cluster.at = cluster.mount("site-a", VOLUME)
    for folder in cluster.at.parents:  # users without privilege must get there
        if folder.is_relative_to(cluster.folder):
            folder.chmod(0o755)
    for name in ("rules", "file", "tree", "fio"):
        (cluster.at / name).mkdir()


def every_rule_holds(cluster):
    output = run_tester("posix_rules", [BIN / "posix_rules"], {"SHIMA_POSIX_DIR": str(cluster.at / "rules")})
    passed = [line for line in output.splitlines() if "PASSED" in line]
    expect(passed and int(passed[-1].split()[3]) > 100, f"rules that were checked: {passed[-1] if passed else 'none'}")


def a_file_keeps_to_its_model(cluster):
    run_tester(f"{FILE_STEPS} random operations on a file, seed {SEED}",
               [BIN / "posix_random_file", cluster.at / "file", "--operations", FILE_STEPS, "--seed", SEED])


def a_tree_is_as_on_another_file_system(cluster):
    with tempfile.TemporaryDirectory(prefix="shima-reference-") as reference:
        run_tester(f"{TREE_STEPS} random operations on a tree, seed {SEED}",
                   [BIN / "posix_random_tree", cluster.at / "tree", "--reference", reference, "--operations", TREE_STEPS,
                    "--seed", SEED])


def fio_reads_what_it_wrote(cluster):
    common = ["fio", "--name=verify", f"--directory={cluster.at / 'fio'}", "--size=32m", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0",
              "--do_verify=1", "--direct=1", "--ioengine=libaio", "--group_reporting"]
    run_tester("fio, random writes of 4 KiB, 16 in flight", [*common, "--rw=randwrite", "--bs=4k", "--iodepth=16"])
    run_tester("fio, writes of mixed sizes, 8 in flight",
               [*common, "--rw=randrw", "--bsrange=512-256k", "--bs_unaligned=0", "--blockalign=512", "--iodepth=8"])


if __name__ == "__main__":
    sys.exit(run_scenarios("files: POSIX", make_cluster, [
        mount_it, every_rule_holds, a_file_keeps_to_its_model, a_tree_is_as_on_another_file_system, fio_reads_what_it_wrote,
    ], (*FILE_PROGRAMS, *TESTERS)))
