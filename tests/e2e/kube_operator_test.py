#!/usr/bin/env python3
"""From one manifest to a cluster over three sites, and its life, by the real parts: shima-operator with the rights that its chart gives it,
against a real API server with the controllers and the scheduler of Kubernetes. Its core servers are those of a real devcluster, which
the operator finds under the DNS names of its pods, by an /etc/hosts of its own. What is simulated is kubelet: a pod that has a node becomes
ready, and one that is deleted goes.
"""

import contextlib
import http.client
import json
import signal
import sys
import threading
import time

import kube_operator_addresses as addresses
import kube_operator_away as away
import kube_operator_mishaps as mishaps
import kube_operator_sites as sites
import kube_operator_volumes as volumes
from cluster import (BIN, DONE, EXISTS, LONG, NOT_FOUND, PROGRAMS, ROOT, UNKNOWN, UNREACHABLE, Cluster, expect,
                     run_scenarios, say, wait_until)
from kube_cluster import ApiError, KubeCluster, expect_few_calls, free_port, more_than, requests_at_rest

MANIFEST = ROOT / "charts/operator.yaml"
NAMESPACE, NAME, ZONE = "shima-system", "shima", "topology.kubernetes.io/zone"
SITES = ("site-a", "site-b", "site-c")
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:shima-operator"
CORE, ETCD = "app.kubernetes.io/component=core-server", "app.kubernetes.io/component=etcd"

CLUSTERS = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimaclusters"
VOLUMES = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimavolumes"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/shima-operator"
NOT_RELEASED = "is not released"  # as a renewal that was under way was written after all
RELEASE_S = 1.5  # for which an operator that ends waits for each of the two calls that give the lease back

# Run in a site: the HTTP status, 0 if nobody answers, and the text.
FETCH = """
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
        print(answer.status, answer.read().decode(), sep="\\n")
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
    print(0)
"""

SPEC = {
    "image": "shima/shima:one",
    "coreServers": {"perSite": 2, "disks": [{"hostPath": "/var/lib/shima/disk-0"}]},
    "accessServers": {"perSite": 1},
    "etcd": {"data": {"hostPath": "/var/lib/shima/etcd"}},
    "storageClasses": [{"name": "shima", "isDefault": True}, {"name": "shima-all", "parameters": {"ack": "all"}}]}


def ready(pod):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", []))


class Kubelets(threading.Thread):
    """Of all nodes. `least_ready`: of core servers at any moment since watch_core()."""

    def __init__(self, kube):
        super().__init__(daemon=True)
        self.kube, self.ending, self.least_ready, self.address = kube, threading.Event(), None, 0

    def run(self):
        while not self.ending.wait(0.2):
            with contextlib.suppress(ApiError, OSError, ValueError, http.client.HTTPException):  # the API server may be away
                self._look()

    def stop(self):
        self.ending.set()
        if self.is_alive():
            self.join(20)

    def watch_core(self):
        self.least_ready = 10_000

    def _look(self):
        pods = self.kube.items(PODS)
        core = [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/component") == "core-server"]
        if self.least_ready is not None:
            self.least_ready = min(self.least_ready, sum(ready(pod) for pod in core if "deletionTimestamp" not in pod["metadata"]))
        for pod in pods:
            with contextlib.suppress(ApiError):
                self._look_after(pod)

    def _look_after(self, pod):
        path = f"{PODS}/{pod['metadata']['name']}"
        if "deletionTimestamp" in pod["metadata"]:
            self.kube.delete(path, grace_s=0)
        elif pod["spec"].get("nodeName") and not ready(pod):
            self.address += 1
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            address = f"10.200.{self.address // 250 % 250}.{self.address % 250 + 1}"
            self.kube.patch(f"{path}/status", {"status": {
                "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
                "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now}
                               for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
                "containerStatuses": [{"name": one["name"], "image": one["image"], "imageID": "", "ready": True, "restartCount": 0,
                                       "state": {"running": {"startedAt": now}}} for one in pod["spec"]["containers"]]}})


class Operator:
    """A shima-operator with its Deployment's arguments and account, and a shorter patience; in site-a, where the core servers can be reached.
    `programs`: the folder of the build that the next start() runs; `unknown`: today's flags that this build does not have."""

    programs, unknown = BIN, ()

    def __init__(self, cluster, name):
        self.cluster, self.name, self.port, self.process = cluster, name, free_port(), None
        self.log_path = cluster.folder / f"{name}.log"

    def start(self, *before):
        """`before`: a program that starts the operator, as env(1) does."""
        kube = self.cluster.kube
        container = kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shima-operator")["spec"]["template"]["spec"]["containers"][0]
        given = [flag.replace("$(POD_NAME)", self.name).replace("$(POD_NAMESPACE)", NAMESPACE) for flag in container["args"]]
        flags = [flag for flag in given if not flag.startswith(("--metrics-port=", *self.unknown))]
        flags += [f"--metrics-port={self.port}", "--metrics-address=127.0.0.1", "--health-interval=1s", "--upgrade-settle=2s", "--log-level=debug"]
        named = ("sh", "-c", f'mount --bind "{self.cluster.hosts}" /etc/hosts && exec "$@"', "sh")
        line = kube.as_pod(NAMESPACE, "shima-operator", *named, *before, self.programs / "shima-operator", *flags)
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.cluster.popen("site-a", *line, stdout=log, stderr=log)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """How long it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        expect(code == 0, f"{self.name} ends as asked")
        return time.monotonic() - begin

    def get(self, path):
        """(HTTP status, text)"""
        answer = self.cluster.run("site-a", sys.executable, "-c", FETCH, f"http://127.0.0.1:{self.port}{path}")
        code, _, text = answer.out.partition("\n")
        return int(code or 0), text

    def leads(self):
        return "shima_operator_leader 1" in self.get("/metrics")[1]


class ClusterWithOperator(Cluster):
    def __init__(self):
        super().__init__("--core", "2,2,2", "--rtt-ms", "4")
        self.kube, self.operators, self.kubelets = KubeCluster(), {}, None

    def __enter__(self):
        super().__enter__()
        try:
            self.kube.__enter__()
            self.kubelets = Kubelets(self.kube)
            self.kubelets.start()
            self._write_hosts()
            self._relay()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.kube.print_logs(4)
            for operator in self.operators.values():
                print(f"--- the end of {operator.name}'s log", operator.log()[-6000:], sep="\n", flush=True)
            with contextlib.suppress(Exception):
                print(json.dumps(self.kube.get(f"{CLUSTERS}/{NAME}").get("status"), indent=1))
        super().__exit__(kind, error, trace)

    def down(self):
        for operator in self.operators.values():
            operator.kill()
        if self.kubelets is not None:
            self.kubelets.stop()
        self.kube.down()
        super().down()

    def _write_hosts(self):
        """The names of pods of StatefulSets, as their headless Services make them known."""
        self.hosts = self.folder / "hosts"
        lines = ["127.0.0.1 localhost"]
        for server in self.servers():
            site, number = server["name"].split("/core-")
            name = f"shima-core-{site}-{number}.shima-core-{site}.{NAMESPACE}.svc"
            lines.append(f"{server['endpoint'].rsplit(':', 1)[0]} {name}")
        self.hosts.write_text("\n".join(lines) + "\n")

    def _relay(self):
        """The API server at its address in site-a, too: two programs join the loopback interfaces of host and site."""
        port, path = self.kube.port, self.folder / "api.sock"
        self.kube.program("relay-host", ["socat", f"UNIX-LISTEN:{path},fork", f"TCP:127.0.0.1:{port}"]).start()
        line, _ = self.command("site-a", "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", f"UNIX-CONNECT:{path}")
        self.relay = self.kube.program("relay-site", line).start()

    def operator(self, name):
        if name not in self.operators:
            self.operators[name] = Operator(self, name)
        return self.operators[name]

    # ---- what the ShimaCluster says ----------------------------------------------------------------------------------

    def insist(self, *arguments):
        """shimactl until it is done, as people are told to where none answers in time; then it may be done already."""
        passing = {UNREACHABLE, UNKNOWN}

        def done():
            answer = self.try_ctl(*arguments)
            if answer.code == DONE or answer.code in (EXISTS, NOT_FOUND) and len(passing) > 2:
                return True
            assert answer.code in passing, repr(answer)
            passing.add(None)  # it was tried
            return False
        wait_until(f"shimactl {' '.join(arguments)}", done)

    def object(self):
        return self.kube.get(f"{CLUSTERS}/{NAME}")

    def condition(self, kind):
        return next((one for one in self.object().get("status", {}).get("conditions", []) if one["type"] == kind), {})

    def wait_condition(self, kind, status, reason=None, text="", timeout_s=60):
        def look():
            found = self.condition(kind)
            fits = found.get("status") == status and reason in (None, found.get("reason")) and text in found.get("message", "")
            return found if fits else None
        try:
            return wait_until(f"condition {kind} to be {status} {reason or ''} {text}", look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.condition(kind)}") from None

    def change_spec(self, **fields):
        self.kube.patch(f"{CLUSTERS}/{NAME}", {"spec": fields})

    def pods(self, selector):
        return self.kube.items(f"{PODS}?labelSelector={selector.replace('=', '%3D').replace('/', '%2F')}")

    def sets(self):
        return sorted(one["metadata"]["name"] for one in self.kube.items(SETS))

    def events(self, reason):
        return [one["note"] for one in self.kube.items(EVENTS) if one["reason"] == reason and one["regarding"]["name"] == NAME]


# ---- scenarios -------------------------------------------------------------------------------------------------------

def one_manifest_makes_every_object(cluster):
    kube = cluster.kube
    kube.kubectl("apply", "--server-side", "--validate=strict", "-f", MANIFEST)  # as its first line says
    for site in SITES:
        for number in range(2):
            kube.add_node(f"node-{site[-1]}{number}", {ZONE: site})
    for kind in ("shimaclusters", "shimavolumes"):
        kube.wait_for_definition(f"{kind}.shima.io")
    operator = cluster.operator("operator-0").start()
    wait_until("the operator to be ready", lambda: operator.get("/readyz")[0] == 200)
    wait_until("/healthz to answer, too", lambda: operator.get("/healthz")[0] == 200)
    expect(True, "/healthz and /readyz answer 200")
    kube.apply({"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": SPEC})
    cluster.wait_condition("ObjectsApplied", "True")
    expect(not kube.refused(ACCOUNT), f"its rights are enough {kube.refused(ACCOUNT) or ''}")
    expect(cluster.sets() == sorted(f"shima-{part}-{site}" for part in ("core", "etcd", "access") for site in SITES),
           f"there are StatefulSets {', '.join(cluster.sets())}")


def each_is_owned_labelled_and_applied(cluster):
    kube, uid = cluster.kube, cluster.object()["metadata"]["uid"]
    passed_over = ("Pod", "Event", "Endpoints", "EndpointSlice", "ControllerRevision", "ReplicaSet", "ShimaVolume", "PersistentVolumeClaim",
                   "PodMetrics")  # others make these
    roots = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in kube.get("/apis")["groups"])]
    found = []
    for root in roots:
        for kind in kube.get(root)["resources"]:
            if kind["namespaced"] and "list" in kind["verbs"] and kind["kind"] not in passed_over:
                listed = kube.items(f"{root}/namespaces/{NAMESPACE}/{kind['name']}?labelSelector=shima.io%2Fcluster%3D{NAME}")
                found += [{**one, "kind": kind["kind"]} for one in listed]
    for one in found:
        what = f"{one['kind']} {one['metadata']['name']}"
        owners = [owner["uid"] for owner in one["metadata"].get("ownerReferences", [])]
        managers = {(entry["manager"], entry["operation"]) for entry in one["metadata"]["managedFields"]}
        wanted = [uid] if one["kind"] in ("ServiceMonitor", "PrometheusRule") else []  # a foreground deletion takes what is owned
        assert owners == wanted, f"{what} has the owners {owners}, wanted {wanted}"
        if what == "ConfigMap shima-etcd-members":
            assert one["immutable"] and json.loads(one["data"]["members"]) == {site: 1 for site in SITES}, f"{what} is {one}"
            continue  # created, so that two can not both choose
        if what == "ConfigMap shima-etcd-begun":
            continue  # written as members begin, one after another
        assert ("shima-operator", "Apply") in managers, f"{what} is managed by {managers}"
    kinds_found = sorted({one["kind"] for one in found})
    expect({"ConfigMap", "DaemonSet", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "Service", "ServiceAccount",
            "StatefulSet"} <= set(kinds_found), f"{len(found)} objects of the kinds {', '.join(kinds_found)} have labels, owner and field manager")
    for path in ("/apis/storage.k8s.io/v1/storageclasses/shima", "/apis/storage.k8s.io/v1/csidrivers/shima.io"):
        labels = kube.get(path)["metadata"]["labels"]
        expect(labels["shima.io/cluster-namespace"] == NAMESPACE, f"{path.rsplit('/', 2)[1]} bears the cluster's labels")


def it_becomes_ready(cluster):
    """By the pods' readiness, and by what the core servers say."""
    cluster.wait_condition("Ready", "True", timeout_s=180)

    def shown():
        status, wide = cluster.object()["status"], cluster.kube.kubectl("get", "shc", "-n", NAMESPACE).out
        whole = [site["coreServers"] for site in status["sites"]] == ["2/2"] * 3
        return (status, wide) if whole and status["phase"] == "Ready" and "Ready" in wide else None
    status, wide = wait_until("phase Ready of three sites", shown)  # a server that stands still is one less
    expect(True, f"phase Ready, {len(status['sites'])} sites, each site's core servers are 2/2: {status['message']}")
    expect(True, f"kubectl get shc: {' '.join(wide.splitlines()[-1].split())}")


def a_volume_is_shown(cluster):
    cluster.create("vm1", "--published-only")

    def whole(one):
        status = one.get("status", {})
        return status.get("health") == "Healthy" and any(site.get("whole") for site in status["sites"])
    found = cluster.kube.wait_for("ShimaVolume vm1 to be Healthy, with its copies", f"{VOLUMES}/vm1", whole)
    status = found["status"]
    expect(status["home"] == "site-a", "volume vm1 is Healthy, at home in site-a")
    expect(sorted(site["name"] for site in status["sites"]) == list(SITES), "its copies are shown by site")
    wait_until("the number of volumes in the status", lambda: cluster.object()["status"].get("volumes") == 1)


def a_node_out_of_service_is_fenced(cluster):
    """Only once it is not Ready: a taint alone may be a slip. A node without pods, which would stay not ready with it."""
    kube = cluster.kube
    kube.add_node("node-lost")
    cluster.insist("volume", "publish", "vm1", "node-lost", "--site", "site-b")
    cluster.insist("volume", "publish", "vm1", "node-c1", "--site", "site-c")
    wait_until("both publications in ShimaVolume", lambda: [one["node"] for one in kube.get(f"{VOLUMES}/vm1")["status"]["publications"]]
               == ["node-c1", "node-lost"])
    taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    kube.kubectl("taint", "node", "node-lost", "--overwrite", taint)

    def nodes():
        answer = wait_until("shimactl volume show", lambda: (
            found := cluster.try_ctl("volume", "show", "vm1")).code == DONE and found)
        return [one["node"] for one in answer.json.get("publications", [])]
    wait_until("an event that it is Ready", lambda: any("node-lost" in note for note in cluster.events("NodeNotFenced")))
    expect(nodes() == ["node-c1", "node-lost"], f"a Ready node keeps its publication; told: {cluster.events('NodeNotFenced')[0]}")
    kube.patch("/api/v1/nodes/node-lost/status", {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}})
    wait_until("node-lost's publication to be gone", lambda: nodes() == ["node-c1"])
    wait_until("an event", lambda: any("node-lost" in note for note in cluster.events("NodeFenced")))
    expect(True, f"node-lost is fenced, node-c1 is not; told: {cluster.events('NodeFenced')[0]}")
    kube.delete("/api/v1/nodes/node-lost")


def a_foreign_change_is_put_back(cluster):
    path = f"{SETS}/shima-access-site-b"
    cluster.kube.patch(path, {"spec": {"replicas": 0}})
    cluster.kube.wait_for("its replicas again", path, lambda one: one["spec"]["replicas"] == 1)
    before = cluster.kube.get(f"/api/v1/namespaces/{NAMESPACE}/services/shima-access-site-b")
    cluster.kube.patch(f"/api/v1/namespaces/{NAMESPACE}/services/shima-access-site-b", {"metadata": {"labels": {"shima.io/cluster": "stolen"}}})
    cluster.kube.wait_for("the label to be back", f"/api/v1/namespaces/{NAMESPACE}/services/shima-access-site-b",
                          lambda one: one["metadata"]["labels"] == before["metadata"]["labels"])
    cluster.kube.delete(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/shima-core-site-a")
    cluster.kube.wait_for("the budget to be made again", f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/shima-core-site-a",
                          lambda one: "deletionTimestamp" not in one["metadata"])
    expect(True, "a changed field, a stolen label and a deleted object are put back")
    etcd = f"{SETS}/shima-etcd-site-b"
    before = cluster.kube.get(etcd)["spec"]["template"]["spec"]["containers"][0]["args"]
    cluster.kube.delete(etcd)
    cluster.kube.wait_for("etcd's StatefulSet to be made again", etcd, lambda one: "deletionTimestamp" not in one["metadata"]
                          and one["spec"]["template"]["spec"]["containers"][0]["args"] == before)
    cluster.kube.patch(etcd, {"spec": {"replicas": 0}})
    cluster.kube.wait_for("its replicas again", etcd, lambda one: one["spec"]["replicas"] == 1)
    expect(True, "so are etcd's members, with the same --initial-cluster")
    cluster.wait_condition("Ready", "True", timeout_s=120)


def a_site_appears_and_vanishes(cluster):
    kube = cluster.kube
    for number in range(2):
        kube.add_node(f"node-d{number}", {ZONE: "site-d"})
    kube.wait_for("the new site's core servers", f"{SETS}/shima-core-site-d")
    expect("shima-etcd-site-d" not in cluster.sets(), "site-d has core servers; etcd's members stay where they are")
    cluster.wait_condition("CoreServersReady", "True", timeout_s=120)
    for number in range(2):
        kube.kubectl("label", "node", f"node-d{number}", f"{ZONE}-")
    cluster.wait_condition("NodesWouldMove", "True", text="from site site-d to none")
    expect("shima-core-site-d" in cluster.sets(), f"its servers hold its nodes there: {cluster.condition('NodesWouldMove')['message'][:140]}")
    cluster.change_spec(topology={"removedSites": ["site-d"]})
    kube.wait_gone("site-d's core servers", f"{SETS}/shima-core-site-d")
    claims = [one["metadata"]["name"] for one in kube.items(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")
              if "site-d" in one["metadata"]["name"]]
    expect(claims, f"once removedSites names it, it goes; its data stays: {', '.join(claims)}")
    cluster.wait_condition("SitesMapped", "True")
    for number in range(2):
        wait_until(f"node-d{number} to be in no site", lambda: sites.label(kube, f"node-d{number}") is None)
        kube.delete(f"/api/v1/nodes/node-d{number}")


def revisions(pods):
    return {pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods}


def images(pods):
    return [pod["spec"]["containers"][0]["image"] for pod in pods]


def an_upgrade_restarts_one_core_server_at_a_time(cluster):
    cluster.wait_condition("Ready", "True", timeout_s=120)
    cluster.kubelets.watch_core()
    cluster.change_spec(image="shima/shima:two")
    cluster.wait_condition("Upgrading", "True")
    wait_until("all core servers to run the new image", lambda: set(images(cluster.pods(CORE))) == {"shima/shima:two"}, 240)
    cluster.wait_condition("Upgrading", "False", "UpToDate")
    least = cluster.kubelets.least_ready
    expect(least == 5, f"of 6 core servers at least {least} were ready at any time")
    expect(len(cluster.events("Restarting")) >= 6, f"told: {cluster.events('Restarting')[0]}")


def an_upgrade_waits_while_a_server_is_away(cluster):
    cluster.wait_condition("Ready", "True", timeout_s=120)
    cluster.kill("site-c/core-1")
    cluster.wait_condition("VolumesHealthy", "False", text="vm1")
    cluster.kubelets.watch_core()
    cluster.change_spec(image="shima/shima:three")
    cluster.wait_condition("Upgrading", "True", "Waiting", "site-c/core-1")
    time.sleep(6)
    expect("shima/shima:three" not in images(cluster.pods(CORE)), f"nothing restarts: {cluster.condition('Upgrading')['message']}")
    cluster.start("site-c/core-1")
    wait_until("all core servers to run the new image", lambda: set(images(cluster.pods(CORE))) == {"shima/shima:three"}, 240)
    expect(cluster.kubelets.least_ready == 5, "then it goes on, one at a time")


def a_missing_right_is_named(cluster):
    kube = cluster.kube
    rules = kube.get(ROLE)["rules"]
    without = [rule for rule in rules if "networkpolicies" not in rule["resources"]]
    kube.patch(ROLE, {"rules": without})
    wait_until("the right to be missed", lambda: kube.try_kubectl(
        "auth", "can-i", "patch", "networkpolicies.networking.k8s.io", "-n", NAMESPACE, f"--as={ACCOUNT}").out.strip() == "no")
    cluster.change_spec(accessServers={"perSite": 2})  # some reason to look, and other objects to apply
    kube.delete(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/shima-core")
    found = cluster.wait_condition("ObjectsApplied", "False", text="networkpolicies", timeout_s=90)
    expect("patch" in found["message"] or "watch" in found["message"], f"the condition names verb and resource: {found['message'][:300]}")
    kube.wait_for("what is allowed to be applied all the same", f"{SETS}/shima-access-site-a", lambda one: one["spec"]["replicas"] == 2)
    kube.patch(ROLE, {"rules": rules})
    cluster.wait_condition("ObjectsApplied", "True", timeout_s=120)
    expect(kube.find(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/shima-core") is not None, "with the right it is made")


def a_killed_leader_is_replaced(cluster):
    kube, first, second = cluster.kube, cluster.operator("operator-0"), cluster.operator("operator-1").start()
    wait_until("the second operator to be ready", lambda: second.get("/readyz")[0] == 200)
    for tries_left in (3, 2, 1, 0):
        leading = wait_until("one of them to lead", lambda: [one for one in (first, second) if one.leads()])
        if leading == [first] or not tries_left:
            break
        say("  the first one could not renew its lease in time, as on a busy machine; again")
        assert "no longer leads" in first.log(), f"{[one.name for one in leading]} lead, and it never lost its lease"
        second.stop()
        wait_until("the first operator to lead", first.leads)
        second.start()
        wait_until("the second operator to be ready", lambda: second.get("/readyz")[0] == 200)
    expect(leading == [first], "one leads, the other waits")
    first.kill()
    begin = time.monotonic()
    wait_until("the second operator to lead", second.leads, 60)
    expect(True, f"it leads {time.monotonic() - begin:.1f} s after the first was killed (the lease is for 15 s)")
    cluster.change_spec(accessServers={"perSite": 1})
    kube.wait_for("its change", f"{SETS}/shima-access-site-a", lambda one: one["spec"]["replicas"] == 1)
    first.start()
    wait_until("the first operator to be ready", lambda: first.get("/readyz")[0] == 200)
    for tries_left in (2, 1, 0):
        told = second.log().count(NOT_RELEASED)
        took = second.stop()
        begin = time.monotonic()
        given = mishaps.transitions(kube)[1] != second.name
        if given or took < RELEASE_S and second.log().count(NOT_RELEASED) == told or not tries_left:
            break
        say("  it could not give the lease back in time, as on a busy machine; again")
        let_lead(second, first)
    expect(given, "an orderly end gives the lease back")
    wait_until("the first operator to lead again", first.leads, 60)
    expect(True, f"it takes {took:.1f} s, and the next one leads {time.monotonic() - begin:.1f} s later")


def let_lead(stopped, other):
    """The one that is stopped leads again, and the other one waits."""
    other.stop()
    stopped.start()
    wait_until("it to lead again", stopped.leads, 60)
    other.start()
    wait_until("the other one to be ready", lambda: other.get("/readyz")[0] == 200)


def a_second_cluster_for_the_same_nodes_gets_nothing(cluster):
    kube = cluster.kube
    kube.kubectl("create", "namespace", "other")
    kube.apply({"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": "young", "namespace": "other"}, "spec": SPEC})
    path = "/apis/shima.io/v1alpha1/namespaces/other/shimaclusters/young"

    def said(one):
        return [c for c in one.get("status", {}).get("conditions", []) if c["type"] == "SitesMapped" and c["reason"] == "NodesClaimedTwice"]
    found = kube.wait_for("the younger one to be refused", path, said)
    expect(not kube.items("/apis/apps/v1/namespaces/other/statefulsets"), f"it gets nothing: {said(found)[0]['message'][:200]}")
    kube.add_node("node-joins", {ZONE: "site-a"})
    wait_until("a node that joins to be labelled by the older one", lambda: sites.label(kube, "node-joins") == "site-a", 90)  # a watch may be late after the absence
    expect(True, "and keeps no node from the older one: one that joins meanwhile is labelled")
    kube.delete("/api/v1/nodes/node-joins")
    kube.delete(path)
    kube.wait_gone("the younger one", path)


def at_rest_little_is_asked(cluster):
    cluster.wait_condition("AccessServersReady", "True", text="3 of 3", timeout_s=120)  # after an absence Kubernetes' controllers take a minute
    cluster.wait_condition("Ready", "True", timeout_s=120)
    time.sleep(20 if LONG else 5)
    kube, reading = cluster.kube, ("get", "list", "watch")
    asked, seconds = requests_at_rest(kube, ACCOUNT, 120 if LONG else 15, reading)
    table = {}
    for one in asked:
        what = f"{one['verb']} {one['resource']}"
        table[what] = table.get(what, 0) + 1
    say("calls at rest, an hour: " + ", ".join(f"{what} {count * 3600 / seconds:.0f}" for what, count in sorted(table.items())))
    expect(not more_than(reading, asked), f"at rest nothing is written but the lease {more_than(reading, asked)[:3] or ''}")
    expect_few_calls(asked, seconds)
    metrics = wait_until("/metrics", lambda: cluster.operator("operator-0").get("/metrics")[1])
    expect("shima_operator_api_calls_total{" in metrics and "shima_operator_reconcile_p99_us" in metrics, "/metrics counts them")


def deletion_waits_for_the_volumes(cluster):
    kube = cluster.kube
    kube.kubectl("delete", "shc", NAME, "-n", NAMESPACE, "--cascade=foreground", "--wait=false")
    found = cluster.wait_condition("DeletionIsBlocked", "True", "VolumesExist", "vm1")
    wait_until("its phase", lambda: cluster.object()["status"]["phase"] == "DeletionBlocked")
    expect(True, f"deletion is blocked: {found['message']}")
    time.sleep(3)
    kept = {f"shima-{part}-{site}" for part in ("core", "etcd") for site in SITES}
    expect(kept <= set(cluster.sets()), "and in the foreground, too, no core server and no member of etcd is deleted")
    cluster.insist("volume", "delete", "vm1")
    kube.wait_gone("the ShimaCluster", f"{CLUSTERS}/{NAME}", 120)
    wait_until("what it owned to be gone", lambda: not cluster.sets(), 120)
    kube.wait_gone("the record of etcd's members", f"/api/v1/namespaces/{NAMESPACE}/configmaps/shima-etcd-members")
    for path in ("/apis/storage.k8s.io/v1/storageclasses", "/apis/storage.k8s.io/v1/csidrivers"):
        expect(not [one for one in kube.items(path) if "shima.io/cluster" in one["metadata"].get("labels", {})], f"nothing is left of {path.rsplit('/', 1)[1]}")
    claims = kube.items(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")
    expect(len(claims) >= 9, f"the servers' {len(claims)} claims, which hold data, are left to people")


if __name__ == "__main__":
    sys.exit(run_scenarios("operator in kubernetes", ClusterWithOperator, [
        one_manifest_makes_every_object, each_is_owned_labelled_and_applied, it_becomes_ready, a_volume_is_shown, a_node_out_of_service_is_fenced,
        a_foreign_change_is_put_back, addresses.a_deleted_service_comes_back_with_its_address,
        addresses.an_address_that_is_taken_is_replaced_and_told, a_site_appears_and_vanishes, sites.a_node_in_use_keeps_its_site,
        sites.a_core_server_holds_its_node,
        sites.drained_nodes_lose_one_core_server, an_upgrade_restarts_one_core_server_at_a_time,
        an_upgrade_waits_while_a_server_is_away, sites.an_upgrade_waits_while_replication_is_cut_off,
        volumes.a_volume_whose_home_is_lost_tells_so, a_missing_right_is_named, a_killed_leader_is_replaced,
        mishaps.a_wall_clock_that_jumps_changes_no_leader, mishaps.a_watch_that_breaks_and_a_spec_that_changes_meanwhile, away.the_api_server_goes_away,
        a_second_cluster_for_the_same_nodes_gets_nothing, mishaps.a_node_that_fits_two_entries_is_named, at_rest_little_is_asked,
        sites.sites_grow_but_do_not_shrink, mishaps.a_meddler_is_named, deletion_waits_for_the_volumes],
        (*PROGRAMS, "shima-accessserver", "shima-operator")))
