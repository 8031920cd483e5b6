// The kernel's disk, which fails on demand: no space for new files or for writes, failing syncs.
#pragma once

#include <atomic>

#include "common/runtime/disk.h"

namespace shima {

class FaultyDisk : public Disk {
 public:
  std::atomic<bool> no_new_space{false};   // allocate() says kNoSpace
  std::atomic<int> writes_until_full{-1};  // that many writes succeed, then kNoSpace; -1: all succeed
  std::atomic<bool> fail_sync{false};

  Result<std::unique_ptr<FileHandle>> open(const std::string& path, Mode mode) override {
    auto file = disk_->open(path, mode);
    if (!file) return file;
    return std::unique_ptr<FileHandle>(std::make_unique<File>(*this, std::move(*file)));
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
  class File : public FileHandle {
   public:
    File(FaultyDisk& disk, std::unique_ptr<FileHandle> file) : disk_(disk), file_(std::move(file)) {}
    Status write_at(uint64_t offset, std::span<const std::span<const uint8_t>> pieces) override {
      if (disk_.writes_until_full == 0) {
        // As a real disk may: the first part is written.
        if (pieces.size() > 2) (void)file_->write_at(offset, pieces.first(pieces.size() / 2));
        return {Code::kNoSpace, "the test's disk is full"};
      }
      if (disk_.writes_until_full > 0) --disk_.writes_until_full;
      return file_->write_at(offset, pieces);
    }
    Status read_at(uint64_t offset, std::span<uint8_t> out) const override {
      return file_->read_at(offset, out);
    }
    Status sync() override {
      return disk_.fail_sync ? Status(Code::kIo, "the test's disk fails") : file_->sync();
    }
    Status allocate(uint64_t offset, uint64_t length) override {
      return disk_.no_new_space ? Status(Code::kNoSpace, "the test's disk is full")
                                : file_->allocate(offset, length);
    }
    Status punch(uint64_t offset, uint64_t length) override { return file_->punch(offset, length); }
    Result<uint64_t> size() const override { return file_->size(); }
    Status truncate(uint64_t size) override { return file_->truncate(size); }

   private:
    FaultyDisk& disk_;
    std::unique_ptr<FileHandle> file_;
  };

  std::unique_ptr<Disk> disk_ = make_posix_disk();
};

}  // namespace shima
