"""The guest's only file system: a cpio archive ("newc", documented in the kernel's buffer-format.rst) of busybox, an init
script and kernel modules. A second archive behind it brings the files of one run; the kernel unpacks both."""

import os
import pathlib
import stat

INIT = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /mnt /root
/bin/busybox --install -s /bin
export PATH=/bin:/job HOME=/root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /tmp
mkdir -p /dev/shm
finish() {  # the exit code leaves through QEMU's isa-debug-exit device: it ends QEMU with 2 * byte + 1
  sleep 0.1
  printf "\\x$(printf %x $(($1 > 100 ? 101 : $1 + 1)))" | dd of=/dev/port bs=1 seek=244 count=1 2>/dev/null
  poweroff -f
}
for module in $(cat /modules/order); do
  insmod /modules/$module || { echo "init: insmod $module failed" >/dev/console; finish 99; }
done
hostname guest
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up && ip route add default via 10.0.2.2 || finish 98
stty -F /dev/ttyS1 raw -echo 115200
cd /job
./run </dev/null >/dev/ttyS1 2>&1
finish $?
"""


def entry(name, mode, content=b""):
    """One file, folder or symlink (whose content is its target)."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def archive(entries):
    whole = b"".join(entries) + entry("TRAILER!!!", 0)
    return whole + bytes(-len(whole) % 512)


def folder(name):
    return entry(name, stat.S_IFDIR | 0o755)


def file_from(name, path, executable=False):
    with open(path, "rb") as file:
        return entry(name, stat.S_IFREG | (0o755 if executable else 0o644), file.read())


def base(busybox, modules):
    """What every run has in common."""
    entries = [folder(name) for name in ("bin", "dev", "job", "modules")]
    entries.append(entry("dev/console", stat.S_IFCHR | 0o600))
    entries.append(file_from("bin/busybox", busybox, executable=True))
    entries.append(entry("init", stat.S_IFREG | 0o755, INIT.encode()))
    for path in modules:
        entries.append(file_from("modules/" + os.path.basename(path), path))
    order = "".join(os.path.basename(path) + "\n" for path in modules)
    entries.append(entry("modules/order", stat.S_IFREG | 0o644, order.encode()))
    return archive(entries)


def at_same_path(paths):
    """Files, at their paths here, and the folders above them: the kernel makes none by itself. A link becomes what it leads to."""
    folders = {str(above)[1:] for path in paths for above in pathlib.PurePosixPath(path).parents if str(above) != "/"}
    return [*(folder(name) for name in sorted(folders)),  # each comes after those above it
            *(file_from(path[1:], path, executable=os.access(path, os.X_OK)) for path in paths)]


def job(script, files, libraries=()):
    """`script`: text of /job/run; `files`: name in /job -> path here; `libraries`: absolute paths, the same there."""
    entries = [folder("job"), entry("job/run", stat.S_IFREG | 0o755, script.encode())]
    for name, path in files.items():
        entries.append(file_from(f"job/{name}", path, executable=os.access(path, os.X_OK)))
    return archive(entries + at_same_path(libraries))
