"""`ack: local` (the paper's proposal) against `ack: all` (the conventional scheme) at several distances."""

import json

from quickstart_lib import QuickstartError, cluster, screen

CASES = ("write-4k-d1", "write-1m-d1")
POLICIES = ("local", "all")
TRIES = 5  # of a measurement in which no write was answered: the machine may stand still for seconds


def bench(the_cluster, policy, cases, seconds):
    """{case: its JSON line}, with the WAN as it is now, on the volume of this policy; it is made if it is not there."""
    command = [cluster.BENCH, "core", "--dir", the_cluster.directory, "--volume", f"bench-{policy}", "--ack", policy,
               "--size", "64MiB", "--span-mib", "64", "--seconds", str(seconds), "--warm-up", "0.5"]
    for case in cases:
        command += ["--case", case]
    lines = cluster.run(the_cluster.log, command, f"hack/bench with ack {policy}").stdout.splitlines()
    return {line["case"]: line for line in map(json.loads, lines) if line.get("case") in cases}


def prepare(the_cluster, site):
    """Makes the volumes and writes to all their groups once, so that what is measured has no beginnings in it."""
    for policy in POLICIES:
        bench(the_cluster, policy, ("write-1m-d16",), 0.5)
        cluster.wait_for_no_lag(the_cluster, site, f"bench-{policy}")


def measure(the_cluster, site, policy, seconds):
    """One line for each of CASES; waits until remotes have it all."""
    for _ in range(TRIES):
        found = bench(the_cluster, policy, CASES, seconds)
        if all(found.get(case, {}).get("operations", 0) for case in CASES):
            break
    for case in CASES:
        if found.get(case, {}).get("operations", 0) == 0:
            raise QuickstartError(f"hack/bench, case {case} with ack {policy}: no write was answered within {seconds} s; "
                                  "see the servers' logs (hack/devcluster status names them)")
    cluster.wait_for_no_lag(the_cluster, site, f"bench-{policy}")
    return [found[case] for case in CASES]


def show(the_cluster, site, distances_ms, seconds):
    """Prints the table row by row. distances_ms: None for a cluster without a WAN."""
    screen.passing("making two volumes ...")
    prepare(the_cluster, site)
    screen.clear_passing()
    table = screen.Table([("RTT", 8), ("ACK", 5), ("4 KiB p50", 10), ("4 KiB p99", 10), ("1 MiB p50", 10), ("1 MiB p99", 10),
                          ("1 MiB MB/s", 10)], left=2)
    for distance in distances_ms:
        if distance is not None:
            the_cluster.devcluster("wan", f"rtt={distance}", what="hack/devcluster wan")
        for policy in POLICIES:
            screen.passing(f"measuring ack {policy} ...")
            small, large = measure(the_cluster, site, policy, seconds)
            screen.clear_passing()
            table.row([f"{distance} ms" if distance is not None else "loopback", policy,
                       *(screen.milliseconds(line[key]) for line in (small, large) for key in ("p50_us", "p99_us")),
                       f"{large['mb_s']:.1f}"])
    for policy in POLICIES:
        the_cluster.shimactl(site, "volume", "delete", f"bench-{policy}", what=f"deleting volume bench-{policy}")
