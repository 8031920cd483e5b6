"""Starting and ending exactly the processes of a cluster: a pid counts only together with its start time."""

import os
import signal
import subprocess
import time

from . import ClusterError


def start_time_of(pid):
    """Start time in clock ticks since boot, or None when no such process runs (a zombie has ended)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def is_running(record):
    """record: anything with pid, start_time and boot_id."""
    if not record or record.get("start_time") is None or record.get("boot_id") != boot_id():
        return False
    return start_time_of(record["pid"]) == record["start_time"]


def spawn(command, log_path, environment):
    """Starts a process of its own session with its output appended to the log; returns pid, start_time and boot_id."""
    with open(log_path, "ab") as log:
        log.write(f"--- started by devcluster: {' '.join(command)}\n".encode())
        log.flush()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True,
                                       start_new_session=True, env=environment)
        except OSError as error:
            raise ClusterError(f"cannot start {command[0]}: {error.strerror}") from error
    process.returncode = 0  # it outlives this command; keep subprocess from warning about that
    return {"pid": process.pid, "start_time": start_time_of(process.pid), "boot_id": boot_id()}


def send(record, signal_number):
    """Signals the process if it is still the one that was started; False if it is not."""
    try:
        descriptor = os.pidfd_open(record["pid"])
    except ProcessLookupError:
        return False
    try:
        if not is_running(record):
            return False
        signal.pidfd_send_signal(descriptor, signal_number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def wait_until_gone(record, timeout_s):
    deadline = time.monotonic() + timeout_s
    while is_running(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(record, timeout_s):
    """SIGTERM, then SIGKILL after the timeout. Returns how it went: 'gone before', 'ended' or 'killed'."""
    if not is_running(record) or not send(record, signal.SIGTERM):
        return "gone before"
    if wait_until_gone(record, timeout_s):
        return "ended"
    send(record, signal.SIGKILL)
    wait_until_gone(record, 10)
    return "killed"


def end_of_log(path, lines=15):
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16384))
            return "\n".join("    " + line for line in file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"    (cannot be read: {error.strerror})"
