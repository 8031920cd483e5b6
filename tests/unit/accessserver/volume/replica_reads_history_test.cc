// A writer at home, a replica that lags, and readers beside it: no read is older than what was ACKed before
// it began, and none shows a truncation under the fence of before (R17, R18).
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/unit/accessserver/volume/replica_reads_fixture.h"

namespace shima {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kBlocks = 4;
constexpr int kEvents = 150;  // of each block
constexpr uint64_t kHole = 0;

// What happened to one block, in order: event i wrote number i, or truncated.
struct BlockHistory {
  struct Event {
    uint64_t content = kHole;
    uint64_t fence = 0;
  };
  std::mutex mutex;
  std::vector<Event> issued{{}};        // the first: never written
  std::atomic<size_t> acknowledged{0};  // index of the last

  Event issue(bool truncates) {
    std::lock_guard lock(mutex);
    uint64_t fence = issued.back().fence + truncates;
    issued.push_back({truncates ? kHole : issued.size(), fence});
    return issued.back();
  }
  size_t last_issued() {
    std::lock_guard lock(mutex);
    return issued.size() - 1;
  }
  // Whether one of the events [from, upto] leaves this content, and is one that the fence knows.
  bool explains(uint64_t content, uint64_t fence, size_t from, size_t upto) {
    std::lock_guard lock(mutex);
    for (size_t i = from; i <= upto; i++) {
      if (issued[i].content == content && issued[i].fence <= fence) return true;
    }
    return false;
  }
};

Buffer filled_with(uint64_t content) {
  return Buffer::make(kBlock, [&](uint8_t* p) {
    for (size_t at = 0; at < kBlock; at += 8) std::memcpy(p + at, &content, 8);
  });
}

// The content of a block that is all of one event.
std::optional<uint64_t> content_of(const Buffer& bytes) {
  uint64_t content = 0;
  std::memcpy(&content, bytes.data(), 8);
  if (bytes != filled_with(content)) return std::nullopt;
  return content;
}

class ReplicaReadsHistory : public ReplicaReadsTest {
 protected:
  // Block b is that of inode 5 + b, so that each has truncations of its own.
  static InodeId inode(uint64_t block) { return InodeId(5 + block); }

  void write_all(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (uint64_t i = 0; i < kEvents * kBlocks; i++) {
      uint64_t block = i % kBlocks;
      bool truncates = random() % 5 == 0;
      auto [content, fence] = histories_[block].issue(truncates);
      Status status = truncates ? truncate_file(inode(block), 0, kBlock, fence)
                                : write_file(inode(block), 0, filled_with(content), {.fence = fence});
      ASSERT_TRUE(status.is_ok()) << status.to_string();
      histories_[block].acknowledged++;
      if (random() % 8 == 0) std::this_thread::sleep_for(milliseconds(random() % 4));
    }
  }
  void ship_all(uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!over_) {
      for (uint32_t group = 0; group < 8; group++) volume_->ship(*there_volume_, group, random() % 3);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));
    }
  }
  void read_all(uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!over_) read_one(random() % kBlocks);
  }
  void read_one(uint64_t block) {
    BlockHistory& history = histories_[block];
    size_t before = history.acknowledged;
    auto [got, fence] = read_file(inode(block), 0, kBlock);
    size_t after = history.last_issued();
    ASSERT_TRUE(got.is_ok()) << got.status().to_string();
    std::optional<uint64_t> content = content_of(*got);
    ASSERT_TRUE(content.has_value()) << "a torn block";
    EXPECT_TRUE(history.explains(*content, fence, before, after))
        << "block " << block << " read " << *content << " under fence " << fence << " between events "
        << before << " and " << after;
    reads_++;
  }

  // Servers that now and then take their time before, or after, they look.
  static FakeCoreServer::Choose dawdle(uint64_t seed) {
    auto random = std::make_shared<std::mt19937_64>(seed);
    return [random](const Header& header) {
      if (!header.has_read()) return Behaviour{};
      if ((*random)() % 4 == 0) std::this_thread::sleep_for(milliseconds((*random)() % 3));
      return Behaviour{.delay_ms = static_cast<uint32_t>((*random)() % 4)};
    };
  }

  BlockHistory histories_[kBlocks];
  std::atomic<bool> over_{false};
  std::atomic<uint64_t> reads_{0};
};

TEST_F(ReplicaReadsHistory, NoReadIsOlderThanWhatWasAcknowledgedBeforeIt) {
  open_there({.replica_wait_ms = 5});
  one_.behave(dawdle(1));
  two_.behave(dawdle(2));
  there_->behave(dawdle(3));
  std::vector<std::thread> threads;
  threads.emplace_back([this] { ship_all(4); });
  for (uint64_t seed : {5, 6, 7}) threads.emplace_back([this, seed] { read_all(seed); });
  write_all(8);
  EXPECT_TRUE(in_the_end([&] { return reads_ > 50 && client_->stats().replica_reads > 0; }));
  over_ = true;
  for (std::thread& thread : threads) thread.join();
  VolumeClientStats stats = client_->stats();
  EXPECT_GT(reads_, 50u);
  EXPECT_GT(stats.replica_reads, 0u);  // or the test has shown nothing
  EXPECT_GT(stats.replica_fallbacks, 0u);
}

}  // namespace
}  // namespace shima
