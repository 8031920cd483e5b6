// Two mounts of one volume, as two access servers have: what one did, the other sees (I6).
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <vector>

#include "tests/unit/accessserver/fuse/mounted_volume.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;

class TwoMounts : public MountedVolume {
 protected:
  void SetUp() override {
    MountedVolume::SetUp();
    if (IsSkipped()) return;
    mount(a());
    mount(b());
  }
};

TEST_F(TwoMounts, SeeEachOthersBytesAtOnceThroughTheCache) {
  ASSERT_EQ(write_file(a().path("file"), std::string(10'000, '0')), 0);
  const int writer = open(a().path("file").c_str(), O_WRONLY),
            reader = open(b().path("file").c_str(), O_RDONLY);
  for (int i = 0; i < 200; ++i) {
    const char byte = static_cast<char>('a' + i % 26);
    ASSERT_EQ(pwrite(writer, &byte, 1, i), 1);
    char seen = 0;
    ASSERT_EQ(pread(reader, &seen, 1, i), 1);
    ASSERT_EQ(seen, byte) << i;
  }
  close(writer);
  close(reader);
}

TEST_F(TwoMounts, SeeEachOthersNamesAndAttributesAtOnce) {
  struct stat stat {};
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(mkdir(a().path("x").c_str(), 0700), 0);
    ASSERT_EQ(::stat(b().path("x").c_str(), &stat), 0);
    ASSERT_EQ(chmod(b().path("x").c_str(), 0750), 0);
    ASSERT_EQ(::stat(a().path("x").c_str(), &stat), 0);
    ASSERT_EQ(stat.st_mode & 07777, 0750u);
    ASSERT_EQ(rename(b().path("x").c_str(), b().path("y").c_str()), 0);
    ASSERT_NE(::stat(a().path("x").c_str(), &stat), 0);
    ASSERT_EQ(rmdir(a().path("y").c_str()), 0);
    ASSERT_NE(::stat(b().path("y").c_str(), &stat), 0);
    ASSERT_EQ(errno, ENOENT);
  }
}

TEST_F(TwoMounts, TruncationOnOneEndsReadsOnTheOther) {
  ASSERT_EQ(write_file(a().path("file"), std::string(200'000, 'x')), 0);
  EXPECT_EQ(content_of(b().path("file")).size(), 200'000u);
  const int reader = open(b().path("file").c_str(), O_RDONLY);
  ASSERT_EQ(truncate(a().path("file").c_str(), 10), 0);
  char bytes[100];
  EXPECT_EQ(pread(reader, bytes, sizeof(bytes), 0), 10);
  ASSERT_EQ(truncate(a().path("file").c_str(), 100), 0);
  ASSERT_EQ(pread(reader, bytes, sizeof(bytes), 0), 100);
  EXPECT_EQ(std::string(bytes + 10, 90), std::string(90, '\0'));
  close(reader);
}

TEST_F(TwoMounts, FileRemovedByTheOtherStaysForWhoHasItOpen) {
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int file = open(a().path("file").c_str(), O_RDWR);
  ASSERT_EQ(unlink(b().path("file").c_str()), 0);
  // Longer than a KeepAlive, after which others may drop what nobody holds.
  for (int i = 0; i < 60; ++i) {
    char bytes[16] = {};
    ASSERT_EQ(pread(file, bytes, sizeof(bytes), 0), 7) << errno;
    ASSERT_EQ(std::string(bytes), "content");
    usleep(100'000);
  }
  struct stat stat {};
  ASSERT_EQ(fstat(file, &stat), 0);
  EXPECT_EQ(stat.st_nlink, 0u);
  close(file);
  EXPECT_TRUE(eventually([&] { return volume().used_bytes() == 0; })) << "its bytes should be dropped now";
}

TEST_F(TwoMounts, RemovedAndNotOpenIsGoneForTheOther) {
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  EXPECT_EQ(content_of(b().path("file")), "content");
  ASSERT_EQ(unlink(a().path("file").c_str()), 0);
  EXPECT_EQ(content_of(b().path("file")), "errno " + std::to_string(ENOENT));
  ASSERT_EQ(write_file(a().path("file"), "new"), 0);
  EXPECT_EQ(content_of(b().path("file")), "new");
}

TEST_F(TwoMounts, LocksExcludeEachOther) {
  ASSERT_EQ(write_file(a().path("file"), "content"), 0);
  const int x = open(a().path("file").c_str(), O_RDWR), y = open(b().path("file").c_str(), O_RDWR);
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_start = 5;
  range.l_len = 10;
  ASSERT_EQ(fcntl(x, F_OFD_SETLK, &range), 0);
  EXPECT_NE(fcntl(y, F_OFD_SETLK, &range), 0);
  EXPECT_EQ(errno, EAGAIN);
  struct flock found = range;
  ASSERT_EQ(fcntl(y, F_OFD_GETLK, &found), 0);
  EXPECT_EQ(found.l_type, F_WRLCK);
  EXPECT_EQ(found.l_start, 5);
  EXPECT_EQ(found.l_len, 10);
  ASSERT_EQ(flock(x, LOCK_EX | LOCK_NB), 0);
  EXPECT_NE(flock(y, LOCK_EX | LOCK_NB), 0);
  close(x);
  EXPECT_TRUE(eventually([&] { return fcntl(y, F_OFD_SETLK, &range) == 0; }));
  EXPECT_TRUE(eventually([&] { return flock(y, LOCK_EX | LOCK_NB) == 0; }));
  close(y);
}

TEST_F(TwoMounts, AppendsDoNotOverwriteEachOther) {
  constexpr int kLines = 150;
  const auto appender = [](const std::string& path, char c) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const std::string line = std::string(99, c) + "\n";
    for (int i = 0; i < kLines; ++i) {
      if (write(file, line.data(), line.size()) != 100) ADD_FAILURE() << errno;
    }
    close(file);
  };
  std::thread other([&] { appender(b().path("log"), 'b'); });
  appender(a().path("log"), 'a');
  other.join();
  const std::string all = content_of(a().path("log"));
  ASSERT_EQ(all.size(), 200u * kLines);
  for (size_t i = 0; i < all.size(); i += 100) ASSERT_EQ(all.substr(i, 99), std::string(99, all[i])) << i;
}

TEST_F(TwoMounts, ExclusiveCreationHasOneWinner) {
  for (int round = 0; round < 50; ++round) {
    const std::string name = "f" + std::to_string(round);
    std::atomic<int> winners = 0;
    const auto create = [&](const std::string& path) {
      const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
      if (file >= 0) ++winners, close(file);
    };
    std::thread other([&] { create(b().path(name)); });
    create(a().path(name));
    other.join();
    ASSERT_EQ(winners, 1) << round;
  }
}

TEST_F(TwoMounts, OpenWithCreatFindsWhatTheOtherMadeMeanwhile) {
  // Stop the Create of one mount between its lookup and the job, and let the other create the file.
  std::atomic<bool> armed = true;
  volume().hold([&](const MemoryVolume::Request& request) {
    return request.call == MemoryVolume::Call::kJob && request.job->job_case() == JobRequest::kCreate &&
           armed.exchange(false);
  });
  std::atomic<int> error = -1;
  std::thread late([&] { error = write_file(a().path("file"), "late"); });
  ASSERT_TRUE(eventually([&] { return volume().held() == 1; }));
  ASSERT_EQ(write_file(b().path("file"), "early and longer"), 0);
  volume().release();
  late.join();
  EXPECT_EQ(error, 0);
  EXPECT_EQ(content_of(b().path("file")), "latey and longer");
}

TEST_F(TwoMounts, CreationAndRemovalRaceWithoutOddErrors) {
  std::atomic<bool> stop = false;
  std::atomic<int> odd = 0;
  const auto create = [&](const std::string& path) {
    while (!stop) {
      const int file = open(path.c_str(), O_RDWR | O_CREAT, 0644);
      if (file < 0) {
        odd = errno;
        continue;
      }
      if (write(file, "x", 1) != 1) odd = errno;
      close(file);
    }
  };
  std::thread first([&] { create(a().path("file")); }), second([&] { create(b().path("file")); });
  for (int i = 0; i < 300; ++i) unlink((i % 2 == 0 ? a() : b()).path("file").c_str());
  stop = true;
  first.join();
  second.join();
  EXPECT_EQ(odd, 0) << "errno of an open or write that must succeed";
}

TEST_F(TwoMounts, MappingShowsTheOthersBytesOnceTheFileIsRead) {
  ASSERT_EQ(write_file(a().path("file"), std::string(8192, 'a')), 0);
  const int file = open(a().path("file").c_str(), O_RDWR);
  void* memory = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, file, 0);
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_EQ(static_cast<char*>(memory)[5000], 'a');
  ASSERT_EQ(write_file(b().path("file"), std::string(8192, 'b')), 0);
  char byte = 0;
  ASSERT_EQ(pread(file, &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'b');
  EXPECT_EQ(static_cast<char*>(memory)[5000], 'b');
  munmap(memory, 8192);
  close(file);
}

TEST_F(TwoMounts, ListingSeesTheOthersFiles) {
  for (int i = 0; i < 300; ++i)
    ASSERT_EQ(mknod(a().path("f" + std::to_string(i)).c_str(), S_IFREG | 0644, 0), 0);
  DIR* directory = opendir(b().directory.c_str());
  ASSERT_NE(directory, nullptr);
  int entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  EXPECT_EQ(entries, 302);
}

}  // namespace
}  // namespace shima
