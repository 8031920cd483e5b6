#include "operator/reconcile/restart_guard.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

constexpr uint64_t kSettle = 10'000;

CoreSnapshot whole(uint64_t taken_ms) {
  CoreSnapshot snapshot;
  snapshot.taken_ms = taken_ms;
  snapshot.health = {.answered = true, .etcd_reachable = true, .volumes = 1};
  return snapshot;
}

std::vector<CoreServerPod> pods(bool second_is_ready) {
  return {{.name = "a-0", .ready = true}, {.name = "a-1", .ready = second_is_ready}};
}

TEST(RestartGuard, WordsFromBeforeTheLastChangeOfAPodDoNotCount) {
  RestartGuard guard(kSettle);
  EXPECT_FALSE(guard.trusted(whole(1'000), pods(true), 1'000).answered) << "nothing was seen before";
  EXPECT_TRUE(guard.trusted(whole(11'000), pods(true), 11'000).answered);
  EXPECT_TRUE(guard.trusted(whole(20'000), pods(true), 20'000).answered);
  EXPECT_FALSE(guard.trusted(whole(20'000), pods(false), 21'000).answered);
  const HealthView early = guard.trusted(whole(30'000), pods(false), 30'000);
  EXPECT_FALSE(early.answered);
  EXPECT_FALSE(early.error.empty());
  EXPECT_TRUE(guard.trusted(whole(31'000), pods(false), 31'000).answered);
}

TEST(RestartGuard, TheOrderOfPodsIsNoChange) {
  RestartGuard guard(kSettle);
  auto seen = pods(true);
  guard.trusted(whole(0), seen, 0);
  std::swap(seen[0], seen[1]);
  EXPECT_TRUE(guard.trusted(whole(10'000), seen, 10'000).answered);
}

TEST(RestartGuard, OldWordsDoNotCount) {
  RestartGuard guard(kSettle);
  guard.trusted(whole(0), pods(true), 0);
  EXPECT_TRUE(guard.trusted(whole(10'000), pods(true), 70'000).answered);
  EXPECT_FALSE(guard.trusted(whole(10'000), pods(true), 70'001).answered);
}

TEST(RestartGuard, ARestartItselfIsAChange) {
  RestartGuard guard(kSettle);
  guard.trusted(whole(0), pods(true), 0);
  ASSERT_TRUE(guard.trusted(whole(15'000), pods(true), 15'000).answered);
  guard.restarted("a-1", "uid", 16'000);
  EXPECT_FALSE(guard.trusted(whole(16'500), pods(true), 17'000).answered);
}

TEST(RestartGuard, APodThatWasToldToGoIsWaitedForUntilItGoes) {
  RestartGuard guard(kSettle);
  EXPECT_FALSE(guard.is_pending("", false, 0));
  guard.restarted("a-1", "uid", 1'000);
  EXPECT_TRUE(guard.is_pending("uid", false, 2'000)) << "the watch has not shown it yet";
  EXPECT_FALSE(guard.is_pending("uid", true, 2'000)) << "it goes";
  EXPECT_FALSE(guard.is_pending("other", false, 2'000)) << "its successor is there";
  EXPECT_FALSE(guard.is_pending("uid", false, 1'000 + RestartGuard::kUnseenMs))
      << "it does not go: try again";
}

TEST(ToldHealth, SaysWhenTheLastAnswerIsTooOld) {
  EXPECT_TRUE(told_health(whole(0), 60'000).answered);
  EXPECT_FALSE(told_health(whole(0), 60'001).answered);
}

TEST(RestartGuard, SilenceIsToldInTheSameWordsAtEachLook) {
  CoreSnapshot silent;
  silent.health.error =
      "no core server answered within 3000 ms; tried a:7000 (no connection); b:7000 (not tried)";
  EXPECT_EQ(told_health(silent, 1).error, "no core server answered within 3000 ms");
  silent.health.error = "there are no core servers yet";
  EXPECT_EQ(told_health(silent, 1).error, "there are no core servers yet");
}

TEST(RestartGuard, ANewPodIsGivenSomeTimeToBecomeReady) {
  RestartGuard guard(kSettle);
  std::vector<CoreServerPod> seen{{.name = "new", .up_to_date = true},
                                  {.name = "old"},
                                  {.name = "well", .ready = true, .up_to_date = true}};
  const auto settling = [&](uint64_t now_ms) {
    guard.mark_settling(seen, now_ms);
    EXPECT_FALSE(seen[1].settling || seen[2].settling);
    return seen[0].settling;
  };
  EXPECT_TRUE(settling(1'000));
  EXPECT_TRUE(settling(1'000 + RestartGuard::kSettlingMs - 1));
  EXPECT_FALSE(settling(1'000 + RestartGuard::kSettlingMs));
  guard.restarted("new", "u1", 500'000);
  EXPECT_TRUE(settling(501'000)) << "it is another pod now";
  seen[0].ready = true;
  EXPECT_FALSE(settling(502'000));
  seen[0].ready = false;
  EXPECT_TRUE(settling(900'000)) << "it was ready in between";
}

}  // namespace
}  // namespace shima
