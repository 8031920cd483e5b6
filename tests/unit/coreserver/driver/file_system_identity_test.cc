#include "coreserver/driver/file_system_identity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace shima {
namespace {

TEST(FileSystemIdentity, IsOneForDirectoriesOfOneFileSystemAndAnotherElsewhere) {
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("identity-" + std::to_string(::getpid()));
  std::filesystem::create_directories(directory / "a");
  std::filesystem::create_directories(directory / "b");
  const auto a = file_system_identity(directory / "a"), b = file_system_identity(directory / "b");
  std::filesystem::remove_all(directory);
  ASSERT_TRUE(a && b) << a.status().to_string();
  EXPECT_EQ(*a, *b);
  EXPECT_NE(*a, file_system_identity("/proc").value());
}

TEST(FileSystemIdentity, ADirectoryThatIsNotThereHasNone) {
  EXPECT_EQ(file_system_identity("/absent/of/course").status().code(), Code::kIo);
}

}  // namespace
}  // namespace shima
