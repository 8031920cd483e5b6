#!/usr/bin/env python3
"""The metadata group: two full copies at home and one at each other site, equal byte for byte; a remote that missed too much
gets all keys anew.
"""

import os
import sys

from cluster import Cluster, FILE_PROGRAMS, expect, run_scenarios, wait_until

VOLUME = "names"
BUDGET = 1 << 20
LINKS = 700  # of 4,000 bytes: more than the budget


def make_cluster():
    return Cluster(f"--server-flags=--limits.lag_budget_bytes={BUDGET}", access="0")


def copies(cluster):
    """Server -> (keys, checksum) of the metadata group, as its disk has it."""
    found = {}
    for name in cluster.names():
        for dump in cluster.dump("blocks", name, "--verify"):
            for group in dump["groups"]:
                if group["volume"] == cluster.volume and group["metadata_keys"]:
                    found[name] = (group["metadata_keys"], group["metadata_checksum"])
    return found


def expect_equal_copies(cluster, text, at_least):
    cluster.wait_caught_up(VOLUME, 120)
    seen = {}

    def equal():
        seen.clear()
        seen.update(copies(cluster))
        return len(seen) == 4 and len(set(seen.values())) == 1
    wait_until("four equal copies of the metadata", equal)
    keys = next(iter(seen.values()))[0]
    expect(keys >= at_least, f"{text}: {', '.join(sorted(seen))} hold the same {keys} keys")


def make_links(folder, begin, end):
    for number in range(begin, end):
        os.symlink("x" * 3990 + str(number), folder / f"link-{number}")


def four_copies_are_equal(cluster):
    cluster.create(VOLUME)
    cluster.volume = cluster.ctl("volume", "show", VOLUME)["volume_id"]
    cluster.at = cluster.mount("site-a", VOLUME)
    (cluster.at / "folder").mkdir()
    for number in range(50):
        (cluster.at / f"folder/file-{number}").write_bytes(b"x" * number)
    os.rename(cluster.at / "folder/file-0", cluster.at / "folder/renamed")
    (cluster.at / "folder/file-1").unlink()
    expect_equal_copies(cluster, "files, names and a rename", 150)


def a_remote_that_missed_too_much_gets_all_keys_anew(cluster):
    (cluster.at / "links").mkdir()
    cluster.kill(*cluster.names("site-b"))
    make_links(cluster.at / "links", 0, LINKS)
    for number in range(0, LINKS, 7):
        (cluster.at / f"links/link-{number}").unlink()
    wait_until("site-b to leave the whole set", lambda: any(  # on record
        member["site"] == "site-b" and not member["whole"]
        for group in cluster.ctl("volume", "show", VOLUME)["groups"] for member in group["members"]))
    cluster.start(*cluster.names("site-b"))
    make_links(cluster.at / "links", LINKS, LINKS + 50)
    expect_equal_copies(cluster, "site-b was resynced", LINKS)
    resyncs = sum(cluster.log(name).count("sending all of its state to server") for name in cluster.names("site-a"))
    expect(resyncs >= 1, f"by a copy of all keys: {resyncs} resyncs")


def killed_servers_come_back_to_the_same(cluster):
    for victim in cluster.names("site-a"):
        cluster.kill(victim)
        cluster.start(victim)
        (cluster.at / f"links/after-{victim.rsplit('/', 1)[1]}").touch()
    expect_equal_copies(cluster, "both home servers were killed and started", LINKS)
    names = os.listdir(cluster.at / "links")
    expect(len(names) == LINKS + 50 - 100 + 2, f"{len(names)} names are listed")


if __name__ == "__main__":
    sys.exit(run_scenarios("metadata copies", make_cluster, [
        four_copies_are_equal, a_remote_that_missed_too_much_gets_all_keys_anew, killed_servers_come_back_to_the_same,
    ], FILE_PROGRAMS))
