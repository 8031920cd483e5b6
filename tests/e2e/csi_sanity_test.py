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
import xml.etree.ElementTree as ElementTree

from cluster import BIN, FILE_PROGRAMS, MIB, ROOT, Cluster, expect, run_scenarios, say, skip, wait_until
from csi_client import Driver

SKIPS = pathlib.Path(__file__).with_name("csi_sanity_skips.txt")


def sanity_program():
    built = subprocess.run([ROOT / "hack/kube-tools", "csi-sanity"], stdout=subprocess.PIPE, text=True)
    if built.returncode == 77:
        skip("csi-sanity cannot be had here (see hack/kube-tools)")
    assert built.returncode == 0, f"hack/kube-tools: exit code {built.returncode}"
    return pathlib.Path(built.stdout.strip()) / "csi-sanity"


def expected_skips():
    """[(part of a test's name, reason)]"""
    lines = [line.split(":", 1) for line in SKIPS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(name.strip(), reason.strip()) for name, reason in lines]


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
        code = subprocess.run([PROGRAM, "-ginkgo.no-color", "-csi.endpoint", cluster.driver.endpoint,
                               "-csi.mountdir", cluster.root / "target", "-csi.stagingdir", cluster.root / "staging",
                               "-csi.testvolumesize", str(64 * MIB), "-csi.testvolumeexpandsize", str(128 * MIB),
                               "-csi.testvolumeaccesstype", access_type, "-csi.junitfile", report],
                              stdout=log, stderr=subprocess.STDOUT).returncode
    cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    for case in failed:
        reason = case.find("failure") if case.find("failure") is not None else case.find("error")
        say(f"  FAILED: {case.get('name')}: {(reason.get('message') or reason.text or '')[:1500]}")
    if code != 0 and not failed:
        say(output.read_text()[-3000:])
    known = expected_skips()
    unknown = [name for name in skipped if not any(part in name for part, _ in known)]
    expect(not unknown, f"what is left out has its reason in {SKIPS.name}" + "".join(f"\n    {name}" for name in unknown))
    expect(code == 0 and not failed, f"{access_type}: {len(cases) - len(skipped) - len(failed)} tests passed, {len(failed)} failed, "
           f"{len(skipped)} left out")


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
