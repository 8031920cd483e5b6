// SegmentSupply: keeps the next segments of a journal ready, so that an append never waits for space to be
// prepared.
//
// A segment is ready when it is allocated, written (zeros, or the stale entries of a recycled one), has its
// header and its name, and all that is synced: an append to it then changes no metadata and fdatasync is one
// data write. Files on the way have other names (*.new, *.free), which recovery treats as raw material.
// Retired segments are renamed in the order they come in and each rename is synced, so that after a crash no
// segment is back whose control entries went with a later one.
// Threads: one of its own for all slow calls; take() and retire() are the journal thread's.
// Errors: a failed preparation is what take() returns, kNoSpace for a full disk; it is tried again every half
// second and whenever a segment is retired.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "coreserver/journal/journal.h"
#include "coreserver/journal/journal_index.h"

namespace shima {

class SegmentSupply {
 public:
  // `next_number`: of the first segment to prepare. `ready`: prepared ones that were found (ascending, below
  // next_number). `free_files`: paths of raw material of the right size.
  SegmentSupply(Disk& disk, std::string directory, uint64_t disk_id, const JournalOptions& options,
                uint32_t next_number, std::deque<SegmentFilePtr> ready, std::vector<std::string> free_files);
  ~SegmentSupply();

  // The next segment. If it is not ready: waits for its preparation, or else (`wait` false) returns
  // kUnavailable.
  Result<SegmentFilePtr> take(bool wait);
  void retire(SegmentFilePtr segment);
  uint64_t recycled() const;
  bool out_of_space() const;  // the last preparation failed

 private:
  void run();
  Status recycle(const SegmentFile& segment);
  Result<SegmentFilePtr> prepare(uint32_t number);
  Status fill_with_zeros(FileHandle& file);

  Disk& disk_;
  const std::string directory_;
  const uint64_t disk_id_;
  const uint64_t segment_bytes_;
  const size_t wanted_ready_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint32_t next_number_;
  std::deque<SegmentFilePtr> ready_;
  std::deque<SegmentFilePtr> retired_;
  std::vector<std::string> free_files_;  // the thread's own
  Status last_error_;
  bool preparing_ = false;
  bool retry_ = false;
  bool stop_ = false;
  uint64_t recycled_ = 0;
  std::thread thread_;
};

}  // namespace shima
