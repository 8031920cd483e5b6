// A new record of the volume, a new term, a new connection: the primary greets, members answer, logs are made
// equal (R4).
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

// R4: the record names this incarnation, in a term that the log has not gone beyond. It has where etcd was
// set back: then a position would be given a second time.
bool ReplicaGroup::may_lead() const {
  const Member* self = config_.find(self_);
  return self && self->incarnation == incarnation_ && term_ >= log_.last_position().term;
}

void ReplicaGroup::on_config(const ConfigChanged& event, Effects& out) {
  if (event.config.version <= config_.version) return;
  config_ = event.config;
  Role before = role_;
  role_ = config_.role_of(self_);
  if (before == Role::kPrimary && role_ != Role::kPrimary) {
    serving_ = false;
    fail_waiting(Code::kUnavailable, "the group's primary has changed; retry at the new one", out);
    peers_.clear();
  }
  bool new_term = config_.term > term_;
  if (new_term) {
    term_ = config_.term;
    primary_round_ = 0;
  }
  primary_ = config_.server_with(Role::kPrimary);
  if (role_ != Role::kPrimary) {
    on_checkpointed({checkpointed_}, out);  // a restarted member gives back what its checkpoint covers
    if (role_ == Role::kRemote &&
        before !=
            role_) {  // only committed records are shipped (R1): what it has needs no word of the primary
      member_committed_ = std::max(member_committed_, log_.last());
      make_visible(out);
    }
    return;
  }
  take_members(out);
  if (!may_lead()) {
    serving_ = false;
    return;
  }
  if (new_term || before != Role::kPrimary) {
    begin_term(out);
  } else {
    advance_commit(out);
  }
}

// Keeps what is known of members that stay, and lets etcd's word stand for what was proposed.
void ReplicaGroup::take_members(Effects& out) {
  std::erase_if(peers_, [&](const auto& p) { return !config_.find(p.first); });
  for (const Member& m : config_.members) {
    if (m.server == self_) continue;
    bool fresh = !peers_.contains(m.server);
    Peer& peer = peers_[m.server];
    peer.joining_whole = peer.joining_in_sync = false;
    peer.proposed_ms = 0;
    if (m.whole && !peer.resyncing && peer.durable >= log_.base()) peer.resync_from = Sequence();
    if (fresh)
      peer.whole_after = log_.last();  // a resync by an earlier incarnation may have left newer blocks there
    if (fresh && connected_.contains(m.server)) on_peer_up(m.server, out);
  }
}

void ReplicaGroup::begin_term(Effects& out) {
  serving_ = false;
  term_start_last_ = log_.last();
  acknowledged_ = std::max(acknowledged_, log_.last());
  for (auto& [server, peer] : peers_) {
    peer.synced = false;
    if (connected_.contains(server)) on_peer_up(server, out);
  }
  advance_commit(out);
}

void ReplicaGroup::on_peer_up(ServerId server, Effects& out) {
  connected_.insert(server);
  auto it = peers_.find(server);
  if (role_ != Role::kPrimary || it == peers_.end()) return;
  it->second.connected = true;
  greet(server, it->second, out);
}

void ReplicaGroup::on_peer_down(ServerId server) {
  connected_.erase(server);
  auto it = peers_.find(server);
  if (it == peers_.end()) return;
  it->second.connected = it->second.synced = it->second.resyncing = false;
}

void ReplicaGroup::greet(ServerId server, Peer& peer, Effects& out) {
  if (!damage_.empty() || !may_lead()) return;
  peer.synced = peer.resyncing = peer.round_used = false;
  peer.round++;
  peer.hello_sent_ms = now_ms_;
  say_hello(server, peer, out);
}

// May be said again in the same round: a member that has answered ignores it, one that did not know the group
// yet (its record comes from etcd by another way) answers now.
void ReplicaGroup::say_hello(ServerId server, Peer& peer, Effects& out) {
  peer.hello_said_ms = now_ms_;
  Hello hello;
  hello.term = term_;
  hello.round = peer.round;
  hello.last = log_.last_position();
  hello.committed = committed_;
  hello.terms = log_.history().starts();
  out.push_back(SendMessage{server, std::move(hello)});
}

void ReplicaGroup::on_welcome(ServerId from, const Welcome& m, Effects& out) {
  auto it = peers_.find(from);
  if (role_ != Role::kPrimary || it == peers_.end()) return;
  Peer& peer = it->second;
  if (m.round != peer.round || m.term != term_ || peer.synced || !m.accepted) return;  // Tick greets again
  if (m.last > log_.last() || m.durable > m.last) return;
  peer.synced = true;
  peer.no_space = m.no_space;
  peer.needs_resync = m.needs_resync;
  peer.last = m.last;
  peer.durable =
      m.durable;  // its word of now: a resync that broke off may have left it with less than before
  peer.heard = true;
  peer.next = m.last.next();
  peer.progress_ms = now_ms_;
  peer.rewound_to = Sequence();
  peer.told_committed = peer.told_trim = Sequence();
  send_second_copy(out);
  advance_commit(out);
}

}  // namespace shima::replication
