// ServerDisk: one disk of a core server: superblock, journal, block store, and the thread that applies and
// checkpoints.
//
// On disk: PATH/superblock (magic, version, disk id, server name), PATH/journal/, PATH/blocks/, PATH/index/.
// A disk of another server, or with another magic or version, is refused. Threads: all methods from any
// thread. Tasks of worker() run one after another, in order: an apply, then the checkpoint that covers it.
// Done callbacks run on the worker's thread; they must only post to an event loop.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/runtime/disk.h"
#include "common/runtime/worker_pool.h"
#include "common/status/status.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/journal/journal.h"
#include "coreserver/options/server_options.h"

namespace shima {

// PATH/superblock of a disk: magic, u32 version, u64 disk id, u32 name length, name, zeros; the last four
// bytes are the crc32c of the rest.
Buffer superblock_bytes(uint64_t id, const std::string& server);

class ServerDisk {
 public:
  // The id of the disk at `path`; 0: there is no superblock. Writes nothing.
  static Result<uint64_t> probe(const std::string& path, const ServerOptions& options);
  // Begins a new disk where there is no superblock: only for who has asked etcd whether there may be none.
  static Result<std::unique_ptr<ServerDisk>> open(const std::string& path, const ServerOptions& options);
  ~ServerDisk();
  // Runs what was posted to the worker and writes what was appended; nothing may use the disk any more.
  void close();

  const std::string& path() const { return path_; }
  uint64_t id() const { return id_; }
  Journal& journal() { return *journal_; }
  BlockStore& blocks() { return *blocks_; }
  WorkerPool& worker() { return *worker_; }

  // Makes the group's applied records durable together with this checkpoint. Requests of many groups share
  // one sync.
  void checkpoint(GroupId group, std::string checkpoint, std::function<void(Status)> done);

  // Looks at the file system and the journal; called on each tick. Full below min_free_bytes plus what is
  // committed but not yet applied; no longer full a quarter above that.
  void check_space();
  bool full() const { return full_; }
  Result<DiskSpace> space() { return disk_->space(path_); }
  // Committed bytes on their way to the block store.
  std::atomic<int64_t>& backlog_bytes() { return backlog_bytes_; }

 private:
  ServerDisk() = default;
  void run_checkpoints();
  void unlock();

  struct Request {
    std::string checkpoint;
    std::vector<std::function<void(Status)>> done;
  };

  std::string path_;
  uint64_t id_ = 0;
  int lock_ = -1;  // the superblock, locked
  uint64_t min_free_bytes_ = 0;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Disk> journal_disk_;  // tests only: null if the journal is on disk_
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<WorkerPool> worker_;
  std::atomic<bool> full_{false};
  std::atomic<int64_t> backlog_bytes_{0};
  std::mutex mutex_;
  std::map<GroupId, Request> requests_;  // waiting for the next checkpoint
  bool scheduled_ = false;
};

}  // namespace shima
