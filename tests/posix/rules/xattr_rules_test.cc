// Extended attributes: xattr(7), setxattr(2), getxattr(2), listxattr(2), removexattr(2).
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

class Xattrs : public PosixRules {
 protected:
  static int set(const std::string& path, const char* name, const std::string& value, int flags = 0) {
    return error_of(lsetxattr(path.c_str(), name, value.data(), value.size(), flags));
  }
  static std::string get(const std::string& path, const char* name) {
    std::string value(65536, '\0');
    const ssize_t size = lgetxattr(path.c_str(), name, value.data(), value.size());
    return size < 0 ? "errno " + std::to_string(errno) : value.substr(0, static_cast<size_t>(size));
  }
};

TEST_F(Xattrs, AreKeptReplacedAndRemoved) {
  const std::string file = make_file("file");
  EXPECT_EQ(set(file, "user.a", "first"), 0);
  EXPECT_EQ(get(file, "user.a"), "first");
  EXPECT_EQ(set(file, "user.a", std::string("s\0cond", 6)), 0);
  EXPECT_EQ(get(file, "user.a"), std::string("s\0cond", 6));
  EXPECT_EQ(set(file, "user.empty", ""), 0);
  EXPECT_EQ(get(file, "user.empty"), "");
  EXPECT_EQ(error_of(removexattr(file.c_str(), "user.a")), 0);
  EXPECT_EQ(get(file, "user.a"), "errno " + std::to_string(ENODATA));
  EXPECT_EQ(error_of(removexattr(file.c_str(), "user.a")), ENODATA);
}

TEST_F(Xattrs, CreateAndReplaceMindWhatIsThere) {
  const std::string file = make_file("file");
  EXPECT_EQ(set(file, "user.a", "x", XATTR_REPLACE), ENODATA);
  EXPECT_EQ(set(file, "user.a", "x", XATTR_CREATE), 0);
  EXPECT_EQ(set(file, "user.a", "y", XATTR_CREATE), EEXIST);
  EXPECT_EQ(set(file, "user.a", "y", XATTR_REPLACE), 0);
  EXPECT_EQ(get(file, "user.a"), "y");
}

TEST_F(Xattrs, SizesAreToldAndChecked) {
  const std::string file = make_file("file");
  ASSERT_EQ(set(file, "user.a", "12345"), 0);
  char buffer[4];
  EXPECT_EQ(getxattr(file.c_str(), "user.a", nullptr, 0), 5);
  EXPECT_EQ(error_of(getxattr(file.c_str(), "user.a", buffer, 4)), ERANGE);
  EXPECT_GE(listxattr(file.c_str(), nullptr, 0), 7);
  EXPECT_EQ(error_of(listxattr(file.c_str(), buffer, 4)), ERANGE);
}

TEST_F(Xattrs, AreListed) {
  const std::string file = make_file("file");
  for (const char* name : {"user.a", "user.b", "user.c"}) ASSERT_EQ(set(file, name, "x"), 0);
  std::string names(1000, '\0');
  const ssize_t size = listxattr(file.c_str(), names.data(), names.size());
  ASSERT_GT(size, 0);
  names.resize(static_cast<size_t>(size));
  for (const std::string name : {"user.a", "user.b", "user.c"}) {
    EXPECT_NE(names.find(name + '\0'), std::string::npos) << name;
  }
}

TEST_F(Xattrs, FollowTheFileNotTheName) {
  const std::string file = make_file("file");
  ASSERT_EQ(set(file, "user.a", "x"), 0);
  ASSERT_EQ(link(file.c_str(), path("link").c_str()), 0);
  ASSERT_EQ(rename(file.c_str(), path("moved").c_str()), 0);
  EXPECT_EQ(get(path("link"), "user.a"), "x");
  EXPECT_EQ(get(path("moved"), "user.a"), "x");
}

TEST_F(Xattrs, NamesAndValuesHaveLimits) {
  const std::string file = make_file("file");
  EXPECT_EQ(set(file, ("user." + std::string(250, 'n')).c_str(), "x"), 0);
  EXPECT_EQ(set(file, ("user." + std::string(251, 'n')).c_str(), "x"), ERANGE);
  EXPECT_EQ(set(file, "user.a", std::string(65537, 'v')), E2BIG);
  EXPECT_EQ(set(file, "unknown.a", "x"), EOPNOTSUPP);
}

TEST_F(Xattrs, UserAttributesAreForFilesAndDirectories) {
  ASSERT_EQ(symlink("x", path("symlink").c_str()), 0);
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0666), 0);
  EXPECT_EQ(set(path("symlink"), "user.a", "x"), EPERM);
  EXPECT_EQ(set(path("fifo"), "user.a", "x"), EPERM);
  EXPECT_EQ(set(make_directory("directory"), "user.a", "x"), 0);
}

TEST_F(Xattrs, NeedTheFilesPermissions) {
  const std::string file = make_file("file");
  ASSERT_EQ(set(file, "user.a", "x"), 0);
  ASSERT_EQ(chmod(file.c_str(), 0604), 0);
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(get(file, "user.a"), "x");
  EXPECT_EQ(set(file, "user.a", "y"), EACCES);
}

}  // namespace
}  // namespace shima
