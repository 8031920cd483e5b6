#!/usr/bin/env python3
"""A core server whose disk is empty when it starts: it says so and ends, until the disk is back, or somebody says that it is lost for ever.

A volume with one data group and its metadata group over four servers at home, so that one of them is a secondary and no primary.
"""

import contextlib
import pathlib
import shutil
import sys

from cluster import Cluster, DONE, NOT_FOUND, PRECONDITION, expect, make_image, run_scenarios, sha256_of, wait_until

SITES = ["site-a", "site-b", "site-c"]
RUNS = "site-b/core-0"  # its disk is asked to be forgotten while it runs: not taken for dead where it stands still
LEASE_MS = 20_000


def put_away(cluster, server):
    """As if the disk were not mounted: an empty directory is in its place; where it is now."""
    disk = pathlib.Path(cluster.server(server)["disks"][0])
    away = disk.with_name(f"{disk.name}-away-{len(list(disk.parent.glob('*-away-*')))}")
    disk.rename(away)
    disk.mkdir()
    return away


def put_back(cluster, server, away):
    disk = pathlib.Path(cluster.server(server)["disks"][0])
    shutil.rmtree(disk)
    away.rename(disk)


def start_refused(cluster, server):
    """What the server says when it is started and ends; what is in its disk's directory then."""
    log = cluster.log(server)
    cluster.devcluster("start", server, check=False)

    def ended():
        with contextlib.suppress(FileNotFoundError):
            return not pathlib.Path(f"/proc/{cluster.pid(server)}").exists()
        return True
    wait_until(f"{server} to end", ended, 20)
    return cluster.log(server)[len(log):], list(pathlib.Path(cluster.server(server)["disks"][0]).iterdir())


def disk_of(cluster, server):
    answer = cluster.ctl("server", "disks")
    return next(one["disks"][0]["id"] for one in answer["servers"] if one["server"] == server)


def members(cluster, role):
    """Names of the volume's servers in a role of any group."""
    names = {server["server_id"]: server["name"] for server in cluster.ctl("server", "list")["servers"]}
    groups = cluster.ctl("volume", "show", "lost")["groups"]
    return {names[one["server_id"]] for group in groups for one in group["members"] if one["role"] == role}


def stop_and_wait(cluster, server):
    cluster.kill(server)
    wait_until(f"{server}'s lease to end", lambda: server in cluster.ctl("status")["servers_away"], 30)


def forget(cluster, server, disk):
    return cluster.asked("server", "forget-disk", server, disk)


def each_server_has_its_disk_on_record(cluster):
    cluster.image = make_image(cluster.folder / "lost.img", 8, 77)
    cluster.wanted = sha256_of(cluster.image)
    cluster.wait_joined()
    cluster.create("lost", "--copies", "3", "--groups", "1")
    cluster.import_image("lost", cluster.image)
    cluster.wait_caught_up("lost")
    recorded = {one["server"]: len(one["disks"]) for one in cluster.ctl("server", "disks")["servers"]}
    expect(recorded == {name: 1 for name in cluster.names()}, "each server's disk is on record")


def a_primary_with_an_empty_directory_is_refused(cluster):
    primary = sorted(members(cluster, "primary"))[0]
    disk = disk_of(cluster, primary)
    stop_and_wait(cluster, primary)
    away = put_away(cluster, primary)
    said, left = start_refused(cluster, primary)
    expect(f"disk {disk} of {primary}" in said and "Is it mounted" in said, f"{primary} does not start, in words")
    expect(not left, "and has written nothing into the empty directory")
    answer = forget(cluster, primary, disk)
    expect(answer.code == PRECONDITION and "volume lost" in answer.err and "is the primary" in answer.err,
           "its disk cannot be forgotten, since acknowledged data would be lost, and the volume is named")
    put_back(cluster, primary, away)
    cluster.start(primary)
    cluster.wait_joined()
    cluster.wait_caught_up("lost")
    cluster.expect_checksums("lost", cluster.wanted, SITES)


def a_disk_of_nobody_and_a_server_that_runs(cluster):
    remote = sorted(members(cluster, "remote"))[0]
    expect(forget(cluster, remote, "not-a-disk").code != DONE, "an id that is none is refused")
    expect(forget(cluster, remote, "00000000000000ff").code == NOT_FOUND, "a disk that the server does not have is not found")
    expect(forget(cluster, "site-a/core-99", "00000000000000ff").code == NOT_FOUND, "nor is a server that does not exist")
    answer = forget(cluster, RUNS, disk_of(cluster, RUNS))
    expect(answer.code == PRECONDITION and "runs" in answer.err, "the disk of a server that runs is not forgotten")


def lose_and_fill_again(cluster, server):
    disk = disk_of(cluster, server)
    stop_and_wait(cluster, server)
    away = put_away(cluster, server)
    said, left = start_refused(cluster, server)
    expect(disk in said and not left, f"{server} does not start with an empty directory")
    expect(forget(cluster, server, disk).code == DONE, f"disk {disk} of {server} is forgotten")
    expect(forget(cluster, server, disk).json["was_forgotten"], "once more: it says that it was")
    cluster.start(server)
    cluster.wait_joined()
    expect(disk_of(cluster, server) != disk, "it begins anew, with a disk of another id")
    cluster.wait_caught_up("lost")
    return disk, away


def a_remote_is_filled_again(cluster):
    remote = next(name for name in sorted(members(cluster, "remote")) if name.startswith("site-b"))
    disk, away = lose_and_fill_again(cluster, remote)
    cluster.expect_checksums("lost", cluster.wanted, SITES)
    stop_and_wait(cluster, remote)
    now = put_away(cluster, remote)
    put_back(cluster, remote, away)
    said, _ = start_refused(cluster, remote)
    expect("was forgotten as lost" in said, f"disk {disk}, found again, is not taken back")
    put_back(cluster, remote, now)
    cluster.start(remote)
    cluster.wait_joined()


def a_secondary_is_filled_again(cluster):
    secondary = sorted(members(cluster, "secondary") - members(cluster, "primary"))[0]
    lose_and_fill_again(cluster, secondary)
    other = make_image(cluster.folder / "after.img", 8, 78)
    cluster.import_image("lost", other)
    cluster.wait_caught_up("lost")
    cluster.expect_checksums("lost", sha256_of(other), SITES)


if __name__ == "__main__":
    flags = f"--server-flags={RUNS}=--lease_ttl_ms={LEASE_MS}"
    sys.exit(run_scenarios("lost disk", lambda: Cluster("--core", "4,1,1", "--rtt-ms", "4", flags), [
        each_server_has_its_disk_on_record, a_primary_with_an_empty_directory_is_refused, a_disk_of_nobody_and_a_server_that_runs,
        a_remote_is_filled_again, a_secondary_is_filled_again]))
