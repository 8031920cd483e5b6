"""Files: a volume through NFS and through FUSE, beside nfs-ganesha (VFS back end) and plain system calls on a local folder.

Targets are measured in turn, case by case and round by round, forwards and backwards, so that a drift of the machine's speed
hits all. Medians of the rounds; a ratio is the median of the ratios within each round. What the targets promise differs:

  shima-nfs, shima-fuse  each ACKed write and each creation is on two servers, synced at both
  ganesha-nfs            one copy on one disk; FILE_SYNC writes are synced, creations are not
  local                  one copy on one disk (ext4 or what the folder is on); writes are O_SYNC, each creation is synced

NFS is loaded by raw calls over one connection (no client cache), writes FILE_SYNC; FUSE and the local folder by threads, O_DIRECT.
Cases: {write,read}-SIZE-dDEPTH, create-dDEPTH, stat-dDEPTH, list-dDEPTH (READDIRPLUS, or readdir and stat, of 1,000 files).
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from . import cluster, fail
from .ganesha import MOUNT_PORT, NFS_PORT, Ganesha

CASES = ("write-4k-d1", "write-4k-d16", "read-4k-d1", "read-4k-d16", "write-1m-d8", "read-1m-d8", "create-d1", "create-d8", "stat-d8",
         "list-d1")
TARGETS = ("shima-nfs", "ganesha-nfs", "shima-fuse", "local")
RATIOS = (("shima-nfs", "ganesha-nfs"), ("shima-fuse", "local"), ("shima-nfs", "shima-fuse"))
FIGURES = ("ops_s", "mb_s", "p50_us", "p99_us")
OWN_DIR = "/tmp/shima-bench-files"
UP = ("--sites", "site-a", "--core", "2", "--access", "1")
VOLUMES = {"shima-nfs": "bench-nfs", "shima-fuse": "bench-fuse"}


def add_arguments(parser):
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help=f"may be repeated (default: {', '.join(CASES)})")
    parser.add_argument("--without", action="append", default=[], choices=TARGETS, metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--rounds", type=int, default=5, help="of each case and target (default: 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default: 2)")
    parser.add_argument("--span-mib", type=int, default=64, help="size of the file that is read and written (default: 64)")
    parser.add_argument("--dir", metavar="DIR", help=f"a devcluster's directory; one site is started if it is not running (default: "
                                                     f"{OWN_DIR}, ended again)")
    parser.add_argument("--sites", help="sites of a cluster that is started here (default: site-a): more share this machine's disk")


class Bench:
    """The cluster, its mount, ganesha and the local folder; `commands[target]` loads each."""

    def __init__(self, arguments, ended):
        self.arguments, self.directory = arguments, arguments.dir or OWN_DIR
        self.targets = [target for target in TARGETS if target not in arguments.without]
        up = [arguments.sites if word == "site-a" and arguments.sites else word for word in UP]
        self.status, started = cluster.ensure_cluster(self.directory, up_options=up)
        if started and not arguments.dir:
            ended.callback(cluster.devcluster, self.directory, "down", "--purge", stdout=sys.stderr)
        self.site = self.status["sites"][0]["name"]
        self.folder = tempfile.mkdtemp(prefix="files-", dir=self.directory)  # on the disk that the servers' data is on
        ended.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.commands = {target: self.command_for(target, ended) for target in self.targets}

    def command_for(self, target, ended):
        if target in VOLUMES:
            self.ensure_volume(VOLUMES[target])
        if target == "shima-nfs":
            access = next((s for s in self.status["servers"] if s["role"] == "access" and s["site"] == self.site), None)
            if access is None:
                fail(f"the cluster in {self.directory} has no access server in {self.site}; make one with up --access 1")
            where = ["nfs", "--host", access["address"], "--port", access["ports"]["nfs"], "--mount-port", access["ports"]["nfs"],
                     "--export", "/" + VOLUMES[target]]
            return [*where, *self.processes({"access": access["pid"], **self.core_pids()})]
        if target == "ganesha-nfs":
            folder = os.path.join(self.folder, "ganesha")
            os.mkdir(folder)
            server = ended.enter_context(Ganesha(folder, self.in_site))
            where = ["nfs", "--host", "127.0.0.1", "--port", NFS_PORT, "--mount-port", MOUNT_PORT, "--export", "/bench"]
            return [*where, *self.processes({"ganesha": server.pid})]
        folder = os.path.join(self.folder, target)
        os.mkdir(folder)
        pids = self.mount(folder, ended) if target == "shima-fuse" else {}
        return ["local", "--directory", folder, *self.processes(pids)]

    def ensure_volume(self, name):
        self.arguments.volume, self.arguments.size, self.arguments.ack = name, "8GiB", "local"
        cluster.ensure_volume(self.directory, self.site, self.arguments)

    def mount(self, folder, ended):
        mounted = cluster.devcluster(self.directory, "mount", self.site, VOLUMES["shima-fuse"], folder, stdout=sys.stderr)
        if mounted.returncode != 0:
            fail("the FUSE mount failed; see above, or leave it out with --without shima-fuse")
        ended.callback(cluster.devcluster, self.directory, "umount", folder, stdout=sys.stderr)
        servers = cluster.status_of(self.directory)["servers"]
        return {"mount": next(s["pid"] for s in servers if s.get("path") == folder), **self.core_pids()}

    def core_pids(self):
        return {s["name"]: s["pid"] for s in self.status["servers"] if s["role"] == "core" and s["site"] == self.site}

    @staticmethod
    def processes(pids):
        return [word for name, pid in pids.items() for word in ("--process", f"{name}={pid}")]

    def in_site(self, command):
        """The same command in the network of the first site, where the access server is."""
        namespace = self.status["sites"][0]["namespace"]
        return [*(["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []), *command]

    def measure(self, target, case):
        options = ["--case", case, "--target", target, "--seconds", self.arguments.seconds, "--span-mib", self.arguments.span_mib]
        command = self.in_site([cluster.program("shima-bench-files"), *self.commands[target], *options])
        run = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            fail(f"{case} at {target} failed; see above")
        return json.loads(run.stdout.splitlines()[-1])

    def run_case(self, case):
        """One line: medians of each target, and ratios within rounds."""
        runs = {target: [] for target in self.targets}
        for number in range(self.arguments.rounds):
            for target in self.targets if number % 2 == 0 else reversed(self.targets):
                runs[target].append(self.measure(target, case))
                print(f"hack/bench: {case}, round {number + 1} of {self.arguments.rounds}, {target}: {runs[target][-1]['ops_s']:.0f}/s, "
                      f"p50 {runs[target][-1]['p50_us']} us", file=sys.stderr)
        result = {"case": case, "rounds": self.arguments.rounds, "seconds": self.arguments.seconds, "targets": {}, "ratios": {}}
        for target, lines in runs.items():
            figures = {key: statistics.median(line[key] for line in lines) for key in FIGURES if key in lines[0]}
            figures["cpu_us_per_op"] = {name: statistics.median(line["cpu_us_per_op"].get(name, 0) for line in lines)
                                        for name in lines[0]["cpu_us_per_op"]}
            result["targets"][target] = figures
        for ours, other in RATIOS:
            if ours in runs and other in runs:
                within = [mine["ops_s"] / its["ops_s"] for mine, its in zip(runs[ours], runs[other]) if its["ops_s"] > 0]
                result["ratios"][f"{ours}/{other}"] = round(statistics.median(within), 3) if within else None
        return result


def print_table(results, targets, out):
    names = [name for ours, other in RATIOS if (name := f"{ours}/{other}") in results[0]["ratios"]]
    rows = [["case", *(f"{target}/s (p50 us)" for target in targets), *names]]
    for result in results:
        figures = [result["targets"][target] for target in targets]
        rows.append([result["case"], *(f"{f['ops_s']:,.0f} ({f['p50_us']:,.0f})" for f in figures),
                     *(f"{result['ratios'][name]}" for name in names)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in
                        enumerate(zip(row, widths))), file=out)
    print("Operations/s, medians. shima: two synced copies; ganesha: one, and creations are not synced; local: one, all synced.",
          file=out)


def bench_files(arguments):
    with contextlib.ExitStack() as ended:
        bench = Bench(arguments, ended)
        results = []
        for case in arguments.case or CASES:
            results.append(bench.run_case(case))
            print(json.dumps(results[-1]), flush=True)
        print_table(results, bench.targets, sys.stderr)
    return 0
