#!/usr/bin/env python3
"""Both Helm charts by the real helm on a real API server: what they make is taken, every field checked, with their own values and with others that
reach each branch of a template; helm refuses wrong values in words; the operator's chart is installed, upgraded and taken away again, and the definitions
stay; an operator that is told its namespaces has rights to change things in these alone, and they are enough.
"""

import json
import os
import subprocess
import sys
import time

import yaml

from cluster import BIN, ROOT, expect, run_scenarios, say, wait_until
from kube_cluster import BUSY_WORDS, KubeCluster, kube_programs
from kube_crd_test import CLUSTERS, CRDS, EXAMPLES, NAMESPACE, NODES, documents, may, rendered, take_all

OPERATOR, CLUSTER = ROOT / "charts/shima-operator", ROOT / "charts/shima-cluster"
RELEASE = "/apis/apps/v1/namespaces/{}/deployments/shima-operator"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/shimaclusters.shima.io"

# Values by what they are for; each branch of a template is in one of them.
OPERATOR_VALUES = {
    "its own": {},
    "one that does not monitor, on chosen nodes": {
        "replicas": 1, "monitoring": False, "imagePullSecrets": [{"name": "registry"}], "nodeSelector": {"role": "control"},
        "tolerations": [{"key": "control", "operator": "Exists"}], "resources": {"requests": {"cpu": "1"}}},
    "one for two namespaces": {"options": {"namespaces": "default, kube-public", "log-level": "debug", "health-interval": "5s", "lease-name": "storage"}},
}
CLUSTER_VALUES = {
    "its own": {},
    "directories of hosts in listed sites": {"name": "row", "spec": {
        "topology": {"sites": [{"name": "berlin", "matchLabels": {"row": "b"}}], "removedSites": ["munich"]},
        "coreServers": {"perSite": 3, "disks": [{"hostPath": "/srv/0"}, {"hostPath": "/srv/1"}], "options": {"shards": "2", "limits.lag_budget_bytes": "20GiB"},
                        "tolerations": [{"key": "storage", "operator": "Exists"}], "resources": {"requests": {"cpu": "2"}}},
        "accessServers": {"options": {"nfs.exports": "10.1.0.0/16:rw:no_root_squash"}},
        "etcd": {"data": {"hostPath": "/srv/etcd", "claim": None}}}},
    "an etcd that exists, without CSI": {"spec": {"etcd": {"endpoints": ["etcd-0.example:2379"], "data": None}, "csi": {"enabled": False},
                                                  "accessServers": {"perSite": 0}, "storageClasses": []}},
}
# What helm itself says no to: (values, its words).
WRONG_OPERATOR = (
    ({"replicas": "two"}, "'/replicas': got string, want integer"),
    ({"options": {"log-level": "loud"}}, "value must be one of 'error', 'warning', 'info', 'debug'"),
    ({"options": {"lease_name": "x"}}, "additional properties 'lease_name' not allowed"),
    ({"options": {"identity": "x"}}, "additional properties 'identity' not allowed"),
    ({"options": {"health-interval": "soon"}}, "does not match pattern"),
    ({"imagePullPolicy": "Sometimes"}, "value must be one of"),
    ({"replica": 2}, "additional properties 'replica' not allowed"))
WRONG_CLUSTER = (
    ({"spec": {"coreServers": {"perSite": 1}}}, "minimum: got 1, want 2"),
    ({"spec": {"coreServers": {"options": {"shards": 2}}}}, "got number, want string"),
    ({"spec": {"coreServers": {"options": {"shard": "2"}}}}, "additional properties 'shard' not allowed"),
    ({"spec": {"coreServers": {"options": {"control_port": "2"}}}}, "additional properties 'control_port' not allowed"),
    ({"spec": {"coreServers": {"options": {"journal.max_bytes": "12 GB"}}}}, "does not match pattern"),
    ({"spec": {"accessServers": {"options": {"fuse.cache": "none"}}}}, "additional properties 'fuse.cache' not allowed"),
    ({"spec": {"etcd": {"data": {"hostPath": "/srv/etcd"}}}}, "'/spec/etcd/data': 'oneOf' failed"),
    ({"spec": {"etcd": {"endpoints": ["etcd:2379"]}}}, "'/spec/etcd': 'oneOf' failed"),
    ({"spec": {"topology": {"label": "a b"}}}, "does not match pattern"),
    ({"spec": {"perSite": 2}}, "additional properties 'perSite' not allowed"),
    ({"name": "Capital"}, "does not match pattern"))


class Helm:
    def __init__(self, kube):
        self.kube, self.program = kube, kube_programs("helm") / "helm"

    def run(self, *arguments, values=None):
        """(exit code, stdout, stderr)"""
        line = [self.program, *arguments, "--kubeconfig", self.kube.admin]
        if values is not None:
            path = self.kube.folder / "values.json"
            path.write_text(json.dumps(values))
            line += ["--values", path]
        for tries_left in (4, 3, 2, 1, 0):
            answer = self._run(line)
            if answer.returncode == 0 or not tries_left or not any(words in answer.stderr for words in BUSY_WORDS):
                return answer.returncode, answer.stdout, answer.stderr
            say(f"  helm {arguments[0]}, once more: {answer.stderr.strip()[-200:]}")
            if arguments[0] == "install":  # half of it may be there
                self._run([self.program, "uninstall", arguments[1], "--wait", "--ignore-not-found", "--namespace",
                           arguments[arguments.index("--namespace") + 1], "--kubeconfig", self.kube.admin])
            if arguments[0] == "uninstall" and "--ignore-not-found" not in line:
                line.append("--ignore-not-found")
            time.sleep(1)

    def _run(self, line):
        return subprocess.run([*map(str, line)], capture_output=True, text=True, timeout=360,
                              env={**os.environ, "HOME": str(self.kube.folder)})

    def done(self, *arguments, values=None):
        code, out, error = self.run(*arguments, values=values)
        expect(code == 0, f"helm {' '.join(str(word).removeprefix(str(ROOT) + '/') for word in arguments[:3])} {error if code else ''}")
        return out

    def template(self, chart, values, namespace="default"):
        code, out, error = self.run("template", "some", chart, "--namespace", namespace, "--kube-version", "1.29.0", values=values)
        return out if code == 0 else None, error


def helm_finds_nothing_wrong(kube):
    helm = Helm(kube)
    for chart in (OPERATOR, CLUSTER):
        out = helm.done("lint", "--strict", chart)
        expect("[ERROR]" not in out and "[WARNING]" not in out, f"{chart.name}: nothing to object to")


def what_the_charts_make_is_taken(kube):
    helm = Helm(kube)
    kube.kubectl("apply", "--server-side", *(word for path in sorted(CRDS.glob("*.yaml")) for word in ("-f", path)))
    kube.wait_for_definition("shimaclusters.shima.io")
    for chart, sets in ((OPERATOR, OPERATOR_VALUES), (CLUSTER, CLUSTER_VALUES)):
        for what, values in sets.items():
            made, error = helm.template(chart, values)
            expect(made is not None, f"{chart.name} with {what}: helm makes it {error if made is None else ''}")
            answer = kube.try_kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=made)
            count = len([one for one in yaml.safe_load_all(made) if one])
            expect(answer.code == 0 and "Warning" not in answer.err and len(answer.out.splitlines()) == count,
                   f"{chart.name} with {what}: the API server takes {count} objects {answer.err.strip()}")


def the_values_are_the_definitions_defaults(kube):
    """What the chart says by its values is what the API server makes of a spec that says nothing."""
    made, _ = Helm(kube).template(CLUSTER, {}, "default")
    given = yaml.safe_load(made)
    least = {**given, "spec": {"coreServers": {"disks": given["spec"]["coreServers"]["disks"]}, "etcd": {"data": given["spec"]["etcd"]["data"]},
                               "storageClasses": given["spec"]["storageClasses"]}}

    def stored(one):
        return json.loads(kube.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(one)).out)["spec"]
    expect(stored(given) == stored(least), "values.yaml and the definition have the same defaults")


def helm_refuses_wrong_values_in_words(kube):
    helm = Helm(kube)
    for chart, wrong in ((OPERATOR, WRONG_OPERATOR), (CLUSTER, WRONG_CLUSTER)):
        for values, words in wrong:
            made, error = helm.template(chart, values)
            expect(made is None and words in error, f"{chart.name}: {json.dumps(values)}: {words if words in error else error}")


def the_operator_is_installed_upgraded_and_taken_away(kube):
    helm, place = Helm(kube), ("--namespace", "ops")
    kube.kubectl("delete", "crd", "shimaclusters.shima.io", "shimavolumes.shima.io")
    out = helm.done("install", "shima-operator", OPERATOR, *place, "--create-namespace")
    expect("crds/" in out and "kubectl apply --server-side" in out, "its notes say how the definitions are upgraded")
    first = kube.get(RELEASE.format("ops"))
    expect(first["spec"]["replicas"] == 2 and kube.find(DEFINITION) is not None, "the operator and its definitions are there")
    kube.patch(DEFINITION, {"spec": {"names": {"shortNames": ["old"]}}})  # as an older version had it
    helm.done("upgrade", "shima-operator", OPERATOR, *place, values={"replicas": 1, "options": {"log-level": "debug"}})
    second = kube.get(RELEASE.format("ops"))
    expect(second["spec"]["replicas"] == 1 and "--log-level=debug" in second["spec"]["template"]["spec"]["containers"][0]["args"], "an upgrade changes it")
    expect(kube.get(DEFINITION)["spec"]["names"]["shortNames"] == ["old"], "helm leaves the definitions as they are")
    kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRDS)
    expect(kube.get(DEFINITION)["spec"]["names"]["shortNames"] == ["shc"], "the command of the notes upgrades them")
    wait_until("the short name to be served", lambda: kube.try_kubectl("get", "shc", "-A").code == 0)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kube.kubectl("apply", "-f", EXAMPLES / "three-zones.yaml")
    helm.done("uninstall", "shima-operator", *place, "--wait")
    left = [kind for kind in ("clusterrole", "clusterrolebinding") if kube.try_kubectl("get", kind, "shima-operator").code == 0]
    expect(kube.find(RELEASE.format("ops")) is None and not left, f"all of it is gone {left}")
    expect(kube.try_kubectl("get", "shc", "shima", "-n", NAMESPACE).code == 0, "the definitions stay, and so do ShimaClusters")
    kube.kubectl("delete", "shc", "--all", "-A")


def an_operator_of_some_namespaces_may_change_these_alone(kube):
    helm = Helm(kube)
    for name in ("ops", "elsewhere"):
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    helm.done("install", "narrow", OPERATOR, "--namespace", "ops", values={"options": {"namespaces": NAMESPACE}})
    user, config = "system:serviceaccount:ops:shima-operator", kube.kubeconfig("ops", "shima-operator")
    kube.wait_for_rights("ops", "shima-operator")
    stored = json.loads(kube.kubectl("apply", "-o", "json", "-f", "-", stdin=json.dumps(
        next(one for one in documents(EXAMPLES / "three-zones.yaml") if one["kind"] == "ShimaCluster"))).out)
    text = rendered(kube, stored, NODES["three-zones.yaml"])
    count, _ = take_all(kube, text, config)
    expect(count == len(json.loads(text)["items"]) and not kube.refused(user), f"{count} objects applied in its namespace {kube.refused(user) or ''}")
    the_operator_works_with_these_rights(kube, user, config)
    for verb, what, there, elsewhere in (
            ("delete", "pods", "yes", "no"), ("create", "pods/eviction", "yes", "no"), ("patch", "statefulsets.apps", "yes", "no"),
            ("create", "daemonsets.apps", "yes", "no"), ("patch", "configmaps", "yes", "no"), ("create", "rolebindings.rbac.authorization.k8s.io", "yes", "no"),
            ("patch", "shimaclusters.shima.io/status", "yes", "no"), ("delete", "shimavolumes.shima.io", "yes", "no"),
            ("list", "statefulsets.apps", "yes", "yes"), ("get", "secrets", "no", "no"), ("create", "pods", "no", "no")):
        found = [may(kube, config, verb, what, name) for name in (NAMESPACE, "elsewhere")]
        expect(found == [there, elsewhere], f"it may {verb} {what} in its namespace: {found[0]}, elsewhere: {found[1]}")
    other = cluster_role("shima:elsewhere:csi-controller")
    kube.apply(other)
    refused = kube.try_kubectl("label", "clusterrole", other["metadata"]["name"], "a=b", config=config)
    expect("forbidden" in refused.err, "nor may it change ClusterRoles of others")
    leases = [may(kube, config, verb, "leases.coordination.k8s.io", "ops") for verb in ("create", "delete")]
    expect(leases == ["yes", "no"], f"beside itself it may make its Lease: {leases}")
    kube.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=text)
    helm.done("uninstall", "narrow", "--namespace", "ops")


def the_operator_works_with_these_rights(kube, user, config):
    for name, labels in NODES["three-zones.yaml"].items():
        kube.add_node(name, labels)
    sets = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
    kube.delete(f"{sets}/shima-core-zone-a")
    program = kube.program("shima-operator", [BIN / "shima-operator", f"--kubeconfig={config}", "--lease-namespace=ops", f"--namespaces={NAMESPACE}",
                                              "--metrics-port=0"]).start()
    kube.wait_for("the operator to put back what was deleted", f"{sets}/shima-core-zone-a")
    found = kube.wait_for("its status", f"{CLUSTERS}/shima", lambda one: any(
        condition["type"] == "ObjectsApplied" and condition["status"] == "True" for condition in one.get("status", {}).get("conditions", [])), 90)
    program.check()
    program.end()
    expect("shima.io/cluster" in found["metadata"].get("finalizers", ["none"])[0] and not kube.refused(user),
           f"the operator itself works with them, and was refused nothing {kube.refused(user) or ''}")
    kube.patch(f"{CLUSTERS}/shima", {"metadata": {"finalizers": None}})


def the_virtual_machine_fits_the_cluster(kube):
    """KubeVirt's and CDI's definitions cannot be had here (decision 0013), so their objects are not checked field by field; what they ask of us is."""
    classes = {one["name"] for one in next(one for one in documents(EXAMPLES / "three-zones.yaml") if one["kind"] == "ShimaCluster")["spec"]["storageClasses"]}
    disk, machine = documents(EXAMPLES / "virtual-machine.yaml")
    migration, = documents(EXAMPLES / "live-migration.yaml")
    profile, = documents(EXAMPLES / "storageprofile-patch.yaml")
    wanted, running = disk["spec"]["storage"], machine["spec"]["template"]["spec"]
    expect(wanted["storageClassName"] in classes, f"its disk is of a class of three-zones.yaml: {wanted['storageClassName']}")
    kube.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": disk["metadata"], "spec": wanted}))
    expect({"accessModes": wanted["accessModes"], "volumeMode": wanted["volumeMode"]} == profile["spec"]["claimPropertySets"][0],
           "CDI's claim for it is taken, and is what the StorageProfile asks for first")
    expect(wanted["accessModes"] == ["ReadWriteMany"] and running["evictionStrategy"] == "LiveMigrate"
           and all(one["cache"] == "none" for one in running["domain"]["devices"]["disks"]), "it can live-migrate")
    names = {one["name"]: one["dataVolume"]["name"] for one in running["volumes"]}
    expect([names[one["name"]] for one in running["domain"]["devices"]["disks"]] == [disk["metadata"]["name"]], "it runs on that disk")
    target = migration["spec"]["addedNodeSelector"].items()
    expect(migration["spec"]["vmiName"] == machine["metadata"]["name"] and any(target <= labels.items() for labels in NODES["three-zones.yaml"].values()),
           "its migration is to a site of three-zones.yaml")


def cluster_role(name):
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": []}


if __name__ == "__main__":
    sys.exit(run_scenarios("the charts", lambda: KubeCluster(scheduler=False), [
        helm_finds_nothing_wrong, what_the_charts_make_is_taken, the_values_are_the_definitions_defaults, helm_refuses_wrong_values_in_words,
        the_virtual_machine_fits_the_cluster, the_operator_is_installed_upgraded_and_taken_away, an_operator_of_some_namespaces_may_change_these_alone], ("shima-operator", "shima-operator-render")))
