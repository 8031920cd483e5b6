// R7 and R12: a remote that is too far behind leaves the whole set, one that holds back ACKs leaves the
// in-sync set; both by compare-and-swap on the volume's record, and they come back the same way when they
// have caught up.
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::propose(ServerId server, Peer& peer, bool whole, bool in_sync, std::string reason,
                           Effects& out) {
  peer.proposed_ms = now_ms_;
  out.push_back(ProposeMembership{config_.version, server, whole, in_sync, std::move(reason)});
}

void ReplicaGroup::watch_membership(Effects& out) {
  if (!serving()) return;
  for (auto& [server, peer] : peers_) {
    const Member* m = config_.find(server);
    if (!m || m->role != Role::kRemote) continue;
    if (peer.synced) peer.away_since_ms = 0;
    if (!peer.synced && !peer.away_since_ms) peer.away_since_ms = now_ms_;
    if (peer.proposed_ms && now_ms_ - peer.proposed_ms < options_.propose_again_after_ms) continue;
    watch_whole(server, peer, *m, out);
    if (config_.ack == AckMode::kAll) watch_in_sync(server, peer, *m, out);
  }
}

void ReplicaGroup::watch_whole(ServerId server, Peer& peer, const Member& m, Effects& out) {
  uint64_t lag = log_.bytes_between(peer.durable, committed_);
  bool records_gone =
      peer.heard && peer.durable < log_.base();  // not heard yet: a whole one has all before the base
  if (m.whole && (lag > options_.lag_budget_bytes || records_gone)) {
    if (!peer.resyncing) peer.resync_from = Sequence();
    propose(server, peer, false, false, records_gone ? "it lost records" : "it is past the lag budget", out);
    return;
  }
  if (!m.whole && lag > options_.lag_budget_bytes) {  // fell behind again
    peer.resync_from = Sequence();
    if (peer.joining_whole) propose(server, peer, false, false, "it is past the lag budget", out);
    return;
  }
  bool caught_up = peer.synced && !peer.resyncing && !peer.needs_resync && !records_gone &&
                   lag <= options_.lag_budget_bytes / 2 && peer.durable >= peer.whole_after &&
                   peer.durable >= trimmed_;
  if (!m.whole && caught_up) {
    peer.joining_whole = true;  // counts from now on, so that nothing it lacks is trimmed while etcd decides
    // Under ack `local` nothing waits for the in-sync set: who is whole again counts as in it.
    propose(server, peer, true, m.in_sync || config_.ack == AckMode::kLocal, "it has caught up", out);
  }
}

void ReplicaGroup::watch_in_sync(ServerId server, Peer& peer, const Member& m, Effects& out) {
  Sequence oldest = oldest_waiting();
  // One that was proposed and has died since holds back ACKs as well, until etcd has said that it is out.
  bool holds = (m.in_sync || peer.joining_in_sync) && oldest && oldest <= committed_ && peer.durable < oldest;
  if (!holds) peer.stuck_since_ms = 0;
  if (holds && !peer.stuck_since_ms) peer.stuck_since_ms = now_ms_;
  // One that is away already is not waited for anew by each group of a volume that is written to.
  uint64_t since =
      peer.away_since_ms ? std::min(peer.stuck_since_ms, peer.away_since_ms) : peer.stuck_since_ms;
  if (holds && now_ms_ - since > options_.leave_in_sync_after_ms) {
    // Again with each new version of the record: other groups of the volume propose the same, and one wins.
    propose(server, peer, m.whole, false, "it does not confirm records", out);
    return;
  }
  // It has confirmed every ACKed record, and from now on no ACK goes out without it.
  if (!m.in_sync && m.whole && peer.synced && peer.durable >= std::max(acknowledged_, acknowledgeable())) {
    peer.joining_in_sync = true;
    propose(server, peer, true, true, "it has every acknowledged record", out);
  }
}

}  // namespace shima::replication
