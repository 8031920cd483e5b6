"""up, down, start, stop and kill of a cluster, put together from the other modules."""

import contextlib
import fnmatch
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time

from . import ClusterError, mounts, namespaces, plan, processes, state as state_file, wan

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_TIMEOUT_S = 150
STOP_TIMEOUT_S = 40
ETCD_STOP_TIMEOUT_S = 3  # a leader whose followers are ending waits for them; ending it hard costs nothing


def say(text):
    print(f"devcluster: {text}", flush=True)


def folder_of(state, server):
    return os.path.join(state["dir"], server["name"])


def log_of(state, server):
    return os.path.join(folder_of(state, server), "log")


def find_binary(name, given, build_hint):
    if given:
        path = shutil.which(given)
    else:
        built = os.path.join(ROOT, "build", os.environ.get("SHIMA_PRESET", "release"), "bin", name)
        path = built if os.access(built, os.X_OK) else shutil.which(name)
    if path is None:
        raise ClusterError(f"the program {given or name} is not there; {build_hint}")
    return os.path.abspath(path)


def find_binaries(options, state):
    """Only what this cluster needs: one of etcd and WAN alone (--core 0) asks for no core server."""
    build = "build it with: hack/build release"
    found = {"etcd": find_binary("etcd", options.etcd, "install it as root with: hack/deps")}
    roles = {server["role"] for server in state["servers"]}
    if "core" in roles:
        found["core"] = find_binary("shima-coreserver", options.core_binary, build)
    if "access" in roles:
        found["access"] = find_binary("shima-accessserver", options.access_binary, build)
    if state["mode"] == "namespaces":
        found["wanem"] = find_binary("shima-wanem", options.wanem_binary, build)
    return found


def servers_matching(state, patterns):
    """Servers by name or shell pattern ('site-a/core-*'), in the cluster's order."""
    names = [server["name"] for server in state["servers"]]
    chosen = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise ClusterError(f"no server '{pattern}' in {state['dir']}; there are {', '.join(names)}")
        chosen.update(matching)
    return [server for server in state["servers"] if server["name"] in chosen]


def namespace_of(state, server):
    return plan.find_site(state, server["site"])["namespace"]


# ---- making the cluster's state -----------------------------------------------------------------------------------


def free_ports(directory):
    """Loopback ports that nobody listens on now, from a range that the kernel gives to no outgoing connection.

    Each directory starts elsewhere in the range, so that two clusters rarely want the same ones when one was down.
    """
    count = plan.LOOPBACK_LAST_PORT - plan.LOOPBACK_FIRST_PORT
    offset = int(plan.cluster_id(directory), 16) % count
    for number in range(count):
        port = plan.LOOPBACK_FIRST_PORT + (offset + number) % count
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
    raise ClusterError(f"no free port on 127.0.0.1 between {plan.LOOPBACK_FIRST_PORT} and {plan.LOOPBACK_LAST_PORT}")


def make_state(options):
    sites = plan.parse_sites(options.sites or "site-a,site-b,site-c")
    cores = plan.parse_counts(options.core or "2", sites)
    # A cluster of etcd alone has nothing that an access server could ask.
    access = plan.parse_counts(options.access or ("1" if any(cores) else "0"), sites, "access")
    if any(access) and not any(cores):
        raise ClusterError(f"--access {options.access}: access servers need core servers to ask, at some site at least; "
                           f"--core {options.core} gives none")
    reason = "--loopback" if options.loopback else namespaces.usable()
    ports = free_ports(options.dir)
    state = plan.make_plan(options.dir, sites, cores, access, options.disks or 1, reason is not None, lambda: next(ports))
    state["loopback_reason"] = reason
    state["topology"] = {"sites": sites, "core": cores, "access": access}
    state["wan"] = {"rtt_ms": 18, "rate_mbit": 1000, "loss_pct": 0, "jitter_ms": 0, "offload": True,
                    "congestion_control": "auto"}
    return state


def check_same_topology(state, options):
    """An existing cluster keeps its shape; only what can change while data is kept may differ."""
    have = {"access": [0] * len(state["topology"]["sites"]), **state["topology"]}
    wanted = {"sites": plan.parse_sites(options.sites) if options.sites else have["sites"]}
    for role in ("core", "access"):
        given = getattr(options, role)
        wanted[role] = plan.parse_counts(given, wanted["sites"], role) if given else have[role]
    if wanted != {key: have[key] for key in wanted}:
        shape = " ".join(f"--{key} {','.join(map(str, have[key]))}" for key in ("sites", "core", "access"))
        raise ClusterError(f"{state['dir']} has a cluster of {shape}; leave these options out to start it, or give another "
                           "--dir, or `down --purge` it first")
    if options.loopback and state["mode"] != "loopback":
        raise ClusterError(f"{state['dir']} has a cluster with namespaces; --loopback is for a new one")


def apply_server_options(state, options):
    """--server-flags and --env: for all core servers, or SERVER=... for one. Kept for later starts."""
    names = {server["name"] for server in state["servers"]}
    core = [server for server in state["servers"] if server["role"] == "core"]

    def addressed(text):
        head, separator, rest = text.partition("=")
        if separator and head in names:
            return [server for server in state["servers"] if server["name"] == head], rest
        return core, text

    for text in options.server_flags or []:
        servers, flags = addressed(text)
        for server in servers:
            server["flags"] = shlex.split(flags)
    for text in options.env or []:
        servers, assignment = addressed(text)
        key, separator, value = assignment.partition("=")
        if not separator:
            raise ClusterError(f"--env: '{text}' is neither KEY=VALUE nor SERVER=KEY=VALUE")
        for server in servers:
            server["environment"][key] = value


def apply_wan_options(state, options):
    for key, value in (("rtt_ms", options.rtt_ms), ("rate_mbit", options.rate_mbit), ("offload", options.offload),
                       ("congestion_control", options.congestion_control)):
        if value is not None:
            state["wan"][key] = value


# ---- network and servers ------------------------------------------------------------------------------------------


def bring_network_up(state):
    if state["mode"] == "loopback":
        say(f"everything on 127.0.0.1 and no delay between sites, since: {state['loopback_reason']}")
        return
    network = ".".join(state["sites"][0]["cidr"].split(".")[:2]) + ".0.0/16"
    for site in state["sites"]:
        addresses = [server["address"] for server in state["servers"] if server["site"] == site["name"]]
        if namespaces.make(site, addresses, network, state["wan"]["congestion_control"]):
            say(f"{site['name']}: namespace {site['namespace']}, {site['cidr']}")
    settings = state["wan"]
    if wan.start(state, state["binaries"]["wanem"]):
        say(f"WAN between the sites: {settings['rtt_ms']:g} ms RTT, {settings['rate_mbit']:g} Mbit/s each way")
    else:
        wan.ask(state, f"all {wan.link_options(settings)}")


def server_command(state, server):
    folder = folder_of(state, server)
    if server["role"] == "etcd":
        program = [state["binaries"]["etcd"], *plan.etcd_arguments(state, server, folder)]
    elif server["role"] == "mount":
        program = [state["binaries"]["access"], "--config", os.path.join(folder, "server.yaml"),
                   f"--mount={server['path']}", f"--volume={server['volume']}"]
    else:
        program = [state["binaries"][server["role"]], "--config", os.path.join(folder, "server.yaml")]
    return [*namespaces.command_prefix(namespace_of(state, server)), *program, *server["flags"]]


def prepare_folder(state, server):
    folder = folder_of(state, server)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if server["role"] == "etcd":
        return
    for disk in range(server["disks"]):
        os.makedirs(os.path.join(folder, f"disk-{disk}"), exist_ok=True)
    config = os.path.join(folder, "server.yaml")
    if not os.path.exists(config):
        with open(config, "w", encoding="utf-8") as file:
            file.write(plan.core_server_config(state, server, folder) if server["role"] == "core" else
                       plan.access_server_config(state, server))
    if server["role"] == "mount":
        mounts.clear(server["path"])  # of a mount that was killed


def start_server(state, server):
    """Starts one server where it does not run; its pid is on disk before anything else is done."""
    if processes.is_running(server):
        return False
    prepare_folder(state, server)
    environment = {**os.environ, **server["environment"]}
    server.update(processes.spawn(server_command(state, server), log_of(state, server), environment))
    server["wanted"] = "running"
    state_file.save(state)
    with open(os.path.join(folder_of(state, server), "pid"), "w", encoding="ascii") as file:
        file.write(f"{server['pid']}\n")
    return True


def answers(state, server):
    """etcd: healthy, which takes a majority. A core or access server: its port is open. A mount: it is there."""
    is_etcd = server["role"] == "etcd"
    if server["role"] == "mount":
        return mounts.is_mounted(server["path"])
    port = server["ports"][plan.MAIN_PORT[server["role"]]]
    try:
        with namespaces.connect(namespace_of(state, server), server["address"], port, timeout_s=3) as connection:
            if not is_etcd:
                return True
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return b'"health":"true"' in connection.makefile("rb").read()
    except OSError:
        return False


def wait_for(state, servers, what, even_if_cut=False):
    """Servers of sites that are cut off are not waited for: they may need the others to answer."""
    deadline = time.monotonic() + START_TIMEOUT_S
    cut_sites = set() if even_if_cut else {name for pair in state["cuts"] for name in pair}
    waiting = [server for server in servers if server["site"] not in cut_sites]
    if len(waiting) < len(servers):
        say(f"not waiting for {', '.join(s['name'] for s in servers if s not in waiting)}: the WAN there is cut")
    while waiting:
        for server in list(waiting):
            if answers(state, server):
                waiting.remove(server)
            elif not processes.is_running(server):
                raise ClusterError(f"{server['name']} ended right after its start; the end of {log_of(state, server)}:\n"
                                   f"{processes.end_of_log(log_of(state, server))}")
        if waiting and time.monotonic() > deadline:
            first = waiting[0]
            raise ClusterError(
                f"waited {START_TIMEOUT_S} s for {what}; still missing: {', '.join(s['name'] for s in waiting)}. "
                f"The end of {log_of(state, first)}:\n{processes.end_of_log(log_of(state, first))}")
        if waiting:
            time.sleep(0.05)


def joined(state, shimactl):
    """The names of the core servers that hold their lease in etcd, as one of them tells; none if it cannot."""
    site = next(site["name"] for site in state["sites"] if not site["witness"])
    command = [*namespaces.command_prefix(plan.find_site(state, site)["namespace"]), shimactl, "server", "list",
               "-o", "json", "--timeout", "2s", "--endpoints", ",".join(plan.control_endpoints(state, site))]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        return set()
    return {server["name"] for server in json.loads(asked.stdout)["servers"] if server["alive"]}


def wait_until_joined(state):
    """A server answers before it has registered in etcd; a volume can only be made on those that have."""
    cores = {server["name"] for server in state["servers"] if server["role"] == "core" and processes.is_running(server)}
    if not cores or state["cuts"]:
        return
    shimactl = os.path.join(os.path.dirname(state["binaries"]["core"]), "shimactl")
    if not os.access(shimactl, os.X_OK):
        say(f"not waiting for the servers to join the cluster: there is no {shimactl} to ask")
        return
    deadline = time.monotonic() + START_TIMEOUT_S
    while missing := cores - joined(state, shimactl):
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {START_TIMEOUT_S} s for {', '.join(sorted(missing))} to join the cluster; see the log in "
                               f"{os.path.join(state['dir'], min(missing))}")
        time.sleep(0.1)


def wait_for_shared_addresses(state):
    """One of a site's access servers takes the site's address when etcd has given it the lease."""
    sites = {server["site"] for server in state["servers"] if server["role"] == "access" and processes.is_running(server)}
    waiting = {site: plan.shared_address(state, site) for site in sites if plan.shared_address(state, site)}
    if state["cuts"]:
        return
    deadline = time.monotonic() + START_TIMEOUT_S
    while waiting:
        for site, address in list(waiting.items()):
            try:
                namespaces.connect(plan.find_site(state, site)["namespace"], address, plan.NFS, timeout_s=1).close()
                del waiting[site]
            except OSError:
                pass
        if waiting and time.monotonic() > deadline:
            raise ClusterError(f"waited {START_TIMEOUT_S} s for an access server to serve on {', '.join(waiting.values())}, the "
                               f"shared address of {', '.join(waiting)}; see the logs of its access servers in {state['dir']}")
        if waiting:
            time.sleep(0.05)


def start_role(state, role, what):
    servers = [server for server in state["servers"] if server["role"] == role]
    started = [server["name"] for server in servers if start_server(state, server)]
    if servers:
        wait_for(state, servers, what)
    if started:
        say(f"{what}: {', '.join(started)}")


def client_environment(state, site_name):
    """What a command in a site gets: the programs first in PATH, and whom to ask."""
    own = [os.path.dirname(state["binaries"]["core"])] if "core" in state["binaries"] else []
    built = os.path.join(ROOT, "build", "release", "bin")
    path = os.pathsep.join(dict.fromkeys([*own, built, *os.environ.get("PATH", "").split(os.pathsep)]))
    return {**os.environ, "PATH": path, "SHIMA_ENDPOINTS": ",".join(plan.control_endpoints(state, site_name)),
            "SHIMA_ETCD": ",".join(plan.etcd_endpoints(state, site_name)),
            "SHIMA_NFS": ",".join(plan.nfs_endpoints(state, site_name)), "SHIMA_SITE": site_name,
            "SHIMA_DIR": state["dir"]}


def up(options):
    os.makedirs(options.dir, exist_ok=True)
    with state_file.locked(options.dir):
        state = state_file.load(options.dir)
        if state is None:
            state = make_state(options)
        else:
            check_same_topology(state, options)
        apply_wan_options(state, options)
        apply_server_options(state, options)
        state["binaries"] = find_binaries(options, state)
        state_file.save(state)
        try:
            bring_network_up(state)
            start_role(state, "etcd", "etcd members, healthy")
            start_role(state, "core", "core servers, answering")
            wait_until_joined(state)
            start_role(state, "access", "access servers, answering")
            wait_for_shared_addresses(state)
        finally:
            state_file.save(state)
    return state


# ---- taking down --------------------------------------------------------------------------------------------------


def note_ended(state, server, how):
    server["wanted"] = how
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder_of(state, server), "pid"))


def end_all(state, role):
    """Asks all servers of a role to end at once, then waits; those that do not end in time are killed."""
    servers = [server for server in state["servers"] if server["role"] == role and processes.is_running(server)]
    timeout_s = ETCD_STOP_TIMEOUT_S if role == "etcd" else STOP_TIMEOUT_S
    for server in servers:
        processes.send(server, signal.SIGTERM)
    for server in servers:
        if not processes.wait_until_gone(server, timeout_s):
            if role != "etcd":
                say(f"{server['name']} did not end within {timeout_s} s of SIGTERM and is killed")
            processes.end(server, 0)
    for server in state["servers"]:
        if server["role"] == role:
            note_ended(state, server, "stopped")
    return len(servers)


def down(options):
    if state_file.load(options.dir) is None:
        say(f"there is no cluster in {options.dir}; nothing to do")
        return
    with state_file.locked(options.dir):
        state = state_file.load_existing(options.dir)
        ended = sum(end_all(state, role) for role in ("mount", "access", "core", "etcd"))
        forget_mounts(state, [server for server in state["servers"] if server["role"] == "mount"])
        if processes.end(state["emulator"], STOP_TIMEOUT_S) != "gone before":
            ended += 1
        state["emulator"], state["cuts"] = None, []
        for site in state["sites"]:
            for pid in namespaces.remove(site["namespace"]) if site["namespace"] else []:
                say(f"process {pid} was started in {site['name']} by someone else and goes on, cut off from all")
        state_file.save(state)
        say(f"{ended} processes ended")
        if options.purge:
            shutil.rmtree(options.dir)
            say(f"{options.dir} is deleted")
        else:
            say(f"data is kept in {options.dir}; `up` starts it again, `down --purge` deletes it")


def forget_mounts(state, servers):
    """Takes mounts that have ended out of the cluster, and what they may have left in the mount table."""
    for server in servers:
        mounts.clear(server["path"])
        shutil.rmtree(folder_of(state, server), ignore_errors=True)
    state["servers"] = [server for server in state["servers"] if server not in servers]


def mount_flags(options):
    flags = shlex.split(options.flags or "")
    if options.read_only:
        flags.append("--read_only")
    if options.node is not None:
        flags.append(f"--node={options.node}")
    if options.publication is not None:
        flags.append(f"--publication={options.publication}")
    return flags


def mount(options):
    """A FUSE mount of a volume, made by an access server in a site."""
    path = os.path.abspath(options.path)
    with state_file.locked(options.dir):
        state = state_file.load_existing(options.dir)
        plan.find_site(state, options.site)
        if state["mode"] == "namespaces" and not processes.is_running(state["emulator"]):
            raise ClusterError("the cluster is down; run `up` first")
        if not os.path.isdir(path) and not mounts.is_mounted(path):
            raise ClusterError(f"mount: {path} is no directory; make it with: mkdir -p {path}")
        if any(server["role"] == "mount" and server["path"] == path and processes.is_running(server) for server in state["servers"]):
            raise ClusterError(f"mount: {path} is mounted already; unmount it with: hack/devcluster umount {path}")
        forget_mounts(state, [s for s in state["servers"] if s["role"] == "mount" and s["path"] == path])
        state["binaries"].setdefault("access", find_binary("shima-accessserver", None, "build it with: hack/build release"))
        server = plan.new_mount(state, options.site, options.volume, path, mount_flags(options))
        state["servers"].append(server)
        try:
            start_server(state, server)
            wait_for(state, [server], "the mount", even_if_cut=True)
        except ClusterError:
            end_mounts(state, [server])
            raise
        finally:
            state_file.save(state)
        say(f"{server['name']} (pid {server['pid']}): volume {options.volume} is at {path}")


def end_mounts(state, servers):
    """The log of one that failed is in the error already."""
    for server in servers:
        if processes.end(server, STOP_TIMEOUT_S) == "killed":
            say(f"{server['name']} did not end within {STOP_TIMEOUT_S} s of SIGTERM and is killed")
    forget_mounts(state, servers)


def umount(options):
    path = os.path.abspath(options.path)
    with state_file.locked(options.dir):
        state = state_file.load_existing(options.dir)
        found = [server for server in state["servers"] if server["role"] == "mount" and server["path"] == path]
        if not found:
            there = [server["path"] for server in state["servers"] if server["role"] == "mount"]
            raise ClusterError(f"umount: {path} is no mount of this cluster; there are {', '.join(there) or 'none'}")
        end_mounts(state, found)
        state_file.save(state)
        say(f"{path} is unmounted")


def start(options):
    with state_file.locked(options.dir):
        state = state_file.load_existing(options.dir)
        servers = servers_matching(state, options.servers)
        if state["mode"] == "namespaces" and not processes.is_running(state["emulator"]):
            raise ClusterError("the cluster is down; run `up` first")
        apply_server_options(state, options)
        for server in servers:
            if not start_server(state, server):
                say(f"{server['name']} runs already, pid {server['pid']}")
        if not options.no_wait:
            wait_for(state, servers, "its answer")
        say("running: " + ", ".join(f"{server['name']} (pid {server['pid']})" for server in servers))


def stop(options, signal_number):
    with state_file.locked(options.dir):
        state = state_file.load_existing(options.dir)
        for server in servers_matching(state, options.servers):
            how = "killed" if signal_number == signal.SIGKILL else "stopped"
            if not processes.send(server, signal_number):
                say(f"{server['name']} was not running")
            elif processes.wait_until_gone(server, STOP_TIMEOUT_S):
                say(f"{server['name']} (pid {server['pid']}) is {how}")
            else:
                raise ClusterError(f"{server['name']} (pid {server['pid']}) still runs {STOP_TIMEOUT_S} s after the signal; "
                                   f"`kill {server['name']}` ends it; its log: {log_of(state, server)}")
            note_ended(state, server, how)
            state_file.save(state)
