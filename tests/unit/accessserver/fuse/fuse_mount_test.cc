#include "accessserver/fuse/fuse_mount.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/unit/accessserver/fuse/mounted_volume.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;

class FuseMounts : public MountedVolume {
 protected:
  static bool is_mounted(const std::string& directory) {
    std::ifstream mounts("/proc/mounts");
    for (std::string line; std::getline(mounts, line);) {
      if (line.find(" " + directory + " fuse.shima ") != std::string::npos) return true;
    }
    return false;
  }
  static bool is_job(const MemoryVolume::Request& request, JobRequest::JobCase job) {
    return request.call == MemoryVolume::Call::kJob && request.job->job_case() == job;
  }
};

TEST_F(FuseMounts, FilesLiveInTheVolume) {
  mount(a());
  EXPECT_TRUE(is_mounted(a().directory));
  EXPECT_EQ(write_file(a().path("file"), "content"), 0);
  EXPECT_EQ(content_of(a().path("file")), "content");
  ASSERT_TRUE(a().mount->unmount().is_ok());
  EXPECT_FALSE(a().mount->mounted());
  EXPECT_FALSE(is_mounted(a().directory));
  EXPECT_NE(access(a().path("file").c_str(), F_OK), 0);
}

TEST_F(FuseMounts, RootsNumberIsOurs) {
  mount(a());
  struct stat stat {};
  ASSERT_EQ(::stat(a().directory.c_str(), &stat), 0);
  EXPECT_EQ(stat.st_ino, 2u);
  EXPECT_EQ(stat.st_mode, static_cast<mode_t>(S_IFDIR | 0755));
}

// A thread that waits for its own process cannot be killed, nor can the process.
TEST_F(FuseMounts, MountingAsksNothingOfTheVolume) {
  volume().hold([](const MemoryVolume::Request&) { return true; });
  std::atomic<bool> mounted = false;
  std::thread mounter([&] {
    mount(a());
    mounted = true;
  });
  EXPECT_TRUE(eventually([&] { return mounted.load(); }));
  volume().release();
  mounter.join();
}

TEST_F(FuseMounts, TheKernelReadsFarAhead) {
  mount(a());
  struct stat root {};
  ASSERT_EQ(stat(a().directory.c_str(), &root), 0);
  const std::string setting = "/sys/class/bdi/" + std::to_string(major(root.st_dev)) + ":" +
                              std::to_string(minor(root.st_dev)) + "/read_ahead_kb";
  if (access(setting.c_str(), W_OK) != 0) GTEST_SKIP() << setting << " cannot be written";
  EXPECT_TRUE(eventually([&] { return content_of(setting) == "2048\n"; })) << content_of(setting);
}

TEST_F(FuseMounts, OptionsAreChecked) {
  mount(a());
  FuseOptions options;
  options.mount_point = "/nonexistent/shima";
  EXPECT_EQ(FuseMount::mount(*a().files, options).status().code(), Code::kInvalidArgument);
  options.mount_point = "/";
  options.threads = 0;
  EXPECT_EQ(FuseMount::mount(*a().files, options).status().code(), Code::kInvalidArgument);
  options.threads = 4;
  options.attribute_timeout_ms = 60'001;
  EXPECT_EQ(FuseMount::mount(*a().files, options).status().code(), Code::kInvalidArgument);
}

TEST_F(FuseMounts, InUseIsNotUnmountedWithoutForce) {
  std::atomic<int> ended = 0;
  FuseOptions options;
  options.ended = [&] { ++ended; };
  mount(a(), options);
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int file = open(a().path("file").c_str(), O_RDONLY);
  ASSERT_GE(file, 0);
  EXPECT_EQ(a().mount->unmount().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(a().mount->mounted());
  EXPECT_EQ(content_of(a().path("file")), "content");
  EXPECT_EQ(ended, 0);
  ASSERT_TRUE(a().mount->force_unmount().is_ok());
  EXPECT_EQ(ended, 1);
  char byte = 0;
  EXPECT_LT(pread(file, &byte, 1, 0), 0);
  close(file);
}

TEST_F(FuseMounts, ForcedUnmountFreesLocksAndOpenFiles) {
  mount(a());
  mount(b());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int locked = open(a().path("file").c_str(), O_RDWR), other = open(b().path("file").c_str(), O_RDWR);
  ASSERT_EQ(flock(locked, LOCK_EX | LOCK_NB), 0);
  struct flock range {};
  range.l_type = F_WRLCK;
  ASSERT_EQ(fcntl(locked, F_OFD_SETLK, &range), 0);
  EXPECT_NE(flock(other, LOCK_EX | LOCK_NB), 0);
  ASSERT_TRUE(a().mount->force_unmount().is_ok());
  EXPECT_EQ(flock(other, LOCK_EX | LOCK_NB), 0) << "the session lives on, its mount does not";
  EXPECT_EQ(fcntl(other, F_OFD_SETLK, &range), 0);
  close(locked);
  close(other);
}

TEST_F(FuseMounts, ForcedUnmountEndsWhoWaitsForALock) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int holder = open(a().path("file").c_str(), O_RDWR);
  ASSERT_EQ(flock(holder, LOCK_EX), 0);
  std::atomic<int> result = -1;
  std::thread waiter([&] {
    const int file = open(a().path("file").c_str(), O_RDWR);
    result = flock(file, LOCK_EX) == 0 ? 0 : errno;
    close(file);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(result, -1);
  EXPECT_TRUE(a().mount->force_unmount().is_ok());
  waiter.join();
  EXPECT_GT(result, 0);
  close(holder);
}

TEST_F(FuseMounts, UnmountWaitsForRequestsInFlight) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  volume().hold(
      [](const MemoryVolume::Request& request) { return request.call == MemoryVolume::Call::kRead; });
  std::thread reader([&] { content_of(a().path("file")); });
  ASSERT_TRUE(eventually([&] { return volume().held() > 0; }));
  std::atomic<bool> unmounted = false;
  std::thread unmounter([&] {
    EXPECT_TRUE(a().mount->force_unmount().is_ok());
    unmounted = true;
  });
  reader.join();  // the kernel has given up on it
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(unmounted);
  volume().release();
  unmounter.join();
  EXPECT_TRUE(unmounted);
}

TEST_F(FuseMounts, ErrorsOfTheVolumeReachTheCaller) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  volume().inject([](const MemoryVolume::Request& request) -> std::optional<MemoryVolume::Failure> {
    if (request.call == MemoryVolume::Call::kWrite) {
      return MemoryVolume::Failure{Status(Code::kNoSpace, "injected"), false};
    }
    if (request.call == MemoryVolume::Call::kRead || is_job(request, JobRequest::kRemove)) {
      return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "injected"), false};
    }
    return std::nullopt;
  });
  EXPECT_EQ(write_file(a().path("file"), "more"), ENOSPC);
  const int file = open(a().path("file").c_str(), O_RDONLY | O_DIRECT);
  alignas(4096) static char block[4096];
  EXPECT_LT(read(file, block, sizeof(block)), 0);
  EXPECT_EQ(errno, ETIMEDOUT);
  close(file);
  EXPECT_NE(unlink(a().path("file").c_str()), 0);
  EXPECT_EQ(errno, ETIMEDOUT);
  volume().inject(nullptr);
  EXPECT_EQ(content_of(a().path("file")), "content");
}

TEST_F(FuseMounts, ReadOnlyMountChangesNothing) {
  mount(a());
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  FuseOptions options;
  options.read_only = true;
  mount(b(), options);
  EXPECT_EQ(content_of(b().path("file")), "content");
  EXPECT_EQ(write_file(b().path("file"), "x"), EROFS);
  EXPECT_NE(mkdir(b().path("directory").c_str(), 0755), 0);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(FuseMounts, WithoutCacheEveryReadComesHere) {
  FuseOptions options;
  options.cache = FuseCache::kNone;
  mount(a(), options);
  ASSERT_EQ(write_file(a().path("file"), std::string(10'000, 'x')), 0);
  const uint64_t before = volume().count(MemoryVolume::Call::kRead);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(content_of(a().path("file")).size(), 10'000u);
  EXPECT_GE(volume().count(MemoryVolume::Call::kRead), before + 3);
}

TEST_F(FuseMounts, WritesDoNotAskForSecurityAttributes) {
  mount(a());
  const int file = open(a().path("file").c_str(), O_WRONLY | O_CREAT, 0644);
  ASSERT_EQ(write(file, "x", 1), 1);
  const uint64_t before = volume().count(JobRequest::kGetXattr);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(pwrite(file, "x", 1, 0), 1);
  EXPECT_EQ(volume().count(JobRequest::kGetXattr), before);
  close(file);
}

TEST_F(FuseMounts, LargeTransfersAreOneRequest) {
  mount(a());
  const int file = open(a().path("file").c_str(), O_RDWR | O_CREAT | O_DIRECT, 0644);
  ASSERT_GE(file, 0);
  const std::unique_ptr<char, decltype(&free)> block(static_cast<char*>(aligned_alloc(4096, 1 << 20)), free);
  memset(block.get(), 'x', 1 << 20);
  const uint64_t before = volume().count(MemoryVolume::Call::kWrite);
  ASSERT_EQ(pwrite(file, block.get(), 1 << 20, 0), 1 << 20);
  EXPECT_EQ(volume().count(MemoryVolume::Call::kWrite) - before, 16u) << "one piece for each block of 64 KiB";
  EXPECT_EQ(pread(file, block.get(), 1 << 20, 0), 1 << 20);
  close(file);
}

TEST_F(FuseMounts, UnmountFromOutsideEndsTheMount) {
  std::atomic<bool> ended = false;
  FuseOptions options;
  options.ended = [&] { ended = true; };
  mount(a(), options);
  ASSERT_EQ(system(("umount " + a().directory).c_str()), 0);
  a().mount->wait();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(a().mount->mounted());
  EXPECT_TRUE(a().mount->unmount().is_ok());
}

// A mount whose server was killed answers ENOTCONN for ever.
TEST_F(FuseMounts, DeadMountIsTakenOffBeforeMounting) {
  mount(a());
  ASSERT_TRUE(a().mount->unmount().is_ok());
  const std::string point = a().directory;
  const pid_t child = fork();
  if (child == 0) {
    const std::string options =
        "fd=" + std::to_string(open("/dev/fuse", O_RDWR)) + ",rootmode=40000,user_id=0,group_id=0";
    _exit(::mount("dead", point.c_str(), "fuse.dead", 0, options.c_str()) == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  struct stat stat {};
  ASSERT_NE(::stat(point.c_str(), &stat), 0);
  ASSERT_EQ(errno, ENOTCONN);
  FuseOptions options;
  options.mount_point = point;
  auto again = FuseMount::mount(*a().files, options);
  ASSERT_TRUE(again.is_ok()) << again.status().to_string();
  EXPECT_EQ(write_file(a().path("file"), "x"), 0);
  a().mount = std::move(*again);
}

}  // namespace
}  // namespace shima
