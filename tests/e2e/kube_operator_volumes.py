"""A scenario of kube_operator_test.py: what a ShimaVolume tells when those who know of the volume are lost."""

import calendar
import time

from cluster import LONG, PATIENCE, expect, wait_until

NAMESPACE = "shima-system"
VOLUME = f"/apis/shima.io/v1alpha1/namespaces/{NAMESPACE}/shimavolumes/vm1"


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def wait_for(cluster, condition, timeout_s=120):
    """As people do it. The volume's status, and the condition."""
    cluster.kube.kubectl("wait", f"--for=condition={condition}", "shv/vm1", "-n", NAMESPACE,
                         f"--timeout={PATIENCE * timeout_s}s", timeout_s=PATIENCE * timeout_s + 30)
    kind, _, wanted = condition.partition("=")

    def look():  # a server that stands still may have changed it meanwhile
        status = cluster.kube.get(VOLUME)["status"]
        found = next(one for one in status["conditions"] if one["type"] == kind)
        return (status, found) if found["status"] == (wanted or "True") else None
    return wait_until(f"vm1 to be {condition}", look, timeout_s)


def a_volume_whose_home_is_lost_tells_so(cluster):
    """The pods of its servers stay ready all the time. What other sites lacked is told as it was last, with its time."""
    cluster.wait_condition("Ready", "True", timeout_s=120)
    wait_for(cluster, "Healthy")
    before, _ = wait_for(cluster, "Connected")
    expect(before["observedGeneration"] == 1 and "lagSeconds" in before, "kubectl wait finds vm1 Healthy and Connected")
    home = [name for name in cluster.names() if name.startswith("site-a/")]
    cluster.kill(*home)
    wait_for(cluster, "Healthy=False")

    def both():
        status = cluster.kube.get(VOLUME)["status"]
        text = "; ".join(status["reasons"])
        return text if status["health"] == "Degraded" and all(name in text for name in home) else None
    told = wait_until("health Degraded, and both servers in its reasons", both)
    expect(True, f"both of its home's servers are lost: {told}")
    for name in home:
        found = cluster.wait_condition("CoreServersReady", "False", "NoLease", name)

    def site():
        one = next(one for one in cluster.object()["status"]["sites"] if one["name"] == "site-a")
        return one if one["state"] == "Degraded" and "site-a/core-0" in one["message"] else None
    expect(True, f"ShimaCluster: {found['message']}; site-a: {wait_until('site-a to be Degraded', site)['message']}")
    status, connected = wait_for(cluster, "Connected=Unknown", 150)
    age = seconds(connected["lastTransitionTime"]) - seconds(status["lagObservedTime"])
    expect(55 <= age < 150, f"nobody tells of its copies: {connected['message']}, which was {age} s before")
    copies = [one for one in status["sites"] if one["role"] == "Copy"]
    expect(len(copies) == 2 and all("lagBytes" in one for one in copies), "the last lag of each copy stays")
    if LONG:
        nobody_is_left(cluster)
    cluster.start(*(cluster.names() if LONG else home))
    status, _ = wait_for(cluster, "Healthy")
    wait_for(cluster, "Connected")
    expect(status["health"] == "Healthy" and not status["reasons"], "once they are back it is Healthy and Connected again")
    cluster.wait_condition("Ready", "True", timeout_s=120)


def nobody_is_left(cluster):
    cluster.kill(*(name for name in cluster.names() if not name.startswith("site-a/")))
    status, healthy = wait_for(cluster, "Healthy=Unknown", 150)
    age = seconds(healthy["lastTransitionTime"]) - seconds(status["observedTime"])
    expect(status["health"] == "Unknown" and 55 <= age < 150, f"no core server is left, for {age} s: {status['reasons'][0]}")
    cluster.wait_condition("VolumesHealthy", "Unknown", "NotKnown")
    cluster.wait_condition("Ready", "False")
