// Power cuts: a child process applies and checkpoints on a disk that loses what was not synced, and kills
// itself.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

constexpr uint64_t kBlocks = 12;

using MakeRecord = RecordPtr (*)(uint64_t seed, uint64_t sequence, uint64_t blocks);

struct Crash {
  uint64_t seed = 1;
  uint64_t from = 0;          // records up to here are there already
  uint64_t checkpointed = 0;  // the last checkpoint names this sequence
  uint64_t applied = 0;       // then records up to here are applied without a checkpoint
  bool ignore_sync = false;
  MakeRecord make_record = random_record;
};

void run_until_power_cut(const std::string& path, const Crash& crash) {
  auto disk = make_losing_disk(crash.ignore_sync);
  auto store = open_store(*disk, path, true);
  if (store == nullptr) ::_exit(3);
  for (uint64_t n = crash.from + 1; n <= crash.applied; n++) {
    const std::vector<RecordPtr> one{crash.make_record(crash.seed, n, kBlocks)};
    if (!store->apply(kTestGroup, kTestBlock, one).is_ok()) ::_exit(4);
    const bool checkpoint = n == crash.checkpointed || (n < crash.checkpointed && n % 11 == 0);
    if (checkpoint && !store->checkpoint(kTestGroup, std::to_string(n)).is_ok()) ::_exit(5);
  }
  ::kill(::getpid(), SIGKILL);
}

void cut_power(const std::string& path, const Crash& crash) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    run_until_power_cut(path, crash);
    ::_exit(6);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended with " << status;
}

uint64_t checkpoint_of(BlockStore& store) {
  auto found = store.checkpoints();
  EXPECT_TRUE(found.is_ok());
  return found->empty() ? 0 : std::stoull(found->front().second);
}

TEST(BlockStoreCrash, WhatWasCheckpointedIsThereAfterAPowerCut) {
  TestDirectory directory;
  cut_power(directory.path(), {1, 0, 60, 60, false});
  auto disk = make_posix_disk();
  auto store = open_store(*disk, directory.path());
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(checkpoint_of(*store), 60u);
  ModelBlocks model;
  for (uint64_t n = 1; n <= 60; n++) model.apply(*random_record(1, n, kBlocks));
  model.expect_same(*store, kBlocks);
}

TEST(BlockStoreCrash, ApplyingAgainAfterTheCheckpointGivesTheRightState) {
  for (uint64_t seed = 1; seed <= 12; seed++) {
    TestDirectory directory;
    ModelBlocks model;
    Crash crash{seed, 0, 20 + seed, 40 + 3 * seed, false};
    for (int life = 0; life < 3; life++) {
      cut_power(directory.path(), crash);
      auto disk = make_posix_disk();
      auto store = open_store(*disk, directory.path());
      ASSERT_NE(store, nullptr) << "seed " << seed;
      ASSERT_EQ(checkpoint_of(*store), crash.checkpointed) << "seed " << seed;
      for (uint64_t n = crash.checkpointed + 1; n <= crash.applied; n++) {
        const std::vector<RecordPtr> one{random_record(seed, n, kBlocks)};
        ASSERT_TRUE(store->apply(kTestGroup, kTestBlock, one).is_ok());
      }
      for (uint64_t n = crash.from + 1; n <= crash.applied; n++)
        model.apply(*random_record(seed, n, kBlocks));
      model.expect_same(*store, kBlocks);
      ASSERT_TRUE(store->checkpoint(kTestGroup, std::to_string(crash.applied)).is_ok());
      crash = {seed, crash.applied, crash.applied + 15, crash.applied + 40, false};
    }
  }
}

// Truncations are executed again with what comes before them; nothing is counted twice.
TEST(BlockStoreCrash, StatesOfInodesAreExactWhenTruncationsAreAppliedAgain) {
  for (uint64_t seed = 1; seed <= 10; seed++) {
    TestDirectory directory;
    const Crash crash{seed, 0, 5 + seed, 60 + seed, false, random_file_record};
    cut_power(directory.path(), crash);
    auto disk = make_posix_disk();
    auto store = open_store(*disk, directory.path());
    ASSERT_NE(store, nullptr);
    std::vector<RecordPtr> again;
    for (uint64_t n = crash.checkpointed + 1; n <= crash.applied; n++)
      again.push_back(random_file_record(seed, n, kBlocks));
    ASSERT_TRUE(store->apply(kTestGroup, kTestBlock, again).is_ok());

    ModelBlocks model;
    InodeState expected;
    for (uint64_t n = 1; n <= crash.applied; n++) {
      const RecordPtr record = random_file_record(seed, n, kBlocks);
      model.apply(*record);
      expected.fence = std::max(expected.fence, record->header.fence);
      expected.mtime_ns = std::max(expected.mtime_ns, record->header.time_ns);
      if (record->header.kind != RecordKind::kTruncate) expected.changes++;
    }
    model.expect_same(*store, kBlocks);
    auto state = store->inode_state(kTestGroup, InodeId(1));
    ASSERT_TRUE(state.is_ok());
    EXPECT_EQ(state->fence, expected.fence) << "seed " << seed;
    EXPECT_EQ(state->mtime_ns, expected.mtime_ns) << "seed " << seed;
    EXPECT_EQ(state->changes, expected.changes) << "seed " << seed;
    EXPECT_EQ(state->used_bytes, *store->present_bytes(kTestGroup)) << "seed " << seed;
  }
}

// The test of the test: a disk whose sync does nothing must be noticed.
TEST(BlockStoreCrash, ADiskThatIgnoresSyncLosesTheCheckpoint) {
  TestDirectory directory;
  cut_power(directory.path(), {1, 0, 60, 60, true});
  auto disk = make_posix_disk();
  auto store = BlockStore::open(*disk, directory.path(), kTestDisk, {});
  if (store) {
    EXPECT_EQ(checkpoint_of(**store), 0u);
  }
}

}  // namespace
}  // namespace shima
