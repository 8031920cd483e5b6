"""The cluster of hack/quickstart: hack/devcluster and shimactl, with all that they say in the log."""

import json
import os
import shlex
import subprocess
import threading
import time

from quickstart_lib import QuickstartError

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEVCLUSTER = os.path.join(REPOSITORY, "hack", "devcluster")
BENCH = os.path.join(REPOSITORY, "hack", "bench")
UNREACHABLE, EXISTS, UNKNOWN = 3, 5, 8  # exit codes of shimactl
TRIES = 5  # of a server that stands still, as on a busy machine
PROGRAMS = os.path.join(REPOSITORY, "build", os.environ.get("SHIMA_PRESET", "release"), "bin")


class Log:
    def __init__(self, path):
        self.path = path
        self.file = open(path, "a", encoding="utf-8", buffering=1)  # lives as long as the process
        self.lock = threading.Lock()

    def write(self, text):
        with self.lock:
            self.file.write(text if text.endswith("\n") else text + "\n")


def run(log, command, what, check=True, stderr_shown=False):
    """Runs a command, its output into the log; returns its standard output."""
    log.write(f"\n{time.strftime('%H:%M:%S')} $ {shlex.join(command)}")
    done = subprocess.run(command, text=True, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=None if stderr_shown else subprocess.PIPE)
    log.write(done.stdout + (done.stderr or ""))
    if check and done.returncode != 0:
        reason = [line for line in (done.stderr or done.stdout).strip().splitlines() if line]
        raise QuickstartError(f"{what}: {reason[-1] if reason else f'exit code {done.returncode}'}")
    return done


class Cluster:
    def __init__(self, directory, log):
        self.directory = directory
        self.log = log

    def devcluster(self, *arguments, what, check=True):
        return run(self.log, [DEVCLUSTER, "--dir", self.directory, *arguments], what, check).stdout

    def in_site(self, site, *command):
        return [DEVCLUSTER, "--dir", self.directory, "exec", site, "--", *command]

    def shimactl(self, site, *arguments, what, endpoints=None):
        chosen = ["--endpoints", endpoints] if endpoints else []
        command = self.in_site(site, os.path.join(PROGRAMS, "shimactl"), *chosen, *arguments)
        unknown = False
        for tries_left in reversed(range(TRIES)):
            done = run(self.log, command, what, check=not tries_left)
            if done.returncode not in (UNREACHABLE, UNKNOWN):
                break
            unknown = unknown or done.returncode == UNKNOWN
        if done.returncode and not (unknown and done.returncode == EXISTS):
            return run(self.log, command, what).stdout  # tells what is wrong
        return done.stdout

    def shimactl_json(self, site, *arguments, what, endpoints=None):
        return json.loads(self.shimactl(site, "-o", "json", *arguments, what=what, endpoints=endpoints))

    def own_endpoints(self, site):
        return ",".join(self.devcluster("addr", site, "--control", what=f"the addresses of {site}").split())

    def nfs_server(self, site):
        return self.devcluster("addr", site, what=f"the access server of {site}").strip()

    def status(self):
        return json.loads(self.devcluster("status", "-o", "json", what="hack/devcluster status"))

    def nfs(self, site, volume, *arguments, what, shown=None):
        """shima-nfsclient at a site's own access server; `shown` gets its lines of progress. Returns its JSON."""
        command = self.in_site(site, os.path.join(PROGRAMS, "shima-nfsclient"), "--server", self.nfs_server(site), "--volume", volume,
                               *arguments, *(["--progress"] if shown else []))
        self.log.write(f"\n{time.strftime('%H:%M:%S')} $ {shlex.join(command)}")
        with subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            last = ""
            for line in process.stderr:
                last = line.strip()
                self.log.write(line)
                if shown:
                    shown(last)
            text = process.stdout.read()
        self.log.write(text)
        if process.returncode != 0:
            raise QuickstartError(f"{what}: {last or f'exit code {process.returncode}'}")
        return json.loads(text) if text.strip() else None


class ReplicationWatch:
    """`shimactl replication show --watch` in the background; samples are (seconds since start, report)."""

    def __init__(self, cluster, site, volume, interval="250ms"):
        command = cluster.in_site(site, os.path.join(PROGRAMS, "shimactl"), "-o", "json", "replication", "show", volume,
                                  "--watch", interval)
        cluster.log.write(f"\n{time.strftime('%H:%M:%S')} $ {shlex.join(command)}   (until lag 0)")
        self.begin = time.monotonic()
        self.samples = []
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            try:
                self.samples.append((time.monotonic() - self.begin, json.loads(line)))
            except ValueError:
                continue  # a line that was cut when the process ended

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join(timeout=5)


def lag_of(report):
    """Bytes that each remote site lacks; None where the primary did not say."""
    return {row["site"]: row["lag_bytes"] for row in report["sites"] if row["role"] == "remote"}


def second_copy_bytes(report):
    return sum(row["journal_bytes"] for row in report["sites"] if row["role"] == "secondary")


def wait_for_no_lag(cluster, site, volume, timeout_s=120):
    """Waits until every remote has everything."""
    deadline = time.monotonic() + timeout_s
    while True:
        report = cluster.shimactl_json(site, "replication", "show", volume, what=f"replication of {volume}")
        lag = lag_of(report)
        if lag and all(value == 0 for value in lag.values()):
            return report
        if time.monotonic() > deadline:
            raise QuickstartError(f"after {timeout_s} s not every site has all of volume {volume}: lag in bytes {lag}; "
                                  "look with: shimactl replication show")
        time.sleep(0.3)
