"""FUSE mounts of a cluster, as the kernel's table shows them. Nothing here asks the mounted file system, which may hang."""

import os
import re
import shutil
import subprocess

from . import ClusterError


def table():
    """Paths of all mounts that this process sees."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        fields = [line.split(" ")[4] for line in file]
    return {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field) for field in fields}


def is_mounted(path):
    return path in table()


def clear(path):
    """Takes a mount away whose server has ended; does nothing where there is none."""
    if not is_mounted(path):
        return
    if os.geteuid() == 0:
        command = ["umount", "--lazy", path]
    else:
        command = [shutil.which("fusermount3") or "fusermount3", "-u", "-z", path]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"cannot unmount {path}: {error}") from error
    if result.returncode != 0 and is_mounted(path):
        raise ClusterError(f"cannot unmount {path}: {result.stderr.strip()}; do it by hand: umount -l {path}")
