// PURE: how far a member of etcd has come, as the ConfigMap shima-etcd-begun has it under the pod's name
// (etcd_begun.h).
#pragma once

#include <string>

#include "common/status/status.h"

namespace shima {

inline constexpr char kEtcdStateKey[] = "initial-cluster-state";  // what etcd's flag of that name is given

struct MemberMark {
  enum class Phase {
    kNever,    // no mark: nobody has seen it Ready
    kBegun,    // was Ready with that claim
    kLeaving,  // is to be replaced by what is on that claim: taken out of etcd's list
    kAdding,   // is out of the list, and is being added
    kJoining,  // was added: may start empty, on that claim
  };
  Phase phase = Phase::kNever;
  std::string claim;  // uid of the PersistentVolumeClaim

  bool operator==(const MemberMark&) const = default;
};

std::string mark_text(const MemberMark& mark);  // "begun UID"; "" of kNever
// kInvalidArgument: it is nothing that mark_text() gives.
Result<MemberMark> mark_from(const std::string& text);

}  // namespace shima
