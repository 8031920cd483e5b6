#!/usr/bin/env python3
"""FUSE mounts of one volume at two sites, used by ordinary processes: locks that exclude across sites, appends that do not
tear, files that are open and have no name, servers that die while a file is written.
"""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

from cluster import Cluster, DONE, FILE_PROGRAMS, LONG, MIB, expect, make_image, run_scenarios, sha256_of, wait_until

VOLUME = "shared"
ROUNDS = 400 if LONG else 100
LINE_BYTES = 100
TRIES = 5  # of a race, in which one may stand still until it is over


def make_cluster():
    return Cluster(access="0")  # each mount is an access server


# ---- what the processes do, each started as: files_fuse_test.py --work NAME ARGUMENTS --------------------------------


def count_up(path, rounds):
    """Adds one to the number in a file, under a lock of its own process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(int(rounds)):
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        number = int(os.pread(descriptor, 20, 0) or b"0")
        os.pwrite(descriptor, f"{number + 1:020}".encode(), 0)
        fcntl.lockf(descriptor, fcntl.LOCK_UN)


def append_lines(path, name, rounds):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(int(rounds)):
        line = f"{name} {number} ".encode().ljust(LINE_BYTES - 1, b".") + b"\n"
        assert os.write(descriptor, line) == LINE_BYTES


def create_exclusively(folder, rounds, order):
    """From when it is told to; prints which names were made here."""
    print("ready", flush=True)
    sys.stdin.readline()
    for number in sorted(range(int(rounds)), reverse=order == "down"):
        time.sleep(0.02 if order == "up" else 0)  # the one at home would have them all before the others begin
        try:
            os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_EXCL))
            print(number)
        except FileExistsError:
            pass


def hold_lock(path):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    print("locked", flush=True)
    time.sleep(600)


def write_and_sync(path, rounds):
    """Numbers of 8 bytes, each piece of 4 KiB synced and read back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for number in range(int(rounds)):
        piece = number.to_bytes(8, "little") * 512
        assert os.pwrite(descriptor, piece, 4096 * number) == 4096
        os.fsync(descriptor)
        assert os.pread(descriptor, 4096, 4096 * number) == piece, f"piece {number} is not what was just written"
        if number % 50 == 0:
            print(number, flush=True)


WORK = {work.__name__: work for work in (count_up, append_lines, create_exclusively, hold_lock, write_and_sync)}


def start(work, *arguments):
    command = [sys.executable, __file__, "--work", work.__name__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def go_together(processes):
    """Each has said that it is ready."""
    for process in processes:
        expect_quietly(process.stdout.readline() == "ready\n", f"{' '.join(process.args[3:])} has not begun")
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def finish(processes, timeout_s=600):
    outputs = []
    for process in processes:
        out, err = process.communicate(timeout=timeout_s)
        expect(process.returncode == 0, f"{' '.join(process.args[3:])}: ended well {err.strip()[-300:]}")
        outputs.append(out)
    return outputs


# ---- scenarios -------------------------------------------------------------------------------------------------------


def mount_at_two_sites(cluster):
    cluster.create(VOLUME)
    cluster.a = cluster.mount("site-a", VOLUME)
    cluster.b = cluster.mount("site-b", VOLUME)
    image = make_image(cluster.folder / "file.img", 12, 1)
    (cluster.a / "folder").mkdir()
    with open(image, "rb") as source:
        (cluster.a / "folder" / "file").write_bytes(source.read())
    expect(sha256_of(cluster.b / "folder/file") == sha256_of(image), "12 MiB written at site-a are read at site-b")
    at_a, at_b = os.stat(cluster.a / "folder/file"), os.stat(cluster.b / "folder/file")
    same = ("st_ino", "st_mode", "st_size", "st_nlink", "st_uid", "st_gid", "st_mtime_ns", "st_ctime_ns")
    expect([getattr(at_a, name) for name in same] == [getattr(at_b, name) for name in same], f"stat says the same at both: inode {at_a.st_ino}")
    os.rename(cluster.b / "folder/file", cluster.b / "renamed")
    expect(sorted(os.listdir(cluster.a)) == ["folder", "renamed"] and os.listdir(cluster.a / "folder") == [],
           "renamed at site-b, it has its new name at site-a at once")
    os.chown(cluster.a / "renamed", 107, 107)
    expect((os.stat(cluster.b / "renamed").st_uid, os.stat(cluster.b / "renamed").st_gid) == (107, 107), "chown to 107:107 is seen too")
    (cluster.b / "renamed").unlink()
    expect(not (cluster.a / "renamed").exists(), "unlinked at site-b, gone at site-a")


def locks_exclude_across_sites(cluster):
    path = "counter"
    finish([start(count_up, mount / path, ROUNDS) for mount in (cluster.a, cluster.b) for _ in range(2)])
    expect(int((cluster.b / path).read_text()) == 4 * ROUNDS, f"four processes at two sites added {ROUNDS} each under a lock: {4 * ROUNDS}")


def a_lock_is_free_when_its_holder_dies(cluster):
    holder = start(hold_lock, cluster.a / "locked")
    expect(holder.stdout.readline() == "locked\n", "a process at site-a holds a lock")
    with open(cluster.b / "locked", "r+b") as file:
        expect(not has_lock(file), "site-b is refused it")
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        begin = time.monotonic()
        wait_until("site-b to have the lock", lambda: has_lock(file), interval_s=0.02)  # the mount lives on: nothing else frees it
        expect(True, f"and has it {time.monotonic() - begin:.2f} s after the holder was killed")


def has_lock(file):
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False


def appends_of_two_sites_neither_tear_nor_overwrite(cluster):
    writers = [(site, mount) for site, mount in (("a", cluster.a), ("b", cluster.b)) for _ in range(2)]
    finish([start(append_lines, mount / "log", f"{site}{number}", ROUNDS) for number, (site, mount) in enumerate(writers)])
    data = (cluster.a / "log").read_bytes()
    expect(len(data) == 4 * ROUNDS * LINE_BYTES, f"4 writers appended {ROUNDS} lines of {LINE_BYTES} bytes each: {len(data)} bytes")
    lines = [line.split() for line in data.decode().splitlines()]
    found = {}
    for line in lines:
        expect_quietly(len(line) == 3 and set(line[2]) == {"."}, f"a torn line: {line}")
        found.setdefault(line[0], []).append(int(line[1]))
    expect(len(found) == 4 and all(numbers == list(range(ROUNDS)) for numbers in found.values()),
           "every line is whole, there once, and in its writer's order")


def expect_quietly(condition, text):
    if not condition:
        raise AssertionError(text)


def one_of_many_makes_a_name(cluster):
    # site-a is at home and faster: from the other end site-b gets some too, and its two processes contend with each other.
    ways = [(cluster.a, "up"), (cluster.b, "down"), (cluster.b, "down")]
    for number in range(TRIES):
        folder = f"made-{number}"
        (cluster.a / folder).mkdir()
        makers = [start(create_exclusively, mount / folder, ROUNDS, order) for mount, order in ways]
        go_together(makers)
        made = [output.split() for output in finish(makers)]
        expect(sorted(name for names in made for name in names) == sorted(map(str, range(ROUNDS))),
               f"of {ROUNDS} names made with O_EXCL by three processes, each was made once; site-a: {len(made[0])}, "
               f"site-b: {len(made[1])} and {len(made[2])}")
        if made[0] and (made[1] or made[2]):
            break
    expect(made[0] and (made[1] or made[2]), "by both sites")


def a_file_without_a_name_lives_while_it_is_open(cluster):
    volume = cluster.ctl("volume", "show", VOLUME)["volume_id"]

    def on_disk():
        groups = [g for server in cluster.names("site-a") for dump in cluster.dump("blocks", server) for g in dump["groups"]]
        return sum(g["present_bytes"] for g in groups if g["volume"] == volume)
    wait_until("earlier files without a name to be gone", lambda: inodes_used(cluster.a) == inodes_with_a_name(cluster.a))
    cluster.wait_applied(VOLUME)
    before = on_disk()
    content = os.urandom(8 * MIB)
    with open(cluster.a / "unnamed", "w+b", buffering=0) as file:
        file.write(content)
        (cluster.b / "unnamed").unlink()
        expect(not (cluster.a / "unnamed").exists(), "a file that is open at site-a is unlinked at site-b")
        time.sleep(6)  # several rounds of the sessions' signs of life, in which orphans are told
        expect(os.pread(file.fileno(), len(content), 0) == content, "site-a still reads all of it")
        os.pwrite(file.fileno(), b"more", 4 * MIB)
        expect(os.pread(file.fileno(), 4, 4 * MIB) == b"more", "and writes to it")
        wait_until("its bytes on disk", lambda: on_disk() >= before + len(content))
    wait_until("its bytes gone from the disks", lambda: on_disk() <= before)
    expect(True, "once it is closed, its space is given back")


def inodes_used(path):
    answer = os.statvfs(path)
    return answer.f_files - answer.f_ffree


def inodes_with_a_name(path):
    return 1 + sum(len(folders) + len(files) for _, folders, files in os.walk(path))


def core_servers_restart_under_a_writer(cluster):
    writer = start(write_and_sync, cluster.b / "written", ROUNDS * 3)
    expect(writer.stdout.readline() == "0\n", "a process at site-b writes, syncs and reads back")
    for victim in ("site-a/core-0", "site-a/core-1"):
        cluster.kill(victim)
        time.sleep(0.3)
        cluster.start(victim)
        time.sleep(1)
    finish([writer])
    data = (cluster.a / "written").read_bytes()
    wanted = b"".join(number.to_bytes(8, "little") * 512 for number in range(ROUNDS * 3))
    expect(data == wanted, "both core servers of the home were killed and started: no error, no byte wrong, as read at site-a")


def a_mount_that_is_killed_gives_its_locks_back(cluster):
    """R21: 20 s after its session was last heard of."""
    holder = start(hold_lock, cluster.a / "locked")
    expect(holder.stdout.readline() == "locked\n", "a process at site-a holds a lock")
    begin = time.monotonic()
    cluster.kill(cluster.mounts[cluster.a])
    with open(cluster.b / "locked", "r+b") as file:
        wait_until("site-b to have the lock", lambda: has_lock(file), 120)
    waited = time.monotonic() - begin
    holder.kill()
    holder.communicate()
    expect(waited > 10, f"its mount was killed; site-b had the lock {waited:.1f} s later")
    cluster.start(cluster.mounts[cluster.a])
    expect(sorted(os.listdir(cluster.a)) == sorted(os.listdir(cluster.b)), "the mount is started again and shows the same tree")


def a_signal_unmounts(cluster):
    for path in list(cluster.mounts):
        cluster.umount(path)
        expect(not os.path.ismount(path) and os.listdir(path) == [], f"{path.name} is unmounted, and its directory empty")
    status = cluster.devcluster("status").out
    expect("mount-" not in status, "the cluster has no mounts any more")
    answer = cluster.devcluster("mount", "site-a", "no-such-volume", str(path), check=False)
    expect(answer.code != DONE and "no-such-volume" in answer.err, "a volume that is not there is not mounted, and the error names it")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        sys.exit(WORK[sys.argv[2]](*sys.argv[3:]))
    sys.exit(run_scenarios("files over FUSE", make_cluster, [
        mount_at_two_sites, locks_exclude_across_sites, a_lock_is_free_when_its_holder_dies,
        appends_of_two_sites_neither_tear_nor_overwrite, one_of_many_makes_a_name, a_file_without_a_name_lives_while_it_is_open,
        core_servers_restart_under_a_writer, a_mount_that_is_killed_gives_its_locks_back, a_signal_unmounts], programs=FILE_PROGRAMS))
