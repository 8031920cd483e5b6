// Power cuts: as block_store_crash_test.cc has them, for metadata.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/coreserver/metadata/test_batches.h"

namespace shima {
namespace {

void run_until_power_cut(const std::string& path, uint64_t seed, uint64_t checkpointed, uint64_t applied) {
  TestStore store(true, make_losing_disk(false), path);
  for (uint64_t n = 1; n <= applied; n++) {
    const std::vector<RecordPtr> one{make_batch(n, random_batch(seed, n))};
    if (!store.kv().apply(kTestGroup, one).is_ok()) ::_exit(4);
    if (n == checkpointed && !store.blocks().checkpoint(kTestGroup, std::to_string(n)).is_ok()) ::_exit(5);
  }
  ::kill(::getpid(), SIGKILL);
}

TEST(KvStoreCrash, ACheckpointKeepsItAndApplyingAgainIsHarmless) {
  for (uint64_t seed = 1; seed <= 6; seed++) {
    const uint64_t checkpointed = 10 + seed, applied = 30 + 3 * seed;
    std::string path = (std::filesystem::temp_directory_path() / "shima-metadata-XXXXXX").string();
    path = ::mkdtemp(path.data());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      run_until_power_cut(path, seed, checkpointed, applied);
      ::_exit(6);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended with " << status;
    {
      TestStore store(false, make_posix_disk(), path);
      auto found = store.blocks().checkpoints();
      ASSERT_TRUE(found.is_ok());
      ASSERT_EQ(found->size(), 1u);
      EXPECT_EQ(found->front().second, std::to_string(checkpointed));
      ModelKv model;
      for (uint64_t n = 1; n <= applied; n++) change(model, random_batch(seed, n));
      for (uint64_t n = checkpointed + 1; n <= applied; n++) {
        const std::vector<RecordPtr> one{make_batch(n, random_batch(seed, n))};
        ASSERT_TRUE(store.kv().apply(kTestGroup, one).is_ok());
      }
      EXPECT_EQ(store.contents(), model) << "seed " << seed;
      EXPECT_EQ(*store.kv().usage(kTestGroup), usage_of(model)) << "seed " << seed;
      for (uint64_t n = checkpointed + 1; n <= applied; n++) {
        const std::vector<RecordPtr> one{make_batch(n, random_batch(seed, n))};
        ASSERT_TRUE(store.kv().apply(kTestGroup, one).is_ok());
      }
      EXPECT_EQ(store.contents(), model) << "and again, seed " << seed;
      EXPECT_EQ(*store.kv().usage(kTestGroup), usage_of(model)) << "seed " << seed;
    }
    std::filesystem::remove_all(path);
  }
}

}  // namespace
}  // namespace shima
