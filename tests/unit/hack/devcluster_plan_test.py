"""The plan of a devcluster: names, addresses, etcd members and configuration files, without starting anything."""

import collections
import itertools
import pathlib
import sys
import types
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "hack"))

from devcluster_lib import ClusterError, lifecycle, mounts, plan, wan  # noqa: E402  (needs the path above)


def make(sites, cores, loopback=False, access=None):
    ports = itertools.count(20000)
    return plan.make_plan("/tmp/x", sites, cores, access or [0] * len(sites), 1, loopback, lambda: next(ports))


class Topology(unittest.TestCase):
    def test_one_count_stands_for_every_site(self):
        self.assertEqual(plan.parse_counts("2", ["a", "b", "c"]), [2, 2, 2])
        self.assertEqual(plan.parse_counts("4,8,4", ["a", "b", "c"]), [4, 8, 4])

    def test_wrong_counts_and_names_are_refused(self):
        for text in ("4,8", "x", "-1", "", "999"):
            with self.assertRaises(ClusterError, msg=text):
                plan.parse_counts(text, ["a", "b", "c"])
        for text in ("a,a", "A", "a,,b", "witness", "-a", "a b", "x" * 41):
            with self.assertRaises(ClusterError, msg=text):
                plan.parse_sites(text)

    def test_etcd_always_has_an_odd_number_of_members(self):
        expected = {1: 1, 2: 3, 3: 3, 4: 3, 5: 5, 6: 5}
        for count, members in expected.items():
            self.assertEqual(len(plan.etcd_places([f"s{i}" for i in range(count)])), members)

    def test_two_sites_get_a_witness_without_core_servers(self):
        state = make(["e", "f"], [1, 2])
        self.assertEqual([server["name"] for server in state["servers"]],
                         ["e/etcd", "e/core-0", "f/etcd", "f/core-0", "f/core-1", "witness/etcd"])

    def test_each_server_has_an_address_of_its_own_in_its_sites_subnet(self):
        state = make(["a", "b"], [3, 3], access=[2, 2])
        addresses = [server["address"] for server in state["servers"]]
        self.assertEqual(len(set(addresses)), len(addresses))
        for server in state["servers"]:
            prefix = plan.find_site(state, server["site"])["cidr"].removesuffix(".0/24")
            self.assertTrue(server["address"].startswith(prefix + "."))

    def test_on_loopback_servers_differ_by_port(self):
        state = make(["a", "b", "c"], [2, 2, 2], loopback=True, access=[1, 1, 1])
        ports = [port for server in state["servers"] for port in server["ports"].values()]
        self.assertEqual(len(set(ports)), len(ports))
        self.assertEqual({server["address"] for server in state["servers"]}, {"127.0.0.1"})

    def test_a_site_may_have_access_servers_and_no_core_server(self):
        state = make(["a", "b"], [2, 0], access=[0, 1])
        self.assertEqual([server["name"] for server in state["servers"] if server["role"] != "etcd"],
                         ["a/core-0", "a/core-1", "b/access-0"])
        self.assertEqual([plan.nfs_endpoints(state, site) for site in "ab"][0], [])
        self.assertTrue(plan.nfs_endpoints(state, "b")[0].endswith(".2.201:2049"))

    def test_mounts_get_the_first_free_number(self):
        state = make(["a"], [1])
        for expected in ("a/mount-0", "a/mount-1"):
            server = plan.new_mount(state, "a", "vm1", "/mnt/x", ["--read_only"])
            self.assertEqual((server["name"], server["role"], server["volume"]), (expected, "mount", "vm1"))
            state["servers"].append(server)
        del state["servers"][-2]
        self.assertEqual(plan.new_mount(state, "a", "vm1", "/mnt/y", [])["name"], "a/mount-0")

    def test_an_unknown_site_is_answered_with_those_that_there_are(self):
        with self.assertRaisesRegex(ClusterError, "no site 'x'.*a, b"):
            plan.find_site(make(["a", "b", "c"], [1, 1, 1]), "x")


class Shape(unittest.TestCase):
    def options(self, **given):
        return types.SimpleNamespace(**{"dir": "/tmp/x", "sites": None, "core": None, "access": None, "disks": None, "loopback": True, **given})

    def roles(self, **given):
        return collections.Counter(server["role"] for server in lifecycle.make_state(self.options(**given))["servers"])

    def test_each_site_gets_two_core_servers_and_an_access_server(self):
        self.assertEqual(self.roles(), {"etcd": 3, "core": 6, "access": 3})

    def test_a_cluster_of_etcd_alone_gets_no_access_servers(self):
        self.assertEqual(self.roles(core="0"), {"etcd": 3})

    def test_access_servers_without_any_core_server_are_refused(self):
        with self.assertRaisesRegex(ClusterError, "need core servers"):
            self.roles(core="0", access="1")

    def test_the_shape_of_a_cluster_is_kept(self):
        state = lifecycle.make_state(self.options(core="2,2,0", access="1,1,2"))
        lifecycle.check_same_topology(state, self.options())
        lifecycle.check_same_topology(state, self.options(core="2,2,0", access="1,1,2"))
        with self.assertRaisesRegex(ClusterError, "--core 2,2,0 --access 1,1,2"):
            lifecycle.check_same_topology(state, self.options(access="1"))

    def test_a_cluster_that_was_made_before_there_were_access_servers_has_none(self):
        state = lifecycle.make_state(self.options(access="0"))
        del state["topology"]["access"]
        lifecycle.check_same_topology(state, self.options())


class ServerConfiguration(unittest.TestCase):
    def test_own_sites_etcd_member_comes_first(self):
        state = make(["a", "b", "c"], [1, 1, 1])
        self.assertEqual(plan.etcd_endpoints(state, "b")[0], plan.find_site(state, "b")["cidr"].replace(".0/24", ".10:2379"))
        self.assertEqual(len(plan.etcd_endpoints(state, "b")), 3)

    def test_the_file_has_identity_networks_and_disks(self):
        state = make(["a", "b", "c"], [2, 1, 1])
        server = next(server for server in state["servers"] if server["name"] == "a/core-1")
        text = plan.core_server_config(state, server, "/tmp/x/a/core-1")
        for line in ("name: a/core-1", "site: a", "failure_domain: a-host-1", "control_port: 7000",
                     "  - {path: /tmp/x/a/core-1/disk-0}", f"  wan: {{address: {server['address']}, port: 7003}}"):
            self.assertIn(line + "\n", text)

    def test_own_sites_control_endpoints_come_first(self):
        state = make(["a", "b", "c"], [2, 2, 2])
        own = [server["address"] for server in state["servers"] if server["site"] == "c" and server["role"] == "core"]
        self.assertEqual([text.split(":")[0] for text in plan.control_endpoints(state, "c")[:2]], own)


    def test_access_servers_of_a_site_share_one_address_that_no_server_has(self):
        state = make(["a", "b"], [1, 1], access=[2, 0])
        texts = [plan.access_server_config(state, server) for server in state["servers"] if server["role"] == "access"]
        shared = plan.shared_address(state, "a")
        self.assertTrue(shared.endswith(".1.200"))
        self.assertEqual([f"shared_address: {shared}/32@lo" in text and "etcd:" in text for text in texts], [True, True])
        self.assertNotIn(shared, [server["address"] for server in state["servers"]])

    def test_an_access_server_asks_its_own_site_first_and_is_served_at_its_address(self):
        state = make(["a", "b"], [1, 1], access=[1, 1])
        server = next(server for server in state["servers"] if server["name"] == "b/access-0")
        text = plan.access_server_config(state, server)
        own = next(server["address"] for server in state["servers"] if server["name"] == "b/core-0")
        self.assertIn("name: b/access-0\n", text)
        self.assertIn(f"  endpoints: [{own}:7000, ", text)
        self.assertIn(f"nfs: {{address: {server['address']}, port: 2049", text)
        mount = plan.access_server_config(state, plan.new_mount(state, "b", "vm1", "/mnt/x", []))
        self.assertNotIn("nfs:", mount)


class MountTable(unittest.TestCase):
    def test_it_has_the_root_and_not_what_is_no_mount(self):
        self.assertTrue(mounts.is_mounted("/"))
        self.assertFalse(mounts.is_mounted("/no/such/mount"))
        mounts.clear("/no/such/mount")


class WideAreaNetwork(unittest.TestCase):
    def test_the_queue_holds_one_bandwidth_delay_product(self):
        self.assertGreaterEqual(wan.queue_kib({"rate_mbit": 1000, "rtt_ms": 200}) * 1024, 25e6 * 0.99)
        self.assertEqual(wan.queue_kib({"rate_mbit": 1000, "rtt_ms": 0}), wan.MIN_QUEUE_KIB)

    def test_settings_are_numbers_in_range(self):
        self.assertEqual(wan.parse_settings(["rtt=200", "rate=100", "loss=0.5"]),
                         {"rtt_ms": 200, "rate_mbit": 100, "loss_pct": 0.5})
        for word in ("rtt=x", "rtt", "speed=1", "loss=101", "rate=-1", "rtt=nan"):
            with self.assertRaises(ClusterError, msg=word):
                wan.parse_settings([word])

    def test_a_site_is_cut_from_all_others_and_a_pair_from_each_other(self):
        state = make(["a", "b", "c"], [1, 1, 1])
        self.assertEqual(wan.pairs_of(state, "b"), [["a", "b"], ["b", "c"]])
        self.assertEqual(wan.pairs_of(state, "c,a"), [["a", "c"]])
        self.assertEqual(len(wan.pairs_of(state, "all")), 3)
        for target in ("x", "a,b,c", "a,a", ""):
            with self.assertRaises(ClusterError, msg=target):
                wan.pairs_of(state, target)


if __name__ == "__main__":
    unittest.main()
