// Bytes: reading, writing, truncation, holes, appends, mmap, files without a name.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

constexpr off_t kMiB = 1 << 20;

class Data : public PosixRules {
 protected:
  static std::string read_at(int file, size_t size, off_t offset) {
    std::string bytes(size, '?');
    const ssize_t got = pread(file, bytes.data(), size, offset);
    EXPECT_GE(got, 0) << "errno " << errno;
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return bytes;
  }
  static void write_at(int file, const std::string& bytes, off_t offset) {
    EXPECT_EQ(pwrite(file, bytes.data(), bytes.size(), offset), static_cast<ssize_t>(bytes.size()));
  }
};

TEST_F(Data, WhatWasNeverWrittenReadsAsZeros) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  write_at(file.get(), "end", 5 * kMiB);
  EXPECT_EQ(read_at(file.get(), 4, 5 * kMiB - 2), std::string("\0\0en", 4));
  EXPECT_EQ(read_at(file.get(), 100, 0), std::string(100, '\0'));
  EXPECT_EQ(stat_of(path("file")).st_size, 5 * kMiB + 3);
  EXPECT_EQ(read_at(file.get(), 100, 5 * kMiB + 3), "");
}

TEST_F(Data, CutOffBytesStayAwayWhenTheFileGrowsAgain) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  write_at(file.get(), std::string(3 * kMiB, 'x'), 0);
  ASSERT_EQ(ftruncate(file.get(), 1000), 0);
  ASSERT_EQ(ftruncate(file.get(), 3 * kMiB), 0);
  const std::string all = read_at(file.get(), 3 * kMiB, 0);
  EXPECT_EQ(all, std::string(1000, 'x') + std::string(3 * kMiB - 1000, '\0'));
}

TEST_F(Data, WriteBeyondACutLeavesZerosBetween) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  write_at(file.get(), std::string(10'000, 'x'), 0);
  ASSERT_EQ(ftruncate(file.get(), 10), 0);
  write_at(file.get(), "y", 9'000);
  EXPECT_EQ(read_at(file.get(), 20'000, 0), std::string(10, 'x') + std::string(8'990, '\0') + "y");
}

TEST_F(Data, OpenWithTruncEmptiesTheFile) {
  const std::string name = make_file("file", "content");
  const File file(open(name.c_str(), O_RDWR | O_TRUNC));
  EXPECT_EQ(stat_of(name).st_size, 0);
  EXPECT_EQ(read_at(file.get(), 10, 0), "");
}

TEST_F(Data, AppendsFromTwoDescriptorsDoNotOverwrite) {
  const File a(open(path("file").c_str(), O_RDWR | O_CREAT | O_APPEND, 0644));
  const File b(open(path("file").c_str(), O_RDWR | O_APPEND));
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(write(a.get(), "aaa", 3), 3);
    ASSERT_EQ(write(b.get(), "bb", 2), 2);
  }
  const std::string all = content_of(path("file"));
  ASSERT_EQ(all.size(), 250u);
  for (size_t i = 0; i < 250; i += 5) EXPECT_EQ(all.substr(i, 5), "aaabb");
}

TEST_F(Data, AppendIgnoresTheOffset) {
  const std::string name = make_file("file", "12345");
  const File file(open(name.c_str(), O_WRONLY | O_APPEND));
  write_at(file.get(), "6", 0);  // Linux: pwrite appends too
  EXPECT_EQ(content_of(name), "123456");
}

TEST_F(Data, AppendCanBeSwitchedOnLater) {
  const std::string name = make_file("file", "12345");
  const File file(open(name.c_str(), O_WRONLY));
  ASSERT_EQ(fcntl(file.get(), F_SETFL, O_APPEND), 0);
  ASSERT_EQ(write(file.get(), "6", 1), 1);
  EXPECT_EQ(content_of(name), "123456");
}

TEST_F(Data, TwoProcessesAppendWithoutLoss) {
  make_file("file");
  const auto appender = [&](char c) {
    return [this, c] {
      const File file(open(path("file").c_str(), O_WRONLY | O_APPEND));
      const std::string line = std::string(99, c) + "\n";
      for (int i = 0; i < 200; ++i) {
        if (write(file.get(), line.data(), line.size()) != 100) return 1;
      }
      return 0;
    };
  };
  const pid_t child = fork();
  if (child == 0) _exit(appender('a')());
  EXPECT_EQ(appender('b')(), 0);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  const std::string all = content_of(path("file"));
  ASSERT_EQ(all.size(), 40'000u);
  for (size_t i = 0; i < all.size(); i += 100) EXPECT_EQ(all.substr(i, 99), std::string(99, all[i]));
}

TEST_F(Data, FileWithoutANameLivesUntilItIsClosed) {
  const std::string name = make_file("file", "content");
  const File file(open(name.c_str(), O_RDWR));
  ASSERT_EQ(unlink(name.c_str()), 0);
  struct stat stat {};
  ASSERT_EQ(error_of(fstat(file.get(), &stat)), 0);
  EXPECT_EQ(stat.st_nlink, 0u);
  EXPECT_EQ(read_at(file.get(), 10, 0), "content");
  write_at(file.get(), "more", 7);
  EXPECT_EQ(error_of(ftruncate(file.get(), 9)), 0);
  EXPECT_EQ(error_of(fchmod(file.get(), 0600)), 0);
  EXPECT_EQ(read_at(file.get(), 20, 0), "contentmo");
  const std::string again = "/proc/self/fd/" + std::to_string(file.get());
  const File reopened(open(again.c_str(), O_RDONLY));
  ASSERT_EQ(reopened.error(), 0);
  EXPECT_EQ(read_at(reopened.get(), 20, 0), "contentmo");
}

TEST_F(Data, ReplacedFileLivesUntilItIsClosed) {
  const std::string old = make_file("old", "old");
  make_file("new", "new");
  const File file(open(old.c_str(), O_RDONLY));
  ASSERT_EQ(rename(path("new").c_str(), old.c_str()), 0);
  EXPECT_EQ(read_at(file.get(), 10, 0), "old");
  EXPECT_EQ(content_of(old), "new");
}

TEST_F(Data, HolesAreFound) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  write_at(file.get(), std::string(65536, 'x'), 0);
  write_at(file.get(), std::string(65536, 'x'), 8 * kMiB);
  EXPECT_EQ(lseek(file.get(), 0, SEEK_DATA), 0);
  const off_t hole = lseek(file.get(), 0, SEEK_HOLE);
  EXPECT_GE(hole, 65536);
  EXPECT_LT(hole, 8 * kMiB);
  EXPECT_EQ(lseek(file.get(), hole, SEEK_DATA), 8 * kMiB);
  EXPECT_EQ(lseek(file.get(), 8 * kMiB, SEEK_HOLE), 8 * kMiB + 65536);
  EXPECT_EQ(error_of(lseek(file.get(), 8 * kMiB + 65536, SEEK_DATA)), ENXIO);
  EXPECT_EQ(error_of(lseek(file.get(), 8 * kMiB + 65536, SEEK_HOLE)), ENXIO);
  EXPECT_LT(stat_of(path("file")).st_blocks, 8 * kMiB / 512);
}

TEST_F(Data, PunchedRangesReadAsZerosAndAreHoles) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  write_at(file.get(), std::string(4 * kMiB, 'x'), 0);
  ASSERT_EQ(error_of(fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kMiB, kMiB)), 0);
  EXPECT_EQ(read_at(file.get(), 2, kMiB - 1), std::string("x\0", 2));
  EXPECT_EQ(read_at(file.get(), kMiB, kMiB), std::string(kMiB, '\0'));
  EXPECT_EQ(read_at(file.get(), 1, 2 * kMiB), "x");
  EXPECT_EQ(lseek(file.get(), 0, SEEK_HOLE), kMiB);
  EXPECT_EQ(lseek(file.get(), kMiB, SEEK_DATA), 2 * kMiB);
  EXPECT_EQ(error_of(fallocate(file.get(), FALLOC_FL_PUNCH_HOLE, 0, 4096)), EOPNOTSUPP);
  EXPECT_EQ(stat_of(path("file")).st_size, 4 * kMiB);
}

TEST_F(Data, AllocationGrowsTheFileUnlessTold) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  ASSERT_EQ(error_of(fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, 10'000)), 0);
  EXPECT_EQ(stat_of(path("file")).st_size, 0);
  ASSERT_EQ(error_of(fallocate(file.get(), 0, 5'000, 5'000)), 0);
  EXPECT_EQ(stat_of(path("file")).st_size, 10'000);
  EXPECT_EQ(read_at(file.get(), 10'000, 0), std::string(10'000, '\0'));
  EXPECT_EQ(posix_fallocate(file.get(), 0, 20'000), 0);
  EXPECT_EQ(stat_of(path("file")).st_size, 20'000);
}

TEST_F(Data, VectorsAreReadAndWrittenInOrder) {
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  char a[] = "abc", b[] = "defgh", c[9] = {};
  const iovec out[] = {{a, 3}, {b, 5}}, in[] = {{c, 2}, {c + 2, 6}};
  EXPECT_EQ(pwritev(file.get(), out, 2, 1), 8);
  EXPECT_EQ(preadv(file.get(), in, 2, 1), 8);
  EXPECT_STREQ(c, "abcdefgh");
}

TEST_F(Data, DirectIoAndCachedIoSeeEachOther) {
  const File cached(open(path("file").c_str(), O_RDWR | O_CREAT, 0644));
  const File direct(open(path("file").c_str(), O_RDWR | O_DIRECT));
  ASSERT_EQ(direct.error(), 0);
  const std::unique_ptr<char, decltype(&free)> block(static_cast<char*>(aligned_alloc(4096, 8192)), free);
  for (int i = 0; i < 20; ++i) {
    memset(block.get(), 'a' + i, 8192);
    ASSERT_EQ(pwrite(direct.get(), block.get(), 8192, 4096), 8192);
    EXPECT_EQ(read_at(cached.get(), 8192, 4096), std::string(8192, static_cast<char>('a' + i)));
    write_at(cached.get(), std::string(100, 'z'), 5000);
    ASSERT_EQ(pread(direct.get(), block.get(), 8192, 4096), 8192);
    EXPECT_EQ(std::string(block.get() + 904, 100), std::string(100, 'z'));
  }
}

TEST_F(Data, SharedMappingsAndDescriptorsSeeEachOther) {
  const std::string name = make_file("file", std::string(8192, 'a'));
  const File file(open(name.c_str(), O_RDWR));
  void* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* bytes = static_cast<char*>(memory);
  write_at(file.get(), "written", 100);
  EXPECT_EQ(std::string(bytes + 100, 7), "written");
  std::string("mapped").copy(bytes + 5000, 6);
  EXPECT_EQ(read_at(file.get(), 6, 5000), "mapped");
  ASSERT_EQ(msync(memory, 8192, MS_SYNC), 0);
  EXPECT_EQ(content_of(name).substr(5000, 6), "mapped");
  EXPECT_EQ(content_of(name).substr(100, 7), "written");
  munmap(memory, 8192);
}

TEST_F(Data, MappedBytesBeyondTheEndAreNotWritten) {
  const std::string name = make_file("file", "short");
  const File file(open(name.c_str(), O_RDWR));
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  memcpy(static_cast<char*>(memory) + 3, "XYZ...", 6);
  ASSERT_EQ(msync(memory, 4096, MS_SYNC), 0);
  munmap(memory, 4096);
  EXPECT_EQ(content_of(name), "shoXY");
}

TEST_F(Data, MappingOutlivesTheDescriptor) {
  const std::string name = make_file("file", std::string(4096, 'a'));
  void* memory = nullptr;
  {
    const File file(open(name.c_str(), O_RDWR));
    memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  }
  ASSERT_NE(memory, MAP_FAILED);
  static_cast<char*>(memory)[7] = 'b';
  munmap(memory, 4096);
  EXPECT_EQ(content_of(name)[7], 'b');
}

TEST_F(Data, EndOfAFileIsFound) {
  const std::string name = make_file("file", "12345");
  const File file(open(name.c_str(), O_RDWR));
  EXPECT_EQ(lseek(file.get(), 0, SEEK_END), 5);
  EXPECT_EQ(lseek(file.get(), 10, SEEK_SET), 10);
  EXPECT_EQ(write(file.get(), "x", 1), 1);
  EXPECT_EQ(stat_of(name).st_size, 11);
  EXPECT_EQ(error_of(lseek(file.get(), -1, SEEK_SET)), EINVAL);
}

TEST_F(Data, SizesHaveLimits) {
  const std::string name = make_file("file");
  EXPECT_EQ(error_of(truncate(name.c_str(), -1)), EINVAL);
  const File file(open(name.c_str(), O_RDWR));
  const int error = error_of(ftruncate(file.get(), INT64_MAX));
  EXPECT_TRUE(error == EFBIG || error == EINVAL) << error;
  EXPECT_EQ(stat_of(name).st_size, 0);
  EXPECT_EQ(error_of(ftruncate(file.get(), int64_t{1} << 40)), 0);
  EXPECT_EQ(stat_of(name).st_size, int64_t{1} << 40);
}

TEST_F(Data, DescriptorsForReadingDoNotWrite) {
  const std::string name = make_file("file", "content");
  const File reading(open(name.c_str(), O_RDONLY)), writing(open(name.c_str(), O_WRONLY));
  char byte = 0;
  EXPECT_EQ(error_of(pwrite(reading.get(), "x", 1, 0)), EBADF);
  EXPECT_EQ(error_of(pread(writing.get(), &byte, 1, 0)), EBADF);
  EXPECT_EQ(error_of(ftruncate(reading.get(), 0)), EINVAL);
}

TEST_F(Data, SyncSucceeds) {
  const std::string name = make_file("file", "content");
  const File file(open(name.c_str(), O_RDWR | O_SYNC)),
      directory(open(directory_.c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(write(file.get(), "x", 1), 1);
  EXPECT_EQ(error_of(fsync(file.get())), 0);
  EXPECT_EQ(error_of(fdatasync(file.get())), 0);
  EXPECT_EQ(error_of(fsync(directory.get())), 0);
}

TEST_F(Data, CopyFileRangeCopies) {
  const std::string content(200'000, 'c');
  const std::string from = make_file("from", content), to = make_file("to");
  const File in(open(from.c_str(), O_RDONLY)), out(open(to.c_str(), O_WRONLY));
  size_t left = content.size();
  while (left > 0) {
    const ssize_t copied = copy_file_range(in.get(), nullptr, out.get(), nullptr, left, 0);
    ASSERT_GT(copied, 0) << errno;
    left -= static_cast<size_t>(copied);
  }
  EXPECT_EQ(content_of(to), content);
}

TEST_F(Data, StatfsMakesSense) {
  struct statvfs stat {};
  ASSERT_EQ(error_of(statvfs(directory_.c_str(), &stat)), 0);
  EXPECT_EQ(stat.f_namemax, 255u);
  EXPECT_GT(stat.f_blocks, 0u);
  EXPECT_LE(stat.f_bfree, stat.f_blocks);
  EXPECT_LE(stat.f_bavail, stat.f_bfree);
  EXPECT_LE(stat.f_ffree, stat.f_files);
  EXPECT_GE(stat.f_frsize, 512u);
}

}  // namespace
}  // namespace shima
