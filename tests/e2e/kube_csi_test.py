#!/usr/bin/env python3
"""PersistentVolumeClaims by the real parts: charts/csi applied to a real API server; the sidecars of its Deployment, with the arguments,
the environment and the rights that it gives them, in front of the real driver on a real cluster of three sites; the scheduler and the controllers
of Kubernetes above. Only kubelet is missing: what it would write of the node plug-in into CSINode, the test writes.
"""

import sys
import time

from cluster import BIN, DONE, FILE_PROGRAMS, MIB, ROOT, Cluster, expect, run_scenarios, say, wait_until
from csi_client import Driver, check_python, make_stubs
from kube_cluster import BUSY_WORDS, KubeCluster, kube_programs

CHARTS = ROOT / "charts/csi"
NAMESPACE, DRIVER, ZONE = "shima-system", "shima.io", "topology.kubernetes.io/zone"
SITES = ("site-a", "site-b", "site-c")
NODES = {f"node-{site[-1]}": site for site in SITES}
CONTROLLER = f"system:serviceaccount:{NAMESPACE}:shima-csi-controller"
NODE_PLUGIN = f"system:serviceaccount:{NAMESPACE}:shima-csi-node"
SIDECARS = ("csi-provisioner", "csi-attacher", "csi-resizer")

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
PODS = "/api/v1/namespaces/default/pods"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
CAPACITIES = f"/apis/storage.k8s.io/v1/namespaces/{NAMESPACE}/csistoragecapacities"


class PodDriver(Driver):
    """shima-csi with what a pod of its service account is given."""

    def __init__(self, cluster, account, *arguments):
        super().__init__(cluster, *arguments)
        self.account = account

    def start(self):
        core = ",".join(server["endpoint"] for server in self.cluster.servers())
        line = self.cluster.kube.as_pod(NAMESPACE, self.account, BIN / "shima-csi", "--endpoint", self.endpoint, "--core", core, *self.flags)
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.cluster.popen(self.site, *line, stdout=log, stderr=log)
        wait_until(f"{self.name} listens", self._listens, 60, 0.05)
        return self


class ClusterWithKubernetes(Cluster):
    """`kube` beside it; the API server can be reached from site-b as well, at the same address."""

    def __init__(self):
        super().__init__("--rtt-ms", "4")
        self.kube, self.drivers, self.sidecars, self.made, self.looked_at = KubeCluster(), [], {}, {}, 0

    def __enter__(self):
        super().__enter__()
        try:
            self.kube.__enter__()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.kube.print_logs()
            for driver in self.drivers:
                print(f"--- the end of {driver.name}'s log", driver.log()[-3000:], sep="\n", flush=True)
        super().__exit__(kind, error, trace)

    def down(self):
        for driver in self.drivers:
            driver.kill()
        self.kube.down()
        super().down()

    def driver(self, *arguments):
        self.drivers.append(PodDriver(self, *arguments))
        return self.drivers[-1]

    def relay(self, site):
        """Two programs that join the loopback interfaces of host and site for the API server's port."""
        port, path = self.kube.port, self.folder / "api.sock"
        self.kube.program("relay-host", ["socat", f"UNIX-LISTEN:{path},fork", f"TCP:127.0.0.1:{port}"]).start()
        line, _ = self.command(site, "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", f"UNIX-CONNECT:{path}")
        self.kube.program("relay-site", line).start()

    def record(self, volume):
        """Once the server that is asked has heard of it: another one may have made it."""
        def found():
            answer = self.try_ctl("volume", "show", volume)
            return answer.json if answer.code == DONE else None
        return wait_until(f"the record of {volume}", found)

    def publications(self, volume):
        return sorted(one["node"] for one in self.record(volume).get("publications", []))

    def wait_published(self, volume, *nodes):
        """At these and no others, in the view of the server that is asked."""
        wait_until(f"{volume} to be published to {', '.join(nodes)}", lambda: self.publications(volume) == list(nodes))


# ---- objects -----------------------------------------------------------------------------------------------------

def claim(name, storage_class, size="256Mi", mode="Filesystem"):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
            "spec": {"storageClassName": storage_class, "accessModes": ["ReadWriteMany"], "volumeMode": mode,
                     "resources": {"requests": {"storage": size}}}}


def storage_class(name, binding="Immediate", **parameters):
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, "provisioner": DRIVER,
            "volumeBindingMode": binding, "allowVolumeExpansion": True, "reclaimPolicy": "Delete", "parameters": parameters}


def pod(name, claim_name, site=None):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {**({"nodeSelector": {ZONE: site}} if site else {}),
                     "containers": [{"name": "one", "image": "example/none:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
                     "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]}}


def bound(cluster, name, timeout_s=60):
    """The PersistentVolume of a claim, once it has one."""
    kube = cluster.kube
    try:
        found = kube.wait_for(f"claim {name} to be bound", f"{CLAIMS}/{name}", lambda one: one["status"].get("phase") == "Bound", timeout_s)
    except AssertionError as error:
        raise AssertionError(f"claim {name} was told {kube.events('PersistentVolumeClaim', name)}: {error}") from None
    return kube.get(f"{VOLUMES}/{found['spec']['volumeName']}")


def sites_of(volume):
    terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    for term in terms:
        expect(all(one["key"] == ZONE and one["operator"] == "In" for one in term["matchExpressions"]), f"affinity is by site: {term}")
    return sorted(site for term in terms for one in term["matchExpressions"] for site in one["values"])


def attachment(cluster, volume, node):
    """None if the volume is not attached to the node."""
    found = [one for one in cluster.kube.items(ATTACHMENTS) if one["spec"]["source"].get("persistentVolumeName") == volume
             and one["spec"]["nodeName"] == node and one.get("status", {}).get("attached")]
    return found[0] if found else None


def run_pod(cluster, name, claim_name, site):
    """Where the scheduler put it."""
    cluster.kube.create(PODS, pod(name, claim_name, site))
    try:
        placed = cluster.kube.wait_for(f"pod {name} to be scheduled", f"{PODS}/{name}", lambda one: one["spec"].get("nodeName"))
    except AssertionError as error:
        raise AssertionError(f"{error}; its events: {cluster.kube.events('Pod', name)}; the claim's: "
                             f"{cluster.kube.events('PersistentVolumeClaim', claim_name)}") from None
    return placed["spec"]["nodeName"]


def end_pod(cluster, name):
    cluster.kube.delete(f"{PODS}/{name}", grace_s=0)
    cluster.kube.wait_gone(f"pod {name}", f"{PODS}/{name}")


# ---- scenarios ---------------------------------------------------------------------------------------------------

def the_manifests_are_accepted(cluster):
    """As the handbook says: one command, on a cluster that has nothing of it."""
    kube = cluster.kube
    for node, site in NODES.items():
        kube.add_node(node, {ZONE: site})
    first = kube.try_kubectl("apply", "--validate=strict", "-f", CHARTS)
    say(first.out.strip().replace("\n", "; "))
    expect(first.code == 0, f"kubectl apply -f charts/csi: exit code {first.code} {first.err.strip()}")
    expect("Warning" not in first.err, f"without a warning {first.err.strip()}")
    again = kube.kubectl("apply", "--validate=strict", "-f", CHARTS)
    expect(all(line.endswith("unchanged") for line in again.out.splitlines()), "the second time nothing changes")
    for name in ("claim.yaml", "static-volume.yaml"):
        answer = kube.try_kubectl("apply", "--validate=strict", "--dry-run=server", "-f", CHARTS / "examples" / name)
        expect(answer.code == 0 and "Warning" not in answer.err, f"examples/{name} is accepted {answer.err.strip()}")


def its_pods_are_made_and_scheduled(cluster):
    """Nothing in the API server's admission (pod security, priorities, service accounts) or in the scheduler is against them."""
    wanted = {"shima-csi-controller": 2, "shima-csi-node": len(NODES), "shima-csi-mounter": len(NODES)}

    def look():
        placed = [one["metadata"]["labels"]["app"] for one in cluster.kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
                  if one["spec"].get("nodeName")]
        return {app: placed.count(app) for app in wanted} == wanted
    try:
        wait_until(f"pods with nodes: {wanted}", look)
    except AssertionError as error:
        told = [event["message"] for event in cluster.kube.items(f"/api/v1/namespaces/{NAMESPACE}/events") if event["type"] == "Warning"]
        raise AssertionError(f"{error}; warnings: {told}") from None
    expect(True, "controllers and scheduler made and placed " + ", ".join(f"{count} {app}" for app, count in wanted.items()))


def container_of(workload, name):
    return next(one for one in workload["spec"]["template"]["spec"]["containers"] if one["name"] == name)


def flags_of(container, without=("--endpoint", "--core", "--mounter-endpoint", "--state-dir", "--publish-root")):
    """Its arguments, but those that name places of the pod."""
    return [flag for flag in container["args"] if flag.split("=")[0] not in without and "$(" not in flag]


def the_node_plugin_reads_its_site(cluster):
    """From the label of its Node, by its own service account; then CSINode says what it says of itself, as kubelet does it."""
    kube = cluster.kube
    cluster.relay("site-b")
    workload = kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/shima-csi-node")
    expect(workload["spec"]["template"]["spec"]["serviceAccountName"] == "shima-csi-node", "the plug-in has an account of its own")
    folder = cluster.folder / "node-b"
    (folder / "kubelet").mkdir(parents=True)
    common = ("--node-name=node-b", f"--state-dir={folder}/state", f"--publish-root={folder}/kubelet")
    mounter = cluster.driver("shima-csi-node", "site-b", "mounter", folder, "--mounter=true", "--accessserver",
                             BIN / "shima-accessserver", *common)
    mounter.start()
    plugin = cluster.driver("shima-csi-node", "site-b", "node", folder, *flags_of(container_of(workload, "shima-csi")), *common,
                            "--mounter-endpoint", mounter.endpoint, "--node-addresses=10.9.8.7")
    plugin.start()
    info = plugin.connect(csi_grpc.NodeStub).NodeGetInfo(csi.NodeGetInfoRequest(), timeout=30, wait_for_ready=True)
    expect(dict(info.accessible_topology.segments) == {ZONE: "site-b"}, f"{info.node_id} is at site-b, as the label says")
    expect(kube.requests(NODE_PLUGIN) and not kube.refused(NODE_PLUGIN), "it read the Node by its service account")
    for node, site in NODES.items():
        node_id = info.node_id if node == "node-b" else f"{node}|{site}|10.9.8.6"
        kube.create("/apis/storage.k8s.io/v1/csinodes", {
            "apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": node},
            "spec": {"drivers": [{"name": DRIVER, "nodeID": node_id, "topologyKeys": list(info.accessible_topology.segments)}]}})
    plugin.channel.close()
    plugin.stop()
    mounter.stop()


def pins(name):
    """The version of a sidecar in go.mod, as hack/kube-tools builds it."""
    repository = name.replace("csi-", "kubernetes-csi/external-")
    return [line.split()[1] for line in (ROOT / "tests/kube/kubernetes/go.mod").read_text().splitlines() if f"/{repository}/v" in line]


def expect_no_restarts(cluster):
    """But of one that could not renew its lease in time, or got no answer as it began, as on a busy machine."""
    for sidecar in cluster.sidecars.values():
        if sidecar.restarts > sum(sidecar.log().count(words) for words in ("Stopped leading", *BUSY_WORDS)):
            raise AssertionError(f"{sidecar.name} ended: {sidecar.log()[-3000:]}")


def the_sidecars_start_as_deployed(cluster):
    kube = cluster.kube
    deployment = kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shima-csi-controller")
    one_pod = kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3Dshima-csi-controller")[0]
    account = one_pod["spec"]["serviceAccountName"]
    driver = cluster.driver(account, "site-a", "controller", cluster.folder / "csi", *flags_of(container_of(deployment, "shima-csi")))
    driver.start()
    fields = {"metadata.namespace": NAMESPACE, "metadata.name": one_pod["metadata"]["name"]}
    for name in SIDECARS:
        container = container_of(deployment, name)
        expect(container["image"].split(":")[-1] in pins(name), f"{container['image']} is the version that is tested here")
        environment = {one["name"]: fields[one["valueFrom"]["fieldRef"]["fieldPath"]] for one in container.get("env", [])}
        flags = [flag.replace("/csi/csi.sock", str(driver.socket)) for flag in container["args"]]
        line = kube.as_pod(NAMESPACE, account, kube_programs(*SIDECARS) / name, *flags, environment=environment)
        cluster.sidecars[name] = kube.program(name, line).keep()
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"

    def leading():
        expect_no_restarts(cluster)
        return len([one for one in kube.items(leases) if one["spec"].get("holderIdentity")]) >= len(SIDECARS)
    wait_until("each sidecar to hold its lease", leading)
    expect(True, f"{', '.join(SIDECARS)} lead")
    warned = [line for sidecar in cluster.sidecars.values() for line in sidecar.log().splitlines()
              if "Warning:" in line or "deprecated" in line.lower()]
    expect(not warned, f"none of their arguments is on its way out {warned or ''}")


def capacity_is_known_by_site(cluster):
    def look():
        found = [(one["storageClassName"], one["nodeTopology"]["matchLabels"][ZONE]) for one in cluster.kube.items(CAPACITIES)
                 if one.get("capacity", "0") != "0"]
        return sorted(found) == sorted((name, site) for name in ("shima", "shima-nfs") for site in SITES)
    wait_until("CSIStorageCapacity of each class at each site", look)
    owners = {owner["kind"] for one in cluster.kube.items(CAPACITIES) for owner in one["metadata"].get("ownerReferences", [])}
    expect(owners == {"Deployment"}, "the scheduler sees free space at each site; these objects go with the Deployment")


def an_immediate_claim_is_bound(cluster):
    kube = cluster.kube
    kube.apply(storage_class("two-sites", sites="site-a,site-c", home="site-c"), claim("immediate", "two-sites"))
    volume = bound(cluster, "immediate")
    name = volume["spec"]["csi"]["volumeHandle"]
    expect(sites_of(volume) == ["site-a", "site-c"], f"{name}: pods may run at both of its sites, and nowhere else")
    record = cluster.record(name)
    expect(record["home"] == "site-c" and sorted(record["sites"]) == ["site-a", "site-c"] and record["size_bytes"] == 256 * MIB,
           "so says its record in the cluster")
    kube.create(PODS, pod("elsewhere", "immediate", "site-b"))
    kube.wait_for("the scheduler to refuse site-b", f"{PODS}/elsewhere", lambda one: any(
        "affinity" in condition.get("message", "") for condition in one["status"].get("conditions", [])))
    end_pod(cluster, "elsewhere")
    cluster.made["immediate"] = name


def a_waiting_claim_gets_its_home_where_the_pod_is(cluster):
    kube = cluster.kube
    kube.apply(claim("waiting", "shima"))
    kube.wait_for("account default", "/api/v1/namespaces/default/serviceaccounts/default")
    expect(kube.get(f"{CLAIMS}/waiting")["status"]["phase"] == "Pending", "without a pod it waits")
    expect(run_pod(cluster, "first", "waiting", "site-b") == "node-b", "the scheduler put the pod on node-b")
    volume = bound(cluster, "waiting")
    name = volume["spec"]["csi"]["volumeHandle"]
    record = cluster.record(name)
    expect(record["home"] == "site-b", "its home is site-b")
    whose = {f"csi.storage.k8s.io/{key}": value for key, value in
             {"pvc/name": "waiting", "pvc/namespace": "default", "pv/name": volume["metadata"]["name"]}.items()}
    expect(whose.items() <= record["labels"].items(), "its record says whose it is")
    expect(sites_of(volume) == list(SITES), "pods may run at all three sites")
    expect(volume["spec"]["csi"]["volumeAttributes"].get("protocol") == "fuse", "the node learns of the protocol")
    wait_until("it to be attached to node-b", lambda: attachment(cluster, volume["metadata"]["name"], "node-b"))
    cluster.wait_published(name, "node-b")
    expect(True, "shimactl shows that it is published to node-b")
    metadata = attachment(cluster, volume["metadata"]["name"], "node-b")["status"]["attachmentMetadata"]
    expect(metadata.get("site") == "site-b" and metadata.get("publication"), f"the node gets {metadata}")
    cluster.made["waiting"] = name


def a_pod_moves_to_another_site(cluster):
    name = cluster.made["waiting"]
    volume = bound(cluster, "waiting")["metadata"]["name"]
    expect(run_pod(cluster, "second", "waiting", "site-a") == "node-a", "a second pod is at site-a")
    wait_until("it to be attached to both", lambda: attachment(cluster, volume, "node-a") and attachment(cluster, volume, "node-b"))
    cluster.wait_published(name, "node-a", "node-b")
    expect(True, "published to both nodes")
    end_pod(cluster, "first")
    wait_until("it to be detached from node-b", lambda: cluster.publications(name) == ["node-a"])
    wait_until("the attachment to be gone", lambda: not [one for one in cluster.kube.items(ATTACHMENTS)
                                                         if one["spec"]["nodeName"] == "node-b"])
    expect(True, "the first pod's end took node-b's right")


def a_claim_grows(cluster):
    kube, name = cluster.kube, cluster.made["waiting"]
    kube.patch(f"{CLAIMS}/waiting", {"spec": {"resources": {"requests": {"storage": "512Mi"}}}})
    kube.wait_for("the claim to have 512Mi", f"{CLAIMS}/waiting", lambda one: one["status"]["capacity"]["storage"] == "512Mi")
    wait_until("its record to say so", lambda: cluster.record(name)["size_bytes"] == 512 * MIB)
    expect(True, "the volume has 512 MiB, while a pod uses it")
    expect(bound(cluster, "waiting")["spec"]["capacity"]["storage"] == "512Mi", "so has the PersistentVolume")


def a_node_out_of_service_is_fenced(cluster):
    """A node that says that it uses a volume keeps its right when the pod has gone by force, until somebody says that the node is down."""
    kube, name = cluster.kube, cluster.made["waiting"]
    node = "/api/v1/nodes/node-c"
    # As kubelet, before it is attached: who hears of it late never thinks that it is not in use.
    kube.patch(f"{node}/status", {"status": {"volumesInUse": [f"kubernetes.io/csi/{DRIVER}^{name}"]}})
    expect(run_pod(cluster, "third", "waiting", "site-c") == "node-c", "a pod is at site-c")
    wait_until("it to be published to node-c", lambda: cluster.publications(name) == ["node-a", "node-c"])
    wait_until("Kubernetes to know that it is attached", lambda: any(
        name in one["name"] for one in kube.get(node)["status"].get("volumesAttached") or []))
    end_pod(cluster, "third")
    time.sleep(3)  # the controllers act within 0.3 s in the scenarios above
    expect(cluster.publications(name) == ["node-a", "node-c"], "node-c keeps its right while it says that the volume is mounted")
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    kube.patch(node, {"spec": {"taints": [taint]}})
    wait_until("node-c to lose its right", lambda: cluster.publications(name) == ["node-a"])
    expect(True, "with the taint out-of-service it has lost it")
    kube.patch(node, {"spec": {"taints": None}})
    kube.patch(f"{node}/status", {"status": {"volumesInUse": None}})


def what_is_wrong_is_told_in_events(cluster):
    kube = cluster.kube
    kube.apply(storage_class("wrong", colour="blue"), claim("wrong", "wrong"),
               storage_class("far", sites="site-a,site-x"), claim("far", "far"))

    def told(name, text):
        return wait_until(f"an event of claim {name} with '{text}'", lambda: [
            message for reason, message in kube.events("PersistentVolumeClaim", name) if reason == "ProvisioningFailed" and text in message])[0]
    expect("known are" in told("wrong", "colour"), "an unknown parameter is named, and the known ones")
    expect(told("far", "site-x"), "a site that is not there is named")
    kube.kubectl("delete", "pvc", "wrong", "far")
    kube.kubectl("delete", "storageclass", "wrong", "far")


def the_api_server_goes_away(cluster):
    """And comes back. A sidecar that could not renew its lease meanwhile ends, and is started again."""
    kube = cluster.kube
    kube.apply(storage_class("one-site", sites="site-a"))
    expect(not kube.refused(CONTROLLER), f"until now the controller's account was refused nothing {kube.refused(CONTROLLER) or ''}")
    expect_no_restarts(cluster)
    kube.stop_api()
    kube.start_api()
    kube.apply(claim("later", "one-site", mode="Block"))
    volume = bound(cluster, "later", 150)
    expect(volume["spec"]["volumeMode"] == "Block" and sites_of(volume) == ["site-a"], "a claim is bound after the API server came back")
    cluster.made["later"] = volume["spec"]["csi"]["volumeHandle"]
    cluster.looked_at = len(kube.requests(CONTROLLER))  # what was refused meanwhile says nothing: KubeCluster.refused()


def deleted_claims_take_their_volumes(cluster):
    kube = cluster.kube
    kube.delete(f"{CLAIMS}/waiting")
    expect(kube.find(f"{CLAIMS}/waiting") is not None, "a claim that a pod uses stays")
    end_pod(cluster, "second")
    kube.kubectl("delete", "pvc", "immediate", "later", "--wait=false")

    def none():
        answer = cluster.try_ctl("volume", "list")
        return answer.code == DONE and not answer.json["volumes"]
    wait_until("the volumes to be gone", none, 150)
    wait_until("the PersistentVolumes and attachments to be gone", lambda: not [
        one for path in (VOLUMES, ATTACHMENTS) for one in kube.items(path)])
    expect(True, f"{len(cluster.made)} claims, their PersistentVolumes, attachments and volumes are gone")


def their_rights_were_enough_and_are_not_too_many(cluster):
    kube = cluster.kube
    asked, refused = len(kube.requests(CONTROLLER)) - cluster.looked_at, kube.refused(CONTROLLER, cluster.looked_at)
    expect(asked > 10 and not refused, f"of {asked} more requests of the controller's account none was refused {refused or ''}")
    config = kube.kubeconfig(NAMESPACE, "shima-csi-node")
    answer = kube.try_kubectl("get", "pods", "--namespace", NAMESPACE, config=config)
    expect(answer.code != 0 and "forbidden" in answer.err.lower(), "the node's account may not list pods")
    expect(kube.refused(NODE_PLUGIN) == ["list /pods"], "nothing else was refused to it")
    config = kube.kubeconfig(NAMESPACE, "shima-csi-controller")
    for verb, what in (("get", "secrets"), ("create", "pods"), ("delete", "nodes"), ("update", "clusterroles")):
        expect(kube.try_kubectl("auth", "can-i", verb, what, config=config).out.strip() == "no", f"the controller's account may not {verb} {what}")
    answer = kube.kubectl("delete", "--wait=false", "-f", CHARTS)
    wait_until("the namespace to go", lambda: kube.find(f"/api/v1/namespaces/{NAMESPACE}") is None
               or "deletionTimestamp" in kube.get(f"/api/v1/namespaces/{NAMESPACE}")["metadata"])
    expect(answer.code == 0, "kubectl delete -f charts/csi takes it away")


if __name__ == "__main__":
    check_python()
    import grpc  # noqa: F401  (check_python has looked for it)
    kube_programs(*SIDECARS)
    csi, csi_grpc = make_stubs()
    sys.exit(run_scenarios("csi in kubernetes", ClusterWithKubernetes, [
        the_manifests_are_accepted, its_pods_are_made_and_scheduled, the_node_plugin_reads_its_site, the_sidecars_start_as_deployed,
        capacity_is_known_by_site, an_immediate_claim_is_bound, a_waiting_claim_gets_its_home_where_the_pod_is, a_pod_moves_to_another_site,
        a_claim_grows, a_node_out_of_service_is_fenced, what_is_wrong_is_told_in_events, the_api_server_goes_away, deleted_claims_take_their_volumes,
        their_rights_were_enough_and_are_not_too_many], (*FILE_PROGRAMS, "shima-csi")))
