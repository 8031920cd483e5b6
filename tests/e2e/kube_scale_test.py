#!/usr/bin/env python3
"""What a large cluster costs: shima-operator with its chart's rights against a real API server with 1,000 nodes, 2,000 pods of the CSI driver, 10,000
ShimaVolumes and 10,000 VolumeAttachments (SHIMA_TEST_LONG=1; a tenth of that otherwise): memory, how long it takes from nothing, calls by
verb and kind at rest, and what it costs to find out whether one node may move. Simulated: nobody runs, so no core server tells of
volumes (10,000 of these are in tests/unit/operator/reconcile), and objects are made by the test.
"""

import concurrent.futures
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from cluster import BIN, LONG, ROOT, expect, run_scenarios, say, wait_until
from kube_cluster import BUSY, BUSY_TRIES, KubeCluster, expect_few_calls, free_port, more_than, requests_at_rest

NAMESPACE, NAME, ZONE, SITE = "shima-system", "shima", "topology.kubernetes.io/zone", "topology.shima.io/site"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:shima-operator"
NODES, VOLUMES = (1_000, 10_000) if LONG else (100, 1_000)
REST_S = 120 if LONG else 12
MOST_MIB = 256 if LONG else 128  # of the 512 that the chart gives
SITES = ("site-a", "site-b", "site-c")
CLUSTERS = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimaclusters"
SHIMA_VOLUMES = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimavolumes"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
SPEC = {"coreServers": {"disks": [{"claim": {"size": "1Ti"}}]}, "etcd": {"data": {"claim": {"size": "10Gi"}}}, "storageClasses": [{"name": "shima"}]}


class Crowd:
    """Makes many objects, over connections that are kept."""

    def __init__(self, kube, threads=6):
        self.kube, self.local, self.pool = kube, threading.local(), concurrent.futures.ThreadPoolExecutor(threads)

    def _post(self, path_and_body):
        path, body = path_and_body
        for tries_left in reversed(range(BUSY_TRIES)):
            try:
                if not hasattr(self.local, "connection"):
                    self.local.connection = http.client.HTTPSConnection("127.0.0.1", self.kube.port, timeout=60,
                                                                        context=self.kube._context)
                self.local.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                answer = self.local.connection.getresponse()
                text = answer.read()
                if answer.status in (200, 201) or answer.status == 409 and tries_left < BUSY_TRIES - 1:
                    return
                assert answer.status in BUSY and tries_left, f"POST {path}: {answer.status} {text[:300]}"
                time.sleep(1)
            except (OSError, http.client.HTTPException):  # a connection on which nothing was asked for 90 s is closed
                self.local.connection.close()
                del self.local.connection
                if not tries_left:
                    raise

    def make(self, what, objects):
        begin, count = time.monotonic(), 0
        for _ in self.pool.map(self._post, objects):
            count += 1
        say(f"{count} {what} in {time.monotonic() - begin:.1f} s")


class ClusterWithOperator(KubeCluster):
    def __init__(self):
        super().__init__(controllers=False, scheduler=False)
        self.operator, self.metrics_port = None, free_port()

    def start_operator(self):
        container = self.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shima-operator")["spec"]["template"]["spec"]["containers"][0]
        given = [flag.replace("$(POD_NAME)", "operator-0").replace("$(POD_NAMESPACE)", NAMESPACE) for flag in container["args"]]
        flags = [flag for flag in given if not flag.startswith("--metrics-port=")] + [f"--metrics-port={self.metrics_port}",
                                                                                     "--metrics-address=127.0.0.1"]
        self.operator = self.program("operator", self.as_pod(NAMESPACE, "shima-operator", BIN / "shima-operator", *flags)).start()
        wait_until("the operator to be ready", self._is_ready, 120)

    def _is_ready(self):
        self.operator.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def memory_mib(self):
        """(now, the most so far)"""
        with open(f"/proc/{self.operator.process.pid}/status", encoding="utf-8") as file:
            found = dict(line.split(":", 1) for line in file)
        return tuple(int(found[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))

    def processor_s(self):
        with open(f"/proc/{self.operator.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def unanswered(self, verb):
        """How many of the operator's calls had no answer, or a bad one: it made them again."""
        def told():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as answer:
                    text = answer.read().decode()
                return re.findall(r"^shima_operator_api_calls_total\{(.*)\} (\d+)", text, re.MULTILINE)
            except (OSError, http.client.HTTPException):
                return None
        return sum(int(count) for labels, count in wait_until("the operator's metrics", told)
                   if f'verb="{verb}"' in labels and 'result="ok"' not in labels)

    def labelled(self):
        return sum(SITE in node["metadata"]["labels"] for node in self.items("/api/v1/nodes"))

    def condition(self, kind):
        conditions = self.get(f"{CLUSTERS}/{NAME}").get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})


# ---- objects ---------------------------------------------------------------------------------------------------------

def node(number):
    """As large as those of a cloud, with images and annotations, which the operator does not keep."""
    name = f"node-{number:04}"
    return "/api/v1/nodes", {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, ZONE: SITES[number % 3], "kubernetes.io/os": "linux"},
                     "annotations": {f"example.com/note-{i}": "x" * 200 for i in range(5)}},
        "status": {"conditions": [{"type": kind, "status": "False" if kind != "Ready" else "True", "reason": "Kubelet", "message": "kubelet says so",
                                   "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                                  for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")],
                   "addresses": [{"type": "InternalIP", "address": f"10.1.{number // 250}.{number % 250 + 1}"}],
                   "images": [{"names": [f"registry.example.com/some/image-{i}@sha256:{'0' * 64}"], "sizeBytes": 1 << 28} for i in range(20)]}}


def pod_of(daemon_set, node_name):
    template = daemon_set["spec"]["template"]
    name = f"{daemon_set['metadata']['name']}-{node_name}"
    return f"/api/v1/namespaces/{NAMESPACE}/pods", {
        "metadata": {"name": name, "labels": template["metadata"]["labels"]}, "spec": {**template["spec"], "nodeName": node_name}}


def volume_name(number):
    return f"pvc-00000000-0000-0000-0000-{number:012}"


def volume(uid):
    labels = {"shima.io/cluster": NAME, "shima.io/cluster-namespace": NAMESPACE, "app.kubernetes.io/managed-by": "shima-operator"}
    owner = {"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "name": NAME, "uid": uid}
    return lambda number: (SHIMA_VOLUMES, {
        "apiVersion": "shima.io/v1alpha1", "kind": "ShimaVolume",
        "metadata": {"name": volume_name(number), "labels": labels, "ownerReferences": [owner]}, "spec": {"name": volume_name(number)}})


def attachment(number):
    return ATTACHMENTS, {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": f"csi-{number:064}"}, "spec": {
        "attacher": "shima.io", "nodeName": f"node-{number % (NODES - 2):04}",  # none at the last two
        "source": {"persistentVolumeName": volume_name(number)}}}


# ---- scenarios -------------------------------------------------------------------------------------------------------

def all_nodes_are_labelled_and_all_objects_made(kube):
    crowd = kube.crowd = Crowd(kube)
    kube.kubectl("apply", "--server-side", "-f", ROOT / "charts/operator.yaml")
    for name in ("shimaclusters.shima.io", "shimavolumes.shima.io"):
        kube.wait_for_definition(name)
    crowd.make("nodes", map(node, range(NODES)))
    crowd.make("VolumeAttachments", map(attachment, range(VOLUMES)))
    kube.start_operator()
    begin = time.monotonic()
    wait_until("ShimaClusters to be served", lambda: kube.find(CLUSTERS) is not None)
    kube.apply({"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": SPEC})
    wait_until("all nodes to be labelled", lambda: kube.labelled() == NODES, 180)
    wait_until("every object to be applied", lambda: kube.condition("ObjectsApplied").get("status") == "True", 120)
    expect(True, f"{NODES} nodes are labelled and all objects applied {time.monotonic() - begin:.1f} s after there was a ShimaCluster")
    written = [one for one in kube.requests(ACCOUNT) if one["resource"] == "nodes" and one["verb"] == "patch"]
    again = kube.unanswered("patch")
    expect(len({one["name"] for one in written}) == NODES and len(written) <= NODES + again,
           f"each node is written once: {len(written)} writes, {again} of which were not answered in time")


def at_rest_nothing_is_written_and_little_is_kept(kube):
    uid = kube.get(f"{CLUSTERS}/{NAME}")["metadata"]["uid"]
    sets = {(one["metadata"]["labels"]["app.kubernetes.io/component"], one["metadata"]["labels"]["shima.io/site"]): one
            for one in kube.items(f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets")}
    kube.crowd.make("pods", [pod_of(sets[component, SITES[number % 3]], f"node-{number:04}")
                             for component in ("csi-node", "csi-mounter") for number in range(NODES)])
    kube.crowd.make("ShimaVolumes", map(volume(uid), range(VOLUMES)))
    time.sleep(15 if LONG else 8)
    begin, processor = time.monotonic(), kube.processor_s()
    asked, seconds = requests_at_rest(kube, ACCOUNT, REST_S, ("get", "watch"))
    used = (kube.processor_s() - processor) / (time.monotonic() - begin)
    now, most = kube.memory_mib()
    print_table(asked, seconds)
    say(f"memory: {now:.0f} MiB, at most {most:.0f} MiB; processor: {100 * used:.1f} % of a core")
    expect(most < MOST_MIB, f"{NODES} nodes, {2 * NODES} pods and {VOLUMES} volumes are kept in less than {MOST_MIB} MiB")
    more = more_than(("get", "watch"), asked)
    expect(not more, f"nothing is written but the lease, and nothing is listed {more[:3] or ''}")
    expect_few_calls(asked, seconds)


def print_table(asked, seconds):
    table = {}
    for one in asked:
        what = (one["verb"], one["resource"] or "discovery")
        table[what] = table.get(what, 0) + 1
    print("\n| call | in the window | an hour |\n|---|---:|---:|")
    for (verb, resource), count in sorted(table.items()):
        print(f"| {verb} {resource} | {count} | {count * 3600 / seconds:.0f} |")
    print(flush=True)


def whether_a_node_may_move_costs_one_list(kube):
    """Of attachments, of which there may be as many as volumes: only if nothing else holds the node, and when it is asked for."""
    before, unanswered = len(kube.requests(ACCOUNT)), kube.unanswered("list")
    held, free = "node-0000", f"node-{NODES - 1:04}"
    kube.patch(f"/api/v1/nodes/{held}", {"metadata": {"labels": {ZONE: "site-b"}}})
    wait_until("the condition", lambda: f"node {held} would move" in kube.condition("NodesWouldMove").get("message", ""), 60)
    message = kube.condition("NodesWouldMove")["message"]
    expect(f"{len(range(0, VOLUMES, NODES - 2))} attached volumes" in message, message[:120])
    chunks = -(-VOLUMES // 500)

    def ended():
        calls = [one["uri"] for one in kube.requests(ACCOUNT, before) if one["resource"] == "volumeattachments"]
        lists, broken = sum("continue=" not in uri for uri in calls), kube.unanswered("list") - unanswered
        return (calls, lists, broken) if len(calls) >= chunks * (lists - broken) > 0 else None
    calls, lists, broken = wait_until("lists that have begun to end", ended)
    expect(lists - broken <= 3 and len(calls) <= chunks * lists,
           f"{len(calls)} calls in {lists} lists, {broken} of which were not answered in time; {chunks} a list")
    wanted = SITES[NODES % 3]
    kube.patch(f"/api/v1/nodes/{free}", {"metadata": {"labels": {ZONE: wanted}}})
    wait_until("a free node to move", lambda: kube.get(f"/api/v1/nodes/{free}")["metadata"]["labels"][SITE] == wanted, 60)
    now, most = kube.memory_mib()
    say(f"memory after lists of {VOLUMES} attachments: {now:.0f} MiB, at most {most:.0f} MiB")
    expect(most < 400, "and these lists leave room below the chart's limit of 512 MiB")


def it_ends_as_asked(kube):
    begin = time.monotonic()
    kube.operator.process.send_signal(signal.SIGTERM)
    try:
        code = kube.operator.process.wait(60)
    except subprocess.TimeoutExpired:
        code = None
    expect(code == 0, f"it ends {time.monotonic() - begin:.1f} s after it was asked to")


if __name__ == "__main__":
    sys.exit(run_scenarios("a large cluster", ClusterWithOperator, [
        all_nodes_are_labelled_and_all_objects_made, at_rest_nothing_is_written_and_little_is_kept, whether_a_node_may_move_costs_one_list,
        it_ends_as_asked], ("shima-operator",)))
