// O_APPEND: one appender at a time, anywhere.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;
using Call = MemoryVolume::Call;

FileWrite append_of(uint64_t file, std::string_view bytes) {
  return {.inode = file, .bytes = Buffer::copy_of(bytes), .append = true, .credentials = checked()};
}

class Appends : public testing::Test {
 protected:
  uint64_t lock_jobs() const { return volume_.count(JobRequest::kSetLock); }

  MemoryVolume volume_{{.block_size = 65536}};
};

TEST_F(Appends, GoOneAfterAnotherAtTheEnd) {
  BlockingFileSystem one(volume_);
  uint64_t file = one.create("file");
  EXPECT_EQ(one.append(file, "a").offset, 0u);
  EXPECT_EQ(one.append(file, "bb").offset, 1u);
  FileWritten last = one.append(file, "ccc");
  EXPECT_EQ(last.offset, 3u);
  EXPECT_EQ(last.after.size(), 6u);
  EXPECT_EQ(one.read(file, 0, 10), "abbccc");
}

TEST_F(Appends, OfTwoServersNeverFallOnEachOther) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  std::vector<std::future<FileWritten>> all;
  for (int i = 0; i < 200; i++) {
    all.push_back(
        (i % 2 ? one : two).start_write(append_of(file, std::string(10, static_cast<char>('!' + i % 90)))));
  }
  std::set<uint64_t> offsets;
  for (auto& written : all) {
    FileWritten result = written.get();
    ASSERT_EQ(result.error, 0);
    EXPECT_TRUE(offsets.insert(result.offset).second);
  }
  EXPECT_EQ(*offsets.rbegin(), 1990u);
  std::string bytes = one.read(file, 0, 2000);
  for (size_t i = 0; i < 2000; i++) EXPECT_EQ(bytes[i], bytes[i / 10 * 10]);
}

TEST_F(Appends, TheLockIsKeptForTheNextOneAndThenGivenUp) {
  FileSystemOptions options = calm_options();
  options.append_lock_keep_ms = 100;
  options.append_lock_max_ms = 600'000;
  BlockingFileSystem one(volume_, options);
  uint64_t file = one.create("file");
  uint64_t before = lock_jobs();
  // All ten wait for the first one's bytes: no stall comes between them.
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == MemoryVolume::Call::kWrite; });
  std::vector<std::future<FileWritten>> all;
  for (int i = 0; i < 10; i++) all.push_back(one.start_write(append_of(file, "x")));
  EXPECT_TRUE(soon([&] { return volume_.held() > 0; }));
  EXPECT_EQ(lock_jobs(), before + 1);
  volume_.release();
  for (auto& each : all) EXPECT_EQ(each.get().error, 0);
  EXPECT_TRUE(soon([&] { return lock_jobs() == before + 2; }));
}

TEST_F(Appends, ALongQueueLetsOthersHaveATurn) {
  FileSystemOptions options = calm_options();
  options.append_lock_max_ms = 5;
  BlockingFileSystem one(volume_, options), two(volume_, options);
  uint64_t file = one.create("file");
  std::atomic<bool> enough = false;
  std::function<void(FileWritten)> more = [&](FileWritten) {
    if (!enough) one.files().write(append_of(file, "x"), more);
  };
  for (int i = 0; i < 4; i++) one.files().write(append_of(file, "x"), more);
  EXPECT_EQ(two.append(file, "y").error, 0);
  enough = true;
  one.append(file, "z");
}

TEST_F(Appends, FollowATruncation) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.append(file, "hello");
  ASSERT_EQ(two.truncate(file, 2), 0);
  EXPECT_EQ(one.append(file, "y").offset, 2u);
  EXPECT_EQ(two.read(file, 0, 10), "hey");
}

TEST_F(Appends, ATruncationInTheMiddleOfOneMovesIt) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.append(file, "hello");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kWrite; });
  auto appended = one.start_write(append_of(file, "world"));
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  ASSERT_EQ(two.truncate(file, 1), 0);
  volume_.release();
  EXPECT_EQ(appended.get().offset, 1u);
  EXPECT_EQ(two.read(file, 0, 20), "hworld");
}

TEST_F(Appends, FailWithoutTheServers) {
  BlockingFileSystem one(volume_);
  uint64_t file = one.create("file");
  volume_.inject([](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
    if (!r.job || !r.job->has_set_lock()) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "the answer was lost"), true};
  });
  EXPECT_EQ(one.append(file, "x").error, ETIMEDOUT);
  volume_.inject(nullptr);
  BlockingFileSystem two(volume_);
  EXPECT_EQ(two.append(file, "y").error, 0);  // the lock that was perhaps there is not there for ever
}

}  // namespace
}  // namespace shima
