// PURE: where etcd's members are, chosen once: the ConfigMap shima-etcd-members, that is made before etcd's
// first object and never changed.
//
// A choice that was made anew, or read from the StatefulSets that happen to be there, could begin a second,
// empty etcd. So the record has no owner, bears kKeepLabel and is immutable (core/v1 ConfigMap); it goes with
// its ShimaCluster.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/status/status.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {

using EtcdMembers = std::map<std::string, uint32_t>;  // by site, the witness: ""; as ClusterPlan has them

inline constexpr char kEtcdRecordName[] = "shima-etcd-members";

nlohmann::json etcd_record(const ClusterIdentity& cluster, const EtcdMembers& members);
// kInvalidArgument: it is not what etcd_record() gives; the text says what to do.
Result<EtcdMembers> read_etcd_record(const nlohmann::json& object);

}  // namespace shima
