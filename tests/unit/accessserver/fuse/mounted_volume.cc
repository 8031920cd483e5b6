#include "tests/unit/accessserver/fuse/mounted_volume.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace shima {

namespace {

// Once, while the process has one thread; the later ones are in the same namespace. Empty: done.
std::string enter_own_mount_namespace() {
  if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return "";
  return strerror(errno);
}

}  // namespace

void MountedVolume::SetUp() {
  if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) != 0)
    GTEST_SKIP() << "mounting takes root and /dev/fuse";
  static const std::string refused = enter_own_mount_namespace();
  ASSERT_EQ(refused, "") << "unshare(2) of the mount namespace";
  volume_ = std::make_unique<MemoryVolume>(MemoryVolumeOptions{.block_size = 64 << 10});
}

void MountedVolume::TearDown() {
  if (volume_ != nullptr) volume_->release();
  for (Site* site : {&a_, &b_}) {
    site->mount.reset();
    site->files.reset();
    if (!site->directory.empty()) {
      EXPECT_EQ(rmdir(site->directory.c_str()), 0) << "is it still mounted?";
    }
  }
}

void MountedVolume::mount(Site& site, FuseOptions options) {
  std::string name = ::testing::TempDir() + "/mounted_volume.XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  name = std::filesystem::canonical(name);
  site.directory = name;
  site.files = make_file_system(*volume_, {.session_name = name});
  options.mount_point = name;
  auto mounted = FuseMount::mount(*site.files, std::move(options));
  ASSERT_TRUE(mounted.is_ok()) << mounted.status().to_string();
  site.mount = std::move(*mounted);
}

std::string MountedVolume::content_of(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY);
  if (file < 0) return "errno " + std::to_string(errno);
  std::string bytes(1 << 20, '\0');
  const ssize_t got = read(file, bytes.data(), bytes.size());
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  close(file);
  return bytes;
}

int MountedVolume::write_file(const std::string& path, const std::string& content, int flags) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | flags, 0644);
  if (file < 0) return errno;
  const ssize_t written = write(file, content.data(), content.size());
  const int error = written < 0 ? errno : written == static_cast<ssize_t>(content.size()) ? 0 : EIO;
  close(file);
  return error;
}

bool MountedVolume::eventually(const std::function<bool()>& what) {
  for (int i = 0; i < 6000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace shima
