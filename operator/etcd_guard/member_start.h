// PURE: may a member of etcd start with what its data directory holds?
//
// A member that has voted and starts without its data may vote once more, for something else; so an empty
// directory is good only for a member that has never begun, or that was added anew (member_mark.h). And
// one that is being replaced never starts with the data that it had before: etcd would take it for the member
// that was removed, and end for ever.
#pragma once

#include <string>

#include "common/status/status.h"

namespace shima {

struct MemberStart {
  std::string member;  // the pod's name
  bool has_data = false;
  std::string marker;  // whose directory it is, as noted there: member_marker(); empty: nobody's
  std::string mark;    // MemberMark of this member; empty: none
  std::string state;   // new or existing: what etcd is told of the cluster
};

// kFailedPrecondition, in words that say what to do.
Status may_start(const MemberStart& start);

// What is written beside the data of one that may start: its name, and the uid of the claim that it has begun
// on or joins on, where that is known: "shima-etcd-a-0 UID".
std::string member_marker(const MemberStart& start);

}  // namespace shima
