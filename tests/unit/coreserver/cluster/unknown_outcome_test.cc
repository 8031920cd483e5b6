// R4 without chance: an etcd in memory whose answers are scripted, so that a request may be made and not
// answered, or arrive long after its sender gave it up.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>

#include "coreserver/cluster/counter.h"
#include "coreserver/cluster/records.h"
#include "coreserver/cluster/volume_store.h"
#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

// What becomes of the next compare-and-swap.
enum class Fate {
  kAnswered,
  kMadeUnanswered,    // done, but the answer is lost
  kLostUnanswered,    // never arrives
  kArrivesLater,      // not answered; arrives just before the next compare-and-swap
  kArrivesAfterNext,  // not answered; arrives just after the next compare-and-swap
  kNotSent,
};

class ScriptedEtcd : public EtcdClient {
 public:
  std::deque<Fate> fates;  // then kAnswered
  int made = 0;            // compare-and-swaps that won

  Result<EtcdKeyValue> get(const std::string& key, EtcdRead) override {
    auto it = items_.find(key);
    if (it == items_.end()) return {Code::kNotFound, "no " + key};
    return it->second;
  }
  Result<EtcdRange> list(const std::string& prefix, EtcdRead) override {
    EtcdRange range{{}, revision_};
    for (const auto& [key, item] : items_) {
      if (key.starts_with(prefix)) range.items.push_back(item);
    }
    return range;
  }
  Result<EtcdRevision> put(const std::string& key, const std::string& value, EtcdLease) override {
    revision_ = revision_.next();
    items_[key] = {key, value, revision_, {}};
    return revision_;
  }
  Result<EtcdRevision> compare_and_swap(const std::string& key, EtcdRevision expected,
                                        const std::string& value, EtcdLease) override {
    return meet_fate([=, this] { return swap(key, expected, value); });
  }
  Result<EtcdRevision> compare_and_remove(const std::string& key, EtcdRevision expected) override {
    return meet_fate([=, this]() -> Result<EtcdRevision> {
      auto it = items_.find(key);
      if (it == items_.end() || it->second.mod_revision != expected) return {Code::kConflict, "lost"};
      items_.erase(it);
      return revision_ = revision_.next();
    });
  }
  Result<EtcdRevision> transact(const std::vector<EtcdCompare>&, const std::vector<EtcdOperation>&) override {
    return {Code::kInternal, "not used here"};
  }
  Result<EtcdLease> grant_lease(uint32_t) override { return {Code::kInternal, "not used here"}; }
  Status revoke_lease(EtcdLease) override { return Status::ok(); }
  std::unique_ptr<EtcdLeaseKeeper> keep_lease(EtcdLease, uint32_t, OnLeaseLost) override { return nullptr; }
  std::unique_ptr<EtcdWatch> watch(const std::string&, EtcdRevision, OnWatch) override { return nullptr; }

 private:
  using Request = std::function<Result<EtcdRevision>()>;

  Result<EtcdRevision> swap(const std::string& key, EtcdRevision expected, const std::string& value) {
    auto it = items_.find(key);
    EtcdRevision now = it == items_.end() ? EtcdRevision() : it->second.mod_revision;
    if (now != expected) return {Code::kConflict, "lost"};
    ++made;
    return put(key, value, {});
  }

  Result<EtcdRevision> meet_fate(Request request) {
    if (before_next_) (void)std::exchange(before_next_, nullptr)();
    Request after = std::exchange(after_next_, nullptr);
    Fate fate = fates.empty() ? Fate::kAnswered : fates.front();
    if (!fates.empty()) fates.pop_front();
    Result<EtcdRevision> answer(Code::kDeadlineExceeded, "unknown");
    if (fate == Fate::kAnswered) answer = request();
    if (fate == Fate::kNotSent) answer = Status(Code::kUnavailable, "not sent");
    if (fate == Fate::kMadeUnanswered) (void)request();
    if (fate == Fate::kArrivesLater) before_next_ = request;
    if (fate == Fate::kArrivesAfterNext) after_next_ = request;
    if (after) (void)after();
    return answer;
  }

  std::map<std::string, EtcdKeyValue> items_;
  EtcdRevision revision_{100};
  Request before_next_, after_next_;
};

class UnknownOutcome : public testing::TestWithParam<Fate> {
 protected:
  UnknownOutcome() { (void)etcd_.put(volume_key("db"), encode_volume(sample_volume()), {}); }
  ScriptedEtcd etcd_;
  VolumeStore store_{etcd_, 2000};
};

TEST_P(UnknownOutcome, AClaimIsMadeExactlyOnce) {
  etcd_.fates = {GetParam()};
  VolumeInfo claimed = store_.claim_volume("db", ServerId(1), Incarnation(2)).value();
  EXPECT_EQ(etcd_.made, 1);
  EXPECT_EQ(claimed.groups[0].term, Term(2));
  EXPECT_EQ(claimed.config_version, sample_volume().config_version.next());
  EXPECT_EQ(store_.get("db").value(), claimed);
}

TEST_P(UnknownOutcome, WhatArrivesLateNeverUndoesALaterChange) {
  etcd_.fates = {GetParam()};
  ASSERT_TRUE(store_.set_quotas("db", 2ull << 30));
  ASSERT_TRUE(store_.set_quotas("db", 3ull << 30));
  ASSERT_TRUE(store_.claim_volume("db", ServerId(1), Incarnation(2)));
  VolumeInfo now = store_.get("db").value();
  EXPECT_EQ(now.size_bytes, 3ull << 30);
  EXPECT_EQ(now.config_version.value, sample_volume().config_version.value + 3);
}

TEST_P(UnknownOutcome, ACreationIsMadeExactlyOnceAndKnowsItsOwn) {
  ClusterState state = sample_state();
  for (const auto& [name, site] : state.sites) (void)etcd_.put(site_key(name), encode_site(site), {});
  for (const auto& [id, server] : state.servers) {
    (void)etcd_.put(server_key(server.name), encode_server(server), {});
    (void)etcd_.put(alive_key(server.name), encode_alive({id, server.incarnation}), {});
  }
  etcd_.fates = {Fate::kAnswered /* the counter */, GetParam()};
  VolumeSpec spec;
  spec.name = "new";
  VolumeInfo made = store_.create_volume(spec).value();
  EXPECT_EQ(store_.get("new").value(), made);
  EXPECT_EQ(etcd_.made, 2);
  EXPECT_EQ(store_.create_volume(spec).status().code(), Code::kAlreadyExists);
}

TEST_P(UnknownOutcome, ADeletionEnds) {
  ASSERT_TRUE(store_.mark_deleting("db"));
  VolumeId id = sample_volume().id;
  for (uint64_t server : {1, 2, 3}) ASSERT_TRUE(store_.confirm_dropped("db", id, ServerId(server)));
  etcd_.fates = {Fate::kAnswered, GetParam()};
  EXPECT_TRUE(store_.confirm_dropped("db", id, ServerId(4)));
  EXPECT_EQ(store_.get("db").status().code(), Code::kNotFound);
}

TEST_P(UnknownOutcome, NoNumberIsGivenTwice) {
  etcd_.fates = {Fate::kAnswered, GetParam(), Fate::kAnswered, GetParam()};
  uint64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    uint64_t number = next_number(etcd_, "test", 2000).value();
    EXPECT_GT(number, last);
    last = number;
  }
}

TEST_P(UnknownOutcome, NumbersThatAnEtcdHasForgottenAreSkipped) {
  ASSERT_EQ(next_number(etcd_, kVolumeIdCounter, 2000).value(), 1u);
  etcd_.fates = {GetParam()};
  ASSERT_TRUE(store_.skip_ids_up_to(VolumeId(17)));
  ASSERT_TRUE(store_.skip_ids_up_to(VolumeId(4))) << "of another server, that knows less";
  EXPECT_EQ(next_number(etcd_, kVolumeIdCounter, 2000).value(), 18u);
}

TEST_F(UnknownOutcome, ThatIsNeverResolvedIsNotCalledUndone) {
  VolumeStore hurried(etcd_, 100);
  etcd_.fates.assign(100, Fate::kLostUnanswered);
  EXPECT_EQ(hurried.claim_volume("db", ServerId(1), Incarnation(2)).status().code(), Code::kDeadlineExceeded);
  etcd_.fates.assign(100, Fate::kNotSent);
  EXPECT_EQ(hurried.claim_volume("db", ServerId(1), Incarnation(2)).status().code(), Code::kUnavailable);
  etcd_.fates.assign(100, Fate::kNotSent);
  etcd_.fates.push_front(Fate::kLostUnanswered);
  EXPECT_EQ(hurried.claim_volume("db", ServerId(1), Incarnation(2)).status().code(), Code::kDeadlineExceeded);
}

INSTANTIATE_TEST_SUITE_P(Of, UnknownOutcome,
                         testing::Values(Fate::kAnswered, Fate::kMadeUnanswered, Fate::kLostUnanswered,
                                         Fate::kArrivesLater, Fate::kArrivesAfterNext, Fate::kNotSent));

}  // namespace
}  // namespace shima
