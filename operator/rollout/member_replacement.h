// PURE: what is to be noted of etcd's members, and which of them is replaced next, one step at a time.
//
// A member is replaced when its claim is another one than it has begun on: that is how a person says that its
// disk is lost (the claim and the pod were deleted). One that nobody has noted, where etcd exists, only if
// its claim is newer than the record: else it may just be restarting. Steps, each noted in ConfigMap
// shima-etcd-begun before the next: leaving (out of etcd's list), adding (in again, under a new id), joining
// (it may start empty), begun (it is Ready). One member at a time, and only while more than half of all
// members, without it, are Ready. Whoever acts reads the ConfigMap from the API server and not from a watch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/etcd/etcd_members.h"
#include "operator/desired/etcd_begun.h"

namespace shima {

struct MemberView {
  std::string name;      // of the pod
  std::string peer_url;  // as etcd knows it
  std::string client;    // HOST:PORT, for clients
  std::string claim;     // uid; empty: there is none, it is being deleted, or nobody has asked
  // Made after the record of marks was: nobody has begun on it before. Counts where the member has no mark.
  bool claim_is_new = false;
  bool claim_is_ending = false;  // it was deleted, and waits for its pod; `claim` is empty
  bool ready = false;            // and not ending
  bool runs = false;             // the pod's containers have been started: etcd may answer others
};

// With what is new: members that are Ready have begun; once all have, or one is replaced, etcd exists.
EtcdBegun with_ready_members(EtcdBegun begun, const std::vector<MemberView>& members);

struct ReplacementStep {
  enum class Kind {
    kNothing,  // nobody is to be replaced
    kWait,     // somebody is, and may not now: `reason`
    kMark,     // note `mark` of `member`; with kJoining also that etcd exists
    kList,     // ask etcd who its members are, and then step_by_list()
  };
  Kind kind = Kind::kNothing;
  std::string member;
  MemberMark mark;
  std::string reason;  // for people
};

ReplacementStep next_replacement(const EtcdBegun& begun, const std::vector<MemberView>& members);

// What to do with etcd's list, for a step of kind kList.
struct ListStep {
  enum class Kind { kRemove, kAdd, kMark };
  Kind kind = Kind::kMark;
  uint64_t id = 0;  // kRemove
  MemberMark mark;  // kMark
};

// `mark`: of the member, kLeaving or kAdding.
ListStep step_by_list(const MemberMark& mark, const MemberView& member, const std::vector<EtcdMember>& list);

}  // namespace shima
