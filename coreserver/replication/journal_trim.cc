// Step 7, the paper's step 5: what every whole remote has durable, the secondary drops; and journals give
// back space (I3, R7).
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

Sequence ReplicaGroup::trim_point() const {
  if (options_.bugs.trim_before_remote_durable) return committed_;
  Sequence upto = committed_;
  bool any = false;
  for (const auto& [server, peer] : peers_) {
    const Member* m = config_.find(server);
    if (!m || m->role != Role::kRemote || !(m->whole || peer.joining_whole)) continue;
    upto = std::min(upto, peer.durable);
    any = any || m->whole;
  }
  return any ? upto : trimmed_;
}

void ReplicaGroup::advance_trim(Effects& out) {
  Sequence upto = trim_point();
  SHIMA_CHECK(upto <= committed_, "I3: trimmed <= committed");
  trimmed_ = std::max(trimmed_, upto);
  release_journal(out);
}

// The primary's journal keeps what is not yet applied, not yet at the secondary, or still to be shipped.
void ReplicaGroup::release_journal(Effects& out) {
  Sequence upto = std::min(checkpointed_, committed_);
  auto second = peers_.find(config_.server_with(Role::kSecondary));
  upto = std::min(upto, second == peers_.end() ? Sequence() : second->second.durable);
  for (const auto& [server, peer] : peers_) {
    const Member* m = config_.find(server);
    if (!m || m->role != Role::kRemote) continue;
    if (m->whole || peer.joining_whole) upto = std::min(upto, peer.durable);
    if (peer.resync_from) upto = std::min(upto, std::max(peer.resync_from, peer.durable));
  }
  if (upto <= released_) return;
  released_ = upto;
  log_.release(upto);
  out.push_back(ReleaseJournal{upto});
}

void ReplicaGroup::on_checkpointed(const Checkpointed& event, Effects& out) {
  checkpointed_ = std::max(checkpointed_, event.upto);
  if (role_ == Role::kPrimary) return release_journal(out);
  if (member_fold_) folded_ = std::max(folded_, event.upto);
  Sequence upto = std::min(checkpointed_, log_.durable());
  if (upto <= released_) return;
  released_ = upto;
  log_.release(upto);
  out.push_back(ReleaseJournal{upto});
}

}  // namespace shima::replication
