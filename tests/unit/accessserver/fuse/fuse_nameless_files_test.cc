// Opening files whose last name is gone: by a file handle, and by a path that was walked just before.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <future>
#include <optional>
#include <vector>

#include "tests/unit/accessserver/fuse/mounted_volume.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;
using std::chrono::milliseconds;

// A file handle, and opening it: a descriptor, or -errno.
class Handle {
 public:
  explicit Handle(const std::string& path) {
    get()->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    EXPECT_EQ(name_to_handle_at(AT_FDCWD, path.c_str(), get(), &mount_id, 0), 0)
        << path << ": errno " << errno;
  }
  int open(const std::string& mount_point, int flags = O_RDONLY) {
    const int at = ::open(mount_point.c_str(), O_RDONLY | O_DIRECTORY);
    const int file = open_by_handle_at(at, get(), flags);
    const int result = file < 0 ? -errno : file;
    close(at);
    return result;
  }

 private:
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes_.data()); }
  std::vector<uint64_t> bytes_ = std::vector<uint64_t>((sizeof(file_handle) + MAX_HANDLE_SZ + 7) / 8);
};

std::string read_all(int file) {
  std::string bytes(100, '\0');
  const ssize_t got = pread(file, bytes.data(), bytes.size(), 0);
  return got < 0 ? "errno " + std::to_string(errno) : bytes.substr(0, static_cast<size_t>(got));
}

class FuseNamelessFiles : public MountedVolume {
 protected:
  void SetUp() override {
    MountedVolume::SetUp();
    if (IsSkipped()) return;
    mount(a());
    ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  }
  // Sooner or later: RELEASE comes after close(2), and who stalls tells others late that it has no open.
  bool gets_stale(Handle& handle, const std::string& mount_point) {
    return eventually([&] {
      const int file = handle.open(mount_point);
      if (file >= 0) close(file);
      return file == -ESTALE;
    });
  }
  // As another machine does.
  void remove_elsewhere(const std::string& name) {
    JobRequest job;
    job.mutable_credentials()->set_checked(true);
    job.mutable_remove()->set_parent(kRootInode);
    job.mutable_remove()->set_name(name);
    ASSERT_EQ(volume().run_now(job).error(), 0);
  }
};

TEST_F(FuseNamelessFiles, AHandleOfANamedFileOpensIt) {
  Handle handle(a().path("file"));
  ASSERT_EQ(rename(a().path("file").c_str(), a().path("moved").c_str()), 0);
  const int file = handle.open(a().directory);
  ASSERT_GE(file, 0) << -file;
  EXPECT_EQ(read_all(file), "content");
  close(file);
}

TEST_F(FuseNamelessFiles, AHandleIsStaleAtOnceWhenTheLastNameGoes) {
  for (int i = 0; i < 20; ++i) {
    const std::string path = a().path("file" + std::to_string(i));
    ASSERT_EQ(write_file(path, "content"), 0);
    Handle handle(path);
    ASSERT_EQ(unlink(path.c_str()), 0);
    EXPECT_EQ(handle.open(a().directory), -ESTALE) << i;
  }
}

TEST_F(FuseNamelessFiles, AHandleOpensAnUnlinkedFileAsLongAsItIsOpen) {
  Handle handle(a().path("file"));
  const int file = open(a().path("file").c_str(), O_RDWR);
  ASSERT_EQ(unlink(a().path("file").c_str()), 0);
  for (int i = 0; i < 3; ++i) {
    const int again = handle.open(a().directory);
    ASSERT_GE(again, 0) << -again;
    EXPECT_EQ(read_all(again), "content");
    close(again);
  }
  close(file);
  EXPECT_TRUE(gets_stale(handle, a().directory));
  EXPECT_TRUE(eventually([&] { return volume().used_bytes() == 0; }));
}

TEST_F(FuseNamelessFiles, AHandleOpensAFileThatIsOpenElsewhereOnly) {
  mount(b());
  Handle handle(b().path("file"));
  const int file = open(a().path("file").c_str(), O_RDWR);
  ASSERT_EQ(unlink(b().path("file").c_str()), 0);
  const int there = handle.open(b().directory);
  ASSERT_GE(there, 0) << -there;
  close(file);
  // Longer than two signs of life and a sweep of orphans.
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(read_all(there), "content") << "it is held for the second mount now";
    usleep(100'000);
  }
  close(there);
  EXPECT_TRUE(gets_stale(handle, b().directory));
}

TEST_F(FuseNamelessFiles, AFileThatTheKernelStillKnowsIsStaleToo) {
  Handle handle(a().path("file"));
  const int known = open(a().path("file").c_str(), O_PATH);  // no OPEN is sent
  remove_elsewhere("file");
  EXPECT_EQ(handle.open(a().directory), -ESTALE);
  close(known);
}

TEST_F(FuseNamelessFiles, APathThatWasWalkedOpensWhatItLedTo) {
  const std::string path = a().path("file");
  const auto open_while_it_is_removed = [&] {
    struct stat stat {};
    EXPECT_EQ(::stat(path.c_str(), &stat), 0);
    volume().hold([inode = stat.st_ino](const MemoryVolume::Request& r) {
      return r.job && r.job->has_get_attributes() && r.job->get_attributes().inode() == inode;
    });
    auto opened = std::async(std::launch::async, [&] { return open(path.c_str(), O_RDONLY); });
    EXPECT_TRUE(eventually([&] { return volume().held() > 0; }));
    remove_elsewhere("file");  // between its LOOKUP and its OPEN
    volume().release();
    return opened.get();
  };
  int file = open_while_it_is_removed();
  for (int i = 0; i < 10 && file < 0; ++i) {  // a walk is remembered for half a second only
    ASSERT_EQ(write_file(path, "content"), 0);
    file = open_while_it_is_removed();
  }
  ASSERT_GE(file, 0) << errno;
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(read_all(file), "content");
    usleep(100'000);
  }
  close(file);
  EXPECT_TRUE(eventually([&] { return volume().used_bytes() == 0; }));
}

TEST_F(FuseNamelessFiles, AnOpenOfANamedFileAsksForItsAttributesNoMoreThanBefore) {
  struct stat stat {};
  ASSERT_EQ(::stat(a().path("file").c_str(), &stat), 0);
  std::atomic<int> asked{0};
  volume().inject(
      [&, inode = stat.st_ino](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
        if (r.job && r.job->has_get_attributes() && r.job->get_attributes().inode() == inode) ++asked;
        return std::nullopt;
      });
  close(open(a().path("file").c_str(), O_RDONLY));
  volume().inject(nullptr);
  EXPECT_LE(asked, 2) << "once for the kernel's permission check, once for OPEN";
}

}  // namespace
}  // namespace shima
