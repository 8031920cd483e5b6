// MountedVolume: a volume in memory, mounted in this process at one or two directories, each with a
// FileSystem (a session, as an access server has) of its own. Needs root and /dev/fuse; where these are
// missing the test is skipped and says so.
//
// The process gets a mount namespace of its own: whatever else the machine runs (ip netns exec, unshare,
// containers) copies all mounts into each new namespace, and a mount that was copied is not gone when it is
// unmounted here.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "accessserver/fileops/file_system.h"
#include "accessserver/fuse/fuse_mount.h"
#include "tests/support/memory_volume/memory_volume.h"

namespace shima {

class MountedVolume : public ::testing::Test {
 protected:
  struct Site {
    std::string directory;
    std::unique_ptr<FileSystem> files;
    std::unique_ptr<FuseMount> mount;  // before files
    std::string path(const std::string& name) const { return directory + "/" + name; }
  };

  void SetUp() override;
  void TearDown() override;
  // Mounts at a new directory.
  void mount(Site& site, FuseOptions options = {});
  Site& a() { return a_; }
  Site& b() { return b_; }
  MemoryVolume& volume() { return *volume_; }

  static std::string content_of(const std::string& path);
  static int write_file(const std::string& path, const std::string& content, int flags = 0);  // errno
  // Waits up to a minute.
  static bool eventually(const std::function<bool()>& what);

 private:
  std::unique_ptr<MemoryVolume> volume_;
  Site a_, b_;
};

}  // namespace shima
