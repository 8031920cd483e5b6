// BothFrontEnds: one volume in memory behind an NFS server and a FUSE mount (two access servers) in this
// process. Without root or /dev/fuse there is no mount: a test that needs it calls SKIP_WITHOUT_MOUNT.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "accessserver/fileops/file_system.h"
#include "accessserver/fuse/fuse_mount.h"
#include "tests/posix/nfs/memory_nfs.h"
#include "tests/posix/nfs/nfs3_client.h"

namespace shima {

class BothFrontEnds {
 public:
  BothFrontEnds();
  ~BothFrontEnds();
  BothFrontEnds(const BothFrontEnds&) = delete;
  BothFrontEnds& operator=(const BothFrontEnds&) = delete;

  MemoryVolume& volume() { return nfs_->volume(); }
  Nfs3Client& client() { return *client_; }
  bool has_mount() const { return mount_ != nullptr; }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

 private:
  void mount();

  std::unique_ptr<MemoryNfs> nfs_;
  std::unique_ptr<Nfs3Client> client_;
  std::string directory_;
  std::unique_ptr<FileSystem> files_;
  std::unique_ptr<FuseMount> mount_;  // before files_
};

#define SKIP_WITHOUT_MOUNT(front_ends) \
  if (!(front_ends).has_mount()) GTEST_SKIP() << "mounting takes root and /dev/fuse"

}  // namespace shima
