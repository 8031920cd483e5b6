// A volume client whose identity core servers refuse (R20).
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "accessserver/volume/piece_codec.h"
#include "tests/unit/accessserver/volume/volume_client_fixture.h"

namespace shima {
namespace {

class Fencing : public VolumeClientTest {
 protected:
  VolumeClientOptions options() {
    VolumeClientOptions options;
    options.deadline_ms = 60'000;
    options.on_fenced = [this](const Status& why) {
      EXPECT_EQ(why.code(), Code::kFenced);
      fenced_++;
    };
    return options;
  }
  // Starts a write; what it ends with comes later.
  std::future<Status> start_write(uint64_t offset) {
    auto ended = std::make_shared<std::promise<Status>>();
    client_->write(offset, random_bytes(kBlock, offset),
                   [ended](Status status) { ended->set_value(std::move(status)); });
    return ended->get_future();
  }
  uint64_t writes_seen() {
    std::lock_guard lock(volume_->mutex);
    return volume_->writes.size();
  }
  void wait_for_writes(uint64_t count) {
    while (writes_seen() < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  std::atomic<int> fenced_{0};
};

TEST_F(Fencing, TheGreetingSaysWhoTheClientIs) {
  const Frame frame = encode_greeting(ClientId(5), {"node-1", 7, "site-a/access-0", 9, 11}, ServerId(3));
  Header header;
  ASSERT_TRUE(header.ParseFromString(frame.header));
  EXPECT_EQ(header.greeting().client_id(), 5u);
  EXPECT_EQ(header.greeting().expected_server_id(), 3u);
  EXPECT_EQ(header.greeting().node(), "node-1");
  EXPECT_EQ(header.greeting().publication(), 7u);
  EXPECT_EQ(header.greeting().access_server(), "site-a/access-0");
  EXPECT_EQ(header.greeting().access_incarnation(), 9u);
  EXPECT_EQ(header.greeting().access_revision(), 11);
}

TEST_F(Fencing, OneRefusalEndsAllThatIsInFlightAndWhateverComesLater) {
  open(options());
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  std::vector<std::future<Status>> silent;
  for (uint64_t block = 0; block < 4; block++) silent.push_back(start_write(block * kBlock));
  wait_for_writes(4);
  behave([](const Header&) { return Behaviour{.code = Code::kFenced}; });
  EXPECT_EQ(start_write(9 * kBlock).get().code(), Code::kFenced);
  for (auto& write : silent) EXPECT_EQ(write.get().code(), Code::kFenced);
  while (fenced_ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // after the callbacks

  // Final, though a server would answer again: nothing is sent any more.
  behave(nullptr);
  const uint64_t seen = writes_seen();
  EXPECT_EQ(client_->write(0, random_bytes(kBlock, 1)).code(), Code::kFenced);
  EXPECT_EQ(client_->read(0, kBlock).status().code(), Code::kFenced);
  metadata::v1::JobRequest job;
  job.mutable_get_attributes()->set_inode(2);
  EXPECT_EQ(run(job).first.code(), Code::kFenced);
  EXPECT_EQ(writes_seen(), seen);
  EXPECT_EQ(fenced_, 1);
}

TEST_F(Fencing, AFencedWriteIsNotSentAgain) {
  open(options());
  misbehave(1, {.code = Code::kFenced});
  EXPECT_EQ(client_->write(0, random_bytes(kBlock, 1)).code(), Code::kFenced);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // several back-offs
  EXPECT_EQ(writes_seen(), 1u);
  std::lock_guard lock(volume_->mutex);
  EXPECT_EQ(volume_->executed, 0u);
}

TEST_F(Fencing, ARetiredClientSendsNothingAgain) {
  open(options());
  misbehave(1000, {.how = Misbehave::kClose});  // each try loses its connection
  auto write = start_write(0);
  while (client_->stats().pieces_sent < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  client_->retire({Code::kUnavailable, "another identity"});
  EXPECT_EQ(write.get().code(), Code::kUnavailable);
  // What was sent before may still arrive; nothing more is sent.
  const uint64_t sent = client_->stats().pieces_sent;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(client_->write(0, random_bytes(kBlock, 1)).code(), Code::kUnavailable);
  EXPECT_EQ(client_->stats().pieces_sent, sent);
  EXPECT_EQ(fenced_, 0);
}

}  // namespace
}  // namespace shima
