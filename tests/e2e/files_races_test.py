#!/usr/bin/env python3
"""Two FUSE mounts and two NFS clients, at the home and at a site 18 ms away, in races on one volume, with a checker for each.

What they do at the same time must look as if one had done it after the other, and what one was told is done must be
what every other sees from then on.
"""

import errno
import itertools
import os
import random
import sys
import time

from cluster import Cluster, FILE_PROGRAMS, LONG, MIB, expect, run_scenarios, say, skip
from files_clients import Client, check_records, missing

VOLUME = "raced"
PAGE = 4096
MANY = 5 if LONG else 1
OVERLAP = 5  # of each who looks: so often at least while another one is at work
SEED = int(os.environ.get("SHIMA_TEST_SEED", "1"))
JITTER = random.Random(SEED)


def make_cluster():
    return Cluster("--core", "2,2,0", access="1,1,0")


def demand(condition, text):
    """expect() without a line for each of many checks."""
    if not condition:
        raise AssertionError(text)


def begin_together(calls):
    """Each call is (client, name, arguments...). Who is at home would always be first: it begins up to some round trips later."""
    at = time.monotonic() + 0.03
    for client, name, *arguments in calls:
        client.start(name, *arguments, at=at + (JITTER.uniform(0, 0.07) if client.name.endswith("site-a") else 0))


def errors_together(calls):
    begin_together(calls)
    return [client.error() for client, *_ in calls]


def start_clients(cluster):
    cluster.create(VOLUME)
    cluster.clients = []
    for site in ("site-a", "site-b"):
        directory = cluster.mount(site, VOLUME)
        server = cluster.nfs_servers(site)[0]
        cluster.clients.append(Client(cluster, f"FUSE at {site}", site, "mount", str(directory)))
        cluster.clients.append(Client(cluster, f"NFS at {site}", site, "nfs", server, VOLUME))
        cluster.mounted = getattr(cluster, "mounted", []) + [directory, directory]  # FUSE clients, two a mount
    cluster.fuse = cluster.clients[::2]
    names = [client.name for client in cluster.clients]
    cluster.clients[0].create("first")
    expect(all(client.list("") == ["first"] for client in cluster.clients), f"all see a name: {', '.join(names)}")


def what_one_was_told_every_other_sees(cluster):
    source, names, steps = random.Random(SEED), {}, 30 * MANY
    for step in range(steps):
        actor = source.choice(cluster.clients)
        name, change = change_something(source, actor, names, step)
        for client in cluster.clients:  # they look at the same time
            if "rename" in change:
                client.close_kept()  # what is open is not what has the name now
            client.start("errors_of", [["stat", name]])
            client.start("list", "seen")
            if name in names:
                for read in ("read", "read_kept"):
                    client.start(read, name, 0, 4 * MIB)
                client.start("stat", name)
        stats = [look(client, names, name, f"step {step}, {actor.name}: {change}") for client in cluster.clients]
        demand(all(stat == stats[0] for stat in stats), f"step {step}, {actor.name}: {change}: attributes differ: {stats}")
    for client in cluster.clients:
        client.close_kept()
    expect(True, f"{steps} times one changed something, and all saw it at once: names, bytes, sizes and times")


def change_something(source, actor, names, step):
    """The name that was changed, and words for it. `names`: what there should be, {name: bytes}."""
    if step == 0:
        actor.mkdir("seen")
    kind = source.choice(("create", "write", "write", "longer", "truncate", "unlink", "rename", "chmod")) if names else "create"
    name = source.choice(sorted(names)) if names else None
    if kind == "create":
        name = f"seen/{step}"
        actor.create(name)
        names[name] = b""
    elif kind in ("write", "longer"):
        size = len(names[name])
        offset = size + source.randrange(3000) if kind == "longer" else source.randrange(size + 1)
        bytes_ = source.randbytes(source.choice((1, 500, 4096, 70_000)))
        actor.write(name, offset, bytes_)
        names[name] = written(names[name], offset, bytes_)
    elif kind == "truncate":
        size = source.randrange(2 * len(names[name]) + 2)
        actor.truncate(name, size)
        names[name] = truncated(names[name], size)
    elif kind == "unlink":
        actor.unlink(name)
        del names[name]
    elif kind == "rename":
        other = source.choice([f"seen/{step}", *sorted(names)])
        if other != name:
            actor.rename(name, other)
            names[other] = names.pop(name)
        name = other
    else:
        actor.chmod(name, 0o600 + source.randrange(0o100))
    return name, f"{kind} {name}"


def look(client, names, name, what):
    """The attributes that the client sees."""
    (error,), listed = client.finish(), client.finish()
    demand(error == (0 if name in names else errno.ENOENT), f"{what}: {client.name} sees errno {error}")
    demand(listed == sorted(path.split("/")[1] for path in names), f"{what}: {client.name} lists {listed}, wanted {sorted(names)}")
    if name not in names:
        return None
    plain, kept, stat = bytes.fromhex(client.finish()), bytes.fromhex(client.finish()), client.finish()
    demand(plain == names[name], f"{what}: {client.name} reads {differences(plain, names[name])}")
    demand(kept == names[name], f"{what}: {client.name} reads through a descriptor that was kept open {differences(kept, names[name])}")
    demand(stat["size"] == len(names[name]), f"{what}: {client.name} sees the size {stat['size']}, wanted {len(names[name])}")
    return stat


def differences(found, wanted):
    first = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    return f"{len(found)} bytes, wanted {len(wanted)}; the first difference is at {first}: {found[first:first + 8].hex()} and {wanted[first:first + 8].hex()}"


def reads_never_go_back_behind_an_ack(cluster):
    """One writes 1, 2, 3 ... to one place; what the others read is between what was ACKed before and begun by the end."""
    for writer in cluster.clients:
        name = f"register-{cluster.clients.index(writer)}"
        writer.create(name)
        writer.write(name, 100, bytes(512))
        readers = [client for client in cluster.clients if client is not writer]
        for reader in readers:
            reader.start("read_numbers", name, writer in cluster.clients[:2], OVERLAP)
        for reader in readers:
            reader.wait_under_way()
        writer.start("write_numbers", name, 40 * MANY)
        writer.wait_under_way()
        for reader in readers:
            reader.ask_to_end()
        reads = [(reader.name, *seen) for reader in readers for seen in reader.finish()]
        writer.ask_to_end()
        times = writer.finish()
        for who, number, begin, end in reads:
            acked = sum(1 for _, done in times if done < begin)
            begun = sum(1 for start, _ in times if start < end)
            demand(acked <= number <= begun, f"{who} read {number}; when it began {acked} had been ACKed to {writer.name}, when it ended {begun} had begun")
        overlapped = sum(1 for _, _, begin, end in reads if end > times[0][0] and begin < times[-1][1])
        expect(overlapped >= OVERLAP * len(readers), f"{writer.name} wrote {len(times)} numbers; {overlapped} reads of the others meanwhile saw the newest")


def appends_are_whole_and_there_once(cluster):
    owner, (nfs_a, nfs_b) = cluster.clients[0], cluster.clients[1::2]
    owner.create("log")
    more = [Client(cluster, f"{client.name}, too", site, "mount", str(path)) for client, site, path in
            zip(cluster.fuse, ("site-a", "site-b"), cluster.mounted[::2])]
    writers, count, begin = [*cluster.fuse, *more], 30 * MANY, time.monotonic()
    try:
        begin_together([(writer, "append_records", "log", number, count, SEED * 100 + number) for number, writer in enumerate(writers, 1)])
        for reader in (nfs_a, nfs_b):
            reader.start("read_while_it_grows", "log")
        for reader in (nfs_a, nfs_b):
            reader.wait_under_way()
        for writer in writers:
            writer.ask_to_end()
        counts = [writer.finish() for writer in writers]
        for reader in (nfs_a, nfs_b):
            reader.ask_to_end()
        seen = [reader.finish() for reader in (nfs_a, nfs_b)]
    finally:
        for client in more:
            client.end()
    size = owner.stat("log")["size"]
    for client in cluster.clients:
        data = b"".join(bytes.fromhex(client.read("log", at, min(MIB, size - at))) for at in range(0, size, MIB))
        found = check_records(data)
        demand(found == {number: list(range(count)) for number, count in enumerate(counts, 1)}, f"{client.name} reads records {found}")
    expect(size > 2 * MIB, f"4 processes on 2 mounts appended {counts} records in {time.monotonic() - begin:.1f} s, {size} bytes: each is there "
                           f"once, whole, in its writer's order, as read by all")
    expect(seen == [size] * 2, "NFS clients that read meanwhile saw only whole records, and in the end all")


def renames_over_each_other_leave_one_file(cluster):
    owner, rounds = cluster.clients[0], 10 * MANY
    owner.mkdir("renames")
    for number in range(rounds):
        own = [f"renames/{number}-{who}" for who in range(4)]
        content = [os.urandom(100) for _ in range(4)]
        for client, path, bytes_ in zip(cluster.clients, own, content):
            client.create(path)
            client.write(path, 0, bytes_)
        errors = errors_together([(client, "rename", path, "renames/target") for client, path in zip(cluster.clients, own)])
        demand(errors == [0] * 4, f"round {number}: four renames to one name: errnos {errors}")
        demand(owner.list("renames") == ["target"], f"round {number}: four renames to one name left {owner.list('renames')}")
        seen = {client.read("renames/target", 0, 1000) for client in cluster.clients}
        demand(len(seen) == 1 and bytes.fromhex(seen.pop()) in content, f"round {number}: the file is none of the four")
        demand(owner.stat("renames/target")["nlink"] == 1, f"round {number}: links {owner.stat('renames/target')['nlink']}")
    expect(True, f"{rounds} times all four renamed a file of theirs to one name: it is one of the four, and the others are gone")
    for number in range(rounds):
        inode = owner.stat("renames/target")["inode"]
        errors = errors_together([(client, "rename", "renames/target", f"renames/won-{who}") for who, client in enumerate(cluster.clients)])
        demand(sorted(errors) == [0] + [errno.ENOENT] * 3, f"round {number}: four renames of one file: errnos {errors}")
        won = f"won-{errors.index(0)}"
        demand(owner.list("renames") == [won], f"round {number}: {won} won, and there is {owner.list('renames')}")
        cluster.clients[number % 4].rename(f"renames/{won}", "renames/target")
        demand(owner.stat("renames/target")["inode"] == inode, f"round {number}: it is another file")
    expect(True, f"{rounds} times all four renamed one file to a name of their own: one did, the others were told ENOENT")


def a_name_that_is_replaced_is_always_there(cluster):
    owner, others, rounds = cluster.clients[0], cluster.clients[1:], 60 * MANY
    owner.create("always")
    for other in others:
        other.start("look_all_the_time", "always", OVERLAP)
    for other in others:
        other.wait_under_way()
    done = 0
    while done < rounds or (done < 100 * rounds and not all(other.has_ended() for other in others)):
        owner.create(f"next-{done}")
        owner.rename(f"next-{done}", "always")
        done += 1
        if done == rounds:
            for other in others:
                other.ask_to_end()
    looks = [other.finish() for other in others]
    expect(min(looks) > OVERLAP, f"{done} times another file took a name over; of {sum(looks)} looks by three clients each found one")


def directories_are_not_moved_into_each_other(cluster):
    owner, rounds = cluster.clients[0], 10 * MANY
    for number in range(rounds):
        one, two = f"one-{number}", f"two-{number}"
        owner.mkdir(one)
        owner.mkdir(two)
        pair = random.Random(SEED + number).sample(cluster.clients, 2)
        errors = errors_together([(pair[0], "rename", one, f"{two}/in"), (pair[1], "rename", two, f"{one}/in")])
        demand(errors.count(0) == 1, f"round {number}, {pair[0].name} and {pair[1].name}: errnos {errors}")
        outer = two if errors[0] == 0 else one
        inner = one if outer == two else two
        names = cluster.clients[number % 4].list("")
        demand(outer in names and inner not in names and owner.list(outer) == ["in"] and owner.list(f"{outer}/in") == [],
               f"round {number}: the tree is not what errnos {errors} say: {names}")
        owner.rmdir(f"{outer}/in")
        owner.rmdir(outer)
    expect(True, f"{rounds} times two clients moved two directories into each other: one was done, and nothing was lost")


def locks_keep_counters_right(cluster):
    owner, rounds, kinds = cluster.clients[0], 15 * MANY, ("ofd", "flock")
    for kind in kinds:
        owner.create(f"counter-{kind}")
    places = list(zip(("site-a", "site-b"), cluster.mounted[::2]))
    clients = [(Client(cluster, f"{kind} {number} at {site}", site, "mount", str(path)), kind)
               for kind in kinds for site, path in places for number in range(2)]
    try:
        begin_together([(client, "count_up", f"counter-{kind}", kind, rounds) for client, kind in clients])
        for client, _ in clients:
            client.finish()
    finally:
        for client, _ in clients:
            client.end()
    for kind in kinds:
        found = {int(bytes.fromhex(client.read(f"counter-{kind}", 0, 20))) for client in cluster.clients}
        expect(found == {4 * rounds}, f"four processes at two sites added {rounds} each under {kind} locks: all read {found}")


# ---- truncations, writes, appends and holes at the same time ---------------------------------------------------------


def written(data, offset, bytes_):
    return data[:offset].ljust(offset, b"\0") + bytes_ + data[offset + len(bytes_):]


def truncated(data, size):
    return data[:size].ljust(size, b"\0")


def punched(data, offset, length):
    end = min(len(data), offset + length)
    return data[:offset] + bytes(max(0, end - offset)) + data[max(offset, end):]


def appended(data, bytes_):
    return data + bytes_


MODELS = {"write": written, "truncate": truncated, "punch": punched, "append": appended}


def any_change(source, client, cluster, size):
    """Writes stay within a block: one of several blocks is several writes. Those that go through a kernel's page cache begin at a page:
    of others the kernel writes what is in the first page by a request of its own. An append's place is only safe from
    truncations that make the file shorter (file_system.h)."""
    kinds = ["truncate", "truncate", "write", "write", "punch"] if client in cluster.fuse else ["truncate", "write"]
    kind = source.choice(kinds)
    if kind == "truncate":
        return kind, source.randrange(int(1.3 * size))
    if kind == "punch":
        return kind, source.randrange(size), source.randrange(1, 300_000)
    offset = source.randrange(int(1.2 * size))
    if client in cluster.fuse:
        offset -= offset % PAGE
    length = min(source.choice((100, 4096, 50_000)), MIB - offset % MIB)
    return kind, offset, source.randbytes(1) * length


def changes_at_once_have_an_order(cluster):
    source, rounds, firsts = random.Random(SEED), 20 * MANY, set()
    owner = cluster.clients[0]
    for number in range(rounds):
        name, start = f"ordered-{number}", b"o" * source.randrange(900_000, 1_300_000)
        owner.create(name)
        for at in range(0, len(start), 500_000):
            owner.write(name, at, start[at:at + 500_000])
        clients = source.sample(cluster.clients, source.choice((2, 2, 3)))
        changes = [any_change(source, client, cluster, len(start)) for client in clients]
        if number % 3 == 0:  # an append from each mount against a truncation that makes the file shorter
            clients = [*cluster.fuse, cluster.clients[source.choice((1, 3))]]
            changes = [("append", b"a" * 3000), ("append", b"b" * 20_000), ("truncate", source.randrange(len(start)))]
        errors = errors_together([(client, change[0], name, *change[1:]) for client, change in zip(clients, changes)])
        words = [f"{client.name} {change[0]} {[len(a) if isinstance(a, bytes) else a for a in change[1:]]}" for client, change in zip(clients, changes)]
        demand(errors == [0] * len(changes), f"round {number}: {words}: errnos {errors}")
        outcomes = {}
        for order in itertools.permutations(range(len(changes))):
            data = start
            for index in order:
                data = MODELS[changes[index][0]](data, *changes[index][1:])
            outcomes[data] = order
        for client in cluster.clients:
            client.start("stat", name)
            client.start("read", name, 0, 3 * MIB)
        seen = [(client.finish()["size"], bytes.fromhex(client.finish())) for client in cluster.clients]
        data = seen[0][1]
        demand(data in outcomes, f"round {number}: {words} from {len(start)} bytes: no order gives what is there: "
                                 f"{[differences(data, outcome) for outcome in outcomes]}")
        demand(all(size == len(data) and other == data for size, other in seen), f"round {number}: {words}: clients see different bytes or sizes")
        if len(outcomes) > 1:
            firsts.add(outcomes[data][0])
        owner.unlink(name)
    expect(len(firsts) > 1, f"{rounds} times two or three truncated, wrote, appended and punched at once: each time one of the orders, for all readers")


def one_of_all_makes_a_name(cluster):
    owner, rounds = cluster.clients[0], 12 * MANY
    owner.mkdir("made")
    ways = {"create": lambda name, who: ("create", name), "mkdir": lambda name, who: ("mkdir", name),
            "link": lambda name, who: ("link", f"made/source-{who}", name)}
    for who, client in enumerate(cluster.clients):
        client.create(f"made/source-{who}")
    winners = []
    for kind, way in ways.items():
        for number in range(rounds):
            name = f"made/{kind}-{number}"
            errors = errors_together([(client, *way(name, who)) for who, client in enumerate(cluster.clients)])
            demand(sorted(errors) == [0] + [errno.EEXIST] * 3, f"{kind} of {name} by all four: errnos {errors}")
            inodes = {client.stat(name)["inode"] for client in cluster.clients}
            demand(len(inodes) == 1, f"{name} is different files: {inodes}")
            winners.append(errors.index(0))
    names = len(owner.list("made"))
    links = sum(owner.stat(f"made/source-{who}")["nlink"] - 1 for who in range(4))
    expect(names == 4 + 3 * rounds and links == rounds, f"{3 * rounds} names made by all four at once: each by one (by each: "
                                                        f"{[winners.count(who) for who in range(4)]}), {links} links")


def end_clients(cluster):
    for client in cluster.clients:
        client.end()
    for path in list(cluster.mounts):
        cluster.umount(path)
    say("  clients and mounts are ended")


if __name__ == "__main__":
    if missing():
        skip(missing())
    scenarios = [what_one_was_told_every_other_sees, reads_never_go_back_behind_an_ack, appends_are_whole_and_there_once,
                 renames_over_each_other_leave_one_file, a_name_that_is_replaced_is_always_there,
                 directories_are_not_moved_into_each_other, locks_keep_counters_right, changes_at_once_have_an_order,
                 one_of_all_makes_a_name]
    chosen = [scenario for scenario in scenarios if not sys.argv[1:] or scenario.__name__ in sys.argv[1:]]
    sys.argv[1:] = []
    sys.exit(run_scenarios("files in races", make_cluster, [start_clients, *chosen, end_clients], programs=FILE_PROGRAMS))
