#!/usr/bin/env python3
"""What the operator makes, on real parts of Kubernetes, without the operator's process: the API server takes the CRDs and the examples, and
refuses what each rule must refuse, with the rule's words. Of each example it takes every object that shima-operator-render prints, every
field checked, from somebody who has the operator's rights and no others; the controllers make pods and claims of them, and the scheduler puts
each core server on a host of its own, where it stays.
"""

import contextlib
import copy
import json
import subprocess
import sys

import yaml

from cluster import BIN, ROOT, SKIPPED, expect, run_scenarios, skip_part, wait_until
from kube_cluster import ApiError, KubeCluster

CRDS = ROOT / "charts/shima-operator/crds"
EXAMPLES = ROOT / "charts/examples"
NAMESPACE = "shima-system"
CLUSTERS = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimaclusters"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
VOLUMES = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimavolumes"

# Nodes by example: {name: labels}.
NODES = {
    "three-zones.yaml": {f"node-{zone}{i}": {"topology.kubernetes.io/zone": f"zone-{zone}"} for zone in "abc" for i in (1, 2)},
    "one-node-trial.yaml": {"only": {"topology.kubernetes.io/zone": "home"}},
    "two-data-centres.yaml": {**{f"node-{row}{i}": {"rack-row": row, "storage": "yes"} for row in "bm" for i in (1, 2)},
                              "far": {"role": "witness"}},
}

PLAIN = {"coreServers": {"disks": [{"hostPath": "/srv/shima"}]}, "etcd": {"endpoints": ["etcd-0:2379"]}}


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def with_fields(spec, *changes):
    """A copy of the spec; each change is (path with dots, value), None: taken out."""
    spec = copy.deepcopy(spec)
    for path, value in changes:
        *folders, name = path.split(".")
        place = spec
        for folder in folders:
            place = place.setdefault(folder, {})
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return spec


def cluster_of(spec, name="shima"):
    return {"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def refused(kube, spec, words, what, name="shima"):
    answer = kube.try_kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(cluster_of(spec, name)))
    expect(answer.code != 0 and words in answer.err, f"{what}: refused ('{words}')" if answer.code != 0 and words in answer.err
           else f"{what}: wanted '{words}', found code {answer.code}: {answer.err.strip() or answer.out.strip()}")


def the_definitions_are_taken(kube):
    kube.kubectl("apply", "--validate=strict", "--server-side", *(word for path in sorted(CRDS.glob("*.yaml")) for word in ("-f", path)))
    for name in ("shimaclusters.shima.io", "shimavolumes.shima.io"):
        found = kube.wait_for_definition(name)
        wrong = [one for one in found["status"]["conditions"] if one["type"] == "NonStructuralSchema" and one["status"] == "True"]
        expect(not wrong, f"{name}: its schema is structural {wrong or ''}")
    kube.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for short in ("shc", "shv", "shima"):
        expect(kube.kubectl("get", short, "--namespace", NAMESPACE).code == 0, f"kubectl get {short}")


def what_is_left_out_gets_its_default(kube):
    kube.apply(cluster_of(PLAIN, "defaults"))
    spec = kube.get(f"{CLUSTERS}/defaults")["spec"]
    expect(spec["coreServers"]["perSite"] == 2 and spec["accessServers"]["perSite"] == 2 and spec["csi"]["enabled"] is True and
           spec["topology"]["label"] == "topology.kubernetes.io/zone" and spec["trial"] is False and spec["image"].startswith("shima/"),
           f"a spec of disks and etcd alone is complete: {json.dumps(spec)}")
    columns = kube.kubectl("get", "shc", "--namespace", NAMESPACE).out.splitlines()[0].split()
    expect(columns == ["NAME", "PHASE", "READY", "VOLUMES", "UNHEALTHY", "AGE"], f"kubectl get shows {columns}")
    kube.delete(f"{CLUSTERS}/defaults")


def wrong_specs_are_refused_with_the_rules_words(kube):
    place = "exactly one of hostPath and claim"
    for changes, words, what in (
            ([("coreServers.perSite", 1)], "should be greater than or equal to 2", "one core server"),
            ([("coreServers.perSite", 65)], "should be less than or equal to 64", "65 core servers a site"),
            ([("coreServers.disks", [])], "should have at least 1 items", "no disk"),
            ([("coreServers.disks", None)], "Required value", "disks left out"),
            ([("coreServers.disks", [{}])], place, "a disk that is nowhere"),
            ([("coreServers.disks", [{"hostPath": "/a", "claim": {"size": "1Ti"}}])], place, "a disk in two places"),
            ([("coreServers.disks", [{"hostPath": "srv"}])], "should match", "a path that is not absolute"),
            ([("coreServers.disks", [{"hostPath": "/srv/../etc"}])], "without . and ..", "a path with .."),
            ([("coreServers.disks", [{"hostPath": "/etc/shima"}])], "a directory of the host's system", "a disk in /etc"),
            ([("etcd", {"data": {"hostPath": "/var/lib/kubelet"}})], "a directory of the host's system", "etcd in kubelet's directory"),
            ([("imagePullSecrets", [{"name": "A B"}])], "should match", "a secret that cannot be one"),
            ([("coreServers.disks", [{"claim": {"size": "1Mi"}}])], "at least 1Gi", "a claim of 1 MiB"),
            ([("coreServers.disks", [{"claim": {"size": "big"}}])], "at least 1Gi", "a claim of no size"),
            ([("coreServers.resources", {"requests": {"cpu": "many"}})], "a quantity, as in", "a request that is no quantity"),
            ([("coreServers.options", {"name": "site-a/core-0"})], "an option that the operator sets itself", "a name among the options"),
            ([("coreServers.options", {"networks.wan.port": "1"})], "an option that the operator sets itself", "a port among the options"),
            ([("coreServers.options", {"test.disk_layer": "losing"})], "an option that the operator sets itself", "a disk that loses data"),
            ([("coreServers.tolerations", [{"effect": "NoSchedule"}])], "a key, or operator: Exists", "a toleration of nothing"),
            ([("accessServers.options", {"mount": "/mnt"})], "an option that the operator sets itself", "a mount among the options"),
            ([("etcd.endpoints", None)], "exactly one of endpoints", "no etcd at all"),
            ([("etcd.data", {"hostPath": "/srv/etcd"})], "exactly one of endpoints", "two etcds"),
            ([("etcd.endpoints", ["http://etcd:2379"])], "should match", "an endpoint with a scheme"),
            ([("etcd", None)], "Required value", "etcd left out"),
            ([("etcd.sites", ["a"])], "sites has no meaning with endpoints", "sites of an etcd that exists"),
            ([("etcd", {"data": {"hostPath": "/srv/etcd"}, "sites": ["a", "a"]})], "Duplicate value", "a member's site twice"),
            ([("etcd", {"data": {"hostPath": "/srv/etcd"}, "sites": list("abcdefgh")})], "at most 7 items", "eight members"),
            ([("topology.label", "a b")], "should match", "a label that cannot be one"),
            ([("topology.sites", [{"name": "A", "matchLabels": {"a": "b"}}])], "should match", "a site in capitals"),
            ([("topology.sites", [{"name": "a", "matchLabels": {}}])], "should have at least 1 properties", "a site of all nodes"),
            ([("topology.sites", [{"name": "a", "matchLabels": {"a": "b"}}]), ("topology.removedSites", ["a"])], "in sites and in removedSites",
             "a site that is there and removed"),
            ([("topology.sites", [{"name": "a", "matchLabels": {"a": "b"}}] * 2)], "Duplicate value", "a site twice"),
            ([("storageClasses", [{"name": "a", "isDefault": True}, {"name": "b", "isDefault": True}])], "at most one of storageClasses", "two default classes"),
            ([("storageClasses", [{"name": "a", "parameters": {"colour": "blue"}}])], "known are protocol", "a parameter that nobody knows"),
            ([("image", "a b")], "should match", "an image with a space"),
            ([("csi.kubeletDirectory", "var")], "should match", "a relative kubelet directory"),
            ([("perSite", 2)], 'unknown field "spec.perSite"', "a field in the wrong place")):
        refused(kube, with_fields(PLAIN, *changes), words, what)
    refused(kube, PLAIN, "at most 63 characters", "a name of 64 characters", name="a" * 64)


def what_may_not_change_does_not(kube):
    listed = with_fields(PLAIN, ("topology.sites", [{"name": "a", "matchLabels": {"row": "a"}}, {"name": "b", "matchLabels": {"row": "b"}}]),
                         ("storageClasses", [{"name": "shima", "parameters": {"ack": "all"}}]))
    own = with_fields(PLAIN, ("etcd", {"data": {"claim": {"size": "10Gi"}}, "sites": ["a", "b", "c"]}))
    kube.apply(cluster_of(listed, "listed"), cluster_of(PLAIN, "labelled"), cluster_of(own, "own"))
    site_a = listed["topology"]["sites"][0]
    for name, spec, changes, words in (
            ("labelled", PLAIN, [("topology.label", "example.org/room")], "label cannot be changed"),
            ("labelled", PLAIN, [("topology.sites", [site_a])], "a list of sites cannot replace the label later"),
            ("listed", listed, [("topology.sites", [])], "a list of sites cannot replace the label later"),
            ("listed", listed, [("topology.sites", [site_a])], "only be taken out of the list by naming it in removedSites"),
            ("labelled", PLAIN, [("coreServers.disks", [{"hostPath": "/srv/other"}])], "disks cannot be changed"),
            ("labelled", PLAIN, [("etcd.endpoints", ["etcd-1:2379"])], "endpoints cannot be changed"),
            ("labelled", PLAIN, [("etcd", {"data": {"hostPath": "/srv/etcd"}})], "cannot be changed"),
            ("own", own, [("etcd.data.claim.size", "20Gi")], "data cannot be changed"),
            ("own", own, [("etcd.sites", ["a", "b", "d"])], "sites cannot be changed once they are said"),
            ("labelled", PLAIN, [("trial", True)], "trial cannot be changed"),
            ("listed", listed, [("storageClasses", [{"name": "shima", "parameters": {"ack": "local"}}])], "add one of another name"),
            ("listed", listed, [("storageClasses", [{"name": "shima", "parameters": {"ack": "all"}, "reclaimPolicy": "Retain"}])], "add one of another name")):
        refused(kube, with_fields(spec, *changes), words, f"{name}: {changes[0][0]} is changed", name)
    removed = with_fields(listed, ("topology.sites", [site_a]), ("topology.removedSites", ["b"]), ("coreServers.perSite", 3), ("image", "shima/shima:0.2.0"))
    kube.apply(cluster_of(removed, "listed"))
    expect(True, "a site that is removed by name, more servers and another image are taken")
    for name in ("listed", "labelled", "own"):
        kube.delete(f"{CLUSTERS}/{name}")


def a_volume_is_taken_with_its_status(kube):
    kube.apply({"apiVersion": "shima.io/v1alpha1", "kind": "ShimaVolume", "metadata": {"name": "db", "namespace": NAMESPACE}, "spec": {"name": "db"}})
    now = "2026-01-01T00:00:00Z"
    condition = {"status": "True", "reason": "AllWhole", "message": "", "observedGeneration": 1, "lastTransitionTime": now}
    status = {"observedGeneration": 1, "health": "Healthy", "home": "a", "ack": "local", "sizeBytes": 1 << 30, "usedBytes": 0, "reasons": [],
              "observedTime": now, "lagObservedTime": now, "lagSeconds": 7,
              "sites": [{"name": "a", "role": "Home"}, {"name": "b", "role": "Copy", "connected": True, "whole": True, "lagBytes": 1, "lagSeconds": 7}],
              "publications": [{"node": "n", "site": "a", "readOnly": False}],
              "conditions": [{"type": "Healthy", **condition}, {"type": "Connected", **condition}]}
    kube.request("PATCH", f"{VOLUMES}/db/status?fieldValidation=Strict", {"status": status}, "application/merge-patch+json")
    line = kube.kubectl("get", "shv", "db", "--namespace", NAMESPACE).out.splitlines()[1].split()
    expect(line[:4] == ["db", "Healthy", "a", "local"] and line[-3:-1] == ["7", "AllWhole"], f"kubectl get shv: {line}")
    kube.kubectl("wait", "--for=condition=Healthy", "shv/db", "--namespace", NAMESPACE, "--timeout=60s")
    status.update(health="Unknown", conditions=[{"type": kind, **condition, "status": "Unknown", "reason": "NoAnswer"} for kind in ("Healthy", "Connected")])
    kube.request("PATCH", f"{VOLUMES}/db/status?fieldValidation=Strict", {"status": status}, "application/merge-patch+json")
    line = kube.kubectl("get", "shv", "db", "--namespace", NAMESPACE).out.splitlines()[1].split()
    expect(line[1] == "Unknown" and line[-3:-1] == ["7", "NoAnswer"], f"of which nobody tells: {line}")
    answer = kube.try_kubectl("patch", "shv", "db", "--namespace", NAMESPACE, "--type", "merge", "--patch", '{"spec": {"name": "other"}}')
    expect(answer.code != 0 and "name cannot be changed" in answer.err, "its name cannot be changed")
    kube.delete(f"{VOLUMES}/db")


def node_list(nodes):
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}}
        for name, labels in nodes.items()]}


def rendered(kube, stored, nodes, *flags):
    """What the operator makes of a stored ShimaCluster, as text; problems on the way are an error."""
    files = [kube.folder / "cluster.json", kube.folder / "nodes.json"]
    for path, content in zip(files, (stored, node_list(nodes))):
        path.write_text(json.dumps(content))
    made = subprocess.run([BIN / "shima-operator-render", "--cluster", files[0], "--nodes", files[1], *flags], capture_output=True, text=True)
    expect(made.returncode == 0 and not made.stderr, f"the operator reads what the API server stored {made.stderr}")
    return made.stdout


def take_all(kube, text, config=None):
    """Applies them as the operator does; (objects, the server's warnings)."""
    answer = kube.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "--field-manager=shima-operator", "-f", "-",
                          stdin=text, config=config)
    return len(answer.out.splitlines()), [line for line in answer.err.splitlines() if "Warning" in line]


def versions(kube, text):
    """resourceVersion of each object."""
    found = kube.kubectl("get", "-o", "json", "-f", "-", stdin=text).out
    return {(one["kind"], one["metadata"]["name"]): one["metadata"]["resourceVersion"] for one in json.loads(found)["items"]}


def the_operators_manifest_is_current_and_taken(kube):
    checked = subprocess.run([ROOT / "charts/render", "--check"], capture_output=True, text=True)
    if checked.returncode == SKIPPED:
        skip_part("helm cannot be had here, so that charts/operator.yaml is not compared with the chart")
    else:
        expect(checked.returncode == 0, ", ".join(checked.stdout.splitlines()) + checked.stderr)
    answer = kube.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", ROOT / "charts/operator.yaml")
    expect("Warning" not in answer.err, f"kubectl takes it: {len(answer.out.splitlines())} objects {answer.err}")


def may(kube, config, verb, what, namespace="default"):
    resource, _, subresource = what.partition("/")
    answer = kube.try_kubectl("auth", "can-i", verb, resource, f"--subresource={subresource}", "--namespace", namespace, config=config)
    return answer.out.strip().split(" ")[0]


def the_operators_rights_are_enough(kube):
    """Of its own account, and nothing that it asked for is refused."""
    user, config = f"system:serviceaccount:{NAMESPACE}:shima-operator", kube.kubeconfig(NAMESPACE, "shima-operator")
    kube.wait_for_rights(NAMESPACE, "shima-operator")
    example = "two-data-centres.yaml"
    kube.kubectl("apply", "--validate=strict", "-f", EXAMPLES / example)
    for name, labels in NODES[example].items():
        site = {"b": "berlin", "m": "munich"}.get(labels.get("rack-row"))
        kube.add_node(name, {**labels, **({"topology.shima.io/site": site} if site else {})})
    stored = kube.get(f"{CLUSTERS}/shima")
    text = rendered(kube, stored, NODES[example])
    count, _ = take_all(kube, text, config)
    expect(count == len(json.loads(text)["items"]) and not kube.refused(user), f"{count} objects applied with the operator's rights {kube.refused(user) or ''}")
    for verb, what in (("list", "pods"), ("watch", "shimavolumes.shima.io"), ("create", "shimavolumes.shima.io"), ("patch", "shimavolumes.shima.io/status"),
                       ("patch", "shimaclusters.shima.io/status"), ("patch", "shimaclusters.shima.io"), ("patch", "nodes"), ("create", "pods/eviction"),
                       ("delete", "pods"), ("create", "events.events.k8s.io"), ("update", "leases.coordination.k8s.io"), ("delete", "persistentvolumes")):
        expect(may(kube, config, verb, what) == "yes", f"it may {verb} {what}")
    for verb, what in (("get", "secrets"), ("create", "pods"), ("delete", "nodes"), ("delete", "persistentvolumeclaims"), ("escalate", "clusterroles"),
                       ("delete", "namespaces")):
        expect(may(kube, config, verb, what) == "no", f"it may not {verb} {what}")


def pods_of(kube, component):
    return {one["metadata"]["name"]: one for one in kube.items(f"{PODS}?labelSelector=app.kubernetes.io/component={component}")}


def core_servers_are_on_hosts_of_their_own_and_stay_there(kube):
    def scheduled(component, count):
        found = pods_of(kube, component)
        return found if len(found) == count and all(one["spec"].get("nodeName") for one in found.values()) else None
    core = wait_until("4 core servers to be scheduled", lambda: scheduled("core-server", 4))
    places = {name: one["spec"]["nodeName"] for name, one in core.items()}
    expect(sorted(places.values()) == ["node-b1", "node-b2", "node-m1", "node-m2"], f"one a host: {places}")
    expect(all(node.startswith("node-" + name.split("-")[2][0]) for name, node in places.items()), "each in its site")
    index = {one["metadata"]["name"]: one["metadata"]["labels"].get("apps.kubernetes.io/pod-index") for one in core.values()}
    expect(all(name.endswith(f"-{value}") for name, value in index.items()), f"the label that their names come from is there: {index}")
    etcd = wait_until("3 members of etcd to be scheduled", lambda: scheduled("etcd", 3))
    expect(etcd["shima-witness-0"]["spec"]["nodeName"] == "far", "etcd's third member is in neither data centre")
    for name, node in places.items():
        for disk in (0, 1):
            claim = kube.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/disk-{disk}-{name}")
            expect(claim["spec"].get("volumeName") == f"shima-{NAMESPACE}-core-{disk}-{node}", f"disk {disk} of {name} is a directory of {node}")
    gone = "shima-core-berlin-0"
    before = core[gone]["metadata"]["uid"]
    kube.delete(f"{PODS}/{gone}", grace_s=0)
    other = [name for name in NODES["two-data-centres.yaml"] if name == places[gone]]
    again = wait_until("it to be made again", lambda: [one for name, one in pods_of(kube, "core-server").items() if name == gone
                                                       and one["metadata"]["uid"] != before and one["spec"].get("nodeName")])
    expect([again[0]["spec"]["nodeName"]] == other, "a core server that is made again is on its host again")
    kube.patch(f"/api/v1/nodes/{places[gone]}", {"spec": {"unschedulable": True}})

    def waits():
        one = kube.find(f"{PODS}/{gone}")
        # That of before, or the scheduler had not heard of the cordon.
        if one is not None and one["spec"].get("nodeName"):
            assert one["spec"]["nodeName"] == places[gone], f"{gone} went to {one['spec']['nodeName']}"
            with contextlib.suppress(ApiError):  # it has gone
                kube.request("DELETE", f"{PODS}/{gone}", {
                    "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                    "preconditions": {"uid": one["metadata"]["uid"]}})
            return False
        return one is not None and any(condition["type"] == "PodScheduled" and condition["status"] == "False"
                                       for condition in one["status"].get("conditions", []))
    wait_until("the scheduler to find no place", waits)
    expect(True, "while its host is cordoned it waits, and goes nowhere else")


def a_deleted_cluster_leaves_what_volumes_need_to_the_operator(kube):
    """The garbage collector takes what is owned before a finalizer is asked: so nothing that serves data has an owner, and no operator runs here."""
    workloads = [f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind}" for kind in ("statefulsets", "daemonsets", "deployments")]

    def names():
        return {(path, one["metadata"]["name"]) for path in workloads for one in kube.items(path)}
    before = names()
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "namespace": NAMESPACE, "ownerReferences": [
        {"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "name": "shima", "uid": kube.get(f"{CLUSTERS}/shima")["metadata"]["uid"]}]}})
    kube.delete(f"{CLUSTERS}/shima")
    kube.wait_gone("what has an owner", f"/api/v1/namespaces/{NAMESPACE}/configmaps/owned")
    expect(names() == before and len(before) > 8, f"the garbage collector leaves all {len(before)} workloads")
    for path, name in before:
        kube.delete(f"{path}/{name}")
    wait_until("them to be gone", lambda: not names() - {(workloads[2], "shima-operator")})
    claims = kube.items(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")
    expect(len(claims) == 2 * 4 + 3, f"the data stays: {len(claims)} claims")
    kube.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", "--namespace", NAMESPACE)  # no kubelet tells that they ended
    kube.kubectl("delete", "pvc", "--all", "--wait=false", "--namespace", NAMESPACE)
    kube.kubectl("delete", "persistentvolumes", "--all", "--wait=false")
    wait_until("the volumes to be gone", lambda: not kube.items("/api/v1/persistentvolumes"))


def the_examples_and_all_their_objects_are_taken(kube):
    files = [path for path in sorted(EXAMPLES.glob("*.yaml")) if any(one.get("kind") == "ShimaCluster" for one in documents(path))]
    expect({path.name for path in files} == set(NODES), f"every ShimaCluster among the examples has nodes here: {[path.name for path in files]}")
    for path in files:
        kube.kubectl("apply", "--validate=strict", "-f", path)
        text = rendered(kube, kube.get(f"{CLUSTERS}/shima"), NODES[path.name])
        count, warnings = take_all(kube, text)
        expect(count == len(json.loads(text)["items"]) and not warnings, f"{path.name}: {count} objects are taken, every field checked {warnings or ''}")
        specs = [one for one in versions(kube, text).items() if one[0][0] in ("ConfigMap", "Service", "ClusterRole", "NetworkPolicy", "CSIDriver")]
        take_all(kube, text)
        expect(set(specs) <= set(versions(kube, text).items()), f"{path.name}: to apply them again changes nothing")
        kube.delete(f"{CLUSTERS}/shima")
        kube.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=text)


if __name__ == "__main__":
    sys.exit(run_scenarios("the operator's definitions", KubeCluster, [
        the_definitions_are_taken, what_is_left_out_gets_its_default, wrong_specs_are_refused_with_the_rules_words,
        what_may_not_change_does_not, a_volume_is_taken_with_its_status, the_operators_manifest_is_current_and_taken, the_operators_rights_are_enough,
        core_servers_are_on_hosts_of_their_own_and_stay_there, a_deleted_cluster_leaves_what_volumes_need_to_the_operator, the_examples_and_all_their_objects_are_taken],
        ("shima-operator-render",)))
