#!/usr/bin/env python3
"""The whole life of a volume by CSI calls. Between any two of them one process of whatever kind is killed with SIGKILL and started
again; meanwhile the call before is repeated, which must have the same answer, and then the life goes on with the call after. Calls
are made as the orchestrator makes them: again, as long as the answer says that this may help. What was written is read back all the
time, and in the end at another site.

In each life the processes take turns, shifted: see VICTIMS.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import sys
import time

import csi_controller_test
import csi_node_test
from cluster import FILE_PROGRAMS, LONG, MIB, NOT_FOUND, Cluster, expect, run_scenarios, say, wait_until
from csi_client import AGAIN, check_python, make_stubs
from csi_node_test import NodesCluster, block, direct, mount_table, tree, wait_until_no_loop_device

SIZE, GROWN = 64 * MIB, 96 * MIB
HOME, CLIENT_ADDRESS = "site-a", "10.9.8.7"
PIECE = 16 * 1024
LIVES = range(0, 8, 1 if LONG else 2)


class KillCluster(NodesCluster):
    """Two nodes at two sites, a controller, and an access server a site, as site-wide NFS would have."""

    def __init__(self):
        Cluster.__init__(self, "--rtt-ms", "10", access="1")
        self.nodes, self.controller = [], None

    def __enter__(self):
        super().__enter__()
        for node in self.nodes:
            node.insists = False  # insist() does, and counts
        self.controller = csi_controller_test.Controller(self).start()
        return self

    def down(self):
        if not self.ended and self.controller:
            self.controller.kill()
        super().down()

    def print_logs(self, lines=8):
        super().print_logs(lines)
        if self.controller:
            print(f"--- the end of {self.controller.log_path}", *self.controller.log().splitlines()[-25:], sep="\n", flush=True)


# ---- a life ----------------------------------------------------------------------------------------------------------


class Life:
    """Of one volume: its calls in order, and what was written."""

    def __init__(self, cluster, name, use):
        self.cluster, self.volume, self.use = cluster, name, use
        self.controller, self.node = cluster.controller, cluster.nodes[0]
        self.size = SIZE
        self.written = {}  # offset -> bytes
        self.contexts = {}  # node's name -> publish_context
        self.pool, self.restarts = concurrent.futures.ThreadPoolExecutor(1), []

    def wait_restarted(self):
        while self.restarts:
            self.restarts.pop().result(300)

    def calls(self):
        return [self.create, self.controller_publish, self.stage, self.publish, self.write, self.stats, self.controller_expand,
                self.node_expand, self.unpublish, self.unstage, self.controller_unpublish, self.delete]

    @staticmethod
    def node_id(node):
        return f"{node.name}|{node.site}|{CLIENT_ADDRESS}"

    def create(self):
        found = self.controller.create(self.volume, SIZE, [self.use], parameters={"home": HOME})
        return found.volume_id, dict(found.volume_context), [entry.segments[csi_controller_test.KEY] for entry in found.accessible_topology]

    def controller_publish(self, node=None):
        node = node or self.node
        return self.controller.publish(self.volume, self.node_id(node), self.use)

    def common(self, node):
        """What staging and publishing are both told."""
        return {"volume_id": self.volume, "staging_target_path": node.staging(self.volume), "volume_capability": self.use,
                "volume_context": {"protocol": "fuse"}, "publish_context": self.contexts[node.name]}

    def stage(self, node=None):
        node = node or self.node
        node.stub.NodeStageVolume(csi.NodeStageVolumeRequest(**self.common(node)), timeout=60)

    def publish(self, node=None):
        node = node or self.node
        node.stub.NodePublishVolume(csi.NodePublishVolumeRequest(target_path=node.target(self.volume), **self.common(node)), timeout=60)

    def write(self):
        """One more piece at each call, as durable as its user can ask for; what an earlier attempt wrote is not counted on."""
        offset = len(self.written) * PIECE
        data = f"{self.volume} at {offset}".encode().ljust(PIECE, b"#")
        target = self.node.target(self.volume)
        if self.use.HasField("block"):
            for page in range(0, PIECE, 4096):
                direct(target, data[page:page + 4096], offset + page)
        else:
            with open(pathlib.Path(target) / "file", "r+b" if self.written else "wb", buffering=0) as file:
                os.pwrite(file.fileno(), data, offset)
                os.fsync(file.fileno())
        self.written[offset] = data
        self.verify(self.node)

    def verify(self, node):
        target = node.target(self.volume)
        for offset, data in self.written.items():
            if self.use.HasField("block"):
                found = b"".join(direct(target, offset=offset + page) for page in range(0, PIECE, 4096))
            else:
                with open(pathlib.Path(target) / "file", "rb", buffering=0) as file:
                    found = os.pread(file.fileno(), PIECE, offset)
            if found != data:
                raise AssertionError(f"{self.volume}: at {offset} is {found[:40]!r}, wanted {data[:40]!r}")
        return len(self.written)

    def stats(self):
        found = self.node.stats(self.volume)
        if found.volume_condition.abnormal:
            raise StillAbnormal(found.volume_condition.message)
        self.verify(self.node)
        return found.usage[0].total

    def controller_expand(self):
        self.size = GROWN
        return self.controller.expand(self.volume, GROWN, capability=self.use).capacity_bytes

    def node_expand(self):
        grown = self.node.expand(self.volume, GROWN)
        self.verify(self.node)
        return grown

    def unpublish(self, node=None):
        (node or self.node).unpublish(self.volume)

    def unstage(self, node=None):
        (node or self.node).unstage(self.volume)

    def controller_unpublish(self, node=None):
        self.controller.unpublish(self.volume, self.node_id(node or self.node))

    def delete(self):
        self.controller.delete(self.volume)


class StillAbnormal(Exception):
    """A volume that is not well yet: the monitor asks again."""


def insist(what, call, timeout_s=90):
    """As an orchestrator: again, as long as the answer may be another one soon. The answer, or the error that is none of those."""
    begin, attempts = time.monotonic(), 0

    def attempt():
        nonlocal attempts
        attempts += 1
        try:
            return [call()]
        except grpc.RpcError as error:
            if error.code().name not in AGAIN:
                raise AssertionError(f"{what}: {error.code().name}: {error.details()}") from None
            return say_again(error.code().name, error.details())
        except (OSError, StillAbnormal) as error:  # of a mount that is being made anew
            return say_again(type(error).__name__, str(error))

    def say_again(kind, text):
        if attempts in (1, 20):
            say(f"    {what}: {kind}, so again ({text[:140]})")
    answer = wait_until(what, attempt, timeout_s, 0.2)[0]
    return answer, attempts, time.monotonic() - begin


# ---- who is killed ---------------------------------------------------------------------------------------------------


def member(life, role):
    """The server with this role in the volume's metadata group, without which no file operation ends; of a volume that is gone: any of the home."""
    answer = life.cluster.try_ctl("volume", "show", life.volume, site="site-b")
    if answer.code == 0:
        members = answer.json["groups"][-1]["members"]
        number = next(member["server_id"] for member in members if member["role"] == role)
        return next(server["name"] for server in answer.json["servers"] if server["server_id"] == number)
    return life.cluster.names(HOME)[0 if role == "primary" else 1]


def etcd_leader(cluster):
    """Asked of the members one by one: only the leader has its own id as the leader's."""
    ask = ("import json, sys, urllib.request as u; "
           "r = u.Request(f'http://{sys.argv[1]}/v3/maintenance/status', b'{}'); print(u.urlopen(r, timeout=5).read().decode())")

    def find():
        for server in cluster.servers("etcd"):
            answer = cluster.run(server["site"], sys.executable, "-c", ask, server["endpoint"])
            status = json.loads(answer.out) if answer.code == 0 else {}
            if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return server["name"]
        return None
    return wait_until("etcd has a leader", find, 30)


def kill_controller(life):
    life.controller.kill()
    life.controller.start()


def kill_plugin(life):
    life.node.restart_plugin()


def kill_mounter(life):
    life.node.restart_mounter()


def kill_fuse_process(life):
    """The mount's access server, which nobody starts again but the driver itself. While there is none: the plug-in."""
    processes = [pid for path, pid in life.node.mount_processes().items() if life.volume in path]
    if not processes:
        kill_plugin(life)
        return "there is none now: the node plug-in"
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return None


def kill_server(name, life):
    """It starts again while the call is repeated already."""
    life.cluster.kill(name)
    life.restarts.append(life.pool.submit(life.cluster.start, name))
    return name


# Every other one is a plug-in, an access server, a core server, and one more: with four lives, shifted by two, each of these kinds dies
# between any two calls; with eight each process does.
VICTIMS = [("the node plug-in", kill_plugin), ("the controller", kill_controller),
           ("the FUSE access server", kill_fuse_process),
           ("the site's NFS access server", lambda life: kill_server(life.cluster.servers("access", HOME)[0]["name"], life)),
           ("the primary", lambda life: kill_server(member(life, "primary"), life)),
           ("the secondary", lambda life: kill_server(member(life, "secondary"), life)),
           ("etcd's leader", lambda life: kill_server(etcd_leader(life.cluster), life)),
           ("the mounter", kill_mounter)]


# ---- scenarios -------------------------------------------------------------------------------------------------------


def live(life, shift):
    """All calls; between any two a kill, and the call before once more."""
    longest = (0.0, "")
    for number, call in enumerate(life.calls()):
        name = call.__name__
        first, *_ = insist(name, call)
        if name == "controller_publish":
            life.contexts[life.node.name] = first
        if number + 1 == len(life.calls()):
            break
        victim, kill = VICTIMS[(number + shift) % len(VICTIMS)]
        which = kill(life)
        again, attempts, took_s = insist(f"{name} again, {victim} was killed", call)
        expect(again == first, f"{name}; killed {victim}{f' ({which})' if which else ''}; {name} again: the same answer, by {attempts} "
                               f"call{'s' if attempts > 1 else ''} in {took_s:.1f} s")
        life.wait_restarted()
        longest = max(longest, (took_s, f"{name} after the death of {victim}"))
        if name == "controller_unpublish":
            read_elsewhere(life)
    say(f"  the longest repetition took {longest[0]:.1f} s: {longest[1]}")


def read_elsewhere(life):
    """Between the last two calls: all that was written is there for a node of another site."""
    node = life.cluster.nodes[1]
    life.contexts[node.name] = insist("publish at site-b", lambda: life.controller_publish(node))[0]
    for call in (life.stage, life.publish):
        insist(f"{call.__name__} at site-b", lambda call=call: call(node))
    pieces = insist("read at site-b", lambda: life.verify(node))[0]
    expect(pieces == len(life.written) >= 2, f"all {pieces} pieces that were written at site-a are read at site-b")
    for call in (life.unpublish, life.unstage, life.controller_unpublish):
        insist(f"{call.__name__} at site-b", lambda call=call: call(node))


def expect_nothing_left(life):
    for node in life.cluster.nodes:
        left = [path for path in mount_table() if path.startswith(str(node.folder)) and life.volume in path]
        expect(not left and not node.mount_processes() and not list((node.state / "volumes").glob("*.json")),
               f"{node.name}: no mount, no process, no record of {life.volume} is left")
    wait_until_no_loop_device(life.cluster)
    wait_until("the record is gone", lambda: life.cluster.try_ctl("volume", "show", life.volume).code == NOT_FOUND, 30)


def expect_logged(life):
    """Who did what, when and how long, also for the mounter, which answers only the plug-in."""
    wanted = f'volume="{life.volume}"'
    found = {driver.name: [line for line in driver.log().splitlines() if wanted in line and f"call={call}" in line and "duration_ms=" in line]
             for driver, call in ((life.controller, "CreateVolume"), (life.node.plugin, "NodeStageVolume"), (life.node.mounter, "Start"))}
    expect(all(found.values()), f"each process logged its calls for {life.volume}: {found['mounter'][0] if found['mounter'] else found}")


def lives(cluster, kind, use):
    for shift in LIVES:
        life = Life(cluster, f"{kind}-{shift}", use)
        say(f"  life {shift} of a volume published as a {kind}, first to die: {VICTIMS[shift][0]}")
        live(life, shift)
        expect_nothing_left(life)
        expect_logged(life)


def anything_dies_between_any_two_calls_on_a_tree(cluster):
    lives(cluster, "tree", tree())


def anything_dies_between_any_two_calls_on_a_block_device(cluster):
    lives(cluster, "block", block())


if __name__ == "__main__":
    check_python()
    import grpc
    csi, csi_grpc = make_stubs()
    for module in (csi_node_test, csi_controller_test):
        module.csi, module.csi_grpc, module.grpc = csi, csi_grpc, grpc
    sys.exit(run_scenarios("CSI, anything killed", KillCluster, [anything_dies_between_any_two_calls_on_a_tree,
                                                                 anything_dies_between_any_two_calls_on_a_block_device],
                           (*FILE_PROGRAMS, "shima-csi")))
