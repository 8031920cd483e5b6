#!/usr/bin/env python3
"""The CSI driver's node part on a cluster: two nodes at two sites stage, publish, write and read the same volumes, as trees and
as block devices; everything that can be killed is killed between the calls, and the calls are repeated.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading
import time

from cluster import BIN, FILE_PROGRAMS, MIB, Cluster, expect, run_scenarios, say, wait_until
from csi_client import Driver, check_python, expect_code, insistently, make_stubs, well

SITES = ("site-a", "site-b")
SIZE = 64 * MIB
GROUP = 107


def mount_table():
    """{path: [options of the uppermost mount, source]}"""
    found = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        found[fields[4]] = (fields[5].split(","), fields[fields.index("-") + 2])
    return found


def backing_files():
    """{loop device: its file}; one may be detached by somebody else meanwhile."""
    found = {}
    for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found[f"/dev/{path.parts[3]}"] = path.read_text().strip()
    return found


class Node:
    """A node at a site: mounter and node plug-in with folders of their own. `insists`: calls are made as kubelet makes
    them, again where they failed for the moment."""

    insists = True

    def __init__(self, cluster, site):
        self.cluster, self.site, self.name = cluster, site, f"node-{site[-1]}"
        self.folder = cluster.folder / self.name
        self.root, self.state = self.folder / "kubelet", self.folder / "state"
        self.root.mkdir(parents=True)
        common = ("--site", site, "--state-dir", str(self.state), "--publish-root", str(self.root))
        self.mounter = Driver(cluster, site, "mounter", self.folder, "--mounter=true", "--accessserver",
                              str(BIN / "shima-accessserver"), *common)
        self.plugin = Driver(cluster, site, "node", self.folder, "--node=true", "--node-name", self.name, "--node-addresses",
                             "10.9.8.7", "--mounter-endpoint", self.mounter.endpoint, *common)

    def start(self):
        self.mounter.start()
        self.start_plugin()
        return self

    def start_plugin(self):
        self.plugin.start()
        self.stub = self.plugin.connect(csi_grpc.NodeStub)

    def restart_plugin(self):
        self.plugin.kill()
        self.start_plugin()

    def restart_mounter(self):
        self.mounter.kill()
        self.mounter.start()

    def staging(self, volume):
        path = self.root / "staging" / volume
        path.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)  # asks nothing of a mount that is there, which may be dead
        return str(path)

    def target(self, volume, number=0):
        path = self.root / "pods" / f"{volume}-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def call(self, name, request, timeout=120):
        def once():
            return getattr(self.stub, name)(request, timeout=timeout)
        return insistently(f"{self.name}: {name}", once) if self.insists else once()

    def stage(self, volume, use, timeout=120):
        self.call("NodeStageVolume", csi.NodeStageVolumeRequest(
            volume_id=volume, staging_target_path=self.staging(volume), volume_capability=use), timeout)

    def publish(self, volume, use, number=0, readonly=False):
        self.call("NodePublishVolume", csi.NodePublishVolumeRequest(
            volume_id=volume, staging_target_path=self.staging(volume), target_path=self.target(volume, number),
            volume_capability=use, readonly=readonly))
        return pathlib.Path(self.target(volume, number))

    def unpublish(self, volume, number=0):
        self.call("NodeUnpublishVolume", csi.NodeUnpublishVolumeRequest(
            volume_id=volume, target_path=self.target(volume, number)))

    def unstage(self, volume, timeout=120):
        self.call("NodeUnstageVolume", csi.NodeUnstageVolumeRequest(
            volume_id=volume, staging_target_path=self.staging(volume)), timeout)

    def stats(self, volume, number=0):
        return self.call("NodeGetVolumeStats", csi.NodeGetVolumeStatsRequest(
            volume_id=volume, volume_path=self.target(volume, number)), 60)

    def expand(self, volume, size):
        return self.call("NodeExpandVolume", csi.NodeExpandVolumeRequest(
            volume_id=volume, volume_path=self.target(volume),
            capacity_range=csi.CapacityRange(required_bytes=size))).capacity_bytes

    def mount_processes(self):
        """{path: pid}, of the mounter's records."""
        records = [json.loads(path.read_text()) for path in (self.state / "mounts").glob("*.json")]
        return {record["path"]: record["pid"] for record in records}

    def end(self):
        self.plugin.kill()
        self.mounter.kill()
        for pid in self.mount_processes().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for device, file in backing_files().items():
            if file.startswith(str(self.folder)):
                subprocess.run(["losetup", "--detach", device], check=False)
        for path in reversed(list(mount_table())):
            if path.startswith(str(self.folder)):
                subprocess.run(["umount", "--lazy", path], check=False)


class NodesCluster(Cluster):
    def __init__(self):
        super().__init__("--rtt-ms", "10", access="0")
        self.nodes = []

    def __enter__(self):
        super().__enter__()
        self.nodes = [Node(self, site) for site in SITES]
        for node in self.nodes:
            node.start()
        return self

    def down(self):
        for node in [] if self.ended else self.nodes:
            node.end()
        super().down()

    def print_logs(self, lines=8):
        super().print_logs(lines)
        for node in self.nodes:
            for driver in (node.mounter, node.plugin):
                print(f"--- the end of {driver.log_path}", *driver.log().splitlines()[-25:], sep="\n", flush=True)


def tree(mode="MULTI_NODE_MULTI_WRITER", **mount):
    access = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.Mode.Value(mode))
    return csi.VolumeCapability(mount=csi.VolumeCapability.MountVolume(**mount), access_mode=access)


def block(mode="MULTI_NODE_MULTI_WRITER"):
    access = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.Mode.Value(mode))
    return csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=access)


def create(cluster, name, size=SIZE):
    cluster.create(name, "--size", str(size))
    return name


def fails_with(error_number, work):
    try:
        work()
    except OSError as error:
        return error.errno == error_number
    return False


# ---- scenarios -------------------------------------------------------------------------------------------------------


def a_node_says_where_it_is(cluster):
    info = cluster.nodes[1].stub.NodeGetInfo(csi.NodeGetInfoRequest(), timeout=60)
    expect(info.node_id == "node-b|site-b|10.9.8.7", f"node id {info.node_id}")
    expect(dict(info.accessible_topology.segments) == {"topology.kubernetes.io/zone": "site-b"}, "its topology is its site")


def both_sites_write_one_volume(cluster):
    volume = create(cluster, "shared")
    a, b = cluster.nodes
    targets = []
    for node in cluster.nodes:
        node.stage(volume, tree())
        node.stage(volume, tree())
        targets.append(node.publish(volume, tree()))
        node.publish(volume, tree())
    expect(all(str(target) in mount_table() for target in targets), "staged and published at two sites, each call twice")
    (targets[0] / "from-a").write_text("written at site-a")
    (targets[1] / "from-b").write_text("written at site-b")
    expect((targets[1] / "from-a").read_text() == "written at site-a" and (targets[0] / "from-b").read_text() == "written at site-b",
           "what one site's pod writes the other site's reads")
    os.chown(targets[0] / "from-a", 107, 107)
    expect(os.stat(targets[1] / "from-a").st_uid == 107, "root's chown to 107:107 is seen there too")
    with open(targets[0] / "from-a", "r+b") as held, open(targets[1] / "from-a", "r+b") as other:
        fcntl.lockf(held, fcntl.LOCK_EX)
        try:
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise AssertionError("both nodes have the lock")
        except OSError as error:
            expect(error.errno in (errno.EAGAIN, errno.EACCES), "a lock at site-a excludes site-b")
    second = a.publish(volume, tree(), 1, readonly=True)
    expect("ro" in mount_table()[str(second)][0], "a second target is read-only")
    try:
        (second / "x").write_text("x")
        raise AssertionError("a read-only target was written")
    except OSError as error:
        expect(error.errno == errno.EROFS, "and refuses writes")
    (targets[0] / "late").write_text("just before unpublish")
    a.unpublish(volume, 1)
    for node in cluster.nodes:
        node.unpublish(volume)
        node.unpublish(volume)
        expect(not os.path.lexists(node.target(volume)), f"{node.name}: the target path is gone")
        node.unstage(volume)
        node.unstage(volume)
        expect(node.staging(volume) not in mount_table() and not node.mount_processes(), f"{node.name}: no mount, no process is left")
    b.stage(volume, tree())
    expect((b.publish(volume, tree()) / "late").read_text() == "just before unpublish", "what was written last is there afterwards")
    b.unpublish(volume)
    b.unstage(volume)


def wrong_calls_are_refused(cluster):
    node, volume = cluster.nodes[0], create(cluster, "strict")
    request = csi.NodeStageVolumeRequest
    good = {"volume_id": volume, "staging_target_path": node.staging(volume), "volume_capability": tree()}

    def refused(code, text, **changed):
        fields = {key: value for key, value in {**good, **changed}.items() if value is not None}
        expect_code(code, f"stage with {', '.join(changed)}", lambda: node.stub.NodeStageVolume(request(**fields), timeout=60), text)
    refused("INVALID_ARGUMENT", "volume_id", volume_id=None)
    refused("INVALID_ARGUMENT", "staging_target_path", staging_target_path=None)
    refused("INVALID_ARGUMENT", "volume_capability", volume_capability=None)
    refused("NOT_FOUND", "", volume_id="no-such-volume")
    refused("INVALID_ARGUMENT", "below", staging_target_path="/etc")
    refused("INVALID_ARGUMENT", "..", staging_target_path=f"{node.root}/../../x")
    refused("INVALID_ARGUMENT", "4096", staging_target_path=f"{node.root}/" + "x" * 4096)
    refused("INVALID_ARGUMENT", "allow_other", volume_capability=tree(mount_flags=["allow_other"]))
    refused("INVALID_ARGUMENT", "volume_mount_group", volume_capability=tree(volume_mount_group="kvm"))
    refused("FAILED_PRECONDITION", "--nfs-server", volume_context={"protocol": "nfs"})
    link = node.root / "link"
    link.symlink_to("/etc")
    refused("INVALID_ARGUMENT", "symbolic", staging_target_path=f"{link}/x")
    expect_code("FAILED_PRECONDITION", "publish before stage", lambda: node.publish(volume, tree()), "NodeStageVolume")
    node.stage(volume, tree())
    expect_code("ALREADY_EXISTS", "stage as a block device what is a mount", lambda: node.stage(volume, block()))
    busy = pathlib.Path(node.target(volume, 7))
    busy.mkdir()
    (busy / "somebodys").write_text("x")
    node.publish(volume, tree())
    expect_code("ALREADY_EXISTS", "the same target read-only", lambda: node.publish(volume, tree(), readonly=True))
    expect_code("FAILED_PRECONDITION", "unstage while published", lambda: node.unstage(volume), "published")
    expect_code("FAILED_PRECONDITION", "a second target of a single writer",
                lambda: node.publish(volume, tree("SINGLE_NODE_SINGLE_WRITER"), 1), "one target")
    expect_code("FAILED_PRECONDITION", "unpublish of a folder with somebody's files", lambda: node.unpublish(volume, 7))
    expect((busy / "somebodys").read_text() == "x", "which are still there")
    expect_code("NOT_FOUND", "stats of a path that is not the volume's", lambda: node.stats(volume, 5))
    node.unpublish(volume)
    node.unstage(volume)


def a_group_may_write(cluster):
    node, volume = cluster.nodes[0], create(cluster, "grouped")
    node.stage(volume, tree())
    folder = node.publish(volume, tree())
    (folder / "sub").mkdir()
    (folder / "sub/disk.img").write_text("x")
    os.chmod(folder / "sub/disk.img", 0o600)
    (folder / "outside").symlink_to("/etc/hostname")
    before = os.stat("/etc/hostname")
    node.unpublish(volume)
    node.unstage(volume)
    use = tree(volume_mount_group=str(GROUP))
    node.stage(volume, use)
    folder = node.publish(volume, use)
    found = os.stat(folder)
    expect(found.st_gid == GROUP and found.st_mode & 0o2070 == 0o2070, f"the root is the group's: {stat.filemode(found.st_mode)}")
    inside = os.stat(folder / "sub/disk.img")
    expect(inside.st_gid == GROUP and inside.st_mode & 0o060 == 0o060, "and what was in it already")
    expect(os.stat("/etc/hostname")[:6] == before[:6], "what a symbolic link leads to is left alone")
    work = ("import os, sys; os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(107); os.setuid(107); "
            "os.truncate(os.open('new.img', os.O_CREAT | os.O_RDWR, 0o660), 1 << 20)")
    result = subprocess.run([sys.executable, "-c", work, str(folder)], capture_output=True, text=True)
    expect(result.returncode == 0, f"user 107:107 makes a disk image {result.stderr[-200:]}")
    node.unpublish(volume)
    node.unstage(volume)


def stats_and_condition(cluster):
    node, volume = cluster.nodes[0], create(cluster, "counted")
    node.stage(volume, tree())
    folder = node.publish(volume, tree())
    (folder / "file").write_bytes(bytes(8 * MIB))
    usage = {u.unit: u for u in wait_until("it to be well", lambda: well(node.stats(volume))).usage}
    expect(usage[csi.VolumeUsage.BYTES].total == SIZE, f"its size is the quota: {usage[csi.VolumeUsage.BYTES].total}")
    expect(usage[csi.VolumeUsage.INODES].used >= 1, "inodes are counted; it is well")
    process = node.mount_processes()[node.staging(volume)]
    os.kill(process, signal.SIGSTOP)
    begin = time.monotonic()
    condition = node.stats(volume).volume_condition
    os.kill(process, signal.SIGCONT)
    expect(condition.abnormal and time.monotonic() - begin < 45,
           f"a mount that hangs is abnormal after {time.monotonic() - begin:.1f} s: {condition.message}")
    wait_until("it is well again", lambda: not node.stats(volume).volume_condition.abnormal, 30)
    node.unpublish(volume)
    node.unstage(volume)


def a_mounted_tree_grows(cluster):
    node, volume = cluster.nodes[0], create(cluster, "growing")
    node.stage(volume, tree())
    folder = node.publish(volume, tree())
    expect_code("FAILED_PRECONDITION", "growth before the controller's", lambda: node.expand(volume, 2 * SIZE), "ControllerExpandVolume")
    cluster.ctl("volume", "set-size", volume, str(2 * SIZE))

    def grown():
        with contextlib.suppress(grpc.RpcError):
            return node.expand(volume, 2 * SIZE) == 2 * SIZE
    wait_until("the mount shows its new size", grown, 30)
    expect(os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize == 2 * SIZE, "statfs of the pod's mount has grown, online")
    node.unpublish(volume)
    node.unstage(volume)


def block_device_bytes(path):
    with open(path, "rb") as device:
        return device.seek(0, os.SEEK_END)


def direct(path, data=None, offset=0):
    """Writes 4 KiB past all caches, or reads them."""
    descriptor = os.open(path, (os.O_RDONLY if data is None else os.O_RDWR) | os.O_DIRECT)
    try:
        page = mmap.mmap(-1, 4096)
        if data is not None:
            page.write(data.ljust(4096, b"."))
            assert os.pwritev(descriptor, [page], offset) == 4096
            return None
        if os.preadv(descriptor, [page], offset) != 4096:  # a loop device without a file, between two, has no bytes
            raise OSError(errno.ENODATA, f"{path} has no page at {offset}")
        return bytes(page).rstrip(b".")
    finally:
        os.close(descriptor)


def wait_until_no_loop_device(cluster):
    """The last one who has a device open frees it, which may be a process of ours that is slow to end."""
    wait_until("no loop device to be left",
               lambda: not [path for path in backing_files().values() if path.startswith(str(cluster.folder))], 10)
    expect(True, "no loop device is left")


def block_devices_at_two_sites(cluster):
    volume = create(cluster, "raw")
    a, b = cluster.nodes
    devices = []
    for node in cluster.nodes:
        node.stage(volume, block())
        node.stage(volume, block())
        devices.append(node.publish(volume, block()))
    expect(all(stat.S_ISBLK(os.stat(device).st_mode) for device in devices), "both targets are block devices")
    expect([block_device_bytes(device) for device in devices] == [SIZE, SIZE], f"of {SIZE} bytes")
    direct(devices[0], b"from site-a", 4096)
    expect(direct(devices[1], offset=4096) == b"from site-a", "what one node writes the other reads at once")
    direct(devices[1], b"from site-b", 1 * MIB)
    expect(direct(devices[0], offset=1 * MIB) == b"from site-b", "and the other way round")
    readers = a.publish(volume, block(), 1, readonly=True)
    expect(direct(readers, offset=4096) == b"from site-a", "a read-only device reads the same")
    try:
        os.close(os.open(readers, os.O_RDWR | os.O_DIRECT))
        with open(readers, "r+b", buffering=0) as device:
            device.write(bytes(4096))
        raise AssertionError("a read-only device was written")
    except OSError as error:
        expect(error.errno in (errno.EPERM, errno.EACCES, errno.EROFS), "and cannot be written")
    cluster.ctl("volume", "set-size", volume, str(2 * SIZE))
    for node, device in zip(cluster.nodes, devices):
        expect(node.expand(volume, 2 * SIZE) == 2 * SIZE and block_device_bytes(device) == 2 * SIZE, f"{node.name}: the device has grown")
    expect(a.stats(volume).usage[0].total == 2 * SIZE, "as its stats say")
    a.unpublish(volume, 1)
    for node in cluster.nodes:
        node.restart_plugin()
        node.publish(volume, block())
        node.unpublish(volume)
        node.restart_plugin()
        node.unstage(volume)
    wait_until_no_loop_device(cluster)
    b.stage(volume, block())
    expect(direct(b.publish(volume, block()), offset=4096) == b"from site-a", "the data is there when it is staged again")
    b.unpublish(volume)
    b.unstage(volume)


def plugin_killed_between_any_two_calls(cluster):
    node = cluster.nodes[0]
    for use, name in ((tree(), "killed-tree"), (block(), "killed-raw")):
        volume = create(cluster, name)
        steps = [lambda: node.stage(volume, use), lambda: node.publish(volume, use), lambda: node.unpublish(volume),
                 lambda: node.unstage(volume)]
        for number, step in enumerate(steps):
            step()
            before = node.mount_processes()
            node.restart_plugin()
            expect(node.mount_processes() == before, f"{name}: step {number}: the mount outlives the plug-in")
            step()
        for delay_s in (0.01, 0.03, 0.06, 0.1, 0.2, 0.4):
            for step in steps:
                kill_within(node, step, delay_s)
                step()
            expect(not node.mount_processes() and not list((node.state / "volumes").glob("*.json")),
                   f"{name}: killed {delay_s} s into each call, and the call repeated: nothing is left behind")


def kill_within(node, step, delay_s):
    def call():
        with contextlib.suppress(grpc.RpcError, ValueError):
            step()
    node.insists = False
    caller = threading.Thread(target=call)
    caller.start()
    time.sleep(delay_s)
    node.plugin.kill()
    caller.join(60)
    node.insists = True
    node.start_plugin()


def mounter_killed(cluster):
    node, volume = cluster.nodes[0], create(cluster, "kept")
    node.stage(volume, tree())
    folder = node.publish(volume, tree())
    before = node.mount_processes()
    with open(folder / "file", "wb", buffering=0) as file:
        file.write(b"before")
        node.mounter.kill()
        file.write(b" and after")
        node.mounter.start()
    expect((folder / "file").read_bytes() == b"before and after", "a file stays open and written while the mounter is killed")
    node.stage(volume, tree())
    expect(node.mount_processes() == before, "the new mounter has the old one's process")
    node.unpublish(volume)
    node.unstage(volume)
    pid = next(iter(before.values()))
    wait_until("the process has ended", lambda: not alive(pid), 20)
    say("  ok: and ends it")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def fuse_process_killed(cluster):
    node = cluster.nodes[0]
    for use, name in ((tree(), "revived-tree"), (block(), "revived-raw")):
        volume = create(cluster, name)
        node.stage(volume, use)
        path = node.publish(volume, use)
        if use.HasField("mount"):
            (path / "file").write_text("kept")
        else:
            direct(path, b"kept")
        os.kill(next(iter(node.mount_processes().values())), signal.SIGKILL)

        def kept():
            with contextlib.suppress(OSError):
                return direct(path) == b"kept" if use.HasField("block") else (path / "file").read_text() == "kept"
        wait_until(f"{name}: the plug-in mounts it again by itself", kept, 60, 0.5)
        wait_until("all to be well", lambda: not node.stats(volume).volume_condition.abnormal)
        expect(True, f"{name}: FUSE process killed: mounted and bound again, all well")
        os.kill(next(iter(node.mount_processes().values())), signal.SIGKILL)
        node.restart_plugin()
        wait_until(f"{name} to be whole", kept, 20)  # what takes too long at the start is tried again 10 s later
        expect(True, f"{name}: killed together with the plug-in: whole when the new one serves")
        node.unpublish(volume)
        node.unstage(volume)
        expect(not node.mount_processes(), f"{name}: nothing is left")


def an_unpublished_node_is_fenced(cluster):
    a, b = cluster.nodes
    volume = "fenced"
    cluster.create(volume, "--size", str(SIZE), "--published-only")
    expect_code("FAILED_PRECONDITION", "stage of a volume that is not published here", lambda: a.stage(volume, tree()), "ControllerPublishVolume")
    for node in cluster.nodes:
        cluster.ctl("volume", "publish", volume, node.name, "--site", node.site)
        node.stage(volume, tree())
    folders = [node.publish(volume, tree()) for node in cluster.nodes]
    (folders[0] / "file").write_text("first")
    cluster.ctl("volume", "unpublish", volume, a.name)
    expect(fails_with(errno.EIO, lambda: (folders[0] / "file").write_text("too late")), "a write of the unpublished node is an I/O error")
    expect((folders[1] / "file").read_text() == "first", "the other node reads what was there before")
    expect(a.stats(volume).volume_condition.abnormal, "the fenced node's volume is abnormal")
    cluster.ctl("volume", "publish", volume, a.name, "--site", a.site)
    expect(fails_with(errno.EIO, lambda: (folders[0] / "file").write_text("too late")), "published again, the old mount stays fenced")
    a.stage(volume, tree())
    (a.publish(volume, tree()) / "file").write_text("second")
    expect((folders[1] / "file").read_text() == "second", "stage and publish, repeated, make a new one that works")
    for node in (a, b):
        node.unpublish(volume)
        node.unstage(volume)
    expect(not a.mount_processes(), "a fenced volume is unstaged like any other")


def unstage_with_dead_servers(cluster):
    node = cluster.nodes[0]
    volume = create(cluster, "orphaned")
    node.stage(volume, tree())
    folder = node.publish(volume, tree())
    (folder / "file").write_text("x")
    cluster.kill(*cluster.names())
    begin = time.monotonic()
    stats = node.stats(volume)
    expect(stats.volume_condition.abnormal, f"without servers: abnormal after {time.monotonic() - begin:.1f} s")
    begin = time.monotonic()
    node.unpublish(volume)
    node.unstage(volume)
    expect(time.monotonic() - begin < 120,
           f"unpublished and unstaged within {time.monotonic() - begin:.1f} s all the same")
    expect(node.staging(volume) not in mount_table() and not node.mount_processes(), "no mount and no process is left")


if __name__ == "__main__":
    check_python()
    import grpc
    csi, csi_grpc = make_stubs()
    sys.exit(run_scenarios("CSI node", NodesCluster,
                           [a_node_says_where_it_is, both_sites_write_one_volume, wrong_calls_are_refused, a_group_may_write,
                            stats_and_condition, a_mounted_tree_grows, block_devices_at_two_sites, plugin_killed_between_any_two_calls, mounter_killed,
                            fuse_process_killed, an_unpublished_node_is_fenced,
                            unstage_with_dead_servers], (*FILE_PROGRAMS, "shima-csi")))
