#!/usr/bin/env python3
"""hack/devcluster with its WAN: delay, rate, cuts, and ending exactly what was started.

Uses etcd alone (--core 0), so it says nothing of core servers. Needs root and build/release/bin/shima-wanem.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEVCLUSTER = str(ROOT / "hack/devcluster")
SKIPPED = 77
TRIES = 5  # of what takes longer while others have the processors

CONNECT = """
import socket, sys, time
times = []
for _ in range(10):
    begin = time.monotonic()
    socket.create_connection((sys.argv[1], 2379), timeout=float(sys.argv[2])).close()
    times.append((time.monotonic() - begin) * 1e3)
print(min(times))
"""
RECEIVE = """
import socket, sys, time
listener = socket.create_server((sys.argv[1], 5555))
print("listening", flush=True)
connection, _ = listener.accept()
begin, count, buffer = time.monotonic(), 0, bytearray(1 << 20)
while time.monotonic() - begin < float(sys.argv[2]):
    received = connection.recv_into(buffer)
    if not received: break
    if time.monotonic() - begin > float(sys.argv[2]) / 2: count += received
print(count * 8 / 1e6 / (float(sys.argv[2]) / 2))
"""
SEND = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 5555))
try:
    while True: connection.sendall(bytes(1 << 20))
except OSError: pass
"""


def runs(pid):
    """Whether the process has not ended; one that nobody has waited for yet has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def run(*arguments, check=True):
    result = subprocess.run([DEVCLUSTER, *arguments], capture_output=True, text=True, timeout=400)
    if check and result.returncode != 0:
        raise AssertionError(f"devcluster {arguments}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result


class Devcluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="shima-devcluster-test-")
        cls.option = ("--dir", os.path.join(cls.folder.name, "cluster"))
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(lambda: run("down", "--purge", *cls.option))
        run("up", "--core", "0", *cls.option)

    def status(self):
        return json.loads(run("status", "-o", "json", *self.option).stdout)

    def server(self, name):
        return next(server for server in self.status()["servers"] if server["name"] == name)

    def in_site(self, site, *command, **kwargs):
        return subprocess.run([DEVCLUSTER, "exec", *self.option, site, "--", *command], capture_output=True, text=True,
                              timeout=300, **kwargs)

    def connect_ms(self, site, target, timeout_s=25):
        """None: no connection."""
        result = self.in_site(site, "python3", "-c", CONNECT, self.server(f"{target}/etcd")["address"], str(timeout_s))
        return float(result.stdout) if result.returncode == 0 else None

    def least_connect_ms(self, site, target, wanted_below):
        """Of several looks, until one is below."""
        found = []
        while len(found) < TRIES and not any(ms < wanted_below for ms in found):
            found.append(self.connect_ms(site, target))
        return min(found)

    def test_a_round_trip_takes_18_ms_between_sites_and_nothing_inside(self):
        run("wan", "rtt=18", *self.option)
        self.assertLess(self.least_connect_ms("site-a", "site-a", 5), 5)
        self.assertGreaterEqual(self.connect_ms("site-a", "site-b"), 18)
        self.assertLess(self.least_connect_ms("site-a", "site-b", 30), 30)

    def test_the_wan_can_be_changed_while_it_runs(self):
        run("wan", "rtt=100", *self.option)
        self.assertGreaterEqual(self.connect_ms("site-b", "site-c"), 100)
        run("wan", "rtt=18", *self.option)
        self.assertLess(self.least_connect_ms("site-b", "site-c", 40), 40)

    def mbit_s(self, sender, receiver):
        """What one connection carries, in the second half of 6 s."""
        address = self.server(f"{receiver}/etcd")["address"]
        listener = subprocess.Popen([DEVCLUSTER, "exec", *self.option, receiver, "--", "python3", "-c", RECEIVE, address, "6"],
                                    stdout=subprocess.PIPE, text=True)
        listener.stdout.readline()
        self.in_site(sender, "python3", "-c", SEND, address)
        return float(listener.communicate(timeout=300)[0])

    def test_one_connection_fills_the_link_and_no_more(self):
        run("wan", "rtt=18", "rate=200", *self.option)
        found = []
        while len(found) < TRIES and not any(140 < mbit_s < 210 for mbit_s in found):
            found.append(self.mbit_s("site-a", "site-b"))
        run("wan", "rate=1000", *self.option)
        self.assertTrue(140 < found[-1] < 210, f"Mbit/s: {found}")

    def test_a_cut_site_reaches_nobody_until_it_is_healed(self):
        run("cut", "site-a", *self.option)
        self.assertIsNone(self.connect_ms("site-a", "site-b", timeout_s=5))
        self.assertIsNotNone(self.connect_ms("site-b", "site-c"))
        self.assertEqual(self.status()["sites"][0]["cut_from"], ["site-b", "site-c"])
        run("heal", "site-a", *self.option)
        self.assertIsNotNone(self.connect_ms("site-a", "site-b"))

    def test_a_killed_server_is_seen_and_starts_again(self):
        old_pid = self.server("site-b/etcd")["pid"]
        run("kill", "site-b/etcd", *self.option)
        self.assertEqual(self.server("site-b/etcd")["state"], "killed")
        self.assertFalse(runs(old_pid))
        run("start", "site-b/etcd", *self.option)
        self.assertEqual(self.server("site-b/etcd")["state"], "running")
        self.assertNotEqual(self.server("site-b/etcd")["pid"], old_pid)

    def test_up_again_changes_nothing_that_runs(self):
        before = [server["pid"] for server in self.status()["servers"]]
        run("up", *self.option)
        self.assertEqual([server["pid"] for server in self.status()["servers"]], before)

    def test_exec_passes_the_exit_code_and_unknown_names_are_explained(self):
        self.assertEqual(self.in_site("site-c", "sh", "-c", "exit 7").returncode, 7)
        result = run("kill", "site-x/core-0", *self.option, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("site-a/etcd", result.stderr)

    def test_down_leaves_nothing_behind(self):
        option = ("--dir", os.path.join(self.folder.name, "other"))
        run("up", "--core", "0", "--sites", "e,f", *option)
        status = json.loads(run("status", "-o", "json", *option).stdout)
        pids = [server["pid"] for server in status["servers"]] + [status["wan"]["pid"]]
        run("down", "--purge", *option)
        self.assertEqual([pid for pid in pids if runs(pid)], [])
        namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        self.assertEqual([site for site in status["sites"] if site["namespace"] in namespaces], [])
        self.assertFalse(os.path.exists(option[1]))


if __name__ == "__main__":
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("network namespaces with a TUN device need root and /dev/net/tun")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
