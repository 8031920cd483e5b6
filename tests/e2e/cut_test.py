#!/usr/bin/env python3
"""A site is cut off: with `ack: local` writes go on at the same speed and in flat memory, and all heals."""

import pathlib
import subprocess
import sys
import time

from cluster import Cluster, DONE, LONG, MIB, expect, make_image, run_scenarios, say, sha256_of, wait_until

CUT_S = 60 if LONG else 10
BEFORE_S = 15 if LONG else 4
IMAGE_MIB = 768 if LONG else 192
GROWTH_BOUND = 96 * MIB  # resident; less than what is written meanwhile
MEMORY_LIMIT = 1024 * MIB  # of a home server's private memory in the long run
# The shared machine that this runs on is not quiet.
LEAST_RATIO = 0.6


def limit_memory(cluster):
    for name in cluster.names(cluster.home):
        used = cluster.resident_bytes(name, "VmData")
        limit = max(MEMORY_LIMIT, 2 * used) if used > MEMORY_LIMIT else MEMORY_LIMIT
        subprocess.run(["prlimit", "--pid", str(cluster.pid(name)), f"--data={limit}"], check=True)
        say(f"  {name}: RLIMIT_DATA {limit // MIB} MiB, {used // MIB} MiB used")


def warm_up(cluster, image):
    """So that buffers which are filled once do not count as growth."""
    cluster.import_image("bulk", image)
    cluster.wait_applied("bulk")


def resident(cluster):
    return {name: cluster.resident_bytes(name) for name in cluster.names(cluster.home)}


def write_through_a_cut(cluster, cut, volume, log, check=None):
    """Writes before, during and after; the ratio of the ACK rates during and before, and the growth of memory."""
    writer = cluster.writer(volume, log, "--seconds", BEFORE_S + CUT_S + 5, "--depth", 4)
    wait_until("the first ACKs", lambda: writer.seconds and writer.seconds[-1]["acks"])
    begin = time.monotonic()
    time.sleep(BEFORE_S)
    cut_at, before = time.monotonic(), resident(cluster)
    cluster.cut(cut)
    most = dict(before)
    while time.monotonic() < cut_at + CUT_S:
        time.sleep(0.5)
        most = {name: max(most[name], size) for name, size in resident(cluster).items()}
    if check:
        check()
    healed_at = time.monotonic()
    rate_before, rate_cut = writer.rate(begin, cut_at), writer.rate(cut_at, healed_at)
    cluster.heal()
    total = writer.wait()
    growth = {name: (most[name] - before[name]) // MIB for name in most}
    say(f"  {rate_before:.0f} ACKs/s before, {rate_cut:.0f} while {cut} was cut off: ratio {rate_cut / rate_before:.2f}; "
        f"longest gap {total['longest_gap_us'] / 1e6:.2f} s; memory grew by {growth} MiB")
    expect(total["failed"] == 0, f"none of {total['acks']} writes failed")
    expect(rate_cut > LEAST_RATIO * rate_before, f"writes went on at more than {LEAST_RATIO:.0%} of the speed before")
    expect(total["longest_gap_us"] < 2e6, "no pause of 2 s")
    return growth


def lag_of(cluster, name, site):
    row = cluster.rows(name, "remote", site)[0]
    return row["lag_bytes"]


def a_remote_is_cut_off(cluster):
    image = make_image(cluster.folder / "bulk.img", IMAGE_MIB, 1)
    cluster.create("bulk")
    cluster.create("small", "--size", "64MiB")
    warm_up(cluster, image)
    if LONG:
        limit_memory(cluster)
    again = make_image(cluster.folder / "again.img", IMAGE_MIB, 2)
    log = cluster.folder / "small.acks"
    growth = write_through_a_cut(cluster, "site-c", "small", log)
    expect(max(growth.values()) * MIB < GROWTH_BOUND, f"memory of the home's servers grew by less than {GROWTH_BOUND // MIB} MiB")
    cluster.wait_caught_up("small")
    cluster.expect_all_acked("small", log, ["site-c"])
    more_than_memory_for_a_remote_that_is_away(cluster, again)


def more_than_memory_for_a_remote_that_is_away(cluster, image):
    cluster.cut("site-c")
    before = resident(cluster)
    found = cluster.import_image("bulk", image)
    after = resident(cluster)
    say(f"  {IMAGE_MIB} MiB imported while site-c was cut off, {found['mb_per_second']:.0f} MB/s; lag there "
        f"{lag_of(cluster, 'bulk', 'site-c') // MIB} MiB; memory grew by "
        f"{ {name: (after[name] - before[name]) // MIB for name in after} } MiB")
    expect(lag_of(cluster, "bulk", "site-c") >= IMAGE_MIB * MIB, f"site-c lags by all {IMAGE_MIB} MiB")
    expect(all(after[name] - before[name] < GROWTH_BOUND for name in after),
           f"memory of the home's servers grew by less than {GROWTH_BOUND // MIB} MiB meanwhile")
    cluster.heal()
    cluster.wait_applied("bulk", 120)
    cluster.expect_checksums("bulk", sha256_of(image), ["site-a", "site-b", "site-c"])


def the_home_is_cut_off(cluster):
    """It has neither remotes nor etcd's majority then."""
    log = cluster.folder / "small.acks"

    def etcd_is_away():
        def told():
            answer = cluster.try_ctl("status")
            return answer.code == DONE and not answer.json["etcd"]["reachable"] and answer.json["etcd"]
        etcd = wait_until("status to say that etcd is away", told, 30)
        expect(etcd["error"] != "", f"status says: {etcd['error']}")
        reader = cluster.verify("small", cluster.folder / "reader.acks")
        expect(reader.code == 0, f"reads go on: {reader.json['verified']} places, as ACKed before the cut")

    (cluster.folder / "reader.acks").write_bytes(pathlib.Path(log).read_bytes())
    write_through_a_cut(cluster, "site-a", "small", log, etcd_is_away)
    cluster.wait_caught_up("small")
    cluster.expect_all_acked("small", log, ["site-b", "site-c"])
    wait_until("status to say that etcd is there", lambda: cluster.ctl("status")["etcd"]["reachable"], 30)
    expect(True, "etcd is reachable again")


if __name__ == "__main__":
    sys.exit(run_scenarios("cut", Cluster, [a_remote_is_cut_off, the_home_is_cut_off]))
