"""A scenario of kube_operator_test.py: an API server that is away for minutes, while volumes are in use."""

import time

from appender import Appender
from cluster import DONE, LONG, expect, say, wait_until
from kube_operator_mishaps import transitions

NAMESPACE = "shima-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:shima-operator"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
# What may not be made anew when nothing was changed.
KINDS = (SETS, *(f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind}" for kind in ("daemonsets", "deployments")),
         *(f"/api/v1/namespaces/{NAMESPACE}/{kind}" for kind in ("pods", "services", "serviceaccounts", "configmaps", "persistentvolumeclaims")),
         f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets", f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies",
         "/apis/storage.k8s.io/v1/storageclasses", "/apis/storage.k8s.io/v1/csidrivers", "/api/v1/persistentvolumes")
AWAY_S = 150 if LONG else 75  # longer than a Lease (15 s), a request (30 s) and a watch's silence (60 s) may last
UNNOTICED_S = 30


def identities(kube):
    """{path: (uid, generation)} of KINDS."""
    return {f"{path}/{one['metadata']['name']}": (one["metadata"]["uid"], one["metadata"].get("generation"))
            for path in KINDS for one in kube.items(path)}


def differences(before, after):
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def the_api_server_goes_away(cluster):
    """Mounts and core servers do not notice. Both operators stay, none leads, and afterwards one does, which makes nothing anew."""
    kube, operators = cluster.kube, [cluster.operator("operator-0"), cluster.operator("operator-1").start()]
    wait_until("the second operator to be ready", lambda: operators[1].get("/readyz")[0] == 200)
    cluster.create("absence", "--size", "64MiB")
    mounted = cluster.mount("site-b", "absence")
    kube.wait_for("its ShimaVolume", f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimavolumes/absence")
    cluster.wait_condition("Ready", "True", timeout_s=120)
    before, leases, asked = identities(kube), transitions(kube)[0], len(kube.requests(ACCOUNT))
    servers = {name: cluster.pid(name) for name in cluster.names()}
    appender = Appender(mounted / "log")
    appender.start()
    begin = time.monotonic()
    kube.stop_api()
    while time.monotonic() - begin < AWAY_S:
        time.sleep(5)
        expect_alive(operators)
    expect(not any(operator.leads() for operator in operators), f"after {time.monotonic() - begin:.0f} s without the API server nobody leads")
    kube.start_api()
    lost = times_lost(operators)
    wait_until("an operator to lead", lambda: any(operator.leads() for operator in operators), 60)
    cluster.wait_condition("Ready", "True", timeout_s=120)
    leader = the_only_leader(operators)
    expect(transitions(kube)[0] <= leases + 1 + times_lost(operators) - lost, f"{leader} leads, and it alone")
    expect_nothing_anew(kube, before, asked)
    expect({name: cluster.pid(name) for name in servers} == servers, "all core servers are the processes that they were")
    written = appender.end()
    expect(appender.longest_s < UNNOTICED_S, f"{appender.lines} lines were written at the mount, the slowest in {appender.longest_s:.1f} s")
    other = cluster.mount("site-c", "absence")
    expect((other / "log").read_text() == written, "each of them is there at another site")
    for path in (other, mounted):
        cluster.umount(path)
    wait_until("volume absence to be deleted", lambda: cluster.try_ctl("volume", "delete", "absence").code == DONE)
    operators[1].stop()
    wait_until("the first operator to lead", operators[0].leads, 60)
    for wanted in (2, 1):
        cluster.change_spec(accessServers={"perSite": wanted})
        kube.wait_for("a change after it came back", f"{SETS}/shima-access-site-b", lambda one: one["spec"]["replicas"] == wanted, 90)


def times_lost(operators):
    return sum(operator.log().count("no longer leads") for operator in operators)


def the_only_leader(operators):
    """Its name, after ten looks that found it alone."""
    for tries_left in (2, 1, 0):
        wait_until("an operator to lead", lambda: any(operator.leads() for operator in operators), 60)
        lost = times_lost(operators)
        found = [leaders_at_a_look(operators) for _ in range(10)]
        if all(len(leaders) == 1 for leaders in found):
            return found[-1][0]
        if tries_left == 0 or times_lost(operators) == lost:
            raise AssertionError(f"wanted one leader, found {found}")
        say("  it could not renew its lease in time, as on a busy machine; again")


def leaders_at_a_look(operators):
    time.sleep(1)
    return [operator.name for operator in operators if operator.leads()]


def expect_alive(operators):
    """As kubelet sees it, whose probes go on: one failure may be the machine's, six in a row end the container."""
    for operator in operators:
        wait_until(f"{operator.name}'s /healthz", lambda: operator.get("/healthz")[0] == 200, 20, exact=True)
        if operator.process.poll() is not None:
            raise AssertionError(f"{operator.name} ended with code {operator.process.returncode}")


def expect_nothing_anew(kube, before, asked):
    changed = differences(before, identities(kube))
    expect(not changed, f"{len(before)} objects, pods among them, are those of before {changed or ''}")
    made = sorted({f"{one['verb']} {one['resource']} {one['name']}" for one in kube.requests(ACCOUNT, asked)
                   if one["verb"] in ("create", "delete", "deletecollection") and one["resource"] not in ("events", "leases")})
    expect(not made, f"the operator asked for nothing to be made or deleted {made or ''}")
