// FakeFileSystem: a small volume in memory for tests and fuzzing of front ends: plain POSIX semantics,
// no permissions, and errors on demand.
//
// Threads: any; callbacks are posted through the function that it was made with.
#pragma once

#include <cerrno>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "accessserver/server/exports.h"
#include "common/runtime/task.h"

namespace shima {

class FakeFileSystem final : public FileSystem {
 public:
  using Post = std::function<void(Task)>;
  static constexpr uint64_t kRoot = 2;

  FakeFileSystem(uint64_t volume_id, std::string name, Post post);

  void run(metadata::v1::JobRequest request, JobDone done) override;
  void read(uint64_t inode, uint64_t offset, uint32_t length, metadata::v1::Credentials credentials,
            std::function<void(FileBytes)> done) override;
  void write(FileWrite write, std::function<void(FileWritten)> done) override;
  void allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length, bool keep_size,
                metadata::v1::Credentials credentials, std::function<void(int error)> done) override;
  void seek(uint64_t inode, uint64_t offset, bool hole,
            std::function<void(int error, uint64_t offset)> done) override;
  uint64_t set_lock(metadata::v1::LockRange lock, bool wait, std::function<void(int error)> done) override;
  void cancel(uint64_t) override {}
  void opened(uint64_t) override {}
  void closed(uint64_t) override {}
  void find_who_has_open(uint64_t, std::function<void(int)> done) override { done(ESTALE); }
  void hold(uint64_t, std::function<void(int)> done) override { done(ESTALE); }
  void statistics(std::function<void(VolumeStatistics)> done) override;
  uint64_t volume_id() const override { return volume_id_; }
  uint64_t life() const override { return life_; }
  std::string volume_name() const override { return name_; }
  uint64_t session() const override { return 77; }

  // ---- for tests
  void set_life(uint64_t life) { life_ = life; }
  // The next so many operations end with this errno.
  void fail_next(int error, int times = 1);
  // Answers are kept back until release().
  void hold();
  void release();
  size_t held() const;
  // Held answers are thrown away: their callbacks never come.
  void drop_held();
  void set_max_entries(uint32_t most) { max_entries_ = most; }  // of a listing
  void set_max_file_bytes(uint64_t most) { max_file_bytes_ = most; }
  uint64_t operations() const;
  metadata::v1::Credentials last_credentials() const;
  FileAttributes attributes_of(uint64_t inode) const;
  void remove_all_names_of(uint64_t inode);  // an orphan

 private:
  struct Node {
    FileAttributes attributes;
    std::string bytes;  // of a file; a symlink's target
    uint64_t verifier = 0;
    std::map<std::string, uint64_t> entries;  // of a directory
  };

  int injected();
  void deliver(Task task);
  Node* find(uint64_t inode);
  Node* directory(uint64_t inode, metadata::v1::JobReply& reply);
  void touch(Node& node);
  metadata::v1::JobReply execute(const metadata::v1::JobRequest& request);
  void lookup(const metadata::v1::Lookup& job, metadata::v1::JobReply& reply);
  void list(const metadata::v1::ReadDirectory& job, metadata::v1::JobReply& reply);
  void set_attributes(const metadata::v1::SetAttributes& job, metadata::v1::JobReply& reply);
  void apply(Node& node, const metadata::v1::NewAttributes& set);
  void create(const metadata::v1::JobRequest& request, metadata::v1::JobReply& reply);
  void link(const metadata::v1::Link& job, metadata::v1::JobReply& reply);
  void remove(const metadata::v1::Remove& job, metadata::v1::JobReply& reply);
  void rename(const metadata::v1::Rename& job, metadata::v1::JobReply& reply);
  void drop_name(Node& node);

  const uint64_t volume_id_;
  const std::string name_;
  const Post post_;
  std::atomic<uint64_t> life_{1};
  mutable std::mutex mutex_;
  std::map<uint64_t, Node> nodes_;
  uint64_t next_inode_ = 3;
  int64_t now_ns_ = 1'700'000'000'000'000'000;
  int error_ = 0, error_times_ = 0;
  bool hold_ = false;
  std::deque<Task> held_;
  std::atomic<uint32_t> max_entries_{1000};
  std::atomic<uint64_t> max_file_bytes_{64u << 20};
  uint64_t operations_ = 0;
  metadata::v1::Credentials last_credentials_;
};

// Volumes by name, open or not, and rules by client.
class FakeExports final : public Exports {
 public:
  void add(std::shared_ptr<FakeFileSystem> volume, bool open = true);
  void set_access(const std::string& volume, Access access);
  void set_open_error(Status error) { open_error_ = std::move(error); }
  int opened() const { return opened_; }
  std::string last_client() const;

  void by_name(const std::string& volume, Done done) override;
  void by_id(uint64_t volume_id, Done done) override;
  std::shared_ptr<FileSystem> open_now(uint64_t volume_id) const override;
  void list(std::function<void(Result<std::vector<std::string>>)> done) override;
  Access access(const std::string& volume, const std::string& client) const override;

 private:
  mutable std::mutex mutex_;
  struct Volume {
    std::shared_ptr<FakeFileSystem> system;
    bool open;
  };
  std::map<std::string, Volume> volumes_;
  std::map<std::string, Access> access_;
  Status open_error_;
  std::atomic<int> opened_{0};
  mutable std::string last_client_;
};

}  // namespace shima
