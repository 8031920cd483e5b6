// What the core servers say of themselves, as far as the operator decides by it (ClusterService.GetStatus).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shima {

struct UnhealthyVolume {
  std::string name;
  std::vector<std::string> reasons;  // for people
};

struct HealthView {
  bool answered = false;        // some core server did, lately; otherwise only `error` counts
  std::string error;            // for people: why none did
  bool etcd_reachable = false;  // the server that answered is connected to etcd
  uint32_t volumes = 0;
  std::vector<std::string> servers_away;   // SITE/core-N, registered but without a lease
  std::vector<UnhealthyVolume> unhealthy;  // volumes whose members are not all alive and whole
};

}  // namespace shima
