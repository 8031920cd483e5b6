// A disk that is full for a while: nothing is corrupt, and the store goes on when there is space again.

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

class FillableFile : public FileHandle {
 public:
  FillableFile(std::unique_ptr<FileHandle> file, const std::atomic<bool>& full)
      : file_(std::move(file)), full_(full) {}
  Status write_at(uint64_t offset, std::span<const std::span<const uint8_t>> pieces) override {
    if (full_) return {Code::kNoSpace, "the test disk is full"};
    return file_->write_at(offset, pieces);
  }
  Status read_at(uint64_t offset, std::span<uint8_t> out) const override {
    return file_->read_at(offset, out);
  }
  Status sync() override { return file_->sync(); }
  Status allocate(uint64_t offset, uint64_t length) override { return file_->allocate(offset, length); }
  Status punch(uint64_t offset, uint64_t length) override { return file_->punch(offset, length); }
  Result<uint64_t> size() const override { return file_->size(); }
  Status truncate(uint64_t size) override { return file_->truncate(size); }

 private:
  std::unique_ptr<FileHandle> file_;
  const std::atomic<bool>& full_;
};

// A real disk of which the data files, the index, or both can be made full.
class FillableDisk : public Disk {
 public:
  std::atomic<bool> data_full{false};
  std::atomic<bool> index_full{false};

  Result<std::unique_ptr<FileHandle>> open(const std::string& path, Mode mode) override {
    auto file = disk_->open(path, mode);
    if (!file) return file.status();
    const std::atomic<bool>& full = path.find("/index/") == std::string::npos ? data_full : index_full;
    return std::unique_ptr<FileHandle>(std::make_unique<FillableFile>(std::move(*file), full));
  }
  Status make_directories(const std::string& path) override { return disk_->make_directories(path); }
  Status remove(const std::string& path) override { return disk_->remove(path); }
  Status rename(const std::string& from, const std::string& to) override { return disk_->rename(from, to); }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    return disk_->list(directory);
  }
  Status sync_directory(const std::string& directory) override { return disk_->sync_directory(directory); }
  Result<DiskSpace> space(const std::string& path) override { return disk_->space(path); }

 private:
  std::unique_ptr<Disk> disk_ = make_posix_disk();
};

class FullDisk : public testing::TestWithParam<bool /* the index is what is full */> {};

TEST_P(FullDisk, ApplyFailsWithNoSpaceAndWorksAgainLater) {
  constexpr uint64_t kBlocks = 12;
  TestDirectory directory;
  FillableDisk disk;
  std::atomic<bool>& full = GetParam() ? disk.index_full : disk.data_full;
  ModelBlocks model;
  {
    auto store = open_store(disk, directory.path(), true);
    ASSERT_NE(store, nullptr);
    uint64_t sequence = 0;
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < 20; i++) {
        const std::vector<RecordPtr> one{random_record(3, ++sequence, kBlocks)};
        ASSERT_TRUE(store->apply(kTestGroup, kTestBlock, one).is_ok()) << "round " << round;
        model.apply(*one[0]);
      }
      full = true;
      const std::vector<RecordPtr> refused{
          make_write(sequence + 1, round % kBlocks, 0, bytes_of_seed(sequence + 1, kTestBlock)),
          make_write(sequence + 2, kBlocks + round, 0, bytes_of_seed(sequence + 2, kTestBlock))};
      sequence += 2;
      for (int attempt = 0; attempt < 3; attempt++) {
        EXPECT_EQ(store->apply(kTestGroup, kTestBlock, refused).code(), Code::kNoSpace);
      }
      full = false;
      Status applied = store->apply(kTestGroup, kTestBlock, refused);
      for (int wait = 0; wait < 300 && applied.code() == Code::kNoSpace; wait++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        applied = store->apply(kTestGroup, kTestBlock, refused);
      }
      ASSERT_TRUE(applied.is_ok()) << applied.to_string();
      for (const RecordPtr& record : refused) model.apply(*record);
      ASSERT_TRUE(store->checkpoint(kTestGroup, "c").is_ok());
      model.expect_same(*store, kBlocks + 2);
    }
  }
  auto store = open_store(disk, directory.path(), true);
  ASSERT_NE(store, nullptr);
  model.expect_same(*store, kBlocks + 2);
}

INSTANTIATE_TEST_SUITE_P(BlockStore, FullDisk, testing::Bool(),
                         [](const auto& info) { return info.param ? "OfTheIndex" : "OfTheData"; });

}  // namespace
}  // namespace shima
