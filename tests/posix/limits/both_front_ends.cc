#include "tests/posix/limits/both_front_ends.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

namespace shima {

BothFrontEnds::BothFrontEnds() {
  auto started = MemoryNfs::start({});
  if (!started) {
    ADD_FAILURE() << started.status().to_string();
    std::abort();  // nothing can follow
  }
  nfs_ = std::move(*started);
  auto mounted = Nfs3Client::mount(nfs_->servers()[0], "/memory");
  if (!mounted) {
    ADD_FAILURE() << mounted.status().to_string();
    std::abort();
  }
  client_ = std::move(*mounted);
  if (geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0) mount();
}

BothFrontEnds::~BothFrontEnds() {
  mount_.reset();
  files_.reset();
  if (!directory_.empty()) {
    EXPECT_EQ(rmdir(directory_.c_str()), 0) << "is it still mounted?";
  }
  client_.reset();
}

void BothFrontEnds::mount() {
  std::string name = ::testing::TempDir() + "/both_front_ends.XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  directory_ = std::filesystem::canonical(name);
  files_ = make_file_system(volume(), {.session_name = "memory/fuse"});
  FuseOptions options;
  options.mount_point = directory_;
  auto mounted = FuseMount::mount(*files_, std::move(options));
  ASSERT_TRUE(mounted.is_ok()) << mounted.status().to_string();
  mount_ = std::move(*mounted);
}

}  // namespace shima
