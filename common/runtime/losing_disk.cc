// Disk that keeps written bytes in this process's memory until their file is synced: kill -9 is its power
// cut.
//
// Held bytes belong to a path, not to a handle: a file that is closed unsynced keeps them for later readers
// of the same process. Names and sizes (create, rename, remove, truncate, allocate, punch) go through at
// once.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>

#include "common/runtime/disk.h"

namespace shima {
namespace {

std::string normal(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}

// The unsynced bytes of one file, as runs that do not overlap.
struct HeldFile {
  std::mutex mutex;
  std::map<uint64_t, std::vector<uint8_t>> runs;  // by offset

  uint64_t end() const { return runs.empty() ? 0 : runs.rbegin()->first + runs.rbegin()->second.size(); }

  void forget(uint64_t offset, uint64_t length) {
    uint64_t stop = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
    auto it = runs.lower_bound(offset);
    if (it != runs.begin()) --it;
    while (it != runs.end() && it->first < stop) {
      uint64_t begin = it->first;
      uint64_t end = begin + it->second.size();
      if (end <= offset) {
        ++it;
        continue;
      }
      std::vector<uint8_t> bytes = std::move(it->second);
      it = runs.erase(it);
      if (begin < offset) {
        runs.emplace(begin, std::vector<uint8_t>(bytes.begin(), bytes.begin() + (offset - begin)));
      }
      if (end > stop) {
        it = runs.emplace(stop, std::vector<uint8_t>(bytes.begin() + (stop - begin), bytes.end())).first;
      }
    }
  }

  void hold(uint64_t offset, std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    forget(offset, bytes.size());
    runs.emplace(offset, std::vector<uint8_t>(bytes.begin(), bytes.end()));
  }

  // Copies what is held of [offset, offset + out.size()) over `out`.
  void merge_over(uint64_t offset, std::span<uint8_t> out) const {
    uint64_t stop = offset + out.size();
    auto it = runs.lower_bound(offset);
    if (it != runs.begin()) --it;
    for (; it != runs.end() && it->first < stop; ++it) {
      uint64_t begin = std::max(it->first, offset);
      uint64_t end = std::min<uint64_t>(it->first + it->second.size(), stop);
      if (begin < end)
        std::memcpy(out.data() + (begin - offset), it->second.data() + (begin - it->first), end - begin);
    }
  }
};

class LosingFile : public FileHandle {
 public:
  LosingFile(std::unique_ptr<FileHandle> file, std::shared_ptr<HeldFile> held, bool ignore_sync)
      : file_(std::move(file)), held_(std::move(held)), ignore_sync_(ignore_sync) {}

  Status write_at(uint64_t offset, std::span<const std::span<const uint8_t>> pieces) override {
    std::lock_guard lock(held_->mutex);
    for (auto piece : pieces) {
      held_->hold(offset, piece);
      offset += piece.size();
    }
    return Status::ok();
  }

  Status read_at(uint64_t offset, std::span<uint8_t> out) const override {
    std::lock_guard lock(held_->mutex);
    auto on_disk = file_->size();
    if (!on_disk) return on_disk.status();
    uint64_t visible = std::max(*on_disk, held_->end());
    if (offset + out.size() > visible) {
      return {Code::kIo, "short read: wanted " + std::to_string(out.size()) + " bytes at " +
                             std::to_string(offset) + ", the file has " + std::to_string(visible)};
    }
    uint64_t below = *on_disk > offset ? std::min<uint64_t>(*on_disk - offset, out.size()) : 0;
    SHIMA_RETURN_IF_ERROR(file_->read_at(offset, out.first(below)));
    std::fill(out.begin() + static_cast<ptrdiff_t>(below), out.end(), uint8_t{0});
    held_->merge_over(offset, out);
    return Status::ok();
  }

  Status sync() override {
    if (ignore_sync_) return Status::ok();
    std::lock_guard lock(held_->mutex);
    for (const auto& [offset, bytes] : held_->runs) {
      std::span<const uint8_t> piece(bytes);
      SHIMA_RETURN_IF_ERROR(file_->write_at(offset, std::span(&piece, 1)));
    }
    SHIMA_RETURN_IF_ERROR(file_->sync());
    held_->runs.clear();
    return Status::ok();
  }

  Status allocate(uint64_t offset, uint64_t length) override {
    std::lock_guard lock(held_->mutex);
    SHIMA_RETURN_IF_ERROR(file_->allocate(offset, length));
    held_->forget(offset, length);
    return Status::ok();
  }

  // The size must not shrink when the hole covers held bytes that lie past the end of the real file.
  Status punch(uint64_t offset, uint64_t length) override {
    std::lock_guard lock(held_->mutex);
    auto on_disk = file_->size();
    if (!on_disk) return on_disk.status();
    if (held_->end() > *on_disk) SHIMA_RETURN_IF_ERROR(file_->truncate(held_->end()));
    SHIMA_RETURN_IF_ERROR(file_->punch(offset, length));
    held_->forget(offset, length);
    return Status::ok();
  }

  Result<uint64_t> size() const override {
    std::lock_guard lock(held_->mutex);
    auto on_disk = file_->size();
    if (!on_disk) return on_disk;
    return std::max(*on_disk, held_->end());
  }

  Status truncate(uint64_t size) override {
    std::lock_guard lock(held_->mutex);
    SHIMA_RETURN_IF_ERROR(file_->truncate(size));
    held_->forget(size, UINT64_MAX - size);
    return Status::ok();
  }

 private:
  std::unique_ptr<FileHandle> file_;
  std::shared_ptr<HeldFile> held_;
  bool ignore_sync_;
};

class LosingDisk : public Disk {
 public:
  explicit LosingDisk(bool ignore_sync) : ignore_sync_(ignore_sync) {}

  Result<std::unique_ptr<FileHandle>> open(const std::string& path, Mode mode) override {
    std::lock_guard lock(mutex_);
    auto file = disk_->open(path, mode);
    if (!file) return file.status();
    auto& held = held_[normal(path)];
    if (!held) held = std::make_shared<HeldFile>();
    return std::unique_ptr<FileHandle>(std::make_unique<LosingFile>(std::move(*file), held, ignore_sync_));
  }

  Status remove(const std::string& path) override {
    std::lock_guard lock(mutex_);
    SHIMA_RETURN_IF_ERROR(disk_->remove(path));
    held_.erase(normal(path));
    return Status::ok();
  }

  // Works for a directory too: the held bytes of all files below it move along.
  Status rename(const std::string& from, const std::string& to) override {
    std::lock_guard lock(mutex_);
    SHIMA_RETURN_IF_ERROR(disk_->rename(from, to));
    std::string source = normal(from);
    std::string target = normal(to);
    held_.erase(target);
    std::map<std::string, std::shared_ptr<HeldFile>> moved;
    for (auto it = held_.lower_bound(source); it != held_.end() && it->first.starts_with(source);) {
      std::string rest = it->first.substr(source.size());
      if (!rest.empty() && rest[0] != '/') {
        ++it;
        continue;
      }
      moved.emplace(target + rest, it->second);
      it = held_.erase(it);
    }
    held_.merge(moved);
    return Status::ok();
  }

  Status make_directories(const std::string& path) override { return disk_->make_directories(path); }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    return disk_->list(directory);
  }
  Status sync_directory(const std::string& directory) override {
    return ignore_sync_ ? Status::ok() : disk_->sync_directory(directory);
  }
  Result<DiskSpace> space(const std::string& path) override { return disk_->space(path); }

 private:
  const bool ignore_sync_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<HeldFile>> held_;  // by normal path
};

}  // namespace

std::unique_ptr<Disk> make_losing_disk(bool ignore_sync) { return std::make_unique<LosingDisk>(ignore_sync); }

}  // namespace shima
