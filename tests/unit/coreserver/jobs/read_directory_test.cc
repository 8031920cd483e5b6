#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

TEST(ReadDirectory, BeginsWithDotAndDotDot) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d");
  const pb::JobReply reply = volume.list(directory, 0, 0, true);
  ASSERT_EQ(reply.entries_size(), 2);
  EXPECT_TRUE(reply.end());
  EXPECT_EQ(reply.entries(0).name(), ".");
  EXPECT_EQ(reply.entries(0).cookie(), 1u);
  EXPECT_EQ(reply.entries(0).inode(), directory);
  EXPECT_EQ(reply.entries(1).name(), "..");
  EXPECT_EQ(reply.entries(1).cookie(), 2u);
  EXPECT_EQ(reply.entries(1).inode(), kRootInode);
  EXPECT_EQ(reply.entries(1).attributes().inode(), kRootInode);
  EXPECT_EQ(reply.attributes().inode(), directory);
}

TEST(ReadDirectory, GoesOnAfterAnyCookie) {
  JobVolume volume;
  for (int i = 0; i < 10; i++) volume.make_file(kRootInode, "f" + std::to_string(i));
  std::vector<std::string> seen;
  for (uint64_t after = 0;;) {
    const pb::JobReply reply = volume.list(kRootInode, after, 1);
    ASSERT_EQ(reply.entries_size(), 1);
    EXPECT_GT(reply.entries(0).cookie(), after);
    after = reply.entries(0).cookie();
    seen.push_back(reply.entries(0).name());
    if (reply.end()) break;
  }
  EXPECT_EQ(seen, (std::vector<std::string>{".", "..", "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8",
                                            "f9"}));
  EXPECT_TRUE(volume.list(kRootInode, 12).end());
  EXPECT_EQ(volume.list(kRootInode, 12).entries_size(), 0);
  EXPECT_TRUE(volume.list(kRootInode, ~0ull).end());
  EXPECT_EQ(volume.list(kRootInode, ~0ull - 1).entries_size(), 0);
}

TEST(ReadDirectory, EntriesThatStayAreSeenOnceWhileOthersComeAndGo) {
  JobVolume volume;
  for (int i = 0; i < 20; i++) volume.make_file(kRootInode, "old" + std::to_string(i));
  uint64_t after = 2;
  int seen = 0;
  for (int i = 0; i < 20; i++) {
    const pb::JobReply reply = volume.list(kRootInode, after, 1);
    after = reply.entries(0).cookie();
    seen += reply.entries(0).name() == "old" + std::to_string(i);
    volume.unlink(kRootInode, reply.entries(0).name());
    volume.make_file(kRootInode, "new" + std::to_string(i));
  }
  EXPECT_EQ(seen, 20);
  EXPECT_EQ(volume.names(kRootInode).size(), 20u);
}

TEST(ReadDirectory, CookiesAreNeverGivenTwice) {
  JobVolume volume;
  uint64_t last = 0;
  for (int i = 0; i < 5; i++) {
    volume.make_file(kRootInode, "f");
    const uint64_t cookie = volume.list(kRootInode, 2).entries(0).cookie();
    EXPECT_GT(cookie, last);
    last = cookie;
    volume.unlink(kRootInode, "f");
  }
}

TEST(ReadDirectory, NeedsADirectoryAndTheReadPermission) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d", 0711);
  EXPECT_EQ(volume.list(volume.make_file(kRootInode, "f")).error(), ENOTDIR);
  EXPECT_EQ(volume.list(999).error(), ESTALE);
  volume.who = user(1, 1);
  EXPECT_EQ(volume.list(directory).error(), EACCES);
  volume.who = checked_by_kernel(1, 1);
  EXPECT_EQ(volume.list(directory).error(), 0);
}

TEST(ReadDirectory, RepliesAreBoundedHoweverMuchIsAskedFor) {
  JobVolume volume;
  for (int i = 0; i < 5000; i++) {
    volume.make_file(kRootInode, std::string(250, 'n') + std::to_string(10000 + i));
  }
  const pb::JobReply names = volume.list(kRootInode, 0, ~0u);
  EXPECT_LT(names.ByteSizeLong(), 1u << 20);
  EXPECT_LE(names.entries_size(), 4096);
  EXPECT_FALSE(names.end());
  const pb::JobReply all = volume.list(kRootInode, 0, ~0u, true);
  EXPECT_LT(all.ByteSizeLong(), 1u << 20);
  EXPECT_GT(all.entries_size(), 1000);
  pb::JobRequest request;
  request.mutable_read_directory()->set_inode(kRootInode);
  request.mutable_read_directory()->set_after(2);
  request.mutable_read_directory()->set_max_bytes(1000);
  EXPECT_EQ(volume.run(request).entries_size(), 3);
  request.mutable_read_directory()->set_max_bytes(1);
  EXPECT_EQ(volume.run(request).entries_size(), 1) << "one always fits";
  EXPECT_EQ(volume.names(kRootInode).size(), 5000u);
}

// Inodes that lie close together are read by scans, others one by one: both must show the same.
TEST(ReadDirectory, AttributesAreThoseOfEachEntryHoweverInodesAreSpread) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d"),
                 other = volume.make_directory(kRootInode, "o");
  std::map<std::string, uint64_t> made;
  for (int i = 0; i < 700; i++) {
    const std::string name = "f" + std::to_string(i);
    const int between = i < 300 ? i % 2 : i < 400 ? 20 : 0;  // dense, sparse, denser
    for (int n = 0; n < between; n++) volume.make_file(other, name + "-" + std::to_string(n));
    made[name] = volume.make_file(directory, name, 0600 + i % 64);
  }
  for (int i = 0; i < 20; i++) {
    const std::string name = "link" + std::to_string(i);
    made[name] = made["f" + std::to_string(i * 30)];
    ASSERT_EQ(volume.link(made[name], directory, name).error(), 0);
  }
  for (int i = 100; i < 200; i++) {
    ASSERT_EQ(volume.unlink(directory, "f" + std::to_string(i)).error(), 0);
    made.erase("f" + std::to_string(i));
  }
  std::map<std::string, uint64_t> seen;
  for (uint64_t after = 2;;) {
    const pb::JobReply reply = volume.list(directory, after, 333, true);
    ASSERT_EQ(reply.error(), 0);
    EXPECT_LE(reply.entries_size(), 333);
    for (const pb::DirectoryEntry& entry : reply.entries()) {
      seen[entry.name()] = entry.inode();
      after = entry.cookie();
      EXPECT_EQ(entry.attributes().ShortDebugString(), volume.attributes(entry.inode()).ShortDebugString());
    }
    if (reply.end()) break;
    ASSERT_EQ(reply.entries_size(), 333);
  }
  EXPECT_EQ(seen, made);
}

// Making an entry must not read what the directory has already.
TEST(ReadDirectory, CreatingInALargeDirectoryTouchesFewKeys) {
  struct CountingKv : MemoryKv {
    mutable int reads = 0;
    std::optional<std::string> get(std::string_view key) const override {
      reads++;
      return MemoryKv::get(key);
    }
    void scan(std::string_view prefix, std::string_view from,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
      MemoryKv::scan(prefix, from, [&](std::string_view key, std::string_view value) {
        reads++;
        return visit(key, value);
      });
    }
  } kv;
  for (int i = 0; i < 20000; i++) {
    kv.reads = 0;
    const pb::JobRequest request =
        JobVolume::creation(kRootInode, std::to_string(i), pb::FILE_TYPE_REGULAR, 0644);
    const JobOutcome outcome = run_job({kv, i + 1}, request);
    ASSERT_EQ(outcome.reply.error(), 0);
    ASSERT_LE(outcome.batch.size(), 5u);
    ASSERT_LE(kv.reads, 5);
    kv.apply(outcome.batch);
  }
  pb::JobRequest list;
  list.mutable_read_directory()->set_inode(kRootInode);
  list.mutable_read_directory()->set_after(10000);
  list.mutable_read_directory()->set_max_entries(10);
  kv.reads = 0;
  EXPECT_EQ(run_job({kv, 1}, list).reply.entries_size(), 10);
  EXPECT_LE(kv.reads, 15);
}

TEST(ReadDirectory, TheDirectorysSizeGrowsWithItsEntries) {
  JobVolume volume;
  for (int i = 0; i < 200; i++) volume.make_file(kRootInode, std::to_string(i));
  EXPECT_EQ(volume.attributes(kRootInode).size(), 200u * 32);
  for (int i = 0; i < 200; i++) volume.unlink(kRootInode, std::to_string(i));
  EXPECT_EQ(volume.attributes(kRootInode).size(), 4096u);
}

}  // namespace
}  // namespace shima
