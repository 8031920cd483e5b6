#include "coreserver/replication/group_log.h"

#include <gtest/gtest.h>

namespace shima::replication {
namespace {

constexpr uint64_t kCost = 128;  // of a record without payload

RecordHeader record(uint64_t term, uint64_t sequence) {
  RecordHeader h;
  h.position = {Term(term), Sequence(sequence)};
  return h;
}
GroupLog log_of(uint64_t term, uint64_t count) {
  GroupLog log;
  for (uint64_t i = 1; i <= count; i++) log.append(record(term, i), 10 * i);
  return log;
}

TEST(GroupLog, CountsBytesBetweenPositions) {
  GroupLog log = log_of(1, 10);
  EXPECT_EQ(log.bytes_between(Sequence(0), Sequence(10)), 10 * kCost);
  EXPECT_EQ(log.bytes_between(Sequence(4), Sequence(6)), 2 * kCost);
  EXPECT_EQ(log.bytes_between(Sequence(6), Sequence(4)), 0u);
  log.release(Sequence(5));
  EXPECT_EQ(log.bytes_between(Sequence(0), Sequence(10)), 5 * kCost)
      << "what lies below the base counts as nothing";
}

TEST(GroupLog, CutsBatchesButNeverEmptyOnes) {
  GroupLog log = log_of(1, 10);
  EXPECT_EQ(log.within_bytes(Sequence(2), Sequence(10), 3 * kCost), Sequence(5));
  EXPECT_EQ(log.within_bytes(Sequence(2), Sequence(10), 1), Sequence(3));
  EXPECT_EQ(log.within_bytes(Sequence(2), Sequence(4), 100 * kCost), Sequence(4));
  EXPECT_EQ(log.within_bytes(Sequence(4), Sequence(4), 100 * kCost), Sequence(4));
}

TEST(GroupLog, IsDurableUpToWhatWasSynced) {
  GroupLog log = log_of(1, 3);
  EXPECT_TRUE(log.note_durable({Term(1), Sequence(2)}));
  EXPECT_FALSE(log.note_durable({Term(1), Sequence(2)}));
  EXPECT_EQ(log.durable(), Sequence(2));
}

TEST(GroupLog, WhatReplacedATruncatedRecordIsNotDurableByItsWord) {
  GroupLog log = log_of(1, 3);
  log.truncate(Sequence(1));
  log.append(record(2, 2), 0);
  log.append(record(2, 3), 0);
  EXPECT_TRUE(log.note_durable({Term(1), Sequence(3)}));
  EXPECT_EQ(log.durable(), Sequence(1)) << "record 1 was written before it, the new 2 and 3 after it";
}

TEST(GroupLog, TruncationTakesDurabilityBack) {
  GroupLog log = log_of(1, 3);
  log.note_durable({Term(1), Sequence(3)});
  log.truncate(Sequence(2));
  EXPECT_EQ(log.durable(), Sequence(2));
  EXPECT_EQ(log.last_position(), (Position{Term(1), Sequence(2)}));
}

TEST(GroupLog, KnowsWhenARecordCame) {
  GroupLog log = log_of(1, 3);
  EXPECT_EQ(log.time_of(Sequence(2)), 20u);
  log.release(Sequence(2));
  EXPECT_EQ(log.time_of(Sequence(2)), 0u);
}

}  // namespace
}  // namespace shima::replication
