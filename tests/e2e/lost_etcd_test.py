#!/usr/bin/env python3
"""Core servers whose etcd is not what it was: made anew behind the same addresses, put back, and restored from an older snapshot
(docs/howto/etcd-backup.md).
"""

import os
import pathlib
import shutil
import sys

from cluster import Cluster, NOT_FOUND, expect, make_image, run_scenarios, say, sha256_of, wait_until

SITES = ["site-a", "site-b", "site-c"]


def image(cluster, seed):
    path = make_image(cluster.folder / f"{seed}.img", 8, seed)
    return path, sha256_of(path)


def etcd_names(cluster):
    return [server["name"] for server in cluster.servers("etcd")]


def options_of(cluster, name):
    """Of the member of etcd that runs."""
    words = pathlib.Path(f"/proc/{cluster.pid(name)}/cmdline").read_bytes().decode().split("\0")
    return dict(zip(words, words[1:]))


def etcdctl(cluster, site, *arguments):
    """Again where etcd stands still; `snapshot restore` asks nobody."""
    def asked():
        answer = cluster.run(site, "env", "ETCDCTL_API=3", "etcdctl", "--dial-timeout=60s", "--command-timeout=60s",
                             *arguments, timeout_s=180)
        if answer.code != 0 and "restore" in arguments:
            raise AssertionError(repr(answer))
        return answer.code == 0 and answer or say(f"  {answer!r}")
    return wait_until(f"etcdctl {arguments}", asked).out


def data_of(cluster, name):
    return pathlib.Path(cluster.members[name]["--data-dir"])


def stop_all(cluster):
    cluster.kill(*cluster.names())
    cluster.kill(*etcd_names(cluster))


def start_all(cluster):
    cluster.start(*etcd_names(cluster))
    cluster.start(*cluster.names())
    cluster.wait_joined()


def what_is_on_disks(cluster):
    """Bytes that the files of blocks take; journals are empty by then."""
    disks = [pathlib.Path(disk) for name in cluster.names() for disk in cluster.server(name)["disks"]]
    return {str(file): file.stat().st_blocks * 512 for disk in disks for file in (disk / "blocks").iterdir()}


def a_snapshot_is_saved(cluster):
    cluster.members = {name: options_of(cluster, name) for name in etcd_names(cluster)}
    path, _ = image(cluster, 1)
    cluster.create("kept", "--groups", "1")
    cluster.import_image("kept", path)
    cluster.snapshot = cluster.folder / "etcd.snapshot"
    member = cluster.members[etcd_names(cluster)[0]]
    etcdctl(cluster, SITES[0], "--endpoints", member["--advertise-client-urls"], "snapshot", "save", cluster.snapshot)


def much_happens_after_it(cluster):
    for _ in range(2):  # terms rise
        cluster.kill(*cluster.names("site-a"))
        cluster.start(*cluster.names("site-a"))
        cluster.wait_joined()
    path, cluster.kept = image(cluster, 2)
    cluster.import_image("kept", path)
    path, cluster.later = image(cluster, 3)
    cluster.create("later", "--groups", "1")
    cluster.import_image("later", path)
    for name in ("kept", "later"):
        cluster.wait_applied(name)
    cluster.later_id = cluster.ctl("volume", "show", "later")["volume_id"]


def an_etcd_that_was_made_anew_is_refused(cluster):
    stop_all(cluster)
    before = what_is_on_disks(cluster)
    for name in etcd_names(cluster):
        data_of(cluster, name).rename(cluster.folder / name.replace("/", "-"))
    cluster.start(*etcd_names(cluster))
    logs = {name: len(cluster.log(name)) for name in cluster.names()}
    cluster.devcluster("start", *logs, check=False)
    for name, begin in logs.items():
        wait_until(f"{name} to end", lambda name=name: not os.path.exists(f"/proc/{cluster.pid(name)}"), 30)
        said = cluster.log(name)[begin:]
        expect(f"this etcd knows neither {name} nor its disks" in said and "volume kept, volume later" in said, f"{name} ends, in words")
    now = what_is_on_disks(cluster)
    expect(before and not [file for file, size in before.items() if now.get(file, 0) < size], "and nothing was dropped")


def with_its_own_etcd_everything_is_there(cluster):
    stop_all(cluster)
    for name in etcd_names(cluster):
        shutil.rmtree(data_of(cluster, name))
        (cluster.folder / name.replace("/", "-")).rename(data_of(cluster, name))
    start_all(cluster)
    for name, wanted in (("kept", cluster.kept), ("later", cluster.later)):
        cluster.wait_caught_up(name)
        cluster.expect_checksums(name, wanted, SITES)


def an_older_snapshot_loses_only_what_was_made_after_it(cluster):
    stop_all(cluster)
    for name, member in cluster.members.items():
        shutil.rmtree(data_of(cluster, name))
        same = ("--name", "--data-dir", "--initial-cluster", "--initial-cluster-token", "--initial-advertise-peer-urls")
        etcdctl(cluster, SITES[0], "snapshot", "restore", cluster.snapshot, *(word for option in same for word in (option, member[option])))
    start_all(cluster)
    cluster.wait_caught_up("kept")
    cluster.expect_checksums("kept", cluster.kept, SITES)
    path, wanted = image(cluster, 4)
    cluster.import_image("kept", path)
    cluster.wait_caught_up("kept")
    cluster.expect_checksums("kept", wanted, SITES)
    terms = [group["term"] for group in cluster.ctl("volume", "show", "kept")["groups"] if not group["metadata"]]
    expect(min(terms) > 1_000_000, f"the terms of what was written are far above those of the logs: {terms}")
    gone = cluster.asked("volume", "show", "later").code == NOT_FOUND
    expect(gone, "a volume that was made after the snapshot is gone")
    made = cluster.create("later", "--groups", "1")
    expect(made["volume_id"] > cluster.later_id, f"made again, it gets another id ({made['volume_id']} after {cluster.later_id}), and so none of the old data")
    cluster.import_image("later", path)
    cluster.wait_caught_up("later")
    cluster.expect_checksums("later", wanted, SITES)
    cluster.wait_joined()


def what_lies_under_the_id_of_another_volume_is_left_alone(cluster):
    member = cluster.members[etcd_names(cluster)[0]]

    def etcd(*arguments):
        return etcdctl(cluster, SITES[0], "--endpoints", member["--advertise-client-urls"], *arguments)
    key = "/shima/v1/volumes/"
    wanted = cluster.checksum("kept")
    cluster.kill(*cluster.names())
    record = etcd("get", key + "kept", "--print-value-only").strip()
    etcd("del", key + "kept")
    renamed = record.replace('"name":"kept"', '"name":"other"')
    expect(renamed != record, "volume kept's record is made volume other's")
    etcd("put", key + "other", renamed)
    cluster.start(*cluster.names())
    cluster.wait_joined()
    for name in cluster.names():
        wait_until(f"{name} to say that it does not serve it", lambda name=name: "not served: found data of volume kept" in cluster.log(name))
    why = "is not served here: found data of volume kept"
    wait_until("status to say it", lambda: why in str(cluster.ctl("status")["volumes"]))
    expect(True, "status says it, too")
    cluster.ctl("volume", "delete", "other")
    wait_until("volume other to be gone", lambda: cluster.try_ctl("volume", "show", "other").code == NOT_FOUND)
    cluster.kill(*cluster.names())
    etcd("put", key + "kept", record)
    cluster.start(*cluster.names())
    cluster.wait_joined()
    cluster.wait_caught_up("kept")
    cluster.expect_checksums("kept", wanted, SITES)


if __name__ == "__main__":
    sys.exit(run_scenarios("lost etcd", lambda: Cluster("--core", "2,1,1", "--rtt-ms", "4"), [
        a_snapshot_is_saved, much_happens_after_it, an_etcd_that_was_made_anew_is_refused, with_its_own_etcd_everything_is_there,
        an_older_snapshot_loses_only_what_was_made_after_it, what_lies_under_the_id_of_another_volume_is_left_alone]))
