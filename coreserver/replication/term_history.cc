#include "coreserver/replication/term_history.h"

#include <algorithm>

#include "common/status/status.h"

namespace shima::replication {

namespace {
constexpr size_t kMaxTerms =
    1024;  // older ones are forgotten: a member that parted before them needs a resync

// The last sequence of starts[i] in a log that ends at `last`.
Sequence end_of(const std::vector<TermStart>& starts, size_t i, Sequence last) {
  return i + 1 < starts.size() ? std::min(last, starts[i + 1].first.prev()) : last;
}
}  // namespace

Term TermHistory::term_at(Sequence sequence) const {
  for (auto it = starts_.rbegin(); it != starts_.rend(); ++it) {
    if (it->first <= sequence) return it->term;
  }
  return Term();
}

Sequence TermHistory::last_of(Term term, Sequence last) const {
  for (const TermStart& start : starts_) {
    if (start.term > term) return std::min(last, start.first.prev());
  }
  return last;
}

void TermHistory::append(Position position) {
  if (!starts_.empty() && starts_.back().term == position.term) return;
  SHIMA_CHECK(starts_.empty() || starts_.back().term < position.term, "terms of a log never fall");
  starts_.push_back({position.term, position.sequence});
  if (starts_.size() > kMaxTerms) starts_.erase(starts_.begin());
}

void TermHistory::truncate(Sequence after) {
  while (!starts_.empty() && starts_.back().first > after) starts_.pop_back();
}

void TermHistory::reset(Position position) {
  starts_.clear();
  if (position.sequence) starts_.push_back({position.term, position.sequence});
}

Sequence TermHistory::common_prefix(Sequence last, const std::vector<TermStart>& other,
                                    Sequence other_last) const {
  Sequence best;
  for (size_t i = 0; i < starts_.size(); i++) {
    for (size_t j = 0; j < other.size(); j++) {
      if (starts_[i].term != other[j].term) continue;
      Sequence end = std::min(end_of(starts_, i, last), end_of(other, j, other_last));
      if (end >= starts_[i].first && end >= other[j].first) best = std::max(best, end);
    }
  }
  return best;
}

}  // namespace shima::replication
