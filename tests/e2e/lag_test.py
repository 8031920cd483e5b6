#!/usr/bin/env python3
"""R7: past the lag budget a remote leaves the whole set and is resynced later; without any, the secondary folds."""

import sys

from cluster import Cluster, MIB, expect, make_image, run_scenarios, sha256_of, wait_until

BUDGET = 2 * MIB
IMAGE_MIB = 64  # far more than the budget times 8 groups


def row(cluster, role, site):
    return cluster.rows("lagging", role, site)[0]


def whole(cluster, site):
    found = row(cluster, "remote", site)
    return found["whole"] == found["groups"]


def not_whole_at_all(cluster, site):
    """In no data group; the metadata group has had no job here, so it lags behind nothing."""
    members = cluster.ctl("replication", "show", "lagging", "--groups")["members"]
    data = [m for m in members if m["role"] == "remote" and m["site"] == site and not m["metadata"]]
    return all(m["whole"] is False for m in data)  # None: its primary does not answer


def secondary_bytes(cluster):
    """Of blocks and journal; None while a server, which would show no bytes, does not answer."""
    found = row(cluster, "secondary", "site-a")
    return None if found["unreachable_servers"] else (found["block_bytes"], found["journal_bytes"])


def wait_without_blocks(cluster, what):
    wait_until(what, lambda: (secondary_bytes(cluster) or (None,))[0] == 0)


def one_remote_is_past_the_budget(cluster):
    cluster.create("lagging")
    first = make_image(cluster.folder / "first.img", IMAGE_MIB, 11)
    cluster.import_image("lagging", first)
    cluster.wait_applied("lagging")
    # On a busy machine a remote may have been past the small budget for a moment already, and the secondary has folded.
    wait_without_blocks(cluster, "the secondary to trim all that it had")
    cluster.cut("site-c")
    second = make_image(cluster.folder / "second.img", IMAGE_MIB, 12)
    cluster.import_image("lagging", second)
    wait_until("site-c to leave the whole set", lambda: not_whole_at_all(cluster, "site-c"))
    wait_until("site-b to be whole", lambda: whole(cluster, "site-b"))  # it may have been past the small budget for a moment, too
    wait_until("site-c to be out", lambda: not_whole_at_all(cluster, "site-c"))
    expect(True, f"{IMAGE_MIB} MiB written: site-c is not whole in any group, site-b is in all")

    wait_until("the secondary to trim by site-b alone", lambda: secondary_bytes(cluster) == (0, 0))
    expect(True, "the secondary goes on trimming by site-b, and has no blocks")
    cluster.expect_checksums("lagging", sha256_of(second), ["site-a", "site-b"])


def the_secondary_folds_without_any_whole_remote(cluster):
    # Its servers only: leaving the whole set takes a compare-and-swap, and so etcd's majority, which site-a has with site-b.
    cluster.kill(*cluster.names("site-b"))
    third = make_image(cluster.folder / "third.img", IMAGE_MIB, 13)
    cluster.import_image("lagging", third)
    wait_until("site-b to leave the whole set", lambda: not_whole_at_all(cluster, "site-b"))
    written = IMAGE_MIB * MIB
    (folded, _) = wait_until("the secondary to fold", lambda: (
        (found := secondary_bytes(cluster)) and found[0] >= written and found))
    expect(folded == written, f"no remote is whole: the secondary holds all {IMAGE_MIB} MiB that were written as blocks")
    cluster.expect_checksums("lagging", sha256_of(third), [])


def healed_all_are_resynced(cluster):
    cluster.heal()
    cluster.start(*cluster.names("site-b"))
    cluster.wait_caught_up("lagging", 90)
    wait_until("both remotes to be whole", lambda: whole(cluster, "site-b") and whole(cluster, "site-c"))
    expect(True, "after the heal both remotes are whole again")
    wait_without_blocks(cluster, "the secondary to drop its blocks")
    expect(True, "the secondary has dropped its blocks")
    wanted = sha256_of(cluster.folder / "third.img")
    cluster.expect_checksums("lagging", wanted, ["site-a", "site-b", "site-c"])
    resyncs = sum(cluster.log(name).count("sending all of its state to server") for name in cluster.names("site-a"))
    expect(resyncs >= 8, f"at least one remote's groups were resynced block by block: {resyncs} resyncs")


def a_folded_secondary_survives_a_crash(cluster):
    """Both remotes away again, and both home servers crash while the secondary holds blocks."""
    remotes = [name for name in cluster.names() if not name.startswith("site-a")]
    cluster.kill(*remotes)
    fourth = make_image(cluster.folder / "fourth.img", IMAGE_MIB, 14)
    cluster.import_image("lagging", fourth)
    cluster.kill(*cluster.names("site-a"))
    cluster.start("*/core-*")
    cluster.wait_caught_up("lagging", 90)
    cluster.expect_checksums("lagging", sha256_of(fourth), ["site-a", "site-b", "site-c"])


def make_cluster():
    return Cluster(f"--server-flags=--limits.lag_budget_bytes={BUDGET}")


if __name__ == "__main__":
    sys.exit(run_scenarios("lag", make_cluster, [
        one_remote_is_past_the_budget, the_secondary_folds_without_any_whole_remote, healed_all_are_resynced,
        a_folded_secondary_survives_a_crash]))
