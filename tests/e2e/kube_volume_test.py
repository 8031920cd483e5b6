#!/usr/bin/env python3
"""From one manifest to bytes in a pod's volume, by the operator's own objects: charts/operator.yaml and a ShimaCluster of three zones on a real
API server with controllers and scheduler; every pod that comes of it runs as real processes (pod_runner.py): the operator, etcd, core servers, access
servers, the CSI controller with its real sidecars, node plug-ins and mounters. The test is kubelet only where a pod uses a claim: it registers
the plug-ins and makes the calls of Node (csi_as_kubelet.py). Meanwhile processes are killed.

All is in one network, mount and process namespace, whose end is the end of everything that was started. Not here: WAN latency (kube_operator_test,
files tests), real containers, node-driver-registrar and livenessprobe.
"""

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from cluster import BIN, LONG, MIB, ROOT, Answer, check_machine, expect, run_scenarios, say, sha256_of, skip_scenario, wait_until
from csi_as_kubelet import CSI_NODES, NodeClient, driver_is_ready
from csi_client import check_python, make_stubs
from kube_cluster import KubeCluster, kube_programs
from kube_csi_test import ATTACHMENTS, CLAIMS, PODS, attachment, bound, claim, pod, sites_of
from kube_csi_test import VOLUMES as PERSISTENT_VOLUMES
from pod_runner import BRIDGE_ADDRESS, PodRunner

PROGRAMS = ("shima-operator", "shima-coreserver", "shima-accessserver", "shima-csi", "shimactl")
SIDECARS = ("csi-provisioner", "csi-attacher", "csi-resizer")
INSIDE = "SHIMA_TEST_IN_NAMESPACES"
MANIFEST = ROOT / "charts/operator.yaml"
NAMESPACE, NAME, ZONE = "shima-system", "shima", "topology.kubernetes.io/zone"
SITES = ("site-a", "site-b", "site-c")
NODES = {f"node-{site[-1]}{number}": site for site in SITES for number in range(2)}
OPERATOR = f"system:serviceaccount:{NAMESPACE}:shima-operator"
CONTROLLER = f"system:serviceaccount:{NAMESPACE}:shima-csi-controller"

CLUSTERS = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimaclusters"
SHIMA_VOLUMES = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimavolumes"
PROVISIONERS_LEASE = "shima-io"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
SPEC = {
    "image": "shima/shima:0.1.0",
    "coreServers": {"perSite": 2, "disks": [{"hostPath": "/var/lib/shima/disk-0"}],
                    "options": {"journal.max_bytes": "256MiB", "journal.segment_bytes": "16MiB"}},
    "accessServers": {"perSite": 1},
    "etcd": {"data": {"hostPath": "/var/lib/shima/etcd"}},
    "storageClasses": [{"name": "shima", "isDefault": True}, {"name": "shima-all-sites", "parameters": {"ack": "all"}}]}


class Bed:
    """The API server, and what runs its pods. `cpus`: of each node, by site."""

    cpus = dict.fromkeys(SITES, "8")

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shima-pods-"))
        self.kube = KubeCluster(api_flags=("--bind-address=0.0.0.0", f"--advertise-address={BRIDGE_ADDRESS}"))
        self.runner, self.clients, self.used = None, {}, {}

    def __enter__(self):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
        try:
            self.runner = PodRunner(self.kube, kube_programs("etcd", *SIDECARS), self.folder, NAMESPACE, NODES,
                                    lambda socket: driver_is_ready((csi, csi_grpc), socket))
            for site in SITES:
                for part, count in (("core", 2), ("etcd", 1)):
                    for number in range(count):
                        name = f"shima-{part}-{site}-{number}"
                        self.runner.know(name, f"{name}.shima-{part}-{site}.{NAMESPACE}.svc")
                self.runner.know(f"shima-access-{site}-0", f"shima-access-{site}.{NAMESPACE}.svc")
            subprocess.run(["mount", "--bind", self.runner.hosts, "/etc/hosts"], check=True)
            self.kube.__enter__()
        except BaseException:
            self.down()
            raise
        self.runner.start()
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.kube.print_logs(4)
            self.runner.print_logs()
            print(json.dumps((self.kube.find(f"{CLUSTERS}/{NAME}") or {}).get("status"), indent=1), flush=True)
        self.down()

    def down(self):
        for client in self.clients.values():
            client.close()
        if self.runner is not None:
            self.runner.stop()
        self.kube.down()
        if os.environ.get("SHIMA_TEST_KEEP") != "1":
            subprocess.run(["umount", "--lazy", "--recursive", self.folder / "nodes"], check=False)
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what is there ---------------------------------------------------------------------------------------------------

    def try_ctl(self, *arguments):
        endpoints = ",".join(f"{self.runner.address(f'shima-core-{site}-{number}')}:7000" for number in range(2) for site in SITES)
        line = [BIN / "shimactl", f"--endpoints={endpoints}", "--output=json", *arguments]
        return Answer(line, subprocess.run(line, capture_output=True, text=True, timeout=60))

    def record(self, volume):
        """Once the server that is asked has heard of it: another one may have made it."""
        def found():
            answer = self.try_ctl("volume", "show", volume)
            return answer.json if answer.code == 0 else None
        return wait_until(f"the record of {volume}", found)

    def publications(self, volume):
        return sorted(one["node"] for one in self.record(volume).get("publications", []))

    def wait_published(self, volume, node):
        """There and nowhere else, in the view of the server that is asked."""
        wait_until(f"{volume} to be published to {node} alone", lambda: self.publications(volume) == [node])

    def condition(self, kind):
        conditions = (self.kube.get(f"{CLUSTERS}/{NAME}").get("status") or {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})

    def wait_condition(self, kind, status, reason=None, timeout_s=60):
        def look():
            found = self.condition(kind)
            return found if found.get("status") == status and reason in (None, found.get("reason")) else None
        try:
            return wait_until(f"condition {kind} to be {status} {reason or ''}", look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.condition(kind)}; pods: {self.runner.trouble}") from None

    def lease_holder(self, lease):
        found = self.kube.find(f"{LEASES}/{lease}")
        return (found or {}).get("spec", {}).get("holderIdentity") or ""

    # ---- a pod with a claim ----------------------------------------------------------------------------------------------

    def use(self, name, claim_name, site):
        """A pod at the site, until it has its volume; the folder that it sees."""
        self.kube.create(PODS, pod(name, claim_name, site))
        return self.take_up(name, claim_name, site)

    def take_up(self, name, claim_name, site):
        """What kubelet does once the pod is there."""
        kube, volume = self.kube, bound(self, claim_name, 90)
        placed = kube.wait_for(f"pod {name} to be scheduled", f"{PODS}/{name}", lambda one: one["spec"].get("nodeName"))
        node = placed["spec"]["nodeName"]
        expect(NODES[node] == site, f"pod {name} is on {node}, with {volume['spec']['csi']['volumeHandle']}")
        attached = wait_until(f"it to be attached to {node}", lambda: attachment(self, volume["metadata"]["name"], node))
        self.used[name] = (self.clients[node], volume, placed)
        return self.clients[node].mount(volume, placed, attached)

    def end_use(self, name):
        client, volume, placed = self.used.pop(name)
        self.kube.delete(f"{PODS}/{name}")
        client.unmount(volume, placed)
        self.kube.delete(f"{PODS}/{name}", grace_s=0)
        wait_until(f"{volume['spec']['csi']['volumeHandle']} to be detached from {client.name}", lambda: not [
            one for one in self.kube.items(ATTACHMENTS) if one["spec"]["nodeName"] == client.name
            and one["spec"]["source"].get("persistentVolumeName") == volume["metadata"]["name"]])


# ---- scenarios -----------------------------------------------------------------------------------------------------------

def a_manifest_becomes_a_cluster(bed):
    kube = bed.kube
    own = "- --metrics-port=8080"
    assert own in MANIFEST.read_text()
    impatient = MANIFEST.read_text().replace(own, f"{own}\n            - --health-interval=1s\n            - --upgrade-settle=2s")
    for node, site in NODES.items():
        kube.add_node(node, {ZONE: site}, cpu=bed.cpus[site])
    kube.wait_for_free_nodes()
    kube.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=impatient)
    kube.wait_for_definition("shimaclusters.shima.io")
    kube.apply({"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": SPEC})
    bed.wait_condition("Ready", "True", timeout_s=180)

    def pods():
        return sorted(pod.name.removeprefix("shima-") for pod in bed.runner.named(""))
    wait_until("all pods to be there, the operator's second one too", lambda: len(pods()) == 2 + 3 + 6 + 3 + 2 + 12)
    expect(True, f"it is Ready, {len(pods())} pods run: {', '.join(pods())}")
    restarted = {pod.name: pod.restarts() for pod in bed.runner.named("") if pod.restarts()}
    say(f"  containers that ended on the way and were started again: {restarted or 'none'}")


def the_plugins_register(bed):
    for node, site in NODES.items():
        bed.clients[node] = NodeClient(bed.runner, node, (csi, csi_grpc))
        topology = bed.clients[node].register()
        assert topology == {ZONE: site}, f"{node}: {topology}"
    expect(len(bed.kube.items(CSI_NODES)) == len(NODES), "each node plug-in says its node's site")


def a_claim_is_bound_while_the_operator_is_dead(bed):
    kube = bed.kube
    kube.wait_for("account default", "/api/v1/namespaces/default/serviceaccounts/default")
    kube.apply(claim("data", "shima"))
    for operator in bed.runner.named("shima-operator-"):
        operator.kill()
    dead_since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    folder = bed.use("writer", "data", "site-b")
    volume = bound(bed, "data")
    handle = volume["spec"]["csi"]["volumeHandle"]
    record = bed.record(handle)
    expect(record["home"] == "site-b" and sites_of(volume) == list(SITES), f"without an operator {handle} was made, with its home at the pod's site")
    bed.wait_published(handle, bed.used["writer"][0].name)
    expect(True, "it is published to the pod's node")
    said = [one for one in kube.requests(OPERATOR) if one["at"] > dead_since]  # what it asked for before may be told later
    expect(not said, f"and the operator said nothing meanwhile {said or ''}")
    (folder / "file").write_bytes(os.urandom(3 * MIB + 17))
    bed.volume, bed.handle, bed.sum, bed.mounted = volume, handle, sha256_of(folder / "file"), folder
    for operator in bed.runner.named("shima-operator-"):
        operator.release()


def the_volume_is_shown(bed):
    found = bed.kube.wait_for("its ShimaVolume", f"{SHIMA_VOLUMES}/{bed.handle}", lambda one: one.get("status", {}).get("health") == "Healthy")
    status = found["status"]

    def nodes():
        return [one["node"] for one in bed.kube.get(f"{SHIMA_VOLUMES}/{bed.handle}")["status"]["publications"]]
    wait_until("its node in ShimaVolume", lambda: nodes() == bed.publications(bed.handle))
    expect(status["home"] == "site-b", f"ShimaVolume: {status['health']}, at home in site-b, used by {nodes()}")
    touched = [one for one in bed.kube.requests(OPERATOR) if one["resource"].startswith("persistentvolumeclaims")
               and (one["namespace"] == "default" or one["verb"] not in ("get", "list", "watch"))]
    expect(not touched, f"the operator has changed no claim, and looked at none of other namespaces {touched or ''}")


def a_plugin_restarts_under_a_mount(bed):
    client = bed.used["writer"][0]
    (plugin,) = bed.runner.named("shima-csi-node-", client.name)
    (mounter,) = bed.runner.named("shima-csi-mounter-", client.name)
    with open(bed.mounted / "file", "rb") as held:
        old = plugin.uid
        bed.kube.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{plugin.name}")
        wait_until("another node plug-in to be ready", lambda: [
            pod for pod in bed.runner.named("shima-csi-node-", client.name) if pod.uid != old and pod.ready])
        held.seek(3 * MIB)
        expect(len(held.read()) == 17 and not mounter.restarts(), "a file that is open stays so while the node plug-in's pod is replaced")


def a_mounter_that_is_deleted_waits_for_its_mounts(bed):
    """It would take them along, so it serves on until the pod has moved away (the_mounter_is_replaced_then)."""
    client = bed.used["writer"][0]
    (mounter,) = bed.runner.named("shima-csi-mounter-", client.name)
    bed.kube.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{mounter.name}")
    wait_until("the mounter to say why it stays", lambda: "told to end, but 1 mounts" in mounter.log("shima-csi"))
    (bed.mounted / "late").write_text("written after the mounter was told to end")
    expect(sha256_of(bed.mounted / "file") == bed.sum, f"{mounter.name} was told to end, and the pod reads and writes on")
    bed.deleted_mounter = mounter


def the_mounter_is_replaced_then(bed):
    old = bed.deleted_mounter
    wait_until("another mounter to be ready", lambda: [
        pod for pod in bed.runner.named("shima-csi-mounter-", old.node.name) if pod.uid != old.uid and pod.ready])
    expect(old.log("shima-csi").rstrip().endswith("stopping"), "once the pod had moved away it ended, and another one is there")


def a_claim_grows(bed):
    client, volume, placed = bed.used["writer"]
    bed.kube.patch(f"{CLAIMS}/data", {"spec": {"resources": {"requests": {"storage": "512Mi"}}}})
    bed.kube.wait_for("the claim to have 512Mi", f"{CLAIMS}/data", lambda one: one["status"]["capacity"]["storage"] == "512Mi")

    def size():
        found = os.statvfs(bed.mounted)
        return found.f_blocks * found.f_frsize
    wait_until("the pod to see 512 MiB", lambda: size() == 512 * MIB)
    expect(client.grow(volume, placed, 512 * MIB) == 512 * MIB, "the mounted file system has 512 MiB")


def the_pod_moves_to_another_site(bed):
    bed.end_use("writer")
    folder = bed.use("reader", "data", "site-a")
    expect(sha256_of(folder / "file") == bed.sum, "at site-a the file has the same sha256")
    expect((folder / "late").read_text().startswith("written"), "and what was written last is there")
    (folder / "more").write_text("written at site-a")
    bed.wait_published(bed.handle, bed.used["reader"][0].name)
    expect(True, "and only that node has the right")


def the_controllers_leader_is_killed(bed):
    """Its claim waits until the other controller's sidecars have the leases; the next scenario goes on meanwhile."""
    def leading():
        holder = bed.lease_holder(PROVISIONERS_LEASE)
        return next(((pod, holder) for pod in bed.runner.named("shima-csi-controller-") if pod.name in holder), None)
    victim, leader = wait_until("a pod to hold the provisioner's Lease", leading)
    victim.kill()
    bed.killed = (victim, leader, time.monotonic())
    bed.kube.apply(claim("after", "shima"))
    bed.kube.create(PODS, pod("after", "after", "site-a"))
    expect(True, f"{victim.name}, which leads, is killed and stays away")


def a_core_server_of_the_home_is_away(bed):
    """The claim waits, or is made without it; once the server is back it is served as any."""
    victim = bed.runner.pod("shima-core-site-c-0")
    victim.kill()
    bed.kube.apply(claim("during", "shima"))
    bed.kube.create(PODS, pod("during", "during", "site-c"))
    wait_until("claim during to be tried", lambda: bed.kube.events("PersistentVolumeClaim", "during") and bed.lease_holder(PROVISIONERS_LEASE)
               != bed.killed[1], 60)
    time.sleep(2)
    say(f"  while {victim.name} is away: {bed.kube.events('PersistentVolumeClaim', 'during')[-1]}")
    victim.release()
    folder = bed.take_up("during", "during", "site-c")
    (folder / "file").write_text("in a volume that was made while a server was away")
    bed.end_use("during")
    folder = bed.use("again", "during", "site-b")
    expect((folder / "file").read_text().startswith("in a volume"), "it has its home at site-c, was written there and is read at site-b")
    bed.end_use("again")


def the_other_controller_took_over(bed):
    victim, leader, begin = bed.killed
    bound(bed, "after", 60)
    expect(bed.lease_holder(PROVISIONERS_LEASE) != leader, f"the claim of before is bound, {time.monotonic() - begin:.0f} s after the leader was killed")
    victim.release()
    bed.kube.delete(f"{PODS}/after", grace_s=0)


def an_upgrade_leaves_the_mounters_alone(bed):
    """Each core server restarts in turn, so this is for long runs."""
    if not LONG:
        skip_scenario("an upgrade under mounts: each core server restarts in turn; SHIMA_TEST_LONG=1 runs it")
    (client, volume, placed), = bed.used.values()
    folder = client.seen(client.target(volume, placed))
    bed.kube.patch(f"{CLUSTERS}/{NAME}", {"spec": {"image": "shima/shima:two"}})

    def images(component):
        found = bed.kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3D{component}")
        return {one["spec"]["containers"][0]["image"] for one in found}
    with open(folder / "file", "rb") as held:
        wait_until("core servers and node plug-ins to run the new image", lambda: images("core-server") == images("csi-node") == {"shima/shima:two"}, 400)
        expect(sha256_of(folder / "file") == bed.sum and held.read(1), "the pod's mount went through it")
    expect(images("csi-mounter") == {SPEC["image"]}, "no mounter was restarted")
    found = bed.wait_condition("MountersUpToDate", "False")
    expect(found["message"].startswith(f"{len(NODES)} mounters"), f"it is said: {found['message']}")
    (idle,) = bed.runner.named("shima-csi-mounter-", "node-c0")
    bed.kube.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{idle.name}")
    wait_until("one less", lambda: bed.condition("MountersUpToDate")["message"].startswith(f"{len(NODES) - 1} mounters"))
    expect(images("csi-mounter") == {SPEC["image"], "shima/shima:two"}, "a mounter whose pod is deleted comes back as the new one")


def the_api_server_restarts(bed):
    """In long runs it is away for longer than any Lease. Of the CSI controller's sidecars those end then that have led."""
    def lives():
        return {pod.uid: (pod.name, pod.restarts()) for pod in bed.runner.named("")
                if not pod.name.startswith("shima-csi-controller-")}
    before = lives()
    refused = bed.kube.refused(OPERATOR) + bed.kube.refused(CONTROLLER)
    expect(not refused, f"until now nobody's rights were too few {refused or ''}")
    bed.kube.stop_api()
    time.sleep(150 if LONG else 0)
    bed.kube.start_api()
    (folder,) = [client.seen(client.target(volume, placed)) for client, volume, placed in [bed.used["reader"]]]
    expect((folder / "more").read_text() == "written at site-a", "the pod's files are there all the time")
    bed.kube.apply(claim("later", "shima"))
    bed.kube.create(PODS, pod("later", "later", "site-b"))
    bound(bed, "later", 120)
    expect(lives() == before, "a claim is bound after the API server came back, and no container was started again")
    bed.kube.delete(f"{PODS}/later", grace_s=0)


def deletion_waits_for_the_volumes(bed):
    """Also in the foreground, when Kubernetes deletes what is owned before it asks any finalizer: what serves the volumes stays."""
    kube = bed.kube
    kube.kubectl("delete", "shc", NAME, "-n", NAMESPACE, "--cascade=foreground", "--wait=false")
    found = bed.wait_condition("DeletionIsBlocked", "True", "VolumesExist")
    expect(bed.handle in found["message"], f"deletion is blocked: {found['message']}")
    client, volume, placed = bed.used["reader"]
    folder = client.seen(client.target(volume, placed))
    time.sleep(3)
    expect(sha256_of(folder / "file") == bed.sum, "the pod goes on with its volume")
    bed.end_use("reader")
    kube.kubectl("delete", "pvc", "--all", "-n", "default", "--wait=false")
    wait_until("the PersistentVolumes of claims to be gone", lambda: not [
        one for one in kube.items(PERSISTENT_VOLUMES) if "csi" in one["spec"]], 90)
    expect(True, "claims are deleted, and take their volumes")
    kube.wait_gone("the ShimaVolume", f"{SHIMA_VOLUMES}/{bed.handle}")
    kube.wait_gone("the ShimaCluster", f"{CLUSTERS}/{NAME}", 120)


    def left():
        return [one["metadata"]["name"] for one in kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
                if not one["metadata"]["name"].startswith("shima-operator")]
    wait_until("its pods to be gone", lambda: not left(), 120)
    expect(True, "then the cluster goes, and all of its pods")


def run_in_namespaces(title, bed, scenarios, script):
    """run_scenarios() of a test's file, in network, mount and process namespaces that end with it."""
    check_machine(PROGRAMS)
    if os.environ.get(INSIDE) == "1":
        return run_scenarios(title, bed, scenarios, PROGRAMS)
    line = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, script]
    process = subprocess.Popen([*line, *sys.argv[1:]], env={**os.environ, INSIDE: "1"})
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    return process.wait()


if __name__ == "__main__":
    check_python()
    csi, csi_grpc = make_stubs()
    sys.exit(run_in_namespaces("a volume in kubernetes", Bed, [
        a_manifest_becomes_a_cluster, the_plugins_register, a_claim_is_bound_while_the_operator_is_dead,
        a_plugin_restarts_under_a_mount, a_claim_grows, a_mounter_that_is_deleted_waits_for_its_mounts, the_pod_moves_to_another_site,
        the_mounter_is_replaced_then, the_controllers_leader_is_killed, the_volume_is_shown, a_core_server_of_the_home_is_away,
        the_other_controller_took_over, an_upgrade_leaves_the_mounters_alone, the_api_server_restarts, deletion_waits_for_the_volumes],
        __file__))
