#!/usr/bin/env python3
"""Copies 1 to 3, two disks a server, sparse images, and deletion that gives all space back."""

import os
import sys

from cluster import Cluster, MIB, NOT_FOUND, expect, make_image, run_scenarios, sha256_of, wait_until

IMAGE_MIB = 32
SITES = ["site-a", "site-b", "site-c"]


def stored(cluster, role=None):
    """Bytes of blocks that the servers' own counters tell, by server; both disks together."""
    found = {}
    for name in cluster.names():
        disks = cluster.ctl("stats", name)["disks"]
        values = [{v["name"]: v["value"] for v in disk["values"]} for disk in disks]
        found[name] = [int(v["block_present_bytes"]) for v in values]
    return found


def volumes_of_one_two_and_three_copies(cluster):
    image = make_image(cluster.folder / "copies.img", IMAGE_MIB, 31)
    for copies in (1, 2, 3):
        name = f"copies-{copies}"
        sites = cluster.create(name, "--copies", copies)["sites"]
        expect(len(sites) == copies and sites[0] == "site-a", f"--copies {copies}: sites {', '.join(sites)}")
        cluster.import_image(name, image)
        cluster.wait_caught_up(name)
        cluster.expect_checksums(name, sha256_of(image), sites)
        for site in set(SITES) - set(sites):
            answer = cluster.asked("volume", "checksum", name, "--site", site)
            expect(answer.code == NOT_FOUND, f"volume {name} has nothing at {site}, and it says so")


def local_copies_of_a_volume_without_remotes(cluster):
    def folded():
        rows = {row["role"]: row["block_bytes"] for row in cluster.replication("copies-1")["sites"]}
        return rows["primary"] == rows["secondary"] == IMAGE_MIB * MIB
    wait_until("both local copies to be full ones", folded)
    expect(True, "--copies 1 keeps two full local copies, as blocks at both home servers")


def every_disk_is_used(cluster):
    wait_until("all to be applied", lambda: all(all(disks) for name, disks in stored(cluster).items()
                                                if name.startswith("site-a")))
    home = {name: disks for name, disks in stored(cluster).items() if name.startswith("site-a")}
    expect(all(min(disks) > 0 for disks in home.values()),
           f"blocks lie on both disks of each home server: {{ {', '.join(f'{n}: {[b // MIB for b in d]} MiB' for n, d in home.items())} }}")


def a_sparse_image_keeps_its_holes(cluster):
    path = cluster.folder / "sparse.img"
    with open(path, "wb") as file:
        for at in (3, 17, 40):
            file.seek(at * MIB)
            file.write(os.urandom(MIB))
        file.truncate(64 * MIB)
    cluster.create("sparse")
    found = cluster.import_image("sparse", str(path))
    expect(found["written_bytes"] == 3 * MIB, f"of {found['bytes'] // MIB} MiB, 3 MiB are written")
    cluster.wait_caught_up("sparse")
    cluster.expect_checksums("sparse", sha256_of(path), SITES)
    wait_until("blocks to hold 3 MiB", lambda: [r["block_bytes"] for r in cluster.rows("sparse", "remote")] == [3 * MIB] * 2)
    out = cluster.folder / "sparse.out"
    cluster.ctl("volume", "export", "sparse", str(out), "--site", "site-b")
    expect(sha256_of(out) == sha256_of(path) and os.stat(out).st_blocks * 512 < 8 * MIB,
           f"the export equals it, and is sparse: {os.stat(out).st_blocks * 512 // 1024} KiB on disk")


def deletion_gives_back_blocks_and_journal(cluster):
    for volume in cluster.ctl("volume", "list")["volumes"]:
        cluster.ctl("volume", "delete", volume["name"])
    wait_until("no volume to be listed", lambda: not cluster.ctl("volume", "list")["volumes"])

    def empty():
        counters = [cluster.stats(name) for name in cluster.names()]
        return not any(sum(disks) for disks in stored(cluster).values()) and not any(c["journal_live_bytes"] for c in counters)
    wait_until("no block and no journal record to be left", empty)

    def used():
        return {name: cluster.disk_usage(name, "blocks") for name in cluster.names()}
    wait_until("files of blocks to be given back", lambda: max(used().values()) < 2 * MIB)
    usage = used()
    expect(max(usage.values()) < 2 * MIB, f"nothing is left of the volumes; block files occupy at most "
                                          f"{max(usage.values()) // 1024} KiB a server")


def a_new_volume_of_the_same_name_is_empty(cluster):
    cluster.create("copies-3", "--size", f"{IMAGE_MIB}MiB")
    cluster.wait_caught_up("copies-3")
    zeros = sha256_of(os.devnull, IMAGE_MIB * MIB)
    cluster.expect_checksums("copies-3", zeros, SITES)
    cluster.kill(*cluster.names("site-a"))
    cluster.start(*cluster.names("site-a"))
    cluster.wait_caught_up("copies-3")
    cluster.expect_checksums("copies-3", zeros, SITES)


if __name__ == "__main__":
    sys.exit(run_scenarios("copies", lambda: Cluster("--disks", "2"), [
        volumes_of_one_two_and_three_copies, local_copies_of_a_volume_without_remotes, every_disk_is_used,
        a_sparse_image_keeps_its_holes, deletion_gives_back_blocks_and_journal, a_new_volume_of_the_same_name_is_empty]))
