"""What kubelet, its registrar and the liveness probe do with a CSI driver, done by a test: it registers the node plug-in whose pod runs there, and
stages, publishes, grows and unmounts volumes with the very paths, contexts and fields that kubelet uses, and says in the Node's status what
is in use.

Paths in calls are those of the node, as its pods know them; `node.path()` says where that is on this machine.
"""

import hashlib
import pathlib

from cluster import wait_until
from csi_client import grpc

DRIVER = "shima.io"
KUBELET = "/var/lib/kubelet"
CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
# As a volume's access modes become those of CSI; kubelet takes the first of the claim's.
MODES = {"ReadWriteOnce": "SINGLE_NODE_WRITER", "ReadWriteMany": "MULTI_NODE_MULTI_WRITER", "ReadOnlyMany": "MULTI_NODE_READER_ONLY"}


def driver_is_ready(stubs, socket):
    """What livenessprobe answers by CSI's Probe: 200 only if the driver says that it is ready."""
    messages, services = stubs
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        try:
            answer = services.IdentityStub(channel).Probe(messages.ProbeRequest(), timeout=4)
        except grpc.RpcError:
            return False
        return not answer.HasField("ready") or answer.ready.value


class NodeClient:
    """Of one node of a PodRunner. `stubs`: (csi_pb2, csi_pb2_grpc)."""

    def __init__(self, runner, node, stubs):
        self.runner, self.kube, self.node, (self.csi, self.grpc) = runner, runner.kube, runner.nodes[node], stubs
        self.name, self.in_use, self.channel = node, [], None

    def _socket(self, container_arguments):
        """Where the registrar's arguments say that the plug-in's socket is."""
        flags = dict(flag.split("=", 1) for flag in container_arguments if "=" in flag)
        return self.node.path(flags["--kubelet-registration-path"])

    def register(self):
        """CSINode and the Node's topology label, by what the plug-in says of itself. The topology."""
        pod = self.runner.named("shima-csi-node-", self.name)[0].pod
        registrar = next(one for one in pod["spec"]["containers"] if one["name"] == "node-driver-registrar")
        path = self._socket(registrar["args"])
        wait_until(f"the plug-in's socket {path}", path.exists)
        self.channel = grpc.insecure_channel(f"unix:{path}")
        name = self.grpc.IdentityStub(self.channel).GetPluginInfo(self.csi.GetPluginInfoRequest(), timeout=30, wait_for_ready=True).name
        self.stub = self.grpc.NodeStub(self.channel)
        info = self.stub.NodeGetInfo(self.csi.NodeGetInfoRequest(), timeout=30)
        topology = dict(info.accessible_topology.segments)
        self.kube.create(CSI_NODES, {
            "apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": self.name},
            "spec": {"drivers": [{"name": name, "nodeID": info.node_id, "topologyKeys": list(topology)}]}})
        self.kube.patch(f"/api/v1/nodes/{self.name}", {"metadata": {"labels": topology}})
        return topology

    def close(self):
        if self.channel:
            self.channel.close()

    # ---- a volume's way into a pod -------------------------------------------------------------------------------------

    def staging(self, volume):
        digest = hashlib.sha256(volume["spec"]["csi"]["volumeHandle"].encode()).hexdigest()
        return f"{KUBELET}/plugins/kubernetes.io/csi/{DRIVER}/{digest}/globalmount"

    def target(self, volume, pod):
        return f"{KUBELET}/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~csi/{volume['metadata']['name']}/mount"

    def seen(self, path):
        """As a container of a pod there sees it."""
        return pathlib.Path(self.node.path(path))

    def _use(self, volume):
        access = self.csi.VolumeCapability.AccessMode
        mode = access.Mode.Value(MODES[volume["spec"]["accessModes"][0]])
        return self.csi.VolumeCapability(mount=self.csi.VolumeCapability.MountVolume(), access_mode=access(mode=mode))

    def _tell_in_use(self):
        self.kube.patch(f"/api/v1/nodes/{self.name}/status",
                        {"status": {"volumesInUse": [f"kubernetes.io/csi/{DRIVER}^{one}" for one in self.in_use] or None}})

    def mount(self, volume, pod, attachment):
        """NodeStageVolume and NodePublishVolume; the folder that the pod would see."""
        source = volume["spec"]["csi"]
        self.in_use.append(source["volumeHandle"])
        self._tell_in_use()
        context = dict(source.get("volumeAttributes", {}))
        published = dict(attachment["status"].get("attachmentMetadata", {}))
        self.seen(self.staging(volume)).mkdir(parents=True, exist_ok=True)
        common = {"volume_id": source["volumeHandle"], "staging_target_path": self.staging(volume), "volume_capability": self._use(volume),
                  "publish_context": published, "volume_context": context}
        self.stub.NodeStageVolume(self.csi.NodeStageVolumeRequest(**common), timeout=120)
        target = self.target(volume, pod)
        self.seen(target).parent.mkdir(parents=True, exist_ok=True)
        self.stub.NodePublishVolume(self.csi.NodePublishVolumeRequest(target_path=target, **common), timeout=120)
        return self.seen(target)

    def grow(self, volume, pod, size):
        request = self.csi.NodeExpandVolumeRequest(
            volume_id=volume["spec"]["csi"]["volumeHandle"], volume_path=self.target(volume, pod), staging_target_path=self.staging(volume),
            capacity_range=self.csi.CapacityRange(required_bytes=size), volume_capability=self._use(volume))
        return self.stub.NodeExpandVolume(request, timeout=60).capacity_bytes

    def unmount(self, volume, pod):
        """NodeUnpublishVolume and NodeUnstageVolume; then the node says that it uses the volume no more."""
        handle = volume["spec"]["csi"]["volumeHandle"]
        self.stub.NodeUnpublishVolume(self.csi.NodeUnpublishVolumeRequest(volume_id=handle, target_path=self.target(volume, pod)), timeout=120)
        self.stub.NodeUnstageVolume(self.csi.NodeUnstageVolumeRequest(volume_id=handle, staging_target_path=self.staging(volume)), timeout=120)
        self.in_use.remove(handle)
        self._tell_in_use()
