// R7: a remote whose missing records are gone gets all blocks as they are, then the log goes on from where
// that began.
//
// Blocks are read from the block store, so they hold committed records only, at least all that were
// checkpointed when the resync began. Some may be newer: the log from `resync_from` on is applied over them,
// in order, and ends at the same state. Until it is durable past the end of the resync, the remote is not
// whole.
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::begin_resync(ServerId server, Peer& peer, Effects& out) {
  // Only in a round of its own: reports of records that are still on their way must not pass for reports
  // after the resync, and perhaps the member is further than we know.
  if (peer.round_used) return greet(server, peer, out);
  Sequence from = std::max(log_.base(), std::min(checkpointed_, committed_));
  if (!from) return;  // soon: nothing is in the blocks yet that the log could go on from
  peer.resyncing = peer.round_used = true;
  peer.needs_resync = false;
  peer.progress_ms = now_ms_;
  peer.resync_from = from;
  out.push_back(SendMessage{server, ResyncBegin{term_, peer.round}});
  out.push_back(StartResync{server, peer.round});
}

void ReplicaGroup::on_resync_progress(const ResyncProgress& event) {
  auto it = peers_.find(event.to);
  if (it != peers_.end() && it->second.round == event.round) it->second.progress_ms = now_ms_;
}

void ReplicaGroup::on_resync_sent(const ResyncSent& event, Effects& out) {
  auto it = peers_.find(event.to);
  if (it == peers_.end() || !it->second.resyncing || it->second.round != event.round) return;
  Peer& peer = it->second;
  if (!peer.resync_from)
    return greet(event.to, peer, out);  // past the lag budget meanwhile: the log no longer joins on
  peer.progress_ms = now_ms_;
  Position from{log_.term_at(peer.resync_from), peer.resync_from};
  peer.whole_after = committed_;
  peer.durable = Sequence();  // what it had is forgotten
  peer.last = peer.resync_from;
  peer.next = peer.resync_from.next();
  out.push_back(SendMessage{event.to, ResyncEnd{term_, peer.round, from, window_.save(from.sequence)}});
}

void ReplicaGroup::on_resync_begin(ServerId from, const ResyncBegin& m, Effects& out) {
  if (!from_current_primary(from, m.term, m.round) || resync_round_ == m.round) return;
  resync_round_ = m.round;
  forget_everything(out);
  resyncing_ = true;  // until one is stored: half of the blocks may be newer than any log that could follow
}

void ReplicaGroup::forget_everything(Effects& out) {
  log_.reset(Position(), TermHistory());
  window_ = RequestWindow();
  committed_ = visible_ = checkpointed_ = trimmed_ = released_ = folded_ = folding_to_ = member_committed_ =
      Sequence();
  out.push_back(ForgetEverything{});
}

// The driver stores all pieces and a checkpoint at `position` before it says ResyncStored.
void ReplicaGroup::on_resync_end(ServerId from, const ResyncEnd& m) {
  if (!from_current_primary(from, m.term, m.round) || !resyncing_) return;
  Result<RequestWindow> window = RequestWindow::load(m.window);
  if (window.is_ok()) resynced_window_ = std::move(*window);
}

void ReplicaGroup::on_resync_stored(const ResyncStored& event, Effects& out) {
  if (!resyncing_) return;
  resyncing_ = false;
  window_ = std::move(resynced_window_);
  TermHistory history;
  history.reset(event.position);
  log_.reset(event.position, std::move(history));
  committed_ = visible_ = checkpointed_ = trimmed_ = released_ = member_committed_ = event.position.sequence;
  report(out);
}

}  // namespace shima::replication
