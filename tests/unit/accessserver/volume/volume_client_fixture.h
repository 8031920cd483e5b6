// A volume client over two fake servers, for its tests.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "accessserver/volume/volume_client.h"
#include "tests/unit/accessserver/volume/fake_core_server.h"

namespace shima {

using data::v1::Header;

inline constexpr uint32_t kBlock = 64 << 10;
inline constexpr uint64_t kSize = 64 * kBlock;

inline Buffer random_bytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  return Buffer::make(size, [&](uint8_t* p) {
    for (size_t i = 0; i < size; i++) p[i] = static_cast<uint8_t>(random());
  });
}

// Two fake servers hold the groups of volume "db" in turn.
class VolumeClientTest : public testing::Test {
 protected:
  void SetUp() override {
    source_.set(
        make_layout({one_.member(MemberKind::kPrimary), two_.member(MemberKind::kPrimary)}, kBlock, kSize));
  }

  // What a test leaves as it is outlasts any stall of the machine: nothing is sent, or looked up, once more.
  void open(VolumeClientOptions options = {}) {
    const VolumeClientOptions usual;
    if (options.ask_after_ms == usual.ask_after_ms) options.ask_after_ms = 60'000;
    if (options.dead_after_ms == usual.dead_after_ms) options.dead_after_ms = 60'000;
    auto opened = VolumeClient::open(source_, "db", options);
    ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
    client_ = std::move(*opened);
  }

  // Whether it holds within a minute: no stall of the machine is longer.
  static bool in_the_end(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!holds()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  void behave(const FakeCoreServer::Choose& choose) {
    one_.behave(choose);
    two_.behave(choose);
  }

  // Misbehaves for the first `times` requests of all.
  void misbehave(int times, Behaviour behaviour) {
    auto left = std::make_shared<std::atomic<int>>(times);
    behave([left, behaviour](const Header&) { return (*left)-- > 0 ? behaviour : Behaviour{}; });
  }

  // Runs an asynchronous call and waits for what it calls back with, but for the status.
  template <typename Value, typename Start>
  static std::pair<Status, Value> wait_for(Start start) {
    std::promise<std::pair<Status, Value>> promise;
    start([&](Status status, Value value) { promise.set_value({std::move(status), std::move(value)}); });
    return promise.get_future().get();
  }
  template <typename Start>
  static Status wait(Start start) {
    std::promise<Status> promise;
    start([&](Status status) { promise.set_value(std::move(status)); });
    return promise.get_future().get();
  }

  std::pair<Status, metadata::v1::JobReply> run(const metadata::v1::JobRequest& job) {
    return wait_for<metadata::v1::JobReply>([&](auto done) { client_->run_job(job, done); });
  }
  Status write_file(InodeId inode, uint64_t offset, Buffer bytes, WriteTags tags = {}) {
    return wait([&](auto done) { client_->write_file(inode, offset, std::move(bytes), tags, done); });
  }
  Status punch_file(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags = {}) {
    return wait([&](auto done) { client_->punch_file(inode, offset, length, tags, done); });
  }
  Status truncate_file(InodeId inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove = false) {
    return wait([&](auto done) { client_->truncate_file(inode, from, upto, fence, remove, done); });
  }
  std::pair<Status, InodeData> inode_data(InodeId inode) {
    return wait_for<InodeData>([&](auto done) { client_->inode_data(inode, done); });
  }
  std::pair<Status, std::optional<uint64_t>> seek(InodeId inode, uint64_t offset, uint64_t end, bool hole) {
    return wait_for<std::optional<uint64_t>>(
        [&](auto done) { client_->seek_file(inode, offset, end, hole, done); });
  }
  std::pair<Result<Buffer>, uint64_t> read_file(InodeId inode, uint64_t offset, uint64_t length) {
    std::promise<std::pair<Result<Buffer>, uint64_t>> promise;
    client_->read_file(inode, offset, length, [&](const Status& status, Buffer bytes, uint64_t fence) {
      Result<Buffer> result = status.is_ok() ? Result<Buffer>(std::move(bytes)) : Result<Buffer>(status);
      promise.set_value({std::move(result), fence});
    });
    return promise.get_future().get();
  }

  std::shared_ptr<FakeVolume> volume_ = std::make_shared<FakeVolume>(kBlock);
  FakeCoreServer one_{volume_, 1}, two_{volume_, 2};
  FakeLayoutSource source_;
  std::unique_ptr<VolumeClient> client_;
};

}  // namespace shima
