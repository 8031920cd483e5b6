#!/usr/bin/env python3
"""Virtual machines whose disk is a published volume move between nodes of two sites and back, as KubeVirt moves them, under load that
is verified byte by byte: a disk.img on a mounted volume, and a raw block volume. On the way back a core server of the volume's home
is killed, and the node that was left is fenced while its mount is still there.
"""

import collections
import errno
import mmap
import os
import pathlib
import re
import stat
import subprocess
import sys
import time

import csi_node_test
from cluster import FILE_PROGRAMS, LONG, MIB, ROOT, expect, run_scenarios, say, sha256_of, wait_until
from csi_client import Driver, check_python, insistently, make_stubs
from csi_node_test import NodesCluster, block, tree
from qemu_machine import USER, Boot, Guest, device_disk, device_node, file_disk, prepare

SIZE = 64 * MIB
LOAD_S = 15 if LONG else 5  # before, between and after the moves
ROUNDS = 4 if LONG else 1  # there and back
KILLED_FOR_S = 2
FILESYSTEM_OVERHEAD = 0.06  # what CDI leaves free for the file system's own needs
LOAD_SOURCE = ROOT / "tests/tools/guest_disk/disk_load.c"
PROGRESS = r"load: acks=(\d+) reads=(\d+) zeroed=(\d+) gap_ms=(\d+)"
SCRIPT = """#!/bin/sh
echo disk: $(cat /sys/block/vda/size) sectors
disk-load /dev/vda 20 </dev/ttyS1 || exit 1
sha256sum /dev/vda
"""


class MigrationCluster(NodesCluster):
    def __init__(self):
        super().__init__()
        self.up_options = ("--rtt-ms", "18", "--access", "0")

    def __enter__(self):
        super().__enter__()
        os.chmod(self.folder, 0o711)  # QEMU's user walks through it
        self.controller = Driver(self, "site-a", "controller", self.folder / "csi", "--controller=true").start()
        self.stub = self.controller.connect(csi_grpc.ControllerStub)
        self.boot = Boot(self.folder, SCRIPT, {"disk-load": compile_load(self.folder)})
        return self

    def down(self):
        if not self.ended and hasattr(self, "controller"):
            self.controller.kill()
        super().down()


def compile_load(folder):
    program = folder / "disk-load"
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-pthread", "-o", program, LOAD_SOURCE], check=True)
    return program


class Disk:
    """A volume, and where it is published."""

    def __init__(self, cluster, name, use):
        self.cluster, self.use = cluster, use
        volume = self.call("CreateVolume", csi.CreateVolumeRequest(
            name=name, capacity_range=csi.CapacityRange(required_bytes=SIZE), volume_capabilities=[use],
            parameters={"home": "site-a"})).volume
        self.volume, self.context = volume.volume_id, volume.volume_context

    def call(self, name, request):
        """Of the controller, as its sidecars make it."""
        return insistently(name, lambda: getattr(self.cluster.stub, name)(request, timeout=120))

    @property
    def is_block(self):
        return self.use.HasField("block")

    def attach(self, node):
        """What the attacher and the kubelet call for a pod. The path of the mounted folder, or of the device."""
        published = self.call("ControllerPublishVolume", csi.ControllerPublishVolumeRequest(
            volume_id=self.volume, node_id=f"{node.name}|{node.site}|10.9.8.7", volume_capability=self.use,
            volume_context=self.context))
        common = {"volume_id": self.volume, "staging_target_path": node.staging(self.volume), "volume_capability": self.use,
                  "publish_context": published.publish_context, "volume_context": self.context}
        node.call("NodeStageVolume", csi.NodeStageVolumeRequest(**common))
        node.call("NodePublishVolume", csi.NodePublishVolumeRequest(target_path=node.target(self.volume), **common))
        return pathlib.Path(node.target(self.volume))

    def unpublish(self, node):
        self.call("ControllerUnpublishVolume", csi.ControllerUnpublishVolumeRequest(
            volume_id=self.volume, node_id=f"{node.name}|{node.site}|10.9.8.7"))

    def detach(self, node):
        node.unpublish(self.volume)
        node.unstage(self.volume)
        self.unpublish(node)

    def bytes_at(self, node):
        """The path of the disk's bytes on a node where it is attached: the image or the device."""
        target = pathlib.Path(node.target(self.volume))
        return target if self.is_block else target / "disk.img"

    def for_qemu(self, node):
        if self.is_block:
            return device_disk(device_node(self.bytes_at(node), self.cluster.folder / f"{self.volume}-{node.name}"))
        return file_disk(self.bytes_at(node))

    def delete(self):
        self.call("DeleteVolume", csi.DeleteVolumeRequest(volume_id=self.volume))


def make_image(folder):
    """As CDI does: sparse, as large as statfs allows, the user's."""
    found = os.statvfs(folder)
    size = int(found.f_bavail * found.f_frsize * (1 - FILESYSTEM_OVERHEAD)) // MIB * MIB
    with open(folder / "disk.img", "xb") as image:
        image.truncate(size)
    os.chown(folder / "disk.img", USER, USER)
    os.chmod(folder / "disk.img", 0o660)
    expect(SIZE * 0.9 < size < SIZE, f"disk.img has {size >> 20} of {SIZE >> 20} MiB, by statfs")


# ---- the load ------------------------------------------------------------------------------------------------------


# `when` by our clock; `gap_ms`: the longest time without an acknowledged write since the line before, by the guest's clock.
Progress = collections.namedtuple("Progress", "when acks reads zeroed gap_ms")


def progress(guest):
    """What the load said, oldest first."""
    found = []
    for when, line in guest.lines():
        if "LOAD FAILED" in line:
            raise AssertionError(f"the guest says: {line}")
        if fields := re.fullmatch(PROGRESS, line):
            found.append(Progress(when, *map(int, fields.groups())))
    return found


def acks(guest):
    lines = progress(guest)
    return lines[-1].acks if lines else 0


def load_goes_on(guest, what, seconds=LOAD_S):
    begin, before = time.monotonic(), acks(guest)
    wait_until(f"writes of the guest {what}", lambda: acks(guest) >= before + 10, 180)
    time.sleep(max(0, seconds - (time.monotonic() - begin)))
    done, took = acks(guest) - before, time.monotonic() - begin
    expect(guest.machine.process.poll() is None, f"{what}: {done} more writes acknowledged in {took:.1f} s, all that is read is right")


def longest_gap_s(guest, begin):
    """Between two lines of the guest with more acknowledged writes than before, by our clock; begun since then, or open at that time."""
    grown, last = [], -1
    for line in progress(guest):
        if line.acks > last:
            grown.append(line.when)
            last = line.acks
    return max((later - earlier for earlier, later in zip(grown, grown[1:]) if later >= begin), default=0)


# ---- moves -----------------------------------------------------------------------------------------------------------


def read_as_probes_do(path):
    """Fills the node's page cache with the disk as it is now, as udev, blkid or a tool that looks for an image format may do before the
    machine has arrived, and keeps it open, so that the pages stay. Reading goes on until the end: a copy of the file."""
    file = open(path, "rb")  # pylint: disable=consider-using-with
    while file.read(MIB):
        pass
    return file


def move(guest, disk, node, disturb):
    """To a node where the disk is attached only now; disturb() is called when the migration has begun. What read the disk there before the
    guest arrived is returned, to be closed."""
    before = acks(guest)
    disk.attach(node)
    probe = read_as_probes_do(disk.bytes_at(node))
    begin = time.monotonic()
    found = guest.move(node.site, disk.for_qemu(node), disturb)
    took = time.monotonic() - begin
    load_goes_on(guest, f"at {node.site}")
    guests_gap = max((line.gap_ms for line in progress(guest) if line.when >= begin), default=0)
    say(f"  moved to {node.site} in {took:.1f} s: QEMU: total {found['total-time']} ms, downtime {found['downtime']} ms, "
        f"{found['ram']['transferred'] >> 20} MiB; longest time without an acknowledged write: {longest_gap_s(guest, begin):.1f} s, "
        f"in the guest's own time {guests_gap / 1000:.1f} s; {acks(guest) - before} writes meanwhile")
    return probe


def secondary_of(cluster, volume):
    """The server of the home that is secondary of most groups of the volume, and of how many of how many."""
    members = [m["server"] for m in cluster.replication(volume)["members"] if m["role"] == "secondary"]
    server = max(sorted(set(members)), key=members.count)
    return server, f"{members.count(server)} of {len(members)} groups"


def unpublish_and_expect_fenced(disk, node):
    """The node has its mount still, and its disk open."""
    descriptor = os.open(disk.bytes_at(node), os.O_RDWR | os.O_DIRECT)
    try:
        disk.unpublish(node)
        os.pwritev(descriptor, [mmap.mmap(-1, 4096)], 0)
        raise AssertionError(f"{node.name} could write after it was unpublished")
    except OSError as error:
        expect(error.errno == errno.EIO, f"{node.name} is unpublished, and its write to the disk that it has open is EIO")
    finally:
        os.close(descriptor)


def boots_and_is_locked(guest, disk, node, other):
    guest.boot_at(node.site, disk.for_qemu(node))
    guest.wait_for(PROGRESS, 180)
    load_goes_on(guest, f"at {node.site}")
    disk.attach(other)
    guest.fail_to_move(other.site, disk.for_qemu(other))
    if not disk.is_block:  # locks of block devices are their node's
        words = guest.refused_at(other.site, disk.for_qemu(other))
        expect('Failed to get "write" lock' in words, f"a second machine on the same disk.img at {other.site} is refused by its locks")
    disk.detach(other)


def kill_a_core_server(disk):
    victim, groups = secondary_of(disk.cluster, disk.volume)
    disk.cluster.kill(victim)
    time.sleep(KILLED_FOR_S)
    disk.cluster.start(victim)
    say(f"  {victim}, secondary of {groups}, was killed when the migration had begun, and started {KILLED_FOR_S} s later")


def kill_the_plugins(nodes):
    for node in nodes:
        node.restart_plugin()
        node.restart_mounter()
    say("  node plug-ins and mounters of both sites were killed when the migration had begun, and started")


def there_and_back(guest, disk, a, b):
    move(guest, disk, b, lambda: kill_the_plugins((a, b))).close()
    disk.detach(a)
    load_goes_on(guest, f"at site-b, when {a.name} has nothing of the volume any more")
    probe = move(guest, disk, a, lambda: kill_a_core_server(disk))
    unpublish_and_expect_fenced(disk, b)
    disk.detach(b)
    load_goes_on(guest, f"at site-a, {b.name} fenced and detached")
    return probe


def expect_fresh_pages(disk, node, probe, sum_):
    """The node's page cache was filled before the guest arrived, and `probe` has kept it."""
    if disk.is_block:  # a device's pages are dropped when it is published, and when nobody has it open
        published = node.publish(disk.volume, disk.use, 1)
        expect(sha256_of(published) == sum_, "the device, published once more on that node and read through its page cache: the same sha256")
        node.unpublish(disk.volume, 1)
        probe.close()
    expect(sha256_of(disk.bytes_at(node)) == sum_, "on that node, read through a page cache that was filled before it arrived: the same sha256")
    probe.close()


def ends_verified(guest, disk, a, b, probe):
    """In the guest, and from outside at both sites."""
    guest.send("end\n")
    verified = guest.wait_for(r"load: verified blocks=(\d+) written=(\d+)", 300)
    sum_ = guest.wait_for(r"^([0-9a-f]{64})  /dev/vda", 300).group(1)
    expect(int(verified.group(2)) > 100, f"in the guest: all {verified.group(1)} blocks are as acknowledged, {verified.group(2)} of them written or zeroed")
    expect(progress(guest)[-1].zeroed > 0, f"of {acks(guest)} acknowledged writes {progress(guest)[-1].zeroed} zeroed a range or punched a hole")
    guest.wait_for_end()
    expect_fresh_pages(disk, a, probe, sum_)
    disk.detach(a)
    disk.attach(b)
    expect(sha256_of(disk.bytes_at(b)) == sum_, "and at site-b, attached anew")
    disk.detach(b)
    disk.delete()


def a_machine_moves(cluster, name, use):
    a, b = cluster.nodes
    disk = Disk(cluster, name, use)
    target = disk.attach(a)
    if disk.is_block:
        found = os.stat(target)
        direct_io = pathlib.Path(f"/sys/dev/block/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}/loop/dio").read_text().strip()
        expect(stat.S_ISBLK(found.st_mode) and direct_io == "1",
               f"a block device of {csi_node_test.block_device_bytes(target) >> 20} MiB, which uses direct I/O")
    else:
        make_image(target)
    with Guest(cluster, name, cluster.boot) as guest:
        boots_and_is_locked(guest, disk, a, b)
        for number in range(ROUNDS):
            if number:
                probe.close()
            probe = there_and_back(guest, disk, a, b)
        ends_verified(guest, disk, a, b, probe)


def a_machine_on_a_mounted_volume_moves(cluster):
    a_machine_moves(cluster, "vm-files", tree())


def a_machine_on_a_block_volume_moves(cluster):
    a_machine_moves(cluster, "vm-raw", block())


if __name__ == "__main__":
    check_python()
    prepare()
    csi, csi_grpc = make_stubs()
    csi_node_test.csi, csi_node_test.csi_grpc = csi, csi_grpc
    sys.exit(run_scenarios("CSI migration", MigrationCluster, [a_machine_on_a_mounted_volume_moves, a_machine_on_a_block_volume_moves],
                           (*FILE_PROGRAMS, "shima-csi")))
