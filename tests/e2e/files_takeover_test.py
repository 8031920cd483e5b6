#!/usr/bin/env python3
"""What an access server that is gone has sent, or has yet to send, cannot happen after its clients went on elsewhere (R20).

The holder of the site's shared address is frozen (SIGSTOP) with writes in all places: in core servers, in its memory and in its
sockets. Its lease runs out, another server takes the address, the client writes newer data there; then the old holder goes
on (SIGCONT) and finds its old writes. By NFSv3 calls made by hand (RFC 1813), so that many are on their way.

All servers of a site share one network namespace here, where a frozen server keeps its port: so the second server serves NFS
at a port of its own. The address moves as between two machines.
"""

import errno
import os
import re
import signal
import socket
import struct
import sys
import threading
import time

from cluster import Cluster, DONE, FILE_PROGRAMS, ROOT, expect, run_scenarios, say, wait_until
from files_retry_test import Closed, JUKEBOX, MOUNT, NFS, OK, PATIENCE_S, SERVERFAULT, exactly, opaque

sys.path.insert(0, os.path.join(ROOT, "hack"))
from devcluster_lib import namespaces  # noqa: E402 (needs the path above)

VOLUME, PUBLISHED = "taken", "published"
FIRST, SECOND = "site-a/access-0", "site-a/access-1"
FIRST_PORT, SECOND_PORT = 2049, 2050
PORTS = {FIRST: FIRST_PORT, SECOND: SECOND_PORT}
GETATTR, READ, WRITE, CREATE, FILE_SYNC = 1, 6, 7, 8, 2
ACCES, ROFS = 13, 30
PIECE, PIECES = 256 << 10, 160
TRIES = 4  # of what another one takes over when one stands still for longer than its lease


def make_cluster():
    return Cluster("--core", "2,1,1", access="2,0,0")


def call_message(xid, program, procedure, arguments):
    credentials = opaque(struct.pack(">I", 0) + opaque(b"host") + struct.pack(">III", 0, 0, 0))
    message = struct.pack(">6I", xid, 0, 2, program, 3, procedure) + struct.pack(">I", 1) + credentials
    message += struct.pack(">II", 0, 0) + arguments
    return struct.pack(">I", 0x80000000 | len(message)) + message


class Connection:
    """To one server, from any address of the site's; calls may be sent without waiting for answers."""

    def __init__(self, cluster, address, port, source=""):
        self.namespace = next(site["namespace"] for site in cluster.status["sites"] if site["name"] == "site-a")
        self.where, self.socket, self.xid = ((address, port), 60, (source, 0)), None, 0  # connected by the first call

    def connect(self):
        with namespaces.inside(self.namespace):
            self.socket = socket.create_connection(*self.where)
        self.socket.settimeout(60)

    def send(self, program, procedure, arguments):
        self.xid += 1
        self.socket.sendall(call_message(self.xid, program, procedure, arguments))

    def receive(self):
        reply = exactly(self.socket, struct.unpack(">I", exactly(self.socket, 4))[0] & 0x7FFFFFFF)
        if struct.unpack(">III", reply[4:12] + reply[20:24]) != (1, 0, 0):
            raise AssertionError(f"no accepted reply: {reply[:24].hex()}")
        return reply[24:]

    def results(self, program, procedure, arguments):
        """Asked again where the server says so, or is away for a moment: one that stood still registers anew."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.socket or self.connect()
                self.send(program, procedure, arguments)
                results = self.receive()
                if struct.unpack(">I", results[:4])[0] not in (SERVERFAULT, JUKEBOX) or time.monotonic() > until:
                    return results
            except (OSError, Closed):
                if time.monotonic() > until:
                    raise
                self.socket = None
            time.sleep(0.1)

    def status(self, program, procedure, arguments):
        return struct.unpack(">I", self.results(program, procedure, arguments)[:4])[0]

    def call(self, program, procedure, arguments):
        """The results after the status, which is to be OK."""
        results = self.results(program, procedure, arguments)
        status = struct.unpack(">I", results[:4])[0]
        if status != OK:
            raise AssertionError(f"procedure {procedure} of {program}: status {status}")
        return results[4:]

    def mount(self, volume=VOLUME):
        results = self.call(MOUNT, 1, opaque(f"/{volume}".encode()))
        return opaque(results[4:4 + struct.unpack(">I", results[:4])[0]])

    def create(self, root, name):
        results = self.call(NFS, CREATE, root + opaque(name) + struct.pack(">7I", 0, 0, 0, 0, 0, 0, 0))
        if struct.unpack(">I", results[:4])[0] != 1:
            raise AssertionError("CREATE gave no handle")
        return opaque(results[8:8 + struct.unpack(">I", results[4:8])[0]])

    def read(self, file, offset):
        results = self.call(NFS, READ, file + struct.pack(">QI", offset, PIECE))
        at = 4 + (84 if struct.unpack(">I", results[:4])[0] else 0) + 8
        length = struct.unpack(">I", results[at:at + 4])[0]
        return results[at + 4:at + 4 + length]


def write_arguments(file, number, content):
    return file + struct.pack(">QII", number * PIECE, PIECE, FILE_SYNC) + opaque(content * PIECE)


def listens(cluster, name, address, port):
    sockets = cluster.run("site-a", "ss", "-Hltnp", f"src {address} and sport = {port}").out
    return f"pid={cluster.pid(name)}," in sockets


def unread_bytes(cluster, address, port):
    """What lies unread in the server's sockets."""
    lines = cluster.run("site-a", "ss", "-Htn", "state", "established", f"src {address} and sport = {port}").out.splitlines()
    return sum(int(line.split()[0]) for line in lines)


def lapsed_leases(cluster):
    """How often a core server was taken for dead, as on a busy machine, and was back."""
    return sum(cluster.log(name).count("a new lease holds the registration of") for name in cluster.names())


def registrations(cluster, name):
    return cluster.log(name).count(f"{name} is registered, incarnation ")


def prepare(cluster):
    """The first server holds the shared address; the second is there, with a port of its own."""
    cluster.create(VOLUME)
    own = cluster.server(FIRST)["address"]
    cluster.shared, cluster.second_address = own.rsplit(".", 1)[0] + ".200", cluster.server(SECOND)["address"]
    for _ in range(TRIES):
        cluster.kill(SECOND)
        wait_until(f"{FIRST} has {cluster.shared}", lambda: listens(cluster, FIRST, cluster.shared, FIRST_PORT))
        cluster.devcluster("start", "--no-wait", SECOND, f"--server-flags={SECOND}=--nfs.port={SECOND_PORT}")
        wait_until(f"{SECOND} serves", lambda: listens(cluster, SECOND, cluster.second_address, SECOND_PORT))
        if not listens(cluster, SECOND, cluster.shared, SECOND_PORT):
            break
    expect(not listens(cluster, SECOND, cluster.shared, SECOND_PORT), f"{FIRST} has the shared address, {SECOND} has not")


def writes_of_a_frozen_holder_do_not_show_later(cluster):
    old = Connection(cluster, cluster.shared, FIRST_PORT)
    cluster.file = file = old.create(old.mount(), b"file")
    for number in range(4):
        old.call(NFS, WRITE, write_arguments(file, number, b"0"))
    for number in range(8):
        old.send(NFS, WRITE, write_arguments(file, number, b"o"))

    def send_the_rest():
        try:
            for number in range(8, PIECES):
                old.send(NFS, WRITE, write_arguments(file, number, b"o"))
        except OSError:
            pass  # the frozen server reads no more

    sender = threading.Thread(target=send_the_rest, daemon=True)
    old.receive()
    frozen = cluster.pid(FIRST)
    before, lapsed = registrations(cluster, FIRST), lapsed_leases(cluster)
    os.kill(frozen, signal.SIGSTOP)
    try:
        began = time.monotonic()
        sender.start()
        wait_until("unread writes", lambda: unread_bytes(cluster, cluster.shared, FIRST_PORT) > 2 * PIECE)
        say(f"  {FIRST} is frozen, with {unread_bytes(cluster, cluster.shared, FIRST_PORT) >> 10} KiB of writes that it has not read")
        wait_until(f"{SECOND} has the address", lambda: listens(cluster, SECOND, cluster.shared, SECOND_PORT))
        say(f"  {SECOND} serves at the address after {time.monotonic() - began:.1f} s")
        asked = [int(number) for number in re.findall(r"(\d+) core servers know of the taking after", cluster.log(SECOND))]
        lapsed = lapsed_leases(cluster) - lapsed
        expect(asked and 4 - lapsed <= asked[-1] <= 4, f"it has waited for all four: {asked[-1:]}, {lapsed} were away meanwhile")
        new = Connection(cluster, cluster.shared, SECOND_PORT)
        for number in range(PIECES):
            new.call(NFS, WRITE, write_arguments(file, number, b"n"))
        say(f"  {PIECES} newer pieces are written and ACKed there")
    finally:
        os.kill(frozen, signal.SIGCONT)
    wait_until(f"{FIRST} is registered anew", lambda: registrations(cluster, FIRST) > before)
    sender.join(60)
    time.sleep(3)  # what was on its way has had its time
    expect_newer_data(cluster, cluster.second_address, SECOND_PORT)
    first = cluster.server(FIRST)["address"]
    wait_until(f"{FIRST} serves again", lambda: listens(cluster, FIRST, first, FIRST_PORT))
    expect_newer_data(cluster, first, FIRST_PORT)


def expect_newer_data(cluster, address, port):
    connection = Connection(cluster, address, port)
    wrong = [n for n in range(PIECES) if connection.read(cluster.file, n * PIECE) != b"n" * PIECE]
    expect(not wrong, f"read at {address}:{port}, all {PIECES} pieces are the newer ones; older ones show at: {wrong}")


def an_orderly_stop_hands_the_address_over_at_once(cluster):
    holder = wait_until("a holder", lambda: next((n for n, p in PORTS.items() if listens(cluster, n, cluster.shared, p)), None))
    successor, port = next((n, p) for n, p in PORTS.items() if n != holder)
    began = time.monotonic()
    cluster.devcluster("stop", holder)
    wait_until(f"{successor} has the address", lambda: listens(cluster, successor, cluster.shared, port), interval_s=0.05)
    expect(True, f"{holder} was stopped, {successor} serves at the address {time.monotonic() - began:.1f} s later")
    expect_newer_data(cluster, cluster.shared, port)


def a_published_volume_is_for_the_addresses_of_its_nodes(cluster):
    """NFS clients are fenced at the access server, as soon as it has heard of the volume's record."""
    cluster.create(PUBLISHED, "--published-only")
    site = cluster.shared.rsplit(".", 1)[0]
    one, two, other = f"{site}.1", f"{site}.11", f"{site}.12"
    address, port = next((cluster.server(n)["address"], p) for n, p in PORTS.items() if listens(cluster, n, cluster.server(n)["address"], p))
    path, handle_of = opaque(f"/{PUBLISHED}".encode()), {}

    def client(source):
        return Connection(cluster, address, port, source)
    expect(client(one).status(MOUNT, 1, path) == ACCES, "without a publication nobody may mount it")
    cluster.ctl("volume", "publish", PUBLISHED, "node-1", "--address", one)
    cluster.ctl("volume", "publish", PUBLISHED, "node-2", "--address", two, "--read-only")
    wait_until("node-1 may mount", lambda: client(one).status(MOUNT, 1, path) == OK, interval_s=0.02)
    writer, reader, stranger = client(one), client(two), client(other)
    root = writer.mount(PUBLISHED)
    file = writer.create(root, b"file")
    write = write_arguments(file, 0, b"x")
    expect(writer.status(NFS, WRITE, write) == OK, "node-1 writes")
    wait_until("node-2 may mount", lambda: reader.status(MOUNT, 1, path) == OK, interval_s=0.02)
    expect(reader.read(file, 0) == b"x" * PIECE, "node-2 reads")
    expect(reader.status(NFS, WRITE, write) == ROFS, "and may not write, as it is published for reading")
    expect(stranger.status(MOUNT, 1, path) == ACCES and stranger.status(NFS, GETATTR, file) == ACCES,
           "another address may neither mount it nor use a handle")
    cluster.ctl("volume", "unpublish", PUBLISHED, "node-1")
    began = time.monotonic()
    wait_until("node-1 is fenced", lambda: writer.status(NFS, WRITE, write) == ACCES, interval_s=0.002)
    expect(True, f"node-1 is unpublished: its writes are refused {(time.monotonic() - began) * 1000:.0f} ms later")
    expect(client(one).status(MOUNT, 1, path) == ACCES and reader.status(NFS, GETATTR, file) == OK, "and its mounts; node-2 goes on")


def a_mount_for_a_node_ends_with_its_publication(cluster):
    path = cluster.folder / "refused"
    path.mkdir()
    answer = cluster.devcluster("mount", "site-a", PUBLISHED, str(path), check=False)
    expect(answer.code != DONE and "this mount has no publication" in answer.err, "a mount without a publication is refused, and told what to do")
    published = cluster.ctl("volume", "publish", PUBLISHED, "node-3")
    identity = ("--node", "node-3", "--publication", str(published["publication"]))
    mounted = cluster.mount("site-a", PUBLISHED, *identity)
    with open(mounted / "by-node-3", "wb", buffering=0) as file:
        file.write(b"before")
        cluster.ctl("volume", "unpublish", PUBLISHED, "node-3")
        errors = [error_of(lambda: os.pwrite(file.fileno(), b"late", 0)), error_of(lambda: os.listdir(mounted)),
                  error_of(lambda: os.mkdir(mounted / "late"))]
        expect(errors == [errno.EIO] * 3, f"after the unpublish every call is EIO: {errors}")

    def told():
        return cluster.log(cluster.mounts[mounted]).count("this node's publication was taken away: unmount")
    said = wait_until("the log to say why", told)
    expect(said == 1, f"the log says why, once: {said}")
    again = cluster.ctl("volume", "publish", PUBLISHED, "node-3")
    expect(again["publication"] != published["publication"] and error_of(lambda: os.listdir(mounted)) == errno.EIO,
           f"published again as {again['publication']}, the old mount stays fenced")
    began = time.monotonic()
    answer = cluster.umount(mounted)
    mounted.rmdir()
    expect("is killed" not in answer.out, f"it is unmounted by itself within {time.monotonic() - began:.1f} s")
    mounted = cluster.mount("site-a", PUBLISHED, "--node", "node-3", "--publication", str(again["publication"]))
    expect((mounted / "by-node-3").read_bytes() == b"before", "a new mount reads what was written before, and nothing late")
    expect("late" not in os.listdir(mounted), "and no late name")


def error_of(call):
    try:
        call()
        return 0
    except OSError as error:
        return error.errno


def a_namesake_is_refused(cluster):
    """Two processes of one name would take each other's place for ever."""
    running = next(name for name in (FIRST, SECOND) if cluster.server(name) and os.path.exists(f"{cluster.dir}/{name}/pid"))
    for _ in range(TRIES):
        answer = cluster.run("site-a", "timeout", "90", os.path.join(ROOT, "build/release/bin/shima-accessserver"),
                             "--config", f"{cluster.dir}/{running}/server.yaml", "--nfs.port=2051", "--metrics.port=0",
                             "--nfs.shared_address=", timeout_s=150)
        if answer.code not in (DONE, 124):
            break
    expect(answer.code not in (DONE, 124) and "another process is registered as" in answer.err, f"{running} runs; another one of its name: {answer.err.strip()[-300:]}")


if __name__ == "__main__":
    sys.exit(run_scenarios("files: take-over", make_cluster, [
        prepare, writes_of_a_frozen_holder_do_not_show_later, an_orderly_stop_hands_the_address_over_at_once,
        a_published_volume_is_for_the_addresses_of_its_nodes, a_mount_for_a_node_ends_with_its_publication, a_namesake_is_refused,
    ], FILE_PROGRAMS))
