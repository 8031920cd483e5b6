// Files of 16 TiB, which is the most (coreserver/jobs/jobs.h): the last byte, and beyond it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coreserver/jobs/jobs.h"
#include "tests/posix/limits/both_front_ends.h"

namespace shima {
namespace {

constexpr auto kEnd = static_cast<off_t>(kMaxFileBytes);
static_assert(kEnd == off_t{16} << 40);

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// errno of a call that returned `result`; 0: done.
int error_of(int64_t result) { return result < 0 ? errno : 0; }

TEST(LargestFile, ByNfsHasALastByte) {
  BothFrontEnds front_ends;
  Nfs3Client& client = front_ends.client();
  const std::string file = client.create(client.root(), "f", GUARDED, {.mode = 0644}).handle;
  ASSERT_FALSE(file.empty()) << client.error();
  EXPECT_EQ(client.write(file, kEnd - 3, bytes_of("end")).status, NFS3_OK);
  EXPECT_EQ(client.getattr(file).attributes->size, kMaxFileBytes);
  EXPECT_LE(client.getattr(file).attributes->used, 1u << 20) << "the rest is a hole";

  NfsAnswer got = client.read(file, kEnd - 5, 100);
  EXPECT_EQ(got.status, NFS3_OK);
  EXPECT_EQ(got.bytes, std::string("\0\0end", 5));
  EXPECT_TRUE(got.end);
  got = client.read(file, kEnd, 1);
  EXPECT_EQ(got.status, NFS3_OK);
  EXPECT_TRUE(got.bytes.empty() && got.end);

  EXPECT_EQ(client.write(file, kEnd, bytes_of("x")).status, NFS3ERR_FBIG);
  EXPECT_EQ(client.write(file, kEnd - 1, bytes_of("xy")).status, NFS3ERR_FBIG);
  EXPECT_EQ(client.setattr(file, {.size = kMaxFileBytes + 1}).status, NFS3ERR_FBIG);
  EXPECT_EQ(client.getattr(file).attributes->size, kMaxFileBytes) << "what was refused changed nothing";
  EXPECT_EQ(client.read(file, kEnd - 3, 3).bytes, "end");
}

TEST(LargestFile, ByNfsIsCutAndGrownAgain) {
  BothFrontEnds front_ends;
  Nfs3Client& client = front_ends.client();
  const std::string file = client.create(client.root(), "f", GUARDED, {.mode = 0644}).handle;
  ASSERT_EQ(client.setattr(file, {.size = kMaxFileBytes}).status, NFS3_OK);
  EXPECT_EQ(client.write(file, kEnd - 3, bytes_of("end")).status, NFS3_OK);
  EXPECT_EQ(client.write(file, 0, bytes_of("begin")).status, NFS3_OK);
  EXPECT_EQ(client.setattr(file, {.size = kMaxFileBytes - 1}).status, NFS3_OK);
  EXPECT_EQ(client.setattr(file, {.size = kMaxFileBytes}).status, NFS3_OK);
  EXPECT_EQ(client.read(file, kEnd - 3, 3).bytes, std::string("en\0", 3)) << "what was cut off is zero";
  EXPECT_EQ(client.setattr(file, {.size = 5}).status, NFS3_OK);
  EXPECT_EQ(client.setattr(file, {.size = kMaxFileBytes}).status, NFS3_OK);
  EXPECT_EQ(client.read(file, kEnd - 3, 3).bytes, std::string(3, '\0'));
  EXPECT_EQ(client.read(file, 0, 6).bytes, std::string("begin\0", 6));
  EXPECT_EQ(client.remove(client.root(), "f").status, NFS3_OK);
  // The bytes of a file without a name go a moment later.
  for (int i = 0; i < 1000 && front_ends.volume().used_bytes() != 0; ++i) usleep(10'000);
  EXPECT_EQ(front_ends.volume().used_bytes(), 0u);
}

class LargestMountedFile : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_MOUNT(front_ends_);
    file_ = open(front_ends_.path("f").c_str(), O_RDWR | O_CREAT | O_EXCL, 0644);
    ASSERT_GE(file_, 0) << errno;
  }
  void TearDown() override {
    if (file_ >= 0) close(file_);
  }
  off_t size() const {
    struct stat stat {};
    return fstat(file_, &stat) == 0 ? stat.st_size : -1;
  }
  std::string read(off_t offset, size_t count) const {
    std::string bytes(count, '?');
    const ssize_t got = pread(file_, bytes.data(), count, offset);
    return got < 0 ? "errno " + std::to_string(errno) : bytes.substr(0, static_cast<size_t>(got));
  }

  BothFrontEnds front_ends_;
  int file_ = -1;
};

TEST_F(LargestMountedFile, HasALastByte) {
  EXPECT_EQ(pwrite(file_, "end", 3, kEnd - 3), 3) << errno;
  EXPECT_EQ(size(), kEnd);
  EXPECT_EQ(read(kEnd - 5, 100), std::string("\0\0end", 5));
  EXPECT_EQ(read(kEnd, 1), "");
  EXPECT_EQ(lseek(file_, 0, SEEK_END), kEnd);

  EXPECT_EQ(error_of(pwrite(file_, "x", 1, kEnd)), EFBIG);
  EXPECT_EQ(error_of(ftruncate(file_, kEnd + 1)), EFBIG);
  EXPECT_EQ(error_of(fallocate(file_, 0, kEnd, 1)), EFBIG);
  const int appending = open(front_ends_.path("f").c_str(), O_WRONLY | O_APPEND);
  EXPECT_EQ(error_of(write(appending, "x", 1)), EFBIG);
  close(appending);
  EXPECT_EQ(size(), kEnd) << "what was refused changed nothing";
  EXPECT_EQ(read(kEnd - 3, 3), "end");
}

TEST_F(LargestMountedFile, ShowsItsDataAndItsHoles) {
  ASSERT_EQ(pwrite(file_, "end", 3, kEnd - 3), 3) << errno;
  const off_t data = lseek(file_, 0, SEEK_DATA);
  EXPECT_GT(data, kEnd - (4 << 20)) << "most of it is a hole";
  EXPECT_LE(data, kEnd - 3);
  EXPECT_EQ(lseek(file_, 0, SEEK_HOLE), 0);
  EXPECT_EQ(lseek(file_, kEnd - 3, SEEK_DATA), kEnd - 3);
  EXPECT_EQ(lseek(file_, kEnd - 3, SEEK_HOLE), kEnd) << "every file ends in a hole";
  EXPECT_EQ(error_of(lseek(file_, kEnd, SEEK_DATA)), ENXIO);
  EXPECT_EQ(error_of(lseek(file_, kEnd, SEEK_HOLE)), ENXIO);
  ASSERT_EQ(error_of(fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kEnd - (1 << 20), 1 << 20)),
            0);
  EXPECT_EQ(read(kEnd - 3, 3), std::string(3, '\0'));
  EXPECT_EQ(size(), kEnd);
}

TEST_F(LargestMountedFile, IsCutAndGrownAgain) {
  ASSERT_EQ(error_of(ftruncate(file_, kEnd)), 0);
  ASSERT_EQ(pwrite(file_, "end", 3, kEnd - 3), 3) << errno;
  ASSERT_EQ(pwrite(file_, "begin", 5, 0), 5) << errno;
  EXPECT_EQ(error_of(ftruncate(file_, kEnd - 1)), 0);
  EXPECT_EQ(error_of(ftruncate(file_, kEnd)), 0);
  EXPECT_EQ(read(kEnd - 3, 3), std::string("en\0", 3)) << "what was cut off is zero";
  EXPECT_EQ(error_of(ftruncate(file_, 5)), 0);
  EXPECT_EQ(error_of(ftruncate(file_, kEnd)), 0);
  EXPECT_EQ(read(kEnd - 3, 3), std::string(3, '\0'));
  EXPECT_EQ(read(0, 6), std::string("begin\0", 6));
  const NfsAnswer seen = front_ends_.client().lookup(front_ends_.client().root(), "f");
  ASSERT_EQ(seen.status, NFS3_OK);
  EXPECT_EQ(seen.attributes->size, kMaxFileBytes) << "and so it is by NFS";
}

// POSIX.1-2017 write(): as many bytes as there is room for.
TEST_F(LargestMountedFile, TakesOfAWriteWhatFitsOrNothing) {
  const ssize_t written = pwrite(file_, "xy", 2, kEnd - 1);
  if (written < 0) {
    EXPECT_EQ(errno, EFBIG);
    EXPECT_EQ(size(), 0);
  } else {
    EXPECT_EQ(written, 1);
    EXPECT_EQ(read(kEnd - 1, 2), "x");
  }
}

}  // namespace
}  // namespace shima
