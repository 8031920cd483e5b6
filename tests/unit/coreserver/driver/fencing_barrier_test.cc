#include "coreserver/driver/fencing_barrier.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace shima {
namespace {

// Servers that say no so many times first; negative: for ever.
struct Barrier : testing::Test {
  std::map<ServerId, int> refusals;
  std::map<ServerId, int> asked;
  std::atomic<bool> stopping{false};

  Status wait(uint32_t timeout_ms) {
    FencingBarrier barrier;
    barrier.pause_ms = 1;
    barrier.stopping = &stopping;
    barrier.name_of = [](ServerId id) { return "core-" + std::to_string(id.value); };
    barrier.ask = [this](ServerId id, uint32_t) {
      asked[id]++;
      int& left = refusals[id];
      if (left == 0) return Status::ok();
      if (left > 0) left--;
      return Status(Code::kUnavailable, "no connection");
    };
    std::set<ServerId> all;
    for (const auto& [id, count] : refusals) all.insert(id);
    return barrier.wait(all, timeout_ms);
  }
};

TEST_F(Barrier, EachServerIsAskedUntilItAnswersAndNotAgain) {
  refusals = {{ServerId(1), 0}, {ServerId(2), 3}, {ServerId(3), 1}};
  EXPECT_TRUE(wait(60'000));
  EXPECT_EQ(asked, (std::map<ServerId, int>{{ServerId(1), 1}, {ServerId(2), 4}, {ServerId(3), 2}}));
}

TEST_F(Barrier, WhoDoesNotAnswerIsNamedWithTheReason) {
  refusals = {{ServerId(1), -1}, {ServerId(2), 0}, {ServerId(3), -1}};
  Status status = wait(20);
  EXPECT_EQ(status.code(), Code::kUnavailable);
  for (const char* word : {"core-1", "core-3", "no connection", "call again"})
    EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
  EXPECT_EQ(status.message().find("core-2"), std::string::npos);
}

TEST_F(Barrier, EvenWithoutTimeEachIsAskedOnce) {
  refusals = {{ServerId(1), 0}, {ServerId(2), 0}};
  EXPECT_TRUE(wait(0));
  refusals = {{ServerId(1), 1}, {ServerId(2), 0}};
  EXPECT_FALSE(wait(0));
  EXPECT_EQ(asked[ServerId(2)], 2);
}

TEST_F(Barrier, AServerThatStopsGivesUp) {
  refusals = {{ServerId(1), -1}};
  stopping = true;
  EXPECT_FALSE(wait(600'000));
  EXPECT_EQ(asked[ServerId(1)], 1);
}

TEST_F(Barrier, NobodyToAskIsNobodyToWaitFor) { EXPECT_TRUE(wait(0)); }

}  // namespace
}  // namespace shima
