// TermHistory: which term each record of a log has, as the list of places where a new term began (R11).
//
// PURE. Two logs that hold a record of the same term at the same sequence are equal up to there, since one
// primary incarnation writes a term and gives each sequence once (R4). So the histories alone tell where two
// logs part.
#pragma once

#include <vector>

#include "common/types/ids.h"

namespace shima::replication {

struct TermStart {
  Term term;
  Sequence first;  // sequence of the term's first record
  bool operator==(const TermStart&) const = default;
};

class TermHistory {
 public:
  TermHistory() = default;
  explicit TermHistory(std::vector<TermStart> starts) : starts_(std::move(starts)) {}

  // The term of the record at `sequence`, which must not lie beyond the log's end; 0 for sequence 0 or if
  // unknown.
  Term term_at(Sequence sequence) const;
  // The last sequence of terms up to `term` in a log that ends at `last`.
  Sequence last_of(Term term, Sequence last) const;
  // Notes a record at the log's end. Terms never fall.
  void append(Position position);
  // Forgets everything beyond `after`.
  void truncate(Sequence after);
  // Forgets all and begins anew with a log whose last record is `position`.
  void reset(Position position);
  const std::vector<TermStart>& starts() const { return starts_; }

  // The highest sequence up to which the log (this, ending at `last`) and another (`other`, ending at
  // `other_last`) are equal.
  Sequence common_prefix(Sequence last, const std::vector<TermStart>& other, Sequence other_last) const;

 private:
  std::vector<TermStart> starts_;  // ascending in both fields
};

}  // namespace shima::replication
