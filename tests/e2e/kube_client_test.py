#!/usr/bin/env python3
"""common/kubernetes against a real kube-apiserver: every call, good and refused, watches, 410, and a server that is killed and started
again meanwhile. What is asked is in tests/integration/kubernetes."""

import os
import subprocess
import sys
import time

from cluster import BIN, expect, run_scenarios
from kube_cluster import KubeCluster

CHECK = "kubernetes_client_check"
RESTART = "RealApiServer.WatcherAndElectionOutliveARestartOfTheServer"
AWAY_S = 12  # longer than the check's process may stand still: it is to notice
CHECK_S = 400
MAPS = "/api/v1/namespaces/client-check/configmaps"


def started_check(kube, tests):
    if kube.find("/api/v1/namespaces/limited") is None:
        kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": "limited"}})
        kube.request("POST", "/api/v1/namespaces/limited/serviceaccounts", {"metadata": {"name": "nobody"}})
    environment = {**os.environ, "SHIMA_ADMIN_KUBECONFIG": str(kube.admin),
                   "SHIMA_LIMITED_KUBECONFIG": str(kube.kubeconfig("limited", "nobody"))}
    return subprocess.Popen([BIN / CHECK, f"--gtest_filter={tests}"], env=environment, text=True, stdout=subprocess.PIPE)


def finish(check):
    try:
        out, _ = check.communicate(timeout=CHECK_S)
    except subprocess.TimeoutExpired:
        check.kill()
        out, _ = check.communicate()
    print(out, flush=True)
    expect(check.returncode == 0 and "PASSED" in out, f"{CHECK} passed")


def every_call_is_answered_as_the_client_says(kube):
    finish(started_check(kube, f"*-{RESTART}"))


def watcher_and_election_outlive_a_restart(kube):
    check = started_check(kube, RESTART)
    for line in check.stdout:
        print(line, end="", flush=True)
        if "restart the API server" in line:
            break
    kube.stop_api()
    time.sleep(AWAY_S)
    kube.start_api()
    kube.request("POST", MAPS, {"metadata": {"name": "after-restart"}, "data": {"value": "1"}})
    finish(check)


if __name__ == "__main__":
    sys.exit(run_scenarios("kubernetes client", lambda: KubeCluster(controllers=False, scheduler=False), [
        every_call_is_answered_as_the_client_says, watcher_and_election_outlive_a_restart], (CHECK,)))
