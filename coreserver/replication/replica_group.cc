#include "coreserver/replication/replica_group.h"

#include "common/status/status.h"

namespace shima::replication {

ReplicaGroup::ReplicaGroup(GroupId id, ServerId self, Incarnation incarnation, GroupOptions options,
                           RecoveredGroup recovered)
    : id_(id),
      self_(self),
      incarnation_(incarnation),
      options_(options),
      window_(std::move(recovered.window)),
      damage_(std::move(recovered.damage)),
      resyncing_(recovered.resyncing) {
  TermHistory history(std::move(recovered.history));
  history.truncate(recovered.base.sequence);
  log_.reset(recovered.base, std::move(history));
  trimmed_ = released_ = recovered.base.sequence;
  committed_ = visible_ = checkpointed_ = std::max(recovered.checkpointed, recovered.base.sequence);
  folded_ = recovered.folded;
  for (const RecordHeader& record : recovered.records) {
    log_.append(record, 0);
    log_.note_durable(record.position);
    window_.executed(record);
  }
}

void ReplicaGroup::step(const Event& event, Effects& out) {
  struct Visitor {
    ReplicaGroup& g;
    Effects& out;
    void operator()(const ConfigChanged& e) { g.on_config(e, out); }
    void operator()(const ClientWrite& e) { g.on_write(e, out); }
    void operator()(const LocalDurable& e) { g.on_local_durable(e, out); }
    void operator()(const PeerUp& e) { g.on_peer_up(e.peer, out); }
    void operator()(const PeerDown& e) { g.on_peer_down(e.peer); }
    void operator()(const PeerMessage& e) { g.on_message(e, out); }
    void operator()(const Checkpointed& e) { g.on_checkpointed(e, out); }
    void operator()(const SpaceChanged& e) {
      if (g.disk_full_ == e.full) return;
      if (e.full == g.disk_full_) return;
      g.disk_full_ = e.full;
      if (g.role_ != Role::kPrimary) g.report(out);
    }
    void operator()(const ResyncProgress& e) { g.on_resync_progress(e); }
    void operator()(const ResyncSent& e) { g.on_resync_sent(e, out); }
    void operator()(const ResyncStored& e) { g.on_resync_stored(e, out); }
    void operator()(const Tick& e) {
      g.now_ms_ = e.now_ms;
      if (g.role_ != Role::kPrimary) return;
      g.resend_stuck(out);
      g.tell_positions(out);
      g.watch_membership(out);
    }
  };
  std::visit(Visitor{*this, out}, event);
}

void ReplicaGroup::on_message(const PeerMessage& event, Effects& out) {
  if (!damage_.empty()) return;  // R22: a damaged member neither leads nor follows
  struct Visitor {
    ReplicaGroup& g;
    ServerId from;
    Effects& out;
    void operator()(const Hello& m) { g.on_hello(from, m, out); }
    void operator()(const Welcome& m) { g.on_welcome(from, m, out); }
    void operator()(const Append& m) { g.on_append(from, m, out); }
    void operator()(const Appended& m) { g.on_appended(from, m, out); }
    void operator()(const ResyncBegin& m) { g.on_resync_begin(from, m, out); }
    void operator()(const ResyncEnd& m) { g.on_resync_end(from, m); }
  };
  std::visit(Visitor{*this, event.from, out}, event.message);
}

std::string ReplicaGroup::state_in_words() const {
  if (!damage_.empty()) return "damaged: " + damage_;
  if (!config_.version) return "waiting for the volume's record";
  if (role_ == Role::kNone) return "not a member";
  if (role_ != Role::kPrimary) {
    if (resyncing_) return "receiving a resync";
    return primary_round_ ? "following" : "waiting for the primary";
  }
  const Member* self = config_.find(self_);
  if (self && self->incarnation != incarnation_) return "waiting to be named in the volume's record";
  if (!may_lead())
    return "the volume's record has term " + std::to_string(term_.value) + ", but the log has " +
           std::to_string(log_.last_position().term.value) +
           ": etcd was set back; restart this server, which raises the term";
  if (!serving_) return "waiting for the second copy to confirm the log's end";
  auto second = peers_.find(config_.server_with(Role::kSecondary));
  if (second == peers_.end() || !second->second.connected)
    return "serving reads; writes wait for the secondary";
  if (disk_full_ || second->second.no_space) return "serving reads; a local disk is full";
  return "serving";
}

std::vector<ReplicaGroup::PeerStatus> ReplicaGroup::peers() const {
  std::vector<PeerStatus> all;
  for (const auto& [server, peer] : peers_) {
    const Member* member = config_.find(server);
    PeerStatus s;
    s.server = server;
    s.role = member ? member->role : Role::kNone;
    s.connected = peer.connected;
    s.synced = peer.synced;
    s.whole = member && member->whole;
    s.in_sync = member && member->in_sync;
    s.no_space = peer.no_space;
    s.resyncing = peer.resyncing;
    s.durable = peer.durable;
    s.lag_bytes = log_.bytes_between(peer.durable, committed_);
    if (peer.durable < committed_) {
      uint64_t since = log_.time_of(std::max(peer.durable, log_.base()).next());
      s.lag_ms = since && now_ms_ > since ? now_ms_ - since : 0;
    }
    all.push_back(s);
  }
  return all;
}

}  // namespace shima::replication
