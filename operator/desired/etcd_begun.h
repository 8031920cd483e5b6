// PURE: which of etcd's members have begun, with which claim: the ConfigMap shima-etcd-begun.
//
// A member that has voted and comes back without its data may vote again for something else: etcd could then
// lose what it has acknowledged. So one that has begun never starts with an empty directory (etcd_guard);
// where its disk is lost, it is taken out of etcd's list and added again under a new id, one phase after the
// other, each written here before the next begins (decision 0014).
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/status/status.h"
#include "operator/desired/member_mark.h"
#include "operator/desired/object_labels.h"

namespace shima {

inline constexpr char kEtcdBegunName[] = "shima-etcd-begun";

struct EtcdBegun {
  bool existing = false;                      // etcd's flag is `existing`; else `new`
  std::map<std::string, MemberMark> members;  // by pod

  MemberMark of(const std::string& member) const;
  bool operator==(const EtcdBegun&) const = default;
};

// `labels` and the like as all lasting objects have them, without an owner, and kept.
nlohmann::json etcd_begun_object(const ClusterIdentity& cluster, const EtcdBegun& begun);
// kInvalidArgument: the text says what to do.
Result<EtcdBegun> read_etcd_begun(const nlohmann::json& object);

}  // namespace shima
