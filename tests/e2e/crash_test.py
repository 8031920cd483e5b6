#!/usr/bin/env python3
"""Every ACKed byte is there after kill -9, on a disk that loses what was not synced (test.disk_layer: losing).

And the test itself is tested: when one member's fdatasync does nothing (losing-ignore-sync), the loss must be noticed.
"""

import pathlib
import random
import sys
import time

from cluster import CORRUPT, Cluster, DONE, LONG, expect, run_scenarios, say, wait_until

SPAN_MIB = 64
ROUNDS = 20 if LONG else 6


def victims_of(cluster, round_number):
    """Fixed for a round: one of the home, both, a remote, or both with a remote."""
    home, remotes = cluster.names(cluster.home), [n for n in cluster.names() if not n.startswith(cluster.home)]
    source = random.Random(round_number)
    kinds = ([source.choice(home)], home, [source.choice(remotes)], [*home, source.choice(remotes)])
    return kinds[round_number % len(kinds)], source.uniform(0.5, 1.5), source.uniform(0.0, 1.0)


def kills_while_writing_lose_nothing(cluster):
    cluster.create("crashed", "--size", f"{SPAN_MIB}MiB")
    log = cluster.folder / "crashed.acks"
    writer = cluster.writer("crashed", log, "--seconds", 600, "--depth", 16, "--deadline-ms", 60000)
    wait_until("the first ACKs", lambda: sum(s["acks"] for s in writer.seconds))
    for number in range(ROUNDS):
        victims, before_s, away_s = victims_of(cluster, number)
        time.sleep(before_s)
        cluster.kill(*victims)
        time.sleep(away_s)
        cluster.start(*victims)
        count = len(writer.seconds)
        wait_until(f"ACKs after {', '.join(victims)} came back", lambda: any(s["acks"] for s in writer.seconds[count + 1:]))
        say(f"  round {number}: {', '.join(victims)} killed and started; {sum(s['acks'] for s in writer.seconds)} ACKs so far")
    cluster.kill(*cluster.names(cluster.home))  # the last word is a crash, not an orderly end
    writer.end()
    cluster.start(*cluster.names(cluster.home))
    cluster.expect_all_acked("crashed", log)
    cluster.wait_caught_up("crashed")
    cluster.expect_all_acked("crashed", log, [site["name"] for site in cluster.status["sites"]])


def members(cluster, name):
    """Of the volume's only group: primary, secondary."""
    return [next(m["server"] for m in cluster.replication(name)["members"] if m["role"] == role)
            for role in ("primary", "secondary")]


def sequence(cluster, name, role, position):
    """None while the member, or the cluster, does not answer."""
    answer = cluster.try_ctl("replication", "show", name)
    member = next((m for m in answer.json["members"] if m["role"] == role), None) if answer.code == DONE else None
    return member[position]["sequence"] if member and member["reached"] else None


def crash_with_remotes_away(cluster, name):
    """Writes with only the two local copies, and crashes both; what was committed before, and the ACK log.

    The remotes are away, so nothing is trimmed: each of both must have everything.
    """
    cluster.wait_caught_up(name)
    log = cluster.folder / f"{name}.acks"
    remotes = [server for server in cluster.names() if not server.startswith(cluster.home)]
    cluster.kill(*remotes)
    primary, secondary = members(cluster, name)
    writer = cluster.writer(name, log, "--seconds", 600, "--depth", 8)
    wait_until("ACKs", lambda: sum(second["acks"] for second in writer.seconds))
    committed = wait_until("records to be committed", lambda: sequence(cluster, name, "primary", "committed"))
    cluster.kill(primary, secondary)  # in the middle of writing: what is in journals only must count
    writer.end()
    say(f"  at least {committed} records were committed without any remote; primary {primary}")
    return log, committed, primary, secondary


def second_copy_has(cluster, name, secondary):
    """The sequence up to which the secondary has records after its restart, before its primary is back."""
    cluster.start(secondary)

    def answer():
        durable = sequence(cluster, name, "secondary", "durable")
        return None if durable is None else (durable,)
    return wait_until("the secondary to answer", answer)[0]


def refuses_to_start(cluster, server):
    """True if it finds by itself that its journal has lost what it was told to be durable.

    A file that was never synced may lose its name as well; the losing disk keeps names, so that is done here.
    """
    for disk in cluster.server(server)["disks"]:
        for segment in pathlib.Path(disk, "journal").glob("*.shj"):
            with open(segment, "rb") as file:
                if not any(file.read(4096)):
                    segment.unlink()
    if cluster.devcluster("start", server, check=False).code == 0:
        return False
    last = cluster.log(server).splitlines()[-1]
    expect("cannot start: corrupt" in last, f"the loss is noticed: {server} refuses to start: {last}")
    return True


def both_copies_are_durable_by_themselves(cluster):
    cluster.create("two", "--size", "16MiB", "--groups", "1")
    log, committed, primary, secondary = crash_with_remotes_away(cluster, "two")
    durable = second_copy_has(cluster, "two", secondary)
    expect(durable >= committed, f"the secondary alone has all {committed} committed records after the crash: {durable}")
    cluster.start(primary)
    cluster.expect_all_acked("two", log)
    cluster.start("*/core-*")
    cluster.wait_caught_up("two")


def a_primary_without_fdatasync_is_noticed(cluster):
    expect_loss(cluster, 0)


def a_secondary_without_fdatasync_is_noticed(cluster):
    expect_loss(cluster, 1)


def restart_with_layer(cluster, server, layer):
    cluster.kill(server)
    cluster.start(server, flags=[f"{server}=--test.disk_layer={layer}"])


def expect_loss(cluster, position):
    """A server of the home whose journal's fdatasync does nothing, in its place in a volume of its own.

    Some segments of its journal were made before it began to lie, so that most often records are all that is missing.
    """
    cluster.create("probe", "--groups", "1", "--size", "1MiB")
    liar = members(cluster, "probe")[position]
    restart_with_layer(cluster, liar, "losing-ignore-sync")
    cluster.wait_joined()
    name = "betrayed"
    cluster.create(name, "--size", "16MiB", "--groups", "1")
    if members(cluster, name)[position] != liar:  # places alternate
        name = "betrayed-2"
        cluster.create(name, "--size", "16MiB", "--groups", "1")
    log, committed, *pair = crash_with_remotes_away(cluster, name)
    expect(pair[position] == liar, f"{liar}, whose fdatasync does nothing, is {('primary', 'secondary')[position]}")
    if not refuses_to_start(cluster, liar):
        if position == 1:
            durable = second_copy_has(cluster, name, liar)
            expect(durable < committed, f"the loss is noticed: the secondary has {durable} of {committed} committed records")
        else:
            cluster.start(pair[1])
            answer = cluster.verify(name, log)
            expect(answer.code == CORRUPT, f"the loss is noticed: verification ends with code {answer.code}: "
                                     f"{answer.err.strip()[-300:]}")


def make_cluster():
    return Cluster("--server-flags=--test.disk_layer=losing", "--rtt-ms", "10")


if __name__ == "__main__":
    # A cluster for each lie: a server that has lost its journal does not come back.
    sys.exit(run_scenarios("crash", make_cluster, [kills_while_writing_lose_nothing, both_copies_are_durable_by_themselves])
             or run_scenarios("lying primary", make_cluster, [a_primary_without_fdatasync_is_noticed])
             or run_scenarios("lying secondary", make_cluster, [a_secondary_without_fdatasync_is_noticed]))
