// The file calls that everything of a core server goes through: journal, block files, superblock; RocksDB
// through an adapter (blocks/rocksdb_env). One real implementation (POSIX) and one that loses what was not
// synced.
//
// What survives a crash: exactly what FileHandle::sync() returned ok for, and the metadata (names, sizes) of
// files for which Disk::sync_directory() returned ok. Everything else may be there, in part or not at all.
// Threads: a Disk may be used from any thread. A FileHandle may be used from several threads at a time as
// long as the ranges written do not overlap; sync() covers writes that returned before it was called.
// Errors: kIo with the path, the call and strerror; kNoSpace for ENOSPC and EDQUOT; kNotFound for ENOENT.
// A failed sync() is never retried: the caller ends the process (R22).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

class FileHandle {
 public:
  virtual ~FileHandle() = default;
  // Writes all pieces one after another, from `offset`.
  virtual Status write_at(uint64_t offset, std::span<const std::span<const uint8_t>> pieces) = 0;
  // Reads exactly out.size() bytes; bytes past the end of the file are an error kIo ("short read").
  virtual Status read_at(uint64_t offset, std::span<uint8_t> out) const = 0;
  virtual Status sync() = 0;                                      // fdatasync
  virtual Status allocate(uint64_t offset, uint64_t length) = 0;  // space is reserved and reads as zero
  virtual Status punch(uint64_t offset, uint64_t length) = 0;  // gives space back; reads as zero; size stays
  virtual Result<uint64_t> size() const = 0;
  virtual Status truncate(uint64_t size) = 0;
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // what an unprivileged writer may still use
};

class Disk {
 public:
  virtual ~Disk() = default;
  enum class Mode { kRead, kReadWrite, kCreate /* must not exist */, kOpenOrCreate };
  virtual Result<std::unique_ptr<FileHandle>> open(const std::string& path, Mode mode) = 0;
  virtual Status make_directories(const std::string& path) = 0;
  virtual Status remove(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;  // names, sorted
  virtual Status sync_directory(const std::string& directory) = 0;
  virtual Result<DiskSpace> space(const std::string& path) = 0;
};

// The kernel's file system.
std::unique_ptr<Disk> make_posix_disk();

// For crash tests: keeps every write in memory until its file is synced, and only then gives it to the
// kernel. kill -9 of the process is then a power cut: what was not synced is gone. With `ignore_sync` a
// sync() does nothing and says ok: the broken disk that the crash test must notice.
std::unique_ptr<Disk> make_losing_disk(bool ignore_sync);

}  // namespace shima
