#!/usr/bin/env python3
"""Files over NFSv3: what one site writes every site reads, names change everywhere at once, servers die in mid-write.

site-c has an access server and no core servers, as in the paper: its clients' requests go to the home's primaries.
"""

import json
import os
import subprocess
import sys
import threading
import time

from cluster import (Cluster, DONE, EXISTS, FILE_PROGRAMS, LONG, MIB, NOT_FOUND, NO_SPACE, expect, make_image, run_scenarios,
                     sha256_of, wait_until)

SITES = ["site-a", "site-b", "site-c"]
VOLUME = "files"
IMAGE_MIB = 24
PIECES = 6000 if LONG else 2000
DENIED = "permission-denied"


def make_cluster():
    return Cluster("--core", "2,2,0", access="2,1,1")


def what_one_site_writes_every_site_reads(cluster):
    cluster.create(VOLUME)
    for number, site in enumerate(SITES):
        image = make_image(cluster.folder / "file.img", IMAGE_MIB, number)
        path = f"/from-{site}"
        put = cluster.nfs(site, VOLUME, "put", image, path)
        expect(put["bytes"] == IMAGE_MIB * MIB, f"{site} wrote {IMAGE_MIB} MiB over NFS at {put['mb_per_second']:.0f} MB/s")
        wanted = sha256_of(image)
        sums = {reader: cluster.nfs(reader, VOLUME, "get", path)["sha256"] for reader in SITES}
        expect(set(sums.values()) == {wanted}, f"{path} read at {', '.join(SITES)} has the sha256 of what was written")
        stats = [cluster.nfs(reader, VOLUME, "stat", path) for reader in SITES]
        expect(all(stat == stats[0] for stat in stats), f"{path} has the same attributes at all sites: {stats[0]}")
    cluster.wait_caught_up(VOLUME)
    for site in SITES[:2]:
        own = cluster.ctl("volume", "checksum", VOLUME, "--site", site, "--inode", str(put["inode"]), "--length", str(put["bytes"]))
        expect(own["sha256"] == wanted, f"the blocks that {site} holds itself are the file's")


def names_change_everywhere_at_once(cluster):
    one, two, three = SITES
    cluster.nfs(one, VOLUME, "mkdir", "/names")
    cluster.nfs(two, VOLUME, "put", "/etc/os-release", "/names/first")
    expect(cluster.nfs_names(three, VOLUME, "/names") == ["first"], f"{three} lists what {two} has just made in a directory of {one}")
    inode = cluster.nfs(one, VOLUME, "stat", "/names/first")["inode"]
    cluster.nfs(three, VOLUME, "rename", "/names/first", "/names/second")
    gone = cluster.try_nfs(one, VOLUME, "stat", "/names/first")
    expect(gone.code == NOT_FOUND, f"the old name is gone at {one} once {three} has renamed it")
    expect(cluster.nfs(two, VOLUME, "stat", "/names/second")["inode"] == inode, f"{two} finds the same file under its new name")
    cluster.nfs(two, VOLUME, "link", "/names/second", "/names/third")
    expect(cluster.nfs(one, VOLUME, "stat", "/names/second")["nlink"] == 2, f"{one} counts the link that {two} made")
    for name, site in (("second", one), ("third", three)):
        cluster.nfs(site, VOLUME, "unlink", f"/names/{name}")
    expect(cluster.nfs_names(two, VOLUME, "/names") == [], f"{two} sees that both names are gone")
    cluster.nfs(two, VOLUME, "rmdir", "/names")
    expect("names" not in cluster.nfs_names(one, VOLUME), "and the directory with them")


def of_many_who_make_a_name_one_wins(cluster):
    wins, losses, lock = [], [], threading.Lock()

    def contend(site):
        for number in range(8):
            answer = cluster.try_nfs(site, VOLUME, "mkdir", f"/race-{number}")
            with lock:
                (wins if answer.code == DONE else losses).append((number, site, answer.code))
    threads = [threading.Thread(target=contend, args=(site,)) for site in SITES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(sorted(number for number, _, _ in wins) == list(range(8)), "each of 8 directories was made by exactly one site")
    expect({code for _, _, code in losses} == {EXISTS}, "the others were told that it exists")


def a_truncation_is_seen_everywhere_and_leaves_zeros(cluster):
    image = make_image(cluster.folder / "cut.img", 8, 77)
    cluster.nfs("site-a", VOLUME, "put", image, "/cut")
    shorter = 3 * MIB + 1234
    cluster.nfs("site-c", VOLUME, "truncate", "/cut", str(shorter))
    with open(image, "r+b") as file:
        file.truncate(shorter)
    expect({cluster.nfs(site, VOLUME, "get", "/cut")["sha256"] for site in SITES} == {sha256_of(image)},
           f"cut to {shorter} bytes at site-c, all sites read just these")
    cluster.nfs("site-b", VOLUME, "truncate", "/cut", str(6 * MIB))
    expect({cluster.nfs(site, VOLUME, "get", "/cut")["sha256"] for site in SITES} == {sha256_of(image, 6 * MIB)},
           "made longer again at site-b, what was cut off reads as zeros at all sites")


def an_access_server_dies_and_its_client_goes_on_at_another(cluster):
    servers = cluster.nfs_servers("site-a")
    expect(len(servers) == 2, f"site-a has two access servers: {servers}")
    writer = start_numbered(cluster, "site-a", "/numbered", servers=servers)
    seen = wait_for_pieces(cluster, "/numbered", PIECES // 10)
    expect(writer.poll() is None, f"site-b sees {seen} pieces while they are being written")
    cluster.kill("site-a/access-0")
    wait_for_pieces(cluster, "/numbered", seen + PIECES)
    answer = end_numbered(writer, "the client went on after its access server was killed")
    expect(answer["changed_servers"] >= 1 and answer["server"] == servers[1],
           f"at {servers[1]}; the longest write took {answer['longest_us'] / 1e6:.2f} s")
    for site in SITES[1:]:
        cluster.nfs(site, VOLUME, "verify-numbered", "/numbered", "--count", str(answer["written"]))
    cluster.start("site-a/access-0")
    cluster.nfs("site-a", VOLUME, "verify-numbered", "/numbered", "--count", str(answer["written"]), servers=servers[:1])
    expect(True, f"all {answer['written']} ACKed pieces are there, read at {', '.join(SITES)}")


def start_numbered(cluster, site, path, *options, servers=None):
    """A client that writes pieces of 4 KiB, one after the other, until end_numbered()."""
    command = cluster.nfs_command(site, VOLUME, "write-numbered", path, "--count", str(10**9), *options, servers=servers)
    cluster.writers.append(NumberedWriter(cluster.popen(site, *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)))
    return cluster.writers[-1].process


class NumberedWriter:
    def __init__(self, process):
        self.process = process

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def end_numbered(writer, what):
    """Its sums."""
    writer.terminate()
    out, err = writer.communicate(timeout=120)
    expect(writer.returncode == DONE, f"{what}; it said: {err.strip()[-200:]}")
    return json.loads(out)


def wait_for_pieces(cluster, path, count):
    """How many site-b sees."""
    def seen():
        answer = cluster.try_nfs("site-b", VOLUME, "stat", path)
        return answer.code == DONE and answer.json["bytes"] // 4096
    return wait_until(f"{count} pieces", lambda: (found := seen()) >= count and found, 120, interval_s=0.05)


def the_sites_shared_address_goes_to_the_server_that_is_left(cluster):
    address = cluster.server("site-a/access-0")["address"].rsplit(".", 1)[0] + ".200"
    servers = [f"{address}:2049"]
    wait_until("the shared address answers", lambda: cluster.try_nfs("site-a", VOLUME, "ls", "/", servers=servers).code == DONE)
    writer = start_numbered(cluster, "site-a", "/shared", servers=servers)
    seen = wait_for_pieces(cluster, "/shared", 1)
    holder = wait_until(f"a holder of {address}", lambda: [
        name for name in ("site-a/access-0", "site-a/access-1") if is_holder(cluster, name, address)])
    expect(len(holder) == 1, f"{address} is held by {holder}")
    expect(writer.poll() is None, f"its client is at work: site-b sees {seen} pieces or more")
    cluster.kill(*holder)
    seen = wait_for_pieces(cluster, "/shared", 0)  # it is dead
    wait_for_pieces(cluster, "/shared", seen + PIECES)
    answer = end_numbered(writer, f"its client went on at the same address after {holder[0]} was killed")
    expect(answer["changed_servers"] >= 1, f"the longest write took {answer['longest_us'] / 1e6:.2f} s")
    cluster.nfs("site-b", VOLUME, "verify-numbered", "/shared", "--count", str(answer["written"]))
    cluster.start(*holder)


def is_holder(cluster, name, address):
    """Whose socket listens at the shared address: that of this server's process?"""
    sockets = cluster.run("site-a", "ss", "-Hltnp", f"src {address}").out
    return f"pid={cluster.pid(name)}," in sockets


def core_servers_die_and_the_client_only_waits(cluster):
    lapsed = lapsed_leases(cluster, "site-c/access-0")
    writer = start_numbered(cluster, "site-c", "/survivor")
    seen = wait_for_pieces(cluster, "/survivor", 1)
    for victim in ("site-a/core-0", "site-a/core-1"):
        time.sleep(0.5)
        cluster.kill(victim)
        time.sleep(0.5)
        cluster.start(victim)
        seen = wait_for_pieces(cluster, "/survivor", seen + PIECES // 20)
    answer = end_numbered(writer, "a client at site-c had no error while both core servers of the home were killed")
    lapsed = lapsed_leases(cluster, "site-c/access-0") - lapsed
    expect(answer["changed_servers"] == 0 or lapsed,
           f"and never lost its access server{', but where that was taken for dead' if lapsed else ''}")
    cluster.nfs("site-b", VOLUME, "verify-numbered", "/survivor", "--count", str(answer["written"]))
    cluster.wait_caught_up(VOLUME)


def lapsed_leases(cluster, name):
    """How often an access server, which then closes its connections, was taken for dead, as on a busy machine."""
    return cluster.log(name).count("registers anew: its lease is lost")


def present_bytes(cluster, volume_id):
    groups = [group for server in cluster.names() for dump in cluster.dump("blocks", server) for group in dump["groups"]]
    return sum(group["present_bytes"] for group in groups if group["volume"] == volume_id)


def removed_files_give_their_space_back(cluster):
    cluster.create("space")
    volume = cluster.ctl("volume", "show", "space")["volume_id"]
    image = make_image(cluster.folder / "space.img", 16, 5)
    cluster.nfs("site-a", "space", "put", image, "/big")
    wait_until("the file's bytes at both sites", lambda: present_bytes(cluster, volume) >= 2 * 16 * MIB)
    cluster.nfs("site-b", "space", "unlink", "/big")
    wait_until("no byte of it on any disk", lambda: present_bytes(cluster, volume) == 0)
    expect(True, "16 MiB removed at site-b are gone from the disks of both sites")


def a_full_volume_refuses_and_still_answers(cluster):
    cluster.create("small", "--size", "8MiB")
    image = make_image(cluster.folder / "large.img", 16, 6)
    answer = cluster.try_nfs("site-b", "small", "put", image, "/large")
    expect(answer.code == NO_SPACE, f"16 MiB into a volume of 8 MiB: no space ({answer.err.strip()[-100:]})")
    cluster.nfs("site-a", "small", "unlink", "/large")
    half = make_image(cluster.folder / "half.img", 4, 7)

    def fits():
        return cluster.try_nfs("site-a", "small", "put", half, "/half").code == DONE
    wait_until("there is space again", fits)
    expect(cluster.nfs("site-b", "small", "get", "/half")["sha256"] == sha256_of(half), "4 MiB fit once the others are gone")
    cluster.create("few", "--max-inodes", "20")
    codes = [cluster.try_nfs("site-a", "few", "mkdir", f"/{number}").code for number in range(24)]
    expect(codes[0] == DONE and codes[-1] == NO_SPACE, f"a volume of 20 inodes takes {codes.count(DONE)} directories, then no more")


def export_rules_say_who_may_do_what(cluster):
    server = "site-b/access-0"
    address = cluster.server("site-b/access-0")["address"]
    own = address.rsplit(".", 1)[0] + ".0/24"
    cluster.devcluster("stop", server)
    cluster.start(server, flags=[f"{server}=--nfs.exports={own}:ro:root_squash"])
    image = make_image(cluster.folder / "refused.img", 1, 8)
    refused = cluster.try_nfs("site-b", VOLUME, "put", image, "/refused")
    expect(refused.code != DONE and DENIED in refused.err, f"a read-only export refuses a write: {refused.err.strip()[-80:]}")
    expect("from-site-a" in cluster.nfs_names("site-b", VOLUME), "and lets the same client read")
    foreign = cluster.try_nfs("site-a", VOLUME, "ls", "/", servers=[f"{address}:2049"])
    expect(foreign.code != DONE and DENIED in foreign.err, f"a client that no rule names may not mount: {foreign.err.strip()[-80:]}")
    cluster.devcluster("stop", server)
    cluster.start(server, flags=[f"{server}="])
    expect(cluster.try_nfs("site-b", VOLUME, "put", image, "/refused").code == DONE, "without rules everybody may")


HOSTILE = """
import os, socket, sys
for seed in range(40):
    connection = socket.create_connection((sys.argv[1], 2049), timeout=60)
    noise = os.urandom(2000 + 1000 * seed)
    if seed % 2: noise = (0x80000000 | len(noise)).to_bytes(4, 'big') + (seed).to_bytes(4, 'big') + bytes(4) + noise
    try:
        connection.sendall(noise)
        connection.settimeout(0.05)
        connection.recv(1000)
    except OSError: pass
    connection.close()
"""


def noise_on_the_port_hurts_nobody(cluster):
    server = "site-a/access-0"
    before = cluster.pid(server)
    done = cluster.run("site-a", "python3", "-c", HOSTILE, cluster.server(server)["address"])
    expect(done.code == 0, "forty connections sent noise")
    expect("from-site-a" in cluster.nfs_names("site-a", VOLUME), "the server still lists files")
    expect(cluster.pid(server) == before and os.path.exists(f"/proc/{before}"), "and is the same process")


def a_deleted_volume_is_gone_at_every_access_server(cluster):
    cluster.create("doomed")
    for site in SITES:
        cluster.nfs(site, "doomed", "ls", "/")
    cluster.ctl("volume", "delete", "doomed")

    def gone():
        return all(cluster.try_nfs(site, "doomed", "ls", "/").code == NOT_FOUND for site in SITES)
    wait_until("not found at all sites", gone, timeout_s=30)
    cluster.create("doomed")
    names = {site: cluster.nfs_names(site, "doomed") for site in SITES}
    expect(set(map(tuple, names.values())) == {()}, "a new volume of its name is empty at all sites")


if __name__ == "__main__":
    sys.exit(run_scenarios("files over NFS", make_cluster, [
        what_one_site_writes_every_site_reads, names_change_everywhere_at_once, of_many_who_make_a_name_one_wins,
        a_truncation_is_seen_everywhere_and_leaves_zeros, an_access_server_dies_and_its_client_goes_on_at_another,
        the_sites_shared_address_goes_to_the_server_that_is_left, core_servers_die_and_the_client_only_waits, removed_files_give_their_space_back, a_full_volume_refuses_and_still_answers,
        export_rules_say_who_may_do_what, noise_on_the_port_hurts_nobody, a_deleted_volume_is_gone_at_every_access_server],
        programs=FILE_PROGRAMS))
