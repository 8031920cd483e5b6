// GroupLog: what the core knows of its log: where it begins and ends, how far it is durable, how many bytes
// lie between two sequences and when they came. The records themselves lie in the journal.
//
// PURE. Memory: 16 bytes a retained record, which the lag budget bounds (I10).
// Invariants: base <= durable <= last; sequences are contiguous.
#pragma once

#include <algorithm>
#include <deque>

#include "common/status/status.h"
#include "common/types/record.h"
#include "coreserver/replication/term_history.h"

namespace shima::replication {

class GroupLog {
 public:
  Sequence base() const { return base_; }  // records up to here are no longer needed from the journal
  Sequence last() const { return last_; }
  Sequence durable() const { return durable_; }  // fdatasync'ed here
  Position last_position() const { return {term_at(last_), last_}; }
  Term term_at(Sequence s) const { return history_.term_at(s); }
  const TermHistory& history() const { return history_; }

  // A log whose records up to `base` are covered by a checkpoint.
  void reset(Position base, TermHistory history) {
    history_ = std::move(history);
    base_ = last_ = durable_ = base.sequence;
    costs_.clear();
    first_cost_ = 0;
  }
  void append(const RecordHeader& record, uint64_t now_ms) {
    SHIMA_CHECK(record.position.sequence == last_.next(), "a log has no gaps");
    history_.append(record.position);
    last_ = record.position.sequence;
    costs_.push_back({(costs_.empty() ? first_cost_ : costs_.back().sum) + record_cost(record), now_ms});
  }
  // The record at `position` is durable, and so is all that was appended before it: every record of the log
  // whose position is not higher, also if the record itself was truncated meanwhile. True if that is news.
  bool note_durable(Position position) {
    Sequence upto = std::min(std::min(position.sequence, last_), history_.last_of(position.term, last_));
    if (upto <= durable_) return false;
    durable_ = upto;
    return true;
  }
  void truncate(Sequence after) {
    SHIMA_CHECK(after >= base_ && after <= last_, "only what lies in the log can be cut off");
    costs_.resize(after.value - base_.value);
    history_.truncate(after);
    last_ = after;
    durable_ = std::min(durable_, after);
  }
  // Records up to `upto` are no longer needed.
  void release(Sequence upto) {
    while (base_ < upto && !costs_.empty()) {
      first_cost_ = costs_.front().sum;
      costs_.pop_front();
      base_ = base_.next();
    }
  }
  // Bytes of the records in (from, to]; what lies below the base counts as nothing.
  uint64_t bytes_between(Sequence from, Sequence to) const {
    return from < to ? sum_at(to) - sum_at(std::max(from, base_)) : 0;
  }
  // When the record came, in the time of Tick; 0 if it is not in the log.
  uint64_t time_of(Sequence s) const {
    return s > base_ && s <= last_ ? costs_[s.value - base_.value - 1].time_ms : 0;
  }
  // The highest sequence such that (from, it] holds at most `bytes` of records, but at least one record.
  Sequence within_bytes(Sequence from, Sequence to, uint64_t bytes) const {
    if (from >= to) return from;
    uint64_t limit = sum_at(from) + bytes;
    auto first = costs_.begin() + static_cast<long>(from.value - base_.value);
    auto end = costs_.begin() + static_cast<long>(to.value - base_.value);
    auto it = std::upper_bound(first, end, limit, [](uint64_t v, const Cost& c) { return v < c.sum; });
    return Sequence(std::max(from.value + 1, from.value + static_cast<uint64_t>(it - first)));
  }

 private:
  struct Cost {
    uint64_t sum;  // bytes of all records up to and including this one
    uint64_t time_ms;
  };
  uint64_t sum_at(Sequence s) const {
    return s <= base_ ? first_cost_ : costs_[std::min(s, last_).value - base_.value - 1].sum;
  }

  Sequence base_, last_, durable_;
  TermHistory history_;
  std::deque<Cost> costs_;   // of base_ + 1 .. last_
  uint64_t first_cost_ = 0;  // the sum at base_
};

}  // namespace shima::replication
