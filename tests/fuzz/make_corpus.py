#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: tests/fuzz/make_corpus.py [FOLDER], by default corpus/ beside this file."""

import pathlib
import struct
import sys


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def opaque(data):
    return u32(len(data)) + data + b"\0" * (-len(data) % 4)


def handle(inode, volume=1, life=1):
    return opaque(b"SNH\x01" + u64(volume) + u64(inode) + u32(1) + u64(life))


ROOT = handle(2)
SATTR_NONE = u32(0) * 6
SATTR_ALL = u32(1) + u32(0o644) + u32(1) + u32(7) + u32(1) + u32(8) + u32(1) + u64(1000) + u32(2) + u32(5) + u32(6) + u32(1)


def record(data, last=True):
    return u32((1 << 31 if last else 0) | len(data)) + data


def rpc_call(program=100003, version=3, procedure=0, groups=(), flavor=1, rpc_version=2, arguments=b""):
    body = u32(99) + opaque(b"machine") + u32(1000) + u32(1000) + u32(len(groups)) + b"".join(map(u32, groups))
    credentials = u32(flavor) + opaque(body if flavor == 1 else b"")
    return (u32(1) + u32(0) + u32(rpc_version) + u32(program) + u32(version) + u32(procedure) + credentials + u32(0) + u32(0)
            + arguments)


def call(procedure, arguments):
    return bytes([procedure]) + struct.pack(">H", len(arguments)) + arguments


def record_seeds():
    null = rpc_call()
    return {
        "one": b"\x10" + record(null),
        "two": b"\x03" + record(null) + record(null),
        "fragments": b"\x07" + record(null[:10], False) + record(b"", False) + record(null[10:]),
        "too-large": b"\x00" + record(null) + u32(1 << 31 | 5001),
        "largest-mark": b"\xff" + record(b"abc", False) + b"\xff\xff\xff\xff",
        "empty": b"\x01" + record(b""),
    }


def header_seeds():
    return {
        "auth-sys": rpc_call(groups=range(16)),
        "auth-none": rpc_call(flavor=0),
        "auth-gss": rpc_call(flavor=6),
        "too-many-groups": rpc_call(groups=range(17)),
        "rpc-version": rpc_call(rpc_version=3),
        "truncated": rpc_call()[:50],
    }


# Arguments by procedure of NFSv3.
ARGUMENTS = {
    0: b"",
    1: ROOT,
    2: ROOT + SATTR_ALL + u32(1) + u32(1) + u32(2),
    3: ROOT + opaque(b"f"),
    4: ROOT + u32(63),
    5: ROOT,
    6: handle(3) + u64(0) + u32(4096),
    7: handle(3) + u64(10) + u32(5) + u32(2) + opaque(b"hello"),
    8: ROOT + opaque(b"f") + u32(1) + SATTR_ALL,
    9: ROOT + opaque(b"d") + SATTR_NONE,
    10: ROOT + opaque(b"l") + SATTR_NONE + opaque(b"f"),
    11: ROOT + opaque(b"n") + u32(3) + SATTR_NONE + u32(8) + u32(1),
    12: ROOT + opaque(b"f"),
    13: ROOT + opaque(b"d"),
    14: ROOT + opaque(b"f") + ROOT + opaque(b"g"),
    15: handle(3) + ROOT + opaque(b"h"),
    16: ROOT + u64(0) + u64(0) + u32(1024),
    17: ROOT + u64(0) + u64(0) + u32(512) + u32(2048),
    18: ROOT,
    19: ROOT,
    20: ROOT,
    21: handle(3) + u64(0) + u32(0),
}


def call_seeds():
    create = call(8, ARGUMENTS[8])
    seeds = {f"procedure-{number:02}": create + call(number, arguments) for number, arguments in ARGUMENTS.items()}
    seeds["exclusive"] = call(8, ROOT + opaque(b"x") + u32(2) + u64(77)) * 2
    seeds["mount"] = call(9, ARGUMENTS[9]) + call(23, opaque(b"/v/d")) + call(24, b"") + call(25, opaque(b"/v/d")) + call(26, b"")
    seeds["mount-1"] = call(29, opaque(b"/w")) + call(33, b"")
    seeds["export"] = call(27, b"")
    seeds["portmap"] = call(37, u32(100003) + u32(3) + u32(6) + u32(0)) + call(38, b"")
    seeds["stale"] = call(1, handle(99)) + call(1, handle(2, 5)) + call(1, handle(2, 1, 9)) + call(1, opaque(b"x" * 32))
    seeds["tree"] = (call(9, ARGUMENTS[9]) + create + call(14, ROOT + opaque(b"f") + handle(3) + opaque(b"g"))
                     + call(17, handle(3) + u64(0) + u64(0) + u32(4096) + u32(4096)) + call(13, ARGUMENTS[13]))
    seeds["readdir-too-small"] = call(16, ROOT + u64(0) + u64(0) + u32(110))
    return seeds


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent / "corpus"
    corpora = {"fuzz_record_marking": record_seeds(), "fuzz_rpc_header": header_seeds(), "fuzz_nfs_calls": call_seeds()}
    for target, seeds in corpora.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
