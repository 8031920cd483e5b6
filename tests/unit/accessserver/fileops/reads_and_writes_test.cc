// Reading and writing bytes: permission, limits, quota, order.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;
using Call = MemoryVolume::Call;

class ReadsAndWrites : public testing::Test {
 protected:
  static FileWrite write_of(uint64_t file, uint64_t offset, std::string_view bytes) {
    return {.inode = file, .offset = offset, .bytes = Buffer::copy_of(bytes), .credentials = checked()};
  }

  MemoryVolume volume_{{.block_size = 65536}};
  BlockingFileSystem one_{volume_}, two_{volume_};
};

TEST_F(ReadsAndWrites, AReadEndsWhereTheFileEnds) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello world");
  FileBytes inside = two_.read_bytes(file, 0, 5);
  EXPECT_FALSE(inside.end);
  EXPECT_EQ(inside.bytes, Buffer::copy_of(std::string_view("hello")));
  FileBytes last = two_.read_bytes(file, 6, 100);
  EXPECT_TRUE(last.end);
  EXPECT_EQ(last.bytes, Buffer::copy_of(std::string_view("world")));
  EXPECT_EQ(last.attributes.size(), 11u);
  FileBytes beyond = two_.read_bytes(file, 12, 100);
  EXPECT_EQ(beyond.error, 0);
  EXPECT_TRUE(beyond.end);
  EXPECT_EQ(beyond.bytes.size(), 0u);
  EXPECT_TRUE(two_.read_bytes(file, 6, 5).end);
}

TEST_F(ReadsAndWrites, BytesInGapsAreZero) {
  uint64_t file = one_.create("file");
  one_.write(file, 100'000, "x");
  EXPECT_EQ(two_.read(file, 0, 200'000), std::string(100'000, '\0') + "x");
}

TEST_F(ReadsAndWrites, AReadInsideAKnownFileAsksForBytesAndAttributesAtTheSameTime) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello world");
  volume_.hold([](const MemoryVolume::Request& r) {
    return r.call == Call::kRead || (r.job && r.job->has_get_attributes());
  });
  auto bytes = one_.start_read(file, 0, 5);
  EXPECT_TRUE(soon([&] { return volume_.held() == 2; }));
  volume_.release();
  EXPECT_EQ(bytes.get().bytes, Buffer::copy_of(std::string_view("hello")));
}

TEST_F(ReadsAndWrites, AReadBeyondTheKnownEndAsksForTheSizeFirst) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kRead; });
  two_.write(file, 5, " world");
  auto bytes = one_.start_read(file, 0, 100);
  EXPECT_TRUE(soon([&] { return volume_.held() == 1; }));
  volume_.release();
  EXPECT_EQ(bytes.get().bytes, Buffer::copy_of(std::string_view("hello world")));
}

TEST_F(ReadsAndWrites, BytesFromBeforeATruncationAreNotShownAfterIt) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello world");
  volume_.hold([](const MemoryVolume::Request& r) { return r.job && r.job->has_get_attributes(); });
  auto bytes = one_.start_read(file, 0, 11);  // the bytes are read now, the attributes later
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  ASSERT_EQ(two_.truncate(file, 5), 0);
  volume_.release();
  EXPECT_EQ(bytes.get().bytes, Buffer::copy_of(std::string_view("hello")));
}

TEST_F(ReadsAndWrites, ATruncationBetweenSizeAndBytesIsNoticed) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello world");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kRead; });
  auto bytes = two_.start_read(file, 0, 100);
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  ASSERT_EQ(one_.truncate(file, 5), 0);
  ASSERT_EQ(one_.truncate(file, 11), 0);
  volume_.release();
  EXPECT_EQ(bytes.get().bytes, Buffer::copy_of(std::string_view("hello\0\0\0\0\0\0", 11)));
}

TEST_F(ReadsAndWrites, PermissionIsCheckedWithTheCallersCredentials) {
  uint64_t file = one_.create("file", 0640, user(7));
  EXPECT_EQ(one_.write(file, 0, "x", user(7)).error, 0);
  EXPECT_EQ(one_.write(file, 0, "x", user(8)).error, EACCES);
  EXPECT_EQ(one_.read_bytes(file, 0, 1, user(8)).error, EACCES);
  EXPECT_EQ(one_.read_bytes(file, 0, 1, user(8)).bytes.size(), 0u);
  auto member = user(8);
  member.add_groups(7);
  EXPECT_EQ(one_.read_bytes(file, 0, 1, member).error, 0);
  EXPECT_EQ(one_.write(file, 0, "x", member).error, EACCES);
  EXPECT_EQ(one_.write(file, 0, "x", user(0)).error, 0);
}

TEST_F(ReadsAndWrites, TheOwnerMayWhateverTheModeSays) {
  uint64_t file = one_.create("file", 0, user(7));
  EXPECT_EQ(one_.write(file, 0, "x", user(7)).error, 0);
  EXPECT_EQ(one_.read_bytes(file, 0, 1, user(7)).error, 0);
  EXPECT_EQ(one_.read_bytes(file, 0, 1, user(8)).error, EACCES);
}

TEST_F(ReadsAndWrites, WhoMayExecuteMayRead) {
  uint64_t file = one_.create("file", 0711, user(7));
  EXPECT_EQ(one_.read_bytes(file, 0, 1, user(8)).error, 0);
  EXPECT_EQ(one_.write(file, 0, "x", user(8)).error, EACCES);
}

TEST_F(ReadsAndWrites, APermissionThatWasTakenAwayElsewhereCountsAtOnce) {
  uint64_t file = one_.create("file", 0666, user(7));
  EXPECT_EQ(one_.write(file, 0, "x", user(8)).error, 0);
  metadata::v1::NewAttributes mode;
  mode.set_mode(0600);
  ASSERT_EQ(two_.set(file, mode).error(), 0);
  EXPECT_EQ(one_.write(file, 0, "x", user(8)).error, EACCES);
}

TEST_F(ReadsAndWrites, AWriteByOthersTakesSetIdBitsAway) {
  uint64_t file = one_.create("file", 0666, user(7));
  one_.write(file, 0, "xxxx", user(0));
  metadata::v1::NewAttributes mode;
  mode.set_mode(06777);
  ASSERT_EQ(one_.set(file, mode).error(), 0);
  EXPECT_EQ(one_.write(file, 0, "x", user(0)).after.mode(), 06777u);
  EXPECT_EQ(one_.write(file, 0, "x", user(8)).after.mode(), 0777u);
  EXPECT_EQ(two_.attributes(file).mode(), 0777u);
}

TEST_F(ReadsAndWrites, OnlyRegularFilesHaveBytes) {
  EXPECT_EQ(one_.read_bytes(kRootInode, 0, 10).error, EISDIR);
  EXPECT_EQ(one_.write(kRootInode, 0, "x").error, EISDIR);
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_create()->set_parent(kRootInode);
  request.mutable_create()->set_name("fifo");
  request.mutable_create()->set_type(metadata::v1::FILE_TYPE_FIFO);
  uint64_t fifo = one_.run(request).attributes().inode();
  EXPECT_EQ(one_.read_bytes(fifo, 0, 10).error, EINVAL);
  EXPECT_EQ(one_.write(fifo, 0, "x").error, EINVAL);
}

TEST_F(ReadsAndWrites, LimitsAreKept) {
  uint64_t file = one_.create("file");
  EXPECT_EQ(one_.write(file, kMaxFileBytes, "x").error, EFBIG);
  EXPECT_EQ(one_.write(file, ~0ull, "xx").error, EFBIG);
  EXPECT_EQ(one_.write(file, kMaxFileBytes - 1, "x").error, 0);
  EXPECT_EQ(one_.read(file, kMaxFileBytes - 1, 10), "x");
  EXPECT_EQ(one_.append(file, "x").error, EFBIG);
  EXPECT_EQ(one_.read_bytes(file, ~0ull, 10).error, EINVAL);
  EXPECT_EQ(one_.read_bytes(file, 0, (16u << 20) + 1).error, EINVAL);
  EXPECT_EQ(one_.write(file, 0, std::string((16u << 20) + 1, 'x')).error, EINVAL);
}

TEST_F(ReadsAndWrites, AnEmptyWriteChangesNothing) {
  uint64_t file = one_.create("file");
  FileAttributes before = one_.attributes(file);
  EXPECT_EQ(one_.write(file, 1000, "").error, 0);
  EXPECT_EQ(one_.attributes(file).SerializeAsString(), before.SerializeAsString());
}

TEST_F(ReadsAndWrites, AnInodeThatIsGoneIsStale) {
  EXPECT_EQ(one_.write(4711, 0, "x").error, ESTALE);
  EXPECT_EQ(one_.read_bytes(4711, 0, 1).error, ESTALE);
  EXPECT_EQ(one_.append(4711, "x").error, ESTALE);
  EXPECT_EQ(one_.attributes_reply(4711).error(), ESTALE);
}

TEST_F(ReadsAndWrites, TheReplyHasAttributesOfBeforeAndAfter) {
  uint64_t file = one_.create("file");
  FileWritten first = one_.write(file, 0, "hello");
  ASSERT_TRUE(first.has_attributes);
  EXPECT_EQ(first.before.size(), 0u);
  EXPECT_EQ(first.after.size(), 5u);
  FileWritten second = one_.write(file, 0, "H");
  ASSERT_TRUE(second.has_attributes);
  EXPECT_EQ(second.after.size(), 5u);
  EXPECT_GT(second.after.mtime_ns(), first.after.mtime_ns());
  EXPECT_EQ(second.after.mtime_ns(), one_.attributes(file).mtime_ns());
}

TEST_F(ReadsAndWrites, AWriteThatOverlapsWaitsForTheFirst) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(300'000, '.'));
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kWrite; });
  auto first = one_.start_write(write_of(file, 0, std::string(100'000, 'a')));  // two blocks
  ASSERT_TRUE(soon([&] { return volume_.held() == 2; }));
  auto second = one_.start_write(write_of(file, 99'999, "bb"));
  auto other = one_.start_write(write_of(file, 200'000, "c"));
  ASSERT_TRUE(soon([&] { return volume_.held() == 3; }));
  volume_.release();
  EXPECT_EQ(first.get().error, 0);
  EXPECT_EQ(second.get().error, 0);
  EXPECT_EQ(other.get().error, 0);
  EXPECT_EQ(one_.read(file, 99'998, 4), "abb.");
}

TEST_F(ReadsAndWrites, TheSizeIsNotedAfterTheDataIsThere) {
  uint64_t file = one_.create("file");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kWrite; });
  auto written = one_.start_write(write_of(file, 0, "hello"));
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  EXPECT_EQ(two_.attributes(file).size(), 0u);
  volume_.release();
  EXPECT_EQ(written.get().error, 0);
  EXPECT_EQ(two_.attributes(file).size(), 5u);
}

TEST_F(ReadsAndWrites, ServersThatDoNotAnswerAreAnInputOutputError) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello");
  volume_.inject([](const MemoryVolume::Request&) {
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "no answer")};
  });
  EXPECT_EQ(one_.write(file, 0, "x").error, ETIMEDOUT);
  EXPECT_EQ(one_.write(file, 5, "x").error, ETIMEDOUT);
  EXPECT_EQ(one_.read_bytes(file, 0, 5).error, ETIMEDOUT);
  EXPECT_EQ(one_.attributes_reply(file).error(), ETIMEDOUT);
  EXPECT_EQ(one_.statistics().error, ETIMEDOUT);
  volume_.inject(nullptr);
  EXPECT_EQ(one_.read(file, 0, 10), "hello");
}

TEST_F(ReadsAndWrites, AWriteWhoseMarkMayNotBeThereIsNotedAgain) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello");
  one_.close();  // takes the mark away
  BlockingFileSystem three(volume_);
  volume_.inject([](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
    if (!r.job || !r.job->has_written()) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "the answer was lost"), true};
  });
  EXPECT_EQ(three.write(file, 0, "H").error, ETIMEDOUT);
  volume_.inject(nullptr);
  uint64_t before = volume_.count(JobRequest::kWritten);
  EXPECT_EQ(three.write(file, 0, "H").error, 0);
  EXPECT_EQ(volume_.count(JobRequest::kWritten), before + 1);
}

TEST_F(ReadsAndWrites, TheFirstBytesOfANewFileNeedOneJobAndALongFileFew) {
  uint64_t file = one_.create("file");
  uint64_t before = volume_.count(JobRequest::kWritten);
  ASSERT_EQ(one_.write(file, 0, "hello").error, 0);
  EXPECT_EQ(volume_.count(JobRequest::kWritten), before + 1);
  for (uint64_t i = 0; i < 100; i++) ASSERT_EQ(one_.write(file, i * 65536, std::string(65536, 'x')).error, 0);
  EXPECT_LE(volume_.count(JobRequest::kWritten), before + 1 + 100 + 8);  // each makes it longer; 8 reserve
}

TEST_F(ReadsAndWrites, DataGoesOnlyBelowTheHighWater) {
  uint64_t file = one_.create("file");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kWrite; });
  auto written = one_.start_write(write_of(file, 1'000'000, "hello"));
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  FileAttributes stored = stored_attributes(volume_, file);
  EXPECT_GE(stored.high_water(), 1'000'005u);
  EXPECT_EQ(stored.size(), 0u);
  volume_.release();
  EXPECT_EQ(written.get().error, 0);
}

TEST_F(ReadsAndWrites, DataThatWasTakenBeforeATruncationIsNotWrittenAgain) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello");
  volume_.hold([](const MemoryVolume::Request& r) {
    return r.job && r.job->has_written() && r.job->written().end() != 0;
  });
  uint64_t writes = volume_.count(Call::kWrite);
  auto written = one_.start_write(write_of(file, 5, " world"));
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  EXPECT_EQ(volume_.count(Call::kWrite), writes + 1);
  ASSERT_EQ(two_.truncate(file, 2), 0);
  volume_.release();
  EXPECT_EQ(written.get().error, 0);
  EXPECT_EQ(volume_.count(Call::kWrite), writes + 1);
  EXPECT_EQ(two_.read(file, 0, 100), "he");
  ASSERT_EQ(two_.truncate(file, 8), 0);
  EXPECT_EQ(two_.read(file, 0, 100), std::string("he\0\0\0\0\0\0", 8));
}

TEST_F(ReadsAndWrites, APrivilegedWriteInsideAKnownFileGoesBesideTheAttributes) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello world");
  volume_.hold([](const MemoryVolume::Request& r) {
    return r.call == Call::kWrite || (r.job && r.job->has_get_attributes());
  });
  FileWrite write = write_of(file, 0, "H");
  write.credentials = user(0);
  auto written = one_.start_write(write);
  EXPECT_TRUE(soon([&] { return volume_.held() == 2; }));
  volume_.release();
  FileWritten result = written.get();
  EXPECT_EQ(result.error, 0);
  ASSERT_TRUE(result.has_attributes);
  EXPECT_EQ(result.after.mtime_ns(), two_.attributes(file).mtime_ns());
  EXPECT_EQ(two_.read(file, 0, 100), "Hello world");
}

TEST_F(ReadsAndWrites, WhoMayBeRefusedWritesNothingBeforeTheAttributesAreThere) {
  uint64_t file = one_.create("file", 0600, user(7));
  one_.write(file, 0, "hello", user(7));
  volume_.hold([](const MemoryVolume::Request& r) { return r.job && r.job->has_get_attributes(); });
  FileWrite write = write_of(file, 0, "H");
  write.credentials = user(7);
  uint64_t writes = volume_.count(Call::kWrite);
  auto written = one_.start_write(write);
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  metadata::v1::NewAttributes owner;
  owner.set_uid(8);
  ASSERT_EQ(two_.set(file, owner).error(), 0);
  volume_.release();
  EXPECT_EQ(written.get().error, EACCES);
  EXPECT_EQ(volume_.count(Call::kWrite), writes);
}

TEST_F(ReadsAndWrites, AWriteBesideTheAttributesFindsOutATruncation) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello world");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kWrite; });
  FileWrite write = write_of(file, 6, "W");
  write.credentials = user(0);
  auto written = one_.start_write(write);
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  ASSERT_EQ(two_.truncate(file, 5), 0);
  volume_.release();
  EXPECT_EQ(written.get().error, 0);
  EXPECT_EQ(two_.read(file, 0, 100), std::string("hello\0W", 7));
}

TEST_F(ReadsAndWrites, AWriteBesideTheAttributesOfARemovedFileIsStale) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello");
  ASSERT_EQ(two_.remove("file"), 0);
  FileWritten result = one_.write(file, 0, "H", user(0));
  EXPECT_TRUE(result.error == ESTALE || (result.has_attributes && result.after.nlink() == 0)) << result.error;
}

TEST_F(ReadsAndWrites, AWriteBesideTheAttributesIsNotedAfterAnMtimeThatWasSetElsewhere) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, "hello");
  volume_.advance_clock_ns(3'600'000'000'000);  // the floor is then above what this server stamps
  metadata::v1::NewAttributes times;
  times.set_mtime_ns(1000);
  ASSERT_EQ(two_.set(file, times).error(), 0);
  ASSERT_EQ(two_.attributes(file).mtime_ns(), 1000);
  ASSERT_EQ(one_.write(file, 0, "H", user(0)).error, 0);
  EXPECT_GT(two_.attributes(file).mtime_ns(), 1000);
}

class Quota : public testing::Test {
 protected:
  MemoryVolume volume_{{.block_size = 65536, .size_bytes = 100 * 4096}};
  BlockingFileSystem one_{volume_};
};

TEST_F(Quota, AVolumeThatIsFullTakesNoMore) {
  uint64_t file = one_.create("file");
  EXPECT_EQ(one_.write(file, 0, std::string(100 * 4096, 'x')).error, 0);
  EXPECT_EQ(one_.write(file, 100 * 4096, "x").error, EDQUOT);
  EXPECT_EQ(one_.attributes(file).size(), 100u * 4096);
  EXPECT_EQ(one_.append(file, "x").error, EDQUOT);
}

TEST_F(Quota, BytesThatAreAllocatedCanBeReplacedWhenTheVolumeIsFull) {
  uint64_t file = one_.create("file");
  ASSERT_EQ(one_.write(file, 0, std::string(99 * 4096, 'x')).error, 0);
  ASSERT_EQ(one_.truncate(file, 200 * 4096), 0);
  ASSERT_EQ(one_.write(file, 100 * 4096, "x").error, 0);
  EXPECT_EQ(one_.write(file, 50'000, std::string(50'000, 'y')).error, 0);
  EXPECT_EQ(one_.write(file, 98 * 4096, std::string(4097, 'y')).error, EDQUOT);  // a hole
}

TEST_F(Quota, SpaceThatWasFreedIsSeenBeforeAWriteIsRefused) {
  uint64_t file = one_.create("file");
  ASSERT_EQ(one_.write(file, 0, std::string(100 * 4096, 'x')).error, 0);
  ASSERT_EQ(one_.truncate(file, 0), 0);
  EXPECT_EQ(one_.write(file, 0, std::string(100 * 4096, 'x')).error, 0);
}

TEST_F(Quota, WhatOthersWroteCounts) {
  BlockingFileSystem two(volume_);
  uint64_t file = one_.create("file"), other = one_.create("other");
  ASSERT_EQ(one_.write(file, 0, std::string(60 * 4096, 'x')).error, 0);
  EXPECT_EQ(two.write(other, 0, std::string(60 * 4096, 'x')).error, EDQUOT);
}

// The record is looked at before a write is refused, and for statfs: nothing else tells of it.
TEST_F(Quota, AVolumeThatIsMadeLargerIsSoAtOnce) {
  uint64_t file = one_.create("file");
  ASSERT_EQ(one_.write(file, 0, std::string(100 * 4096, 'x')).error, 0);
  EXPECT_EQ(one_.write(file, 100 * 4096, "x").error, EDQUOT);
  volume_.set_quota_bytes(200 * 4096);
  EXPECT_EQ(one_.write(file, 100 * 4096, std::string(100 * 4096, 'x')).error, 0);
  EXPECT_EQ(one_.write(file, 200 * 4096, "x").error, EDQUOT);
  volume_.set_quota_bytes(300 * 4096);
  EXPECT_EQ(one_.statistics().total_bytes, 300u * 4096);
}

TEST_F(Quota, StatisticsShowIt) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(10 * 4096, 'x'));
  VolumeStatistics statistics = one_.statistics();
  EXPECT_EQ(statistics.error, 0);
  EXPECT_EQ(statistics.total_bytes, 100u * 4096);
  EXPECT_EQ(statistics.free_bytes, 90u * 4096);
  EXPECT_GT(statistics.free_inodes, 0u);
  EXPECT_LT(statistics.free_inodes, statistics.total_inodes);
  volume_.set_quota_bytes(0);
  EXPECT_EQ(one_.statistics().total_bytes, 1ull << 50);
}

TEST(FullGroups, AreNoSpaceLeft) {
  MemoryVolume volume({.block_size = 65536, .capacity_bytes = 10 * 4096});
  BlockingFileSystem one(volume);
  uint64_t file = one.create("file");
  EXPECT_EQ(one.write(file, 0, std::string(10 * 4096, 'x')).error, 0);
  EXPECT_EQ(one.write(file, 10 * 4096, "x").error, ENOSPC);
  EXPECT_EQ(one.write(file, 0, "y").error, 0);
  EXPECT_EQ(one.attributes(file).size(), 10u * 4096);
}

}  // namespace
}  // namespace shima
