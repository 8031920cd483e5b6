// BlockingFileSystem: a FileSystem over a MemoryVolume as a test uses it: calls that wait for their answer.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "accessserver/fileops/file_system.h"
#include "coreserver/jobs/jobs.h"
#include "tests/support/memory_volume/memory_volume.h"

namespace shima {

inline metadata::v1::Credentials user(uint32_t uid) {
  metadata::v1::Credentials credentials;
  credentials.set_uid(uid);
  credentials.set_gid(uid);
  return credentials;
}
inline metadata::v1::Credentials checked() {
  metadata::v1::Credentials credentials;
  credentials.set_checked(true);
  return credentials;
}

// Options under which everything that waits for time happens soon.
inline FileSystemOptions quick_options() {
  FileSystemOptions options;
  options.session_name = "test";
  options.keep_alive_ms = 20;
  options.writing_paused_after_ms = 40;
  options.orphan_sweep_ms = 20;
  options.lock_retry_min_ms = 1;
  options.lock_retry_max_ms = 10;
  return options;
}

// Options under which nothing happens in the background while a test runs.
inline FileSystemOptions calm_options() {
  FileSystemOptions options;
  options.session_name = "test";
  options.keep_alive_ms = 600'000;
  options.writing_paused_after_ms = 600'000;
  options.orphan_sweep_ms = 600'000;
  options.self_fence_after_ms = 600'000;
  return options;
}

class BlockingFileSystem {
 public:
  explicit BlockingFileSystem(MemoryVolume& volume, const FileSystemOptions& options = calm_options())
      : files_(make_file_system(volume, options)) {}

  FileSystem& files() { return *files_; }
  void close() { files_.reset(); }

  std::future<metadata::v1::JobReply> start(metadata::v1::JobRequest request);
  std::future<FileWritten> start_write(FileWrite write);
  std::future<FileBytes> start_read(uint64_t inode, uint64_t offset, uint32_t length,
                                    const metadata::v1::Credentials& who = checked());

  metadata::v1::JobReply run(metadata::v1::JobRequest request) { return start(std::move(request)).get(); }
  // Makes a regular file of `who` in the root; its inode.
  uint64_t create(const std::string& name, uint32_t mode = 0644,
                  const metadata::v1::Credentials& who = checked());
  int remove(const std::string& name);
  metadata::v1::JobReply attributes_reply(uint64_t inode);
  FileAttributes attributes(uint64_t inode) { return attributes_reply(inode).attributes(); }
  metadata::v1::JobReply set(uint64_t inode, const metadata::v1::NewAttributes& attributes,
                             const metadata::v1::Credentials& who = checked());
  int truncate(uint64_t inode, uint64_t size);
  FileWritten write(uint64_t inode, uint64_t offset, std::string_view bytes,
                    const metadata::v1::Credentials& who = checked());
  FileWritten append(uint64_t inode, std::string_view bytes);
  FileBytes read_bytes(uint64_t inode, uint64_t offset, uint32_t length,
                       const metadata::v1::Credentials& who = checked()) {
    return start_read(inode, offset, length, who).get();
  }
  // "errno N" for an error.
  std::string read(uint64_t inode, uint64_t offset, uint32_t length);
  int allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length, bool keep_size);
  std::pair<int, uint64_t> seek(uint64_t inode, uint64_t offset, bool hole);
  int lock(uint64_t inode, uint64_t owner, metadata::v1::LockType type, bool wait = false);
  VolumeStatistics statistics();
  int find_who_has_open(uint64_t inode);
  int hold(uint64_t inode);

 private:
  std::unique_ptr<FileSystem> files_;
};

// What the metadata group itself has of the inode.
FileAttributes stored_attributes(MemoryVolume& volume, uint64_t inode);

// Waits until `condition`, at most a minute; whether it came true.
bool soon(const std::function<bool()>& condition);

}  // namespace shima
