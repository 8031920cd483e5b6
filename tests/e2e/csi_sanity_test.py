#!/usr/bin/env python3
"""csi-sanity, the public conformance suite of the Container Storage Interface, against the real driver on a real cluster:
controller and node plug-in at site-a with FUSE, for file systems and for raw block volumes. What it leaves out must stand, with the reason,
in csi_sanity_skips.txt beside this file.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from cluster import BIN, FILE_PROGRAMS, Cluster, expect, run_scenarios, wait_until
from csi_client import Driver
from csi_sanity import judge, sanity_flags, sanity_program

class ClusterWithDriver(Cluster):
    driver = mounter = None

    def down(self):
        """After a failure there are processes, and mounts that outlive them."""
        for one in (self.driver, self.mounter):
            if one:
                one.kill()
        for record in (self.folder / "driver/state/mounts").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
        super().down()


def start_driver(cluster):
    folder = cluster.folder / "driver"
    root = folder / "kubelet"
    root.mkdir(parents=True)
    common = ("--site", "site-a", "--state-dir", str(folder / "state"), "--publish-root", str(root))
    mounter = Driver(cluster, "site-a", "mounter", folder, "--mounter=true", "--accessserver", str(BIN / "shima-accessserver"), *common)
    driver = Driver(cluster, "site-a", "csi", folder, "--controller=true", "--node=true", "--node-name", "node-a",
                    "--node-addresses", "10.9.8.7", "--mounter-endpoint", mounter.endpoint, *common)
    cluster.root, cluster.driver, cluster.mounter = root, driver, mounter
    mounter.start()
    driver.start()


def run_sanity(cluster, access_type):
    report = cluster.folder / f"{access_type}.xml"
    output = cluster.folder / f"{access_type}.log"
    with open(output, "w", encoding="utf-8") as log:
        code = subprocess.run([PROGRAM, *sanity_flags(cluster.driver.endpoint, cluster.root / "target", cluster.root / "staging",
                                                      access_type, report)], stdout=log, stderr=subprocess.STDOUT).returncode
    judge(access_type, code, report.read_text() if report.exists() else "", output.read_text())


def file_systems(cluster):
    run_sanity(cluster, "mount")


def block_volumes(cluster):
    run_sanity(cluster, "block")


def nothing_is_left(cluster):
    wait_until("the deleted volumes to be gone", lambda: not cluster.ctl("volume", "list")["volumes"])
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    expect(str(cluster.root) not in mounts, "no mount is left")
    cluster.driver.stop()
    cluster.mounter.stop()


if __name__ == "__main__":
    PROGRAM = sanity_program()
    sys.exit(run_scenarios("csi-sanity", lambda: ClusterWithDriver("--core", "2,1,1"),
                           [start_driver, file_systems, block_volumes, nothing_is_left], FILE_PROGRAMS))
