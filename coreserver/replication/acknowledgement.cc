// Step 4, to the client: acknowledged when committed; with ack `all` also when every in-sync remote has it
// durable (I1).
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

Sequence ReplicaGroup::acknowledgeable() const {
  Sequence upto = committed_;
  if (config_.ack != AckMode::kAll) return upto;
  for (const auto& [server, peer] : peers_) {
    const Member* m = config_.find(server);
    if (m && m->role == Role::kRemote && (m->in_sync || peer.joining_in_sync))
      upto = std::min(upto, peer.durable);
  }
  return upto;
}

// The first record that some client waits for; 0 if none does. Retries after a restart wait as duplicates
// only.
Sequence ReplicaGroup::oldest_waiting() const {
  Sequence oldest = waiting_.empty() ? Sequence() : waiting_.front().position.sequence;
  if (!duplicates_.empty()) {
    Sequence retried = duplicates_.begin()->first.sequence;
    oldest = oldest ? std::min(oldest, retried) : retried;
  }
  return oldest;
}

void ReplicaGroup::acknowledge_committed(Effects& out) {
  Sequence upto = acknowledgeable();
  acknowledged_ = std::max(acknowledged_, upto);
  while (!waiting_.empty() && waiting_.front().position.sequence <= upto) {
    out.push_back(Acknowledge{waiting_.front().token, Status::ok(), waiting_.front().position});
    waiting_.pop_front();
  }
  while (!duplicates_.empty() && duplicates_.begin()->first.sequence <= upto) {
    for (uint64_t token : duplicates_.begin()->second) {
      out.push_back(Acknowledge{token, Status::ok(), duplicates_.begin()->first});
    }
    duplicates_.erase(duplicates_.begin());
  }
}

void ReplicaGroup::fail_waiting(Code code, const std::string& message, Effects& out) {
  for (const Waiting& w : waiting_) out.push_back(Acknowledge{w.token, Status(code, message), {}});
  for (const auto& [position, tokens] : duplicates_) {
    for (uint64_t token : tokens) out.push_back(Acknowledge{token, Status(code, message), {}});
  }
  waiting_.clear();
  duplicates_.clear();
}

}  // namespace shima::replication
