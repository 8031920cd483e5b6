#!/usr/bin/env python3
"""A volume that only published nodes may use (R20): from the moment `volume unpublish` has returned, nothing of the node is
carried out, and its locks are free; also when core servers die in between.
"""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time

from cluster import (BIN, Cluster, DONE, EXISTS, FILE_PROGRAMS, PRECONDITION, UNKNOWN, UNREACHABLE, expect,
                     run_scenarios, wait_until)

VOLUME = "fenced"
PLACES = 8  # of 4 KiB, each in another block, so in several groups; each is written over and over by a thread of its own
BLOCK = 1 << 20
SILENT_S = 3  # what was still on its way would have come by then


def make_cluster():
    return Cluster("--core", "3,1,1", access="1,0,0")


# ---- what a process on the node does: fencing_test.py --work DIRECTORY -----------------------------------------------


def work(directory):
    """Holds a lock and writes numbers, in each place one after the other; tells each that was ACKed, then the errors."""
    locked = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.lockf(locked, fcntl.LOCK_EX)
    file = os.open(f"{directory}/numbers", os.O_RDWR | os.O_CREAT, 0o644)

    def tell(**what):
        os.write(sys.stdout.fileno(), (json.dumps(what) + "\n").encode())  # in one piece, from any thread

    def count_up(place):
        number = int.from_bytes(os.pread(file, 8, place * BLOCK), "little")
        try:
            while True:
                number += 1
                os.pwrite(file, number.to_bytes(8, "little") * 512, place * BLOCK)
                tell(place=place, acked=number)
        except OSError as error:
            tell(place=place, errno=error.errno)
    for place in range(PLACES):
        threading.Thread(target=count_up, args=(place,)).start()
    time.sleep(600)  # the lock stays this process'


class Worker:
    def __init__(self, directory):
        self.acked, self.errnos = [0] * PLACES, {}
        self.process = subprocess.Popen([sys.executable, __file__, "--work", str(directory)], stdout=subprocess.PIPE, text=True)

    def read_until(self, condition):
        while not condition():
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("the worker has ended")
            said = json.loads(line)
            if "acked" in said:
                self.acked[said["place"]] = said["acked"]
            else:
                self.errnos[said["place"]] = said["errno"]

    def read_to_the_end(self):
        self.read_until(lambda: len(self.errnos) == PLACES)
        expect(set(self.errnos.values()) == {errno.EIO}, "each of its writers got EIO")

    def end(self):
        self.process.kill()
        self.process.wait()


def numbers_in(directory):
    """What lies in the places, read through another mount; each whole."""
    with open(f"{directory}/numbers", "rb") as file:
        pieces = [os.pread(file.fileno(), 4096, place * BLOCK) for place in range(PLACES)]
    torn = [piece[:16] for piece in pieces if piece != piece[:8] * 512]
    if torn:
        raise AssertionError(f"torn pieces: {torn}")
    return [int.from_bytes(piece[:8], "little") for piece in pieces]


def is_fenced(directory):
    """Every call of a fenced mount fails with EIO, long before one that nobody answers would (300 s)."""
    begin = time.monotonic()
    try:
        descriptor = os.open(f"{directory}/by-the-fenced", os.O_RDWR | os.O_CREAT)
        os.close(descriptor)
        return f"a file was made in {directory}"
    except OSError as error:
        if error.errno != errno.EIO:
            return f"{error}"
    took = time.monotonic() - begin
    return "" if took < 100 else f"EIO came after {took:.1f} s"


# ---- scenarios -------------------------------------------------------------------------------------------------------


def publish(cluster, node, site, *options):
    return cluster.ctl("volume", "publish", VOLUME, node, "--site", site, *options)["publication"]


def mount(cluster, node, site):
    publication = publish(cluster, node, site)
    return cluster.mount(site, VOLUME, "--node", node, "--publication", str(publication))


def only_published_nodes_are_let_in(cluster):
    cluster.create(VOLUME, "--published-only", "--size", "1GiB")
    answer = cluster.asked("volume", "checksum", VOLUME)
    expect(answer.code == PRECONDITION and "published" in answer.err, "shimactl cannot read it, and says why")
    answer = cluster.run(cluster.home, BIN / "shima-blockwriter", "write", VOLUME, cluster.folder / "none.log", "--seconds", "2")
    expect(answer.code != 0 and "names no publication" in answer.out + answer.err, f"a client without a publication is refused: {answer.err.strip()[-160:]}")
    answer = cluster.asked("volume", "publish", VOLUME, "node-x", "--site", "nowhere")
    expect(answer.code == PRECONDITION and "nowhere" in answer.err, "a site that is none of the cluster's is refused")
    cluster.reader = mount(cluster, "reader", "site-b")
    shown = cluster.ctl("volume", "show", VOLUME)
    expect([p["node"] for p in shown["publications"]] == ["reader"] and shown["published_only"], "volume show lists the node")
    expect(publish(cluster, "reader", "site-b") == shown["publications"][0]["publication"], "the same again is the same publication")
    answer = cluster.asked("volume", "publish", VOLUME, "reader", "--site", "site-b", "--read-only")
    expect(answer.code == EXISTS, "with another access it exists already")


def an_access_server_that_is_registered_serves_its_clients(cluster):
    server = cluster.nfs_servers("site-a")[0]
    address = server.rsplit(":", 1)[0]
    route = cluster.run("site-a", "ip", "-j", "route", "get", address).json[0]
    publish(cluster, "nfs-node", "site-a", "--address", route["prefsrc"])
    wait_until("the access server knows the node", lambda: cluster.try_nfs("site-a", VOLUME, "ls", "/").code == DONE)
    source = cluster.folder / "small"
    source.write_text("by NFS\n")
    cluster.nfs("site-a", VOLUME, "put", str(source), "/small")
    expect((cluster.reader / "small").read_text() == "by NFS\n", "what came by NFS is read by a mount at site-b")


def no_write_is_accepted_after_unpublish(cluster):
    cluster.old = mount(cluster, "worker", "site-a")
    worker = Worker(cluster.old)
    cluster.writers.append(worker)
    worker.read_until(lambda: min(worker.acked) >= 20)
    lock = os.open(cluster.reader / "lock", os.O_RDWR)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise AssertionError("two nodes have the lock")
    except BlockingIOError:
        pass
    begin = time.monotonic()
    cluster.ctl("volume", "unpublish", VOLUME, "worker")
    took = time.monotonic() - begin
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    at_once = numbers_in(cluster.reader)
    os.close(lock)
    expect(True, f"unpublish took {took * 1000:.0f} ms, with the node writing all the time; its lock is free at once")
    worker.read_to_the_end()
    time.sleep(SILENT_S)
    expect_nothing_later(cluster, worker, at_once)
    worker.end()


def expect_nothing_later(cluster, worker, at_once):
    later = numbers_in(cluster.reader)
    expect(at_once == later, f"nothing was written after unpublish returned {'' if at_once == later else f'{at_once} {later}'}")
    expect(all(acked <= found <= acked + 1 for acked, found in zip(worker.acked, later)), f"all that was ACKed is there: {worker.acked}")


def the_same_node_again_is_another_publication(cluster):
    new = mount(cluster, "worker", "site-a")
    expect(not is_fenced(cluster.old), f"the old mount stays fenced {is_fenced(cluster.old)}")
    (new / "by-the-new").write_text("works")
    expect((cluster.reader / "by-the-new").read_text() == "works", "a new mount of the same node works")
    cluster.umount(cluster.old)
    expect(True, "the old one is unmounted without waiting")
    cluster.old = new


def a_core_server_that_is_away_has_not_confirmed(cluster):
    worker = Worker(cluster.old)
    cluster.writers.append(worker)
    worker.read_until(lambda: min(worker.acked) >= 100)
    primaries = sorted({row["server"] for row in primary_servers(cluster)})
    cluster.kill(primaries[0])
    for _ in range(3):  # who is asked may stand still, and then nobody says who it is that has not confirmed
        answer = cluster.try_ctl("--timeout", "15s", "volume", "unpublish", VOLUME, "worker")
        if answer.code not in (UNREACHABLE, UNKNOWN) or primaries[0] in answer.err:
            break
    expect(answer.code == UNREACHABLE and primaries[0] in answer.err, f"unpublish says who has not confirmed: {answer!r}")
    shown = cluster.ctl("volume", "show", VOLUME)
    expect("worker" not in [p["node"] for p in shown["publications"]], "the publication itself is gone")
    cluster.start(primaries[0])
    wait_until("unpublish returns once that server is back",
               lambda: cluster.try_ctl("--timeout", "10s", "volume", "unpublish", VOLUME, "worker").code == DONE, 120)
    at_once = numbers_in(cluster.reader)
    worker.read_to_the_end()
    time.sleep(SILENT_S)
    expect_nothing_later(cluster, worker, at_once)
    worker.end()


def a_restart_forgets_no_fence(cluster):
    new = mount(cluster, "worker", "site-a")
    (new / "before").write_text("1")
    home = cluster.names("site-a")
    cluster.kill(*home)
    cluster.start(*home)
    cluster.wait_joined()
    (new / "after").write_text("2")  # waits until the groups serve again
    expect((cluster.reader / "after").read_text() == "2", "published nodes go on")
    expect(not is_fenced(cluster.old), f"after all of the home's servers were killed, the fenced mount stays so {is_fenced(cluster.old)}")
    cluster.umount(cluster.old)
    cluster.ctl("volume", "unpublish", VOLUME, "--all")
    expect(not is_fenced(new) and not is_fenced(cluster.reader), f"without a node's name all are fenced {is_fenced(new)} {is_fenced(cluster.reader)}")


def primary_servers(cluster):
    names = {server["server_id"]: server["name"] for server in cluster.ctl("volume", "show", VOLUME)["servers"]}
    groups = cluster.ctl("volume", "show", VOLUME)["groups"]
    return [{"group": group["index"], "server": names[member["server_id"]]}
            for group in groups for member in group["members"] if member["role"] == "primary"]


SCENARIOS = [only_published_nodes_are_let_in, an_access_server_that_is_registered_serves_its_clients,
             no_write_is_accepted_after_unpublish, the_same_node_again_is_another_publication,
             a_core_server_that_is_away_has_not_confirmed, a_restart_forgets_no_fence]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
    else:
        sys.exit(run_scenarios("fencing", make_cluster, SCENARIOS, FILE_PROGRAMS))
