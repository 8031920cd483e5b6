#!/usr/bin/env python3
"""kill -9 of any process at any moment: servers, etcd members, an import under way. All that was ACKed stays, all heals.

Then what lies on the disks: exactly one copy of each block a site, and next to nothing at the secondaries.
"""

import random
import subprocess
import sys
import time

from cluster import BIN, Cluster, DONE, LONG, MIB, expect, make_image, run_scenarios, say, sha256_of, wait_until

SITES = ["site-a", "site-b", "site-c"]
IMAGE_MIB = 64
ROUNDS = 12 if LONG else 4


def any_server_dies_during_an_import(cluster):
    cluster.create("imported")
    every = cluster.names() + [server["name"] for server in cluster.servers("etcd")]
    for number in range(ROUNDS):
        source = random.Random(100 + number)
        image = make_image(cluster.folder / "killed.img", IMAGE_MIB, 200 + number)
        # The first rounds: one of the home, an etcd member, a remote; then any two.
        chosen = [source.choice(cluster.names("site-a")), f"{source.choice(SITES)}/etcd", source.choice(cluster.names("site-b"))]
        victims = [chosen[number]] if number < len(chosen) else source.sample(every, 2)
        importing = import_at_work(cluster, image, source.uniform(0.0, 0.3))
        cluster.kill(*victims)
        time.sleep(source.uniform(0.0, 1.0))
        cluster.start(*victims)
        code = importing.wait(300)
        expect(code == DONE, f"{', '.join(victims)} killed during the import and started: it ended well by itself")
        cluster.wait_caught_up("imported")
        cluster.expect_checksums("imported", sha256_of(image), SITES)


def import_command(image, name="imported"):
    return [BIN / "shimactl", "-o", "json", "volume", "import", name, image]


def import_at_work(cluster, image, delay_s):
    """An import that has written something, `delay_s` ago, and goes on."""
    for _ in range(10):
        before = committed_records(cluster)
        importing = cluster.popen("site-a", *import_command(image), stdout=subprocess.DEVNULL)
        wait_until("the first write", lambda: importing.poll() is not None or committed_records(cluster) > before, interval_s=0.01)
        time.sleep(delay_s)
        if importing.poll() is None:
            return importing
        expect(importing.returncode == DONE, "it has ended too soon, and well; again")
        delay_s /= 2
    raise AssertionError("an import is always over before it is seen at work")


def committed_records(cluster):
    return sum(row["committed_records"] for row in cluster.rows("imported", "primary"))


def an_import_dies_and_is_repeated(cluster):
    image = make_image(cluster.folder / "repeated.img", IMAGE_MIB, 300)
    importing = import_at_work(cluster, image, 0.1)
    importing.kill()
    expect(importing.wait() == -9, "shimactl was killed after it had begun to import")
    cluster.wait_caught_up("imported")
    sums = {cluster.checksum("imported"), *(cluster.checksum("imported", site) for site in SITES)}
    expect(len(sums) == 1, "what it had written is the same at all sites")
    cluster.import_image("imported", image)
    cluster.wait_caught_up("imported")
    cluster.expect_checksums("imported", sha256_of(image), SITES)


def the_whole_home_dies_and_etcd_loses_its_leader(cluster):
    log = cluster.folder / "home.acks"
    cluster.create("written", "--size", "32MiB")
    writer = cluster.writer("written", log, "--seconds", 600, "--depth", 8, "--deadline-ms", 60000)
    wait_until("the first ACKs", lambda: sum(s["acks"] for s in writer.seconds))
    for etcd in (server["name"] for server in cluster.servers("etcd")):
        victims = [etcd, *cluster.names("site-a")]
        cluster.kill(*victims)
        cluster.start(*victims)
        count = len(writer.seconds)
        wait_until("ACKs", lambda: any(s["acks"] for s in writer.seconds[count + 1:]))
        say(f"  {', '.join(victims)} killed and started: writes go on")
    writer.end()
    cluster.expect_all_acked("written", log)
    cluster.wait_caught_up("written")
    cluster.expect_all_acked("written", log, SITES[1:])


def blocks_of(cluster, server, volume_id):
    groups = [g for dump in cluster.dump("blocks", server, "--verify") for g in dump["groups"] if g["volume"] == volume_id]
    return sum(g["blocks"] for g in groups), sum(g["present_bytes"] for g in groups), sum(len(g["bad_blocks"]) for g in groups)


def one_copy_of_each_block_a_site(cluster):
    """From the files on disk, with all servers stopped."""
    cluster.wait_applied("imported")
    volume = cluster.ctl("volume", "show", "imported")["volume_id"]
    cluster.kill(*cluster.names())
    for site in SITES:
        found = [blocks_of(cluster, server, volume) for server in cluster.names(site)]
        blocks, present, bad = (sum(column) for column in zip(*found))
        # A secondary's blocks would show as more than one copy at the home.
        expect((blocks, present, bad) == (IMAGE_MIB, IMAGE_MIB * MIB, 0),
               f"{site}: {blocks} blocks with {present // MIB} MiB on disk: one copy, all checksums right")
    live = sum(live_payload(cluster, server, volume) for server in cluster.names("site-a"))
    expect(live < IMAGE_MIB * MIB * 0.05, f"journals at home still hold {live // 1024} KiB of it: under 5 %")
    cluster.start("*/core-*")
    cluster.wait_caught_up("imported")


def live_payload(cluster, server, volume_id):
    total = 0
    for dump in cluster.dump("journal", server, "--summary"):
        total += sum(g["live_payload_bytes"] for g in dump["groups"] if g["group"].split("/")[0] == str(volume_id))
    return total


if __name__ == "__main__":
    sys.exit(run_scenarios("kill any", Cluster, [
        any_server_dies_during_an_import, an_import_dies_and_is_repeated, the_whole_home_dies_and_etcd_loses_its_leader,
        one_copy_of_each_block_a_site]))
