#!/usr/bin/env python3
"""The CSI driver's controller on a cluster, by the real program and Python's gRPC: volumes are made, listed, published, expanded
and deleted; everything that is wrong is refused with the code of CSI 1.12; and everything is repeated after servers were killed.
"""

import concurrent.futures
import os
import stat
import subprocess
import sys

from cluster import BIN, PROGRAMS, MIB, Cluster, expect, run_scenarios, wait_until
from csi_client import Driver, check_python, expect_code, make_stubs

SITES = ("site-a", "site-b", "site-c")
KEY = "topology.kubernetes.io/zone"
GIB = 1 << 30
NODE_A, NODE_B = "node-1|site-a|10.1.0.91", "node-2|site-b|10.2.0.91"
METRICS_PORT = 19099
SECRET = "hunter2-is-secret"
CLAIM = {"csi.storage.k8s.io/pvc/name": "data-db-0", "csi.storage.k8s.io/pvc/namespace": "shop", "csi.storage.k8s.io/pv/name": "pvc-two"}


def use(mode="MULTI_NODE_MULTI_WRITER", block=False, flags=()):
    capability = csi.VolumeCapability(access_mode=csi.VolumeCapability.AccessMode(mode=mode))
    if block:
        capability.block.SetInParent()
    else:
        capability.mount.mount_flags.extend(flags)
        capability.mount.SetInParent()
    return capability


def topology(site):
    return csi.Topology(segments={KEY: site})


def requirement(requisite=(), preferred=()):
    return csi.TopologyRequirement(requisite=map(topology, requisite), preferred=map(topology, preferred))


def sites_of(volume):
    return [entry.segments[KEY] for entry in volume.accessible_topology]


class Controller(Driver):
    def __init__(self, cluster):
        super().__init__(cluster, "site-a", "controller", cluster.folder / "csi", "--controller",
                         f"--metrics-port={METRICS_PORT}", "--log-level=debug")

    def start(self):
        super().start()
        self.identity, self.stub = csi_grpc.IdentityStub, self.connect(csi_grpc.ControllerStub)
        self.identity = csi_grpc.IdentityStub(self.channel)
        return self

    def create(self, name, size=256 * MIB, capabilities=None, **fields):
        request = csi.CreateVolumeRequest(name=name, volume_capabilities=capabilities or [use()],
                                          capacity_range=csi.CapacityRange(required_bytes=size), **fields)
        return self.stub.CreateVolume(request, timeout=60).volume

    def delete(self, volume):
        self.stub.DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume), timeout=60)

    def publish(self, volume, node, capability=None, readonly=False):
        request = csi.ControllerPublishVolumeRequest(volume_id=volume, node_id=node, readonly=readonly,
                                                     volume_capability=capability or use())
        return dict(self.stub.ControllerPublishVolume(request, timeout=60).publish_context)

    def unpublish(self, volume, node=""):
        self.stub.ControllerUnpublishVolume(
            csi.ControllerUnpublishVolumeRequest(volume_id=volume, node_id=node), timeout=60)

    def entries(self, **fields):
        return self.stub.ListVolumes(csi.ListVolumesRequest(**fields), timeout=60)

    def get(self, volume):
        return self.stub.ControllerGetVolume(csi.ControllerGetVolumeRequest(volume_id=volume), timeout=60)

    def expand(self, volume, required, limit=0, capability=None):
        request = csi.ControllerExpandVolumeRequest(
            volume_id=volume, capacity_range=csi.CapacityRange(required_bytes=required, limit_bytes=limit),
            volume_capability=capability or use())
        return self.stub.ControllerExpandVolume(request, timeout=60)

    def capacity(self, site=None, **fields):
        request = csi.GetCapacityRequest(**fields)
        if site:
            request.accessible_topology.CopyFrom(topology(site))
        return self.stub.GetCapacity(request, timeout=60)

    def probe(self):
        return self.identity.Probe(csi.ProbeRequest(), timeout=30).ready.value


controller = None


def record(cluster, volume):
    return cluster.ctl("volume", "show", volume)


def the_driver_says_what_it_is(cluster):
    global controller
    controller = Controller(cluster).start()
    info = controller.identity.GetPluginInfo(csi.GetPluginInfoRequest())
    expect(info.name == "shima.io" and info.vendor_version, f"the driver is {info.name} {info.vendor_version}")
    found = controller.identity.GetPluginCapabilities(csi.GetPluginCapabilitiesRequest()).capabilities
    kinds = {csi.PluginCapability.Service.Type.Name(c.service.type) for c in found if c.HasField("service")}
    expect(kinds == {"CONTROLLER_SERVICE", "VOLUME_ACCESSIBILITY_CONSTRAINTS"}, f"it has {sorted(kinds)}")
    expect(any(c.volume_expansion.type == csi.PluginCapability.VolumeExpansion.ONLINE for c in found), "and grows volumes online")
    wait_until("Probe to be ready", lambda: ready_or_reason() is True, 30)
    expect(True, "it is ready")
    mode = os.stat(controller.socket).st_mode
    expect(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660, "its socket has mode 0660")
    second = subprocess.run([BIN / "shima-csi", "--endpoint", controller.endpoint, "--controller", "--core", "127.0.0.1:1"],
                            capture_output=True, text=True, timeout=90)
    expect(second.returncode == 1 and "another process serves" in second.stderr, "a second one at that socket is refused")
    expect_code("UNIMPLEMENTED", "snapshots", lambda: controller.stub.CreateSnapshot(csi.CreateSnapshotRequest()))
    expect_code("UNIMPLEMENTED", "ModifyVolume", lambda: controller.stub.ControllerModifyVolume(
        csi.ControllerModifyVolumeRequest(volume_id="x", mutable_parameters={"ack": "all"})))
    expect_code("UNIMPLEMENTED", "the node service", lambda: csi_grpc.NodeStub(controller.channel).NodeGetInfo(
        csi.NodeGetInfoRequest()))


def volumes_are_where_they_are_wanted(cluster):
    plain = controller.create("pvc-plain")
    expect(plain.volume_id == "pvc-plain" and plain.capacity_bytes == 256 * MIB, "pvc-plain has its name and its size")
    expect(sorted(sites_of(plain)) == list(SITES), "it is accessible from all three sites")
    found = record(cluster, "pvc-plain")
    expect(found["published_only"] and found["size_bytes"] == 256 * MIB, "its record says published_only, and the size")
    there = controller.create("pvc-c", accessibility_requirements=requirement(SITES, ("site-c", "site-a", "site-b")))
    expect(sites_of(there)[0] == "site-c" and record(cluster, "pvc-c")["home"] == "site-c",
           "the home is the first preferred site")
    two = controller.create("pvc-two", parameters={"copies": "2", "ack": "all", "groups": "3", "blockSize": "128KiB",
                                                   "protocol": "nfs", **CLAIM},
                            accessibility_requirements=requirement(("site-b",), ("site-b",)))
    expect(sites_of(two) == ["site-b", "site-a"], "two copies: at the requisite site and one more")
    expect(dict(two.volume_context) == {"protocol": "nfs"}, "nodes are told the protocol")
    found = record(cluster, "pvc-two")
    expect((found["ack"], found["block_size_bytes"], len([g for g in found["groups"] if not g.get("metadata")])) == ("all", 128 << 10, 3),
           "its policy is the StorageClass's")
    expect(CLAIM.items() <= found["labels"].items() and found["labels"]["csi.shima.io/protocol"] == "nfs",
           f"its record remembers whose it is, and the protocol: {found['labels']}")
    listed = next(v for v in cluster.ctl("volume", "list")["volumes"] if v["name"] == "pvc-two")
    expect(listed["labels"] == found["labels"], "so does the list")
    odd = controller.create("A volume named Ü / with everything", 2 * MIB)
    expect(odd.volume_id.startswith("csi-") and len(odd.volume_id) == 44, f"a name that is none of ours becomes {odd.volume_id}")
    expect(controller.create("A volume named Ü / with everything", 2 * MIB).volume_id == odd.volume_id, "and always the same")
    cluster.ctl("site", "add", "site-d")
    expect_code("RESOURCE_EXHAUSTED", "a volume at a site without core servers",
                lambda: controller.create("pvc-d", accessibility_requirements=requirement(("site-d",))), "site-d")


def the_same_name_is_the_same_volume(cluster):
    again = controller.create("pvc-two", parameters={"copies": "2", "ack": "all", "groups": "3", "blockSize": "131072",
                                                     "protocol": "nfs"},
                              accessibility_requirements=requirement(("site-b",), ("site-b",)))
    expect(sites_of(again) == ["site-b", "site-a"] and dict(again.volume_context) == {"protocol": "nfs"}, "the same again is the same volume")
    entry = next(e for e in controller.entries().entries if e.volume.volume_id == "pvc-two")
    expect(entry.volume == again and controller.get("pvc-two").volume == again, "as the listing and ControllerGetVolume say, context and all")
    cluster.ctl("volume", "set-quota", "pvc-plain", "--max-inodes", "100000")
    expect(controller.create("pvc-plain").volume_id == "pvc-plain", "a quota that was changed since makes no other volume")
    expect_code("ALREADY_EXISTS", "with another protocol", lambda: controller.create("pvc-plain", parameters={"protocol": "nfs"}),
                "has protocol fuse, not nfs")
    expect_code("ALREADY_EXISTS", "with another size", lambda: controller.create("pvc-plain", GIB), "bytes")
    expect_code("ALREADY_EXISTS", "with another ack", lambda: controller.create("pvc-plain", parameters={"ack": "all"}),
                "has ack local, not all")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def attempt(_):
            try:
                return controller.create("pvc-raced").volume_id
            except grpc.RpcError as error:
                return error.code().name
        answers = sorted(pool.map(attempt, range(16)))
    expect(set(answers) <= {"ABORTED", "pvc-raced"} and "pvc-raced" in answers,
           f"16 creations at once: {answers.count('pvc-raced')} have it, {answers.count('ABORTED')} were told to wait")
    controller.delete("pvc-raced")


def what_is_wrong_is_refused(_):
    create, bad = controller.create, "INVALID_ARGUMENT"
    expect_code(bad, "no name", lambda: create(""), "name")
    expect_code(bad, "a name of 129 bytes", lambda: create("a" * 129), "129")
    expect_code(bad, "a control character", lambda: create("a\x01b"), "control")
    expect_code(bad, "no capabilities", lambda: controller.stub.CreateVolume(csi.CreateVolumeRequest(name="x")), "capabilities")
    expect_code(bad, "no access type", lambda: create("x", capabilities=[csi.VolumeCapability(
        access_mode=csi.VolumeCapability.AccessMode(mode=1))]), "block or mount")
    expect_code(bad, "an unknown access mode", lambda: create("x", capabilities=[use(99)]), "99")
    expect_code(bad, "an unknown mount flag", lambda: create("x", capabilities=[use(flags=["nolock", "suid=3"])]))
    expect_code(bad, "an unknown parameter", lambda: create("x", parameters={"replicas": "3"}), '"replicas"')
    expect_code(bad, "a wrong parameter", lambda: create("x", parameters={"ack": "quorum"}), "local or all")
    expect_code(bad, "an unknown site", lambda: create("x", parameters={"home": "site-x"}), "site-x")
    expect_code(bad, "mutable parameters", lambda: create("x", mutable_parameters={"ack": "all"}), "mutable_parameters")
    expect_code(bad, "parameters of more than 4 KiB", lambda: create("x", parameters={"ack": "a" * 4096}), "parameters")
    expect_code(bad, "a source", lambda: create("x", volume_content_source=csi.VolumeContentSource(
        volume=csi.VolumeContentSource.VolumeSource(volume_id="pvc-plain"))), "empty volumes only")
    expect_code(bad, "another topology key", lambda: create("x", accessibility_requirements=csi.TopologyRequirement(
        requisite=[csi.Topology(segments={"rack": "7"})])), KEY)
    expect_code(bad, "copies that are not as many as sites", lambda: create("x", parameters={"copies": "3", "sites": "site-a,site-b"}), "copies")
    expect_code(bad, "a claim's name that is none", lambda: create("x", parameters={"csi.storage.k8s.io/pvc/name": "a\nb"}), "pvc/name")
    expect_code(bad, "a limit below what is required", lambda: controller.stub.CreateVolume(csi.CreateVolumeRequest(
        name="x", volume_capabilities=[use()], capacity_range=csi.CapacityRange(required_bytes=GIB, limit_bytes=MIB))), "limit")
    expect_code(bad, "a volume id of 129 bytes", lambda: controller.delete("v" * 129), "129")
    expect_code(bad, "secrets of more than 4 KiB", lambda: create("x", secrets={"key": SECRET * 300}), "secrets")
    expect(SECRET not in controller.log(), "and their text is not in the log")
    expect_code(bad, "a negative size", lambda: create("x", -1), "negative")
    expect_code("OUT_OF_RANGE", "a size over 16 TiB", lambda: create("x", (16 << 40) + 1), "16 TiB")
    expect_code(bad, "no volume to delete", lambda: controller.delete(""), "volume_id")
    expect_code(bad, "a page of -1 volumes", lambda: controller.entries(max_entries=-1), "max_entries")
    expect_code("ABORTED", "a token that is none", lambda: controller.entries(starting_token="invalid"), "starting_token")
    expect_code("NOT_FOUND", "a volume that is not there", lambda: controller.get("none"), "none")
    expect_code("NOT_FOUND", "a volume that is not there", lambda: controller.expand("none", GIB))
    unknown = csi.ControllerGetVolumeRequest.FromString(b"\n\x09pvc-plain" + b"\xfa\x7f\x03new")  # field 2047 of a later version
    expect(controller.stub.ControllerGetVolume(unknown).volume.volume_id == "pvc-plain", "a field of a later CSI does no harm")
    controller.delete("none")
    expect(not [e for e in controller.entries().entries if e.volume.volume_id == "x"], "nothing was made of all that")


def publications_let_nodes_in(cluster):
    context = controller.publish("pvc-plain", NODE_A)
    expect(context["site"] == "site-a" and context["readOnly"] == "false" and int(context["publication"]) > 0,
           f"published at node-1: {context}")
    expect(controller.publish("pvc-plain", NODE_A) == context, "the same again is the same publication")
    expect_code("ALREADY_EXISTS", "the same node, read-only", lambda: controller.publish("pvc-plain", NODE_A, readonly=True))
    expect_code("FAILED_PRECONDITION", "another node, for one node only",
                lambda: controller.publish("pvc-plain", NODE_B, use("SINGLE_NODE_WRITER")), "node-1")
    expect(controller.publish("pvc-plain", NODE_B, readonly=True)["readOnly"] == "true", "another node, read-only")
    expect_code("NOT_FOUND", "a node of another driver", lambda: controller.publish("pvc-plain", "some-fake-node-id"))
    expect_code("NOT_FOUND", "a node at an unknown site", lambda: controller.publish("pvc-plain", "n|site-x|"), "site-x")
    expect_code("NOT_FOUND", "a volume that is not there", lambda: controller.publish("none", NODE_A))
    expect_code("INVALID_ARGUMENT", "no node", lambda: controller.publish("pvc-plain", ""), "node_id")
    expect_code("INVALID_ARGUMENT", "a node id of 257 bytes", lambda: controller.publish("pvc-plain", "n" * 257), "257")
    expect_code("FAILED_PRECONDITION", "to delete it", lambda: controller.delete("pvc-plain"), "node-1, node-2")

    def published():  # a listing is of a server's view, which may be slow to see a change
        entry = next(e for e in controller.entries().entries if e.volume.volume_id == "pvc-plain")
        return sorted(entry.status.published_node_ids) == [NODE_A, NODE_B]
    wait_until("both nodes to be listed", published, 20)
    expect(True, "the listing names both nodes as they named themselves")
    controller.unpublish("pvc-plain", NODE_A)
    controller.unpublish("pvc-plain", NODE_A)
    expect([p["node"] for p in record(cluster, "pvc-plain")["publications"]] == ["node-2"], "unpublished at node-1, twice")
    newer = controller.publish("pvc-plain", NODE_A)
    expect(int(newer["publication"]) > int(context["publication"]), "published again under a new number")
    controller.unpublish("pvc-plain")
    expect(not record(cluster, "pvc-plain").get("publications"), "unpublished everywhere")
    controller.unpublish("none", NODE_A)
    controller.unpublish("pvc-plain", "some-fake-node-id")


def listings_survive_changes(cluster):
    names = [f"list-{i}" for i in range(6)]
    for name in names:
        controller.create(name, MIB, parameters={"groups": "1", "copies": "1"})
    cluster.ctl("volume", "create", "list-by-hand")
    wait_until("all to be listed", lambda: set(names) <= {e.volume.volume_id for e in controller.entries().entries}, 20)
    found, token = [], ""
    for page in range(20):
        reply = controller.entries(max_entries=2, starting_token=token)
        expect(len(reply.entries) <= 2, f"page {page} has {[e.volume.volume_id for e in reply.entries]}")
        found += [e.volume.volume_id for e in reply.entries if e.volume.volume_id.startswith("list-")]
        if page == 1:
            controller.create("aaa-new", MIB, parameters={"groups": "1", "copies": "1"})
        token = reply.next_token
        if not token:
            break
    expect(found == names, "all were listed once, though one was made meanwhile; the one made by hand was not")
    expect_code("FAILED_PRECONDITION", "to delete the one made by hand", lambda: controller.delete("list-by-hand"), "shimactl")
    for name in [*names, "aaa-new"]:
        controller.delete(name)
        controller.delete(name)
    cluster.ctl("volume", "delete", "list-by-hand")


def deletions_are_seen_at_once(cluster):
    """A server that has answered a deletion does not list the volume any more. Before it waited for its own view, one in twenty was listed."""
    listed = []
    for number in range(30):
        name = f"gone-{number}"
        controller.create(name, MIB, parameters={"groups": "1", "copies": "1"})
        controller.delete(name)
        listed += [entry.volume.volume_id for entry in controller.entries().entries if entry.volume.volume_id == name]
    expect(not listed, "volumes that were deleted are not listed, whoever asks at once")


def conditions_are_true(cluster):
    def condition():
        return controller.get("pvc-plain").status.volume_condition
    wait_until("pvc-plain to be well", lambda: not condition().abnormal)
    expect(condition().message, f"well: {condition().message}")
    cluster.kill(*cluster.names("site-c"))
    wait_until("pvc-plain to be abnormal", lambda: condition().abnormal)
    expect("site-c" in condition().message, f"abnormal: {condition().message}")
    cluster.start(*cluster.names("site-c"))
    wait_until("pvc-plain to be well again", lambda: not condition().abnormal)


def volumes_grow(cluster):
    controller.publish("pvc-plain", NODE_A)
    grown = controller.expand("pvc-plain", 300 * MIB + 1)
    expect(grown.capacity_bytes == 300 * MIB + 4096 and not grown.node_expansion_required, "it grows while it is published")
    expect(record(cluster, "pvc-plain")["size_bytes"] == 300 * MIB + 4096, "so says its record")
    expect(controller.expand("pvc-plain", 200 * MIB).capacity_bytes == 300 * MIB + 4096, "less than it has is nothing to do")
    expect_code("OUT_OF_RANGE", "to shrink", lambda: controller.expand("pvc-plain", 100 * MIB, 100 * MIB), "cannot shrink")
    expect_code("OUT_OF_RANGE", "to grow over 16 TiB", lambda: controller.expand("pvc-plain", 17 << 40))
    expect(controller.expand("pvc-plain", 400 * MIB, capability=use(block=True)).node_expansion_required,
           "of a block device the node has its part to do")
    controller.unpublish("pvc-plain", NODE_A)


def capacity_is_told_by_site(cluster):
    def all_told():  # a server that does not answer at once counts for nothing, for 10 s
        replies = {site: controller.capacity(site) for site in SITES}
        return all(reply.available_capacity for reply in replies.values()) and replies
    sizes = wait_until("all sites to have free space", all_told, interval_s=1)
    disk = os.statvfs(cluster.dir)
    for site, reply in sizes.items():
        expect(0 < reply.available_capacity <= disk.f_blocks * disk.f_frsize, f"{site} has {reply.available_capacity >> 30} GiB free")
    file_systems = {d["file_system"] for name in cluster.names() for d in cluster.ctl("stats", name)["disks"]}
    expect(len(file_systems) == 1 and "" not in file_systems, f"all servers say that they lie on one file system: {file_systems}")
    reply = controller.capacity()
    expect(reply.maximum_volume_size.value == 16 << 40 and reply.minimum_volume_size.value == MIB, "volumes have 1 MiB to 16 TiB")

    def counted_once():  # each answer is of some moment of the last 10 s
        free = [controller.capacity(site).available_capacity for site in SITES]
        return controller.capacity().available_capacity == min(free)
    wait_until("all sites to have as much as each", counted_once, interval_s=1)
    expect(True, "which is counted once, in a site and in all")
    expect(controller.capacity("site-d").available_capacity == 0, "a site without core servers has none")
    expect_code("INVALID_ARGUMENT", "a topology of another key", lambda: controller.stub.GetCapacity(
        csi.GetCapacityRequest(accessible_topology=csi.Topology(segments={"rack": "1"}))))


def validation_answers(_):
    def validate(volume, *capabilities, **fields):
        return controller.stub.ValidateVolumeCapabilities(csi.ValidateVolumeCapabilitiesRequest(
            volume_id=volume, volume_capabilities=capabilities, **fields))
    good = validate("pvc-two", use(), use("SINGLE_NODE_MULTI_WRITER", block=True), volume_context={"protocol": "nfs"})
    expect(len(good.confirmed.volume_capabilities) == 2, "directories and block devices are confirmed")
    bad = validate("pvc-two", use(), volume_context={"protocol": "fuse"})
    expect(not bad.HasField("confirmed") and "made with nfs" in bad.message, f"another protocol is not: {bad.message}")
    bad = validate("pvc-two", use(), parameters={"protocol": "nfs", "ack": "local"})
    expect(not bad.HasField("confirmed") and "has ack all" in bad.message, f"another policy is not: {bad.message}")
    bad = validate("pvc-two", use(flags=["bogus"]))
    expect(not bad.HasField("confirmed") and "bogus" in bad.message, f"a flag that is not known is not: {bad.message[:80]}")
    expect_code("NOT_FOUND", "a volume that is not there", lambda: validate("none", use()))
    expect_code("INVALID_ARGUMENT", "no capabilities", lambda: validate("pvc-two"))


def everything_is_repeated_after_kills(cluster):
    """The controller and a core server are killed after each call, and the call is made again until it is answered."""
    def insist(what, call):
        def attempt():
            try:
                return [call()]
            except grpc.RpcError as error:
                expect(error.code().name in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "RESOURCE_EXHAUSTED"),
                       f"{what}: {error.code().name}, so call again ({error.details()[:120]})")
                return None
        return wait_until(what, attempt, 90, 0.5)[0]

    steps = [("create", lambda: controller.create("pvc-kills").volume_id), ("publish", lambda: controller.publish("pvc-kills", NODE_A)),
             ("expand", lambda: controller.expand("pvc-kills", 512 * MIB).capacity_bytes),
             ("unpublish", lambda: controller.unpublish("pvc-kills", NODE_A)), ("delete", lambda: controller.delete("pvc-kills"))]
    for number, (name, call) in enumerate(steps):
        victim = cluster.names("site-a" if number % 2 else "site-b")[number % 2]
        first = insist(name, call)
        controller.kill()
        controller.start()
        cluster.kill(victim)
        if name == "unpublish":  # a primary that is away may still serve a fenced node, for all that anybody knows
            expect_code("UNAVAILABLE", f"{name} while {victim} is away", call, victim)
            cluster.start(victim)
        expect(insist(f"{name} again, after {victim} was killed, by a new controller", call) == first, f"{name}: the same answer")
        cluster.start(victim)
        cluster.wait_joined()
    expect_code("NOT_FOUND", "the volume is gone", lambda: controller.get("pvc-kills"))


def the_probe_tells_the_truth(cluster):
    wait_until("Probe to be ready", lambda: ready_or_reason() is True, 30)
    expect(True, "ready")
    cluster.kill("site-b/etcd", "site-c/etcd")
    wait_until("Probe to miss etcd", lambda: "etcd" in str(ready_or_reason()), 60)
    text = expect_code("FAILED_PRECONDITION", "Probe without etcd's majority", controller.probe)
    expect("etcd" in text or "core server" in text, "it says why")
    cluster.start("site-b/etcd", "site-c/etcd")
    wait_until("Probe to be ready again", lambda: ready_or_reason() is True, 60)
    early = Driver(cluster, "site-a", "early", cluster.folder / "csi-early", "--controller").start()
    early.kill()
    cluster.kill(*cluster.names())
    early.start()
    stub = early.connect(csi_grpc.IdentityStub)
    expect(not stub.Probe(csi.ProbeRequest(), timeout=30).ready.value, "a controller that found no core server yet is not ready")
    cluster.start(*cluster.names())
    cluster.wait_joined()
    wait_until("it to be ready", lambda: stub.Probe(csi.ProbeRequest(), timeout=30).ready.value)
    early.stop()


def ready_or_reason():
    try:
        return controller.probe()
    except grpc.RpcError as error:
        return error.details()


def calls_are_logged_and_counted_without_secrets(cluster):
    request = csi.CreateVolumeRequest(name="pvc-secret\nforged line", volume_capabilities=[use()], secrets={"key": SECRET},
                                      capacity_range=csi.CapacityRange(required_bytes=MIB), parameters={"groups": "1"})
    controller.stub.CreateVolume(request, timeout=60)
    log = controller.log()
    line = next(line for line in log.splitlines() if "pvc-secret" in line and "call=CreateVolume" in line)
    expect("request=" in line and "duration_ms=" in line and "code=OK" in line, f"a line a call: {line}")
    expect("\nforged" not in log, "a line stays a line")
    expect("secrets=(secret)" in log and SECRET not in log, "the request was logged without its secrets")
    address = cluster.command("site-a", "curl")[0][:2]
    page = subprocess.run([*address, sys.executable, "-c",
                           f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{METRICS_PORT}/metrics', timeout=60)"
                           ".read().decode())"], capture_output=True, text=True, timeout=90).stdout
    values = {line.split("{")[0]: float(line.split()[-1]) for line in page.splitlines() if line and line[0] != "#"}
    expect(values.get("shima_csi_create_volume_requests", 0) >= 1 and "shima_csi_create_volume_p99_us" in values,
           "creations are counted and timed")
    controller.stop()
    expect(controller.process.returncode == 0 and not controller.socket.exists(), "SIGTERM ends it cleanly; its socket is gone")


if __name__ == "__main__":
    check_python()
    import grpc
    csi, csi_grpc = make_stubs()
    try:
        code = run_scenarios("csi controller", Cluster, [
            the_driver_says_what_it_is, volumes_are_where_they_are_wanted, the_same_name_is_the_same_volume,
            what_is_wrong_is_refused, publications_let_nodes_in, listings_survive_changes, deletions_are_seen_at_once,
            conditions_are_true, volumes_grow, capacity_is_told_by_site, validation_answers,
            everything_is_repeated_after_kills, the_probe_tells_the_truth, calls_are_logged_and_counted_without_secrets], (*PROGRAMS, "shima-csi"))
    finally:
        if controller:
            controller.kill()
    sys.exit(code)
