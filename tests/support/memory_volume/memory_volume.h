// MemoryVolume: a whole volume in memory for tests of what lies above VolumeAccess: jobs run by
// coreserver/jobs over a map, blocks in memory_groups.h, one event loop of its own.
//
// Several FileSystems may sit on one MemoryVolume: they are then several access servers of one volume. What
// the network and the servers may do to an operation happens here on request: pieces of operations overtake
// each other (reorder, seeded), wait (max_delay_ms), fail (inject), or stop until released (hold).
// Threads: all methods from any thread. Destroying it stops the loop: FileSystems go first.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "accessserver/volume/volume_access.h"
#include "coreserver/jobs/jobs.h"
#include "tests/support/memory_volume/memory_groups.h"

namespace shima {

struct MemoryVolumeOptions {
  std::string name = "memory";
  uint64_t volume_id = 1;
  uint64_t life = 1;
  uint32_t data_groups = 8;
  uint32_t block_size = 1u << 20;  // bytes
  uint64_t size_bytes = 0;         // quota that layout() tells; 0: none
  uint64_t capacity_bytes = 0;     // groups refuse with kNoSpace above it; 0: never
  uint64_t max_inodes = 0;
  uint64_t seed = 1;
  bool reorder = false;       // of all steps that could happen next a random one does
  uint32_t max_delay_ms = 0;  // each request and each reply waits so long at most
};

class MemoryVolume : public VolumeAccess {
 public:
  enum class Call : uint8_t { kJob, kRead, kWrite, kPunch, kTruncate, kInodeData, kSeek };
  // One request: a job, or one piece of a data operation.
  struct Request {
    Call call = Call::kJob;
    const metadata::v1::JobRequest* job = nullptr;  // kJob only
    uint64_t inode = 0;                             // others
    uint64_t offset = 0;                            // bytes in the file
  };
  // What a request that fails answers, and whether it was carried out all the same (its reply was lost).
  struct Failure {
    Status status;
    bool carried_out = false;
  };
  using Inject = std::function<std::optional<Failure>(const Request&)>;
  using Matches = std::function<bool(const Request&)>;

  explicit MemoryVolume(MemoryVolumeOptions options = {});
  ~MemoryVolume() override;

  void run_job(const metadata::v1::JobRequest& request, JobDone done) override;
  void read_file(InodeId inode, uint64_t offset, uint64_t length, BytesDone done) override;
  void write_file(InodeId inode, uint64_t offset, Buffer bytes, WriteTags tags, Done done) override;
  void punch_file(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags, Done done) override;
  void truncate_file(InodeId inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                     Done done) override;
  void inode_data(InodeId inode, InodeDone done) override;
  void seek_file(InodeId inode, uint64_t offset, uint64_t end, bool hole, SeekDone done) override;
  VolumeLayout layout() const override;
  void refresh_layout(Done done) override;
  EventLoop& loop() override { return loop_; }

  // Asked before each request is carried out, on the loop; null: none fails.
  void inject(Inject inject);
  // Requests that match stop before they are carried out, until release() or destruction.
  void hold(Matches matches);
  void release();
  size_t held();  // how many stand still now

  // Runs a job at once, without delay or failure. Not from the loop.
  metadata::v1::JobReply run_now(const metadata::v1::JobRequest& request);
  // The primary's clock is ahead of the machine's by so much more.
  void advance_clock_ns(int64_t ns) { clock_offset_ns_ += ns; }
  // Ends sessions whose grace is over, as the metadata primary does now and then (it also does at each job).
  void expire_sessions();
  void set_quota_bytes(uint64_t bytes) { size_bytes_ = bytes; }
  uint64_t used_bytes();               // allocated in all groups
  uint64_t used_bytes(InodeId inode);  // allocated to the inode
  uint64_t count(Call call) const { return counts_[static_cast<size_t>(call)]; }
  uint64_t count(metadata::v1::JobRequest::JobCase job) const;  // jobs carried out of this kind

 private:
  class MapKv : public KvView {
   public:
    std::optional<std::string> get(std::string_view key) const override;
    void scan(std::string_view prefix, std::string_view from,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override;
    Status status() const override { return Status::ok(); }
    void apply(const KvBatch& batch);

   private:
    std::map<std::string, std::string, std::less<>> entries_;
  };
  struct Pieces;  // an operation of several pieces
  struct Held {
    std::function<void()> go_on;
  };

  void step(Task task);  // any thread; the task runs on the loop, some time
  void take_any_step();
  // Carries a request out, unless told otherwise, and tells the answer: `done` runs on the loop.
  void carry_out(Request request, std::shared_ptr<const metadata::v1::JobRequest> job,
                 std::function<Status()> action, std::function<void(Status)> done);
  void carry_out_now(Request request, const std::function<Status()>& action,
                     std::function<void(Status)> done);
  metadata::v1::JobReply job_now(const metadata::v1::JobRequest& request);
  void expire_sessions_now();
  int64_t now_ns();
  template <typename R>
  R on_loop(std::function<R()> action);
  template <typename Each>
  void for_each_block(uint64_t offset, uint64_t length, Each&& each) const;

  const MemoryVolumeOptions options_;
  std::atomic<uint64_t> size_bytes_;       // of the volume's record
  std::atomic<uint64_t> told_size_bytes_;  // what layout() tells
  std::atomic<int64_t> clock_offset_ns_{0};
  std::array<std::atomic<uint64_t>, 7> counts_{};
  mutable std::mutex mutex_;
  std::map<int, uint64_t> job_counts_;  // under mutex_

  // The loop's.
  MemoryGroups groups_;
  MapKv kv_;
  SessionTable sessions_;
  std::mt19937_64 random_;
  std::vector<Task> steps_;
  Inject inject_;
  Matches holds_;
  std::vector<Held> held_;
  int64_t last_now_ns_ = 0;

  EventLoop loop_;  // last: stops first
};

}  // namespace shima
