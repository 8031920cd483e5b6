#include "coreserver/journal/journal.h"

#include "coreserver/journal/journal_index.h"
#include "coreserver/journal/journal_recovery.h"
#include "coreserver/journal/journal_writer.h"
#include "coreserver/journal/record_codec.h"
#include "coreserver/journal/record_reader.h"
#include "coreserver/journal/segment_supply.h"

namespace shima {
namespace {

constexpr int kReadAttempts = 5;
constexpr uint64_t kSmallestSegment = 64u << 10;

class JournalImpl : public Journal {
 public:
  JournalImpl(Disk& disk, const std::string& directory, uint64_t disk_id, const JournalOptions& options,
              std::unique_ptr<JournalIndex> index, RecoveredJournal recovered)
      : disk_id_(disk_id),
        options_(options),
        index_(std::move(index)),
        logs_(std::move(recovered.logs)),
        damage_(std::move(recovered.damage)),
        supply_(disk, directory, disk_id, options, recovered.next_segment, std::move(recovered.ready),
                std::move(recovered.free_files)),
        writer_(*index_, supply_, disk_id, options, recovered) {}

  std::map<GroupId, RecoveredLog> take_recovered() override { return std::move(logs_); }
  std::string damage() const override { return damage_; }

  void append(RecordPtr record, Done done) override {
    Status right = check_record_header(record->header);
    SHIMA_CHECK(right.is_ok(), right.message());
    SHIMA_CHECK(record->payload.size() == payload_bytes(record->header),
                "a payload has the length its header says");
    SHIMA_CHECK(record->payload.size() < options_.segment_bytes / 2, "a record fits half a segment");
    writer_.enqueue({.record = std::move(record), .done = std::move(done)});
  }

  void truncate(GroupId group, Sequence after, Done done) override {
    writer_.enqueue({.control = {EntryType::kTruncate, group, after, 0}, .done = std::move(done)});
  }

  void drop_group(GroupId group) override {
    writer_.enqueue({.control = {EntryType::kDrop, group, Sequence(0), 0}});
  }

  void release(GroupId group, Sequence upto) override {
    if (index_->release(group, upto) || !has_space()) writer_.wake();
  }

  Result<std::vector<RecordPtr>> read(GroupId group, Sequence first, Sequence last,
                                      uint64_t max_bytes) override {
    for (int attempt = 0;; ++attempt) {
      auto locations = index_->find(group, first, last, max_bytes);
      if (locations.empty()) {
        return Status(Code::kNotFound, "record " + std::to_string(first.value) + " of group " +
                                           to_string(group) +
                                           " is not in the journal: released, truncated or not yet written");
      }
      auto records = read_records(*index_, disk_id_, group, first, locations);
      // A record may be moved or released, and its segment reused, while it is read: then look it up again.
      if (records || attempt == kReadAttempts || index_->find(group, first, last, max_bytes) == locations) {
        return records;
      }
    }
  }

  bool has_space() const override {
    return index_->used_bytes() <= options_.max_bytes && !supply_.out_of_space();
  }

  JournalStats stats() const override {
    JournalStats stats;
    writer_.add_stats(stats);
    stats.segments = index_->segment_count();
    stats.live_bytes = index_->live_bytes();
    stats.recycled_segments = supply_.recycled();
    return stats;
  }

 private:
  const uint64_t disk_id_;
  const JournalOptions options_;
  const std::unique_ptr<JournalIndex> index_;
  std::map<GroupId, RecoveredLog> logs_;
  const std::string damage_;
  SegmentSupply supply_;
  JournalWriter writer_;  // last: its thread uses all of the above
};

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                               const JournalOptions& options) {
  if (options.segment_bytes < kSmallestSegment || options.segment_bytes > kMaxSegmentBytes ||
      options.segment_bytes % kSegmentHeaderBytes != 0) {
    return Status(Code::kInvalidArgument,
                  "segment_bytes: wanted a multiple of 4096 from 64 KiB to 1 GiB, found " +
                      std::to_string(options.segment_bytes));
  }
  auto index = std::make_unique<JournalIndex>();
  auto recovered = recover_journal(disk, directory, disk_id, options, *index);
  if (!recovered) return recovered.status().with_context("journal");
  return std::unique_ptr<Journal>(std::make_unique<JournalImpl>(disk, directory, disk_id, options,
                                                                std::move(index), std::move(*recovered)));
}

}  // namespace shima
