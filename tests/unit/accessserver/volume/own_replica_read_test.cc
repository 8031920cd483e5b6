// When the bytes of the own site's replica may be given out (R17).
#include "accessserver/volume/own_replica_read.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

PieceReply version(uint64_t term, uint64_t sequence) {
  return {.sequence = Sequence(sequence), .term = Term(term)};
}

PieceReply bytes(uint64_t term, uint64_t sequence, uint64_t visible) {
  return {.sequence = Sequence(sequence), .term = Term(term), .visible = Sequence(visible)};
}

TEST(OwnReplicaRead, IsCurrentIfTheMemberHasAllThatThePrimaryHad) {
  EXPECT_EQ(compare_versions(version(1, 20), bytes(1, 20, 20)), ReplicaVerdict::kCurrent);
  EXPECT_EQ(compare_versions(version(1, 20), bytes(1, 20, 99)), ReplicaVerdict::kCurrent);
}

TEST(OwnReplicaRead, IsCurrentIfOnlyATruncationElsewhereIsNewer) {
  EXPECT_EQ(compare_versions(version(1, 30), bytes(1, 20, 30)), ReplicaVerdict::kCurrent);
  EXPECT_EQ(compare_versions(version(1, 30), bytes(1, 20, 29)), ReplicaVerdict::kBehind);
}

TEST(OwnReplicaRead, IsBehindIfARecordIsMissing) {
  EXPECT_EQ(compare_versions(version(1, 20), bytes(1, 10, 19)), ReplicaVerdict::kBehind);
  EXPECT_EQ(compare_versions(version(1, 20), bytes(0, 0, 0)), ReplicaVerdict::kBehind);
}

TEST(OwnReplicaRead, IsNotTakenIfItIsNewerThanThePrimarysAnswer) {
  EXPECT_EQ(compare_versions(version(1, 20), bytes(1, 21, 21)), ReplicaVerdict::kOther);
  EXPECT_EQ(compare_versions(version(1, 20), bytes(0, 0, 25)), ReplicaVerdict::kOther);  // taken away since
}

TEST(OwnReplicaRead, IsNotTakenIfTheSameSequenceIsOfAnotherTerm) {
  EXPECT_EQ(compare_versions(version(2, 20), bytes(1, 20, 20)), ReplicaVerdict::kOther);
}

TEST(OwnReplicaRead, ABlockThatThePrimaryDoesNotHaveIsAHole) {
  EXPECT_TRUE(is_hole(version(0, 0)));
  EXPECT_TRUE(is_hole(version(0, 30)));  // a truncation took it away
  EXPECT_FALSE(is_hole(version(1, 1)));
}

}  // namespace
}  // namespace shima
