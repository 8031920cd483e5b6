"""Clients of a volume for tests of races: FUSE mounts by ordinary system calls, NFS servers by libnfs, with one interface.

Each client is a process of its own in its site's network: files_clients.py mount DIRECTORY, or nfs HOST:PORT VOLUME. It reads
a call a line from standard input and prints a line with what it returned: JSON, bytes in hexadecimal. Clients that get
the same `at` begin their calls at the same instant: CLOCK_MONOTONIC is one clock for all processes of a machine.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

LIBNFS = "libnfs.so.13"  # of libnfs 4; later ones have other signatures
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
PATIENCE_S = 120  # with a server that says "ask again", or is not there: as on a busy machine, where it registers anew


def missing():
    """Why this machine cannot have such clients; None if it can."""
    if not os.access("/dev/fuse", os.W_OK):
        return "FUSE mounts need root and /dev/fuse"
    try:
        ctypes.CDLL(LIBNFS)
    except OSError as error:
        return f"NFS clients need libnfs 4: {error}"
    return None


class MountedFiles:
    """Of a FUSE mount. A file that was read once stays open: what lies in the kernel's pages must not be shown stale."""

    def __init__(self, directory):
        self.directory, self.kept = directory, {}

    def path(self, name):
        return f"{self.directory}/{name}"

    @contextlib.contextmanager
    def opened(self, name, flags, mode=0o644):
        descriptor = os.open(self.path(name), flags, mode)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def create(self, name):
        with self.opened(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY):
            pass

    def write(self, name, offset, content):
        with self.opened(name, os.O_WRONLY) as file:
            written = os.pwrite(file, bytes.fromhex(content), offset)
            if written != len(content) // 2:
                raise AssertionError(f"wrote {written} of {len(content) // 2} bytes")

    def append(self, name, content):
        with self.opened(name, os.O_WRONLY | os.O_APPEND) as file:
            written = os.write(file, bytes.fromhex(content))
            if written != len(content) // 2:
                raise AssertionError(f"appended {written} of {len(content) // 2} bytes")

    def punch(self, name, offset, length):
        with self.opened(name, os.O_RDWR) as file:
            libc = ctypes.CDLL(None, use_errno=True)
            flags = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
            if libc.fallocate64(file, flags, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
                raise OSError(ctypes.get_errno(), "fallocate")

    def read(self, name, offset, length):
        with self.opened(name, os.O_RDONLY) as file:
            return os.pread(file, length, offset).hex()

    def read_kept(self, name, offset, length):
        if name not in self.kept:
            self.kept[name] = os.open(self.path(name), os.O_RDONLY)
        return os.pread(self.kept[name], length, offset).hex()

    def close_kept(self):
        for descriptor in self.kept.values():
            os.close(descriptor)
        self.kept.clear()

    def truncate(self, name, size):
        os.truncate(self.path(name), size)

    def stat(self, name):
        answer = os.lstat(self.path(name))
        return {"inode": answer.st_ino, "mode": answer.st_mode, "nlink": answer.st_nlink, "size": answer.st_size,
                "mtime_ns": answer.st_mtime_ns, "ctime_ns": answer.st_ctime_ns}

    def unlink(self, name):
        os.unlink(self.path(name))

    def rename(self, name, other):
        os.rename(self.path(name), self.path(other))

    def link(self, name, other):
        os.link(self.path(name), self.path(other))

    def mkdir(self, name):
        os.mkdir(self.path(name))

    def rmdir(self, name):
        os.rmdir(self.path(name))

    def chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def list(self, name):
        return sorted(os.listdir(self.path(name)))


class NfsStat(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks", "atime", "mtime", "ctime",
        "atime_nsec", "mtime_nsec", "ctime_nsec", "used")]


class NfsEntry(ctypes.Structure):  # as far as it is of interest
    _fields_ = [("next", ctypes.c_void_p), ("name", ctypes.c_char_p), ("inode", ctypes.c_uint64)]


class NfsFiles:
    """Of an access server, over NFSv3; libnfs keeps neither pages nor names."""

    def __init__(self, server, volume):
        self.libnfs = ctypes.CDLL(LIBNFS)
        for function in ("nfs_init_context", "nfs_parse_url_dir", "nfs_readdir"):
            getattr(self.libnfs, function).restype = ctypes.c_void_p
        self.libnfs.nfs_get_error.restype = ctypes.c_char_p
        until = time.monotonic() + PATIENCE_S
        while not self.mounted(server, volume, time.monotonic() > until):
            time.sleep(0.5)

    def mounted(self, server, volume, last):
        """True; or, unless it is the last try, False."""
        self.context = ctypes.c_void_p(self.libnfs.nfs_init_context())
        self.libnfs.nfs_set_dircache(self.context, 0)
        host, port = server.rsplit(":", 1)
        url = f"nfs://{host}/{volume}/?version=3&nfsport={port}&mountport={port}&readahead=0".encode()
        parsed = self.libnfs.nfs_parse_url_dir(self.context, url)
        if not parsed:
            raise AssertionError(f"libnfs does not understand {url}")
        self.libnfs.nfs_destroy_url(ctypes.c_void_p(parsed))
        try:
            self.call("nfs_mount", host.encode(), b"/" + volume.encode())
            self.libnfs.nfs_set_autoreconnect(self.context, -1)  # and send again, with the same xid
            return True
        except OSError:
            if last:
                raise
            self.libnfs.nfs_destroy_context(self.context)
            return False

    def call(self, function, *arguments):
        until = time.monotonic() + PATIENCE_S
        while True:
            result = getattr(self.libnfs, function)(self.context, *arguments)
            if result >= 0:
                return result
            words = self.libnfs.nfs_get_error(self.context) or b""
            # Reads and writes have it in words only.
            asks_again = -result == errno.EAGAIN or b"NFS3ERR_JUKEBOX" in words
            if not asks_again or time.monotonic() > until:
                raise OSError(-result, f"{function}: {words}")
            time.sleep(0.5)

    @contextlib.contextmanager
    def opened(self, name, flags):
        file = ctypes.c_void_p()
        self.call("nfs_open", f"/{name}".encode(), flags, ctypes.byref(file))
        try:
            yield file
        finally:
            self.call("nfs_close", file)

    def create(self, name):
        file = ctypes.c_void_p()
        self.call("nfs_create", f"/{name}".encode(), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644, ctypes.byref(file))
        self.call("nfs_close", file)

    def write(self, name, offset, content):
        data = bytes.fromhex(content)
        with self.opened(name, os.O_RDWR) as file:
            written = self.call("nfs_pwrite", file, ctypes.c_uint64(offset), ctypes.c_uint64(len(data)), data)
            if written != len(data):
                raise AssertionError(f"wrote {written} of {len(data)} bytes")

    def read(self, name, offset, length):
        buffer = ctypes.create_string_buffer(length)
        with self.opened(name, os.O_RDONLY) as file:
            got = self.call("nfs_pread", file, ctypes.c_uint64(offset), ctypes.c_uint64(length), buffer)
        return buffer.raw[:got].hex()

    read_kept = read  # NFS has no pages to be stale here

    def close_kept(self):
        pass

    def truncate(self, name, size):
        self.call("nfs_truncate", f"/{name}".encode(), ctypes.c_uint64(size))

    def stat(self, name):
        found = NfsStat()
        self.call("nfs_lstat64", f"/{name}".encode(), ctypes.byref(found))
        return {"inode": found.ino, "mode": found.mode, "nlink": found.nlink, "size": found.size,
                "mtime_ns": found.mtime * 10**9 + found.mtime_nsec, "ctime_ns": found.ctime * 10**9 + found.ctime_nsec}

    def unlink(self, name):
        self.call("nfs_unlink", f"/{name}".encode())

    def rename(self, name, other):
        self.call("nfs_rename", f"/{name}".encode(), f"/{other}".encode())

    def link(self, name, other):
        self.call("nfs_link", f"/{name}".encode(), f"/{other}".encode())

    def mkdir(self, name):
        self.call("nfs_mkdir", f"/{name}".encode())

    def rmdir(self, name):
        self.call("nfs_rmdir", f"/{name}".encode())

    def chmod(self, name, mode):
        self.call("nfs_chmod", f"/{name}".encode(), mode)

    def list(self, name):
        directory, names = ctypes.c_void_p(), []
        self.call("nfs_opendir", f"/{name}".encode(), ctypes.byref(directory))
        while entry := self.libnfs.nfs_readdir(self.context, directory):
            names.append(ctypes.cast(entry, ctypes.POINTER(NfsEntry)).contents.name.decode())
        self.libnfs.nfs_closedir(self.context, directory)
        return sorted(name for name in names if name not in (".", ".."))


class Orders:
    """The lines of standard input; unlike those of sys.stdin, one that has come is always seen to wait."""

    def __init__(self):
        self.rest = b""

    def __iter__(self):
        while True:
            while b"\n" not in self.rest:
                piece = os.read(0, 1 << 20)
                if not piece:
                    return
                self.rest += piece
            line, _, self.rest = self.rest.partition(b"\n")
            yield line

    def one_waits(self):
        return self.rest or select.select([0], [], [], 0)[0]


ORDERS = Orders()


def until_asked(least=0, more=0):
    """Counts until the test asks for an end (Client.ask_to_end), at least to `least`, and then `more` rounds."""
    number = 0
    while number < least or not ORDERS.one_waits():
        yield number
        number += 1
    yield from range(number, number + more)


def tell_under_way():
    """For Client.wait_under_way()."""
    print(json.dumps({"under_way": True}), flush=True)


class Repetitions:
    """Calls that go on by themselves, so that many overlap: until they are asked to end, however fast the machine is."""

    def __init__(self, files):
        self.files = files

    def append_records(self, name, writer, count, seed):
        """How many, at least `count`. Records: 8 bytes of writer, number and length; then `writer` over and over. Of up to 60,000 bytes."""
        source = random.Random(seed)
        for number in until_asked(count):
            length = source.randrange(16, 60_000)
            header = writer.to_bytes(2, "little") + number.to_bytes(2, "little") + length.to_bytes(4, "little")
            self.files.append(name, (header + bytes([writer]) * (length - 8)).hex())
        return number + 1

    def count_up(self, name, kind, rounds):
        """Adds one to the number in a file under a lock: `ofd` or `flock`."""
        with self.files.opened(name, os.O_RDWR) as file:
            for _ in range(rounds):
                fcntl.fcntl(file, fcntl.F_OFD_SETLKW, whole_file(fcntl.F_WRLCK)) if kind == "ofd" else fcntl.flock(file, fcntl.LOCK_EX)
                number = int(os.pread(file, 20, 0) or b"0")
                os.pwrite(file, f"{number + 1:020}".encode(), 0)
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, whole_file(fcntl.F_UNLCK)) if kind == "ofd" else fcntl.flock(file, fcntl.LOCK_UN)

    def write_numbers(self, name, count):
        """1, 2, ... to the same place; under way after `count`. When each was begun and when it was ACKed, seconds of CLOCK_MONOTONIC."""
        times = []
        for number in until_asked(count, 1):  # the last one ends after whoever asks has seen the others' ends
            begin = time.monotonic()
            self.files.write(name, 100, (number + 1).to_bytes(8, "little").hex() * 64)
            times.append((begin, time.monotonic()))
            if len(times) == count:
                tell_under_way()
        return times

    def read_numbers(self, name, kept, more):
        """What was seen there, and when each read began and ended; under way after the first one."""
        seen, read = [], self.files.read_kept if kept else self.files.read
        for number in until_asked(1, more):
            begin = time.monotonic()
            data = bytes.fromhex(read(name, 100, 512))
            if data != data[:8] * 64:
                raise AssertionError(f"a torn piece: {data.hex()}")
            seen.append((int.from_bytes(data[:8], "little"), begin, time.monotonic()))
            if number == 0:
                tell_under_way()
        return seen

    def read_while_it_grows(self, name):
        """The longest prefix that was ever seen, under way when there is one; a shorter size than before is an error."""
        size = 0
        for _ in until_asked(more=1):
            now = self.files.stat(name)["size"]
            if now < size:
                raise AssertionError(f"the size was {size} and is {now}")
            first, size = size == 0 < now, now
            data = b""
            while len(data) < size:  # what lies below a size that was seen is there, whole
                part = bytes.fromhex(self.files.read(name, len(data), min(size - len(data), 1 << 20)))
                if not part:
                    raise AssertionError(f"{name} ends at {len(data)}, its size was {size}")
                data += part
            check_records(data)
            if first:
                tell_under_way()
        return size

    def look_all_the_time(self, name, more):
        """How often the name was looked for, under way after the first time; that it is not there is an error."""
        for number in until_asked(1, more):
            with ignoring_stale():  # it was replaced between LOOKUP and GETATTR
                self.files.stat(name)
            if number == 0:
                tell_under_way()
        return number + 1

    def errors_of(self, calls):
        """Runs calls one after the other; the errno of each, 0 where it was done."""
        errors = []
        for name, *arguments in calls:
            try:
                getattr(self.files, name)(*arguments)
                errors.append(0)
            except OSError as error:
                errors.append(error.errno)
        return errors


def whole_file(kind):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)  # struct flock


@contextlib.contextmanager
def ignoring_stale():
    try:
        yield
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise


def check_records(data):
    """What append_records wrote, all of it whole: {writer: numbers in order}."""
    found, at = {}, 0
    while at < len(data):
        writer, number = int.from_bytes(data[at:at + 2], "little"), int.from_bytes(data[at + 2:at + 4], "little")
        length = int.from_bytes(data[at + 4:at + 8], "little")
        body = data[at + 8:at + length]
        if length < 16 or len(body) != length - 8 or body.count(writer) != len(body):
            raise AssertionError(f"a torn record at {at} of {len(data)}: writer {writer}, number {number}, length {length}, "
                                 f"{body.count(writer)} of {len(body)} bytes are right")
        found.setdefault(writer, []).append(number)
        at += length
    return found


def serve(files):
    repetitions = Repetitions(files)
    for line in ORDERS:
        if not line:  # what was asked to end has ended
            continue
        call = json.loads(line)
        target = files if hasattr(files, call["call"]) else repetitions
        if call["at"]:
            time.sleep(max(0.0, call["at"] - time.monotonic()))
        try:
            answer = {"value": getattr(target, call["call"])(*call["arguments"])}
        except OSError as error:
            answer = {"errno": error.errno, "text": str(error)}
        except Exception as error:  # told to the test
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


class Client:
    """One of these processes, as a test uses it: client.write("name", 0, b"..."), or start() and later finish()."""

    def __init__(self, cluster, name, site, *arguments):
        self.name, self.calls = name, []
        self.process = cluster.popen(site, sys.executable, __file__, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cluster.writers.append(self)  # ended with the cluster

    def start(self, call, *arguments, at=None):
        arguments = [argument.hex() if isinstance(argument, bytes) else argument for argument in arguments]
        self.calls.append(f"{self.name}: {call} {str(arguments)[:100]}")
        self._send(json.dumps({"call": call, "arguments": arguments, "at": at}))
        return self

    def ask_to_end(self):
        """What goes on by itself; to be followed by finish()."""
        self._send("")

    def _send(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(f"{self.calls[0]}: the client has ended") from None

    def wait_under_way(self):
        """Until what goes on by itself says so."""
        self._result(self.calls[0])

    def has_ended(self):
        """finish() would not wait."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def finish(self):
        return self._result(self.calls.pop(0))

    def _result(self, call):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{call}: the client has ended")
        answer = json.loads(line)
        if "under_way" in answer:
            return None
        if "failed" in answer:
            raise AssertionError(f"{call}: {answer['failed']}")
        if "errno" in answer:
            raise OSError(answer["errno"], f"{call}: {answer['text']}")
        return answer["value"]

    def error(self):
        """Like finish(), the errno: 0 if it was done."""
        try:
            self.finish()
            return 0
        except OSError as error:
            return error.errno

    def __getattr__(self, call):
        return lambda *arguments: self.start(call, *arguments).finish()

    def end(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    serve({"mount": MountedFiles, "nfs": NfsFiles}[sys.argv[1]](*sys.argv[2:]))
