// Mounts that umount(2) of the mount point does not end: the kernel keeps them for another mount namespace,
// or for what is open after a lazy unmount.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>

#include "tests/unit/accessserver/fuse/mounted_volume.h"

namespace shima {
namespace {

// A process in a mount namespace of its own, that is: with a copy of all mounts; ends with the object.
class OtherNamespace {
 public:
  // With `file` open there, unless it is empty.
  explicit OtherNamespace(const std::string& file = "") {
    if (pipe2(ready_, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) live(file.c_str());
    close(ready_[1]);
    char byte = 0;
    is_there_ = pid_ > 0 && ::read(ready_[0], &byte, 1) == 1;
    close(ready_[0]);
  }
  ~OtherNamespace() { end(); }
  OtherNamespace(const OtherNamespace&) = delete;
  OtherNamespace& operator=(const OtherNamespace&) = delete;

  bool is_there() const { return is_there_; }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  // After a fork of a process with threads: system calls only.
  [[noreturn]] void live(const char* file) {
    // Its copies of mounts and of descriptors of /dev/fuse would outlive a test that dies.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(3, ready_[1] - 1, 0);
    close_range(ready_[1] + 1, ~0u, 0);
    const bool ok = unshare(CLONE_NEWNS) == 0 &&
                    mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                    (file[0] == '\0' || ::open(file, O_RDONLY) >= 0);
    if (!ok || ::write(ready_[1], "1", 1) != 1) _exit(1);
    while (true) pause();
  }

  int ready_[2] = {-1, -1};
  pid_t pid_ = -1;
  bool is_there_ = false;
};

class FuseUnmount : public MountedVolume {
 protected:
  // The code of an unmount(), as text; `release` lets it go if it has not returned in time.
  static std::string unmount(FuseMount& mount, const std::function<void()>& release) {
    std::atomic<bool> returned = false;
    std::string result;
    std::thread unmounter([&] {
      result = mount.unmount().to_string();
      returned = true;
    });
    const bool in_time = eventually([&] { return returned.load(); });
    if (!in_time) release();
    unmounter.join();
    return in_time ? result : "no answer in time";
  }
  static bool is_mounted(const std::string& directory) {
    struct stat at {
    }, above{};
    return stat(directory.c_str(), &at) == 0 && stat((directory + "/..").c_str(), &above) == 0 &&
           at.st_dev != above.st_dev;
  }
};

TEST_F(FuseUnmount, EndsCopiesInOtherNamespacesThatNobodyUses) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  OtherNamespace other;
  ASSERT_TRUE(other.is_there());
  // Not the first time if the RELEASE of the file is late.
  EXPECT_TRUE(
      eventually([&] { return unmount(*a().mount, [&] { other.end(); }) == Status::ok().to_string(); }));
  EXPECT_FALSE(a().mount->mounted());
  EXPECT_FALSE(is_mounted(a().directory));
}

TEST_F(FuseUnmount, ServesOpenFilesInOtherNamespacesUntilForced) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  OtherNamespace other(a().path("file"));
  ASSERT_TRUE(other.is_there());
  for (int i = 0; i < 2; ++i) {
    EXPECT_NE(unmount(*a().mount, [&] { other.end(); }).find("another mount namespace"), std::string::npos)
        << i;
    EXPECT_TRUE(a().mount->mounted());
    EXPECT_FALSE(is_mounted(a().directory));
  }
  const Status status = a().mount->force_unmount();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_FALSE(a().mount->mounted());
}

TEST_F(FuseUnmount, EndsByItselfOnceTheLastCopyIsGone) {
  std::atomic<bool> ended = false;
  FuseOptions options;
  options.ended = [&] { ended = true; };
  mount(a(), options);
  OtherNamespace other;
  ASSERT_TRUE(other.is_there());
  ASSERT_EQ(umount2(a().directory.c_str(), 0), 0);
  usleep(100'000);
  EXPECT_FALSE(ended) << "the copy is served";
  other.end();
  EXPECT_TRUE(eventually([&] { return ended.load(); }));
}

TEST_F(FuseUnmount, AfterALazyOneOpenFilesAreServedUntilForced) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int file = open(a().path("file").c_str(), O_RDONLY);
  ASSERT_EQ(umount2(a().directory.c_str(), MNT_DETACH), 0);
  EXPECT_NE(unmount(*a().mount, [&] { close(file); }).find("lazy unmount"), std::string::npos);
  char byte = 0;
  EXPECT_EQ(pread(file, &byte, 1, 0), 1);
  const Status status = a().mount->force_unmount();
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_LT(pread(file, &byte, 1, 0), 0);
  EXPECT_EQ(errno, ENOTCONN);
  close(file);
}

TEST_F(FuseUnmount, LeavesAloneWhatIsMountedThereSince) {
  mount(a());
  ASSERT_EQ(umount2(a().directory.c_str(), MNT_DETACH), 0);
  a().mount->wait();
  ASSERT_EQ(::mount("tmpfs", a().directory.c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_TRUE(a().mount->force_unmount().is_ok());
  EXPECT_TRUE(is_mounted(a().directory));
  EXPECT_EQ(umount2(a().directory.c_str(), 0), 0);
}

TEST_F(FuseUnmount, ForceReachesAMountUnderAnotherOne) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int file = open(a().path("file").c_str(), O_RDONLY);
  ASSERT_EQ(::mount("tmpfs", a().directory.c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_TRUE(a().mount->force_unmount().is_ok());
  char byte = 0;
  EXPECT_LT(pread(file, &byte, 1, 0), 0);
  close(file);
  EXPECT_TRUE(is_mounted(a().directory)) << "not ours to take away";
  EXPECT_EQ(umount2(a().directory.c_str(), 0), 0);
  EXPECT_EQ(umount2(a().directory.c_str(), MNT_DETACH), 0) << "the dead mount";
}

// Each closed file is a RELEASE that nobody waits for: when the connection is aborted, threads are about to
// read some.
TEST_F(FuseUnmount, ForcedWhileRequestsComeInLeavesTheProcessItsStandardError) {
  constexpr int kRounds = 100, kFiles = 40;
  for (int round = 0; round < kRounds; ++round) {
    mount(a());
    std::array<int, kFiles> files{};
    for (int i = 0; i < kFiles; ++i) {
      files[i] = open(a().path("file" + std::to_string(i)).c_str(), O_RDWR | O_CREAT, 0644);
      ASSERT_GE(files[i], 0) << errno;
    }
    for (const int file : files) close(file);
    ASSERT_TRUE(a().mount->force_unmount().is_ok());
    ASSERT_EQ(ftrylockfile(stderr), 0) << "a thread was ended that held it, after " << round << " rounds";
    funlockfile(stderr);
    a().mount.reset();
    a().files.reset();
    ASSERT_EQ(rmdir(a().directory.c_str()), 0) << errno;
    a().directory.clear();
  }
}

}  // namespace
}  // namespace shima
