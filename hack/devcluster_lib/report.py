"""What people and programs get to read about a cluster."""

import json

from . import ClusterError, namespaces, processes, wan
from .lifecycle import folder_of, log_of
from .plan import MAIN_PORT, NFS, nfs_endpoints, shared_address


def server_state(server):
    if processes.is_running(server):
        return "running"
    return "died" if server["wanted"] == "running" else server["wanted"]


def endpoint_of(server):
    """HOST:PORT of what people ask the server for; of a mount: its path."""
    if server["role"] == "mount":
        return server["path"]
    return f"{server['address']}:{server['ports'][MAIN_PORT[server['role']]]}"


def server_status(state, server):
    running = processes.is_running(server)
    status = {"name": server["name"], "role": server["role"], "site": server["site"], "state": server_state(server),
              "pid": server["pid"] if running else None, "address": server["address"], "ports": server["ports"],
              "endpoint": endpoint_of(server), "folder": folder_of(state, server),
              "log": log_of(state, server)}
    if server["role"] != "etcd":
        status["config"] = f"{folder_of(state, server)}/server.yaml"
    if server["role"] == "mount":
        status["volume"], status["path"] = server["volume"], server["path"]
    if server["role"] == "core":
        status["disks"] = [f"{folder_of(state, server)}/disk-{disk}" for disk in range(server["disks"])]
    return status


def cluster_status(state):
    sites = [{"name": site["name"], "namespace": site["namespace"], "cidr": site["cidr"], "witness": site["witness"],
              "cut_from": sorted(other for pair in state["cuts"] if site["name"] in pair for other in pair
                                 if other != site["name"])} for site in state["sites"]]
    emulator_runs = processes.is_running(state["emulator"])
    return {"format": "shima-devcluster-status", "version": 1, "dir": state["dir"], "mode": state["mode"],
            "wan": {**state["wan"], "pid": state["emulator"]["pid"] if emulator_runs else None}
                   if state["mode"] == "namespaces" else None,
            "cuts": state["cuts"], "sites": sites, "servers": [server_status(state, s) for s in state["servers"]]}


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_wan(state):
    if state["mode"] != "namespaces":
        print(f"all on 127.0.0.1, no delay between sites ({state['loopback_reason']})")
        return
    settings = state["wan"]
    running = processes.is_running(state["emulator"])
    print(f"WAN: {settings['rtt_ms']:g} ms RTT, {settings['rate_mbit']:g} Mbit/s each way, {settings['loss_pct']:g} % loss"
          f"{'' if running else ' (not running)'}")
    for first, second in state["cuts"]:
        print(f"cut: {first} and {second}")


def print_status(state, output):
    if output == "json":
        print(json.dumps(cluster_status(state), indent=1))
        return
    rows = [["SERVER", "STATE", "PID", "ADDRESS", "LOG"]]
    for server in state["servers"]:
        status = server_status(state, server)
        rows.append([status["name"], status["state"], str(status["pid"] or "-"), status["endpoint"], status["log"]])
    print_table(rows)
    print_wan(state)


def print_counters(state):
    print_wan(state)
    for line in wan.ask(state, "stats").splitlines():
        print(f"  {line}")


def print_next_steps(state, program):
    first = state["sites"][0]
    nfs = addresses(state, first["name"], False) if nfs_endpoints(state, first["name"]) else []
    option = f" --dir {state['dir']}"
    print(f"\nRun something in a site:   {program} exec{option} {first['name']} -- shimactl status")
    if nfs:
        print(f"NFS, for a volume vm1:     nfs://{nfs[0].rsplit(':', 1)[0]}/vm1/?version=3&nfsport={nfs[0].rsplit(':', 1)[1]}"
              f"&mountport={nfs[0].rsplit(':', 1)[1]}")
        print(f"FUSE:                      {program} mount{option} {first['name']} vm1 DIRECTORY")
    print(f"End it, keeping the data:  {program} down{option}")


def addresses(state, site_name, control):
    """The answer to `addr SITE`: the shared address of its access servers (without namespaces: the first one's own); with
    --control: control endpoints of its core servers."""
    if control:
        return [f"{server['address']}:{server['ports']['control']}" for server in state["servers"]
                if server["role"] == "core" and server["site"] == site_name]
    found = nfs_endpoints(state, site_name)
    if not found:
        raise ClusterError(f"addr: {site_name} has no access server; a new cluster gets some with: up --access N")
    shared = shared_address(state, site_name)
    return [f"{shared}:{NFS}"] if shared else found[:1]


def exec_command(state, site, command):
    return [*namespaces.command_prefix(site["namespace"]), *command]
