#!/usr/bin/env python3
"""The operator of an earlier build makes a cluster; today's takes it over, and the earlier one again, as upgrades and ways back do it. The definitions
and rights are today's: they come first. The bed is that of kube_operator_test.py; SHIMA_PREVIOUS is as in skew_test.py. Long: runs with
SHIMA_TEST_LONG=1 only.
"""

import subprocess
import sys
import time

from cluster import BIN, LONG, PROGRAMS, expect, run_scenarios, say, skip, wait_until
from kube_operator_away import identities
from kube_operator_test import (ACCOUNT, CLUSTERS, CORE, NAMESPACE, PODS, VOLUMES, ClusterWithOperator, a_volume_is_shown, it_becomes_ready,
                                one_manifest_makes_every_object)
from skew_test import previous_programs

RECORDS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
QUIET_S = 8
# Builds before 0.1.0 refuse these, of which the definitions have defaults.
UNKNOWN_BEFORE = ("spec.etcd.sites: there is no such field", "spec.imagePullSecrets: there is no such field")


class ClusterOfAnEarlierOperator(ClusterWithOperator):
    def __init__(self):
        super().__init__()
        self.previous = previous_programs(("shima-operator",))

    def __enter__(self):
        super().__enter__()
        self.choose(self.previous)
        return self

    def choose(self, programs):
        """What the operator runs at its next start, with the flags that this build's manifest would have."""
        operator = self.operator("operator-0")
        names = [set(subprocess.run([folder / "shima-operator", "--help"], capture_output=True, text=True, check=True).stdout.split())
                 for folder in (BIN, programs)]
        flags = [{word.split("=")[0] for word in words if word.startswith("--")} for words in names]
        operator.programs, operator.unknown = programs, tuple(f"{flag}=" for flag in flags[0] - flags[1])


def writes(kube, since):
    return [one for one in kube.requests(ACCOUNT, since) if one["verb"] not in ("get", "list", "watch") and one["resource"] not in ("leases", "events")]


def wait_quiet(cluster):
    """Until the cluster is Ready, all pods too, and the operator has written nothing for a while."""
    def quiet():
        cluster.wait_condition("Ready", "True", timeout_s=180)
        before = len(cluster.kube.requests(ACCOUNT))
        time.sleep(QUIET_S)
        return cluster.condition("Upgrading").get("status") == "False" and not writes(cluster.kube, before)
    wait_until("the operator to have nothing to do", quiet, 300)


def records(kube):
    """What operators write down once, and must not forget."""
    return {one["metadata"]["name"]: one["data"] for one in kube.items(RECORDS) if one["metadata"]["name"].startswith("shima-etcd-")}


def core_pods(cluster):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods(CORE)}


def take_over(cluster, programs, build):
    """Nothing that was there is deleted or made anew but pods, and of core servers never two at the same time, and each once at most."""
    kube, operator = cluster.kube, cluster.operator("operator-0")
    before, asked, written, core = identities(kube), len(kube.requests(ACCOUNT)), records(kube), core_pods(cluster)
    volume = kube.get(f"{VOLUMES}/vm1")["metadata"]["uid"]
    operator.stop()
    cluster.choose(programs)
    cluster.kubelets.watch_core()
    operator.start()
    wait_until("it to lead", operator.leads)
    wait_quiet(cluster)
    after = identities(kube)
    anew = sorted(path for path, (uid, _) in before.items() if not path.startswith(PODS) and after.get(path, (None,))[0] != uid)
    expect(not anew, f"the {build} operator leads, and {len(before)} objects are those of before {anew or ''}")
    expect(records(kube) == written and kube.get(f"{VOLUMES}/vm1")["metadata"]["uid"] == volume, f"its records are whole: {', '.join(written)}")
    restarted = [name for name, uid in core_pods(cluster).items() if core[name] != uid]
    deletions = [one["name"] for one in kube.requests(ACCOUNT, asked) if one["verb"] == "delete" and one["resource"] == "pods" and one["name"] in core]
    expect(len(deletions) == len(set(deletions)), f"core servers that it restarted: {', '.join(restarted) or 'none'}")
    expect(cluster.kubelets.least_ready >= 5, f"of 6 core servers at least {cluster.kubelets.least_ready} were ready at any time")
    changed = sorted(path.split("/", 5)[-1] for path in before.keys() & after.keys() if before[path][1] != after[path][1])
    say(f"  changed: {', '.join(changed) or 'nothing'}; new: {', '.join(sorted(p.split('/', 5)[-1] for p in after.keys() - before.keys())) or 'nothing'}")
    return before, after


def the_earlier_operator_makes_the_cluster(cluster):
    try:
        one_manifest_makes_every_object(cluster)
    except AssertionError:
        said = cluster.condition("SpecAccepted").get("message", "") if cluster.kube.items(CLUSTERS) else ""
        if said.startswith(UNKNOWN_BEFORE):
            skip(f"operators of two builds: the earlier one is from before 0.1.0 ({said})")
        raise
    it_becomes_ready(cluster)
    a_volume_is_shown(cluster)


def the_newer_operator_takes_over(cluster):
    wait_quiet(cluster)
    take_over(cluster, BIN, "newer")


def a_restart_of_it_changes_nothing(cluster):
    before, after = take_over(cluster, BIN, "newer")
    expect(before == after, "a second start of the same build changes nothing")


def the_earlier_operator_takes_over_again(cluster):
    take_over(cluster, cluster.previous, "earlier")


if __name__ == "__main__":
    if not LONG:
        skip("operators of two builds: needs the programs of an earlier commit; hack/test --all (SHIMA_TEST_LONG=1) runs it")
    sys.exit(run_scenarios("operators of two builds", ClusterOfAnEarlierOperator, [
        the_earlier_operator_makes_the_cluster, the_newer_operator_takes_over, a_restart_of_it_changes_nothing,
        the_earlier_operator_takes_over_again, the_newer_operator_takes_over], (*PROGRAMS, "shima-operator")))
