// JournalWriter: the journal's thread: takes what is queued, writes it in batches with one sync each,
// reports, and between batches keeps house (releases, moving live records, recycling dead segments).
//
// Threads: enqueue() and wake() from any thread; everything else belongs to the thread inside.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "coreserver/journal/batch_builder.h"
#include "coreserver/journal/journal.h"
#include "coreserver/journal/journal_index.h"
#include "coreserver/journal/journal_recovery.h"
#include "coreserver/journal/segment_supply.h"

namespace shima {

// One thing to be written: a client's record, a moved copy of one, or a control entry.
struct JournalItem {
  RecordPtr record;  // null for control entries
  Control control;   // before = 0: this entry's own number
  Journal::Done done;
  bool moved = false;
  LiveRecord moved_from;
  Status admitted;  // if not ok: not written, reported in its turn
  BatchBuilder::Added placed;
  uint64_t life = 0;

  GroupId group() const { return record ? record->header.group : control.group; }
};

class JournalWriter {
 public:
  JournalWriter(JournalIndex& index, SegmentSupply& supply, uint64_t disk_id, const JournalOptions& options,
                const RecoveredJournal& recovered);
  ~JournalWriter();  // drains the queue

  void enqueue(JournalItem item);
  void wake();  // space may have become free
  void add_stats(JournalStats& stats) const;

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  bool wait_for_work();
  void write_one_batch();
  bool fill_batch(BatchBuilder& batch, std::vector<JournalItem>& items);
  bool place(BatchBuilder& batch, JournalItem& item);
  Status admit(const JournalItem& item);
  uint64_t life_of(const JournalItem& item, bool copy, uint64_t number);
  void expect_after(const JournalItem& item);
  Status obtain_next(bool wait);
  Status write(BatchBuilder& batch, std::vector<JournalItem>& items, bool seal);
  void commit(std::vector<JournalItem>& items);
  void report(std::vector<JournalItem>& items, const Status& outcome);
  void refuse_waiting(const Status& why);
  void queue_due_releases();
  void queue_moves();
  void retire_dead_segments();
  bool write_controls(std::vector<Control> controls);

  JournalIndex& index_;
  SegmentSupply& supply_;
  const uint64_t disk_id_;
  const JournalOptions options_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<JournalItem> queue_;
  bool housekeeping_ = true;
  bool stop_ = false;

  // The thread's own.
  SegmentFilePtr active_;
  SegmentFilePtr next_;  // will be active; taken before the active one is sealed
  uint64_t active_end_ = 0;
  uint64_t next_number_ = 1;
  std::deque<JournalItem> moves_;  // written before
  std::deque<JournalItem> owed_;   // control entries without a caller, kept until written; these before
  std::deque<JournalItem> work_;   // what was queued
  std::unordered_map<GroupId, Sequence> batch_next_;  // expected by the batch that is being filled; 0: any
  std::unordered_map<GroupId, uint64_t> batch_life_;  // where the batch begins or ends a life
  std::unordered_map<GroupId, std::pair<Sequence, Code>> refused_;  // first record refused, and why
  Clock::time_point releases_written_ = Clock::now();
  Clock::time_point no_moves_before_ = Clock::now();

  std::atomic<uint64_t> appended_entries_{0}, appended_bytes_{0}, batches_{0}, sync_micros_{0},
      moved_records_{0};
  std::thread thread_;
};

}  // namespace shima
