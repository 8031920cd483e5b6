// Locks that go with a descriptor (OFD, flock) are gone for who asks after close(2) has returned, although
// FUSE tells of the last close only afterwards.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <future>

#include "accessserver/fuse/open_files.h"
#include "tests/unit/accessserver/fuse/mounted_volume.h"

namespace shima {
namespace {

using std::chrono::milliseconds;

class ClosedLocks : public MountedVolume {
 protected:
  void SetUp() override {
    MountedVolume::SetUp();
    if (IsSkipped()) return;
    mount(a());
    ASSERT_EQ(write_file(a().path("file"), "content"), 0);
    other_ = open_file();
  }
  void TearDown() override {
    if (other_ >= 0) close(other_);
    MountedVolume::TearDown();
  }

  int open_file() { return open(a().path("file").c_str(), O_RDWR); }
  static struct flock whole() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    return lock;
  }
  // The other descriptor's: the type of the lock in its way; F_UNLCK: none.
  int seen() {
    struct flock lock = whole();
    return fcntl(other_, F_OFD_GETLK, &lock) == 0 ? lock.l_type : -errno;
  }
  int set() {
    struct flock lock = whole();
    return fcntl(other_, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
  }
  void lock_and_close() {
    const int file = open_file();
    struct flock lock = whole();
    ASSERT_EQ(fcntl(file, F_OFD_SETLK, &lock), 0);
    ASSERT_EQ(seen(), F_WRLCK);
    ASSERT_EQ(set(), EAGAIN);
    close(file);
  }
  void hold_releases() {
    volume().hold([](const MemoryVolume::Request& r) { return r.job && r.job->has_release_locks(); });
  }
  // RELEASE is a background request for the kernel, as read-ahead is: of these only one will be under way.
  bool allow_one_background_request() {
    struct stat stat {};
    if (::stat(a().directory.c_str(), &stat) != 0) return false;
    const std::string control = "/sys/fs/fuse/connections";
    const bool mounted = ::mount("none", control.c_str(), "fusectl", 0, nullptr) == 0;  // else it was already
    std::ofstream file(control + "/" + std::to_string(minor(stat.st_dev)) + "/max_background");
    file << 1 << std::flush;
    const bool written = file.good();
    file.close();
    if (mounted) umount2(control.c_str(), MNT_DETACH);
    return written;
  }
  // `ask` is answered only when the release is done, and then with `wanted`.
  void expect_after_release(const std::function<int()>& ask, int wanted) {
    EXPECT_TRUE(eventually([&] { return volume().held() > 0; }));
    auto answer = std::async(std::launch::async, ask);
    EXPECT_EQ(answer.wait_for(milliseconds(200)), std::future_status::timeout);
    volume().release();
    EXPECT_EQ(answer.get(), wanted);
  }

  // `ask` says `wanted` after `close_it`; only if the machine stalled for kReleaseComes in between, a little
  // later.
  void expect_at_once(const std::function<void()>& close_it, const std::function<int()>& ask, int wanted) {
    const auto began = std::chrono::steady_clock::now();
    close_it();
    const int told = ask();
    if (told == wanted) return;
    ASSERT_GE(std::chrono::steady_clock::now() - began, OpenFiles::kReleaseComes) << "told " << told;
    ASSERT_LT(++stalls_, 10);
    ASSERT_TRUE(eventually([&] { return ask() == wanted; }));
  }

  int other_ = -1;
  int stalls_ = 0;
};

TEST_F(ClosedLocks, ATestWaitsForTheRelease) {
  hold_releases();
  lock_and_close();
  expect_after_release([this] { return seen(); }, F_UNLCK);
}

TEST_F(ClosedLocks, ALockWaitsForTheRelease) {
  hold_releases();
  lock_and_close();
  expect_after_release([this] { return set(); }, 0);
}

TEST_F(ClosedLocks, AWaitingLockAndAFlockWaitForTheRelease) {
  hold_releases();
  const int file = open_file();
  ASSERT_EQ(flock(file, LOCK_EX | LOCK_NB), 0);
  ASSERT_NE(flock(other_, LOCK_EX | LOCK_NB), 0);
  close(file);
  expect_after_release([this] { return flock(other_, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }, 0);
  hold_releases();
  lock_and_close();
  expect_after_release(
      [this] {
        struct flock lock = whole();
        return fcntl(other_, F_OFD_SETLKW, &lock) == 0 ? 0 : errno;
      },
      0);
}

// The answer must come while the release waits, so a stall of the machine spoils a try.
TEST_F(ClosedLocks, AreNotSeenIfTheReleaseIsHeldUp) {
  ASSERT_EQ(write_file(a().path("second"), std::string(64 << 10, 'x')), 0);
  ASSERT_TRUE(allow_one_background_request());
  const int second = open(a().path("second").c_str(), O_RDONLY);
  int told = F_WRLCK;
  for (int i = 0; i < 10 && told != F_UNLCK; ++i) {
    volume().hold([](const MemoryVolume::Request& r) { return r.call == MemoryVolume::Call::kRead; });
    ASSERT_EQ(posix_fadvise(second, 0, 0, POSIX_FADV_DONTNEED), 0);
    ASSERT_EQ(posix_fadvise(second, 0, 0, POSIX_FADV_WILLNEED), 0);
    ASSERT_TRUE(eventually([&] { return volume().held() > 0; }));
    lock_and_close();
    auto answer = std::async(std::launch::async, [this] { return seen(); });
    answer.wait_for(milliseconds(300));
    volume().release();
    told = answer.get();
  }
  EXPECT_EQ(told, F_UNLCK);
  close(second);
}

TEST_F(ClosedLocks, OtherFilesDoNotWait) {
  ASSERT_EQ(write_file(a().path("second"), "content"), 0);
  const int second = open(a().path("second").c_str(), O_RDWR);
  hold_releases();
  lock_and_close();
  EXPECT_TRUE(eventually([&] { return volume().held() > 0; }));
  struct flock lock = whole();
  EXPECT_EQ(fcntl(second, F_OFD_SETLK, &lock), 0);
  volume().release();
  close(second);
}

TEST_F(ClosedLocks, AConflictWithAnOpenThatStaysIsTold) {
  const int file = open_file();
  struct flock lock = whole();
  ASSERT_EQ(fcntl(file, F_OFD_SETLK, &lock), 0);
  close(dup(file));
  EXPECT_EQ(seen(), F_WRLCK) << "after a while";
  close(dup(file));
  EXPECT_EQ(set(), EAGAIN);
  expect_at_once([&] { close(file); }, [this] { return set(); }, 0);
}

TEST_F(ClosedLocks, AreNeverSeenAfterwards) {
  for (int i = 0; i < 1000; ++i) {
    expect_at_once([this] { lock_and_close(); }, [this] { return seen(); }, F_UNLCK);
    expect_at_once([this] { lock_and_close(); }, [this] { return set(); }, 0);
    ASSERT_FALSE(HasFailure()) << i;
    struct flock lock = whole();
    lock.l_type = F_UNLCK;
    ASSERT_EQ(fcntl(other_, F_OFD_SETLK, &lock), 0);
  }
}

}  // namespace
}  // namespace shima
