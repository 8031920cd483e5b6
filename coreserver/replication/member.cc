// The receiving side, secondary or remote: greeted, cut back to what it shares with the primary, then fed in
// order.
#include <algorithm>

#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::on_hello(ServerId from, const Hello& m, Effects& out) {
  if (!config_.version || role_ == Role::kPrimary || role_ == Role::kNone)
    return;  // R2: first the volume's record
  bool stale = m.term < term_ || (m.term == term_ && from == primary_ && m.round <= primary_round_);
  if (stale && !options_.bugs.no_term_check) {
    if (m.term < term_) out.push_back(SendMessage{from, Welcome{term_, m.round, false, {}, {}}});
    return;
  }
  term_ = m.term;
  primary_ = from;
  primary_round_ = m.round;
  resync_round_ = 0;
  Sequence shared = log_.history().common_prefix(log_.last(), m.terms, m.last.sequence);
  // A record of this term came from this primary, whose own log is never cut: the greeting is an old one that
  // came late.
  if (log_.last() && log_.term_at(log_.last()) == m.term) shared = log_.last();
  if (shared < committed_ && !options_.bugs.no_term_check) {
    damage_ = "the primary's log ends at " + to_string(m.last) + " or parts from ours at " +
              std::to_string(shared.value) + ", but records up to " + std::to_string(committed_.value) +
              " are committed: the primary lost data";
    return;
  }
  if (shared < log_.last()) {
    log_.truncate(shared);
    window_.truncate(shared);
    out.push_back(TruncateJournal{shared});
  }
  member_committed_ = std::max(member_committed_, m.committed);
  make_visible(out);
  out.push_back(
      SendMessage{from, Welcome{term_, m.round, true, log_.last(), log_.durable(), disk_full_, resyncing_}});
}

bool ReplicaGroup::from_current_primary(ServerId from, Term term, uint64_t round) const {
  if (role_ != Role::kSecondary && role_ != Role::kRemote) return false;
  if (options_.bugs.no_term_check) return true;
  return primary_round_ && from == primary_ && term == term_ && round == primary_round_;
}

void ReplicaGroup::on_append(ServerId from, const Append& m, Effects& out) {
  if (!from_current_primary(from, m.term, m.round)) return;
  if (resyncing_) {  // it may be asked whether its disk has space
    if (m.records.empty()) report(out);
    return;
  }
  bool behind = false;
  for (const RecordPtr& record : m.records) {
    if (disk_full_) break;
    if (!take_record(record, out)) {
      behind = true;
      break;
    }
  }
  member_committed_ = std::max(member_committed_, m.committed);
  make_visible(out);
  on_trim(m, out);
  if (behind || disk_full_ || m.records.empty()) report(out, behind);
}

// True if the record is in the log now.
bool ReplicaGroup::take_record(const RecordPtr& record, Effects& out) {
  const RecordHeader& h = record->header;
  if (h.position.sequence <= log_.last()) return true;  // had it before
  if (h.position.sequence != log_.last().next()) return false;
  bool fits = h.previous_term == log_.term_at(log_.last()) && h.position.term >= h.previous_term;
  if (!fits && !options_.bugs.no_term_check) return false;
  if (h.position.term < log_.term_at(log_.last())) return false;
  append_locally(record, out);
  return true;
}

void ReplicaGroup::on_trim(const Append& m, Effects& out) {
  if (role_ != Role::kSecondary) return;
  if (m.fold) {
    bool begins = !member_fold_;
    member_fold_ = true;
    if (begins && visible_ > checkpointed_) {
      folding_to_ = visible_;
      out.push_back(Commit{visible_});
    }
    return;
  }
  member_fold_ = false;
  Sequence upto = std::min(m.trim, log_.durable());
  Sequence in_blocks = std::max(folded_, folding_to_);
  if (in_blocks && upto >= in_blocks) {
    folded_ = folding_to_ = Sequence();
    out.push_back(DropBlocks{});
  }
  if (upto <= trimmed_) return;
  trimmed_ = upto;
  out.push_back(DropRecords{upto});
}

void ReplicaGroup::report(Effects& out, bool behind) const {
  if (role_ == Role::kPrimary || !primary_round_) return;
  out.push_back(SendMessage{
      primary_, Appended{term_, primary_round_, log_.last(), log_.durable(), disk_full_, behind}});
}

}  // namespace shima::replication
