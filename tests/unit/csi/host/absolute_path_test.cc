#include "csi/host/absolute_path.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace shima {
namespace {

TEST(AbsolutePath, NormalizedPathsAreTaken) {
  for (const char* path : {"/a", "/var/lib/kubelet/pods/1-2/volumes/pvc", "/with blank/and.dots/..a/b.."}) {
    EXPECT_TRUE(check_normalized_path("target_path", path).is_ok()) << path;
  }
}

TEST(AbsolutePath, HostilePathsAreRefusedWithTheirFieldsName) {
  const std::string long_part = "/a/" + std::string(256, 'x'), long_path = "/" + std::string(4096, 'x');
  for (const std::string& path :
       {std::string(), std::string("/"), std::string("a/b"), std::string("/a//b"), std::string("/a/./b"),
        std::string("/a/../b"), std::string("/.."), std::string("/a/"), std::string("/a\nb"),
        std::string("/a\0b", 4), long_part, long_path}) {
    const Status status = check_normalized_path("target_path", path);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << path;
    EXPECT_NE(status.message().find("target_path"), std::string::npos);
    EXPECT_LT(status.message().size(), 400u);
  }
}

TEST(AbsolutePath, BelowMeansInsideAndNotBesides) {
  EXPECT_TRUE(is_below("/var/lib/kubelet/a", "/var/lib/kubelet"));
  EXPECT_FALSE(is_below("/var/lib/kubelet", "/var/lib/kubelet"));
  EXPECT_FALSE(is_below("/var/lib/kubelet2/a", "/var/lib/kubelet"));
  EXPECT_FALSE(check_path_below("path", "/etc/passwd", {"/var/lib/kubelet", "/run/shima"}).is_ok());
  EXPECT_TRUE(check_path_below("path", "/run/shima/x", {"/var/lib/kubelet", "/run/shima"}).is_ok());
}

TEST(AbsolutePath, ASymbolicLinkOnTheWayIsRefused) {
  std::string folder = std::filesystem::temp_directory_path() / "shima-path-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::filesystem::create_directory(folder + "/real");
  std::filesystem::create_directory_symlink(folder + "/real", folder + "/link");
  std::ofstream(folder + "/file") << "x";
  EXPECT_TRUE(open_parent("target_path", folder + "/real/target").is_ok());
  EXPECT_EQ(open_parent("target_path", folder + "/link/target").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(open_parent("target_path", folder + "/none/target").status().code(), Code::kNotFound);
  EXPECT_EQ(open_parent("target_path", folder + "/file/target").status().code(), Code::kInvalidArgument);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace shima
