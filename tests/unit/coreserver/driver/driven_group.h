// DrivenGroup: one GroupDriver on a shard and a disk of its own, for tests; RecordedConnection and FakePeer
// stand for the servers around it.
//
// Threads: a test's own, but for what it hands to on_loop(). Whatever a test waits for comes within kPatience
// or not at all.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "coreserver/driver/core_server.h"
#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/peer_frames.h"
#include "coreserver/driver/shard.h"
#include "coreserver/driver/wire_messages.h"
#include "shima/data/v1/data.pb.h"
#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {

inline constexpr ServerId kPrimaryId(1), kSecondaryId(2), kRemoteId(3), kOtherRemoteId(4);
inline constexpr auto kPatience = std::chrono::seconds(60);

template <typename Condition>
bool comes_true(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline data::v1::Header header_of(const Frame& frame) {
  data::v1::Header header;
  SHIMA_CHECK(header.ParseFromString(frame.header), "a header of our own is readable");
  return header;
}

// Keeps what is sent on it.
class RecordedConnection : public Connection {
 public:
  explicit RecordedConnection(EventLoop& loop) : loop_(loop) {}
  void start(ConnectionHandlers) override {}
  void send(Frame frame) override {
    std::lock_guard lock(mutex_);
    sent_.push_back(std::move(frame));
  }
  uint64_t queued_bytes() const override { return 0; }
  void pause_reading() override { FAIL() << "other groups would wait for this one"; }
  void resume_reading() override {}
  void close(Status) override {}
  bool is_open() const override { return true; }
  const std::string& peer() const override { return peer_; }
  ConnectionStats stats() const override { return {}; }
  EventLoop& loop() const override { return loop_; }

  std::vector<data::v1::Header> sent() const {
    std::lock_guard lock(mutex_);
    std::vector<data::v1::Header> headers;
    for (const Frame& frame : sent_) headers.push_back(header_of(frame));
    return headers;
  }

 private:
  EventLoop& loop_;
  const std::string peer_ = "a test";
  mutable std::mutex mutex_;
  std::vector<Frame> sent_;
};

class DrivenGroup {
 public:
  explicit DrivenGroup(ServerId self, size_t remotes = 1) : self_(self) {
    options_.name = "site-a/core-0";
    options_.site = "site-a";
    options_.journal_segment_bytes = 1 << 20;
    options_.journal_max_bytes = 8 << 20;
    disk_ = ServerDisk::open(directory_.path(), options_).value();
    checkpoint_.volume = "vm-disk";
    checkpoint_.block_size = kTestBlock;
    config_.version = ConfigVersion(1);
    config_.term = Term(2);
    for (uint64_t i = 1; i <= 2 + remotes; i++) {
      using replication::Role;
      Role role = i == 1 ? Role::kPrimary : i == 2 ? Role::kSecondary : Role::kRemote;
      config_.members.push_back({ServerId(i), Incarnation(1), role, false, false});
    }
    shard_.identify(self_, Incarnation(1));
  }
  ~DrivenGroup() {
    shard_.stop();
    readers_.stop();
    disk_->close();
  }

  BlockStore& blocks() { return disk_->blocks(); }
  GroupCheckpoint& checkpoint() { return checkpoint_; }
  GroupEnvironment& environment() { return environment_; }
  ServerDisk& disk() { return *disk_; }
  Shard& shard() { return shard_; }

  // The checkpoint is where it starts from; its blocks are there already.
  void start() {
    environment_.loop = &shard_.loop();
    environment_.disk = disk_.get();
    environment_.readers = &readers_;
    environment_.links = &shard_.links();
    environment_.self = self_;
    environment_.incarnation = Incarnation(1);
    environment_.propose = [](GroupId, Term, const replication::ProposeMembership&) {};
    ASSERT_TRUE(blocks().checkpoint(kTestGroup, encode_checkpoint(checkpoint_)));
    driver_ = std::make_shared<GroupDriver>(environment_, kTestGroup, checkpoint_,
                                            recovered_group(checkpoint_, {}, ""));
    shard_.add(driver_);
    shard_.loop().start();
    on_loop([&] { driver_->set_config(config_, 0, nullptr); });
  }
  void on_loop(const std::function<void()>& use) {
    std::promise<void> done;
    shard_.loop().post([&] {
      use();
      done.set_value();
    });
    done.get_future().get();
  }
  void receive(const replication::Message& message, const ConnectionPtr& via) {
    on_loop([&] { driver_->peer_message(kPrimaryId, message, via); });
  }
  void receive(const Frame& frame, const ConnectionPtr& via) {
    on_loop([&] {
      Status status =
          deliver_peer_frame(kPrimaryId, via, frame, [&](GroupId, const auto& use) { use(driver_.get()); });
      EXPECT_TRUE(status) << status.to_string();
    });
  }
  bool resyncing() {
    bool answer = false;
    on_loop([&] { answer = driver_->core().resyncing(); });
    return answer;
  }
  Sequence durable() {
    Sequence answer;
    on_loop([&] { answer = driver_->core().log().durable(); });
    return answer;
  }
  // Until the returned promise is kept, the disk's worker does nothing.
  std::shared_ptr<std::promise<void>> hold_worker() {
    auto gate = std::make_shared<std::promise<void>>();
    disk_->worker().post([opens = gate->get_future().share()] { opens.wait(); });
    return gate;
  }
  // What was posted to the worker is done, and the loop knows.
  void settle() {
    std::promise<void> done;
    disk_->worker().post([&] { done.set_value(); });
    done.get_future().get();
    on_loop([] {});
  }

 private:
  const ServerId self_;
  TestDirectory directory_;
  ServerOptions options_;
  std::unique_ptr<ServerDisk> disk_;
  WorkerPool readers_{"reader", 1};
  Shard shard_{0};
  GroupCheckpoint checkpoint_;
  GroupEnvironment environment_;
  replication::GroupConfig config_;
  std::shared_ptr<GroupDriver> driver_;
};

// A member that a primary greets: has an empty log, keeps what comes.
class FakePeer {
 public:
  FakePeer(ServerId self, ProtocolRange protocols = kDataProtocols) : self_(self), protocols_(protocols) {
    loop_.start();
    ListenerOptions patient;
    patient.connection.dead_after_ms = 60'000;  // no stall of a machine is so long
    listener_ = Listener::open({&loop_}, patient, [this](ConnectionPtr c) { accept(std::move(c)); }).value();
  }
  ~FakePeer() {
    listener_.reset();
    loop_.stop();
  }
  NetworkEndpoint endpoint() const { return {"127.0.0.1", listener_->port()}; }

  std::vector<Frame> resync_frames() const {
    std::lock_guard lock(mutex_);
    return frames_;
  }
  size_t hellos() const {
    std::lock_guard lock(mutex_);
    return hellos_;
  }
  // Takes the pieces from now on as a remote that stores them does.
  void answer_pieces() {
    std::promise<void> done;
    loop_.post([&] {
      answers_ = true;
      for (const Frame& frame : resync_frames()) answer(header_of(frame).resync());
      done.set_value();
    });
    done.get_future().get();
  }
  // The connection breaks, and comes back.
  void break_connection() {
    std::promise<void> done;
    loop_.post([&] {
      connection_->close(Status(Code::kUnavailable, "the test breaks it"));
      done.set_value();
    });
    done.get_future().get();
  }

 private:
  void accept(ConnectionPtr connection) {
    connection_ = connection;
    ConnectionHandlers handlers;
    handlers.on_frame = [this](Frame frame) { take(std::move(frame)); };
    handlers.on_closed = [](Status) {};
    connection->start(std::move(handlers));
  }
  void take(Frame frame) {
    const data::v1::Header header = header_of(frame);
    if (header.has_greeting()) {
      ServerGreeting greeting{self_, Incarnation(1), ServerId(), "test", protocols_};
      connection_->send(Frame{frame.id, encode_greeting(greeting), {}, {}});
    }
    if (header.has_hello()) {
      replication::Welcome welcome{Term(header.hello().term()), header.hello().round(), true, {}, {}};
      for (Frame& f : frames_of(kTestGroup, welcome)) connection_->send(std::move(f));
    }
    std::lock_guard lock(mutex_);
    hellos_ += header.has_hello();
    if (!header.has_resync()) return;
    frames_.push_back(std::move(frame));
    if (answers_) answer(header.resync());
  }
  void answer(const data::v1::Resync& piece) {
    if (!piece.sent_bytes()) return;
    data::v1::Header header;
    data::v1::ResyncTaken* taken = header.mutable_resync_taken();
    *taken->mutable_group() = piece.group();
    taken->set_term(piece.term());
    taken->set_round(piece.round());
    taken->set_bytes(piece.sent_bytes());
    connection_->send(Frame{0, header.SerializeAsString(), {}, {}});
  }

  const ServerId self_;
  const ProtocolRange protocols_;
  EventLoop loop_{"peer"};
  std::unique_ptr<Listener> listener_;
  ConnectionPtr connection_;  // the newest; on the loop
  bool answers_ = false;      // on the loop
  mutable std::mutex mutex_;
  std::vector<Frame> frames_;
  size_t hellos_ = 0;
};

}  // namespace shima
