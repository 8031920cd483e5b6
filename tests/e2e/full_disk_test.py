#!/usr/bin/env python3
"""A full disk refuses writes, spoils nothing, and takes writes again when it has space."""

import subprocess
import sys

from cluster import BIN, Cluster, MIB, NO_SPACE, expect, make_image, run_scenarios, say, sha256_of, skip, wait_until

DISK_MIB, BIGGER_MIB = 160, 420
IMAGE_MIB = 24
SMALL = "site-a/core-1"
FLAGS = "--limits.min_free_bytes=16MiB --journal.segment_bytes=16MiB --journal.max_bytes=64MiB"


class ClusterWithSmallDisk(Cluster):
    """The disk folder of one home server is a tmpfs, mounted before the cluster starts."""

    def __enter__(self):
        self.mount = f"{self.dir}/{SMALL}/disk-0"
        subprocess.run(["mkdir", "-p", self.mount], check=True)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "shima-e2e", self.mount],
                              capture_output=True, text=True)
        if made.returncode != 0:
            skip(f"a small file system cannot be mounted here: {made.stderr.strip()}")
        return super().__enter__()

    def down(self):
        if not self.ended:
            self.devcluster("down", check=False)  # nobody may use the tmpfs any more
            subprocess.run(["umount", self.mount], check=False)
        super().down()

    def resize(self, mib):
        subprocess.run(["mount", "-o", f"remount,size={mib}m", self.mount], check=True)


def applied(cluster):
    """What waits to be applied takes space as well, for a moment."""
    return cluster.stats(SMALL)["unapplied_bytes"] == 0


def full(cluster):
    return cluster.stats(SMALL)["full"] == 1


def writes_are_refused_and_reads_go_on(cluster):
    image = make_image(cluster.folder / "kept.img", IMAGE_MIB, 21)
    cluster.create("kept")
    cluster.import_image("kept", image)
    cluster.wait_caught_up("kept")
    for number in range(12):
        name = f"filler-{number}"
        cluster.create(name)
        answer = cluster.asked("volume", "import", name, image)
        if answer.code:
            wait_until("what was written to be applied", lambda: applied(cluster))
            if full(cluster):
                break
    expect(answer.code == NO_SPACE, f"import {number + 1} is refused with exit code {NO_SPACE}: {answer.err.strip()[:300]}")
    cluster.expect_checksums("kept", sha256_of(image), ["site-a", "site-b", "site-c"])
    wait_until("stats to say that the disk is full", lambda: full(cluster))
    wait_until("the log to say why", lambda: "is full, writes are refused" in cluster.log(SMALL))
    expect(True, "the log says why")
    log = cluster.folder / "kept.acks"
    writer = cluster.run(cluster.home, BIN / "shima-blockwriter", "write", "kept", log, "--max-writes", 64,
                         "--deadline-ms", 60000)
    expect(writer.code != 0 and "no-space" in writer.err,
           f"single writes are refused as well: {writer.err.strip()[-200:]}")
    expect(all(cluster.pid(name) for name in cluster.names()), "all servers still run")


def more_space_takes_writes_again(cluster):
    cluster.resize(BIGGER_MIB)
    wait_until("the disk to have space", lambda: not full(cluster), 30)
    image = make_image(cluster.folder / "again.img", IMAGE_MIB, 22)

    def accepted():  # the secondary tells the primaries a moment after its own look at the disk
        answer = cluster.asked("volume", "import", "kept", image)
        expect(answer.code in (0, NO_SPACE), f"an import is done or refused for want of space, exit code {answer.code}")
        return answer.json if answer.code == 0 else None
    found = wait_until("an import to be taken again", accepted, 30)
    say(f"  imported {IMAGE_MIB} MiB after the disk grew to {BIGGER_MIB} MiB, {found['mb_per_second']:.0f} MB/s")
    cluster.wait_caught_up("kept")
    cluster.expect_checksums("kept", sha256_of(image), ["site-a", "site-b", "site-c"])


def deleting_a_volume_gives_space_back(cluster):
    before = cluster.disk_usage(SMALL, "blocks") // MIB
    fillers = [v["name"] for v in cluster.ctl("volume", "list")["volumes"] if v["name"].startswith("filler")]
    for name in fillers:
        cluster.ctl("volume", "delete", name)
    wait_until("the fillers to be gone", lambda: not any(
        v["name"].startswith("filler") for v in cluster.ctl("volume", "list")["volumes"]))

    def less():
        usage = cluster.disk_usage(SMALL, "blocks") // MIB
        return (usage,) if usage < before else None
    (after,) = wait_until("blocks to be given back", less)
    expect(after < before, f"deleting {len(fillers)} volumes gave back blocks: {before} MiB before, {after} MiB after")
    cluster.kill(*cluster.names("site-a"))
    cluster.start(*cluster.names("site-a"))
    cluster.wait_caught_up("kept")
    cluster.expect_checksums("kept", sha256_of(cluster.folder / "again.img"), ["site-a", "site-b", "site-c"])


if __name__ == "__main__":
    sys.exit(run_scenarios("full disk", lambda: ClusterWithSmallDisk(f"--server-flags={SMALL}={FLAGS}"), [
        writes_are_refused_and_reads_go_on, more_space_takes_writes_again, deleting_a_volume_gives_space_back]))
