// Step 4: durable in both local journals is committed: visible, may be shipped, may be acknowledged (I1, R1).
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::advance_commit(Effects& out) {
  if (role_ != Role::kPrimary) return;
  auto second = peers_.find(config_.server_with(Role::kSecondary));
  Sequence there = second == peers_.end() ? Sequence() : second->second.durable;
  if (options_.bugs.ack_before_second_sync && second != peers_.end()) there = second->second.last;
  Sequence both = std::min(log_.durable(), there);
  if (both > committed_) committed_ = both;
  // A log without records is confirmed by nothing but the secondary's welcome: it may be that of a new group,
  // or what is left of a lost disk. A second line only: a secondary that restarted, too, and has trimmed
  // nothing yet has committed_ = 0, and cuts its log off for an empty primary of a higher term (on_hello).
  // What protects is the record of disks (docs/decisions/0014).
  const bool empty = term_start_last_ == Sequence(),
             confirmed = second != peers_.end() && second->second.synced;
  if (!serving_ && committed_ >= term_start_last_ && (!empty || confirmed) && may_lead()) serving_ = true;
  make_visible(out);
  acknowledge_committed(out);
  ship(out);
  advance_trim(out);
}

void ReplicaGroup::make_visible(Effects& out) {
  Sequence now = role_ == Role::kPrimary ? committed_ : std::min(member_committed_, log_.durable());
  if (role_ != Role::kPrimary) committed_ = std::max(committed_, std::min(member_committed_, log_.last()));
  if (now <= visible_) return;
  visible_ = now;
  if (role_ == Role::kSecondary && member_fold_) folding_to_ = visible_;
  if (role_ != Role::kSecondary || member_fold_) out.push_back(Commit{visible_});
}

}  // namespace shima::replication
