#include "accessserver/volume/volume_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <future>
#include <random>
#include <set>
#include <thread>

#include "common/types/block_routing.h"
#include "tests/unit/accessserver/volume/volume_client_fixture.h"

namespace shima {
namespace {

TEST_F(VolumeClientTest, ReadsBackWhatItWroteWhateverTheRange) {
  open();
  std::vector<uint8_t> expected(kSize);
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; i++) {
    uint64_t offset = random() % kSize,
             length = 1 + random() % std::min<uint64_t>(kSize - offset, 5 * kBlock);
    if (i % 3 == 0) offset = offset / 4096 * 4096, length = std::max<uint64_t>(4096, length / 4096 * 4096);
    length = std::min(length, kSize - offset);
    if (i % 10 == 9) {
      ASSERT_TRUE(client_->punch(offset, length).is_ok());
      std::memset(expected.data() + offset, 0, length);
    } else {
      Buffer bytes = random_bytes(length, random());
      Status status = client_->write(offset, bytes);
      ASSERT_TRUE(status.is_ok()) << status.to_string();
      std::memcpy(expected.data() + offset, bytes.data(), length);
    }
    uint64_t at = random() % kSize, size = random() % (kSize - at);
    Result<Buffer> got = client_->read(at, size);
    ASSERT_TRUE(got.is_ok()) << got.status().to_string();
    ASSERT_EQ(got->size(), size);
    ASSERT_EQ(size == 0 ? 0 : std::memcmp(got->data(), expected.data() + at, size), 0);
  }
}

TEST_F(VolumeClientTest, SendsEachPieceToItsGroup) {
  open();
  ASSERT_TRUE(client_->write(kBlock / 2, random_bytes(10 * kBlock, 3)).is_ok());
  ASSERT_EQ(volume_->writes.size(), 11u);
  std::map<uint64_t, uint32_t> lengths;
  for (const auto& write : volume_->writes) {
    EXPECT_EQ(write.volume(), 77u);
    EXPECT_EQ(write.inode(), 1u);
    EXPECT_EQ(write.group(), group_of_block(VolumeId(77), InodeId(1), BlockIndex(write.block()), 8).value);
    lengths[write.block()] = write.length();
  }
  EXPECT_EQ(lengths[0], kBlock / 2);
  EXPECT_EQ(lengths[5], kBlock);
  EXPECT_EQ(lengths[10], kBlock / 2);
}

TEST_F(VolumeClientTest, HolesReadAsZeros) {
  open();
  Result<Buffer> got = client_->read(100, 3 * kBlock);
  ASSERT_TRUE(got.is_ok());
  EXPECT_EQ(*got, Buffer::zeros(3 * kBlock));
  got = client_->read(5, 10);
  EXPECT_EQ(*got, Buffer::zeros(10));
}

TEST_F(VolumeClientTest, ARetryCarriesTheSameRequestId) {
  open();
  for (Behaviour behaviour : {Behaviour{.how = Misbehave::kExecuteThenClose},
                              Behaviour{.how = Misbehave::kClose}, Behaviour{.code = Code::kNotPrimary},
                              Behaviour{.code = Code::kStaleTerm}, Behaviour{.code = Code::kUnavailable}}) {
    volume_->writes.clear();
    uint64_t executed = volume_->executed;
    misbehave(1, behaviour);
    Status status = client_->write(0, random_bytes(4096, 1));
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    EXPECT_EQ(volume_->executed, executed + 1);
    for (const auto& write : volume_->writes) EXPECT_EQ(write.request(), volume_->writes[0].request());
  }
  EXPECT_GE(client_->stats().pieces_sent_again, 5u);
  EXPECT_GE(source_.fetches(), 6);  // the first one, and one before each retry
}

TEST_F(VolumeClientTest, FollowsAGroupToItsNewPrimary) {
  open();
  one_.behave([](const Header&) { return Behaviour{.code = Code::kNotPrimary}; });
  VolumeLayout moved = make_layout({two_.member(MemberKind::kPrimary)}, kBlock, kSize);
  moved.config_version = ConfigVersion(2);
  source_.set(moved);
  ASSERT_TRUE(client_->write(0, random_bytes(kSize, 1)).is_ok());
  EXPECT_EQ(client_->layout().config_version, ConfigVersion(2));
  EXPECT_EQ(client_->layout().groups[0].members[0].server, ServerId(2));
}

TEST_F(VolumeClientTest, FollowsAGroupWhoseOldPrimaryKeepsSilent) {
  open({.ask_after_ms = 100});
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  std::promise<Status> ended;
  client_->write(0, random_bytes(kSize, 1), [&](Status status) { ended.set_value(std::move(status)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  uint64_t sent_again = client_->stats().pieces_sent_again;
  EXPECT_EQ(sent_again, 0u);  // nothing has changed: no reason to send again
  two_.behave(nullptr);
  VolumeLayout moved = make_layout({two_.member(MemberKind::kPrimary)}, kBlock, kSize);
  moved.config_version = ConfigVersion(2);
  for (GroupLayout& group : moved.groups) group.term = Term(2);
  source_.set(moved);
  EXPECT_TRUE(ended.get_future().get().is_ok());
  EXPECT_EQ(*client_->read(0, kSize), random_bytes(kSize, 1));
}

TEST_F(VolumeClientTest, IgnoresALayoutOlderThanItsOwn) {
  VolumeLayout newer = client_ ? client_->layout() : source_.fetch("db").value();
  newer.config_version = ConfigVersion(5);
  source_.set(newer);
  open();
  newer.config_version = ConfigVersion(4);
  newer.size_bytes = 1;
  source_.set(newer);
  EXPECT_TRUE(client_->refresh().is_ok());
  EXPECT_EQ(client_->layout().size_bytes, kSize);
}

TEST_F(VolumeClientTest, FindsAServerThatCameBackAtAnotherPort) {
  open();
  ASSERT_TRUE(client_->write(0, random_bytes(kSize, 1)).is_ok());
  auto successor = std::make_unique<FakeCoreServer>(volume_, 1);
  VolumeLayout moved = make_layout(
      {successor->member(MemberKind::kPrimary), two_.member(MemberKind::kPrimary)}, kBlock, kSize);
  source_.set(moved);
  one_.behave([](const Header&) { return Behaviour{.how = Misbehave::kClose}; });
  EXPECT_TRUE(client_->write(0, random_bytes(kSize, 2)).is_ok());
  client_.reset();
}

TEST_F(VolumeClientTest, WrongServerAtTheAddressIsNoticed) {
  MemberLayout wrong = one_.member(MemberKind::kPrimary);
  wrong.server = ServerId(9);
  source_.set(make_layout({wrong}, kBlock, kSize));
  open({.deadline_ms = 300});
  Status status = client_->write(0, random_bytes(4096, 1));
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(volume_->executed, 0u);
}

TEST_F(VolumeClientTest, SettledBelowNeverPassesARequestThatMayComeAgain) {
  open({.deadline_ms = 60'000, .max_in_flight = 16});
  std::mt19937_64 random(5);
  behave([&random, mutex = std::make_shared<std::mutex>()](const Header&) {
    std::lock_guard lock(*mutex);
    uint64_t chance = random() % 20;
    if (chance == 0) return Behaviour{.how = Misbehave::kExecuteThenClose};
    if (chance == 1) return Behaviour{.code = Code::kUnavailable};
    return Behaviour{.delay_ms = static_cast<uint32_t>(chance % 4)};
  });
  std::atomic<int> left{400};
  std::promise<void> all;
  for (int i = 0; i < 400; i++) {
    client_->write((i % 64) * uint64_t{kBlock}, random_bytes(4096, i), [&](Status status) {
      EXPECT_TRUE(status.is_ok()) << status.to_string();
      if (--left == 0) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  std::map<uint32_t, uint64_t> floor, highest;
  std::map<uint32_t, std::set<uint64_t>> ids;
  for (const auto& write : volume_->writes) {
    EXPECT_GE(write.request(), floor[write.group()]);
    EXPECT_LE(write.settled_below(), write.request());
    floor[write.group()] = std::max(floor[write.group()], write.settled_below());
    ids[write.group()].insert(write.request());
    EXPECT_LE(write.request() - write.settled_below(), 400u);
  }
  for (const auto& [group, seen] : ids) {
    EXPECT_EQ(*seen.begin(), 1u);
    EXPECT_EQ(*seen.rbegin(), seen.size());  // counted from 1, without gaps
    EXPECT_GT(floor[group], 1u);
  }
  EXPECT_EQ(volume_->executed, 400u);
}

TEST_F(VolumeClientTest, KnownSequenceIsTheHighestSeen) {
  open();
  for (int i = 0; i < 3; i++) ASSERT_TRUE(client_->write(0, random_bytes(4096, i)).is_ok());
  EXPECT_EQ(volume_->writes[0].known_sequence(), 0u);
  EXPECT_EQ(volume_->writes[1].known_sequence(), 1u);
  EXPECT_EQ(volume_->writes[2].known_sequence(), 2u);
}

TEST_F(VolumeClientTest, AWrongChecksumOnReadIsReadAgain) {
  open();
  Buffer bytes = random_bytes(kBlock, 1);
  ASSERT_TRUE(client_->write(0, bytes).is_ok());
  misbehave(2, {.how = Misbehave::kFlipBit});
  Result<Buffer> got = client_->read(0, kBlock);
  ASSERT_TRUE(got.is_ok()) << got.status().to_string();
  EXPECT_EQ(*got, bytes);
  EXPECT_EQ(client_->stats().checksum_errors, 2u);
}

TEST_F(VolumeClientTest, BytesThatStayWrongAreAnErrorThatNamesTheServer) {
  open();
  ASSERT_TRUE(client_->write(0, random_bytes(kBlock, 1)).is_ok());
  behave([](const Header&) { return Behaviour{.how = Misbehave::kFlipBit}; });
  Result<Buffer> got = client_->read(0, kBlock);
  EXPECT_EQ(got.status().code(), Code::kCorrupt);
  EXPECT_NE(got.status().message().find("here/core-"), std::string::npos);
}

TEST_F(VolumeClientTest, FinalErrorsGoToTheCallerAtOnce) {
  open();
  for (Code code :
       {Code::kNoSpace, Code::kInvalidArgument, Code::kRequestTooOld, Code::kFailedPrecondition}) {
    volume_->writes.clear();
    behave([code](const Header&) { return Behaviour{.code = code}; });
    EXPECT_EQ(client_->write(0, random_bytes(4096, 1)).code(), code);
    EXPECT_EQ(volume_->writes.size(), 1u);
  }
  EXPECT_EQ(source_.fetches(), 1);
}

TEST_F(VolumeClientTest, RefusesRangesOutsideTheVolume) {
  open();
  EXPECT_EQ(client_->read(kSize - 1, 2).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(client_->write(~uint64_t{0}, random_bytes(10, 1)).code(), Code::kInvalidArgument);
  EXPECT_TRUE(client_->read(kSize, 0).is_ok());
  VolumeLayout grown = client_->layout();
  grown.size_bytes = 2 * kSize;
  source_.set(grown);
  EXPECT_TRUE(client_->refresh().is_ok());
  EXPECT_TRUE(client_->read(kSize - 1, 2).is_ok());
}

TEST_F(VolumeClientTest, ADeadlineNamesGroupServerAndLastError) {
  open({.deadline_ms = 3'000});
  behave([](const Header&) { return Behaviour{.code = Code::kNotPrimary}; });
  Status status;
  EXPECT_TRUE(in_the_end([&] {  // in a stall the time may be over before a server has answered
    status = client_->write(0, random_bytes(4096, 1));
    EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
    return status.message().find("not-primary") != std::string::npos;
  }));
  uint32_t group = group_of_block(VolumeId(77), InodeId(1), BlockIndex(0), 8).value;
  for (const std::string& part :
       {"group " + std::to_string(group), std::string("here/core-"), std::string("not-primary")}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
}

TEST_F(VolumeClientTest, OperationsThatNeverGotOutEndAtTheirDeadlineToo) {
  open({.deadline_ms = 200, .max_in_flight = 2});
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  std::atomic<int> exceeded{0};
  for (int i = 0; i < 20; i++) {
    client_->write(0, random_bytes(4096, 1),
                   [&](Status status) { exceeded += status.code() == Code::kDeadlineExceeded; });
  }
  EXPECT_TRUE(in_the_end([&] { return exceeded == 20; }));
  behave(nullptr);  // and their places are free again
  EXPECT_TRUE(in_the_end([&] { return client_->write(0, random_bytes(4096, 1)).is_ok(); }));
}

TEST_F(VolumeClientTest, DeadServersAreWaitedFor) {
  uint16_t port = one_.port();
  open();
  one_.drop_connections();
  EXPECT_TRUE(client_->write(0, random_bytes(kSize, 1)).is_ok());
  EXPECT_EQ(one_.port(), port);
}

TEST_F(VolumeClientTest, KeepsTheOldLayoutWhileTheControlPlaneIsAway) {
  open();
  source_.set(Status(Code::kUnavailable, "no core server answers"));
  misbehave(1, {.how = Misbehave::kClose});
  EXPECT_TRUE(client_->write(0, random_bytes(4096, 1)).is_ok());
}

TEST_F(VolumeClientTest, ADeletedVolumeEndsOperationsAtOnce) {
  open();
  source_.set(Status(Code::kNotFound, "there is no volume db"));
  behave([](const Header&) { return Behaviour{.code = Code::kNotPrimary}; });
  EXPECT_EQ(client_->write(0, random_bytes(4096, 1)).code(), Code::kNotFound);
}

TEST_F(VolumeClientTest, AnotherVolumeOfTheSameNameIsNotWritten) {
  open();
  VolumeLayout other = client_->layout();
  other.volume = VolumeId(78);
  source_.set(other);
  EXPECT_TRUE(client_->refresh().is_ok());
  EXPECT_EQ(client_->write(0, random_bytes(4096, 1)).code(), Code::kNotFound);
  EXPECT_EQ(volume_->executed, 0u);
}

TEST_F(VolumeClientTest, AnUnknownVolumeCannotBeOpened) {
  source_.set(Status(Code::kNotFound, "there is no volume db"));
  EXPECT_EQ(VolumeClient::open(source_, "db").status().code(), Code::kNotFound);
}

TEST_F(VolumeClientTest, AThousandOperationsInFlightAllEndOnce) {
  open({.max_in_flight = 1'000});
  std::atomic<int> in_flight{0}, most{0};
  behave([&](const Header&) {
    int now = ++in_flight;
    int before = most;
    while (now > before && !most.compare_exchange_weak(before, now)) {
    }
    return Behaviour{.how = Misbehave::kAnswerTwice, .delay_ms = now < 1'000 ? 50u : 0u};
  });
  std::vector<std::atomic<int>> ended(1'000);
  std::atomic<int> left{1'000};
  std::promise<void> all;
  for (int i = 0; i < 1'000; i++) {
    client_->write(static_cast<uint64_t>(i) * 4096 % kSize, random_bytes(4096, i), [&, i](Status status) {
      EXPECT_TRUE(status.is_ok());
      ended[i]++;
      if (--left == 0) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  for (auto& times : ended) EXPECT_EQ(times, 1);
  EXPECT_GE(most, 1'000);
}

TEST_F(VolumeClientTest, BoundsPiecesAndBytesInFlight) {
  open({.max_in_flight = 4, .max_in_flight_bytes = 3 * kBlock});
  std::atomic<int> out{0};
  behave([&](const Header&) {  // so that the places are never free again
    ++out;
    return Behaviour{.how = Misbehave::kIgnore};
  });
  std::promise<void> all;
  client_->write(0, random_bytes(kSize, 1), [&](Status status) {
    EXPECT_TRUE(status.is_ok());
    all.set_value();
  });
  ASSERT_TRUE(in_the_end([&] { return out == 3; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(out, 3);
  behave(nullptr);
  one_.drop_connections(), two_.drop_connections();
  all.get_future().wait();
}

TEST_F(VolumeClientTest, ReadsTheCopyOfASite) {
  auto there_volume = std::make_shared<FakeVolume>(kBlock);
  FakeCoreServer there(there_volume, 3);
  VolumeLayout layout = source_.fetch("db").value();
  layout.sites = {"here", "there"};
  for (GroupLayout& group : layout.groups)
    group.members.push_back(there.member(MemberKind::kRemote, "there"));
  source_.set(layout);
  open();
  ASSERT_TRUE(client_->write(0, random_bytes(kBlock, 1)).is_ok());
  Result<Buffer> got = client_->read_site("there", 0, 3 * kBlock);
  ASSERT_TRUE(got.is_ok());
  EXPECT_EQ(*got, Buffer::zeros(3 * kBlock));
  for (const auto& read : there_volume->reads) EXPECT_TRUE(read.own_replica());
  got = client_->read_site("here", 0, kBlock);
  ASSERT_TRUE(got.is_ok());
  EXPECT_EQ(*got, random_bytes(kBlock, 1));
  Status nowhere = client_->read_site("nowhere", 0, 1).status();
  EXPECT_EQ(nowhere.code(), Code::kNotFound);
  EXPECT_NE(nowhere.message().find("here there"), std::string::npos);
  client_.reset();
}

TEST_F(VolumeClientTest, ClosingEndsWhatIsInFlight) {
  open();
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  std::atomic<int> unavailable{0};
  for (int i = 0; i < 100; i++) {
    client_->write(0, random_bytes(4096, 1),
                   [&](Status status) { unavailable += status.code() == Code::kUnavailable; });
  }
  client_.reset();
  EXPECT_EQ(unavailable, 100);
}

TEST_F(VolumeClientTest, CountsWhatItDid) {
  open();
  ASSERT_TRUE(client_->write(0, random_bytes(3 * kBlock, 1)).is_ok());
  ASSERT_TRUE(client_->read(0, kBlock).is_ok());
  VolumeClientStats window = client_->take_stats();
  EXPECT_EQ(window.writes, 1u);
  EXPECT_EQ(window.written_bytes, 3u * kBlock);
  EXPECT_EQ(window.read_bytes, uint64_t{kBlock});
  EXPECT_EQ(window.pieces_sent, 4u);
  EXPECT_EQ(window.write_us.count(), 1u);
  EXPECT_EQ(client_->take_stats().writes, 0u);
  EXPECT_EQ(client_->stats().writes, 1u);
}

}  // namespace
}  // namespace shima
