#include "accessserver/fuse/mount_point.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace shima {
namespace {

class MountPoint : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/mount_point.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(MountPoint, MustBeADirectoryThatExists) {
  std::ofstream(directory_ + "/file") << "x";
  EXPECT_EQ(prepare_mount_point(directory_ + "/missing").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(prepare_mount_point(directory_ + "/file").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(prepare_mount_point("").status().code(), Code::kInvalidArgument);
}

TEST_F(MountPoint, IsKeptAsAnAbsolutePath) {
  std::filesystem::create_directory(directory_ + "/real");
  std::filesystem::create_directory_symlink("real", directory_ + "/link");
  const auto point = prepare_mount_point(directory_ + "/link");
  ASSERT_TRUE(point.is_ok()) << point.status().to_string();
  EXPECT_EQ(*point, std::filesystem::canonical(directory_).string() + "/real");
}

TEST_F(MountPoint, UnmountingWhatIsNotMountedIsNoError) {
  if (geteuid() != 0) GTEST_SKIP() << "umount(2) takes root";
  EXPECT_TRUE(unmount_point(directory_, false).is_ok());
  EXPECT_TRUE(unmount_point(directory_ + "/missing", true).is_ok());
}

TEST_F(MountPoint, HasTheDeviceOfWhatIsMounted) {
  EXPECT_EQ(device_at(directory_),
            device_at("/proc/self/root" + std::filesystem::canonical(directory_).string()));
  EXPECT_NE(device_at(directory_), device_at("/proc"));
  EXPECT_EQ(device_at(directory_ + "/missing"), std::nullopt);
}

TEST_F(MountPoint, AbortingAConnectionThatIsGoneIsNoError) {
  if (geteuid() != 0 || access("/dev/fuse", W_OK) != 0) GTEST_SKIP() << "it takes root and /dev/fuse";
  const dev_t nobodys = makedev(0, 1'048'575);
  const Status status = abort_connection(nobodys);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
}

TEST(MountOptions, NameTheVolumeAndFollowTheSettings) {
  FuseOptions options;
  EXPECT_EQ(mount_options(options, "db", 4096),
            "default_permissions,suid,dev,fsname=shima:db,subtype=shima,max_read=4096,allow_other");
  options.allow_other = false;
  options.read_only = true;
  EXPECT_EQ(mount_options(options, "db", 4096),
            "default_permissions,suid,dev,fsname=shima:db,subtype=shima,max_read=4096,ro");
}

TEST(MountOptions, VolumeNameCannotAddOptions) {
  EXPECT_NE(mount_options({}, "x,user_id=5\\ \n", 4096).find("fsname=shima:x_user_id=5___,"),
            std::string::npos);
}

}  // namespace
}  // namespace shima
