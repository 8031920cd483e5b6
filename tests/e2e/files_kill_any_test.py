#!/usr/bin/env python3
"""Files while servers are killed: the POSIX testers and other processes on a FUSE mount, and a client of the site's shared
NFS address, see nothing but delay when core servers of the home and access servers die and are started again.

A job whose answer died with a server is sent again and must not happen twice: each rename, link, unlink, mkdir, exclusive
create or append that was carried out a second time shows, as ENOENT, EEXIST, ENODATA, a wrong link count or doubled bytes.

The reference tree is on the file system of the temporary directory (ext4), not on tmpfs: tmpfs leaves the times of a file
alone when truncate(2) does not change its size, POSIX has them changed.
"""

import contextlib
import errno
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from cluster import BIN, Cluster, DONE, FILE_PROGRAMS, LONG, MIB, expect, run_scenarios, say, sha256_of, skip, wait_until
from files_clients import Client, missing

VOLUME = "killed"
KILLING_S = 600 if LONG else 40
TESTERS = ("posix_random_tree", "posix_random_file")
TESTER_S = 300  # one run of a tester, while servers die and others use the machine
NAME_WORKERS = 4
PIECES = 150  # of a file that is written over NFS
REMOTES = ("site-b", "site-c")
SEED = int(os.environ.get("SHIMA_TEST_SEED", "1"))


def make_cluster():
    return Cluster("--core", "2,1,1", access="2,1,0")


# ---- what the processes on the mount do until SIGTERM, each started as: files_kill_any_test.py --work NAME ARGUMENTS ----


class Repeat:
    """`for number in Repeat()` goes on until SIGTERM; then prints how often, and how long the longest turn took."""

    def __init__(self):
        self.stopped, self.done, self.longest_s = False, 0, 0.0
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_):
        self.stopped = True

    def __iter__(self):
        while not self.stopped:
            begin = time.monotonic()
            yield self.done
            self.done += 1
            self.longest_s = max(self.longest_s, time.monotonic() - begin)
        print(json.dumps({"done": self.done, "longest_s": self.longest_s}))


def expect_refused(code, call, *arguments):
    with contextlib.suppress(FileNotFoundError if code == errno.ENOENT else FileExistsError):
        call(*arguments)
        raise AssertionError(f"{call.__name__} {arguments} was done, wanted {errno.errorcode[code]}")


def use_names(folder):
    """Nobody else is in the folder: every call must be done, exactly once."""
    os.mkdir(folder)
    for number in Repeat():
        directory, moved = f"{folder}/d{number}", f"{folder}/e{number}"
        os.mkdir(directory)
        os.close(os.open(f"{directory}/file", os.O_CREAT | os.O_EXCL))
        os.link(f"{directory}/file", f"{directory}/link")
        os.rename(f"{directory}/link", f"{directory}/renamed")
        assert os.stat(f"{directory}/file").st_nlink == 2
        os.symlink("renamed", f"{directory}/symlink")
        os.setxattr(f"{directory}/file", "user.once", b"1", os.XATTR_CREATE)
        os.removexattr(f"{directory}/file", "user.once")
        expect_refused(errno.EEXIST, os.mkdir, directory)
        os.rename(directory, moved)
        expect_refused(errno.ENOENT, os.rename, directory, moved)
        assert os.stat(folder).st_nlink == 3
        os.unlink(f"{moved}/file")
        assert os.stat(f"{moved}/symlink").st_nlink == 1
        assert sorted(os.listdir(moved)) == ["renamed", "symlink"]
        os.unlink(f"{moved}/symlink")
        os.unlink(f"{moved}/renamed")
        os.rmdir(moved)
    assert os.listdir(folder) == [], "what was removed is there"


def append_records(path):
    """No record may be there twice, and each at once."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for number in Repeat():
        record = number.to_bytes(8, "little") * 64
        assert os.write(descriptor, record) == len(record)
        size = os.fstat(descriptor).st_size
        assert size == 512 * (number + 1), f"{number + 1} records of 512 bytes were appended, the size is {size}"
        assert os.pread(descriptor, 512, 512 * number) == record
    data = os.pread(descriptor, size, 0)
    assert data == b"".join(n.to_bytes(8, "little") * 64 for n in range(size // 512)), "what was appended is not there"
    os.ftruncate(descriptor, 0)


def count_under_lock(path):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in Repeat():
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        number = int(os.pread(descriptor, 20, 0) or b"0")
        os.pwrite(descriptor, f"{number + 1:020}".encode(), 0)
        fcntl.lockf(descriptor, fcntl.LOCK_UN)


WORK = {work.__name__: work for work in (use_names, append_records, count_under_lock)}


class Worker:
    def __init__(self, work, path):
        self.name = f"{work.__name__} {path.name}"
        self.process = subprocess.Popen([sys.executable, __file__, "--work", work.__name__, str(path)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def look(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended: {self.process.stderr.read()[-1500:]}")

    def finish(self):
        self.look()
        self.process.terminate()
        out, err = self.process.communicate(timeout=TESTER_S)
        expect(self.process.returncode == 0, f"{self.name}: no error {err.strip()[-1500:]}")
        return json.loads(out)


class Again(threading.Thread):
    """Calls turn(number) again and again until finish(); the first error ends it."""

    def __init__(self, name, turn):
        super().__init__(daemon=True)
        self.name, self.turn, self.done, self.error, self.stopped = name, turn, 0, None, False
        self.start()

    def run(self):
        try:
            while not self.stopped:
                self.turn(self.done)
                self.done += 1
        except BaseException as error:  # told by look()
            self.error = error

    def look(self):
        if self.error:
            raise AssertionError(f"{self.name}, turn {self.done}: {self.error}")

    def finish(self):
        self.stopped = True
        self.join(2 * TESTER_S)
        self.look()
        expect(not self.is_alive() and self.done > 0, f"{self.name}: {self.done} turns, no difference and no error")


# ---- who is killed ---------------------------------------------------------------------------------------------------


class Killer:
    def __init__(self, cluster):
        self.cluster, self.random, self.counts = cluster, random.Random(SEED), {}
        self.address = cluster.server("site-a/access-0")["address"].rsplit(".", 1)[0] + ".200"

    def metadata_members(self):
        """Names of the metadata group's primary and secondary."""
        def ask():
            answer = self.cluster.try_ctl("replication", "show", VOLUME, "--groups")
            members = answer.json["members"] if answer.code == DONE else []
            found = {m["role"]: m["server"] for m in members if m["metadata"] and m["role"] != "remote"}
            return found if len(found) == 2 else None
        return wait_until("who has the metadata", ask)

    def holder(self):
        """Whose socket listens at the shared address."""
        def ask():
            sockets = self.cluster.run("site-a", "ss", "-Hltnp", f"src {self.address}").out
            names = [server["name"] for server in self.cluster.servers("access", "site-a")]
            return next((name for name in names if f"pid={self.cluster.pid(name)}," in sockets), None)
        return wait_until(f"who holds {self.address}", ask)

    def choose(self, kind):
        if kind == "the shared address' holder":
            return [self.holder()]
        members = self.metadata_members()
        return list(members.values()) if kind == "both" else [members[kind]]

    def kill_one(self, kind):
        victims = self.choose(kind)
        down_s = self.random.uniform(0, 1.5)
        say(f"  {kind}: {' and '.join(victims)} killed for {down_s:.1f} s")
        self.cluster.kill(*victims)
        time.sleep(down_s)
        self.cluster.start(*victims)
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def run(self, look):
        begin = time.monotonic()
        while time.monotonic() - begin < KILLING_S or min(self.counts.values()) < 3:
            kinds = ["primary", "secondary", "the shared address' holder", "primary", "both"]
            self.random.shuffle(kinds)
            for kind in kinds:
                self.kill_one(kind)
                time.sleep(self.random.uniform(0.2, 2))
                look()


# ---- scenarios -------------------------------------------------------------------------------------------------------


def mount(cluster):
    cluster.create(VOLUME, "--size", "4GiB", "--max-inodes", "100000")
    cluster.volume_id = cluster.ctl("volume", "show", VOLUME)["volume_id"]
    cluster.a = cluster.mount("site-a", VOLUME)
    os.chmod(cluster.folder, 0o755)  # the testers act as other users, too
    expect(used(cluster.a) == (0, 1), f"{cluster.a.name} is mounted; nothing is used but the root directory")


def used(path):
    """Bytes and inodes, of statfs."""
    answer = os.statvfs(path)
    return (answer.f_blocks - answer.f_bfree) * answer.f_frsize, answer.f_files - answer.f_ffree


def run_tester(cluster, program, number, *options):
    command = [BIN / program, cluster.a, "--seed", str(SEED * 1000 + number), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TESTER_S)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {result.stdout[-3000:]}{result.stderr[-500:]}")


def write_over_nfs(cluster, address, number):
    """What was ACKed is there at once, at another site."""
    path = f"/numbered-{number}"

    def written():
        answer = cluster.try_nfs("site-a", VOLUME, "write-numbered", path, "--count", PIECES, "--patience-s", 60, servers=[f"{address}:2049"])
        if answer.code != DONE and "mounting nfs:" not in answer.err:
            raise AssertionError(repr(answer))
        return answer.code == DONE  # while nobody holds the address there is nobody to mount from, as mount(8) tries again
    wait_until(f"an access server at {address}", written)
    cluster.nfs("site-b", VOLUME, "verify-numbered", path, "--count", PIECES)
    if number > 0:
        cluster.nfs("site-b", VOLUME, "unlink", f"/numbered-{number - 1}")


def lose_a_mount_with_an_unnamed_file(cluster):
    """Its session ends while servers die; then nobody has the orphan open any more, and its space must come back."""
    path = cluster.mount("site-a", VOLUME)
    file = os.open(path / "unnamed", os.O_RDWR | os.O_CREAT)
    for piece in range(4):
        os.pwrite(file, os.urandom(MIB), piece * MIB)
    os.unlink(path / "unnamed")
    cluster.kill(cluster.mounts[path])
    with contextlib.suppress(OSError):  # ENOTCONN
        os.close(file)
    expect(used(cluster.a) == (4 * MIB, 2), "a mount is killed that had a file of 4 MiB open whose name was gone: it is an orphan")
    cluster.umount(path)


def use_names_over_nfs(client, number):
    """At an access server that is not killed: nothing is sent again by the NFS client, so nothing may happen twice."""
    folder, moved = f"nfs-{number}", f"nfs-moved-{number}"
    client.mkdir(folder)
    client.create(f"{folder}/file")
    client.link(f"{folder}/file", f"{folder}/link")
    client.rename(f"{folder}/link", f"{folder}/renamed")
    client.write(f"{folder}/file", 100, b"written")
    client.truncate(f"{folder}/renamed", 104)
    client.rename(folder, moved)
    stat, content = client.stat(f"{moved}/file"), bytes.fromhex(client.read(f"{moved}/renamed", 0, 1000))
    if (stat["nlink"], content) != (2, bytes(100) + b"writ"):
        raise AssertionError(f"links {stat['nlink']}, content {content}")
    client.unlink(f"{moved}/file")
    client.unlink(f"{moved}/renamed")
    client.rmdir(moved)


def servers_die_and_nobody_sees_more_than_delay(cluster):
    killer = Killer(cluster)
    lose_a_mount_with_an_unnamed_file(cluster)
    reference = cluster.folder / "reference"
    reference.mkdir()
    workers = [Worker(use_names, cluster.a / f"names-{n}") for n in range(NAME_WORKERS)]
    workers.append(Worker(append_records, cluster.a / "appended"))
    counters = [Worker(count_under_lock, cluster.a / "counter") for _ in range(2)]
    nfs_client = Client(cluster, "NFS at site-b", "site-b", "nfs", cluster.nfs_servers("site-b")[0], VOLUME)
    loops = [Again("random_tree", lambda n: run_tester(cluster, TESTERS[0], n, "--reference", reference, "--operations", "250", "--names", "60")),
             Again("random_file", lambda n: run_tester(cluster, TESTERS[1], n, "--operations", "250", "--max-size", str(3 << 20))),
             Again("names over NFS at site-b", lambda n: use_names_over_nfs(nfs_client, n)),
             Again("NFS client of the shared address", lambda n: write_over_nfs(cluster, killer.address, n))]
    everybody = [*workers, *counters, *loops]
    try:
        killer.run(lambda: [one.look() for one in everybody])
        killed = ", ".join(f"{kind} {count} times" for kind, count in killer.counts.items())
        for worker in workers:
            answer = worker.finish()
            expect(answer["done"] > 0, f"{worker.name}: {answer['done']} turns, the longest took {answer['longest_s']:.1f} s")
        counted = sum(counter.finish()["done"] for counter in counters)
        expect(int((cluster.a / "counter").read_text()) == counted, f"two processes counted to {counted} under a lock")
        for loop in loops:
            loop.finish()
        expect(True, f"killed and started: {killed}")
    finally:
        for one in (*workers, *counters):
            one.process.kill()
            one.process.wait()


def on_disk(cluster, site):
    groups = [g for server in cluster.names(site) for dump in cluster.dump("blocks", server) for g in dump["groups"]]
    return sum(g["present_bytes"] for g in groups if g["volume"] == cluster.volume_id)


def metadata_on_disk(cluster):
    """Server -> (keys, checksum)."""
    dumps = [(server, g) for server in cluster.names() for dump in cluster.dump("blocks", server, "--verify") for g in dump["groups"]]
    return {server: (g["metadata_keys"], g["metadata_checksum"]) for server, g in dumps
            if g["volume"] == cluster.volume_id and g["metadata_keys"]}


def all_copies_converge(cluster):
    cluster.wait_applied(VOLUME)

    def all_durable():  # sessions that end may add records
        rows = {(row["site"], row["role"]): row for row in cluster.replication(VOLUME)["sites"]}
        durable = {f"{site} {role}": row["durable_records"] for (site, role), row in rows.items()}
        committed = rows["site-a", "primary"]["committed_records"]
        return set(durable.values()) == {committed} and (committed, durable)
    committed, durable = wait_until("every member to hold all records", all_durable)
    expect(True, f"every member holds all {committed} records: {durable}")

    def ends_of_metadata():
        members = [m for m in cluster.ctl("replication", "show", VOLUME, "--groups")["members"] if m["metadata"]]
        ends = {(m[what]["term"], m[what]["sequence"]) for m in members for what in ("durable", "applied")}
        return ends if len(members) == 4 and len(ends) == 1 else None
    end = wait_until("the copies of the metadata end at the same record", ends_of_metadata)
    expect(True, f"all four copies of the metadata have applied the same records, up to term and sequence {end}")

    def equal_metadata():
        found = metadata_on_disk(cluster)
        return len(found) == 4 and len(set(found.values())) == 1 and found
    keys = next(iter(wait_until("equal keys of the metadata on four disks", equal_metadata).values()))[0]
    expect(keys > 0, f"and their disks hold the same {keys} keys")
    last = max((entry for entry in os.scandir(cluster.a) if entry.name.startswith("numbered-")), key=lambda entry: entry.stat().st_mtime)
    file = ("--inode", str(last.inode()), "--length", str(4096 * PIECES))
    sums = {cluster.ctl("volume", "checksum", VOLUME, "--site", site, *file)["sha256"] for site in ("site-a", *REMOTES)}
    expect(sums == {sha256_of(last.path)}, f"the blocks of {last.name} are the same at all sites")


def space_of_removed_files_is_given_back(cluster):
    for entry in os.scandir(cluster.a):
        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
    expect(os.listdir(cluster.a) == [], "all files are removed")
    wait_until("statfs as it was before: no orphan is left over", lambda: used(cluster.a) == (0, 1), timeout_s=40)
    cluster.wait_applied(VOLUME)
    for site in ("site-a", *REMOTES):
        wait_until(f"no byte of a file on disks of {site}", lambda s=site: on_disk(cluster, s) == 0, timeout_s=40)
    keys = {server: keys for server, (keys, _) in metadata_on_disk(cluster).items()}
    say(f"  keys of metadata left: {keys}")
    expect(True, "no inode, no byte and no orphan is left over at any site")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        sys.exit(WORK[sys.argv[2]](*sys.argv[3:]))
    if missing():
        skip(missing())
    sys.exit(run_scenarios("files, kill any", make_cluster, [
        mount, servers_die_and_nobody_sees_more_than_delay, all_copies_converge, space_of_removed_files_is_given_back],
        programs=(*FILE_PROGRAMS, *TESTERS)))
