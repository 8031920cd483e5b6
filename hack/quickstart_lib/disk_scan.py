"""Where a volume's bytes lie, from a scan of every core server's files with shima-dump: nothing is asked of a server."""

import json
import os

from quickstart_lib import QuickstartError, cluster

ROLES = ("primary", "secondary", "remote")


class ServerBytes:
    """What one core server's disks hold of the volume, by the server's role in the group that it belongs to."""

    def __init__(self, name, site):
        self.name, self.site = name, site
        self.blocks = dict.fromkeys(ROLES, 0)
        self.block_bytes = dict.fromkeys(ROLES, 0)
        self.journal_bytes = dict.fromkeys(ROLES, 0)


def dump(log, kind, folder, *options):
    command = [os.path.join(cluster.PROGRAMS, "shima-dump"), kind, folder, *options, "-o", "json"]
    return json.loads(cluster.run(log, command, f"shima-dump {kind} {folder}").stdout)


def volume_group(item):
    """The volume's id and the group's index, of an entry of shima-dump's summary."""
    if "volume" in item:
        return item["volume"], item["group"]
    volume, index = item["group"].split("/")
    return int(volume), int(index)


def roles_by_group(report):
    """{(server name, group index): role} of the data groups, from `replication show`."""
    return {(row["server"], row["group"]): row["role"] for row in report["members"] if not row["metadata"]}


def metadata_groups(report):
    return {row["group"] for row in report["members"] if row["metadata"]}


def scan(the_cluster, volume_id, roles, without):
    """One ServerBytes a core server, in the cluster's order; groups `without` are left out."""
    found = []
    for server in the_cluster.status()["servers"]:
        if server["role"] != "core":
            continue
        held = ServerBytes(server["name"], server["site"])
        for disk in server["disks"]:
            for item in dump(the_cluster.log, "blocks", disk)["groups"]:
                add(held, item, volume_id, roles, without, held.blocks, item["blocks"])
                add(held, item, volume_id, roles, without, held.block_bytes, item["present_bytes"])
            for item in dump(the_cluster.log, "journal", os.path.join(disk, "journal"), "--summary")["groups"]:
                add(held, item, volume_id, roles, without, held.journal_bytes, item["live_payload_bytes"])
        found.append(held)
    return found


def add(held, item, volume_id, roles, without, counters, count):
    volume, group = volume_group(item)
    if volume != volume_id or group in without or count == 0:
        return
    role = roles.get((held.name, group))
    if role is None:
        raise QuickstartError(f"{held.name} has bytes of group {group} of the volume, of which it is no member")
    counters[role] += count


def total(servers, counters, role, site=None):
    return sum(getattr(server, counters)[role] for server in servers if site in (None, server.site))


def second_copy_bytes(servers):
    """All that secondaries have: blocks and what is live in their journals."""
    return total(servers, "block_bytes", "secondary") + total(servers, "journal_bytes", "secondary")


def check(servers, home, remotes, input_bytes):
    """One copy a site in the end, and secondaries under 5 % of the input; an error says what is not so."""
    wanted = total(servers, "block_bytes", "primary", home)
    if wanted < input_bytes:
        raise QuickstartError(f"the home's blocks hold {wanted} bytes; the import wrote about {input_bytes:.0f}")
    for site in remotes:
        held = total(servers, "block_bytes", "remote", site)
        if held != wanted:
            raise QuickstartError(f"the blocks of {site} hold {held} bytes, those of {home} {wanted}: not one copy a site")
    left = second_copy_bytes(servers)
    if left * 20 >= input_bytes:
        raise QuickstartError(f"secondaries still use {left} bytes, which is not under 5 % of the input's {input_bytes:.0f}")
