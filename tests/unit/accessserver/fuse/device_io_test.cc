#include "accessserver/fuse/device_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "accessserver/fuse/mount_point.h"

namespace shima {
namespace {

TEST(DeviceIo, TellsLibfuseNoErrorThatItWouldPrint) {
  for (const int error : {EINTR, EAGAIN, ENOENT, ENODEV}) EXPECT_EQ(errno_for_libfuse(error), error);
  for (const int error : {ECONNABORTED, EIO, EINVAL, EPERM, ENOMEM})
    EXPECT_EQ(errno_for_libfuse(error), ENODEV);
}

// A FUSE mount as the kernel has it, which nobody answers; gone with the object.
class BareMount {
 public:
  BareMount() {
    std::string name = ::testing::TempDir() + "/bare_mount.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) return;
    directory_ = name;
    device_ = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string options = "rootmode=40000,user_id=0,group_id=0,fd=" + std::to_string(device_);
    error_ = mount("none", directory_.c_str(), "fuse", 0, options.c_str()) == 0 ? "" : strerror(errno);
  }
  ~BareMount() {
    unmount();
    if (device_ >= 0) close(device_);
    if (!directory_.empty()) rmdir(directory_.c_str());
  }
  BareMount(const BareMount&) = delete;
  BareMount& operator=(const BareMount&) = delete;

  void unmount() { umount2(directory_.c_str(), 0); }
  const std::string& error() const { return error_; }
  int device() const { return device_; }
  std::optional<dev_t> number() const { return device_at(directory_); }

 private:
  std::string directory_, error_ = "no directory";
  int device_ = -1;
};

// What another process forks or unshares meanwhile would keep the mount: it gets a namespace of its own.
void see_connections_end() {
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  BareMount first;
  ASSERT_EQ(first.error(), "");
  const std::optional<dev_t> number = first.number();
  EXPECT_FALSE(connection_ended(first.device()));
  first.unmount();
  EXPECT_TRUE(connection_ended(first.device()));
  BareMount second;
  ASSERT_EQ(second.error(), "");
  if (second.number() != number) GTEST_SKIP() << "another mount of this machine got the number";
  EXPECT_TRUE(connection_ended(first.device())) << "although a mount has its number";
  EXPECT_FALSE(connection_ended(second.device()));
  EXPECT_TRUE(abort_connection(*number).is_ok());
  EXPECT_TRUE(connection_ended(second.device()));
}

TEST(DeviceIo, AConnectionIsNotTakenForTheNextOneWithItsNumber) {
  if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) != 0)
    GTEST_SKIP() << "mounting takes root and /dev/fuse";
  std::thread(see_connections_end).join();
}

}  // namespace
}  // namespace shima
