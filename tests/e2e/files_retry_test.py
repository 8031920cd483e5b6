#!/usr/bin/env python3
"""A client's request whose answer was lost is repeated with the same xid through another access server, and after the core
servers were killed: it is answered as the first time, and not run twice (R20). By NFSv3 calls made by hand (RFC 1813).
"""

import os
import socket
import struct
import sys
import time

from cluster import Cluster, FILE_PROGRAMS, ROOT, expect, run_scenarios

sys.path.insert(0, os.path.join(ROOT, "hack"))
from devcluster_lib import namespaces  # noqa: E402 (needs the path above)

VOLUME = "retries"
MOUNT, NFS, OK, NOENT, EXIST = 100005, 100003, 0, 2, 17
MKDIR, REMOVE, RENAME, LINK = 9, 12, 14, 15
SERVERFAULT, JUKEBOX = 10006, 10008  # MOUNT's and NFS's word for "ask again"
PATIENCE_S = 120


def make_cluster():
    return Cluster(access="2")


def opaque(data):
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


class Closed(AssertionError):
    """By the server."""


def exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise Closed("the server closed the connection")
        data += piece
    return data


class Client:
    """One client host: the same source address whomever it asks."""

    def __init__(self, cluster):
        self.namespace = next(site["namespace"] for site in cluster.status["sites"] if site["name"] == "site-a")
        self.servers = [(address.rsplit(":", 1)[0], int(address.rsplit(":", 1)[1])) for address in cluster.nfs_servers("site-a")]
        self.source = self.servers[0][0].rsplit(".", 1)[0] + ".1"

    def call(self, server, xid, program, procedure, arguments):
        """Sent again where the server is not there, or says so: one that stood still registers anew."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                results = self.call_once(server, xid, program, procedure, arguments)
                if struct.unpack(">I", results[:4])[0] not in (SERVERFAULT, JUKEBOX) or time.monotonic() > until:
                    return results
            except (OSError, Closed):
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def call_once(self, server, xid, program, procedure, arguments):
        with namespaces.inside(self.namespace):
            connection = socket.create_connection(self.servers[server], 60, (self.source, 0))
        with connection:
            credentials = opaque(struct.pack(">I", 0) + opaque(b"host") + struct.pack(">III", 0, 0, 0))
            message = struct.pack(">6I", xid, 0, 2, program, 3, procedure) + struct.pack(">I", 1) + credentials
            message += struct.pack(">II", 0, 0) + arguments
            connection.sendall(struct.pack(">I", 0x80000000 | len(message)) + message)
            reply = exactly(connection, struct.unpack(">I", exactly(connection, 4))[0] & 0x7FFFFFFF)
        expect_quietly(struct.unpack(">III", reply[:12]) == (xid, 1, 0), "an accepted reply")
        return reply[24:]

    def status(self, *call):
        return struct.unpack(">I", self.call(*call)[:4])[0]


def expect_quietly(condition, text):
    if not condition:
        raise AssertionError(text)


def the_answer_is_the_same_elsewhere(cluster):
    cluster.create(VOLUME)
    cluster.client = client = Client(cluster)
    answer = client.call(0, 1, MOUNT, 1, opaque(f"/{VOLUME}".encode()))
    cluster.root = root = opaque(answer[8:8 + struct.unpack(">I", answer[4:8])[0]])
    no_attributes = struct.pack(">6I", 0, 0, 0, 0, 0, 0)
    cluster.calls = {
        "MKDIR": (100, NFS, MKDIR, root + opaque(b"folder") + no_attributes),
        "RENAME": (101, NFS, RENAME, root + opaque(b"folder") + root + opaque(b"renamed")),
    }
    for name, call in cluster.calls.items():
        expect(client.status(0, *call) == OK, f"{name} through access-0 is done")
        expect(client.status(1, *call) == OK, f"{name} with the same xid through access-1 is answered as the first one")
    fresh = (200, *cluster.calls["RENAME"][1:])
    expect(client.status(1, *fresh) == NOENT, "RENAME with another xid is a new request: there is no such name")
    other = (100, NFS, MKDIR, root + opaque(b"other") + no_attributes)
    expect(client.status(1, *other) == OK, "the same xid with other arguments is another request")


def after_the_core_servers_restarted_too(cluster):
    cluster.kill(*cluster.names("site-a"))
    cluster.start(*cluster.names("site-a"))
    cluster.kill("site-a/access-1")
    cluster.start("site-a/access-1")
    for name, call in cluster.calls.items():
        expect(cluster.client.status(1, *call) == OK, f"{name} with the same xid, after core servers and access-1 were killed")
    names = cluster.nfs_names("site-a", VOLUME)
    expect(sorted(names) == ["other", "renamed"], f"the tree is as each request was run once: {sorted(names)}")


if __name__ == "__main__":
    sys.exit(run_scenarios("files: retries", make_cluster, [
        the_answer_is_the_same_elsewhere, after_the_core_servers_restarted_too,
    ], FILE_PROGRAMS))
