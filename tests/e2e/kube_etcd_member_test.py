#!/usr/bin/env python3
"""Members of the operator's etcd that lose their data: shima-operator, with the rights that its chart gives it, at a real API server with Kubernetes'
controllers; and three real etcd, each run as its pod says: shima-etcd-guard first, then etcd with the pod's arguments. What is simulated is
kubelet: claims are directories, each new one empty, and the pods' names are addresses of the loopback interface (where etcd listens too, since
all share it).
"""

import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from cluster import BIN, ROOT, check_machine, expect, say, wait_until
from kube_cluster import ApiError, KubeCluster, Program, kube_programs

PROGRAMS = ("shima-operator", "shima-etcd-guard")
INSIDE = "SHIMA_TEST_IN_NETWORK"
NAMESPACE, NAME, ZONE = "shima-system", "shima", "topology.kubernetes.io/zone"
SITES = ("a", "b", "c")
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
CLUSTERS = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimaclusters"
SPEC = {"coreServers": {"perSite": 2, "disks": [{"claim": {"size": "1Gi"}}]}, "accessServers": {"perSite": 0}, "csi": {"enabled": False},
        "etcd": {"data": {"claim": {"size": "1Gi"}}, "sites": list(SITES)}}
MOST_ENDS = 5
DATA, BEGUN = "/var/lib/etcd", "/etc/shima/etcd-begun"


def pod_of(site):
    return f"shima-etcd-{site}-0"


def address(pod):
    return f"127.0.1.{SITES.index(pod.split('-')[2]) + 1}"


class Member:
    """A pod of etcd, run as kubelet would; `said`: what its guard has said last."""

    def __init__(self, kubelet, pod):
        self.kubelet, self.pod, self.uid, self.said, self.process = kubelet, pod["metadata"]["name"], pod["metadata"]["uid"], "", None
        self.spec, self.folder = pod["spec"], kubelet.kube.folder / pod["metadata"]["uid"]
        self.next_try = self.ends = 0

    def look(self):
        if self.process is not None:
            # One that joins ends if no other member answers it in time.
            if self.process.process.poll() is not None and self.ends < MOST_ENDS:
                self.ends += 1
                say(f"  {self.pod} ended with code {self.process.process.returncode}, and is started again")
                self.process.start()
            self.process.check()
            self.kubelet.report(self.pod, self.healthy())
        elif time.monotonic() >= self.next_try:
            self.next_try = time.monotonic() + 1
            if self._may_start():
                self.process = Program(self.pod, self._line(self.spec["containers"][0]), self.kubelet.kube.folder / f"{self.pod}.log").start()

    def end(self):
        if self.process is not None:
            self.process.end()

    def healthy(self):
        probe = self.spec["containers"][0]["readinessProbe"]["httpGet"]
        port = next(one["containerPort"] for one in self.spec["containers"][0]["ports"] if one["name"] == probe["port"])
        try:
            with urllib.request.urlopen(f"http://{address(self.pod)}:{port}{probe['path']}", timeout=2) as answer:
                return json.loads(answer.read())["health"] == "true"
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def data(self):
        claim = self.kubelet.kube.find(f"{CLAIMS}/data-{self.pod}")
        if claim is None or "deletionTimestamp" in claim["metadata"]:
            return None
        path = self.kubelet.kube.folder / f"claim-{claim['metadata']['uid']}"
        path.mkdir(exist_ok=True)
        return path

    def _may_start(self):
        self.disk, maps = self.data(), self.kubelet.kube.find(f"{MAPS}/shima-etcd-begun")
        if self.disk is None or maps is None:
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for key, text in maps["data"].items():
            (self.folder / key).write_text(text)
        guard = next(one for one in self.spec["initContainers"] if one["name"] == "shima-etcd-guard")
        done = subprocess.run(self._line(guard), capture_output=True, text=True, timeout=120)
        self.said = done.stderr.strip()
        return done.returncode == 0

    def _line(self, container):
        values = {}
        for one in container["env"]:
            source = one["valueFrom"]
            if "configMapKeyRef" in source:
                wanted = source["configMapKeyRef"]
                values[one["name"]] = self.kubelet.kube.get(f"{MAPS}/{wanted['name']}")["data"][wanted["key"]]
            else:
                values[one["name"]] = self.pod if source["fieldRef"]["fieldPath"] == "metadata.name" else "0"
        program = kube_programs("etcd") / "etcd" if container["command"] == ["etcd"] else BIN / container["command"][0]
        line = [str(program)]
        for argument in container["args"]:
            for key, value in values.items():
                argument = argument.replace(f"$({key})", value)
            assert "$(" not in argument, f"{self.pod}: {argument}"
            line.append(argument.replace(DATA, str(self.disk)).replace(BEGUN, str(self.folder)).replace("0.0.0.0", address(self.pod)))
        return line


class Kubelet(threading.Thread):
    """Runs the pods of etcd. `held`: pods that are not started again."""

    def __init__(self, kube):
        super().__init__(daemon=True)
        self.kube, self.members, self.held, self.ending, self.reported, self.error = kube, {}, set(), threading.Event(), {}, None

    def run(self):
        while not self.ending.wait(0.2):
            try:
                self._look()
            except (ApiError, OSError, ValueError, http.client.HTTPException):
                pass
            except (AssertionError, subprocess.TimeoutExpired) as error:
                self.error = error

    def stop(self):
        self.ending.set()
        self.join(30)
        for member in self.members.values():
            member.end()

    def _look(self):
        pods = {pod["metadata"]["uid"]: pod for pod in self.kube.items(f"{PODS}?labelSelector=app.kubernetes.io/component=etcd")}
        for uid in [uid for uid in self.members if uid not in pods or "deletionTimestamp" in pods[uid]["metadata"]]:
            self.members.pop(uid).end()
        for uid, pod in pods.items():
            name = pod["metadata"]["name"]
            if "deletionTimestamp" in pod["metadata"]:
                self.kube.delete(f"{PODS}/{name}", grace_s=0)
            elif name not in self.held:
                self.members.setdefault(uid, Member(self, pod)).look()

    def report(self, pod, ready):
        if self.reported.get(pod) == (self.of(pod).uid, ready):
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.kube.patch(f"{PODS}/{pod}/status", {"status": {
            "phase": "Running", "conditions": [{"type": kind, "status": "True" if ready or kind == "Initialized" else "False", "lastTransitionTime": now}
                                               for kind in ("Initialized", "ContainersReady", "Ready")]}})
        self.reported[pod] = (self.of(pod).uid, ready)

    def of(self, pod):
        return next((one for one in list(self.members.values()) if one.pod == pod), None)

    def said(self, pod):
        if self.error is not None:
            raise self.error
        member = self.of(pod)
        return member.said if member is not None else ""


def ask(site, path, body):
    """etcd's own JSON gateway, at one member; again while the members have no leader or the machine is busy."""
    request = urllib.request.Request(f"http://{address(pod_of(site))}:2379/v3/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    for tries_left in reversed(range(30)):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            if not tries_left:
                raise
        time.sleep(1)


def text(value):
    return base64.b64encode(value.encode()).decode()


def write_keys(prefix, count):
    for number in range(count):
        ask("a", "kv/put", {"key": text(f"{prefix}{number:03}"), "value": text(f"value {number}")})


def count_keys(site, prefix):
    """As that member alone has them."""
    return int(ask(site, "kv/range", {"key": text(prefix), "range_end": text(prefix + "~"), "serializable": True, "count_only": True}).get("count", 0))


def ids():
    members = ask("a", "cluster/member/list", {"linearizable": True})["members"]
    return {one.get("name", ""): one["ID"] for one in members}


def marks(kube):
    found = kube.find(f"{MAPS}/shima-etcd-begun")
    return found["data"] if found else {}


def claim_uid(kube, site):
    return (kube.find(f"{CLAIMS}/data-{pod_of(site)}") or {"metadata": {"uid": None}})["metadata"]["uid"]


def wait_begun(kube, kubelet):
    def look():
        for site in SITES:
            kubelet.said(pod_of(site))
        data = marks(kube)
        return data.get("initial-cluster-state") == "existing" and all(
            data.get(pod_of(site)) == f"begun {claim_uid(kube, site)}" for site in SITES) or None
    wait_until("all members to have begun, and the operator to have noted it", look, 90)


def wait_etcd_ready(kube, status):
    kube.wait_for(f"EtcdReady to be {status}", f"{CLUSTERS}/{NAME}", lambda found: any(
        one["type"] == "EtcdReady" and one["status"] == status
        for one in found.get("status", {}).get("conditions", [])))


def they_begin(kube, kubelet):
    for site in SITES:
        for number in range(2):
            kube.add_node(f"node-{site}{number}", {ZONE: site})
    kube.create(CLUSTERS, {"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": SPEC})
    wait_begun(kube, kubelet)
    expect(set(ids()) == {pod_of(site) for site in SITES}, "three members of etcd run as their pods say; the operator has noted each with its claim")
    write_keys("before-", 100)


def one_whose_data_is_gone_is_refused(kube, kubelet):
    pod, disk = pod_of("b"), kubelet.of(pod_of("b")).data()
    kubelet.held.add(pod)
    kube.delete(f"{PODS}/{pod}", grace_s=0)
    wait_until("the member to end", lambda: kubelet.of(pod) is None)
    away = disk.with_name(disk.name + "-away")
    disk.rename(away)
    disk.mkdir()
    kubelet.held.clear()
    wait_until("the guard to refuse it", lambda: "Is the right disk mounted" in kubelet.said(pod))
    time.sleep(3)
    expect(not list(disk.iterdir()) and marks(kube)[pod].startswith("begun "), f"{pod} with an empty directory: {kubelet.said(pod)[:120]}...")
    expect(len(ids()) == 3, "nobody replaces it: its claim is the same")
    disk.rmdir()
    away.rename(disk)
    wait_until("it to be there again with its disk", lambda: (
        one := kubelet.of(pod)) is not None and one.process is not None and one.healthy())
    wait_until("it to have all keys", lambda: count_keys("b", "before-") == 100)
    expect(True, "with its disk it goes on")


def one_whose_claim_is_new_is_replaced(kube, kubelet):
    pod, before = pod_of("b"), ids()
    old = kube.get(f"{CLAIMS}/data-{pod}")["metadata"]["uid"]
    kube.kubectl("--namespace", NAMESPACE, "delete", "pvc", f"data-{pod}", "--wait=false")
    kube.delete(f"{PODS}/{pod}", grace_s=0)
    wait_until("another claim", lambda: (kube.find(f"{CLAIMS}/data-{pod}") or {"metadata": {"uid": old}})["metadata"]["uid"] != old)
    wait_begun(kube, kubelet)
    after = ids()
    expect(set(after) == set(before) and after[pod] != before[pod] and all(after[pod_of(s)] == before[pod_of(s)] for s in ("a", "c")),
           f"{pod} is a new member under its old name; the others are the same")
    wait_until("it to have all keys", lambda: count_keys("b", "before-") == 100)
    write_keys("after-", 20)
    wait_until("it to have the new ones, too", lambda: count_keys("b", "after-") == 20)

    def told():
        notes = [one["note"] for one in kube.items(EVENTS) if one["reason"] == "EtcdMemberReplaced"]
        return notes if any(pod in note for note in notes) else None
    expect(True, f"events say so: {wait_until('an event', told)}")


def without_a_majority_none_is_replaced(kube, kubelet):
    pod, before = pod_of("c"), ids()
    wait_etcd_ready(kube, "True")
    kubelet.held.update({pod_of("b"), pod})
    # First: one whose claim is new is replaced while the operator sees two others that are ready.
    kube.delete(f"{PODS}/{pod_of('b')}", grace_s=0)
    wait_etcd_ready(kube, "False")
    kube.kubectl("--namespace", NAMESPACE, "delete", "pvc", f"data-{pod}", "--wait=false")
    kube.delete(f"{PODS}/{pod}", grace_s=0)
    wait_until("the operator to say why not", lambda: any("1 of 3 members are ready" in one["note"] for one in kube.items(EVENTS)
                                                          if one["reason"] == "EtcdMemberNotReplaced"), 60)
    expect(marks(kube)[pod].startswith("begun "), "one of two that are down has a new claim: nothing is done")
    kubelet.held.clear()
    wait_begun(kube, kubelet)
    wait_until("it to have all keys", lambda: count_keys("c", "after-") == 20)
    expect(ids()[pod] != before[pod], "once the other one is back, it is replaced and has all keys")


def run(kube):
    (kube.folder / "hosts").write_text("".join(f"{address(pod_of(s))} {pod_of(s)}.shima-etcd-{s}.{NAMESPACE}.svc\n" for s in SITES) + "127.0.0.1 localhost\n")
    subprocess.run(["mount", "--bind", kube.folder / "hosts", "/etc/hosts"], check=True)
    kube.kubectl("apply", "--server-side", "-f", ROOT / "charts/operator.yaml")
    kube.wait_for_definition("shimaclusters.shima.io")
    flags = ["--identity=operator-0", "--leader-election=false", "--metrics-port=0", f"--namespaces={NAMESPACE}"]
    kube.program("operator", kube.as_pod(NAMESPACE, "shima-operator", BIN / "shima-operator", *flags)).start()
    kubelet = Kubelet(kube)
    kubelet.start()
    try:
        for scenario in (they_begin, one_whose_data_is_gone_is_refused, one_whose_claim_is_new_is_replaced, without_a_majority_none_is_replaced):
            say(f"etcd's members: {scenario.__name__.replace('_', ' ')}")
            scenario(kube, kubelet)
    finally:
        kubelet.stop()


def main():
    check_machine(PROGRAMS)
    kube_programs("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
    if os.environ.get(INSIDE) != "1":
        line = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, pathlib.Path(__file__).resolve()]
        os.execvpe(line[0], line, {**os.environ, INSIDE: "1"})  # so that it is this process that is asked to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with KubeCluster(scheduler=False, api_flags=("--advertise-address=10.99.0.1",)) as kube:  # no route says which one is ours
        run(kube)
    say("etcd's members: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
