"""Scenarios of kube_operator_test.py: specs that contradict themselves, others who write the same objects, broken ways to the API server, and a
clock that jumps."""

import calendar
import contextlib
import pathlib
import time

from cluster import LONG, expect, say, skip_scenario, wait_until
from kube_cluster import ApiError

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
NAMESPACE = "shima-system"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/shima-operator"


def a_node_that_fits_two_entries_is_named(cluster):
    kube = cluster.kube
    kube.add_node("node-two", {"hall": "1", "row": "2"})
    with contextlib.suppress(ApiError):
        kube.create("/api/v1/namespaces", {"metadata": {"name": "halls"}})
    path = "/apis/shima.io/v1alpha1/namespaces/halls/shimaclusters"
    disk, other = {"hostPath": "/var/lib/shima/halls"}, {"hostPath": "/var/lib/shima/etcd-of-halls"}
    kube.create(path, {"apiVersion": "shima.io/v1alpha1", "kind": "ShimaCluster", "metadata": {"name": "halls"}, "spec": {
        "csi": {"enabled": False}, "coreServers": {"disks": [disk]}, "etcd": {"data": other},
        "topology": {"sites": [{"name": "hall-one", "matchLabels": {"hall": "1"}}, {"name": "row-two", "matchLabels": {"row": "2"}}]}}})

    def said(one):
        return next((c["message"] for c in one.get("status", {}).get("conditions", [])
                     if c["type"] == "SitesMapped" and "node node-two fits sites hall-one, row-two" in c["message"]), None)
    found = kube.wait_for("the condition that names node and entries", f"{path}/halls", said)
    expect(True, f"it is said: {said(found)[:170]}")
    kube.delete(f"{path}/halls")
    kube.wait_gone("it", f"{path}/halls")
    kube.delete("/api/v1/nodes/node-two")


def a_meddler_is_named(cluster):
    kube, path = cluster.kube, f"{SETS}/shima-access-site-c"
    wanted = kube.get(path)["spec"]["replicas"]
    for _ in range(3):
        kube.kubectl("patch", "statefulset", "shima-access-site-c", "-n", NAMESPACE, "--field-manager=meddler", "--type=merge",
                     "-p", '{"spec":{"replicas":0}}')
        kube.wait_for("its replicas again", path, lambda one: one["spec"]["replicas"] == wanted)
    found = cluster.wait_condition("ObjectsApplied", "False", "Contested", "meddler")
    expect(True, f"who changes it again and again is named: {found['message']}")


def cut_off(cluster, seconds):
    """The operator's way to the API server ends in the middle of what its watches tell, and what is asked for changes meanwhile."""
    kube = cluster.kube
    for number in range(40):  # events on the way
        kube.patch("/api/v1/nodes/node-a0", {"metadata": {"labels": {"events": str(number)}}})
        if number == 20:
            cluster.relay.end()
    wanted = 3 - kube.get(f"{SETS}/shima-access-site-b")["spec"]["replicas"]
    cluster.change_spec(accessServers={"perSite": wanted})
    time.sleep(seconds)
    expect(kube.get(f"{SETS}/shima-access-site-b")["spec"]["replicas"] != wanted, "nobody acts while the operator is cut off")
    cluster.relay.start()
    kube.wait_for("what changed meanwhile", f"{SETS}/shima-access-site-b", lambda one: one["spec"]["replicas"] == wanted, 60)
    cluster.wait_condition("Ready", "True", timeout_s=120)


def a_watch_that_breaks_and_a_spec_that_changes_meanwhile(cluster):
    cut_off(cluster, 150 if LONG else 13)  # longer than a leader lives without its lease


def transitions(kube):
    spec = kube.get(LEASE)["spec"]
    return spec["leaseTransitions"], spec["holderIdentity"].partition("_")[0]


def a_wall_clock_that_jumps_changes_no_leader(cluster):
    """That of the leader, by hours forward and back; it never goes before the time when the certificates begin to be valid."""
    if not FAKETIME.exists():
        skip_scenario(f"a clock that jumps: {FAKETIME} is not there; hack/deps installs it")
    first, second = cluster.operator("operator-0"), cluster.operator("operator-1")
    for tries_left in (2, 1, 0):
        lost = second.log().count("no longer leads")
        try:
            return leads_while_its_clock_jumps(cluster, first, second)
        except AssertionError:
            if tries_left == 0 or second.log().count("no longer leads") == lost:
                raise
        say("  it could not renew its lease in time, as on a busy machine; again")
        if second.process.poll() is None:
            second.stop()
        if first.process.poll() is not None:
            first.start()
        wait_until("the first operator to lead again", first.leads, 60)


def leads_while_its_clock_jumps(cluster, first, second):
    """The second one; afterwards the first one leads."""
    kube, file = cluster.kube, cluster.folder / "time"
    file.write_text("+2h\n")
    second.start("env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1")
    wait_until("the operator with a clock of its own to be ready", lambda: second.get("/readyz")[0] == 200)
    first.stop()
    wait_until("it to lead", second.leads, 60)
    before = transitions(kube)
    first.start()
    replicas = kube.get(f"{SETS}/shima-access-site-a")["spec"]["replicas"]
    for offset in ("+3h", "+1h"):
        file.write_text(f"{offset}\n")
        wait_until("the lease to be renewed by that clock", lambda: abs(renewed_ahead_s(kube) - 3600 * int(offset[1])) < 60)
        replicas = 3 - replicas
        cluster.change_spec(accessServers={"perSite": replicas})
        kube.wait_for("a change by it", f"{SETS}/shima-access-site-a", lambda one: one["spec"]["replicas"] == replicas)
        time.sleep(16 if LONG else 11)  # longer than a lease may go without being renewed
        expect(second.leads() and not first.leads() and transitions(kube) == before, f"at {offset} the same one leads, alone, and acts")
    second.stop()
    wait_until("the first operator to lead again", first.leads, 60)


def renewed_ahead_s(kube):
    renewed = kube.get(LEASE)["spec"]["renewTime"]
    return calendar.timegm(time.strptime(renewed[:19], "%Y-%m-%dT%H:%M:%S")) - time.time()
