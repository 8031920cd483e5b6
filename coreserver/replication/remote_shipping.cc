// Steps 5 and 6: committed records go to each remote, in order, in batches, within a window; remotes say how
// far they are durable.
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::ship(Effects& out) {
  Sequence upto = options_.bugs.ship_before_commit ? log_.last() : committed_;
  for (auto& [server, peer] : peers_) {
    if (config_.role_of(server) == Role::kRemote) send_to(server, peer, upto, out);
  }
}

Append ReplicaGroup::append_header(const Peer& peer) const {
  Append a;
  a.term = term_;
  a.round = peer.round;
  a.committed = committed_;
  a.trim = trimmed_;
  a.fold = folding();
  return a;
}

void ReplicaGroup::send_to(ServerId server, Peer& peer, Sequence upto, Effects& out) {
  if (!peer.connected || !peer.synced || peer.resyncing || peer.no_space) return;
  if (peer.needs_resync || peer.next.prev() < log_.base()) return begin_resync(server, peer, out);
  while (peer.next <= upto && log_.bytes_between(peer.last, peer.next.prev()) < options_.send_window_bytes) {
    if (peer.next == peer.last.next()) peer.progress_ms = now_ms_;
    Sequence to = log_.within_bytes(peer.next.prev(), upto, options_.batch_bytes);
    out.push_back(SendRecords{server, peer.next, to, append_header(peer)});
    peer.told_committed = committed_;
    peer.told_trim = trimmed_;
    peer.told_fold = folding();
    peer.next = to.next();
    peer.round_used = true;
  }
}

void ReplicaGroup::on_appended(ServerId from, const Appended& m, Effects& out) {
  auto it = peers_.find(from);
  if (role_ != Role::kPrimary || it == peers_.end()) return;
  Peer& peer = it->second;
  bool current = m.term == term_ && m.round == peer.round && peer.synced;
  if (!current || m.last > log_.last() || m.durable > m.last) return;
  if (m.last > peer.last || m.durable > peer.durable) peer.progress_ms = now_ms_;
  peer.last = std::max(peer.last, m.last);
  peer.durable = std::max(peer.durable, m.durable);
  if (peer.resyncing) {
    if (m.last < peer.resync_from) return;
    peer.resyncing = false;
  }
  if (m.no_space) peer.next = peer.last.next();  // what is on its way is refused
  peer.no_space = m.no_space;
  if (peer.next <= peer.last) peer.next = peer.last.next();
  bool first_word_of_gap =
      peer.rewound_to != peer.last || now_ms_ - peer.rewound_ms > options_.resend_after_ms / 4;
  if (m.behind && m.last == peer.last && peer.next > peer.last.next() && first_word_of_gap) {
    peer.next = peer.last.next();
    peer.rewound_to = peer.last;
    peer.rewound_ms = now_ms_;
  }
  if (config_.role_of(from) == Role::kSecondary) send_second_copy(out);
  advance_commit(out);
}

// Without a lost connection nothing is lost, except in the simulator and at a member that had no space for a
// while.
void ReplicaGroup::resend_stuck(Effects& out) {
  for (auto& [server, peer] : peers_) {
    if (!peer.connected) continue;
    if (!peer.synced) {
      if (now_ms_ - peer.hello_sent_ms > options_.resend_after_ms) {
        greet(server, peer, out);
      } else if (peer.round && now_ms_ - peer.hello_said_ms >= options_.hello_again_ms) {
        say_hello(server, peer, out);
      }
      continue;
    }
    uint64_t patience_ms =
        options_.resend_after_ms * (peer.resyncing ? 6 : 1);  // storing the last pieces takes a while
    if (now_ms_ - peer.progress_ms <= patience_ms) continue;
    if (peer.resyncing) {  // neither end moved: begin the resync anew
      greet(server, peer, out);
    } else if (peer.durable < peer.next.prev() || peer.no_space) {
      peer.next = peer.last.next();
      peer.progress_ms = now_ms_;
      out.push_back(SendMessage{
          server, append_header(peer)});  // asks for an answer even if `last` is the end, or if the
                                          // word that it has space again was overtaken by an older
    }
  }
  send_second_copy(out);
  ship(out);
}

// Members learn of commits and trims with the next records; when there are none, here.
void ReplicaGroup::tell_positions(Effects& out) {
  for (auto& [server, peer] : peers_) {
    if (!peer.connected || !peer.synced || peer.resyncing) continue;
    bool second = config_.role_of(server) == Role::kSecondary;
    bool news = peer.told_committed < committed_ ||
                (second && (peer.told_trim < trimmed_ || peer.told_fold != folding()));
    if (!news) continue;
    out.push_back(SendMessage{server, append_header(peer)});
    peer.told_committed = committed_;
    peer.told_trim = trimmed_;
    peer.told_fold = folding();
  }
}

}  // namespace shima::replication
