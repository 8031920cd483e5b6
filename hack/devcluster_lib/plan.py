"""Which sites, servers, addresses and ports a cluster has. Pure: nothing here touches the machine.

Site i (from 1) owns 10.H.i.0/24, where H comes from the directory's path. Its router address is .1, its etcd member
.10, its core server k .(11 + k), its access server k .(201 + k): each server has an address of its own, as if it were
its own host. .200 is the shared address of the site's access servers. Without namespaces everything is on 127.0.0.1 and the servers differ by port.
"""

import hashlib
import itertools
import re

from . import ClusterError

MAGIC = "shima-devcluster"
VERSION = 1
WITNESS = "witness"
MAX_SITES = 50
MAX_SERVERS = {"core": 150, "access": 40}  # in one site
CONTROL, CLIENT, STORAGE, WAN = 7000, 7001, 7002, 7003
NFS, METRICS = 2049, 7049
MAIN_PORT = {"etcd": "client", "core": "control", "access": "nfs"}
MAX_ENDPOINTS = 64  # that an access server is told of
ETCD_CLIENT, ETCD_PEER = 2379, 2380
LOOPBACK_FIRST_PORT, LOOPBACK_LAST_PORT = 20000, 31000  # below the kernel's range for outgoing connections


def cluster_id(directory):
    return hashlib.sha256(directory.encode()).hexdigest()[:8]


def parse_sites(text):
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
            raise ClusterError(f"--sites: '{name}' is not a site name: small letters, digits and inner '-', at most 40")
    if len(set(names)) != len(names):
        raise ClusterError(f"--sites: a name is there twice in '{text}'")
    if WITNESS in names:
        raise ClusterError(f"--sites: '{WITNESS}' is the name of the third etcd member's place; choose another")
    if len(names) > MAX_SITES:
        raise ClusterError(f"--sites: {len(names)} sites; at most {MAX_SITES} are possible")
    return names


def parse_counts(text, sites, role="core"):
    """One number for every site, or one a site: '2' or '4,8,4'."""
    words = str(text).split(",")
    if not all(word.strip().isdigit() for word in words) or len(words) not in (1, len(sites)):
        raise ClusterError(f"--{role}: '{text}' is neither one number nor {len(sites)} numbers, one for each of "
                           f"{', '.join(sites)}")
    counts = [int(word) for word in words] * (len(sites) if len(words) == 1 else 1)
    if max(counts) > MAX_SERVERS[role]:
        raise ClusterError(f"--{role}: {max(counts)} servers in one site; at most {MAX_SERVERS[role]} are possible")
    return counts


def etcd_places(sites):
    """The sites with an etcd member: 1, 3 or 5 of them; two sites need a witness at a third place."""
    if len(sites) == 1:
        return list(sites)
    if len(sites) == 2:
        return [*sites, WITNESS]
    return list(sites[:5 if len(sites) >= 5 else 3])


def make_plan(directory, sites, core_counts, access_counts, disks, loopback, free_port):
    """The new cluster's state: everything but processes. free_port() yields usable ports, asked without namespaces only."""
    identity = cluster_id(directory)
    second_byte = 1 + int(identity, 16) % 250
    places = sites + [place for place in etcd_places(sites) if place not in sites]
    plan = {"magic": MAGIC, "version": VERSION, "id": identity, "dir": directory,
            "mode": "loopback" if loopback else "namespaces", "cuts": [], "emulator": None, "sites": [], "servers": []}
    for index, name in enumerate(places, 1):
        prefix = f"10.{second_byte}.{index}"
        plan["sites"].append({"name": name, "namespace": None if loopback else f"shima-{identity}-{name}",
                              "cidr": "127.0.0.1/32" if loopback else f"{prefix}.0/24",
                              "router": None if loopback else f"{prefix}.1", "witness": name == WITNESS})
        if name in etcd_places(sites):
            ports = {"client": ETCD_CLIENT, "peer": ETCD_PEER}
            plan["servers"].append(new_server(name, "etcd", f"{name}/etcd", f"{prefix}.10", ports, 0, loopback, free_port))
        for number in range(core_counts[sites.index(name)] if name in sites else 0):
            ports = {"control": CONTROL, "client": CLIENT, "storage": STORAGE, "wan": WAN}
            plan["servers"].append(new_server(name, "core", f"{name}/core-{number}", f"{prefix}.{11 + number}", ports,
                                              disks, loopback, free_port))
        for number in range(access_counts[sites.index(name)] if name in sites else 0):
            ports = {"nfs": NFS, "metrics": METRICS}
            plan["servers"].append(new_server(name, "access", f"{name}/access-{number}", f"{prefix}.{201 + number}", ports,
                                              0, loopback, free_port))
    return plan


def new_mount(state, site, volume, path, flags):
    """A FUSE mount as a server of the cluster: an access server of the site that mounts one volume."""
    taken = {server["name"] for server in state["servers"]}
    number = next(n for n in itertools.count() if f"{site}/mount-{n}" not in taken)
    server = new_server(site, "mount", f"{site}/mount-{number}", "-", {}, 0, False, None)
    return {**server, "volume": volume, "path": path, "flags": flags}


def new_server(site, role, name, address, ports, disks, loopback, free_port):
    return {"name": name, "role": role, "site": site, "address": "127.0.0.1" if loopback else address,
            "ports": {use: free_port() for use in ports} if loopback else ports,
            "disks": disks, "flags": [], "environment": {}, "wanted": "stopped",
            "pid": None, "start_time": None, "boot_id": None}


def find_site(state, name):
    for site in state["sites"]:
        if site["name"] == name:
            return site
    raise ClusterError(f"no site '{name}' in {state['dir']}; there are {', '.join(s['name'] for s in state['sites'])}")


def etcd_endpoints(state, first_site):
    """Client addresses of all etcd members, first_site's own member first."""
    members = [server for server in state["servers"] if server["role"] == "etcd"]
    members.sort(key=lambda server: server["site"] != first_site)
    return [f"{server['address']}:{server['ports']['client']}" for server in members]


def control_endpoints(state, first_site):
    """Control addresses of all core servers, first_site's own first: what SHIMA_ENDPOINTS is set to."""
    servers = [server for server in state["servers"] if server["role"] == "core"]
    servers.sort(key=lambda server: server["site"] != first_site)
    return [f"{server['address']}:{server['ports']['control']}" for server in servers]


def core_server_config(state, server, folder):
    """The text of a core server's server.yaml."""
    address, ports, number = server["address"], server["ports"], server["name"].rsplit("-", 1)[1]
    site = find_site(state, server["site"])
    lines = ["# Written by hack/devcluster at the first `up`; kept when it exists, so it may be edited.",
             f"name: {server['name']}",
             f"site: {server['site']}",
             f"failure_domain: {server['site']}-host-{number}",
             f"site_labels: {{topology.kubernetes.io/zone: {server['site']}}}"]
    if site["namespace"] is not None:
        lines.append(f"site_cidrs: [{site['cidr']}]")
    lines += ["etcd:", f"  endpoints: [{', '.join(etcd_endpoints(state, server['site']))}]", "networks:"]
    lines += [f"  {network}: {{address: {address}, port: {ports[network]}}}" for network in ("client", "storage", "wan")]
    lines += [f"control_port: {ports['control']}", "disks:"]
    lines += [f"  - {{path: {folder}/disk-{disk}}}" for disk in range(server["disks"])]
    return "\n".join(lines) + "\n"


def access_server_config(state, server):
    """The text of an access server's or a mount's server.yaml."""
    endpoints = control_endpoints(state, server["site"])[:MAX_ENDPOINTS]
    lines = ["# Written by hack/devcluster at the first `up`; kept when it exists, so it may be edited.",
             f"name: {server['name']}",
             "core:",
             f"  endpoints: [{', '.join(endpoints)}]"]
    if server["role"] == "access":
        address, ports = server["address"], server["ports"]
        shared = shared_address(state, server["site"])
        lines += [f"etcd: {{endpoints: [{', '.join(etcd_endpoints(state, server['site']))}]}}",
                  f"nfs: {{address: {address}, port: {ports['nfs']}"
                  + (f", shared_address: {shared}/32@lo}}" if shared else "}"),
                  f"metrics: {{address: {address}, port: {ports['metrics']}}}"]
    return "\n".join(lines) + "\n"


def shared_address(state, site):
    """The one address of a site's access servers, held by one of them at a time; None without namespaces."""
    found = next((known for known in state["sites"] if known["name"] == site), None)
    if found is None or found["namespace"] is None:
        return None
    return found["router"].rsplit(".", 1)[0] + ".200"


def nfs_endpoints(state, site):
    """Addresses of a site's access servers, each its own."""
    return [f"{server['address']}:{server['ports']['nfs']}" for server in state["servers"]
            if server["role"] == "access" and server["site"] == site]


def etcd_arguments(state, server, folder):
    """Heartbeat and election timeouts suit round trips of up to 200 ms; pre-vote lets a healed member join quietly."""
    members = [member for member in state["servers"] if member["role"] == "etcd"]
    peer = {member["name"]: f"http://{member['address']}:{member['ports']['peer']}" for member in members}
    client = f"http://{server['address']}:{server['ports']['client']}"
    own_name = server["name"].replace("/", "-")
    return ["--name", own_name, "--data-dir", f"{folder}/data",
            "--listen-peer-urls", peer[server["name"]], "--initial-advertise-peer-urls", peer[server["name"]],
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--initial-cluster", ",".join(f"{name.replace('/', '-')}={url}" for name, url in peer.items()),
            "--initial-cluster-state", "new", "--initial-cluster-token", f"shima-{state['id']}",
            "--heartbeat-interval", "200", "--election-timeout", "2000", "--pre-vote",
            "--auto-compaction-mode", "periodic", "--auto-compaction-retention", "10m",
            "--logger", "zap", "--log-level", "warn"]
