"""A virtual machine on QEMU for end-to-end tests, as KubeVirt and libvirt run one: by uid 107, its disk opened with O_DIRECT and locked,
told what to do through QMP; and how it is moved to another QEMU.

The guest boots Debian's stock kernel with hack/guest's RAM disk, and runs one shell script, whose standard streams are a serial port.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time

from cluster import ROOT, expect, skip, wait_until

USER = 107  # "qemu", whom KubeVirt and CDI give disks to
MEMORY_MIB = 192
EXITED_WITH_0 = 3  # isa-debug-exit: twice the byte written, which is the script's exit code + 1, and one more
MIGRATION_PORT = 49152


def load_hack_guest():
    """hack/guest as a module: a program without .py."""
    loader = importlib.machinery.SourceFileLoader("hack_guest", str(ROOT / "hack/guest"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def prepare():
    """Kernel and RAM disk (fetched if need be); ends the test as skipped where there is no QEMU or kernel to be had."""
    guest = load_hack_guest()
    missing = [name for name in (guest.machine.QEMU, "setpriv", "gcc") if shutil.which(name) is None]
    if missing:
        skip(f"virtual machines on QEMU need {', '.join(missing)} (hack/deps)")
    try:
        return guest, guest.build_image()
    except guest.NotAvailable as reason:
        skip(f"no kernel for the guest: {reason}")


class Boot:
    """What a machine starts from, in a folder that QEMU's user may read: kernel, RAM disk with the script and its files."""

    def __init__(self, folder, script, files):
        guest, image = prepare()
        self.qemu, self.command_line = guest.machine.QEMU, guest.machine.KERNEL_COMMAND_LINE
        self.kernel, self.initrd = folder / "vmlinuz", folder / "initrd"
        shutil.copyfile(image["kernel"], self.kernel)
        self.initrd.write_bytes(pathlib.Path(image["base"]).read_bytes() + guest.ram_disk.job(script, files))
        for path in (self.kernel, self.initrd):
            path.chmod(0o644)


class Serial:
    """What came through the unix socket of a serial port so far, and when."""

    def __init__(self, path):
        self.chunks = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.chunks.append((time.monotonic(), data))

    def send(self, text):
        self.socket.sendall(text.encode())

    def wait_for_end(self, timeout_s=30):
        self.reader.join(timeout_s)

    def close(self):
        self.socket.close()


class Qmp:
    """QEMU's monitor (docs/interop/qmp-spec.txt): one command at a time; events are kept."""

    def __init__(self, path, timeout_s=120):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.events = []
        if not self.lines.readline():  # the greeting, which comes when its devices are there
            raise ConnectionError("QEMU ended")
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        request = {"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}
        self.socket.sendall(json.dumps(request).encode())
        while line := self.lines.readline():
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"QEMU refuses {command}: {answer['error']['desc']}")
            else:
                return answer["return"]
        raise AssertionError(f"QEMU ended during {command}")

    def close(self):
        self.lines.close()
        self.socket.close()


def file_disk(path):
    """As KubeVirt has libvirt open a sparse disk.img: cache=none, io=threads, discard=unmap, OFD locks."""
    return {"driver": "file", "filename": str(path), "aio": "threads", "locking": "on", "discard": "unmap",
            "cache": {"direct": True, "no-flush": False}}


def device_disk(path):
    """As it has it open a raw block volume: cache=none, io=native."""
    return {**file_disk(path), "driver": "host_device", "aio": "native"}


def device_node(target, path):
    """What a container runtime makes of a published block device: a node of its own in the container, that the container's user owns."""
    path.unlink(missing_ok=True)
    os.mknod(path, stat.S_IFBLK | 0o660, os.stat(target).st_rdev)
    os.chown(path, USER, USER)
    return path


class Machine:
    """One QEMU in a site. `incoming`: it waits for another one's state."""

    def __init__(self, cluster, site, folder, boot, disk, incoming=False):
        self.cluster, self.site, self.folder = cluster, site, folder
        folder.mkdir()
        os.chown(folder, USER, USER)
        self.errors = folder / "errors"
        with open(self.errors, "w", encoding="utf-8") as errors:
            self.process = cluster.popen(site, *self._command(boot, disk, incoming), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        self.serial = self.qmp = None

    def _command(self, boot, disk, incoming):
        raw = {"driver": "raw", "node-name": "disk", "discard": "unmap", "file": disk}
        return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "KILL", boot.qemu,
                "-accel", "tcg", "-machine", "pc", "-cpu", "max", "-smp", "1", "-m", MEMORY_MIB, "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-kernel", boot.kernel, "-initrd", boot.initrd, "-append", boot.command_line,
                "-serial", f"file:{self.folder}/console",
                "-chardev", f"socket,id=job,path={self.folder}/job,server=on,wait=off", "-serial", "chardev:job",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01", "-device", "virtio-rng-pci",
                "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
                "-blockdev", json.dumps(raw), "-device", "virtio-blk-pci,drive=disk,werror=report,rerror=report",
                "-qmp", f"unix:{self.folder}/monitor,server=on,wait=off", *(["-incoming", "defer"] if incoming else ["-S"])]

    def connect(self):
        """QEMU has opened the disk, and waits. Nothing that the guest says later is missed."""
        self.qmp = wait_until(f"QEMU at {self.site}", self._try_monitor, 60, 0.05)
        self.serial = Serial(self.folder / "job")
        return self

    def _try_monitor(self):
        if self.process.poll() is not None:
            raise AssertionError(f"QEMU at {self.site} ended with code {self.process.returncode}: {self.words()}")
        with contextlib.suppress(OSError):
            return Qmp(self.folder / "monitor")
        return None

    def words(self):
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in (self.errors, self.folder / "console") if path.exists())

    def refused(self, timeout_s=180):
        """It ends by itself; what it said."""
        self.process.wait(timeout_s)
        return self.words()

    def quit(self):
        """Ends as it does when libvirt has seen the migration done."""
        self.qmp("quit")
        self.process.wait(180)
        self.serial.wait_for_end()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for connection in (self.serial, self.qmp):
            if connection:
                connection.close()


class Guest:
    """A virtual machine, wherever its QEMU is now, and all that it said; `with Guest(...) as guest`."""

    def __init__(self, cluster, name, boot):
        self.cluster, self.name, self.boot, self.machines, self.serials, self.started = cluster, name, boot, [], [], 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            print(*(f"guest {self.name}: {text}" for _, text in self.lines()[-12:]), sep="\n")
            for machine in self.machines:
                print(f"--- QEMU at {machine.site}: {machine.words()}", flush=True)
        for machine in self.machines:
            machine.end()

    @property
    def machine(self):
        return self.machines[-1]

    def _start(self, site, disk, incoming):
        self.started += 1
        folder = self.cluster.folder / f"{self.name}-{self.started}"
        machine = Machine(self.cluster, site, folder, self.boot, disk, incoming)
        self.machines.append(machine)
        return machine

    def boot_at(self, site, disk):
        machine = self._start(site, disk, False).connect()
        self.serials.append(machine.serial)
        machine.qmp("cont")

    def refused_at(self, site, disk):
        """Another machine on the same disk ends at once; what it said."""
        machine = self._start(site, disk, False)
        self.machines.remove(machine)
        try:
            return machine.refused()
        finally:
            machine.end()

    def move(self, site, disk, meanwhile=lambda: None):
        """To a new QEMU at the site, over TCP between the sites; QEMU's numbers. The old QEMU is gone then."""
        source, target = self._begin_move(site, disk, 1 << 30)
        self.serials.append(target.serial)
        meanwhile()
        found = wait_until("the migration", lambda: self._finished(source), 300, 0.05)
        expect(found["status"] == "completed", f"QEMU says that the machine has moved to {site}"
               + (f": {found}" if found["status"] != "completed" else ""))
        wait_until("the machine to run there", lambda: target.qmp("query-status")["status"] == "running", 60, 0.02)
        source.quit()
        return found

    def _begin_move(self, site, disk, bytes_per_s):
        """Source and target."""
        source, target = self.machine, self._start(site, disk, True).connect()
        uri = f"tcp:{self.cluster.servers(site=site)[0]['endpoint'].rpartition(':')[0]}:{MIGRATION_PORT}"
        target.qmp("migrate-incoming", uri=uri)
        source.qmp("migrate-set-parameters", max_bandwidth=bytes_per_s)
        source.qmp("migrate", uri=uri)
        return source, target

    def fail_to_move(self, site, disk):
        """The target QEMU is killed half way; the machine stays where it is."""
        source, target = self._begin_move(site, disk, 1 << 20)
        wait_until("some of the machine's memory to be there",
                   lambda: source.qmp("query-migrate").get("ram", {}).get("transferred", 0) > 1 << 20, 60, 0.05)
        self.machines.remove(target)
        target.end()
        found = wait_until("the migration to end", lambda: self._finished(source), 60, 0.05)
        expect(found["status"] == "failed" and source.qmp("query-status")["status"] == "running",
               f"QEMU at {site} was killed during a migration, and the machine runs on where it was")

    @staticmethod
    def _finished(source):
        found = source.qmp("query-migrate")
        return found if found.get("status") in ("completed", "failed", "cancelled") else None

    def send(self, text):
        self.machine.serial.send(text)

    def lines(self):
        """[(when it was complete, line)] through all moves: an old QEMU says nothing any more when the new one begins."""
        found, rest = [], b""
        for serial in self.serials:
            for when, data in list(serial.chunks):
                *complete, rest = (rest + data).split(b"\n")
                found += [(when, line.decode(errors="replace").rstrip("\r")) for line in complete]
        return found

    def wait_for(self, pattern, timeout_s):
        """The match of the first line with it."""
        def look():
            for _, line in self.lines():
                expect_no_failure(line)
                if found := re.search(pattern, line):
                    return found
            if self.machine.process.poll() not in (None, EXITED_WITH_0):
                raise AssertionError(f"QEMU ended with code {self.machine.process.returncode}")
            return None
        return wait_until(f"guest {self.name} to say '{pattern}'", look, timeout_s, 0.1)

    def wait_for_end(self, timeout_s=120):
        code = self.machine.process.wait(timeout_s)
        expect(code == EXITED_WITH_0, f"guest {self.name}: its script is done, and well (QEMU's exit code {code})")


def expect_no_failure(line):
    if "LOAD FAILED" in line or "I/O error" in line:
        raise AssertionError(f"the guest says: {line}")
