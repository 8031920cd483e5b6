#!/usr/bin/env python3
"""From one manifest to a file on a volume, in real pods: a kubelet with containerd runs what shima-operator, itself a Deployment of charts/operator.yaml, makes of
charts/examples/one-node-trial.yaml, from the image of hack/images; pods with a PersistentVolumeClaim write and read; mounter, node plug-in and core
servers are restarted below them; and all is deleted again. No part is simulated but node-driver-registrar and livenessprobe (tests/kube/standins).
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from cluster import BIN, LONG, ROOT, expect, run_scenarios, say, skip, wait_until
from kube_cluster import kube_programs
from kubelet_images import write_image
from kubelet_node import INSIDE, NODE, PAUSE_IMAGE, ControlPlane, Node, check_node_programs, in_own_namespaces

NAMESPACE, NAME = "shima-system", "shima"
EXAMPLE, OPERATOR = ROOT / "charts/examples/one-node-trial.yaml", ROOT / "charts/operator.yaml"
CLUSTER = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimaclusters/{NAME}"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEFAULT = "/api/v1/namespaces/default"
SHELL = "docker.io/library/shima-test-shell:1"
OUR_IMAGE = "SHIMA_TEST_IMAGE"  # its archive, for who runs inside
READY_S = 300
OUTAGE_S = 100  # longer than the probes' patience of a minute

# Which program is in which image that the operator names, and where.
SIDECARS = {"etcd": ("etcd", "/usr/local/bin/etcd"), "csi-provisioner": ("csi-provisioner", "/csi-provisioner"),
            "csi-attacher": ("csi-attacher", "/csi-attacher"), "csi-resizer": ("csi-resizer", "/csi-resizer"),
            "csi-node-driver-registrar": ("csi-node-driver-registrar", "/csi-node-driver-registrar"),
            "livenessprobe": ("livenessprobe", "/livenessprobe")}


def all_programs():
    """{program: path}, built if they are not there."""
    found = {}
    for names in (("etcd", "csi-provisioner", "csi-attacher", "csi-resizer"), ("csi-node-driver-registrar", "livenessprobe", "pause")):
        folder = kube_programs(*names)
        found.update({name: folder / name for name in names})
    return found


def images_of_others(folder):
    """Those that the trial's pods name and are not ours, of the programs that hack/kube-tools builds; a pause and a shell."""
    programs = all_programs()
    nodes = folder / "node.json"
    nodes.write_text(json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": NODE, "labels": {"kubernetes.io/hostname": NODE, "topology.kubernetes.io/zone": "home"}}}))
    made = subprocess.run([BIN / "shima-operator-render", "--cluster", EXAMPLE, "--nodes", nodes], check=True, stdout=subprocess.PIPE, text=True)
    pods = [one["spec"]["template"]["spec"] for one in json.loads(made.stdout)["items"] if "template" in one.get("spec", {})]
    names = {container["image"] for pod in pods for container in pod["containers"]}
    archives = []
    for name in sorted(names):
        base = name.rsplit("/", 1)[1].split(":")[0]
        if base != "shima":
            program, inside = SIDECARS[base]
            archives.append(write_image(folder / f"{base}.tar", name, {inside: programs[program]}, [] if base == "etcd" else [inside]))
    archives.append(write_image(folder / "pause.tar", PAUSE_IMAGE, {"/pause": programs["pause"]}, ["/pause"]))
    archives.append(write_image(folder / "shell.tar", SHELL, {"/bin/busybox": "/bin/busybox"}, links={
        f"/bin/{name}": "busybox" for name in ("sh", "cat", "dd", "sha256sum", "sleep", "date", "sync", "ls", "df", "nslookup")}))
    return archives


class TrialOnNode(ControlPlane):
    def __enter__(self):
        super().__enter__()
        try:
            folder = pathlib.Path(os.environ[INSIDE])
            self.node = Node(self, [*images_of_others(folder), os.environ[OUR_IMAGE]]).start()
        except BaseException:
            self.print_logs()
            self.down()
            raise
        return self

    def tell_warnings(self):
        """What Kubernetes warned of, each once: to be read by people."""
        found = {(one["involvedObject"]["kind"], one["reason"], one["message"][:200]) for one in self.items("/api/v1/events") if one["type"] == "Warning"}
        for warning in sorted(found):
            say(f"  warned: {' '.join(warning)}")

    def __exit__(self, kind, error, trace):
        self.tell_warnings()
        if error is not None and not isinstance(error, SystemExit):
            self.print_pods()
        super().__exit__(kind, error, trace)

    def print_pods(self):
        """What kubectl and the containers say."""
        for what in (("get", "pods,pvc,pv,volumeattachments,svc", "-A", "-o", "wide"), ("describe", "pods", "-A"), ("get", "events", "-A")):
            print(f"--- kubectl {' '.join(what)}", self.try_kubectl(*what).out[-12000:], sep="\n", flush=True)
        for log in sorted(pathlib.Path("/var/log/pods").glob("*/*/*.log")):
            print(f"--- the end of {log}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", flush=True)

    def claim(self, name, size, mode="Filesystem"):
        self.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
                    "spec": {"accessModes": ["ReadWriteMany"], "volumeMode": mode, "resources": {"requests": {"storage": size}}}})

    def run_pod(self, name, script, claim=None, device=False, **spec):
        """A pod with a shell, with the claim at /data, or as the block device /dev/data."""
        container = {"name": "shell", "image": SHELL, "command": ["sh", "-c", script]}
        if claim:
            container |= {"volumeDevices": [{"name": "data", "devicePath": "/dev/data"}]} if device else {
                "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
            spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
                    "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **spec}})

    def printed(self, name):
        return self.kubectl("logs", "-n", "default", name).out

    def result_of(self, name, script, claim=None, **spec):
        """What a pod prints that ends well; the pod is deleted."""
        self.run_pod(name, script, claim, **spec)
        found = self.wait_for(f"pod {name} to end", f"{DEFAULT}/pods/{name}", lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"), 120)
        text = self.printed(name)
        expect(found["status"]["phase"] == "Succeeded", f"pod {name} ends well: {text.strip()[:300]}")
        self.delete(f"{DEFAULT}/pods/{name}")
        self.wait_gone(f"pod {name}", f"{DEFAULT}/pods/{name}")
        return text


def ready(pod):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", []))


def pods_of(kube, component):
    return [pod for pod in kube.items(PODS) if pod["metadata"]["labels"].get("app.kubernetes.io/component") == component
            and "deletionTimestamp" not in pod["metadata"]]


# ---- scenarios -------------------------------------------------------------------------------------------------------


def a_pod_runs_with_network_and_names(kube):
    text = kube.result_of("hello", "echo pod; nslookup kubernetes.default.svc.cluster.local; cat /etc/resolv.conf")
    expect("10.96.0.1" in text, "a pod finds the API server's Service by its name")


def the_operator_runs_as_a_deployment(kube):
    kube.kubectl("apply", "--server-side", "-f", OPERATOR)
    kube.wait_for("two operators to be ready", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shima-operator",
                  lambda one: one.get("status", {}).get("readyReplicas") == 2, READY_S)
    expect(True, "charts/operator.yaml: two operators are ready")


def the_trial_becomes_ready(kube):
    begin = time.monotonic()
    kube.kubectl("label", "node", NODE, "topology.kubernetes.io/zone=home")
    kube.kubectl("apply", "-f", EXAMPLE)
    found = kube.wait_for("the ShimaCluster to be ready", CLUSTER, lambda one: one.get("status", {}).get("phase") == "Ready", READY_S)
    say(f"  ready {time.monotonic() - begin:.0f} s after kubectl apply: {found['status']['message']}")
    kube.wait_for("all pods to be ready", PODS, lambda pods: all(map(ready, pods["items"])), READY_S)
    for pod in kube.items(PODS):
        restarts = sum(one["restartCount"] for one in pod["status"]["containerStatuses"])
        say(f"  {pod['metadata']['name']}: {restarts} restarts")


def a_claim_keeps_what_a_pod_wrote(kube):
    kube.claim("one", "64Mi")
    wrote = kube.result_of("writer", "dd if=/dev/urandom of=/data/file bs=1M count=8 2>/dev/null && sync && sha256sum /data/file", "one")
    claim = kube.get(f"{DEFAULT}/persistentvolumeclaims/one")
    expect(claim["status"]["phase"] == "Bound", f"the claim is bound to {claim['spec']['volumeName']}")
    wait_until("the volume to be detached", lambda: not kube.items("/apis/storage.k8s.io/v1/volumeattachments"), 60)
    read = kube.result_of("reader", "sha256sum /data/file", "one")
    expect(wrote == read and len(wrote.split()[0]) == 64, f"another pod reads what the first wrote: {read.split()[0]}")


def a_claim_is_a_block_device(kube):
    kube.claim("disk", "16Mi", "Block")
    wrote = kube.result_of("disk-writer", "ls -l /dev/data >&2; dd if=/dev/urandom of=/tmp/content bs=1M count=4 2>/dev/null && "
                           "dd if=/tmp/content of=/dev/data bs=1M seek=12 conv=fsync 2>/dev/null && sha256sum </tmp/content", "disk", device=True)
    read = kube.result_of("disk-reader", "dd if=/dev/data bs=1M skip=12 2>/dev/null | sha256sum", "disk", device=True)
    expect(wrote.split()[-2] == read.split()[0], f"another pod reads the block device's last 4 MiB: {read.split()[0]}")
    kube.delete(f"{DEFAULT}/persistentvolumeclaims/disk")
    kube.wait_gone("the claim", f"{DEFAULT}/persistentvolumeclaims/disk")


WORK = """
n=0
while sleep 0.2; do
  n=$((n + 1))
  if echo $n >/data/number; then echo wrote $n; else echo failed $n; fi
done
"""


def written(kube):
    """Lines of the pod `worker`: how many numbers it has written, and how many it could not."""
    lines = kube.printed("worker").splitlines()
    return sum(line.startswith("wrote") for line in lines), sum(line.startswith("failed") for line in lines)


def replace_pods(kube, component):
    """Deletes all pods of a component, one after the other; returns when those that came instead are ready."""
    for old in pods_of(kube, component):
        uid, count = old["metadata"]["uid"], len(pods_of(kube, component))
        kube.delete(f"{PODS}/{old['metadata']['name']}")

        def replaced():
            now = pods_of(kube, component)
            return len(now) == count and all(ready(pod) and pod["metadata"]["uid"] != uid for pod in now)
        wait_until(f"another pod instead of {old['metadata']['name']}", replaced, READY_S)


def a_pod_writes_all_the_time(kube):
    kube.run_pod("worker", WORK, "one")
    wait_until("its writes", lambda: kube.get(f"{DEFAULT}/pods/worker")["status"]["phase"] == "Running" and written(kube)[0] > 5, 120)


def servers_come_back_under_other_addresses(kube):
    """Whoever knows a server knows its name: addresses are new after each restart."""
    for component in ("core-server", "etcd", "access-server", "csi-controller", "csi-node"):
        before = {pod["status"]["podIP"] for pod in pods_of(kube, component)}
        begin, count = time.monotonic(), written(kube)[0]
        replace_pods(kube, component)
        after = {pod["status"]["podIP"] for pod in pods_of(kube, component)}
        expect(component == "csi-node" or not before & after, f"{component}: new pods at {', '.join(sorted(after))} after {time.monotonic() - begin:.0f} s")
        wait_until("the pod to write again", lambda: written(kube)[0] > count + 5, 120)
        expect(written(kube)[1] == 0, "the pod writes on, and no write has failed")
    kube.wait_for("the ShimaCluster to be ready again", CLUSTER, lambda one: one["status"]["phase"] == "Ready", READY_S)


def restarts(kube):
    """Of each container but core servers and etcd's members."""
    return {(pod["metadata"]["name"], one["name"]): one["restartCount"] for pod in kube.items(PODS) for one in pod["status"].get("containerStatuses", [])
            if one["name"] not in ("shima-coreserver", "etcd")}


def an_outage_restarts_nobody_else(kube):
    """No core server for longer than any probe is patient: nobody else can help it by a restart, and whoever is restarted again and again is late when it ends."""
    before = restarts(kube)
    kube.kubectl("cordon", NODE)
    for pod in pods_of(kube, "core-server"):
        kube.delete(f"{PODS}/{pod['metadata']['name']}")
    wait_until("the pod's writes to wait", lambda: not any(map(ready, pods_of(kube, "core-server"))))
    time.sleep(OUTAGE_S)
    expect(restarts(kube) == before, f"{OUTAGE_S} s without core servers: no container was restarted {[one for one in restarts(kube).items() if one[1]]}")
    count = written(kube)[0]
    kube.kubectl("uncordon", NODE)
    wait_until("the pod to write on", lambda: written(kube)[0] > count + 5, 120)
    expect(written(kube)[1] == 0, "then the pod writes on, and no write has failed")
    kube.wait_for("the ShimaCluster to be ready again", CLUSTER, lambda one: one["status"]["phase"] == "Ready", READY_S)


def a_claim_in_use_grows(kube):
    kube.patch(f"{DEFAULT}/persistentvolumeclaims/one", {"spec": {"resources": {"requests": {"storage": "128Mi"}}}})
    kube.wait_for("the claim to have 128 MiB", f"{DEFAULT}/persistentvolumeclaims/one", lambda one: one["status"]["capacity"]["storage"] == "128Mi", 120)
    line = kube.kubectl("exec", "worker", "--", "df", "-m", "-P", "/data").out.splitlines()[-1]
    expect(line.split()[1] == "128", f"the running pod sees it: {line}")


def a_kubelet_that_restarts_disturbs_nobody(kube):
    uids, count = {pod["metadata"]["uid"] for pod in kube.items(PODS)}, written(kube)[0]
    kube.node.kubelet.end()
    time.sleep(2)
    kube.node.kubelet.start()
    wait_until("kubelet to answer", lambda: kube.try_kubectl("logs", "-n", "default", "worker").code == 0)
    wait_until("the pod to write on", lambda: written(kube)[0] > count + 25)
    expect(written(kube)[1] == 0 and uids == {pod["metadata"]["uid"] for pod in kube.items(PODS)}, "the pod writes on, and no pod was replaced")


def an_upgrade_replaces_servers_one_by_one(kube):
    kube.node.ctr("images", "tag", "docker.io/shima/shima:0.1.0", "docker.io/shima/shima:next")
    kube.patch(CLUSTER, {"spec": {"image": "shima/shima:next"}})
    least = [2]

    def upgraded():
        pods = pods_of(kube, "core-server")
        least[0] = min(least[0], sum(map(ready, pods)))
        return (kube.get(CLUSTER)["status"]["phase"] == "Ready" and len(pods) == 2 and all(map(ready, pods)) and
                {pod["spec"]["containers"][0]["image"] for pod in pods} == {"shima/shima:next"})
    begin = time.monotonic()
    wait_until("all core servers to have the new image", upgraded, READY_S)
    expect(least[0] == 1, f"after {time.monotonic() - begin:.0f} s; of two core servers one was always ready")
    count = written(kube)[0]
    wait_until("the pod to write on", lambda: written(kube)[0] > count + 5, 60)
    expect(written(kube)[1] == 0, "no write of the pod has failed")


def kill_containers(kube, component):
    for pod in pods_of(kube, component):
        for status in pod["status"]["containerStatuses"]:
            kube.node.ctr("tasks", "kill", "--signal", "SIGKILL", status["containerID"].removeprefix("containerd://"))


def a_mounter_that_is_killed_ends_its_mounts(kube):
    """As docs/howto/kubernetes.md says: what runs keeps a dead mount, what starts then has a living one."""
    kill_containers(kube, "csi-mounter")
    wait_until("the pod's writes to fail", lambda: written(kube)[1] > 0, 60)
    expect("not connected" in kube.printed("worker"), "a running container keeps the dead mount: Transport endpoint is not connected")
    last = [line.split()[1] for line in kube.printed("worker").splitlines() if line.startswith("wrote")][-1]
    kube.delete(f"{DEFAULT}/pods/worker")
    kube.wait_gone("pod worker", f"{DEFAULT}/pods/worker")
    text = kube.result_of("after", "cat /data/number", "one")
    expect(text.strip() == last, f"a pod that starts then finds the last number written: {last}")


def a_mounter_that_is_deleted_serves_to_the_last_mount(kube):
    a_pod_writes_all_the_time(kube)
    old = pods_of(kube, "csi-mounter")[0]["metadata"]
    kube.delete(f"{PODS}/{old['name']}")
    count = written(kube)[0]
    wait_until("the pod to write on", lambda: written(kube)[0] > count + 25, 60)
    expect(written(kube)[1] == 0 and kube.find(f"{PODS}/{old['name']}") is not None, "a mounter that was told to end serves on")
    kube.delete(f"{DEFAULT}/pods/worker")
    kube.wait_gone("pod worker", f"{DEFAULT}/pods/worker")
    kube.wait_gone("the mounter, when its last mount has gone", f"{PODS}/{old['name']}", 120)
    wait_until("another mounter", lambda: [pod for pod in pods_of(kube, "csi-mounter") if ready(pod)], 60)


def all_is_deleted_again(kube):
    claim = kube.get(f"{DEFAULT}/persistentvolumeclaims/one")
    kube.kubectl("delete", "shimacluster", "-n", NAMESPACE, NAME, "--wait=false")
    kube.wait_for("the deletion to be blocked", CLUSTER, lambda one: one["status"]["phase"] == "DeletionBlocked", 60)
    expect(True, "while the claim is there the ShimaCluster is not deleted")
    kube.delete(f"{DEFAULT}/persistentvolumeclaims/one")
    kube.wait_gone("its volume", f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
    kube.wait_gone("the ShimaCluster", CLUSTER, 120)
    wait_until("its pods to be gone", lambda: all(one["metadata"]["name"].startswith("shima-operator-") for one in kube.items(PODS)), READY_S)
    kube.kubectl("delete", "--wait=false", "-f", OPERATOR)
    kube.wait_gone("the namespace", f"/api/v1/namespaces/{NAMESPACE}", READY_S)
    wait_until("all containers to be gone", lambda: not kube.node.ctr("tasks", "list", "--quiet").split(), 60)
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    left = [one for one in mounts if one.startswith(("/var/lib/kubelet/p", "/run/shima"))]
    expect(not left, f"no container and no mount is left {left}")
    kept = sorted(str(one) for one in pathlib.Path("/var/lib/shima").glob("*/*"))
    expect(len(kept) == 3, f"the node's directories with data stay: {', '.join(kept)}")


SCENARIOS = [a_pod_runs_with_network_and_names, the_operator_runs_as_a_deployment, the_trial_becomes_ready, a_claim_keeps_what_a_pod_wrote,
             a_claim_is_a_block_device, a_pod_writes_all_the_time, an_outage_restarts_nobody_else, servers_come_back_under_other_addresses,
             a_claim_in_use_grows, a_kubelet_that_restarts_disturbs_nobody, an_upgrade_replaces_servers_one_by_one,
             a_mounter_that_is_killed_ends_its_mounts, a_mounter_that_is_deleted_serves_to_the_last_mount, all_is_deleted_again]


def our_image():
    """The path of hack/images' archive."""
    made = subprocess.run([ROOT / "hack/images/build", "--cached"], stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        raise AssertionError(f"hack/images/build --cached: exit code {made.returncode}")
    return made.stdout.strip().splitlines()[-1]


def main():
    if not LONG:
        skip("pods by a real kubelet: builds kubelet and containerd; hack/test --all (SHIMA_TEST_LONG=1) runs it")
    if INSIDE not in os.environ:
        check_node_programs()
        all_programs()
        Node.programs_are_there()
        if OUR_IMAGE not in os.environ:
            os.environ[OUR_IMAGE] = our_image()
    return in_own_namespaces(__file__, lambda: run_scenarios("pods", TrialOnNode, SCENARIOS, ("shima-operator-render",)))


if __name__ == "__main__":
    sys.exit(main())
