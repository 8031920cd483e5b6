// Who of several leads, by a Lease object.
#include "common/kubernetes/leader_lease.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace shima {
namespace {

using nlohmann::json;

constexpr uint64_t kWall = 1'767'323'045'678'901;  // 2026-01-02T03:04:05.678901Z

json lease_of(const std::string& holder, const std::string& renew_time, int duration_s = 15) {
  return {{"metadata", {{"name", "operator"}, {"namespace", "storage"}, {"resourceVersion", "1"}}},
          {"spec",
           {{"holderIdentity", holder},
            {"renewTime", renew_time},
            {"leaseDurationSeconds", duration_s},
            {"leaseTransitions", 3}}}};
}

std::string words(const std::vector<LeaderLease::Effect>& effects) {
  std::string text;
  for (const auto& effect : effects) {
    text += text.empty() ? "" : ", ";
    if (std::holds_alternative<LeaderLease::Started>(effect)) text += "started";
    if (std::holds_alternative<LeaderLease::Lost>(effect)) text += "lost";
    if (std::holds_alternative<LeaderLease::Read>(effect)) text += "read";
    if (std::holds_alternative<LeaderLease::Create>(effect)) text += "create";
    if (std::holds_alternative<LeaderLease::Replace>(effect)) text += "replace";
    if (const auto* wait = std::get_if<LeaderLease::Wait>(&effect))
      text += "wait " + std::to_string(wait->delay_ms);
  }
  return text;
}

class LeaderLeaseTest : public testing::Test {
 protected:
  std::string step(uint64_t now_ms, LeaderLease::Event event) {
    std::vector<LeaderLease::Effect> effects;
    lease_.step({now_ms, kWall + now_ms * 1000}, event, effects);
    for (const auto& effect : effects) {
      if (const auto* create = std::get_if<LeaderLease::Create>(&effect)) written_ = create->lease;
      if (const auto* replace = std::get_if<LeaderLease::Replace>(&effect)) written_ = replace->lease;
    }
    return words(effects);
  }
  std::string tick(uint64_t now_ms) { return step(now_ms, LeaderLease::Tick{}); }
  std::string read(uint64_t now_ms, Result<json> lease) {
    return step(now_ms, LeaderLease::LeaseRead{std::move(lease)});
  }
  std::string read_failed(uint64_t now_ms, Code code) { return read(now_ms, Status(code, "why")); }
  std::string written(uint64_t now_ms) { return step(now_ms, LeaderLease::LeaseWritten{written_}); }
  std::string write_failed(uint64_t now_ms, Code code) {
    return step(now_ms, LeaderLease::LeaseWritten{Status(code, "why")});
  }
  // Leads since 1000.
  void lead() {
    ASSERT_EQ(tick(1000), "read");
    ASSERT_EQ(read_failed(1000, Code::kNotFound), "create");
    ASSERT_EQ(written(1010), "started, wait 2000");
  }

  LeaderLease lease_{"storage", "operator", "me", {}, [] { return 0; }};
  json written_;
};

TEST_F(LeaderLeaseTest, WhoFindsNoLeaseMakesOneAndLeads) {
  lead();
  EXPECT_TRUE(lease_.is_leader(1010));
  EXPECT_EQ(lease_.holder(), "me");
  EXPECT_EQ(written_["metadata"]["namespace"], "storage");
  EXPECT_EQ(written_["spec"]["holderIdentity"], "me");
  EXPECT_EQ(written_["spec"]["leaseDurationSeconds"], 15);
  EXPECT_EQ(written_["spec"]["leaseTransitions"], 0);
  EXPECT_EQ(written_["spec"]["renewTime"], "2026-01-02T03:04:06.678901Z");
}

TEST_F(LeaderLeaseTest, ALeaderRenewsWithoutReading) {
  lead();
  EXPECT_EQ(tick(3000), "replace");
  EXPECT_EQ(written_["spec"]["renewTime"], "2026-01-02T03:04:08.678901Z");
  EXPECT_EQ(written_["spec"]["acquireTime"], "2026-01-02T03:04:06.678901Z");
  EXPECT_EQ(written(3020), "wait 2000");
  EXPECT_TRUE(lease_.is_leader(12'999));
  EXPECT_FALSE(lease_.is_leader(13'000)) << "counts from when the write was sent";
}

TEST_F(LeaderLeaseTest, AnothersLeaseIsTakenOnlyAfterItsDurationByOurClock) {
  EXPECT_EQ(tick(0), "read");
  // The other's clock is years behind, or ahead: its renewTime is only compared with what it was.
  EXPECT_EQ(read(0, lease_of("other", "1999-01-01T00:00:00.000000Z")), "wait 2000");
  EXPECT_EQ(read(14'999, lease_of("other", "1999-01-01T00:00:00.000000Z")), "wait 2000");
  EXPECT_EQ(read(15'000, lease_of("other", "1999-01-01T00:00:00.000000Z")), "replace");
  EXPECT_EQ(written_["spec"]["leaseTransitions"], 4);
  EXPECT_EQ(written_["metadata"]["resourceVersion"], "1") << "so that only one of several succeeds";
  EXPECT_EQ(written(15'010), "started, wait 2000");
}

TEST_F(LeaderLeaseTest, ARenewedLeaseBeginsAnew) {
  read(0, lease_of("other", "a"));
  EXPECT_EQ(read(14'000, lease_of("other", "b")), "wait 2000");
  EXPECT_EQ(read(28'999, lease_of("other", "b")), "wait 2000");
  EXPECT_EQ(read(29'000, lease_of("other", "b")), "replace");
}

TEST_F(LeaderLeaseTest, AReleasedLeaseIsTakenAtOnce) {
  EXPECT_EQ(read(0, lease_of("", "a", 1)), "replace");
  EXPECT_EQ(written_["spec"]["leaseDurationSeconds"], 15);
}

TEST_F(LeaderLeaseTest, TheDurationIsWhatTheHolderSaysWithinBounds) {
  read(0, lease_of("other", "a", 60));
  EXPECT_EQ(read(59'999, lease_of("other", "a", 60)), "wait 2000");
  EXPECT_EQ(read(60'000, lease_of("other", "a", 60)), "replace");
  read(100'000, lease_of("third", "b", 2'000'000'000));
  EXPECT_EQ(read(699'999, lease_of("third", "b", 2'000'000'000)), "wait 2000");
  EXPECT_EQ(read(700'000, lease_of("third", "b", 2'000'000'000)), "replace");
  read(800'000, lease_of("fourth", "c", -5));
  EXPECT_EQ(read(801'000, lease_of("fourth", "c", -5)), "replace");
}

TEST_F(LeaderLeaseTest, WhoLosesTheRaceReadsAgainAndFollows) {
  tick(0);
  ASSERT_EQ(read(0, lease_of("", "a", 1)), "replace");
  EXPECT_EQ(write_failed(10, Code::kConflict), "read");
  EXPECT_EQ(read(20, lease_of("other", "b")), "wait 2000");
  EXPECT_FALSE(lease_.is_leader(20));
}

TEST_F(LeaderLeaseTest, EndlessConflictsDoNotSpin) {
  tick(0);
  read(0, lease_of("", "a", 1));
  EXPECT_EQ(write_failed(10, Code::kConflict), "read");
  EXPECT_EQ(read(20, lease_of("", "b", 1)), "replace");
  EXPECT_EQ(write_failed(30, Code::kConflict), "wait 2000");
}

TEST_F(LeaderLeaseTest, ALeaderThatCannotRenewInTimeLosesIt) {
  lead();
  EXPECT_EQ(tick(3000), "replace");
  EXPECT_EQ(write_failed(5000, Code::kUnavailable), "wait 2000");
  EXPECT_EQ(tick(9500), "replace");
  EXPECT_EQ(write_failed(10'500, Code::kUnavailable), "wait 500") << "not past the deadline";
  EXPECT_EQ(tick(11'000), "lost, read");
  EXPECT_FALSE(lease_.is_leader(11'000));
}

TEST_F(LeaderLeaseTest, ALeaderThatSleptIsNoneWhenItWakes) {
  lead();
  EXPECT_FALSE(lease_.is_leader(3'600'000));
  EXPECT_EQ(tick(3'600'000), "lost, read");
  EXPECT_EQ(read(3'600'010, lease_of("other", "b")), "wait 2000");
}

TEST_F(LeaderLeaseTest, ASuccessThatTookTooLongMakesNobodyLeader) {
  tick(0);
  ASSERT_EQ(read(0, lease_of("", "a", 1)), "replace");
  EXPECT_EQ(written(10'000), "wait 2000");
  EXPECT_FALSE(lease_.is_leader(10'000));
  EXPECT_EQ(tick(12'000), "read");
  EXPECT_EQ(read(12'010, written_), "replace") << "it is ours for all that the server knows";
  EXPECT_EQ(written(12'020), "started, wait 2000");
}

TEST_F(LeaderLeaseTest, ARenewalThatComesAfterTheDeadlineIsLostAndStartedAgain) {
  lead();
  EXPECT_EQ(tick(10'000), "replace");
  EXPECT_EQ(written(12'000), "lost, started, wait 2000");
  EXPECT_TRUE(lease_.is_leader(19'999));
}

TEST_F(LeaderLeaseTest, ALeaderWhoseLeaseAnotherHasTakenStopsAtOnce) {
  lead();
  EXPECT_EQ(tick(3000), "replace");
  EXPECT_EQ(write_failed(3010, Code::kConflict), "read");
  EXPECT_EQ(read(3020, lease_of("other", "b")), "lost, wait 2000");
}

TEST_F(LeaderLeaseTest, ADeletedLeaseIsMadeAgainByItsHolderAndNotByThoseWhoSawOneAlive) {
  lead();
  EXPECT_EQ(tick(3000), "replace");
  EXPECT_EQ(write_failed(3010, Code::kNotFound), "read");
  EXPECT_EQ(read_failed(3020, Code::kNotFound), "create");
  LeaderLease follower("storage", "operator", "follower", {}, [] { return 0; });
  std::vector<LeaderLease::Effect> effects;
  follower.step({0, kWall}, LeaderLease::LeaseRead{lease_of("me", "a")}, effects);
  effects.clear();
  follower.step({2000, kWall}, LeaderLease::LeaseRead{Status(Code::kNotFound, "gone")}, effects);
  EXPECT_EQ(words(effects), "wait 2000");
  effects.clear();
  follower.step({15'000, kWall}, LeaderLease::LeaseRead{Status(Code::kNotFound, "gone")}, effects);
  EXPECT_EQ(words(effects), "create");
}

TEST_F(LeaderLeaseTest, OddLeasesAreWrittenOver) {
  for (json odd : {json{{"spec", 7}}, json{{"spec", {{"holderIdentity", 7}, {"leaseTransitions", "x"}}}},
                   json::object(), json{{"metadata", 3}, {"spec", {{"leaseTransitions", INT64_MAX}}}}}) {
    EXPECT_EQ(read(0, odd), "replace") << odd;
    EXPECT_EQ(written_["spec"]["holderIdentity"], "me");
    EXPECT_LE(written_["spec"]["leaseTransitions"].get<int64_t>(), INT32_MAX);
  }
}

TEST_F(LeaderLeaseTest, OnlyWhatIsOursIsReleased) {
  const json free = lease_.released(lease_of("me", "a"), kWall);
  EXPECT_EQ(free["spec"]["holderIdentity"], "");
  EXPECT_EQ(free["spec"]["leaseDurationSeconds"], 1);
  EXPECT_EQ(free["spec"]["leaseTransitions"], 3);
  EXPECT_TRUE(lease_.released(lease_of("other", "a"), kWall).is_null());
  EXPECT_TRUE(lease_.released(json::object(), kWall).is_null());
}

TEST(MicroTime, IsAsRfc3339HasIt) {
  EXPECT_EQ(micro_time(kWall), "2026-01-02T03:04:05.678901Z");
  EXPECT_EQ(micro_time(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(micro_time(951'782'399'000'001), "2000-02-28T23:59:59.000001Z");
  EXPECT_EQ(micro_time(951'782'400'000'000), "2000-02-29T00:00:00.000000Z");
  EXPECT_EQ(micro_time(4'107'542'400'000'000), "2100-03-01T00:00:00.000000Z");
}

// Three processes with wall clocks of their own that jump, a server that loses requests and answers, and
// steps that come late.
class Contest {
 public:
  explicit Contest(uint64_t seed) : random_(seed) {
    for (int i = 0; i < 3; ++i) {
      auto& one = processes_[i];
      one.offset_ms = random_() % 1'000'000;
      one.wall_us = kWall + random_() % 1'000'000'000'000;
      one.lease = std::make_unique<LeaderLease>("storage", "operator", "p" + std::to_string(i), LeaseTerms{},
                                                [this] { return random_(); });
      one.next = [this, i] { step(i, LeaderLease::Tick{}); };
    }
  }

  void run(uint64_t until_ms) {
    while (now_ms_ < until_ms && !testing::Test::HasFatalFailure()) {
      now_ms_ += 50;
      if (random_() % 400 == 0) is_away_until_ms_ = now_ms_ + random_() % 20'000;
      for (auto& [index, one] : processes_) {
        if (random_() % 300 == 0) one.wall_us = random_() % (2 * kWall);
        if (random_() % 2000 == 0)
          one.at_ms = std::max(one.at_ms, now_ms_ + random_() % 40'000);  // it sleeps
        if (now_ms_ >= one.at_ms) std::exchange(one.next, nullptr)();
      }
      count_leaders();
    }
  }
  int changes() const { return changes_; }

 private:
  struct Process {
    uint64_t offset_ms = 0, wall_us = 0, at_ms = 0;
    std::unique_ptr<LeaderLease> lease;
    std::function<void()> next;
  };

  void count_leaders() {
    int leaders = 0;
    for (auto& [index, one] : processes_) {
      if (!one.lease->is_leader(now_ms_ + one.offset_ms)) continue;
      ++leaders;
      if (last_leader_ != index) ++changes_;
      last_leader_ = index;
    }
    ASSERT_LE(leaders, 1) << "at " << now_ms_;
  }

  void step(int index, LeaderLease::Event event) {
    auto& one = processes_[index];
    std::vector<LeaderLease::Effect> effects;
    one.lease->step({now_ms_ + one.offset_ms, one.wall_us}, event, effects);
    const auto command = effects.back();
    if (const auto* wait = std::get_if<LeaderLease::Wait>(&command)) {
      later(index, wait->delay_ms, [this, index] { step(index, LeaderLease::Tick{}); });
    } else if (std::holds_alternative<LeaderLease::Read>(command)) {
      answer<LeaderLease::LeaseRead>(index, is_away() ? away() : stored());
    } else {
      const auto* replace = std::get_if<LeaderLease::Replace>(&command);
      const json wanted = replace ? replace->lease : std::get<LeaderLease::Create>(command).lease;
      Result<json> result = is_away() ? away() : store(wanted, replace != nullptr);
      if (random_() % 10 == 0) result = away();  // carried out, and the answer is lost
      answer<LeaderLease::LeaseWritten>(index, result);
    }
  }
  template <typename Event>
  void answer(int index, Result<json> result) {
    later(index, random_() % 20 ? random_() % 300 : random_() % 4'000,
          [this, index, result] { step(index, Event{result}); });
  }
  void later(int index, uint64_t delay_ms, std::function<void()> task) {
    processes_[index].at_ms = now_ms_ + delay_ms;
    processes_[index].next = std::move(task);
  }

  bool is_away() const { return now_ms_ < is_away_until_ms_; }
  static Result<json> away() { return Status(Code::kUnavailable, "away"); }
  Result<json> stored() const {
    return lease_.is_null() ? Result<json>(Status(Code::kNotFound, "none")) : Result<json>(lease_);
  }
  Result<json> store(json wanted, bool replaces) {
    if (!replaces && !lease_.is_null()) return Status(Code::kAlreadyExists, "there is one");
    if (replaces && lease_.is_null()) return Status(Code::kNotFound, "none");
    if (replaces && wanted["metadata"]["resourceVersion"] != lease_["metadata"]["resourceVersion"])
      return Status(Code::kConflict, "changed");
    wanted["metadata"]["resourceVersion"] = std::to_string(++version_);
    lease_ = wanted;
    return lease_;
  }

  std::mt19937_64 random_;
  std::map<int, Process> processes_;
  json lease_;
  uint64_t now_ms_ = 0, version_ = 0, is_away_until_ms_ = 0;
  int last_leader_ = -1, changes_ = 0;
};

TEST(LeaderLeaseRandom, NeverTwoLeadWhateverTheWallClocksAndTheNetworkDo) {
  int changes = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Contest contest(seed);
    contest.run(600'000);
    if (HasFatalFailure()) return;
    changes += contest.changes();
  }
  EXPECT_GT(changes, 200) << "leaders have to change for this to say anything";
}

}  // namespace
}  // namespace shima
