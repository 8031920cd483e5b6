// What the volume's record in etcd says of one replica group: who is a member, as what, in which term.
//
// PURE: plain data. The driver makes it from the record; the simulator makes it up.
#pragma once

#include <algorithm>
#include <vector>

#include "common/types/ids.h"

namespace shima::replication {

enum class Role : uint8_t { kNone = 0, kPrimary = 1, kSecondary = 2, kRemote = 3 };

// When a client is acknowledged: after two durable local copies (the paper's proposal), or also after every
// in-sync remote's (the paper's conventional scheme).
enum class AckMode : uint8_t { kLocal = 1, kAll = 2 };

struct Member {
  ServerId server;
  Incarnation incarnation;  // the one that may act (R4)
  Role role = Role::kNone;
  bool whole = true;    // remote: trimming waits for it (R7)
  bool in_sync = true;  // remote, ack `all`: acknowledging waits for it (R12)
  bool operator==(const Member&) const = default;
};

struct GroupConfig {
  ConfigVersion version;  // of the volume's record
  Term term;
  AckMode ack = AckMode::kLocal;
  // The secondary keeps a full copy of the state, not only what is not yet safe elsewhere (metadata groups):
  // it always folds.
  bool full_secondary = false;
  std::vector<Member> members;

  const Member* find(ServerId server) const {
    auto it =
        std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.server == server; });
    return it == members.end() ? nullptr : &*it;
  }
  Role role_of(ServerId server) const {
    const Member* m = find(server);
    return m ? m->role : Role::kNone;
  }
  ServerId server_with(Role role) const {  // the first one; 0 if there is none
    for (const Member& m : members) {
      if (m.role == role) return m.server;
    }
    return ServerId();
  }
  // R7, and full_secondary: trimmed records must be in the secondary's state first.
  bool secondary_folds() const { return full_secondary || !has_whole_remote(); }
  bool has_whole_remote() const {
    return std::any_of(members.begin(), members.end(),
                       [](const Member& m) { return m.role == Role::kRemote && m.whole; });
  }
  bool operator==(const GroupConfig&) const = default;
};

}  // namespace shima::replication
