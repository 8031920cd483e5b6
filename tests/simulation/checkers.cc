#include "tests/simulation/checkers.h"

#include "tests/simulation/server.h"

namespace shima::simulation {

using namespace replication;

namespace {
std::string words(const Server& s) { return "server " + std::to_string(s.id().value); }
std::string words(Sequence s) { return std::to_string(s.value); }
}  // namespace

void Checkers::something_is_durable() {
  const auto& primary = servers_[0]->disk().durable_records();
  for (;;) {
    auto it = primary.find(committed().next());
    if (it == primary.end() || !servers_[1]->disk().holds(it->second->header.position)) return;
    commit(it->second);
  }
}

void Checkers::commit(const RecordPtr& record) {
  const RecordHeader& h = record->header;
  log_.push_back(record);
  run_.statistics.count(Happened::kCommitted);
  run_.note(0, "is-committed", h.position.term.value, h.position.sequence.value);
  if (h.client) {
    auto [it, fresh] = executed_.insert({{h.client, h.request}, h.position});
    run_.check(Check::kOneExecution, fresh, [&] {
      return "request " + std::to_string(h.request.value) + " of client " + std::to_string(h.client.value) +
             " was executed at " + to_string(it->second) + " and again at " + to_string(h.position);
    });
  }
  if (h.kind == RecordKind::kNoop) return;
  apply_record(result_, *record);
  if (content_of(*record)) contents_[content_of(*record)] = h.position.sequence;
  for (uint32_t at = h.offset; at < h.offset + h.length; at += kChunkSize) {
    versions_[{h.block.value, at / kChunkSize}].push_back({h.position.sequence, content_of(*record)});
  }
}

uint64_t Checkers::content_at(uint64_t block, uint64_t chunk, Sequence upto) const {
  auto it = versions_.find({block, chunk});
  if (it == versions_.end()) return 0;
  auto end = std::upper_bound(it->second.begin(), it->second.end(), upto,
                              [](Sequence s, const ChunkVersion& v) { return s < v.sequence; });
  return end == it->second.begin() ? 0 : std::prev(end)->content;
}

void Checkers::acknowledged(Position position, ClientId client, RequestId request, Sequence after) {
  run_.statistics.count(Happened::kAcked);
  for (Server* s : servers_) {
    const Member* m = config_->find(s->id());
    bool needed = s->role() != Role::kRemote || (config_->ack == AckMode::kAll && m->in_sync);
    if (!needed) continue;
    run_.check(Check::kAckDurable, s->disk().holds(position), [&] {
      return "a write was acknowledged at " + to_string(position) + " and is not durable on " + words(*s);
    });
  }
  bool known = position.sequence <= committed() && position.sequence &&
               header(position.sequence).position == position && header(position.sequence).client == client &&
               header(position.sequence).request == request;
  run_.check(Check::kAckDurable, known, [&] {
    return "a write was acknowledged at " + to_string(position) +
           ", where another record is committed, or none";
  });
  run_.check(Check::kAckOrder, position.sequence > after, [&] {
    return "a write was issued after the answer of " + words(after) +
           " was seen, and is ordered before it at " + to_string(position);
  });
  acked_ = std::max(acked_, position.sequence);
}

void Checkers::made_visible(const Server& server, Sequence from, Sequence upto) {
  bool committed_only = run_.check(Check::kCommittedOnly, upto <= committed(), [&] {
    return words(server) + " makes records visible up to " + words(upto) + ", but only " +
           words(committed()) + " are committed";
  });
  for (Sequence s = from.next(); committed_only && s <= upto; s = s.next()) {
    const RecordPtr* record = server.disk().read(s);
    run_.check(Check::kAgreement, record && (*record)->header == header(s), [&] {
      return words(server) + " holds " + (record ? to_string((*record)->header.position) : "nothing") +
             " where " + to_string(header(s).position) + " is committed";
    });
  }
}

void Checkers::shipped(const Server& server, ServerId to, Sequence last) {
  if (servers_[to.value - 1]->role() != Role::kRemote) return;
  run_.check(Check::kCommittedOnly, last <= committed(), [&] {
    return words(server) + " ships records up to " + words(last) + ", but only " + words(committed()) +
           " are committed";
  });
}

// What the remotes that the record calls whole all hold.
Sequence Checkers::whole_durable() const {
  Sequence least = committed();
  for (const Server* s : servers_) {
    if (s->role() == Role::kRemote && config_->find(s->id())->whole)
      least = std::min(least, s->disk().durable_end());
  }
  return least;
}

void Checkers::dropped(const Server& server, Sequence upto) {
  dropped_ = std::max(dropped_, upto);
  Sequence limit = whole_durable();
  run_.check(Check::kTrim, upto <= limit, [&] {
    return words(server) + " trims up to " + words(upto) + ", but every whole remote is durable only up to " +
           words(limit);
  });
}

void Checkers::released(const Server& server, Sequence upto) {
  if (server.role() != Role::kPrimary) {
    run_.check(Check::kRelease, upto <= server.disk().durable_end(), [&] {
      return words(server) + " gives back journal up to " + words(upto) + " beyond what it holds";
    });
    return;
  }
  Sequence limit = std::min(whole_durable(), servers_[1]->disk().durable_end());
  limit = std::min(limit, server.disk().checkpoint().applied.sequence);
  run_.check(Check::kRelease, upto <= limit, [&] {
    return "the primary gives back journal up to " + words(upto) +
           ", but its checkpoint, the secondary or a whole remote has only " + words(limit);
  });
}

void Checkers::claims(const Server& server, Sequence last, Sequence durable) {
  run_.check(Check::kClaims, durable <= server.disk().durable_end() && durable <= last, [&] {
    return words(server) + " says that it is durable up to " + words(durable) + ", but its disk is up to " +
           words(server.disk().durable_end());
  });
}

void Checkers::read_at_primary(uint64_t block, uint64_t chunk, uint64_t content, Sequence visible,
                               Sequence after) {
  run_.statistics.count(Happened::kReadPrimary);
  run_.check(Check::kCommittedOnly, visible <= committed(),
             [&] { return "a read saw uncommitted records, up to " + words(visible); });
  run_.check(Check::kReadIsNewest, visible >= after && content == content_at(block, chunk, visible), [&] {
    return "a read of block " + std::to_string(block) + " at " + words(visible) + " returned " +
           std::to_string(content) + " instead of " + std::to_string(content_at(block, chunk, visible)) +
           "; answers before it were up to " + words(after);
  });
  read_ = std::max(read_, visible);
}

void Checkers::read_at_remote(uint64_t content) {
  run_.statistics.count(Happened::kReadRemote);
  run_.check(Check::kCommittedOnly, !content || contents_.contains(content), [&] {
    return "a read at a remote returned " + std::to_string(content) + ", which was never committed";
  });
}

// Whoever the record calls whole or in-sync may be promoted: it must have what that promises.
void Checkers::config_changed(const GroupConfig& config) {
  for (const Member& m : config.members) {
    const Server& s = *servers_[m.server.value - 1];
    if (m.role == Role::kRemote && m.in_sync && config.ack == AckMode::kAll) {
      run_.check(Check::kInSyncSet, s.disk().durable_end() >= acked_, [&] {
        return words(s) + " is in-sync by the record, but holds only " + words(s.disk().durable_end()) +
               " of the ACKed " + words(acked_);
      });
    }
    if (m.role == Role::kRemote && m.whole) {
      run_.check(Check::kWholeSet, s.disk().durable_end() >= dropped_, [&] {
        return words(s) + " is whole by the record, but holds only " + words(s.disk().durable_end()) +
               ", and the secondary has dropped records up to " + words(dropped_);
      });
    }
  }
}

void Checkers::restarted(const Server& server) {
  if (server.role() == Role::kRemote) return;
  run_.check(Check::kAckedSurvives, server.core().log().last() >= committed(), [&] {
    return words(server) + " restarted with records up to " + words(server.core().log().last()) + "; " +
           words(committed()) + " were committed";
  });
  for (const auto& [sequence, record] : server.disk().durable_records()) {
    if (sequence > committed()) break;
    run_.check(Check::kAckedSurvives, record->header == header(sequence), [&] {
      return words(server) + " restarted with " + to_string(record->header.position) + " where " +
             to_string(header(sequence).position) + " was committed";
    });
  }
}

// A remote that never comes back but is still within the lag budget holds back what the local members may
// forget.
bool Checkers::someone_holds_back() const {
  return std::any_of(servers_.begin(), servers_.end(),
                     [&](const Server* s) { return s->retired && config_->find(s->id())->whole; });
}

std::string Checkers::server_not_converged(const Server& s) const {
  if (s.retired) return "";
  if (!s.alive()) return words(s) + " is not up";
  const ReplicaGroup& core = s.core();
  if (core.log().last() != committed())
    return words(s) + " has records up to " + words(core.log().last()) + " of " + words(committed());
  if (s.disk().durable_end() != committed()) return words(s) + " is not durable to the end";
  if (core.visible() != committed())
    return words(s) + " sees only " + words(core.visible()) + " of " + words(committed());
  if (s.role() == Role::kSecondary && someone_holds_back()) return "";
  if (s.disk().checkpoint().applied.sequence != committed())
    return words(s) + " has checkpointed only " + words(s.disk().checkpoint().applied.sequence);
  if (s.disk().records() && !(s.role() == Role::kPrimary && someone_holds_back()))
    return words(s) + " still has " + std::to_string(s.disk().records()) + " records in its journal";
  if (s.role() == Role::kSecondary && !config_->secondary_folds()) {
    return s.disk().blocks().empty() ? "" : "the secondary still has blocks";
  }
  if (s.role() == Role::kSecondary && core.folded() != committed())
    return "the secondary has folded only up to " + words(core.folded());
  bool full = s.role() != Role::kSecondary || servers_.size() == 2 || config_->full_secondary;
  if (full && s.disk().blocks() != result_)
    return words(s) + " holds other blocks than the committed log makes";
  if (s.role() == Role::kPrimary && s.visible_blocks() != result_)
    return "the primary shows other blocks than the committed log makes";
  return "";
}

std::string Checkers::not_converged(bool clients_idle) const {
  if (!clients_idle) return "clients still wait";
  for (const Member& m : config_->members) {
    if (m.role != Role::kRemote) continue;
    bool away = servers_[m.server.value - 1]->retired;
    if (!away && (!m.whole || (!m.in_sync && config_->ack == AckMode::kAll)))
      return words(*servers_[m.server.value - 1]) + " is not back in the whole and in-sync sets";
  }
  for (const Server* s : servers_) {
    if (std::string why = server_not_converged(*s); !why.empty()) return why;
  }
  return "";
}

void Checkers::count_final_checks() {
  for (const RecordPtr& record : log_) {
    const RecordHeader& h = record->header;
    run_.check(Check::kAckedSurvives, !h.client || executed_.at({h.client, h.request}) == h.position,
               [] { return std::string("the committed log changed"); });
  }
  run_.check(Check::kAckedSurvives, acked_ <= committed(),
             [] { return std::string("an ACKed record is not in the log"); });
}

}  // namespace shima::simulation
