// The file calls under a core server: the kernel's, and the ones that lose what was not synced.
#include "common/runtime/disk.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <random>

namespace shima {
namespace {

class TempDirectory {
 public:
  TempDirectory() {
    char name[] = "/tmp/shima-disk-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Status write_text(FileHandle& file, uint64_t offset, std::string_view text) {
  std::span<const uint8_t> piece(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return file.write_at(offset, std::span(&piece, 1));
}

std::string read_text(const FileHandle& file, uint64_t offset, size_t size) {
  std::string out(size, '?');
  Status s = file.read_at(offset, {reinterpret_cast<uint8_t*>(out.data()), size});
  return s ? out : s.to_string();
}

std::unique_ptr<FileHandle> open_file(Disk& disk, const std::string& path, Disk::Mode mode) {
  auto file = disk.open(path, mode);
  EXPECT_TRUE(file.is_ok()) << file.status().to_string();
  return std::move(*file);
}

std::string read_from_kernel(const std::string& path, uint64_t offset, size_t size) {
  auto disk = make_posix_disk();
  return read_text(*open_file(*disk, path, Disk::Mode::kRead), offset, size);
}

// The contract that both disks keep while the process lives.
class EveryDisk : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Disk> disk_ =
      GetParam() == std::string_view("posix") ? make_posix_disk() : make_losing_disk(false);
  TempDirectory dir_;
};

TEST_P(EveryDisk, ReadsBackWhatWasWrittenInPieces) {
  auto file = open_file(*disk_, dir_.file("a"), Disk::Mode::kCreate);
  std::vector<std::string> texts(3000, "abc");  // more pieces than one pwritev takes
  std::vector<std::span<const uint8_t>> pieces;
  for (auto& t : texts) pieces.emplace_back(reinterpret_cast<const uint8_t*>(t.data()), t.size());
  ASSERT_TRUE(file->write_at(5, pieces));
  EXPECT_EQ(*file->size(), 9005u);
  EXPECT_EQ(read_text(*file, 0, 8), std::string("\0\0\0\0\0abc", 8));
  EXPECT_EQ(read_text(*file, 9002, 3), "abc");
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(read_text(*file, 5, 6), "abcabc");
}

TEST_P(EveryDisk, ReadingPastTheEndIsAShortRead) {
  auto file = open_file(*disk_, dir_.file("a"), Disk::Mode::kCreate);
  ASSERT_TRUE(write_text(*file, 0, "abc"));
  EXPECT_NE(read_text(*file, 0, 4).find("short read"), std::string::npos);
}

TEST_P(EveryDisk, AllocatedAndPunchedRangesReadAsZero) {
  auto file = open_file(*disk_, dir_.file("a"), Disk::Mode::kCreate);
  ASSERT_TRUE(write_text(*file, 0, "abcdefgh"));
  ASSERT_TRUE(file->allocate(4, 8192));
  EXPECT_EQ(*file->size(), 8196u);
  EXPECT_EQ(read_text(*file, 0, 6), std::string("abcd\0\0", 6));
  ASSERT_TRUE(file->punch(1, 2));
  EXPECT_EQ(read_text(*file, 0, 6), std::string("a\0\0d\0\0", 6));
  EXPECT_EQ(*file->size(), 8196u);
}

TEST_P(EveryDisk, TruncateForgetsWhatLiesBehind) {
  auto file = open_file(*disk_, dir_.file("a"), Disk::Mode::kCreate);
  ASSERT_TRUE(write_text(*file, 0, "abcdefgh"));
  ASSERT_TRUE(file->truncate(3));
  EXPECT_EQ(*file->size(), 3u);
  ASSERT_TRUE(file->truncate(6));
  EXPECT_EQ(read_text(*file, 0, 6), std::string("abc\0\0\0", 6));
}

TEST_P(EveryDisk, ErrorsNameThePathAndTheCall) {
  auto missing = disk_->open(dir_.file("missing"), Disk::Mode::kRead);
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_NE(missing.status().message().find("missing: open:"), std::string::npos);
  open_file(*disk_, dir_.file("a"), Disk::Mode::kCreate);
  EXPECT_EQ(disk_->open(dir_.file("a"), Disk::Mode::kCreate).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(disk_->remove(dir_.file("b")).code(), Code::kNotFound);
}

TEST_P(EveryDisk, ListsRenamesAndRemoves) {
  ASSERT_TRUE(disk_->make_directories(dir_.file("x/y")));
  auto file = open_file(*disk_, dir_.file("x/y/a"), Disk::Mode::kOpenOrCreate);
  ASSERT_TRUE(write_text(*file, 0, "abc"));
  open_file(*disk_, dir_.file("x/y/b"), Disk::Mode::kOpenOrCreate);
  ASSERT_TRUE(disk_->rename(dir_.file("x/y/a"), dir_.file("x/y/c")));
  ASSERT_TRUE(disk_->sync_directory(dir_.file("x/y")));
  EXPECT_EQ(*disk_->list(dir_.file("x/y")), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(read_text(*open_file(*disk_, dir_.file("x/y/c"), Disk::Mode::kRead), 0, 3), "abc");
  ASSERT_TRUE(disk_->remove(dir_.file("x/y/b")));
  EXPECT_EQ(disk_->list(dir_.file("x/y"))->size(), 1u);
  EXPECT_GT(disk_->space(dir_.path())->total_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Disks, EveryDisk, testing::Values("posix", "losing"),
                         [](const auto& p) { return std::string(p.param); });

TEST(LosingDisk, KeepsUnsyncedBytesFromTheKernelUntilSync) {
  TempDirectory dir;
  auto disk = make_losing_disk(false);
  auto file = open_file(*disk, dir.file("a"), Disk::Mode::kCreate);
  ASSERT_TRUE(write_text(*file, 0, "synced"));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(write_text(*file, 2, "XX"));
  EXPECT_EQ(read_from_kernel(dir.file("a"), 0, 6), "synced");
  EXPECT_EQ(read_text(*file, 0, 6), "syXXed");
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(read_from_kernel(dir.file("a"), 0, 6), "syXXed");
}

TEST(LosingDisk, AClosedUnsyncedFileKeepsItsBytesInThisProcess) {
  TempDirectory dir;
  auto disk = make_losing_disk(false);
  ASSERT_TRUE(write_text(*open_file(*disk, dir.file("a"), Disk::Mode::kCreate), 0, "held"));
  EXPECT_EQ(std::filesystem::file_size(dir.file("a")), 0u);
  auto again = open_file(*disk, dir.file("a"), Disk::Mode::kReadWrite);
  EXPECT_EQ(read_text(*again, 0, 4), "held");
  ASSERT_TRUE(again->sync());
  EXPECT_EQ(read_from_kernel(dir.file("a"), 0, 4), "held");
}

TEST(LosingDisk, WithIgnoredSyncNothingReachesTheKernel) {
  TempDirectory dir;
  auto disk = make_losing_disk(true);
  auto file = open_file(*disk, dir.file("a"), Disk::Mode::kCreate);
  ASSERT_TRUE(write_text(*file, 0, "lost"));
  EXPECT_TRUE(file->sync());
  EXPECT_EQ(read_text(*file, 0, 4), "lost");
  EXPECT_EQ(std::filesystem::file_size(dir.file("a")), 0u);
}

TEST(LosingDisk, OverlappingWritesReadLikeAnOrdinaryFile) {
  TempDirectory dir;
  auto disk = make_losing_disk(false);
  auto file = open_file(*disk, dir.file("a"), Disk::Mode::kCreate);
  std::string model(4000, '\0');
  ASSERT_TRUE(write_text(*file, 0, model));
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    size_t offset = random() % 3900;
    std::string text(1 + random() % 100, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(write_text(*file, offset, text));
    model.replace(offset, text.size(), text);
    if (i % 97 == 0) {
      ASSERT_TRUE(file->sync());
    }
    if (i % 10 == 0) {
      ASSERT_EQ(read_text(*file, 0, 4000), model) << "after write " << i;
    }
  }
}

TEST(LosingDisk, KillMinusNineIsAPowerCut) {
  TempDirectory dir;
  for (bool ignore_sync : {false, true}) {
    std::string path = dir.file(ignore_sync ? "broken" : "good");
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    pid_t child = ::fork();
    if (child == 0) {
      auto disk = make_losing_disk(ignore_sync);
      auto file = disk->open(path, Disk::Mode::kCreate);
      bool done =
          file && write_text(**file, 0, "first") && (*file)->sync() && write_text(**file, 5, "second");
      char answer = done ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
      ::pause();
      ::_exit(0);
    }
    char answer = 0;
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    ASSERT_EQ(answer, 'y');
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    EXPECT_EQ(std::filesystem::file_size(path), ignore_sync ? 0u : 5u);
    if (!ignore_sync) {
      EXPECT_EQ(read_from_kernel(path, 0, 5), "first");
    }
  }
}

}  // namespace
}  // namespace shima
