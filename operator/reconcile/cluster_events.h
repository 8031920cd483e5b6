// PURE: what is told to people as Events (events.k8s.io/v1) of a ShimaCluster: few, and each once an hour.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/spec/shima_cluster_spec.h"

namespace shima {

struct ClusterEvent {
  bool warning = false;
  std::string reason;  // one CamelCase word
  std::string action;  // the same: what was done
  std::string note;    // for people; cut to what the API takes
};

// What of a status' conditions has become otherwise and is worth an event. `before` may be null.
std::vector<ClusterEvent> events_of_change(const nlohmann::json& before, const nlohmann::json& after);

struct EventSource {
  std::string instance;  // of the operator: its pod
  std::string time;      // micro_time()
};
nlohmann::json event_object(const ClusterIdentity& cluster, const ClusterEvent& event,
                            const EventSource& source);

class EventLedger {
 public:
  static constexpr uint64_t kRepeatMs = 3'600'000;
  static constexpr size_t kMaxInTime = 60;  // in kRepeatMs

  // Whether to write this one now.
  bool allow(const ClusterEvent& event, uint64_t now_ms);

 private:
  std::map<std::string, uint64_t> told_ms_;
};

}  // namespace shima
