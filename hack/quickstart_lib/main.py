"""hack/quickstart after the build: the main job, step by step. Start it as hack/quickstart."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from quickstart_lib import QuickstartError, cluster, comparison, disk_scan, image, screen  # noqa: E402 (needs the path above)

HOME, REMOTES = "site-a", ("site-b", "site-c")
VOLUME = "demo"
FILE = "/vm1.img"
RTT_MS = 18


class Quickstart:
    def __init__(self, arguments):
        self.arguments = arguments
        self.log = cluster.Log(os.path.join(arguments.dir, "quickstart.log"))
        self.cluster = cluster.Cluster(os.path.join(arguments.dir, "cluster"), self.log)
        self.step = "the beginning"
        self.has_wan = True

    def heading(self, text):
        self.step = text
        self.log.write(f"\n==== {text}")
        screen.heading(text)

    def run(self):
        self.begin = time.monotonic()
        self.start_cluster()
        self.make_image()
        self.write_file()
        self.read_elsewhere()
        self.show_disks()
        self.read_without_home()
        self.compare()
        self.end()

    # ---- steps ----------------------------------------------------------------------------------------------------

    def start_cluster(self):
        self.heading("Three sites")
        if os.path.exists(os.path.join(self.cluster.directory, "devcluster.json")):
            self.cluster.devcluster("down", "--purge", what="ending the cluster of an earlier run")
            screen.say("the cluster of an earlier run is removed")
        self.cluster.devcluster("up", "--rtt-ms", str(RTT_MS), what="hack/devcluster up")
        status = self.cluster.status()
        self.has_wan = status["mode"] == "namespaces"
        core = [server["name"] for server in status["servers"] if server["role"] == "core"]
        screen.say(f"{len(core)} core servers, two in each of {HOME}, {', '.join(REMOTES)}; an access server (NFS) and an etcd member "
                   "in each")
        if self.has_wan:
            wan = status["wan"]
            screen.say(f"between any two sites: {wan['rtt_ms']:g} ms round trip, {wan['rate_mbit'] / 1000:g} Gbit/s each way")
        else:
            reason = "no network namespaces here" if os.geteuid() == 0 else "no root"
            screen.say(f"{reason}: all is on 127.0.0.1, without delay between sites, and no site can be cut off")

    def make_image(self):
        self.heading("A disk image")
        self.image = image.make(self.arguments.dir, self.log)
        screen.say(f"ext4, {screen.size(self.image['bytes'])} with {screen.size(self.image['data_bytes'])} of data, from "
                   f"{self.image['source']}")
        screen.say(f"sha256 {self.image['sha256']}")

    def write_file(self):
        self.heading(f"A file, written over NFS at {HOME}")
        self.cluster.shimactl(HOME, "volume", "create", VOLUME, "--copies", "3", "--home", HOME, "--sites",
                              ",".join((HOME, *REMOTES)), what="creating the volume")
        screen.say(f"volume {VOLUME}: 3 copies, home {HOME}, a write is ACKed when two servers of {HOME} have it on disk")
        watch = cluster.ReplicationWatch(self.cluster, HOME, VOLUME)
        try:
            self.file = self.cluster.nfs(HOME, VOLUME, "put", self.image["path"], FILE, what="writing the file over NFS",
                                         shown=screen.passing if screen.IS_TERMINAL else screen.say)
            self.written_at = time.monotonic() - watch.begin
            screen.clear_passing()
            self.show_writing()
            self.heading("Remote copies and second copies")
            self.show_replication(watch)
        finally:
            watch.stop()

    def show_writing(self):
        file = self.file
        if file["bytes"] != self.image["bytes"]:
            raise QuickstartError(f"{FILE} has {file['bytes']} bytes after it was written; the image has {self.image['bytes']}")
        screen.good(f"{FILE}, inode {file['inode']}: {screen.size(file['written_bytes'])} of data in {file['seconds']:.2f} s: "
                    f"{file['mb_per_second']:.1f} MB/s; ACK latency p50 {screen.milliseconds(file['p50_us'])}, p99 "
                    f"{screen.milliseconds(file['p99_us'])} (16 writes of up to 1 MiB in flight)")

    def read_elsewhere(self):
        """Everything is up: each site reads the file through its own access server."""
        self.heading("The same file at every site")
        for site in (HOME, *REMOTES):
            read = self.cluster.nfs(site, VOLUME, "get", FILE, what=f"reading the file over NFS at {site}",
                                    shown=screen.passing if screen.IS_TERMINAL else None)
            screen.clear_passing()
            if read["sha256"] != self.image["sha256"]:
                raise QuickstartError(f"{FILE} read at {site} has sha256 {read['sha256']}, the image has {self.image['sha256']}")
            screen.good(f"{site}: read over NFS at {read['mb_per_second']:.1f} MB/s, sha256 {read['sha256'][:16]}..., as the image's")
        if self.has_wan:
            screen.say("the home says what is current; the bytes come from each site's own copy, not over the WAN")
        single = self.cluster.nfs(HOME, VOLUME, "latency", "/latency", "--count", "256", what="single writes over NFS")
        screen.good(f"{HOME}: a write of 4 KiB over NFS takes {screen.milliseconds(single['p50_us'])} (p50), "
                    f"{screen.milliseconds(single['p99_us'])} (p99), one at a time")
        self.cluster.nfs(HOME, VOLUME, "unlink", "/latency", what="deleting the file of single writes")

    def show_replication(self, watch):
        screen.say(f"seconds since the writing began; it ended at {self.written_at:.1f}")
        table = screen.Table([("TIME", 7), *((f"{site} lacks", 12) for site in REMOTES), ("second copies hold", 18)], left=0)
        shown, next_time, deadline = 0, 0.0, time.monotonic() + 120
        while True:
            samples = watch.samples[shown:]
            shown += len(samples)
            for when, report in samples:
                lag = cluster.lag_of(report)
                if set(lag) != set(REMOTES) or None in lag.values():
                    continue
                kept = cluster.second_copy_bytes(report)
                done = when > self.written_at and not any(lag.values()) and kept == 0
                if done or when >= next_time:
                    next_time = when + max(0.5, self.written_at / 6)
                    table.row([f"{when:.1f} s", *(screen.size(lag[site]) for site in REMOTES), screen.size(kept)])
                if done:
                    screen.good("every site has every byte; the second copies at home are trimmed (step 5 of the paper)")
                    return
            if time.monotonic() > deadline:
                raise QuickstartError("after 120 s not every remote site has all, or second copies are not trimmed; see the table")
            time.sleep(0.05)

    def show_disks(self):
        self.heading("Where the bytes lie: a scan of the servers' files")
        report = cluster.wait_for_no_lag(self.cluster, HOME, VOLUME)
        volume = self.cluster.shimactl_json(HOME, "volume", "show", VOLUME, what="shimactl volume show")
        volume = volume.get("record", volume)
        servers, problem = self.settled_scan(volume["volume_id"], disk_scan.roles_by_group(report),
                                             disk_scan.metadata_groups(report))
        screen.say("bytes of files on disk, by the server's role in the replica group that they belong to")
        rows = [["SERVER", "blocks: primary", "secondary", "remote", "journal: primary", "secondary", "remote"]]
        for server in servers:
            rows.append([server.name, *(f"{screen.size(server.block_bytes[role])}" for role in disk_scan.ROLES),
                         *(screen.size(server.journal_bytes[role]) for role in disk_scan.ROLES)])
        screen.print_table(rows)
        if problem:
            raise problem
        left = disk_scan.second_copy_bytes(servers)
        screen.good(f"one copy a site; second copies use {screen.size(left)}, {100 * left / self.file['written_bytes']:.2f} % of the "
                    "input (under 5 % is wanted)")

    def settled_scan(self, volume_id, roles, without, timeout_s=60):
        """Journals are applied to blocks, and forgotten, in the background: looks until that is over. (servers, error or None)"""
        deadline = time.monotonic() + timeout_s
        while True:
            screen.passing("reading the files of six servers ...")
            servers = disk_scan.scan(self.cluster, volume_id, roles, without)
            screen.clear_passing()
            try:
                disk_scan.check(servers, HOME, REMOTES, self.file["written_bytes"])
                return servers, None
            except QuickstartError as error:
                if time.monotonic() > deadline:
                    return servers, error
            time.sleep(0.5)

    def read_without_home(self):
        self.heading(f"{HOME} is gone")
        endpoints = {site: self.cluster.own_endpoints(site) for site in REMOTES}
        if self.has_wan:
            self.cluster.devcluster("cut", HOME, what=f"cutting {HOME} off")
        self.cluster.devcluster("kill", f"{HOME}/core-*", f"{HOME}/access-*", what=f"killing the servers of {HOME}")
        screen.say(f"{'the network to ' + HOME + ' is cut and ' if self.has_wan else ''}its servers are killed (SIGKILL). Nobody serves "
                   "the volume now:")
        screen.say("there is no failover yet. What do the blocks of the other sites hold?")
        wrong = []
        for site in REMOTES:
            screen.passing(f"reading all of the file's blocks at {site} ...")
            found = self.cluster.shimactl_json(site, "volume", "checksum", VOLUME, "--site", site, "--inode", str(self.file["inode"]),
                                               "--length", str(self.file["bytes"]), endpoints=endpoints[site],
                                               what=f"the checksum at {site}")["sha256"]
            screen.clear_passing()
            if found == self.image["sha256"]:
                screen.good(f"{site}: sha256 {found}, as the image's, from its own block store")
            else:
                wrong.append(f"{site} holds sha256 {found}, the image has {self.image['sha256']}")
        if wrong:
            raise QuickstartError("; ".join(wrong))
        if self.has_wan:
            self.cluster.devcluster("heal", HOME, what=f"healing the network to {HOME}")
        self.cluster.devcluster("start", f"{HOME}/core-*", f"{HOME}/access-*", what=f"starting the servers of {HOME}")
        cluster.wait_for_no_lag(self.cluster, HOME, VOLUME)
        read = self.cluster.nfs(REMOTES[-1], VOLUME, "get", FILE, what=f"reading the file at {REMOTES[-1]} again")
        if read["sha256"] != self.image["sha256"]:
            raise QuickstartError(f"{FILE} has sha256 {read['sha256']} after {HOME} came back, the image has {self.image['sha256']}")
        screen.good(f"{HOME} is back, and the file is served again at every site")

    def compare(self):
        self.heading("What distance costs: ack local (default) against ack all")
        if self.has_wan:
            distances = (0, RTT_MS) if self.arguments.quick else (0, RTT_MS, 200)
        else:
            distances = (None,)
            screen.say("without a WAN only one distance can be measured")
        seconds = 1 if self.arguments.quick else 2.5
        try:
            comparison.show(self.cluster, HOME, distances, seconds)
        finally:
            if self.has_wan:
                self.cluster.devcluster("wan", f"rtt={RTT_MS}", what="hack/devcluster wan", check=False)
        screen.say("depth 1: one write at a time. local: durable on two servers of the home site. all: and at every other site")

    def end(self):
        took = time.monotonic() - self.begin
        directory = self.cluster.directory
        if self.arguments.down:
            self.heading("The end")
            self.cluster.devcluster("down", "--purge", what="ending the cluster")
            screen.say(f"all of it took {took:.0f} s; the cluster is ended and its data deleted. Log: {self.log.path}")
            return
        self.heading("Look around")
        screen.say(f"all of it took {took:.0f} s, and the cluster is still running. Details: {self.log.path}")
        print()
        for command, meaning in (
                (f"export SHIMA_DIR={directory}", "for the commands below"),
                ("hack/devcluster status", "servers, addresses, logs"),
                ("hack/devcluster exec site-a -- shimactl status", "health"),
                (f"hack/devcluster exec site-b -- shimactl replication show {VOLUME}", "how far each site is"),
                (f"mkdir -p /tmp/demo && hack/devcluster mount site-b {VOLUME} /tmp/demo", "the files, with FUSE at site-b"),
                ("hack/devcluster addr site-a", "its NFS server"),
                ("hack/devcluster kill site-a/core-0", "break something; then: start site-a/core-0"),
                ("hack/devcluster down --purge", "end the cluster, delete its data")):
            screen.say(f"{command.ljust(68)} # {meaning}")
        screen.say("")
        screen.say("Next: docs/tutorial/first-cluster.md")


def main():
    parser = argparse.ArgumentParser(prog="hack/quickstart")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--down", action="store_true")
    parser.add_argument("--quick", action="store_true")
    quickstart = Quickstart(parser.parse_args())
    try:
        quickstart.run()
    except (QuickstartError, OSError) as error:
        screen.clear_passing()
        print(f"\nhack/quickstart: FAILED at '{quickstart.step}': {error}\n  Details: {quickstart.log.path}\n  What runs is left for you "
              f"to look at; end it with: hack/devcluster down --dir {quickstart.cluster.directory}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nhack/quickstart: interrupted; end what runs with: hack/devcluster down --dir {quickstart.cluster.directory}",
              file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
