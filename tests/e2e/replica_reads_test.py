#!/usr/bin/env python3
"""R17: a site that has a replica reads files by asking the home only how new they are, and never reads old bytes.

site-c has an access server and no core servers, so its reads show what they would cost without a replica.
"""

import os
import sys
import time

from cluster import Cluster, FILE_PROGRAMS, MIB, expect, make_image, run_scenarios, say, sha256_of, wait_until

VOLUME = "files"
IMAGE_MIB = 64
FRESH_MIB = 1
ROUNDS = 30


def make_cluster():
    return Cluster("--core", "2,2,0", access="1,1,1")


def wan_bytes(cluster, site):
    """What has gone over the WAN between the home and the site, either way."""
    links = (f"{cluster.home}>{site}", f"{site}>{cluster.home}")
    lines = [line.split() for line in cluster.wan().out.splitlines()]
    counters = {line[0]: dict(word.split("=") for word in line[1:] if "=" in word) for line in lines if line and ">" in line[0]}
    return sum(int(counters[link]["bytes"]) for link in links)


def get(cluster, site, path):
    """What `get` printed, and the bytes that it cost on the WAN."""
    before = wan_bytes(cluster, site)
    answer = cluster.nfs(site, VOLUME, "get", path, "--piece", str(MIB), "--depth", "1")
    return answer, wan_bytes(cluster, site) - before


def metrics(cluster, site):
    """The volume client's counters of a site's access server."""
    server = cluster.servers("access", site)[0]
    url = f"http://{server['address']}:{server['ports']['metrics']}/metrics"
    program = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=60).read().decode())"
    lines = cluster.run(site, sys.executable, "-c", program).out.splitlines()
    return {line.split("{")[0]: float(line.split()[-1]) for line in lines if f'volume="{VOLUME}"' in line}


def reading_at_a_site_with_a_replica_costs_next_to_nothing(cluster):
    cluster.create(VOLUME)
    image = make_image(cluster.folder / "file.img", IMAGE_MIB, 1)
    cluster.nfs("site-a", VOLUME, "put", image, "/file")
    cluster.wait_caught_up(VOLUME)
    wanted = sha256_of(image)
    replica_bytes, cost = wait_until("a read that is all from the replica", lambda: read_beside_a_replica(cluster, wanted), timeout_s=300)
    expect(replica_bytes == IMAGE_MIB * MIB and cost < MIB, f"/metrics counts the bytes as the replica's; it cost {cost / 1024:.0f} KiB on the WAN")
    found, cost = get(cluster, "site-c", "/file")
    expect(found["sha256"] == wanted and cost > IMAGE_MIB * MIB,
           f"site-c, without a replica, read the same at {found['mb_per_second']:.0f} MB/s for {cost / MIB:.0f} MiB on the WAN")


def read_beside_a_replica(cluster, wanted):
    """Bytes that came from the replica, and what the read cost, or None where some came from home: a replica that is late by some
    50 ms, as on a busy machine, is not waited for."""
    before, (found, cost), after = metrics(cluster, "site-b"), get(cluster, "site-b", "/file"), metrics(cluster, "site-b")
    late, replica_bytes = (after[name] - before.get(name, 0) for name in ("shima_volume_replica_fallbacks", "shima_volume_replica_bytes"))
    expect(found["sha256"] == wanted, f"site-b read {IMAGE_MIB} MiB of site-a's at {found['mb_per_second']:.0f} MB/s")
    if late == 0 and cost < MIB:
        return replica_bytes, cost
    say(f"  {late:.0f} pieces came too late; {replica_bytes / MIB:.0f} MiB from the replica, {cost / MIB:.1f} MiB on the WAN")
    return None


def what_was_just_written_is_read(cluster):
    """Each time at the moment when the replica is most likely behind."""
    for number in range(ROUNDS):
        image = make_image(cluster.folder / "fresh.img", FRESH_MIB, 100 + number)
        cluster.nfs("site-a", VOLUME, "put", image, "/fresh", "--piece", str(MIB))
        found = cluster.nfs("site-b", VOLUME, "get", "/fresh", "--piece", str(MIB))
        if found["sha256"] != sha256_of(image):
            raise AssertionError(f"round {number}: site-b read other bytes than site-a had written: {found}")
    expect(True, f"{ROUNDS} times site-b read what site-a had just written over the same file")


def a_truncation_is_seen_at_once(cluster):
    kept = MIB // 2
    for number in range(ROUNDS // 3):
        image = make_image(cluster.folder / "cut.img", 2, 200 + number)
        cluster.nfs("site-a", VOLUME, "put", image, "/cut", "--piece", str(MIB))
        cluster.nfs("site-a", VOLUME, "truncate", "/cut", str(kept))
        cluster.nfs("site-a", VOLUME, "truncate", "/cut", str(2 * MIB))
        found = cluster.nfs("site-b", VOLUME, "get", "/cut", "--piece", str(MIB))
        os.truncate(image, kept)
        if found["sha256"] != sha256_of(image, 2 * MIB):
            raise AssertionError(f"round {number}: site-b read bytes that site-a had cut off: {found}")
    expect(True, f"{ROUNDS // 3} times site-b read zeros where site-a had just cut a file")


def without_its_replica_the_site_reads_at_home(cluster):
    cluster.kill(*cluster.names("site-b"))
    begin = time.monotonic()
    found, cost = get(cluster, "site-b", "/file")
    expect(found["sha256"] == sha256_of(cluster.folder / "file.img"),
           f"site-b's core servers are gone, and its clients read the same in {time.monotonic() - begin:.1f} s")
    expect(cost > IMAGE_MIB * MIB, f"for {cost / MIB:.0f} MiB on the WAN")
    cluster.start(*cluster.names("site-b"))
    cluster.wait_caught_up(VOLUME)
    wanted = sha256_of(cluster.folder / "file.img")
    _, cost = wait_until("a read that is all from the replica again", lambda: read_beside_a_replica(cluster, wanted), timeout_s=300)
    expect(True, f"they are back, and the replica is used again: {cost / 1024:.0f} KiB on the WAN")


if __name__ == "__main__":
    sys.exit(run_scenarios("replica reads", make_cluster, [
        reading_at_a_site_with_a_replica_costs_next_to_nothing, what_was_just_written_is_read, a_truncation_is_seen_at_once,
        without_its_replica_the_site_reads_at_home], FILE_PROGRAMS))
