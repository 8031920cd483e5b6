#!/usr/bin/env python3
"""`ack: all`: a write pays the round trip; a site that is away holds writes only until it has left the in-sync set."""

import sys
import time

from cluster import Cluster, expect, run_scenarios, say, wait_until

RTT_MS = 40
TRIES = 5
GROUPS = 16
LEAVES_AFTER_S = 10  # a site that confirms nothing


def a_write_pays_the_round_trip(cluster):
    cluster.create("near", "--size", "16MiB", "--ack", "local")
    cluster.create("far", "--size", "64MiB", "--ack", "all", "--groups", GROUPS)
    for name in ("near", "far"):
        cluster.wait_caught_up(name)
    near_us = []
    while len(near_us) < TRIES and not any(us < RTT_MS * 1000 / 2 for us in near_us):  # others use the machine, too
        writer = cluster.writer("near", cluster.folder / "near.acks", "--seconds", 3, "--depth", 1)
        total = writer.wait()["p50_us"]
        near_us.append(min([total, *(second["p50_us"] for second in writer.seconds if second["acks"])]))
    far = cluster.write("far", cluster.folder / "far.acks", "--seconds", 3, "--depth", 1)
    say(f"  4 KiB, depth 1, {RTT_MS} ms RTT: ack local p50 {near_us[-1] / 1e3:.2f} ms, "
        f"ack all {far['p50_us'] / 1e3:.2f} ms")
    expect(far["p50_us"] >= RTT_MS * 1000, f"ack all takes at least the RTT of {RTT_MS} ms")
    expect(near_us[-1] < RTT_MS * 1000 / 2, "ack local takes less than half of it")


def in_sync(cluster, site):
    row = cluster.rows("far", "remote", site)[0]
    return row["in_sync"] == row["groups"]


def a_site_that_is_away_leaves_and_comes_back(cluster):
    log = cluster.folder / "far.acks"
    writer = cluster.writer("far", log, "--seconds", 600, "--depth", 16, "--deadline-ms", 60000)
    wait_until("the first ACKs", lambda: writer.seconds and writer.seconds[-1]["acks"])
    version = cluster.ctl("volume", "show", "far")["config_version"]
    cluster.cut("site-c")
    cut_at = time.monotonic()

    def since_the_cut():
        return [second["acks"] for second in writer.seconds_within(cut_at, time.monotonic())]

    def stopped():  # or the writer stood still as long, and saw it afterwards only
        longest_us = max((second["max_us"] for second in writer.seconds_within(cut_at, time.monotonic())), default=0)
        return 0 in since_the_cut() or longest_us > 0.9e6 * LEAVES_AFTER_S
    wait_until("writes to stop", stopped)
    expect(True, f"writes pause {time.monotonic() - cut_at:.0f} s after the cut, since site-c does not confirm")
    # Each group of the volume leaves for itself: only when all that are written to have left, nothing waits.
    wait_until("writes to go on without a pause",
               lambda: 0 not in since_the_cut()[-5:] and not in_sync(cluster, "site-c"), timeout_s=120)
    away_s = time.monotonic() - cut_at
    expect(away_s < 0.8 * LEAVES_AFTER_S * GROUPS,
           f"all {GROUPS} groups together took {away_s:.0f} s, not {LEAVES_AFTER_S} s each")
    record = cluster.ctl("volume", "show", "far")
    # Where it stands still it leaves, too, and comes back.
    wait_until("site-b to be in sync", lambda: in_sync(cluster, "site-b"))
    expect(record["config_version"] > version and not in_sync(cluster, "site-c"),
           f"site-c left the in-sync set by a change of the record {version} to {record['config_version']}, and writes "
           f"went on within {away_s:.0f} s")
    cluster.heal()
    wait_until("site-c to be in sync again", lambda: in_sync(cluster, "site-c"), 60)
    expect(True, "site-c is in sync again after the heal")
    total = writer.ask_to_end()
    expect(total["failed"] == 0, f"none of {total['acks']} writes failed; the longest pause was "
                                 f"{total['longest_gap_us'] / 1e6:.1f} s")
    cluster.wait_caught_up("far")
    # What was ACKed while it was in sync, it has without any waiting; here all has arrived.
    cluster.expect_all_acked("far", log, ["site-b", "site-c"])
    again = cluster.write("far", log, "--seconds", 2, "--depth", 1)
    expect(again["p50_us"] >= RTT_MS * 1000, f"and writes pay the RTT again: p50 {again['p50_us'] / 1e3:.2f} ms")


if __name__ == "__main__":
    sys.exit(run_scenarios("ack all", lambda: Cluster("--rtt-ms", str(RTT_MS)), [
        a_write_pays_the_round_trip, a_site_that_is_away_leaves_and_comes_back]))
