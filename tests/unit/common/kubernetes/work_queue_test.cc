// The queue of keys that somebody has to look at.
#include "common/kubernetes/work_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace shima {
namespace {

std::string take(WorkQueue& queue, uint64_t now_ms = 0) { return queue.take(now_ms).value_or("nothing"); }

TEST(WorkQueue, AKeyThatWaitsIsThereOnce) {
  WorkQueue queue;
  queue.add("a");
  queue.add("b");
  queue.add("a");
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_EQ(take(queue), "a");
  EXPECT_EQ(take(queue), "b");
  EXPECT_EQ(take(queue), "nothing");
}

TEST(WorkQueue, AKeyAddedWhileItIsWorkedOnComesAgainAfterwards) {
  WorkQueue queue;
  queue.add("a");
  ASSERT_EQ(take(queue), "a");
  queue.add("a");
  queue.add("a");
  EXPECT_EQ(take(queue), "nothing") << "one worker at a time";
  queue.done("a");
  EXPECT_EQ(take(queue), "a");
  queue.done("a");
  EXPECT_EQ(take(queue), "nothing");
}

TEST(WorkQueue, ADelayedKeyComesWhenItIsDue) {
  WorkQueue queue;
  queue.add_after("a", 100, 1000);
  EXPECT_EQ(queue.next_due_ms(), 1100u);
  EXPECT_EQ(take(queue, 1099), "nothing");
  EXPECT_EQ(take(queue, 1100), "a");
  EXPECT_FALSE(queue.next_due_ms());
}

TEST(WorkQueue, OfSeveralDelaysTheEarliestCounts) {
  WorkQueue queue;
  queue.add_after("a", 100, 0);
  queue.add_after("a", 300, 0);
  EXPECT_EQ(queue.next_due_ms(), 100u);
  queue.add_after("a", 20, 0);
  EXPECT_EQ(queue.next_due_ms(), 20u);
  queue.add("a");
  EXPECT_FALSE(queue.next_due_ms());
  EXPECT_EQ(take(queue), "a");
  queue.done("a");
  EXPECT_EQ(take(queue, 10'000), "nothing");
}

TEST(WorkQueue, DueKeysComeInTheOrderOfTheirTimes) {
  WorkQueue queue;
  queue.add_after("late", 30, 0);
  queue.add_after("early", 10, 0);
  queue.add_after("middle", 20, 0);
  EXPECT_EQ(take(queue, 100), "early");
  EXPECT_EQ(take(queue, 100), "middle");
  EXPECT_EQ(take(queue, 100), "late");
}

TEST(WorkQueue, FailuresOfAKeyDoubleItsDelayUntilItIsForgotten) {
  WorkQueue queue;
  uint64_t now = 0;
  uint64_t expected = 5;
  for (int i = 0; i < 40; ++i) {
    queue.add_rate_limited("a", now);
    ASSERT_EQ(queue.next_due_ms(), now + expected) << i;
    now += expected;
    ASSERT_EQ(take(queue, now), "a");
    queue.done("a");
    expected = std::min<uint64_t>(expected * 2, 300'000);
  }
  EXPECT_EQ(expected, 300'000u);
  EXPECT_EQ(queue.failures("a"), 40u);
  queue.add_rate_limited("b", now);
  EXPECT_EQ(queue.next_due_ms(), now + 5) << "each key has its own";
  queue.forget("a");
  queue.add_rate_limited("a", now);
  EXPECT_EQ(queue.failures("a"), 1u);
}

TEST(WorkQueue, ADelayedKeyThatIsDueWhileItIsWorkedOnWaitsForDone) {
  WorkQueue queue;
  queue.add("a");
  ASSERT_EQ(take(queue), "a");
  queue.add_after("a", 10, 0);
  EXPECT_EQ(take(queue, 50), "nothing");
  queue.done("a");
  EXPECT_EQ(take(queue, 50), "a");
}

TEST(WorkQueue, DoneOfAKeyThatNobodyTookDoesNothing) {
  WorkQueue queue;
  queue.add("a");
  queue.done("a");
  EXPECT_EQ(queue.waiting(), 1u);
  EXPECT_EQ(take(queue), "a");
  EXPECT_EQ(take(queue), "nothing");
}

TEST(WorkQueue, TheEndOfTimeIsNotPassed) {
  WorkQueue queue;
  queue.add_after("a", UINT64_MAX, 1000);
  EXPECT_EQ(take(queue, UINT64_MAX - 1), "nothing");
}

// Whatever is added is worked on after that, by one worker at a time.
TEST(WorkQueue, NothingIsLostOrWorkedOnTwiceAtATime) {
  std::mt19937_64 random(20261122);
  WorkQueue queue;
  std::map<std::string, bool> owed;  // added since it was last taken
  std::set<std::string> in_hands;
  uint64_t now = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string key = "key-" + std::to_string(random() % 20);
    switch (random() % 5) {
      case 0:
        queue.add(key);
        owed[key] = true;
        break;
      case 1:
        queue.add_after(key, random() % 1000, now);
        owed[key] = true;
        break;
      case 2:
        now += random() % 100;
        break;
      case 3:
        if (auto taken = queue.take(now)) {
          ASSERT_TRUE(in_hands.insert(*taken).second) << *taken;
          ASSERT_TRUE(owed[*taken]) << *taken << " was not asked for";
          owed[*taken] = false;
        }
        break;
      default:
        if (in_hands.erase(key)) queue.done(key);
    }
  }
  while (true) {
    for (const std::string& key : in_hands) queue.done(key);
    in_hands.clear();
    auto taken = queue.take(now + 1000);
    if (!taken) break;
    in_hands.insert(*taken);
    owed[*taken] = false;
  }
  for (const auto& [key, is_owed] : owed) EXPECT_FALSE(is_owed) << key << " was lost";
  EXPECT_EQ(queue.waiting(), 0u);
}

}  // namespace
}  // namespace shima
