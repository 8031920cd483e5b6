#!/usr/bin/env python3
"""The CSI driver with NFS: controller and node plug-in run in a virtual machine with Debian's stock kernel, whose NFS client mounts
the volumes at the access server of site-a. First a volume's life call by call, as a tree and as a raw block device, with servers and
plug-in killed meanwhile; then csi-sanity, in the guest too. What that leaves out stands, with the reason, in csi_sanity_skips.txt.
"""

import contextlib
import hashlib
import queue
import shlex
import shutil
import subprocess
import sys
import threading
import time

from cluster import BIN, FILE_PROGRAMS, LONG, MIB, ROOT, SKIPPED, Answer, Cluster, expect, run_scenarios, say, skip, wait_until
from csi_client import check_python, expect_code, insistently, make_stubs, well
from csi_sanity import judge, sanity_flags, sanity_program

GUEST = ROOT / "hack/guest"
SCRIPT = ROOT / "tests/e2e/csi_node_in_guest.sh"
SOCAT = shutil.which("socat")
CSI_PORT, SHELL_PORT = 9000, 9001  # in the guest and, forwarded, in its site
END_OF_SCRIPT = "=== exit code"
MEMORY_MIB = 768
BOOT_S, CALL_S = 300, 120  # the guest is some 20 times slower than the machine, which may be busy
SANITY_S = 600
GUEST_S = 1500
SIZE = 64 * MIB  # of the volumes of the scenarios here
GROUP = 107


class GuestNode:
    """A node that is a virtual machine in a site. It reaches the network through QEMU, as behind NAT: servers see the site's address."""

    def __init__(self, cluster, site):
        self.cluster, self.site = cluster, site
        # The server's own: while nobody has the site's shared address, QEMU would call it from another address than afterwards.
        self.nfs_server = cluster.nfs_servers(site)[0]
        self.address = self.nfs_server.rpartition(":")[0]  # what is sent there from within the site comes from there
        self.console, self.socket = cluster.folder / "console", cluster.folder / "csi.sock"
        self.lines, self.seen = queue.Queue(), []
        self.process = self.bridge = self.channel = self.controller = self.node = None

    def start(self):
        core = ",".join(server["endpoint"] for server in self.cluster.servers(site=self.site))
        programs = [flag for path in (BIN / "shima-csi", PROGRAM, SOCAT) for flag in ("--program", path)]
        self.process = self.cluster.popen(
            self.site, GUEST, "run", "--memory-mib", MEMORY_MIB, "--timeout-s", GUEST_S, "--console", self.console,
            "--forward", f"{CSI_PORT}:{CSI_PORT}", "--forward", f"{SHELL_PORT}:{SHELL_PORT}", *programs,
            "--file", f"parameters.yaml={self.parameters()}", SCRIPT, core, self.nfs_server, self.address,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, daemon=True).start()
        while (line := self._next_line(BOOT_S)) != "the node serves":
            say(f"  guest: {line}")
        self.bridge = self.cluster.popen(self.site, SOCAT, f"UNIX-LISTEN:{self.socket},fork", f"TCP:127.0.0.1:{CSI_PORT}")
        wait_until("the way into the guest", self.socket.exists, 10, 0.05)
        return self.wait_ready()

    def parameters(self):
        path = self.cluster.folder / "parameters.yaml"
        path.write_text("protocol: nfs\n")
        return path

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())
        self.lines.put(None)

    def _next_line(self, timeout_s):
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"the guest said nothing for {timeout_s} s; it said {self.seen}") from None
        if line is None:
            raise AssertionError(f"the guest has ended: {self.seen}")
        self.seen.append(line)
        return line

    def connect(self):
        """Controller and node service of the driver, on a new channel: the old one may wait for a plug-in that was killed."""
        if self.channel:
            self.channel.close()
        self.channel = grpc.insecure_channel(f"unix:{self.socket}")
        return csi_grpc.ControllerStub(self.channel), csi_grpc.NodeStub(self.channel)

    def run(self, script, timeout_s=CALL_S):
        """Runs a shell script in the guest. What it leaves in the background may go on."""
        typed = f"sh -c {shlex.quote(script)} </dev/null 2>&1; code=$?; echo; echo {END_OF_SCRIPT} $code; exit\n"
        line, environment = self.cluster.command(self.site, SOCAT, "-", f"TCP:127.0.0.1:{SHELL_PORT}")
        lines = []
        with subprocess.Popen(line, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
            watchdog = threading.Timer(timeout_s, shell.kill)
            watchdog.start()
            shell.stdin.write(typed)
            shell.stdin.flush()
            for line in shell.stdout:
                if line.startswith(END_OF_SCRIPT):
                    break
                lines.append(line)
            else:
                raise AssertionError(f"within {timeout_s} s the guest did not do: {script}\n{''.join(lines)[-2000:]}")
            watchdog.cancel()
            shell.kill()
        done = subprocess.CompletedProcess(script, int(line.split()[-1]), "".join(lines).rstrip("\n"), "")
        return Answer([script], done)

    def sh(self, script, timeout_s=CALL_S):
        answer = self.run(script, timeout_s)
        if answer.code != 0:
            raise AssertionError(f"in the guest: {answer!r}")
        return answer.out

    def mounts(self):
        """{path: (type, options, source)} of what is seen at each path."""
        fields = [line.split(" ") for line in self.sh("cat /proc/mounts").splitlines()]
        return {path: (kind, options.split(","), source) for source, path, kind, options, *_ in fields}

    def restart_plugin(self):
        # One that has not ended yet would still have the socket.
        self.sh("pid=$(cat /tmp/plugin.pid); kill -9 $pid; while [ -e /proc/$pid/exe ]; do sleep 0.1; done; "
                "setsid start-plugin </dev/null >/dev/null 2>&1 &")
        self.wait_ready()

    def wait_ready(self):
        """The driver answers; its services are on a new channel afterwards."""
        def ready():
            self.controller, self.node = self.connect()
            with contextlib.suppress(grpc.RpcError):
                return csi_grpc.IdentityStub(self.channel).Probe(csi.ProbeRequest(), timeout=10).ready.value
        wait_until("the driver is ready", ready, BOOT_S, 0.5)
        return self

    def end(self):
        if self.channel:
            self.channel.close()
        for process in (self.bridge, self.process):
            if process and process.poll() is None:
                process.terminate()  # hack/guest ends its QEMU with itself
                process.wait()


class ClusterWithGuest(Cluster):
    guest = None

    def down(self):
        if self.guest:
            self.guest.end()
        super().down()

    def print_logs(self, lines=8):
        super().print_logs(lines)
        if self.guest and self.guest.bridge:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                print("--- the end of the driver's log", self.guest.run("tail -n 40 /tmp/csi.log; tail -n 10 /tmp/mounter.log", 30).out,
                      sep="\n", flush=True)
        if self.guest and self.guest.console.exists():
            print("--- the end of the guest's console", *self.guest.console.read_text(errors="replace").splitlines()[-20:],
                  sep="\n", flush=True)


class Volume:
    """A volume of the driver's, and the calls of its life, as an orchestrator makes them. Each may be made twice."""

    def __init__(self, guest, name, use):
        self.guest, self.name, self.use = guest, name, use
        self.staging, self.target = f"/kubelet/staging-{name}", f"/kubelet/pods/{name}"
        self.context = {}

    def call(self, service, name, request):
        def once():
            return getattr(getattr(self.guest, service), name)(request, timeout=CALL_S)
        return insistently(f"{self.name}: {name}", once)

    def create(self):
        made = self.call("controller", "CreateVolume", csi.CreateVolumeRequest(
            name=self.name, capacity_range=csi.CapacityRange(required_bytes=SIZE), volume_capabilities=[self.use],
            parameters={"protocol": "nfs"})).volume
        assert made.volume_id == self.name, f"volume id {made.volume_id}"
        self.context = dict(made.volume_context)

    def controller_publish(self, readonly=False):
        self.call("controller", "ControllerPublishVolume", csi.ControllerPublishVolumeRequest(
            volume_id=self.name, node_id=self.guest.node_id, volume_capability=self.use, volume_context=self.context,
            readonly=readonly))

    def stage(self, use=None):
        self.guest.sh(f"mkdir -p {self.staging}")
        self.call("node", "NodeStageVolume", csi.NodeStageVolumeRequest(
            volume_id=self.name, staging_target_path=self.staging, volume_capability=use or self.use,
            volume_context=self.context))

    def publish(self, number=0, readonly=False):
        path = self.target + (f"-{number}" if number else "")
        self.call("node", "NodePublishVolume", csi.NodePublishVolumeRequest(
            volume_id=self.name, staging_target_path=self.staging, target_path=path, volume_capability=self.use,
            volume_context=self.context, readonly=readonly))
        return path

    def stats(self):
        return self.call("node", "NodeGetVolumeStats", csi.NodeGetVolumeStatsRequest(
            volume_id=self.name, volume_path=self.target))

    def expand(self, size):
        """At the controller, then at the node."""
        self.call("controller", "ControllerExpandVolume", csi.ControllerExpandVolumeRequest(
            volume_id=self.name, capacity_range=csi.CapacityRange(required_bytes=size)))

        def grown():
            with contextlib.suppress(grpc.RpcError):
                return self.guest.node.NodeExpandVolume(csi.NodeExpandVolumeRequest(
                    volume_id=self.name, volume_path=self.target, capacity_range=csi.CapacityRange(required_bytes=size)),
                    timeout=CALL_S).capacity_bytes == size
        wait_until("the node shows the new size", grown, 60, 0.5)

    def unpublish(self, number=0):
        path = self.target + (f"-{number}" if number else "")
        self.call("node", "NodeUnpublishVolume", csi.NodeUnpublishVolumeRequest(volume_id=self.name, target_path=path))

    def unstage(self):
        self.call("node", "NodeUnstageVolume", csi.NodeUnstageVolumeRequest(
            volume_id=self.name, staging_target_path=self.staging))

    def controller_unpublish(self):
        self.call("controller", "ControllerUnpublishVolume", csi.ControllerUnpublishVolumeRequest(
            volume_id=self.name, node_id=self.guest.node_id))

    def delete(self):
        self.call("controller", "DeleteVolume", csi.DeleteVolumeRequest(volume_id=self.name))

    def sha256_outside(self, path):
        """Of a file of the volume, as another NFS client at the node's address reads it."""
        copy = self.guest.cluster.folder / "copy"
        self.guest.cluster.nfs(self.guest.site, self.name, "get", path, copy, servers=[self.guest.nfs_server])
        return hashlib.sha256(copy.read_bytes()).hexdigest()


def tree(**mount):
    access = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER)
    return csi.VolumeCapability(mount=csi.VolumeCapability.MountVolume(**mount), access_mode=access)


def block():
    access = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER)
    return csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=access)


# ---- scenarios -------------------------------------------------------------------------------------------------------


def the_guest_is_a_node(cluster):
    begin = time.monotonic()
    cluster.guest = guest = GuestNode(cluster, "site-a")
    guest.start()
    guest.node_id = guest.node.NodeGetInfo(csi.NodeGetInfoRequest(), timeout=CALL_S).node_id
    expect(guest.node_id == f"guest|site-a|{guest.address}",
           f"after {time.monotonic() - begin:.1f} s the driver serves, node {guest.node_id}")


def a_tree_by_nfs(cluster):
    guest = cluster.guest
    volume = Volume(guest, "tree", tree())
    for call in (volume.create, volume.create):
        call()
    expect_code("FAILED_PRECONDITION", "stage before the volume is published", volume.stage, "ControllerPublishVolume")
    for call in (volume.controller_publish, volume.controller_publish, volume.stage, volume.stage, volume.publish, volume.publish):
        call()
    mounts = guest.mounts()
    source = f"{guest.address}:/tree"
    expect(all(mounts[path][0] == "nfs" and mounts[path][2] == source for path in (volume.staging, volume.target)),
           f"staged and published, each call twice; the kernel says {mounts[volume.target]}")
    sha = guest.sh(f"cd {volume.target}; mkdir sub; dd if=/dev/urandom of=sub/file bs=64k count=48 2>/dev/null; "
                   "sha256sum sub/file").split()[0]
    expect(volume.sha256_outside("/sub/file") == sha, "another client reads what was written in the guest")
    second = volume.publish(1, readonly=True)
    refused = guest.run(f"echo x >{second}/x")
    expect(refused.code != 0 and "Read-only" in refused.out, f"a second target is read-only: {refused.out}")
    volume.unpublish(1)
    usage = {one.unit: one for one in wait_until("all to be well", lambda: well(volume.stats())).usage}
    expect(usage[csi.VolumeUsage.BYTES].total == SIZE and usage[csi.VolumeUsage.BYTES].used >= 3 * MIB,
           "stats: the volume's size, and what is used")
    expect(usage[csi.VolumeUsage.INODES].used >= 2, "inodes are counted; all is well")
    with_open_file(guest, volume)
    unmounted_by_hand(guest, volume)
    volume.expand(2 * SIZE)
    expect(f" {2 * SIZE // 1024} " in guest.sh(f"df -k {volume.target}"), "grown online, as df says in the guest")
    end(guest, volume)


def with_open_file(guest, volume):
    """The plug-in is killed: mounts and open files live on, and the next one goes on where it was."""
    guest.sh(f"(exec 3>{volume.target}/held; echo before >&3; until [ -e /tmp/go-on ]; do sleep 0.2; done; echo after >&3; "
             "echo >/tmp/went-on) >/dev/null 2>&1 &")
    before = guest.sh("cat /proc/self/mountinfo")
    guest.restart_plugin()
    for call in (volume.stage, volume.publish):
        call()
    expect(guest.sh("cat /proc/self/mountinfo") == before, "the plug-in was killed: mounts are as they were, for the next one too")
    found = guest.sh("touch /tmp/go-on; until [ -e /tmp/went-on ]; do sleep 0.1; done; rm /tmp/go-on /tmp/went-on; "
                     f"cat {volume.target}/held")
    expect(found.split() == ["before", "after"], "and so is an open file")


def unmounted_by_hand(guest, volume):
    guest.sh(f"umount -l {volume.target}; umount -l {volume.staging}")
    wait_until("the plug-in mounts again", lambda: {volume.staging, volume.target} <= guest.mounts().keys(), 60, 1)
    expect(guest.sh(f"cat {volume.target}/held").split() == ["before", "after"], "mounts that somebody took away are made again")


def end(guest, volume):
    for call in (volume.unpublish, volume.unpublish, volume.unstage, volume.unstage):
        call()
    left = guest.sh(f"cat /proc/mounts; ls -d {volume.target} 2>/dev/null; ls /run/shima/state/volumes")
    expect(f"/{volume.name} " not in left and f"/{volume.name}.json" not in left and volume.target not in left,
           "unpublished and unstaged, each call twice: no mount, target path or record is left")
    for call in (volume.controller_unpublish, volume.controller_unpublish, volume.delete, volume.delete):
        call()


def files_of_a_group(cluster):
    guest = cluster.guest
    volume = Volume(guest, "grouped", tree(volume_mount_group=str(GROUP), mount_flags=["nosuid", "noexec", "nconnect=2"]))
    for call in (volume.create, volume.controller_publish, volume.stage, volume.publish):
        call()
    options = guest.mounts()[volume.target][1]
    expect({"nosuid", "noexec", "nconnect=2"} <= set(options), "mount flags: nosuid, noexec, nconnect=2")
    mode = guest.sh(f"stat -c '%g %A' {volume.target}")
    expect(mode.startswith(f"{GROUP} d") and "rws" in mode, f"VOLUME_MOUNT_GROUP: the root is the group's: {mode}")
    guest.sh(f"mkdir -p /etc; echo 'kvm:x:{GROUP}:{GROUP}::/:/bin/sh' >/etc/passwd; su kvm -c 'truncate -s 1M {volume.target}/disk.img'")
    expect(guest.sh(f"stat -c %g {volume.target}/disk.img") == str(GROUP), f"user {GROUP} makes a disk image there")
    end(guest, volume)


def a_read_only_publication(cluster):
    guest = cluster.guest
    volume = Volume(guest, "readable", tree())
    for call in (volume.create, volume.controller_publish, volume.stage, volume.publish):
        call()
    guest.sh(f"echo kept >{volume.target}/file")
    for call in (volume.unpublish, volume.unstage, volume.controller_unpublish):
        call()
    volume.controller_publish(readonly=True)
    for call in (volume.stage, volume.publish):
        call()
    expect("ro" in guest.mounts()[volume.target][1] and guest.sh(f"cat {volume.target}/file") == "kept",
           "published read-only: it is mounted so, and read")
    refused = guest.run(f"mount -o remount,rw {volume.staging}; echo x >{volume.staging}/file")
    expect(refused.code != 0, f"whoever mounts it otherwise cannot write either: {refused.out.splitlines()[-1]}")
    expect(guest.sh(f"cat {volume.target}/file") == "kept", "what was there is there")
    end(guest, volume)


def an_unpublished_node_is_fenced(cluster):
    guest = cluster.guest
    volume = Volume(guest, "fenced", tree())
    for call in (volume.create, volume.controller_publish, volume.stage, volume.publish):
        call()
    guest.sh(f"echo first >{volume.target}/file")
    volume.controller_unpublish()
    refused = wait_until("a write is refused", lambda: (answer := guest.run(f"echo late >{volume.target}/file")).code != 0 and answer, 30)
    expect("denied" in refused.out, f"a write of the unpublished node is refused: {refused.out}")
    condition = volume.stats().volume_condition
    expect(condition.abnormal, f"its volume is abnormal: {condition.message}")
    volume.controller_publish()
    for call in (volume.stage, volume.publish):
        call()
    expect(guest.sh(f"cat {volume.target}/file; echo second >{volume.target}/file") == "first",
           "published again, it reads and writes as before")
    volume.controller_unpublish()
    end(guest, volume)


def a_node_at_another_address_is_told_so(cluster):
    guest = cluster.guest
    volume = Volume(guest, "elsewhere", tree())
    volume.create()
    known_as, guest.node_id = guest.node_id, "guest|site-a|10.9.8.7"
    volume.controller_publish()
    expect_code("FAILED_PRECONDITION", "stage at a node that comes from another address than it said", volume.stage,
                "--node-addresses")
    expect(volume.staging not in guest.mounts(), "no mount is left of it")
    volume.controller_unpublish()
    guest.node_id = known_as
    for call in (volume.controller_publish, volume.stage, volume.publish):
        call()
    end(guest, volume)


def wait_until_served(guest, volume):
    wait_until("the access server serves", lambda: guest.cluster.try_nfs(guest.site, volume.name, "ls", "/",
                                                                         servers=[guest.nfs_server]).code == 0)


def servers_of_nfs_die(cluster):
    """The one access server of the site: the mount waits for it, stats say so, and the volume can be taken away without it."""
    guest, access = cluster.guest, cluster.servers("access", "site-a")[0]["name"]
    volume = Volume(guest, "orphaned", tree())
    for call in (volume.create, volume.controller_publish, volume.stage, volume.publish):
        call()
    guest.sh(f"(echo kept >{volume.target}/file)")
    cluster.kill(access)
    begin = time.monotonic()
    condition = volume.stats().volume_condition
    expect(condition.abnormal, f"without access servers: abnormal after {time.monotonic() - begin:.1f} s: {condition.message}")
    cluster.start(access)
    wait_until("the mount answers again", lambda: not volume.stats().volume_condition.abnormal, 90, 1)
    expect(guest.sh(f"cat {volume.target}/file") == "kept", "with the access server back the same mount works")
    cluster.kill(access)
    begin = time.monotonic()
    volume.unpublish()
    volume.unstage()
    expect(volume.staging not in guest.mounts(),
           f"without it: unpublished and unstaged within {time.monotonic() - begin:.1f} s, no mount is left")
    cluster.start(access)
    wait_until_served(guest, volume)
    for call in (volume.stage, volume.publish):
        call()
    expect(guest.sh(f"cat {volume.target}/file") == "kept", "it can be staged again afterwards")
    end(guest, volume)


def a_block_device_by_nfs(cluster):
    guest = cluster.guest
    volume = Volume(guest, "raw", block())
    for call in (volume.create, volume.controller_publish, volume.stage, volume.stage, volume.publish, volume.publish):
        call()
    device = volume.target
    expect(guest.sh(f"[ -b {device} ] && blockdev --getsize64 {device}") == str(SIZE),
           f"the target is a block device of {SIZE} bytes")
    sha = guest.sh(f"dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null; dd if=/tmp/data of={device} bs=64k conv=fsync 2>/dev/null; "
                   f"echo 3 >/proc/sys/vm/drop_caches; dd if={device} bs=64k count=32 2>/dev/null | sha256sum; sha256sum </tmp/data").split()
    expect(sha[0] == sha[2], "what was written to it is read")
    found = guest.cluster.nfs("site-a", "raw", "stat", "/disk.img", servers=[guest.nfs_server])
    expect(found["bytes"] == SIZE, "it is disk.img of the volume")
    readers = volume.publish(1, readonly=True)
    refused = guest.run(f"dd if=/tmp/data of={readers} bs=64k count=1 conv=fsync")
    expect(refused.code != 0, f"a read-only target cannot be written: {refused.out.splitlines()[0]}")
    volume.unpublish(1)
    guest.restart_plugin()
    volume.expand(2 * SIZE)
    expect(guest.sh(f"blockdev --getsize64 {device}") == str(2 * SIZE),
           "the plug-in was killed; the device grows all the same, online")
    wait_until("all to be well", lambda: not volume.stats().volume_condition.abnormal)
    expect(volume.stats().usage[0].total == 2 * SIZE, "as its stats say")
    end(guest, volume)
    expect("/raw" not in guest.sh("cat /sys/block/loop*/loop/backing_file 2>/dev/null; true"), "no loop device is left")


def servers_of_a_block_device_die(cluster):
    """With pages in the device's cache that nobody can take any more."""
    guest, access = cluster.guest, cluster.servers("access", "site-a")[0]["name"]
    volume = Volume(guest, "lost", block())
    for call in (volume.create, volume.controller_publish, volume.stage, volume.publish):
        call()
    guest.sh(f"dd if=/dev/urandom of={volume.target} bs=64k count=4 conv=fsync 2>/dev/null")
    cluster.kill(access)
    guest.sh(f"dd if=/dev/zero of={volume.target} bs=64k count=4 2>/dev/null & sleep 1")
    condition = volume.stats().volume_condition
    expect(condition.abnormal, f"without access servers: abnormal: {condition.message}")
    begin = time.monotonic()
    volume.unpublish()
    volume.unstage()
    expect("nfs" not in {kind for kind, _, _ in guest.mounts().values()},
           f"without it: unpublished and unstaged within {time.monotonic() - begin:.1f} s, no mount is left")
    cluster.start(access)
    wait_until_served(guest, volume)
    for call in (volume.stage, volume.publish):
        call()
    expect(guest.sh(f"dd if={volume.target} bs=64k count=4 2>/dev/null | wc -c") == str(256 << 10),
           "it can be staged again afterwards, and read")
    end(guest, volume)


def run_sanity(cluster, access_type, *more):
    begin = time.monotonic()
    flags = sanity_flags("unix:///run/shima/csi.sock", "/kubelet/pods/target", "/kubelet/staging", access_type, "/tmp/report.xml")
    line = shlex.join(["csi-sanity", "-csi.testvolumeparameters", "/job/parameters.yaml", *flags, *more])
    answer = cluster.guest.run(f"rm -f /tmp/report.xml; exec {line} >/tmp/sanity.log", SANITY_S)
    report, output = cluster.guest.sh("cat /tmp/report.xml || true"), cluster.guest.sh("tail -n 100 /tmp/sanity.log")
    judge(f"{access_type} by NFS, {time.monotonic() - begin:.0f} s", answer.code, report, output, "NFS in a guest")


def csi_sanity_of_file_systems(cluster):
    run_sanity(cluster, "mount")


def csi_sanity_of_block_volumes(cluster):
    """Of the calls that differ from those for file systems, unless there is time for all."""
    run_sanity(cluster, "block", *([] if LONG else ["-ginkgo.focus", "Node Service"]))


def nothing_is_left(cluster):
    wait_until("the deleted volumes to be gone", lambda: not cluster.ctl("volume", "list")["volumes"])
    kinds = {kind for kind, _, _ in cluster.guest.mounts().values()}
    loops = cluster.guest.sh("cat /sys/block/loop*/loop/backing_file 2>/dev/null; true")
    expect("nfs" not in kinds and not loops, f"no NFS mount and no loop device is left in the guest: {sorted(kinds)} {loops}")


def cluster_with_access_server():
    """Skips the test where there is no QEMU, kernel or socat to be had; what has to be fetched is fetched before the cluster is up."""
    if SOCAT is None:
        skip("there is no socat in PATH (hack/deps)")
    built = subprocess.run([GUEST, "build"], capture_output=True, text=True, check=False)
    if built.returncode == SKIPPED:
        skip(built.stderr.strip().splitlines()[-1])
    if built.returncode != 0:
        raise AssertionError(built.stderr)
    return ClusterWithGuest("--sites", "site-a,site-b", "--core", "2,1", access="1,0")


if __name__ == "__main__":
    check_python()
    import grpc
    csi, csi_grpc = make_stubs()
    PROGRAM = sanity_program()
    sys.exit(run_scenarios("csi-sanity with NFS in a guest", cluster_with_access_server, [
        the_guest_is_a_node, a_tree_by_nfs, files_of_a_group, a_read_only_publication, an_unpublished_node_is_fenced,
        a_node_at_another_address_is_told_so, servers_of_nfs_die, a_block_device_by_nfs, servers_of_a_block_device_die,
        csi_sanity_of_file_systems, csi_sanity_of_block_volumes, nothing_is_left],
        (*FILE_PROGRAMS, "shima-csi")))
