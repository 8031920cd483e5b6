"""Scenarios of kube_operator_test.py: nodes that change their site or are drained, a site whose copies are cut off, and sites that grow."""

import time

from cluster import DONE, expect, skip_scenario, wait_until
from kube_cluster import ApiError

NAMESPACE, ZONE, SITE = "shima-system", "topology.kubernetes.io/zone", "topology.shima.io/site"
SITES = ("site-a", "site-b", "site-c")
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
CORE, MOUNTER = "app.kubernetes.io/component=core-server", "app.kubernetes.io/component=csi-mounter"


def label(kube, node):
    return kube.get(f"/api/v1/nodes/{node}")["metadata"]["labels"].get(SITE)


def set_label(kube, node, key, value):
    kube.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {key: value}}})


def pods_on(cluster, node, selector=MOUNTER):
    return [pod for pod in cluster.pods(selector) if pod["spec"].get("nodeName") == node and "deletionTimestamp" not in pod["metadata"]]


def mounter_of(cluster, node, site):
    found = [pod for pod in pods_on(cluster, node) if pod["metadata"]["labels"]["shima.io/site"] == site]
    return found[0]["metadata"]["uid"] if found else None


def a_node_in_use_keeps_its_site(cluster):
    """Its mounter, under which mounts live, runs as long as a volume is attached there."""
    kube = cluster.kube
    kube.add_node("node-m", {ZONE: "site-a"})
    uid = wait_until("node-m's mounter", lambda: mounter_of(cluster, "node-m", "site-a"))
    expect(label(kube, "node-m") == "site-a", "a node that joins is labelled with its site")
    kube.create(ATTACHMENTS, {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "held"}, "spec": {
        "attacher": "shima.io", "nodeName": "node-m", "source": {"persistentVolumeName": "pvc-one"}}})
    set_label(kube, "node-m", ZONE, "site-b")
    found = cluster.wait_condition("NodesWouldMove", "True", "InUse", "node node-m would move from site site-a to site site-b")
    time.sleep(3)
    expect(label(kube, "node-m") == "site-a" and mounter_of(cluster, "node-m", "site-a") == uid, f"it stays: {found['message'][:120]}")
    set_label(kube, "node-m", SITE, None)
    wait_until("the label to be put back", lambda: label(kube, "node-m") is not None)
    # Whoever takes our label off has said that the node may go: there is nothing left that says where it was.
    expect(label(kube, "node-m") == "site-b", "a label that somebody took off is put back, as the zone says")
    wait_until("the mounter of site-b", lambda: mounter_of(cluster, "node-m", "site-b"))
    set_label(kube, "node-m", ZONE, "site-c")
    cluster.wait_condition("NodesWouldMove", "True", "InUse", "to site site-c")
    kube.delete(f"{ATTACHMENTS}/held")
    wait_until("the node to move", lambda: label(kube, "node-m") == "site-c", 60)
    wait_until("the mounter of site-c", lambda: mounter_of(cluster, "node-m", "site-c"))
    cluster.wait_condition("NodesWouldMove", "False", "NoneWaits")
    wait_until("an event", lambda: any("node-m goes from site site-b to site site-c" in note for note in cluster.events("NodeMoved")))
    expect(True, "once nothing is attached, it moves")
    kube.delete("/api/v1/nodes/node-m")


def a_core_server_holds_its_node(cluster):
    kube = cluster.kube
    pod = next(one for one in cluster.pods(CORE) if one["metadata"]["name"] == "shima-core-site-c-1")
    node = pod["spec"]["nodeName"]
    set_label(kube, node, ZONE, "site-b")
    found = cluster.wait_condition("NodesWouldMove", "True", "InUse", f"node {node} would move")
    expect("shima-core-site-c-1" in found["message"] and label(kube, node) == "site-c", f"it is named: {found['message'][:160]}")
    set_label(kube, node, ZONE, "site-c")
    cluster.wait_condition("NodesWouldMove", "False")


def evict(kube, pod):
    """The HTTP status."""
    try:
        kube.create(f"{PODS}/{pod}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}})
    except ApiError as error:
        return error.code
    return 201


def evicted(kube, wanted, other):
    """The HTTP statuses, once one of them may go: while a core server stands still none may, whatever was said."""
    def codes():
        found = [evict(kube, wanted), evict(kube, other)]
        return found if found != [429, 429] else None
    return wait_until("one to be evicted", codes)


def cordon(kube, node, yes=True):
    kube.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": yes or None}})


def wait_for_budget(kube, site):
    """Until it lets one core server go; the operator waits 30 s after another one did."""
    path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/shima-core-{site}"
    kube.wait_for(f"the budget of {site} to allow one", path, lambda one: one["status"].get("disruptionsAllowed") == 1, 120)


def drained_nodes_lose_one_core_server(cluster):
    """As `kubectl drain` and KubeVirt's evacuation do it: volumes leave first. Of two nodes at the same time one server goes."""
    kube = cluster.kube
    cluster.wait_condition("Ready", "True", timeout_s=120)
    pods = {pod["metadata"]["name"]: pod for pod in cluster.pods(CORE)}
    first, second = "shima-core-site-b-0", "shima-core-site-c-0"
    nodes = [pods[name]["spec"]["nodeName"] for name in (first, second)]
    mounters = {node: pods_on(cluster, node)[0]["metadata"]["uid"] for node in nodes}
    cluster.insist("volume", "unpublish", "vm1", "node-c1")  # of a scenario before
    cluster.insist("volume", "publish", "vm1", nodes[0], "--site", "site-b")
    expect([evict(kube, name) for name in (first, second)] == [429, 429], "at rest no core server may be evicted")
    cordon(kube, nodes[0])
    found = cluster.wait_condition("NodesDraining", "True", "Waiting", "waiting until volume vm1 is no longer published there")
    expect(evict(kube, first) == 429, f"nor while the drained node has a volume: {found['message']}")
    cluster.insist("volume", "unpublish", "vm1", nodes[0])
    wait_for_budget(kube, "site-b")
    cordon(kube, nodes[1])
    codes = evicted(kube, first, second)
    expect(codes == [201, 429], f"once it has left, of two core servers on drained nodes one may go: {codes}")
    kube.wait_for("it to wait for its node", f"{PODS}/{first}", lambda one: one["metadata"]["uid"] != pods[first]["metadata"]["uid"]
                  and not one["spec"].get("nodeName"))
    cluster.wait_condition("NodesDraining", "True", "Waiting", "waiting until site-b/core-0 is ready")
    expect(evict(kube, second) == 429, "and no other while it waits for its node")
    expect(all(pods_on(cluster, node)[0]["metadata"]["uid"] == uid for node, uid in mounters.items()), "the mounters of both stay")
    cordon(kube, nodes[0], False)
    kube.wait_for("it to be back on its node", f"{PODS}/{first}", lambda one: one["spec"].get("nodeName") == nodes[0])
    wait_for_budget(kube, "site-c")
    expect(evicted(kube, second, first) == [201, 429], "then the other one may, and it alone")
    cordon(kube, nodes[1], False)
    kube.wait_for("it to be back on its node", f"{PODS}/{second}", lambda one: one["metadata"]["uid"] != pods[second]["metadata"]["uid"]
                  and one["spec"].get("nodeName") == nodes[1])
    cluster.wait_condition("NodesDraining", "False")
    cluster.wait_condition("Ready", "True", timeout_s=120)


def images(cluster):
    return {pod["spec"]["containers"][0]["image"] for pod in cluster.pods(CORE)}


def remotes_away(cluster):
    """Left out of a look in which a thread of the server stands still."""
    answer = cluster.try_ctl("stats", "site-a/core-0")
    values = answer.json["values"] if answer.code == DONE else []
    return next((one["value"] for one in values if one["name"] == "remote_members_away"), 0)


def an_upgrade_waits_while_replication_is_cut_off(cluster):
    """Of all that core servers say to each other only what goes to other sites: pods are ready, leases are held, and etcd's records show nothing."""
    cluster.wait_condition("Ready", "True", timeout_s=120)
    drop = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
    drop += "; ".join(f"add rule inet cut in tcp {port} 7003 drop" for port in ("sport", "dport"))
    answer = cluster.run("site-c", "nft", drop)
    if answer.code != 0:
        skip_scenario(f"nft cannot filter here: {answer.err.strip()}")
    try:
        wait_until("the home to miss site-c's copies", lambda: remotes_away(cluster) > 0)
        cluster.change_spec(image="shima/shima:cut")
        found = cluster.wait_condition("Upgrading", "True", "Waiting", "at other sites")
        time.sleep(6)
        expect("shima/shima:cut" not in images(cluster), f"nothing restarts: {found['message']}")
        cluster.wait_condition("VolumesHealthy", "True")
        expect(True, "which the records of etcd do not show")
    finally:
        cluster.run("site-c", "nft", "delete table inet cut")
    wait_until("all core servers to run the new image", lambda: images(cluster) == {"shima/shima:cut"}, 300)
    expect(True, "then it goes on")


def sites_grow_but_do_not_shrink(cluster):
    """The third core servers run in name only: their pods are scheduled, bound to disks and said to be ready."""
    kube = cluster.kube
    spec = cluster.object()["spec"]
    for site in SITES:
        kube.add_node(f"node-{site[-1]}2", {ZONE: site})
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods(CORE)}
    cluster.change_spec(coreServers={"perSite": 3}, accessServers={"perSite": 2})
    cluster.wait_condition("CoreServersReady", "True", text="9 of 9", timeout_s=120)
    cluster.wait_condition("AccessServersReady", "True", text="6 of 6", timeout_s=120)
    after = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods(CORE)}
    expect(before.items() <= after.items() and len(after) == 9, "three core servers are added, and none of the others is restarted")
    cluster.change_spec(coreServers={"perSite": 2}, accessServers={"perSite": 1})
    found = cluster.wait_condition("SpecAccepted", "False", "PartlyRefused", "keeps its 3 core servers")
    cluster.wait_condition("AccessServersReady", "True", text="3 of 3", timeout_s=120)
    expect(all(kube.get(f"{SETS}/shima-core-{site}")["spec"]["replicas"] == 3 for site in SITES), f"core servers stay: {found['message'][:140]}")
    cluster.change_spec(coreServers={"perSite": 3}, accessServers=spec["accessServers"])
    cluster.wait_condition("Ready", "True", timeout_s=120)
