#!/usr/bin/env python3
"""Debian's real kernel NFS client, in a virtual machine, on a volume of ours: mount, the rules of a file system one by one, and
long runs of reads, writes and renames while servers are killed: an access server and a core server that come back, then the
access server that has the site's shared address, which another one takes over.
"""

import contextlib
import queue
import subprocess
import sys
import threading
import time

from cluster import Cluster, FILE_PROGRAMS, LONG, ROOT, SKIPPED, expect, run_scenarios, say, skip, wait_until

VOLUME = "disk"
GUEST = ROOT / "hack/guest"
ENDURE_S = 120 if LONG else 24
ROUNDS = 4 if LONG else 1  # of kills
SILENCE_S = 420  # more than a rule may take: the guest is some 20 times slower than the machine, which may be busy


class Guest:
    """A virtual machine in a site that runs shima-guest-check on a mount of `server`; its lines as they come."""

    def __init__(self, cluster, site, *check, server=None, timeout_s=1200):
        self.console = cluster.folder / f"console-{time.monotonic_ns()}"
        server = server or cluster.nfs_servers(site)[0]
        self.process = cluster.popen(site, GUEST, "nfs", "--console", self.console, "--timeout-s", timeout_s, server, f"/{VOLUME}",
                                     *check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines, self.heard, self.seen = queue.Queue(), [], []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())
            self.heard.append(line)
        self.lines.put(None)

    def next_line(self, timeout_s=SILENCE_S):
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"the guest said nothing for {timeout_s} s; its last words: {self.seen[-5:]}") from None
        if line is not None:
            self.seen.append(line)
        return line

    def wait_for(self, text):
        while (line := self.next_line()) is not None:
            if text in line:
                return line
        raise AssertionError(f"the guest ended without saying '{text}': {self.seen}")

    def wait_for_end(self):
        while self.next_line() is not None:
            pass
        return self.process.wait(120)

    def endures(self):
        """From now on; it says each second how long."""
        count = len(self.heard)

        def said():
            return next((line for line in self.heard[count:] if " s left" in line or "answers were lost" in line), None)
        return " s left" in wait_until("the guest to say whether it has ended", said, SILENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()  # hack/guest ends its QEMU with itself
            self.process.wait()


def every_rule_holds(cluster):
    with Guest(cluster, "site-a") as guest:
        code = guest.wait_for_end()
    for line in guest.seen:
        if not line.startswith("ok "):
            say(f"  guest: {line}")
    held = [line for line in guest.seen if line.startswith("ok ")]
    failed = [line for line in guest.seen if line.startswith("FAIL")]
    expect(code == 0 and not failed and len(held) >= 50,
           f"Linux's NFS client finds that {len(held)} rules hold, {len(failed)} do not (exit code {code})")


def kill_and_start(cluster, name, away_s):
    cluster.kill(name)
    time.sleep(away_s)
    cluster.start(name)
    say(f"  {name} was killed and started {away_s} s later")


def servers_die_and_the_guest_goes_on(cluster):
    access = cluster.servers("access", "site-a")[0]["name"]

    def killing():
        for victim in (access, cluster.names("site-a")[0], access) * ROUNDS:
            time.sleep(3)
            kill_and_start(cluster, victim, 1)
        return []
    endure(cluster, killing, kills=2 * ROUNDS)


def endure(cluster, killing, kills, server=None):
    """A guest that works before, during and after killing(), which returns the servers that are to be started afterwards."""
    for seconds in (ENDURE_S, 3 * ENDURE_S, 9 * ENDURE_S):
        with Guest(cluster, "site-a", "endure", str(seconds), server=server, timeout_s=seconds + 600) as guest:
            guest.wait_for("endure: under way")
            away = killing()
            long_enough = guest.endures()
            expect_endured(guest, kills)
        for name in away:
            cluster.start(name)
        if long_enough:
            return
        say(f"  {seconds} s were over before the last kill")
    raise AssertionError("the guest's work is always over before the last kill")


def print_words(guest):
    for seen in guest.seen:
        say(f"  guest: {seen}")


def expect_endured(guest, kills):
    """All went on and was verified, and no more answers were lost than one a kill."""
    line = guest.wait_for("answers were lost")
    code = guest.wait_for_end()
    print_words(guest)
    lost = int(line.split("; ")[1].split()[0])
    expect(code == 0 and "all verified" in line, "no call of the guest failed, and all that it wrote is there")
    expect(lost <= kills, f"{lost} requests were done whose answers died with an access server ({kills} were killed)")


def holder_of(cluster, address):
    """The access server of site-a that listens on the address."""
    listening = cluster.run("site-a", "ss", "-Hltnp", "src", address).out
    for server in cluster.servers("access", "site-a"):
        with contextlib.suppress(FileNotFoundError):  # it was killed
            if f"pid={cluster.pid(server['name'])}," in listening:
                return server["name"]
    return None


def another_server_takes_the_shared_address(cluster):
    server = cluster.devcluster("addr", "site-a").out.strip()
    address = server.rpartition(":")[0]
    expect(server not in cluster.nfs_servers("site-a"), f"{server} is no server's own address")
    wait_until("a holder of the shared address", lambda: holder_of(cluster, address))

    def killing():
        time.sleep(3)
        first = wait_until("a holder of it still", lambda: holder_of(cluster, address), interval_s=0.1)
        cluster.kill(first)
        begin = time.monotonic()
        second = wait_until("another holder", lambda: (holder := holder_of(cluster, address)) != first and holder, interval_s=0.1)
        say(f"  {first} was killed and stays dead; {second} had its address {time.monotonic() - begin:.1f} s later")
        return [first]
    endure(cluster, killing, kills=1, server=server)


def another_site_sees_it(cluster):
    with Guest(cluster, "site-b", "only", "one client") as guest:
        code = guest.wait_for_end()
    expect(code == 0, "the same volume, mounted at site-b's access server, works")


def cluster_with_access_servers():
    """Skips the test where there is no QEMU or kernel to be had; what has to be fetched is fetched before the cluster is up."""
    built = subprocess.run([GUEST, "build"], capture_output=True, text=True, check=False)
    if built.returncode == SKIPPED:
        skip(built.stderr.strip().splitlines()[-1])
    if built.returncode != 0:
        raise AssertionError(built.stderr)
    return Cluster("--sites", "site-a,site-b", "--core", "2", access="2")


def the_volume_is_made(cluster):
    cluster.create(VOLUME, "--size", "8GiB")


if __name__ == "__main__":
    sys.exit(run_scenarios("guest nfs", cluster_with_access_servers, [
        the_volume_is_made, every_rule_holds, servers_die_and_the_guest_goes_on, another_server_takes_the_shared_address,
        another_site_sees_it],
        programs=FILE_PROGRAMS))
