#include "coreserver/replication/term_history.h"

#include <gtest/gtest.h>

namespace shima::replication {
namespace {

TermHistory sample() {
  return TermHistory({{Term(1), Sequence(1)}, {Term(3), Sequence(5)}, {Term(4), Sequence(9)}});
}

TEST(TermHistory, KnowsTheTermOfEachRecord) {
  TermHistory h = sample();
  EXPECT_EQ(h.term_at(Sequence(0)), Term(0));
  EXPECT_EQ(h.term_at(Sequence(4)), Term(1));
  EXPECT_EQ(h.term_at(Sequence(5)), Term(3));
  EXPECT_EQ(h.term_at(Sequence(20)), Term(4));
}

TEST(TermHistory, KnowsWhereATermEnds) {
  TermHistory h = sample();
  EXPECT_EQ(h.last_of(Term(1), Sequence(12)), Sequence(4));
  EXPECT_EQ(h.last_of(Term(2), Sequence(12)), Sequence(4));
  EXPECT_EQ(h.last_of(Term(4), Sequence(12)), Sequence(12));
  EXPECT_EQ(h.last_of(Term(0), Sequence(12)), Sequence(0));
}

TEST(TermHistory, ForgetsWhatIsTruncated) {
  TermHistory h = sample();
  h.truncate(Sequence(8));
  EXPECT_EQ(h.starts().size(), 2u);
  h.append({Term(6), Sequence(9)});
  EXPECT_EQ(h.term_at(Sequence(9)), Term(6));
}

TEST(TermHistory, EqualLogsShareTheShorterOne) {
  EXPECT_EQ(sample().common_prefix(Sequence(12), sample().starts(), Sequence(10)), Sequence(10));
}

TEST(TermHistory, LogsPartWhereATermBeganElsewhere) {
  std::vector<TermStart> other{{Term(1), Sequence(1)}, {Term(5), Sequence(3)}};
  EXPECT_EQ(sample().common_prefix(Sequence(12), other, Sequence(30)), Sequence(2));
}

TEST(TermHistory, NothingIsSharedWithoutACommonTerm) {
  EXPECT_EQ(sample().common_prefix(Sequence(12), {{Term(9), Sequence(1)}}, Sequence(5)), Sequence(0));
  EXPECT_EQ(sample().common_prefix(Sequence(12), {}, Sequence(0)), Sequence(0));
}

TEST(TermHistory, ALogThatBeganWithAResyncSharesItsTail) {
  TermHistory h;
  h.reset({Term(3), Sequence(7)});
  h.append({Term(4), Sequence(9)});
  EXPECT_EQ(h.common_prefix(Sequence(10), sample().starts(), Sequence(20)), Sequence(10));
}

}  // namespace
}  // namespace shima::replication
