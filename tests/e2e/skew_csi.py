"""Scenarios of skew_test.py: the CSI driver's controller, node plug-ins and mounters of two builds, in every mixture, on core servers of both; and a
volume that is mounted by the earlier mounter, and written, while everything else is replaced.
"""

import os

import csi_controller_test
import csi_node_test
from appender import Appender
from cluster import BIN, expect, say, wait_until
from csi_client import grpc
from csi_node_test import Node, block, tree

SIZE = 64 << 20
EARLIER, NEWER = "earlier", "newer"
OTHER = {EARLIER: NEWER, NEWER: EARLIER}
# Controller, node plug-in and mounter of a volume's first node; the plug-in and the mounter of its second node are of the other builds.
MIXTURES = ((EARLIER, EARLIER, EARLIER), (NEWER, NEWER, NEWER), (EARLIER, NEWER, EARLIER), (NEWER, EARLIER, NEWER))


def run_as(driver, build):
    """Starts it, or starts it anew if it runs another build."""
    folder = driver.cluster.builds[build]
    if driver.process is not None and driver.process.poll() is None and running(driver) == folder.resolve():
        return
    driver.kill()
    new = driver.programs.with_suffix(".new")
    new.symlink_to(folder)
    os.replace(new, driver.programs)
    driver.start()
    assert running(driver) == folder.resolve(), f"{driver.name} was to run the {build} build, and runs that of {running(driver)}"


def running(driver):
    """The folder of the program that its process runs."""
    return (BIN / os.readlink(f"/proc/{driver.process.pid}/exe")).parent


def with_builds(driver):
    """Its folder of programs is a link, which run_as() changes."""
    driver.programs, driver.ready_s = driver.folder / f"{driver.name}-build", 90
    driver.flags = tuple(str(flag).replace(str(BIN), str(driver.programs)) for flag in driver.flags)
    return driver


def until_done(what, call):
    """As kubelet and attacher, which make a call again whatever it failed with; its answer."""
    def attempt():
        try:
            return [call()]
        except grpc.RpcError as error:
            return say(f"    {what}: {error.code().name}, so again ({error.details()[:140]})")
    return wait_until(what, attempt, 90, 1)[0]


class SkewedNode(Node):
    def __init__(self, cluster, site):
        super().__init__(cluster, site)
        with_builds(self.mounter)
        with_builds(self.plugin)

    @property
    def id(self):
        return f"{self.name}|{self.site}|10.9.8.7"

    def run(self, plugin, mounter):
        run_as(self.mounter, mounter)
        run_as(self.plugin, plugin)
        self.stub = self.plugin.connect(csi_node_test.csi_grpc.NodeStub)

    def attach(self, cluster, volume, use):
        """What attacher and kubelet call for a pod, each call twice; where the pod has it."""
        csi = csi_node_test.csi
        context = until_done(f"{volume}: ControllerPublishVolume", lambda: cluster.controller.publish(volume, self.id, use))
        common = {"volume_id": volume, "staging_target_path": self.staging(volume), "volume_capability": use, "publish_context": context}
        for _ in range(2):
            until_done(f"{volume}: NodeStageVolume", lambda: self.stub.NodeStageVolume(csi.NodeStageVolumeRequest(**common), timeout=60))
            until_done(f"{volume}: NodePublishVolume", lambda: self.stub.NodePublishVolume(
                csi.NodePublishVolumeRequest(target_path=self.target(volume), **common), timeout=60))
        return self.target(volume)

    def detach(self, cluster, volume):
        until_done(f"{volume}: NodeUnpublishVolume", lambda: self.unpublish(volume))
        until_done(f"{volume}: NodeUnstageVolume", lambda: self.unstage(volume))
        until_done(f"{volume}: ControllerUnpublishVolume", lambda: cluster.controller.unpublish(volume, self.id))


def life(cluster, volume, use):
    """It is written at one node, grows, moves to the other one, is read there, and goes."""
    first, second = cluster.nodes[1:]
    until_done(f"{volume}: CreateVolume", lambda: cluster.controller.create(volume, SIZE, [use], parameters={"home": "site-b"}))
    for node, write in ((first, True), (second, False)):
        target = node.attach(cluster, volume, use)
        path = target if use.HasField("block") else f"{target}/file"
        if write:
            until_done(f"{volume}: ControllerExpandVolume",
                       lambda: cluster.controller.expand(volume, 2 * SIZE, capability=use))
            expect(node.expand(volume, 2 * SIZE) == 2 * SIZE, f"{volume} grows while {node.name} has it")
            with open(path, "r+b" if use.HasField("block") else "wb") as file:
                file.write((cluster.folder / "image.img").read_bytes())
                os.fsync(file.fileno())
        else:
            with open(path, "rb") as file:
                found = file.read(os.path.getsize(cluster.folder / "image.img"))
            assert found == (cluster.folder / "image.img").read_bytes(), f"{volume}: {node.name} reads something else than {first.name} wrote"
        wait_until(f"{volume} at {node.name} to be well",
                   lambda node=node: not node.stats(volume).volume_condition.abnormal)
        node.detach(cluster, volume)
        assert not node.mount_processes(), f"{volume}: a mount is left at {node.name}"
    until_done(f"{volume}: DeleteVolume", lambda: cluster.controller.delete(volume))


def volumes_live_under_both_builds(cluster, where):
    for number, (controller, plugin, mounter) in enumerate(MIXTURES):
        run_as(cluster.controller, controller)
        cluster.controller.stub = cluster.controller.connect(csi_node_test.csi_grpc.ControllerStub)
        cluster.nodes[1].run(plugin, mounter)
        cluster.nodes[2].run(OTHER[plugin], OTHER[mounter])
        for kind, use in (("tree", tree()), ("block", block())):
            life(cluster, f"{kind}-{where}-{number}", use)
        expect(True, f"{where} core servers, {controller} controller: a tree and a block device went from {plugin} plug-in and {mounter} mounter "
               "to the others")


def csi_begins_as_the_earlier_build(cluster):
    cluster.controller = with_builds(csi_controller_test.Controller(cluster))
    run_as(cluster.controller, EARLIER)
    cluster.controller.stub = cluster.controller.connect(csi_node_test.csi_grpc.ControllerStub)
    cluster.nodes = [SkewedNode(cluster, site) for site in ("site-a", "site-b", "site-c")]
    holder = cluster.nodes[0]
    holder.run(EARLIER, EARLIER)
    until_done("held: CreateVolume",
               lambda: cluster.controller.create("held", SIZE, [tree()], parameters={"home": "site-a"}))
    holder.attach(cluster, "held", tree())
    cluster.held = Appender(f"{holder.target('held')}/log")
    cluster.held.start()
    cluster.held_by = holder.mount_processes()
    volumes_live_under_both_builds(cluster, EARLIER)


def the_held_volume_is_served_by_either_plugin(cluster):
    """Beside the earlier mounter, with what the other plug-in wrote down of the volume."""
    holder = cluster.nodes[0]
    for build in (NEWER, EARLIER, NEWER):
        holder.run(build, EARLIER)
        holder.attach(cluster, "held", tree())
        second = holder.publish("held", tree(), 1)
        lines = cluster.held.lines
        wait_until("the held volume to be written", lambda: cluster.held.lines > lines + 2)
        assert (second / "log").stat().st_size >= 9 * lines, f"{second}/log lacks lines that were acknowledged"
        wait_until("the held volume to be well", lambda: not holder.stats("held").volume_condition.abnormal)
        holder.unpublish("held", 1)
    expect(holder.mount_processes() == cluster.held_by, "plug-ins of both builds served the mount that the earlier mounter keeps, and kept it")


def csi_meets_newer_core_servers(cluster):
    the_held_volume_is_served_by_either_plugin(cluster)
    volumes_live_under_both_builds(cluster, NEWER)


def the_held_volume_was_never_away(cluster):
    """All core servers were replaced and brought back meanwhile."""
    holder, second = cluster.nodes[:2]
    expect(holder.mount_processes() == cluster.held_by and running(holder.mounter) == cluster.previous.resolve(),
           "the earlier mounter's mount lived through it all")
    written = cluster.held.end()
    holder.detach(cluster, "held")
    second.run(NEWER, NEWER)
    target = second.attach(cluster, "held", tree())
    with open(f"{target}/log", encoding="ascii") as file:
        expect(file.read() == written, f"all {cluster.held.lines} lines are there for a newer mounter at another site; the slowest took "
               f"{cluster.held.longest_s:.1f} s")
    second.detach(cluster, "held")
    until_done("held: DeleteVolume", lambda: cluster.controller.delete("held"))
