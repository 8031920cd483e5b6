#!/usr/bin/env python3
"""What is watched and when somebody is called, by the real parts: the Prometheus operator's own definitions on a real API server take what our
operator and its chart make for them; promtool reads the rules, and each alert fires when it should, with its words, and not before, nor when
all is well; real servers export every metric that a rule names, and tell of a second copy and a remote that are away.
"""

import json
import re
import subprocess
import sys

from cluster import BIN, PROGRAMS, ROOT, Cluster, expect, run_scenarios, wait_until
from kube_cluster import KubeCluster, free_port, kube_programs
from kube_crd_test import CLUSTERS, CRDS, EXAMPLES, NAMESPACE, NODES, rendered, take_all

KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
API = "monitoring.coreos.com/v1"
PAGE = ROOT / "docs/howto/alerts.md"
METRICS_PORT = 7004
GROUPS = "shima_primary_groups"
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"

HERE = f'namespace="{NAMESPACE}"'
CORE = f'{{{HERE},pod="shima-core-zone-a-0",service="shima-core-zone-a",server="zone-a/core-0"}}'
DISK = f'{{{HERE},pod="shima-core-zone-a-0",service="shima-core-zone-a",server="zone-a/core-0",disk="/disks/0"}}'
GIB = 1 << 30


def up(part, zone, number):
    return f'up{{{HERE},pod="shima-{part}-zone-{zone}-{number}",service="shima-{part}-zone-{zone}"}}'


def leader(zone):
    return f'etcd_server_has_leader{{{HERE},pod="shima-etcd-zone-{zone}-0",service="shima-etcd-zone-{zone}"}}'


def operator(metric, number=0, **labels):
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    return f'shima_operator_{metric}{{{HERE},pod="shima-operator-{number}"{more}}}'


# All is well, as near to its limits as it may be.
HEALTHY = {
    **{up("core", zone, number): "1x120" for zone in "abc" for number in (0, 1)},
    **{up("etcd", zone, 0): "1x120" for zone in "abc"},
    **{leader(zone): "1x120" for zone in "ab"}, leader("c"): "0x120",
    f"shima_etcd_silent_ms{CORE}": "30000x120",
    f"shima_primary_groups_not_serving{CORE}": "0x120",
    f"shima_primary_groups_without_second_copy{CORE}": "0x120",
    f"shima_remote_members_away{CORE}": "0x120",
    f"shima_remote_members_not_whole{CORE}": "0x120",
    f"shima_greatest_remote_lag_bytes{CORE}": f"{5 * GIB}x120",
    f"shima_lag_budget_bytes{CORE}": f"{10 * GIB}x120",
    f"shima_greatest_remote_lag_ms{CORE}": "300000x120",
    f"shima_disk_free_bytes{DISK}": f"{10 * GIB}x120",
    f"shima_disk_total_bytes{DISK}": f"{100 * GIB}x120",
    f"shima_disk_full{DISK}": "0x120",
    f"shima_disk_block_checksum_errors{DISK}": "3x120",  # long ago
    operator("leader"): "1x120", operator("leader", 1): "0x120",
    operator("api_calls_total", verb="apply", result="permission-denied"): "7x120",
    operator("reconciles_total", result="failed"): "5x120",
}

# What fires: {alert: ({series: values; None: taken away}, labels of the alert, its summary)}.
NOT_WELL = {
    "ShimaServerDown": ({up("core", "a", 0): "0x120"}, up("core", "a", 0), "shima-core-zone-a-0 does not answer"),
    "ShimaCoreServersMissing": ({up("core", "a", 0): None, up("core", "a", 1): None}, "", "4 of 6 core servers are there"),
    "ShimaEtcdAway": ({f"shima_etcd_silent_ms{CORE}": "30001x120"}, CORE, "zone-a/core-0 does not reach etcd"),
    "ShimaEtcdWithoutMajority": ({leader("a"): None, leader("b"): "0x120"}, "", "0 of 3 members of etcd have a leader, wanted 2"),
    "ShimaVolumesNotServed": ({f"shima_primary_groups_not_serving{CORE}": "8x120"}, CORE, "zone-a/core-0 serves 8 groups of volumes to nobody"),
    "ShimaSecondCopyMissing": ({f"shima_primary_groups_without_second_copy{CORE}": "9x120"}, CORE,
                               "9 groups of volumes lack the second copy at home of zone-a/core-0"),
    "ShimaRemoteAway": ({f"shima_remote_members_away{CORE}": "2x120"}, CORE, "zone-a/core-0 does not reach 2 copies at other sites"),
    "ShimaRemoteNotWhole": ({f"shima_remote_members_not_whole{CORE}": "1x120"}, CORE, "1 remote copies of groups of zone-a/core-0 are not whole"),
    "ShimaRemoteLagNearBudget": ({f"shima_greatest_remote_lag_bytes{CORE}": f"{8 * GIB}x120"}, CORE,
                                 "A remote copy lacks 80% of zone-a/core-0's lag budget"),
    "ShimaRemoteLagLong": ({f"shima_greatest_remote_lag_ms{CORE}": "300001x120"}, CORE,
                           "A remote copy of zone-a/core-0 lacks writes that are older than 5 minutes"),
    "ShimaDiskNearlyFull": ({f"shima_disk_free_bytes{DISK}": f"{9 * GIB}x120"}, DISK, "zone-a/core-0: less than a tenth of /disks/0 is free"),
    "ShimaDiskFull": ({f"shima_disk_full{DISK}": "1x120"}, DISK, "zone-a/core-0: /disks/0 is full, or nearly"),
    "ShimaDiskDamaged": ({f"shima_disk_block_checksum_errors{DISK}": "0x10 1x110"}, DISK, "zone-a/core-0: blocks on /disks/0 have wrong checksums"),
    "ShimaOperatorWithoutLeader": ({operator("leader"): None, operator("leader", 1): "0x120"}, "", "No shima-operator acts"),
    "ShimaOperatorRefused": ({operator("api_calls_total", verb="apply", result="permission-denied"): "0+1x120"}, '{verb="apply"}',
                             "shima-operator may not apply what it has to"),
    "ShimaOperatorFails": ({operator("reconciles_total", result="failed"): "0+1x120"}, "", "shima-operator does not get an answer from the API server"),
}


class WatchedCluster(Cluster):
    """A devcluster whose core servers serve /metrics, and a Kubernetes with the Prometheus operator's definitions beside it."""

    def __init__(self):
        self.definitions = kube_programs("monitoring-crds", "promtool")
        self.helm = kube_programs("helm") / "helm"
        super().__init__("--sites", "site-a,site-b", "--core", "2,1", "--rtt-ms", "2", f"--server-flags=--metrics_port={METRICS_PORT}")
        self.kube, self.rules = KubeCluster(controllers=False, scheduler=False), {}

    def __enter__(self):
        self.kube.__enter__()
        try:
            return super().__enter__()
        except BaseException:
            self.kube.down()
            raise

    def __exit__(self, *error):
        self.kube.__exit__(*error)
        super().__exit__(*error)

    def metrics(self, server):
        """{name: [values]} of a core server that runs. Where one of its threads stands still it tells of no groups."""
        url = f"http://{self.server(server)['address'].partition(':')[0]}:{METRICS_PORT}/metrics"

        def told():
            found = parsed(self.run(server.partition("/")[0], sys.executable, "-c", FETCH, url).out)
            return found if GROUPS in found else None
        return wait_until(f"{server} to tell its metrics", told)

    def total(self, servers, metric):
        return sum(sum(self.metrics(server)[metric]) for server in servers)


def parsed(text):
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found.setdefault(re.split(r"[{ ]", line, maxsplit=1)[0], []).append(float(line.rsplit(" ", 1)[1]))
    return found


def apply_definitions(cluster):
    for name in KINDS:
        cluster.kube.kubectl("apply", "--server-side", "-f", cluster.definitions / "monitoring-crds" / f"monitoring.coreos.com_{name.lower()}s.yaml")
    cluster.kube.kubectl("apply", "--server-side", *(word for path in sorted(CRDS.glob("*.yaml")) for word in ("-f", path)))
    for name in (*(f"{kind.lower()}s.monitoring.coreos.com" for kind in KINDS), "shimaclusters.shima.io"):
        cluster.kube.wait_for_definition(name)


def what_is_made_for_prometheus_is_taken(cluster):
    kube = cluster.kube
    apply_definitions(cluster)
    chart = subprocess.run([cluster.helm, "template", "shima-operator", ROOT / "charts/shima-operator", "--namespace", NAMESPACE,
                            "--kube-version", "1.29.0", "--api-versions", API], capture_output=True, text=True)
    expect(chart.returncode == 0, f"helm renders the operator's chart {chart.stderr}")
    kube.kubectl("create", "namespace", NAMESPACE)
    kube.kubectl("apply", "--validate=strict", "-f", EXAMPLES / "three-zones.yaml")
    kube.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=chart.stdout)
    text = rendered(kube, kube.get(f"{CLUSTERS}/shima"), NODES["three-zones.yaml"], f"--api-kinds={API}/ServiceMonitor,{API}/PrometheusRule")
    kube.wait_for_rights(NAMESPACE, "shima-operator")
    count, warnings = take_all(kube, text, kube.kubeconfig(NAMESPACE, "shima-operator"))
    expect(count == len(json.loads(text)["items"]) and not warnings, f"{count} objects are taken from the operator, every field checked {warnings or ''}")
    found = {kind: sorted(one["metadata"]["name"] for one in kube.items(f"/apis/{API}/namespaces/{NAMESPACE}/{kind.lower()}s")) for kind in KINDS}
    expect(found == {"ServiceMonitor": ["shima"], "PodMonitor": ["shima-operator"], "PrometheusRule": ["shima", "shima-operator"]}, f"what is there: {found}")
    groups = [group for one in kube.items(f"/apis/{API}/namespaces/{NAMESPACE}/prometheusrules") for group in one["spec"]["groups"]]
    cluster.rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    (kube.folder / "rules.json").write_text(json.dumps({"groups": groups}))
    monitored = kube.get(f"/apis/{API}/namespaces/{NAMESPACE}/servicemonitors/shima")["spec"]["selector"]["matchLabels"]
    services = [one for one in kube.items(f"/api/v1/namespaces/{NAMESPACE}/services") if monitored.items() <= one["metadata"]["labels"].items()]
    watched = sorted(one["metadata"]["name"] for one in services if any(port["name"] == "metrics" for port in one["spec"]["ports"]))
    expect(len(watched) == 3 * 3 + 1, f"the ServiceMonitor chooses core servers, access servers and etcd of each site, and CSI's controller: {watched}")


def promtool(cluster, *arguments):
    answer = subprocess.run([cluster.definitions / "promtool", *arguments], capture_output=True, text=True, cwd=cluster.kube.folder)
    return answer.returncode, answer.stdout + answer.stderr


def minutes(rule):
    return int(rule["for"].removesuffix("m"))


def labels_of(series):
    return dict(re.findall(r'(\w+)="([^"]*)"', series))


def series_of(changes):
    return [{"series": series, "values": values} for series, values in {**HEALTHY, **changes}.items() if values is not None]


def alert_test(rule, at, fired):
    return {"eval_time": f"{at}m", "alertname": rule["alert"], "exp_alerts": fired}


def firing(rule, case):
    changes, series, summary = case
    told = {"exp_labels": {**labels_of(series), **rule["labels"]}, "exp_annotations": {**rule["annotations"], "summary": summary}}
    tests = [alert_test(rule, minutes(rule) + 40, [told])]
    if minutes(rule) > 0:
        tests.append(alert_test(rule, minutes(rule) - 1, []))
    return {"name": rule["alert"], "interval": "1m", "input_series": series_of(changes), "alert_rule_test": tests}


def each_alert_fires_when_it_should(cluster):
    expect(set(NOT_WELL) == set(cluster.rules), f"every alert has a case here: {sorted(set(NOT_WELL) ^ set(cluster.rules)) or len(NOT_WELL)}")
    code, told = promtool(cluster, "check", "rules", "rules.json")
    expect(code == 0, f"promtool reads the rules: {told.strip()}")
    well = {"name": "all is well", "interval": "1m", "input_series": series_of({}),
            "alert_rule_test": [alert_test(rule, at, []) for rule in cluster.rules.values() for at in (20, 90)]}
    tests = [well, *(firing(rule, NOT_WELL[name]) for name, rule in cluster.rules.items())]
    (cluster.kube.folder / "tests.json").write_text(json.dumps({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": tests}))
    code, told = promtool(cluster, "test", "rules", "tests.json")
    expect(code == 0, f"{len(NOT_WELL)} alerts fire with their words, after their time, and none when all is well {told if code else ''}")
    # Nothing is scraped at all: whoever is called must hear of that.
    silent = [{"name": "nothing is scraped", "interval": "1m", "input_series": [], "alert_rule_test": [
        {"eval_time": "30m", "alertname": name, "exp_alerts": []}]} for name in ("ShimaCoreServersMissing", "ShimaOperatorWithoutLeader")]
    for test in silent:
        (cluster.kube.folder / "silent.json").write_text(json.dumps({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": [test]}))
        code, _ = promtool(cluster, "test", "rules", "silent.json")
        expect(code != 0, f"{test['alert_rule_test'][0]['alertname']} fires when nothing is scraped, and promtool objects to a wrong expectation")


def each_alert_is_explained(cluster):
    page = PAGE.read_text()
    chapters = set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    expect(chapters == set(cluster.rules), f"docs/howto/alerts.md has a chapter for each alert, and no other: {sorted(chapters ^ set(cluster.rules))}")
    for name, rule in cluster.rules.items():
        told = rule["annotations"]
        expect(told["runbook"] == f"docs/howto/alerts.md#{name.lower()}" and told["description"].endswith("."), f"{name} says where to read on")


def operators_metrics(kube):
    """Of one that runs with its account's rights, once it leads."""
    port = free_port()
    program = kube.program("shima-operator", [BIN / "shima-operator", f"--kubeconfig={kube.kubeconfig(NAMESPACE, 'shima-operator')}",
                                              f"--lease-namespace={NAMESPACE}", f"--metrics-port={port}", "--metrics-address=127.0.0.1"]).start()

    def fetched():
        program.check()
        answer = subprocess.run([sys.executable, "-c", FETCH, f"http://127.0.0.1:{port}/metrics"], capture_output=True, text=True)
        found = parsed(answer.stdout)
        return found if found.get("shima_operator_leader") == [1] and "shima_operator_api_calls_total" in found else None
    found = wait_until("the operator to lead", fetched)
    program.end()
    return found


def every_metric_of_a_rule_is_exported(cluster):
    url = cluster.kube.etcd.command[cluster.kube.etcd.command.index("--advertise-client-urls") + 1] + "/metrics"
    etcd = wait_until("etcd to tell its metrics", lambda: subprocess.run(
        [sys.executable, "-c", FETCH, url], capture_output=True, text=True).stdout)
    exported = {**cluster.metrics("site-a/core-0"), **operators_metrics(cluster.kube), **parsed(etcd)}
    named = {metric for rule in cluster.rules.values() for metric in re.findall(r"\b(?:shima|etcd)_[a-z0-9_]+", re.sub(r'"[^"]*"', "", rule["expr"]))}
    expect(len(named) > 12 and named <= set(exported), f"{len(named)} metrics are named, of which nobody exports {sorted(named - set(exported))}")


def core_servers_tell_what_their_volumes_lack(cluster):
    cluster.create("db", "--sites", "site-a,site-b")
    home = cluster.names("site-a")
    bad = ("shima_primary_groups_not_serving", "shima_primary_groups_without_second_copy", "shima_remote_members_away", "shima_remote_members_not_whole")
    groups = 9  # a server that stands still gives its own to the other one, which has no second copy of them meanwhile

    def told(away):
        found = [cluster.total(home, metric) for metric in (GROUPS, *bad[:3])]
        return found == [groups, 0, 0, away]
    wait_until("nothing to be missing", lambda: told(0) and cluster.total(home, bad[3]) == 0)
    expect(True, f"the home's servers are primary of {groups} groups of a volume, and lack nothing")
    cluster.kill(*cluster.names("site-b"))
    wait_until("the remote copies alone to be away", lambda: told(groups))
    expect(True, "a remote that is away is no second copy at home")
    cluster.kill(home[1])

    def left():
        found = cluster.metrics(home[0])  # it takes over the other one's groups, sooner or later
        return sum(found[GROUPS]) if sum(found["shima_primary_groups_without_second_copy"]) == sum(found[GROUPS]) else 0
    count = wait_until("the second copies to be missing", left)
    expect(True, f"{count:.0f} groups of {home[0]} lack their second copy")


if __name__ == "__main__":
    sys.exit(run_scenarios("alerts", WatchedCluster, [
        what_is_made_for_prometheus_is_taken, each_alert_fires_when_it_should, each_alert_is_explained, every_metric_of_a_rule_is_exported,
        core_servers_tell_what_their_volumes_lack], (*PROGRAMS, "shima-operator", "shima-operator-render")))
