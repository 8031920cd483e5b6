// A mount whose node's publication was taken away (R20): errors at once, and an unmount that does not hang.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "tests/unit/accessserver/fuse/mounted_volume.h"

namespace shima {
namespace {

class FuseFenced : public MountedVolume {
 protected:
  void fence() {
    volume().inject([](const MemoryVolume::Request&) -> std::optional<MemoryVolume::Failure> {
      return MemoryVolume::Failure{Status(Code::kFenced, "the publication was taken away")};
    });
  }
};

int errno_of(int result) { return result < 0 ? errno : 0; }

TEST_F(FuseFenced, EveryCallFailsAtOnceAndTheUnmountEnds) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "before"), 0);
  const int file = ::open(a().path("file").c_str(), O_RDWR);
  ASSERT_GE(file, 0);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(fcntl(file, F_SETLK, &lock), 0);
  fence();

  const auto began = std::chrono::steady_clock::now();
  for (int round = 0; round < 3; round++) {
    struct stat stat {};
    char byte = 0;
    EXPECT_EQ(errno_of(static_cast<int>(pwrite(file, "x", 1, 0))), EIO);
    EXPECT_EQ(errno_of(static_cast<int>(pread(file, &byte, 1, 0))), EIO);
    EXPECT_EQ(errno_of(fstat(file, &stat)), EIO);
    EXPECT_EQ(errno_of(::stat(a().path("other").c_str(), &stat)), EIO);
    EXPECT_EQ(errno_of(mkdir(a().path("directory").c_str(), 0755)), EIO);
    EXPECT_EQ(errno_of(::open(a().path("file").c_str(), O_RDONLY)), EIO);
  }
  fsync(file);
  close(file);  // FLUSH would release the lock
  EXPECT_TRUE(a().mount->unmount().is_ok());
  a().mount.reset();
  a().files.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(25)) << "a deadline is 30 s";
}

}  // namespace
}  // namespace shima
