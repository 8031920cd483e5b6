// Cluster: core servers that are registered in a real etcd, and the store of its volumes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coreserver/cluster/records.h"
#include "coreserver/cluster/registration.h"
#include "coreserver/cluster/volume_store.h"
#include "tests/unit/common/etcd/etcd_fixture.h"

namespace shima {

constexpr uint32_t kPatientMs = 60'000;  // no machine stalls so long

// Its lease is one that ends only by hand.
inline RegistrationSpec server_spec(const std::string& name, const std::string& address = "10.0.0.1") {
  RegistrationSpec spec;
  spec.name = name;
  spec.site = name.substr(0, name.find('/'));
  spec.failure_domain = "host-of-" + name;
  spec.networks = {{address, 7000}, {address, 7000}, {address, 7001}, {address, 7002}};
  spec.disk_total_bytes = 1ull << 40;
  spec.lease_ttl_ms = kPatientMs;
  return spec;
}

class Cluster : public testing::Test {
 protected:
  explicit Cluster(EtcdOptions options = patient_etcd())
      : etcd_(std::move(EtcdClient::create({server_.endpoint()}, std::move(options)).value())) {}

  std::unique_ptr<Registration> enter(const RegistrationSpec& spec, Registration::OnEvent on_event = {}) {
    auto quiet = [](const RegistrationEvent&) {};
    auto r = Registration::start(*etcd_, spec, on_event ? on_event : quiet);
    EXPECT_TRUE(r) << r.status().to_string();
    return std::move(r.value());
  }
  void enter_three_sites() {
    for (const char* site : {"site-a", "site-b", "site-c"}) {
      for (const char* core : {"/core-0", "/core-1"})
        servers_.push_back(enter(server_spec(std::string(site) + core)));
    }
  }
  Result<VolumeInfo> create(const std::string& name) {
    VolumeSpec spec;
    spec.name = name;
    return store_.create_volume(spec);
  }

  EtcdServer server_;
  std::unique_ptr<EtcdClient> etcd_;
  VolumeStore store_{*etcd_, kPatientMs};
  std::vector<std::unique_ptr<Registration>> servers_;
};

// For tests that take etcd away: its watches notice it soon, and calls of `hasty_` give up soon.
class ClusterWithEtcdAway : public Cluster {
 protected:
  ClusterWithEtcdAway()
      : Cluster(brief(kPatientMs)), hasty_(EtcdClient::create({server_.endpoint()}, brief(2500)).value()) {}

  static EtcdOptions brief(uint32_t call_timeout_ms) {
    EtcdOptions o;
    o.call_timeout_ms = call_timeout_ms;
    o.attempt_timeout_ms = 800;
    o.connect_timeout_ms = 800;
    o.watch_silence_ms = 1200;
    return o;
  }

  std::unique_ptr<EtcdClient> hasty_;
};

}  // namespace shima
