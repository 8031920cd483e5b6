// Small made-up records for tests.
#pragma once

#include <string>

#include "coreserver/cluster/cluster_state.h"

namespace shima {

// Volume "db" on site-a (servers 1, 2), site-b (3) and site-c (4), two groups, all incarnations 1.
inline VolumeInfo sample_volume() {
  using replication::Role;
  VolumeInfo v;
  v.name = "db";
  v.id = VolumeId(11);
  v.home = "site-a";
  v.sites = {"site-a", "site-b", "site-c"};
  v.size_bytes = 1 << 30;
  v.config_version = ConfigVersion(4);
  v.mod_revision = EtcdRevision(3);
  for (uint32_t i = 0; i < 2; ++i) {
    GroupInfo g;
    g.index = GroupIndex(i);
    g.term = Term(1);
    g.members = {{ServerId(1 + i), Incarnation(1), Role::kPrimary, true, true, "site-a"},
                 {ServerId(2 - i), Incarnation(1), Role::kSecondary, true, true, "site-a"},
                 {ServerId(3), Incarnation(1), Role::kRemote, true, true, "site-b"},
                 {ServerId(4), Incarnation(1), Role::kRemote, true, true, "site-c"}};
    v.groups.push_back(g);
  }
  return v;
}

inline PublicationInfo sample_publication(const std::string& node, bool read_only = false) {
  return {node, 0, "site-b", read_only, {"10.1.0.5", "fd00::5"}, 1'700'000'000'000};
}

inline ServerInfo sample_server(uint64_t id, const std::string& name) {
  ServerInfo s;
  s.id = ServerId(id);
  s.name = name;
  s.site = name.substr(0, name.find('/'));
  s.failure_domain = "host-" + std::to_string(id);
  s.incarnation = Incarnation(1);
  std::string address = "10.0.0." + std::to_string(id);
  s.networks = {{address, 7000}, {address, 7000}, {"fd00::1", 7001}, {address, 7002}};
  s.disk_total_bytes = 100ull << 30;
  s.alive = true;
  return s;
}

inline ClusterState sample_state() {
  ClusterState state;
  uint64_t id = 0;
  for (const char* site : {"site-a", "site-b", "site-c"}) {
    state.sites[site] = SiteInfo{site, {}, {}, EtcdRevision(1)};
    for (int n = 0; n < 2; ++n) {
      ServerInfo s = sample_server(++id, std::string(site) + "/core-" + std::to_string(n));
      state.servers[s.id] = s;
    }
  }
  return state;
}

}  // namespace shima
