#!/usr/bin/env python3
"""Two builds run together: a cluster of an earlier build gets today's programs one server at a time, and loses them again,
with writers at work, clients and CSI programs of both builds, and every sha256 right throughout. The operator: kube_operator_skew_test.py.

SHIMA_PREVIOUS names the folder of the earlier build's programs; without it hack/build-previous builds them, which takes as
long as a first build. Long: runs with SHIMA_TEST_LONG=1 only.
"""

import json
import os
import pathlib
import subprocess
import sys

import csi_controller_test
import csi_node_test
import skew_csi
from cluster import (BIN, Cluster, DONE, FILE_PROGRAMS, LONG, ROOT, Writer, expect, make_image, run_scenarios, say, sha256_of,
                     skip, wait_until)
from csi_client import check_python, make_stubs

IMAGE_MIB = 24
SITES = ["site-a", "site-b", "site-c"]
VOLUMES = {"image": [], "strict": ["--ack", "all"]}
CHOSEN = ("shima-coreserver", "shima-accessserver", "shimactl")
NEEDED = (*CHOSEN, "shima-blockwriter", "shima-nfsclient", "shima-csi")


def previous_programs(needed=NEEDED):
    given = os.environ.get("SHIMA_PREVIOUS")
    if not given:
        built = subprocess.run([ROOT / "hack/build-previous"], stdout=subprocess.PIPE, text=True, check=False)
        if built.returncode == 2:
            skip("two builds together: no commit in this clone promises that yet; SHIMA_PREVIOUS=FOLDER names other programs")
        if built.returncode != 0:
            raise AssertionError("hack/build-previous failed; SHIMA_PREVIOUS names a folder of programs that are built already")
        given = built.stdout.splitlines()[-1]
    folder = pathlib.Path(given).absolute()
    missing = [name for name in needed if not os.access(folder / name, os.X_OK)]
    if missing:
        raise AssertionError(f"SHIMA_PREVIOUS: wanted the programs of an earlier build in {folder}, but {', '.join(missing)} "
                             "is not there; hack/build-previous makes such a folder")
    return folder


class SkewedCluster(Cluster):
    """Its servers run what was chosen when they were started: devcluster is given scripts that look it up."""

    def __init__(self):
        super().__init__(access="1")
        self.previous = previous_programs()
        self.builds = {"earlier": self.previous, "newer": BIN}
        programs = self.folder / "programs"
        programs.mkdir()
        self.chosen = programs / "chosen"
        self.choose("earlier")
        for name in CHOSEN:
            (programs / name).write_text(f'#!/bin/sh\nexec "$(cat {self.chosen})/{name}" "$@"\n')
            (programs / name).chmod(0o755)
        self.up_options = (*self.up_options, "--core-binary", str(programs / "shima-coreserver"),
                           "--access-binary", str(programs / "shima-accessserver"))
        self.runs, self.sums = {}, {}
        self.controller, self.nodes = None, []

    def choose(self, build):
        self.chosen.write_text(f"{self.builds[build]}")

    def __enter__(self):
        super().__enter__()
        self.runs = {server["name"]: "earlier" for server in self.status["servers"] if server["role"] != "etcd"}
        return self

    def down(self):
        for driver in [self.controller] if self.controller and not self.ended else []:
            driver.kill()
        for node in [] if self.ended else self.nodes:
            node.end()
        super().down()

    def print_logs(self, lines=8):
        super().print_logs(lines)
        for driver in filter(None, [self.controller, *(driver for node in self.nodes for driver in (node.mounter, node.plugin))]):
            print(f"--- the end of {driver.log_path}", *driver.log().splitlines()[-25:], sep="\n", flush=True)

    def replace(self, name, build, orderly):
        self.choose(build)
        self.devcluster("stop" if orderly else "kill", name)
        self.start(name)
        self.runs[name] = build
        program = os.readlink(f"/proc/{self.pid(name)}/exe")
        if not program.startswith(str(self.builds[build].resolve())):
            raise AssertionError(f"{name} was to run the {build} build, and runs {program}")

    def ctl_of(self, build, *arguments, site=None):
        answer = self.run(site or self.home, self.builds[build] / "shimactl", "-o", "json", *arguments, timeout_s=300)
        if answer.code != DONE:
            raise AssertionError(f"the {build} build's {answer!r}")
        return answer.json

    def nfs_of(self, build, site, *arguments):
        answer = self.run(site, self.builds[build] / "shima-nfsclient", "--server", ",".join(self.nfs_servers(site)), "--volume",
                          "files", *arguments)
        if answer.code != DONE:
            raise AssertionError(f"the {build} build's {answer!r}")
        return json.loads(answer.out) if answer.out.strip() else None

    def writer_of(self, build, volume, log):
        process = self.popen(self.home, self.builds[build] / "shima-blockwriter", "write", volume, log, "--seconds", 3000,
                             "--depth", 4, "--deadline-ms", 90000, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.writers.append(Writer(process))
        return self.writers[-1]

    def all_whole(self):
        """What an upgrade waits for; volumes under load always lag a little."""
        for volume in self.ctl("volume", "list")["volumes"]:
            for row in self.replication(volume["name"])["sites"]:
                if not row["groups_known"] == row["connected"] == row["whole"] == row["groups"] or row["unreachable_servers"]:
                    return False
        return True

    def expect_sums(self, where, builds=("earlier", "newer")):
        """Of every volume through its primaries, and of one site's own blocks, by clients of both builds."""
        for build in builds:
            for number, (volume, wanted) in enumerate(self.sums.items()):
                site = SITES[(number + len(self.writers)) % len(SITES)]
                found = {self.ctl_of(build, "volume", "checksum", volume, *options, site=site)["sha256"]
                         for options in ([], ["--site", site])}
                if found != {wanted}:
                    raise AssertionError(f"{where}: volume {volume} as the {build} build's client reads it: wanted {wanted}, "
                                         f"found {found}")
        say(f"  ok: {where}: the images are right for clients of: {', '.join(builds)}")


def moves_on(cluster, where):
    """All writers get ACKs."""
    for number, writer in enumerate(cluster.writers):
        begin = len(writer.seconds)
        wait_until(f"{where}: ACKs for writer {number}", lambda: any(s["acks"] for s in writer.seconds[begin + 1:]), 90)


def the_earlier_build_serves(cluster):
    image = make_image(cluster.folder / "image.img", IMAGE_MIB, 15)
    for volume, options in VOLUMES.items():
        cluster.ctl_of("earlier", "volume", "create", volume, "--home", cluster.home, *options)
        cluster.ctl_of("earlier", "volume", "import", volume, image)
        cluster.sums[volume] = sha256_of(image)
    for volume, size in (("load-earlier", "64MiB"), ("load-newer", "64MiB"), ("files", "256MiB")):
        cluster.ctl_of("earlier", "volume", "create", volume, "--home", cluster.home, "--size", size)
    cluster.nfs_of("earlier", "site-a", "put", image, "/earlier.img")
    for build in cluster.builds:
        cluster.writer_of(build, f"load-{build}", cluster.folder / f"{build}.acks")
    moves_on(cluster, "before any change")
    expect(True, "clients of both builds write to servers of the earlier one")
    cluster.expect_sums("only the earlier build")


def replace_one_by_one(cluster, build, names, orderly_first):
    for number, name in enumerate(names):
        cluster.replace(name, build, orderly=(number % 2 == 0) == orderly_first)
        wait_until(f"all members to be there and whole, after {name}", lambda: cluster.all_whole(), 120)
        where = f"{sum(b == 'newer' for n, b in cluster.runs.items() if n in cluster.names())} of {len(cluster.names())} newer"
        moves_on(cluster, where)
        cluster.expect_sums(f"{name} runs the {build} build, {where}", [("earlier", "newer")[number % 2]])
        files_are_right(cluster, name.split("/")[0])


def files_are_right(cluster, site):
    wanted = cluster.sums["image"]
    for build in cluster.builds:
        found = cluster.nfs_of(build, site, "get", "/earlier.img", "/dev/null")
        if found["sha256"] != wanted:
            raise AssertionError(f"the file read over NFS at {site} by the {build} build's client: wanted {wanted}, found {found}")


def core_servers_get_the_newer_build(cluster):
    replace_one_by_one(cluster, "newer", cluster.names(), orderly_first=True)
    cluster.expect_sums("all core servers are newer")


def versions_are_told(cluster):
    status = cluster.ctl("status")
    told = {each["server"]: each["software"] for each in status["software"]}
    expect(set(told) == set(cluster.names()) and all(told.values()), f"shimactl status tells what each server runs: {told}")
    expect(status["formats_level"] == 1 and not status["refused"], "formats are of level 1, and nobody was refused")


def access_servers_get_the_newer_build(cluster):
    for server in cluster.servers("access"):
        cluster.replace(server["name"], "newer", orderly=True)
        wait_until(f"{server['name']} serves", lambda: cluster.run(
            server["site"], BIN / "shima-nfsclient", "--server", server["endpoint"], "--volume", "files", "stat", "/").code == DONE)
        files_are_right(cluster, server["site"])
    image = str(cluster.folder / "image.img")
    for build in cluster.builds:
        cluster.nfs_of(build, "site-b", "put", image, f"/by-{build}-client.img")
    found = {cluster.nfs_of("newer", site, "get", f"/by-{build}-client.img", "/dev/null")["sha256"]
             for build in cluster.builds for site in SITES}
    expect(found == {cluster.sums["image"]}, "files written through newer access servers are right at all sites")


def what_the_newer_build_wrote_the_earlier_one_reads(cluster):
    image = make_image(cluster.folder / "later.img", IMAGE_MIB, 16)
    cluster.ctl_of("newer", "volume", "create", "later", "--home", cluster.home)
    cluster.ctl_of("newer", "volume", "import", "later", image)
    cluster.sums["later"] = sha256_of(image)
    cluster.wait_caught_up("later")
    cluster.expect_sums("after a volume of the newer build")


def core_servers_go_back_to_the_earlier_build(cluster):
    replace_one_by_one(cluster, "earlier", list(reversed(cluster.names())), orderly_first=False)
    cluster.expect_sums("all core servers are earlier again, access servers are newer")


def nothing_that_was_acknowledged_is_missing(cluster):
    for writer in cluster.writers:
        writer.end()
    for build in cluster.builds:
        cluster.wait_caught_up(f"load-{build}")
        cluster.expect_all_acked(f"load-{build}", cluster.folder / f"{build}.acks", SITES)


if __name__ == "__main__":
    if not LONG:
        skip("two builds together: needs the programs of an earlier commit; hack/test --all (SHIMA_TEST_LONG=1) runs it")
    check_python()
    csi_controller_test.csi, csi_controller_test.csi_grpc = csi_node_test.csi, csi_node_test.csi_grpc = make_stubs()
    sys.exit(run_scenarios("skew", SkewedCluster, [
        the_earlier_build_serves, skew_csi.csi_begins_as_the_earlier_build, core_servers_get_the_newer_build, versions_are_told,
        skew_csi.csi_meets_newer_core_servers, access_servers_get_the_newer_build, what_the_newer_build_wrote_the_earlier_one_reads,
        core_servers_go_back_to_the_earlier_build, skew_csi.the_held_volume_was_never_away, nothing_that_was_acknowledged_is_missing],
        (*FILE_PROGRAMS, "shima-csi")))
