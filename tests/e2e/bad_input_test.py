#!/usr/bin/env python3
"""What is wrong is refused with a word, counted and logged once, and does no harm to anyone else."""

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

from cluster import (Answer, BIN, Cluster, DONE, EXISTS, FILE, MIB, NOT_FOUND, PRECONDITION, REFUSED, UNREACHABLE,
                     USAGE, expect, make_image, run_scenarios, say, sha256_of, wait_until)

HOME = "site-b"  # site-a has one core server only, and so one failure domain
SITES = ["site-a", "site-b", "site-c"]
TARGET = "site-b/core-0"
SOCKET_S = 60  # for an answer, or the end of a connection
TRIES = 5  # of a stranger that stood still after it had connected, and was closed for its silence,
SILENT_S = 4  # and so took longer than this
PREFIX = struct.Struct("<4sBBHQIII")
MAGIC = b"SHMF"


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def frame(header, payload=b"", magic=MAGIC, version=1, flags=0, header_size=None, payload_size=None, header_crc=None,
          prefix_crc=None):
    """A frame as common/transport/frame.h has it; what is given is wrong on purpose."""
    sizes = (len(header) if header_size is None else header_size, len(payload) if payload_size is None else payload_size)
    start = PREFIX.pack(magic, version, flags, 0, 1, *sizes, crc32c(header) if header_crc is None else header_crc)
    return start + struct.pack("<I", crc32c(start) if prefix_crc is None else prefix_crc) + header + payload


def varint(number):
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


GREETING = frame(field(1, b""))


def write_request(volume, group, offset, length, payload):
    numbers = ((1, volume), (2, group), (3, 77), (4, 1), (7, 1), (8, 0), (9, offset), (10, length))
    return frame(field(4, b"".join(varint(n << 3) + varint(v) for n, v in numbers)), payload)


# What a stranger may send to the data port, by name; after the greeting where the name says so.
HOSTILE = {
    "garbage": os.urandom(4096),
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: shima\r\n\r\n" + b" " * 64,
    "a wrong magic": frame(field(1, b""), magic=b"SHMX"),
    "a wrong version": frame(field(1, b""), version=9),
    "unknown flags": frame(field(1, b""), flags=128),
    "an oversized header": frame(b"", header_size=1 << 31),
    "an oversized payload": frame(field(1, b""), payload_size=(1 << 32) - 1),
    "a wrong checksum of the prefix": frame(field(1, b""), prefix_crc=1),
    "a wrong checksum of the header": frame(field(1, b""), header_crc=1),
    "a valid frame without a greeting": frame(field(2, b"")),
    "a header that is no protobuf": frame(b"\xff" * 64),
    "greeted: a header that is no protobuf": GREETING + frame(b"\xff" * 300),
    "greeted: a message that only servers send": GREETING + frame(field(8, b"")),
    "greeted: nesting without end": GREETING + frame(b"\x0b" * 200000),
    "greeted: garbage": GREETING + os.urandom(1 << 20),
}


class Stranger:
    """In a site's network: opens connections from a thread that has entered its namespace."""

    def __init__(self, cluster, site):
        self.namespace = next(s["namespace"] for s in cluster.status["sites"] if s["name"] == site)

    def connect(self, address, port):
        made = []

        def enter():
            if self.namespace:
                import ctypes
                with open(f"/run/netns/{self.namespace}", "rb") as handle:
                    if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), 0x40000000) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_connection((address, port), timeout=SOCKET_S))
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]


def port(cluster, name, kind):
    server = cluster.server(name)
    return server["address"], server["ports"][kind]


def closed_by_server(connection):
    connection.settimeout(SOCKET_S)
    try:
        while connection.recv(65536):
            pass
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def prepare(cluster):
    cluster.create("good")
    image = make_image(cluster.folder / "good.img", 16, 41)
    cluster.import_image("good", image)
    cluster.wait_applied("good")


def still_serves(cluster, what):
    cluster.expect_checksums("good", sha256_of(cluster.folder / "good.img"), [HOME])
    wait_until("all servers to be alive", lambda: cluster.ctl("status")["servers_away"] == [])
    expect(True, f"after {what} all servers are alive, and data is as it was")


def malformed(cluster):
    stats = cluster.stats(TARGET)
    return stats["malformed_frames"] + stats["malformed_requests"]


def malformed_frames_are_refused_counted_and_logged_once(cluster):
    stranger, before, began = Stranger(cluster, HOME), malformed(cluster), time.monotonic()
    pid, counted = cluster.pid(TARGET), 0
    for name, data in HOSTILE.items():
        for _ in range(TRIES):
            connected = time.monotonic()
            with stranger.connect(*port(cluster, TARGET, "client")) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(data)
                if not closed_by_server(connection):
                    raise AssertionError(f"{name}: the server did not close the connection")
            stood_still = time.monotonic() - connected > SILENT_S
            now = malformed(cluster) - before
            if now > counted or not stood_still:
                break
        counted += 1
        if now != counted:
            raise AssertionError(f"{name}: counted {now:.0f} in all, wanted {counted}")
    say(f"  ok: closed after {', '.join(HOSTILE)}")
    expect(counted == len(HOSTILE), f"all {len(HOSTILE)} are counted in malformed_frames and malformed_requests: {counted:.0f}")
    lines = [line for line in cluster.log(TARGET).splitlines() if "malformed" in line or "closed" in line]
    most = 4 + 2 * int((time.monotonic() - began) / 60)  # a line a minute, of frames and of requests
    expect(1 <= len(lines) <= most,
           f"{len(HOSTILE)} connections of one peer gave {len(lines)} lines in the log: {lines[0]}")
    expect(cluster.pid(TARGET) == pid, "the server is the same process")
    still_serves(cluster, "malformed frames")


def headers_of(frames):
    headers = []
    while len(frames) >= PREFIX.size + 4:
        *_, header_size, payload_size, _ = PREFIX.unpack_from(frames)
        begin = PREFIX.size + 4
        headers.append(frames[begin:begin + header_size])
        frames = frames[begin + header_size + payload_size:]
    return headers


def without_a_common_protocol_both_sides_know_why(cluster):
    """A greeting of a build that is too far away is answered with what the server speaks, and then the connection closes."""
    greeting = frame(field(1, varint(11 << 3) + varint(7) + varint(12 << 3) + varint(9)))
    spoken = varint(11 << 3) + varint(1) + varint(12 << 3) + varint(2)
    for _ in range(TRIES):
        connected = time.monotonic()
        with Stranger(cluster, HOME).connect(*port(cluster, TARGET, "client")) as connection:
            connection.settimeout(SOCKET_S)
            answer = b""
            with contextlib.suppress(ConnectionError):
                connection.sendall(greeting + write_request(1, 0, 0, 4096, bytes(4096)))
                while piece := connection.recv(65536):
                    answer += piece
        headers = [header for header in headers_of(answer) if header]  # heartbeats have none
        if headers or time.monotonic() - connected < SILENT_S:
            break
    expect(len(headers) == 1 and spoken in headers[0], "a greeting with protocols 7 to 9 is answered with 1 to 2, and nothing else is")
    why = "speaks data protocol 7 to 9, this program 1 to 2: upgrade this program"
    wait_until("the log to tell", lambda: why in cluster.log(TARGET))
    expect(True, "the server's log says why it closed")
    still_serves(cluster, "a stranger from another release")


def hostile_requests_get_an_error(cluster):
    """Well-formed frames that ask for what cannot be: refused one by one, and the connection lives or closes."""
    volume = cluster.ctl("volume", "show", "good")["volume_id"]
    stranger = Stranger(cluster, HOME)
    requests = {
        "an unknown volume": write_request(999999, 0, 0, 4096, bytes(4096)),
        "an unknown group": write_request(volume, 4000000, 0, 4096, bytes(4096)),
        "a range outside the block": write_request(volume, 0, 0xFFFFF000, 0xFFFFF000, bytes(4096)),
        "a payload without checksums": write_request(volume, 0, 0, 4096, bytes(4096)),
        "a length unlike the payload": write_request(volume, 0, 0, 8192, bytes(4096)),
        "a read of 4 GiB": frame(field(2, varint(1 << 3) + varint(volume) + varint(6 << 3) + varint(0xFFFFF000))),
    }
    for name, data in requests.items():
        answered, asked = False, time.monotonic()
        for server in cluster.names(HOME):  # one of both is the group's primary
            with stranger.connect(*port(cluster, server, "client")) as connection:
                connection.settimeout(SOCKET_S)
                with contextlib.suppress(ConnectionError):
                    connection.sendall(GREETING + data)
                    received = b""
                    while len(received) < 100 and (piece := connection.recv(65536)):
                        received += piece
                    answered = True
        answered = answered or time.monotonic() - asked > SILENT_S  # closed for silence, before it was sent
        expect(answered, f"{name}: answered or closed")
    still_serves(cluster, "hostile requests")


def half_frames_held_open_are_bounded(cluster):
    stranger, before = Stranger(cluster, HOME), cluster.resident_bytes(TARGET)
    half = GREETING + frame(field(4, b""), payload_size=16 * MIB)  # announces 16 MiB that never come
    held = []
    for _ in range(64):
        connection = stranger.connect(*port(cluster, TARGET, "client"))
        with contextlib.suppress(ConnectionError):
            connection.sendall(half)
        held.append(connection)
    time.sleep(1)
    growth = cluster.resident_bytes(TARGET) - before
    expect(growth < 64 * MIB, f"{len(held)} announced payloads of 16 MiB that do not come take {growth // MIB} MiB")
    closed = [connection for connection in held if closed_by_server(connection)]
    expect(len(closed) == len(held), "all of them are closed for their silence")
    for connection in held:
        connection.close()
    wait_until("connections to be gone", lambda: cluster.stats(TARGET)["connections_open"] < 32)
    still_serves(cluster, "half frames")


def garbage_at_the_control_port(cluster):
    stranger = Stranger(cluster, HOME)
    for data in (os.urandom(65536), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(4096), b"GET / HTTP/1.0\r\n\r\n"):
        with stranger.connect(*port(cluster, TARGET, "control")) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            expect(closed_by_server(connection), f"control port: closed after {data[:16]!r}...")
    still_serves(cluster, "garbage at the control port")


def expect_refusal(cluster, code, *arguments, words=(), env_endpoints=None):
    line, environment = cluster.command(HOME, BIN / "shimactl", *arguments)
    if env_endpoints:
        environment["SHIMA_ENDPOINTS"] = env_endpoints
    for _ in range(TRIES):
        answer = Answer(arguments, subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60))
        text = answer.err + answer.out
        missing = [word for word in words if word not in text]
        if answer.code == DONE or (answer.code == code and not missing):
            break
        cluster.wait_joined()  # nobody answered in time, or a server was taken for dead
    if answer.code != code or missing:
        raise AssertionError(f"wanted exit code {code} and the words {list(words)}: {answer!r}")
    say(f"  ok: {' '.join(arguments)[:60]}: {code}, {text.strip().splitlines()[0][:170]}")


def shimactl_says_what_is_wrong(cluster):
    image = str(cluster.folder / "good.img")
    for command in (("show",), ("delete",), ("checksum",)):
        expect_refusal(cluster, NOT_FOUND, "volume", *command, "nowhere", words=["nowhere"])
    expect_refusal(cluster, NOT_FOUND, "volume", "import", "nowhere", image, words=["nowhere"])
    expect_refusal(cluster, NOT_FOUND, "replication", "show", "nowhere", words=["nowhere"])
    expect_refusal(cluster, EXISTS, "volume", "create", "good", "--home", HOME, words=["good"])
    expect_refusal(cluster, REFUSED, "volume", "create", "many", "--copies", "9", "--home", HOME, words=["9", "3"])
    expect_refusal(cluster, PRECONDITION, "volume", "create", "alone", "--home", "site-a", words=["site-a", "one host only"])
    expect_refusal(cluster, REFUSED, "volume", "create", "far", "--home", "site-z", words=["site-z"])
    for bad in ("UPPER", "under_score", "-dash", "a/b", "x" * 64):
        expect_refusal(cluster, REFUSED, "volume", "create", "--home", HOME, "--", bad, words=["name"])
    for bad in ("12parsecs", "-1", "1e30GiB", "99999999TiB"):
        expect_refusal(cluster, USAGE, "volume", "create", "sized", f"--size={bad}")
    for bad in ("3MiB", "8MiB", "1"):
        expect_refusal(cluster, USAGE, "volume", "create", "blocky", f"--block-size={bad}", words=["64KiB"])
    expect_refusal(cluster, USAGE, "volume", "create", "x", "--ack", "never", words=["local", "all"])
    expect_refusal(cluster, USAGE, "no-such-command")
    expect_refusal(cluster, FILE, "volume", "import", "good", "/nowhere/image", words=["/nowhere/image"])
    expect_refusal(cluster, UNREACHABLE, "--timeout", "2", "status", env_endpoints="10.255.255.1:1,127.0.0.1:9")
    expect([v["name"] for v in cluster.ctl("volume", "list")["volumes"]] == ["good"], "none of these made a volume")


def wrong_configuration_is_refused(cluster):
    config = pathlib.Path(cluster.server(TARGET)["config"]).read_text()
    cases = (("journal: {segment_bites: 64MiB}\n", "segment_bites"), ("lease_ttl_ms: 5\n", "lease_ttl_ms"),
             ("limits: {min_free_bytes: many}\n", "min_free_bytes"), ("log_level: loud\n", "log_level"))
    for text, key in cases:
        path = cluster.folder / "bad.yaml"
        path.write_text(config + text)
        line = config.count("\n") + 1
        result = subprocess.run([BIN / "shima-coreserver", "--config", path], capture_output=True, text=True, timeout=60)
        expect(result.returncode == 2 and f"{path}:{line}" in result.stderr and key in result.stderr,
               f"{text.strip()}: refused: {result.stderr.strip().replace(str(cluster.folder), '')[:200]}")


def etcdctl(cluster, *arguments):
    endpoint = cluster.server(f"{HOME}/etcd")["endpoint"]
    line, environment = cluster.command(HOME, "etcdctl", "--endpoints", endpoint, "--dial-timeout=60s",
                                        "--command-timeout=60s", *arguments)

    def asked():
        answer = Answer(line, subprocess.run(line, env={**environment, "ETCDCTL_API": "3"}, capture_output=True,
                                             text=True, timeout=180))
        return answer.code == 0 and answer or say(f"  {answer!r}")
    return wait_until(f"etcdctl {arguments[0]}", asked).out


def a_bad_record_in_etcd_is_told_and_left_alone(cluster):
    keys = etcdctl(cluster, "get", "", "--prefix", "--keys-only").split()
    key = next(k for k in keys if k.endswith("/good"))
    bad_key = key[:-len("good")] + "bad"
    record = etcdctl(cluster, "get", key, "--print-value-only")
    cases = {"another magic": record.replace("shima", "other", 1), "no record at all": "}{ not json"}
    for what, value in cases.items():
        expect(value != record, f"{bad_key} is now {what}: {value.strip()[:60]}")
        before = cluster.log(TARGET).count(bad_key)
        etcdctl(cluster, "put", bad_key, "--", value)
        wait_until("the log to tell", lambda: cluster.log(TARGET).count(bad_key) > before, 20)
        line = next(line for line in reversed(cluster.log(TARGET).splitlines()) if bad_key in line)
        expect(True, f"told: {line[25:230]}")
        count = cluster.log(TARGET).count(bad_key)
        time.sleep(1)
        expect(cluster.log(TARGET).count(bad_key) == count, f"it is logged no more than once a change: {count}")
        still_serves(cluster, "a bad record")
    expect_refusal(cluster, EXISTS, "volume", "create", "bad", "--home", HOME, words=["cannot be read"])
    cluster.kill(TARGET)
    cluster.start(TARGET)
    cluster.wait_joined()
    cluster.wait_caught_up("good")
    still_serves(cluster, "a restart beside a bad record")
    etcdctl(cluster, "del", bad_key)


def a_server_that_is_too_old_for_the_clusters_formats_does_not_join(cluster):
    formats = "/shima/v1/formats/cluster"
    cluster.kill(TARGET)
    etcdctl(cluster, "put", formats, "--", '{"magic":"shima-formats","version":1,"level":2,"raised_by":"site-b/core-9"}')
    cluster.devcluster("start", "--no-wait", TARGET)
    refused = wait_until("the refusal to be told", lambda: cluster.ctl("status", site="site-a")["refused"], 30)
    expect(refused[0]["server"] == TARGET and "formats up to level 1, but the cluster's were raised to level 2" in refused[0]["reason"],
           f"shimactl status tells: {refused[0]['server']}: {refused[0]['reason']}")
    wait_until("its lease to end", lambda: TARGET in cluster.ctl("status", site="site-a")["servers_away"], 20)
    said = cluster.log(TARGET).split("joining through etcd")[-1]
    expect("registered as" not in said and "recovery" not in said, "it does not join, and opens no disk")
    etcdctl(cluster, "del", formats)
    cluster.wait_joined()
    # At the latest it expires, after 120 s.
    wait_until("the refusal to be taken back", lambda: not cluster.ctl("status")["refused"])
    cluster.wait_caught_up("good")
    still_serves(cluster, "formats that were raised by mistake")


def a_server_without_etcd_waits_and_joins_later(cluster):
    etcds = [server["name"] for server in cluster.servers("etcd")]
    cluster.kill(TARGET, *etcds)
    cluster.devcluster("start", "--no-wait", TARGET)
    wait_until("the log to tell", lambda: "cannot join yet, trying on" in cluster.log(TARGET), 20)
    line = next(line for line in reversed(cluster.log(TARGET).splitlines()) if "cannot join yet" in line)
    expect(True, f"without etcd: {line[25:260]}")
    answer = cluster.try_ctl("stats", TARGET)
    say(f"  shimactl stats meanwhile: exit code {answer.code}: {answer.err.strip()[:160]}")
    cluster.start(*etcds)
    cluster.wait_joined()
    cluster.wait_caught_up("good")
    still_serves(cluster, "the return of etcd")


def make_cluster():
    return Cluster("--core", "1,2,2", "--server-flags=--etcd.timeout_ms=1500", home=HOME)


if __name__ == "__main__":
    sys.exit(run_scenarios("bad input", make_cluster, [
        prepare, without_a_common_protocol_both_sides_know_why,
        malformed_frames_are_refused_counted_and_logged_once, hostile_requests_get_an_error, half_frames_held_open_are_bounded, garbage_at_the_control_port, shimactl_says_what_is_wrong,
        wrong_configuration_is_refused, a_bad_record_in_etcd_is_told_and_left_alone,
        a_server_that_is_too_old_for_the_clusters_formats_does_not_join, a_server_without_etcd_waits_and_joins_later]))
