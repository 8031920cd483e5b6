#!/usr/bin/env python3
"""A site is cut off: with `ack: local` writes go on at the same speed and in flat memory, and all heals.

What the same speed is on a machine that others use as well, a second writer tells: on the same servers, to a volume without
copies at other sites.
"""

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
LEAST_RATIO = 0.6  # to what the second writer has
LONGEST_GAP_S = 2  # more than the second writer has
# Of the second writer, which would tell nothing if the whole servers stood still.
LEAST_CONTROL_RATIO, LONGEST_CONTROL_GAP_S = 0.2, 10
TRIES = 4  # until it tells something: one of both writers may stand still alone


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


def write_for(writers, seconds):
    """When it began and ended: each writer has counted so many whole seconds meanwhile."""
    begin = time.monotonic()
    wait_until(f"{seconds} seconds of writes", lambda: all(len(w.seconds_within(begin, time.monotonic())) >= seconds for w in writers),
               60 + 2 * seconds)
    return begin, time.monotonic()


def ratio_and_gap(name, writer, before, meanwhile):
    """The ratio of the ACK rates during and before, and the longest time without an ACK, in seconds. Ends the writer."""
    total = writer.ask_to_end()
    rates = [writer.rate(*window) for window in (before, meanwhile)]
    expect(rates[0] > 0 and total["failed"] == 0, f"{name}: none of {total['acks']} writes failed")
    ratio, gap_s = rates[1] / rates[0], total["longest_gap_us"] / 1e6
    say(f"  {name}: {rates[0]:.0f} ACKs/s before, {rates[1]:.0f} meanwhile: ratio {ratio:.2f}; longest gap {gap_s:.2f} s")
    return ratio, gap_s


def write_through_a_cut(cluster, cut, volume, log, check=None):
    """Writes before, during and after; the growth of memory meanwhile. Again where the second writer tells that others had the machine."""
    for tries_left in reversed(range(TRIES)):
        (ratio, gap_s), (control_ratio, control_gap_s), growth = write_through_one_cut(cluster, cut, volume, log, check)
        served = control_ratio > LEAST_CONTROL_RATIO and control_gap_s < LONGEST_CONTROL_GAP_S
        good = served and ratio > LEAST_RATIO * min(1, control_ratio) and gap_s < LONGEST_GAP_S + control_gap_s
        if good or not tries_left:
            break
        say("  not all of them were at work all the time, as on a busy machine; again")
        cluster.wait_caught_up(volume)
    expect(served, "the servers served all the time")
    expect(ratio > LEAST_RATIO * min(1, control_ratio),
           f"writes went on at more than {LEAST_RATIO:.0%} of the speed of a volume that has nothing elsewhere")
    expect(gap_s < LONGEST_GAP_S + control_gap_s, f"no pause of {LONGEST_GAP_S} s more than there")
    return growth


def write_through_one_cut(cluster, cut, volume, log, check):
    """Ratio and gap of the volume and of the second writer, and by how many MiB each server's memory grew."""
    writer = cluster.writer(volume, log, "--seconds", 600, "--depth", 4)
    control = cluster.writer("control", cluster.folder / "control.acks", "--seconds", 600, "--depth", 4)
    writers = (writer, control)
    wait_until("the first ACKs", lambda: all(w.seconds and w.seconds[-1]["acks"] for w in writers))
    window_before, before = write_for(writers, BEFORE_S), resident(cluster)
    begin = time.monotonic()
    cluster.cut(cut)
    most = dict(before)
    while time.monotonic() < begin + CUT_S:
        time.sleep(0.5)
        most = {name: max(most[name], size) for name, size in resident(cluster).items()}
    if check:
        check()
    write_for(writers, 1)
    window_cut = begin, time.monotonic()
    cluster.heal()
    write_for(writers, 1)
    found = [ratio_and_gap(name, one, window_before, window_cut) for name, one in ((volume, writer), ("control", control))]
    growth = {name: (most[name] - before[name]) // MIB for name in most}
    say(f"  memory grew by {growth} MiB while {cut} was cut off")
    return *found, growth


def lag_of(cluster, name, site):
    row = cluster.rows(name, "remote", site)[0]
    return row["lag_bytes"]


def a_remote_is_cut_off(cluster):
    image = make_image(cluster.folder / "bulk.img", IMAGE_MIB, 1)
    cluster.create("bulk")
    cluster.create("small", "--size", "64MiB")
    cluster.create("control", "--size", "64MiB", "--copies", "1")
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
    # What waits for a disk that stands still is in memory for a moment.
    wait_until("all to be applied at home", lambda: not any(
        cluster.stats(name)["unapplied_bytes"] for name in cluster.names(cluster.home)))
    after = resident(cluster)
    say(f"  {IMAGE_MIB} MiB imported while site-c was cut off, {found['mb_per_second']:.0f} MB/s; memory grew by "
        f"{ {name: (after[name] - before[name]) // MIB for name in after} } MiB")
    wait_until(f"site-c to lag by all {IMAGE_MIB} MiB",
               lambda: (lag_of(cluster, "bulk", "site-c") or 0) >= IMAGE_MIB * MIB)
    expect(True, f"site-c lags by all {IMAGE_MIB} MiB")
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
