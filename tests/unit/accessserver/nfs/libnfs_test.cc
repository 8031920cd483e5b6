// A client that others wrote, against our server: libnfs over real sockets. libnfs 4 asks the portmapper at
// port 111, so the test runs in a network namespace of its own.
#include <fcntl.h>
#include <net/if.h>
#include <nfsc/libnfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

// Before any other thread is there.
class OwnNetwork final : public testing::Environment {
 public:
  void SetUp() override {
    int flags = CLONE_NEWNET | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    ASSERT_EQ(unshare(flags), 0) << "a network namespace: " << std::strerror(errno) << "; run it as root";
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    ASSERT_EQ(ioctl(any, SIOCGIFFLAGS, &loopback), 0);
    loopback.ifr_flags |= IFF_UP;
    ASSERT_EQ(ioctl(any, SIOCSIFFLAGS, &loopback), 0) << std::strerror(errno);
    close(any);
  }
};
const testing::Environment* const own_network = testing::AddGlobalTestEnvironment(new OwnNetwork);

class LibnfsTest : public NfsTest {
 protected:
  void SetUp() override {
    volume_ = make_volume(0xabc, "db");
    exports_.add(volume_);
    NfsServerOptions options;
    options.portmapper_port = 111;
    start(options);
    nfs_ = connect("/db");
    ASSERT_NE(nfs_, nullptr);
  }
  void TearDown() override {
    if (nfs_) nfs_destroy_context(nfs_);
  }

  nfs_context* connect(const std::string& path) {
    nfs_context* nfs = nfs_init_context();
    nfs_set_timeout(nfs, 60'000);
    if (nfs_mount(nfs, "127.0.0.1", path.c_str()) == 0) return nfs;
    error_ = nfs_get_error(nfs);
    nfs_destroy_context(nfs);
    return nullptr;
  }

  nfs_context* nfs_ = nullptr;
  std::string error_;
};

TEST_F(LibnfsTest, WritesAndReadsAFile) {
  nfsfh* file = nullptr;
  ASSERT_EQ(nfs_creat(nfs_, "/f", 0644, &file), 0) << nfs_get_error(nfs_);
  std::string bytes(3 << 20, '\0');
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>(i * 13 + i / 4099);
  uint64_t done = 0;
  while (done < bytes.size()) {
    uint64_t part = std::min<uint64_t>(bytes.size() - done, 1 << 20);
    int n = nfs_pwrite(nfs_, file, done, part, bytes.data() + done);
    ASSERT_GT(n, 0) << nfs_get_error(nfs_);
    done += static_cast<uint64_t>(n);
  }
  EXPECT_EQ(nfs_fsync(nfs_, file), 0) << nfs_get_error(nfs_);
  std::string got(bytes.size(), '\0');
  for (uint64_t at = 0; at < got.size();) {
    int n = nfs_pread(nfs_, file, at, std::min<uint64_t>(got.size() - at, 1 << 20), got.data() + at);
    ASSERT_GT(n, 0) << nfs_get_error(nfs_);
    at += static_cast<uint64_t>(n);
  }
  EXPECT_TRUE(got == bytes);
  EXPECT_EQ(nfs_ftruncate(nfs_, file, 10), 0);
  nfs_stat_64 st{};
  EXPECT_EQ(nfs_fstat64(nfs_, file, &st), 0);
  EXPECT_EQ(st.nfs_size, 10u);
  EXPECT_EQ(nfs_close(nfs_, file), 0);
}

TEST_F(LibnfsTest, SmallWritesInARow) {
  nfsfh* file = nullptr;
  ASSERT_EQ(nfs_open(nfs_, "/f", O_CREAT | O_RDWR | O_EXCL, &file), 0) << nfs_get_error(nfs_);
  std::string block(4096, 'b');
  for (uint64_t i = 0; i < 200; i++) {
    ASSERT_EQ(nfs_pwrite(nfs_, file, i * 4096, block.size(), block.data()), 4096) << nfs_get_error(nfs_);
  }
  EXPECT_EQ(nfs_close(nfs_, file), 0);
  nfs_stat_64 st{};
  EXPECT_EQ(nfs_stat64(nfs_, "/f", &st), 0);
  EXPECT_EQ(st.nfs_size, 200u * 4096);
  EXPECT_EQ(st.nfs_mode & S_IFMT, static_cast<uint64_t>(S_IFREG));
}

TEST_F(LibnfsTest, MakesListsAndRemovesNames) {
  ASSERT_EQ(nfs_mkdir(nfs_, "/d"), 0) << nfs_get_error(nfs_);
  std::set<std::string> wanted = {".", ".."}, got;
  for (int i = 0; i < 300; i++) {
    std::string name = "file-" + std::to_string(i);
    nfsfh* file = nullptr;
    ASSERT_EQ(nfs_creat(nfs_, ("/d/" + name).c_str(), 0600, &file), 0) << nfs_get_error(nfs_);
    nfs_close(nfs_, file);
    wanted.insert(name);
  }
  nfsdir* directory = nullptr;
  ASSERT_EQ(nfs_opendir(nfs_, "/d", &directory), 0) << nfs_get_error(nfs_);
  while (nfsdirent* entry = nfs_readdir(nfs_, directory)) got.insert(entry->name);
  nfs_closedir(nfs_, directory);
  EXPECT_EQ(got, wanted);
  EXPECT_EQ(nfs_rmdir(nfs_, "/d"), -ENOTEMPTY);
  EXPECT_EQ(nfs_rename(nfs_, "/d/file-0", "/moved"), 0) << nfs_get_error(nfs_);
  EXPECT_EQ(nfs_unlink(nfs_, "/d/file-0"), -ENOENT);
  EXPECT_EQ(nfs_unlink(nfs_, "/moved"), 0);
  for (int i = 1; i < 300; i++) EXPECT_EQ(nfs_unlink(nfs_, ("/d/file-" + std::to_string(i)).c_str()), 0);
  EXPECT_EQ(nfs_rmdir(nfs_, "/d"), 0) << nfs_get_error(nfs_);
}

TEST_F(LibnfsTest, LinksSymlinksAndDevices) {
  nfsfh* file = nullptr;
  ASSERT_EQ(nfs_creat(nfs_, "/f", 0600, &file), 0);
  nfs_close(nfs_, file);
  EXPECT_EQ(nfs_link(nfs_, "/f", "/g"), 0) << nfs_get_error(nfs_);
  nfs_stat_64 st{};
  EXPECT_EQ(nfs_lstat64(nfs_, "/g", &st), 0);
  EXPECT_EQ(st.nfs_nlink, 2u);
  EXPECT_EQ(nfs_symlink(nfs_, "f", "/l"), 0) << nfs_get_error(nfs_);
  char target[100] = {};
  EXPECT_EQ(nfs_readlink(nfs_, "/l", target, sizeof target), 0) << nfs_get_error(nfs_);
  EXPECT_STREQ(target, "f");
  EXPECT_EQ(nfs_stat64(nfs_, "/l", &st), 0) << nfs_get_error(nfs_);
  EXPECT_EQ(st.nfs_mode & S_IFMT, static_cast<uint64_t>(S_IFREG));
  EXPECT_EQ(nfs_mknod(nfs_, "/null", S_IFCHR | 0666, 0x0103), 0) << nfs_get_error(nfs_);
  EXPECT_EQ(nfs_lstat64(nfs_, "/null", &st), 0);
  EXPECT_EQ(st.nfs_mode & S_IFMT, static_cast<uint64_t>(S_IFCHR));
}

TEST_F(LibnfsTest, ChangesModesOwnersAndTimes) {
  nfsfh* file = nullptr;
  ASSERT_EQ(nfs_creat(nfs_, "/f", 0600, &file), 0);
  nfs_close(nfs_, file);
  EXPECT_EQ(nfs_chmod(nfs_, "/f", 0751), 0) << nfs_get_error(nfs_);
  EXPECT_EQ(nfs_chown(nfs_, "/f", 107, 107), 0) << nfs_get_error(nfs_);
  timeval times[2] = {{1000, 1}, {2000, 2}};
  EXPECT_EQ(nfs_utimes(nfs_, "/f", times), 0) << nfs_get_error(nfs_);
  nfs_stat_64 st{};
  EXPECT_EQ(nfs_stat64(nfs_, "/f", &st), 0);
  EXPECT_EQ(st.nfs_mode & 07777, 0751u);
  EXPECT_EQ(st.nfs_uid, 107u);
  EXPECT_EQ(st.nfs_gid, 107u);
  EXPECT_EQ(st.nfs_atime, 1000u);
  EXPECT_EQ(st.nfs_mtime, 2000u);
  EXPECT_EQ(st.nfs_mtime_nsec, 2000u);
  struct statvfs vfs {};
  EXPECT_EQ(nfs_statvfs(nfs_, "/", &vfs), 0) << nfs_get_error(nfs_);
  EXPECT_EQ(static_cast<uint64_t>(vfs.f_blocks) * vfs.f_frsize, 1000u << 20);
}

TEST_F(LibnfsTest, MountsSubdirectoriesAndIsToldWhatItMayNot) {
  ASSERT_EQ(nfs_mkdir(nfs_, "/sub"), 0);
  nfs_context* sub = connect("/db/sub");
  ASSERT_NE(sub, nullptr) << error_;
  EXPECT_EQ(nfs_mkdir(sub, "/inner"), 0) << nfs_get_error(sub);
  nfs_destroy_context(sub);
  nfs_stat_64 st{};
  EXPECT_EQ(nfs_stat64(nfs_, "/sub/inner", &st), 0);
  EXPECT_EQ(connect("/missing"), nullptr);
  EXPECT_NE(error_.find("NOENT"), std::string::npos) << error_;
  exports_.set_access("db", {.allowed = true, .read_only = true});
  EXPECT_EQ(nfs_mkdir(nfs_, "/no"), -EROFS);
  exports_.set_access("db", {});
  EXPECT_EQ(connect("/db"), nullptr);
  EXPECT_NE(error_.find("ACCES"), std::string::npos) << error_;
}

}  // namespace
}  // namespace shima
