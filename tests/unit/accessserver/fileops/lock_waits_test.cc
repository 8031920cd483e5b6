// Circles among waiting locks (EDEADLK): found when they are, never believed from old news.
#include "accessserver/fileops/lock_waits.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

constexpr uint64_t kSession = 7;

metadata::v1::LockRange lock_of(uint64_t owner, uint64_t session = kSession) {
  metadata::v1::LockRange lock;
  lock.set_kind(metadata::v1::LOCK_KIND_POSIX);
  lock.set_type(metadata::v1::LOCK_TYPE_WRITE);
  lock.set_session(session);
  lock.set_owner(owner);
  lock.set_pid(static_cast<uint32_t>(1000 + owner));
  return lock;
}

// Tickets have the numbers of their owners unless said otherwise.
class CirclesOfLocks : public testing::Test {
 protected:
  void asks(uint64_t owner) { waits_.asks(owner, lock_of(owner)); }
  void asks_and_is_refused(uint64_t owner, uint64_t by) {
    asks(owner);
    waits_.refused(owner, lock_of(by));
  }
  std::optional<uint64_t> circle_through(uint64_t ticket) { return waits_.circle_through(ticket); }

  LockWaits waits_;
};

TEST_F(CirclesOfLocks, TheYoungestOfTwoIsNamedOnceBothHaveAskedAgain) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  asks_and_is_refused(1, 2);
  EXPECT_EQ(circle_through(1), 2u);
  EXPECT_EQ(circle_through(2), 2u);
}

TEST_F(CirclesOfLocks, OfThreeAreFound) {
  asks_and_is_refused(3, 1);
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 3);
  asks_and_is_refused(3, 1);
  asks_and_is_refused(1, 2);
  EXPECT_EQ(circle_through(1), 2u);
}

TEST_F(CirclesOfLocks, OldNewsIsNotBelieved) {
  asks_and_is_refused(1, 2);  // 2 may have freed its lock since, and only then have begun to wait
  asks_and_is_refused(2, 1);
  EXPECT_FALSE(circle_through(1));
  EXPECT_FALSE(circle_through(2));
}

TEST_F(CirclesOfLocks, AnAnswerIsAsOldAsItsQuestion) {
  asks(1);
  asks_and_is_refused(2, 1);
  waits_.refused(1, lock_of(2));  // to what was asked before 2 waited
  EXPECT_FALSE(circle_through(1));
}

TEST_F(CirclesOfLocks, WhoAsksAgainIsStillWaiting) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  asks_and_is_refused(1, 2);
  asks(2);
  EXPECT_EQ(circle_through(1), 2u);
}

TEST_F(CirclesOfLocks, EndWithAnyOfTheirWaits) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  asks_and_is_refused(1, 2);
  waits_.end(2);
  EXPECT_FALSE(circle_through(1));
  EXPECT_FALSE(circle_through(2));
}

TEST_F(CirclesOfLocks, AWaitThatOnlyLeadsToACircleIsNotPartOfIt) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  asks_and_is_refused(1, 2);
  asks_and_is_refused(3, 1);
  EXPECT_FALSE(circle_through(3));
}

TEST_F(CirclesOfLocks, OwnersOfOtherSessionsAreOthers) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  asks(1);
  waits_.refused(1, lock_of(2, kSession + 1));
  EXPECT_FALSE(circle_through(1));
}

TEST_F(CirclesOfLocks, ThreadsOfOneProcessMayFreeEachOther) {
  auto second_file = lock_of(2);
  second_file.set_pid(lock_of(1).pid());
  for (int i = 0; i < 2; ++i) {
    asks_and_is_refused(1, 2);
    waits_.asks(2, second_file);
    waits_.refused(2, lock_of(1));
  }
  EXPECT_FALSE(circle_through(1));
}

TEST_F(CirclesOfLocks, AnOwnerThatWaitsTwiceHasThreads) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  waits_.asks(20, lock_of(2));
  asks_and_is_refused(1, 2);
  EXPECT_FALSE(circle_through(1));
  waits_.end(20);
  asks_and_is_refused(1, 2);
  EXPECT_EQ(circle_through(1), 2u);
}

TEST_F(CirclesOfLocks, OfFlockAreNotLookedFor) {
  auto flock = [](uint64_t owner) {
    auto lock = lock_of(owner);
    lock.set_kind(metadata::v1::LOCK_KIND_FLOCK);
    return lock;
  };
  for (const uint64_t owner : {1, 2, 1}) {
    waits_.asks(owner, flock(owner));
    waits_.refused(owner, flock(3 - owner));
  }
  EXPECT_FALSE(circle_through(1));
}

TEST_F(CirclesOfLocks, ANewSessionBeginsAnew) {
  asks_and_is_refused(1, 2);
  asks_and_is_refused(2, 1);
  waits_.asks(2, lock_of(2, kSession + 1));
  asks_and_is_refused(1, 2);
  EXPECT_FALSE(circle_through(1));
}

}  // namespace
}  // namespace shima
