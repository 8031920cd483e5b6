#include "coreserver/journal/journal_writer.h"

#include <algorithm>

#include "common/types/byte_order.h"
#include "common/types/crc32c.h"
#include "coreserver/journal/record_codec.h"
#include "coreserver/journal/record_reader.h"

namespace shima {
namespace {

constexpr uint64_t kMoveBytesPerBatch = 1ull << 20;  // clients wait for at most this much moving
constexpr auto kReleaseInterval = std::chrono::milliseconds(200);
constexpr auto kMovePause = std::chrono::milliseconds(500);  // after a batch that could not be written
// Room that records leave to control entries, so that a full disk can still be told what was released and
// dropped.
constexpr uint64_t kControlReserve = 16u << 10;

}  // namespace

JournalWriter::JournalWriter(JournalIndex& index, SegmentSupply& supply, uint64_t disk_id,
                             const JournalOptions& options, const RecoveredJournal& recovered)
    : index_(index),
      supply_(supply),
      disk_id_(disk_id),
      options_(options),
      active_(recovered.active),
      active_end_(recovered.active_end),
      next_number_(recovered.next_number) {
  for (const Control& c : recovered.to_write) owed_.push_back({.control = c});
  thread_ = std::thread([this] { run(); });
}

JournalWriter::~JournalWriter() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void JournalWriter::enqueue(JournalItem item) {
  bool was_empty;
  {
    std::lock_guard lock(mutex_);
    was_empty = queue_.empty();
    queue_.push_back(std::move(item));
  }
  if (was_empty) wake_.notify_one();
}

void JournalWriter::wake() {
  {
    std::lock_guard lock(mutex_);
    housekeeping_ = true;
  }
  wake_.notify_one();
}

void JournalWriter::add_stats(JournalStats& stats) const {
  stats.appended_entries = appended_entries_;
  stats.appended_bytes = appended_bytes_;
  stats.batches = batches_;
  stats.syncs = batches_;
  stats.sync_micros = sync_micros_;
  stats.moved_records = moved_records_;
}

void JournalWriter::run() {
  while (wait_for_work()) {
    queue_moves();
    queue_due_releases();
    if (!work_.empty() || !moves_.empty() || !owed_.empty()) write_one_batch();
    retire_dead_segments();
  }
  (void)write_controls(index_.unwritten_releases());
}

// False when all is done and the journal closes.
bool JournalWriter::wait_for_work() {
  std::unique_lock lock(mutex_);
  if (work_.empty()) {
    wake_.wait_for(lock, kReleaseInterval, [&] { return !queue_.empty() || housekeeping_ || stop_; });
  }
  housekeeping_ = false;
  std::move(queue_.begin(), queue_.end(), std::back_inserter(work_));
  queue_.clear();
  return !work_.empty() || !stop_;
}

void JournalWriter::write_one_batch() {
  if (!active_) {
    if (Status s = obtain_next(true); !s) return refuse_waiting(s);
    active_ = std::move(next_);
    active_end_ = kSegmentHeaderBytes;
    index_.add_segment(active_, next_number_);
  }
  BatchBuilder batch(disk_id_, active_->number, active_end_, next_number_);
  std::vector<JournalItem> items;
  batch_next_.clear();
  batch_life_.clear();
  bool full = !fill_batch(batch, items);
  bool seal = false;
  if (full) {
    Status s = obtain_next(batch.empty());
    if (!s && batch.empty()) {
      report(items, s);
      return refuse_waiting(s);
    }
    seal = s.is_ok();
  }
  Status written = write(batch, items, seal);
  report(items, written);
  // What was moved or owed and not written comes again with the next batch.
  moves_.clear();
}

// The segment is left only when the next one is at hand: until then its last bytes serve control entries.
Status JournalWriter::obtain_next(bool wait) {
  if (next_) return Status::ok();
  auto segment = supply_.take(wait);
  if (!segment) return segment.status();
  next_ = std::move(*segment);
  return Status::ok();
}

// Moved copies come first: a truncation or drop behind them then voids them as it should. False if the
// segment is full.
bool JournalWriter::fill_batch(BatchBuilder& batch, std::vector<JournalItem>& items) {
  for (auto* queue : {&moves_, &owed_}) {
    for (; !queue->empty(); queue->pop_front()) {
      if (!place(batch, queue->front())) return false;
      expect_after(queue->front());
      items.push_back(std::move(queue->front()));
    }
  }
  for (; !work_.empty(); work_.pop_front()) {
    JournalItem& item = work_.front();
    if (!batch.empty() && item.record &&
        batch.size_with(kRecordHeaderBytes, item.record->payload.size()) > options_.max_batch_bytes) {
      break;
    }
    item.admitted = admit(item);
    if (item.admitted) {
      if (!place(batch, item)) return false;
      expect_after(item);
    }
    items.push_back(std::move(item));
  }
  return true;
}

// False if the segment has no room for it.
bool JournalWriter::place(BatchBuilder& batch, JournalItem& item) {
  std::string body;
  std::span<const uint8_t> payload;
  Control control = item.control;
  if (item.record) {
    encode_record_header(item.record->header, body);
    payload = item.record->payload.span();
  } else {
    if (control.type != EntryType::kRelease && control.before == 0) control.before = batch.next_number();
    body = encode_control(control);
  }
  uint64_t reserve = kSealReserve + (item.record ? kControlReserve : 0);
  if (active_end_ + batch.size_with(body.size(), payload.size()) + reserve > active_->bytes) return false;
  if (item.record) {
    SHIMA_CHECK(chunks_match(payload, item.record->header.checksums),
                "a record's payload matches its checksums");
  }
  bool copy = item.control.before != 0;
  item.control = control;
  EntryType type = item.record ? EntryType::kRecord : control.type;
  item.life = life_of(item, copy, batch.next_number());
  item.placed = batch.add(type, item.moved, item.life, as_bytes(body), payload);
  return true;
}

// The life of the item's group; it begins with the first entry after the drop. `copy`: of an old control
// entry.
uint64_t JournalWriter::life_of(const JournalItem& item, bool copy, uint64_t number) {
  if (!item.record && item.control.type == EntryType::kDrop) return copy ? 0 : batch_life_[item.group()] = 0;
  auto it = batch_life_.find(item.group());
  uint64_t life = it != batch_life_.end() ? it->second : index_.life(item.group());
  return life != 0 ? life : batch_life_[item.group()] = number;
}

// A group's records must stay contiguous, also when an earlier one was refused.
Status JournalWriter::admit(const JournalItem& item) {
  if (!item.record) return Status::ok();
  GroupId group = item.group();
  Sequence sequence = item.record->header.position.sequence;
  Sequence released = index_.released(group);
  if (auto it = refused_.find(group); it != refused_.end()) {
    auto [first, code] = it->second;
    if (sequence > first && first > released) {
      return {code, "record " + std::to_string(first.value) + " of group " + to_string(group) +
                        " was refused before; append that one first"};
    }
    refused_.erase(it);
  }
  auto it = batch_next_.find(group);
  if (it != batch_next_.end() && !it->second) return Status::ok();
  Sequence expected = it != batch_next_.end() ? it->second : index_.expected_next(group);
  if (expected ? sequence == expected : sequence > released) return Status::ok();
  std::string wanted =
      expected ? std::to_string(expected.value) : "one above " + std::to_string(released.value);
  return {Code::kFailedPrecondition, "group " + to_string(group) + ": wanted record " + wanted + ", found " +
                                         std::to_string(sequence.value) +
                                         "; truncate or drop the group first"};
}

// Notes what admit() must expect behind this item in the same batch.
void JournalWriter::expect_after(const JournalItem& item) {
  if (item.moved || (!item.record && item.control.type == EntryType::kRelease)) return;
  GroupId group = item.group();
  if (item.record) {
    batch_next_[group] = item.record->header.position.sequence.next();
    return;
  }
  if (item.control.type == EntryType::kDrop) {
    batch_next_[group] = Sequence(0);
    return;
  }
  auto it = batch_next_.find(group);
  Sequence expected = it != batch_next_.end() ? it->second : index_.expected_next(group);
  Sequence after = item.control.sequence;
  if (!expected || after.next() >= expected) return;
  bool empty = index_.first(group) && after < index_.first(group);
  batch_next_[group] = empty ? Sequence(0) : after.next();
}

Status JournalWriter::write(BatchBuilder& batch, std::vector<JournalItem>& items, bool seal) {
  if (seal) batch.add(EntryType::kSeal, false, 0, {}, {});
  next_number_ = batch.next_number();
  if (batch.empty()) return Status::ok();
  batch.finish();
  FileHandle& file = *active_->file;
  if (Status s = file.write_at(active_end_, batch.pieces()); !s) {
    // Best effort: what was written of the batch should not look valid to a recovery.
    static constexpr uint8_t kNothing[kEntryHeaderBytes] = {};
    std::span<const uint8_t> piece(kNothing);
    (void)file.write_at(active_end_, std::span(&piece, 1));
    return s;
  }
  auto begin = Clock::now();
  Status synced = file.sync();
  SHIMA_CHECK(synced.is_ok(),
              "the journal's sync failed, so what is durable is unknown: " + synced.to_string());
  sync_micros_ += static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
  ++batches_;
  appended_bytes_ += batch.size();
  active_end_ += batch.size();
  commit(items);
  if (seal) {
    index_.seal_segment(active_->number, active_end_);
    active_ = std::move(next_);
    active_end_ = kSegmentHeaderBytes;
    index_.add_segment(active_, next_number_);
  }
  return Status::ok();
}

void JournalWriter::commit(std::vector<JournalItem>& items) {
  for (JournalItem& item : items) {
    if (!item.admitted) continue;
    Location location{active_->number, item.placed.offset, item.placed.length};
    if (!item.record) {
      index_.commit_control(item.control, item.life, active_->number);
      if (item.control.type != EntryType::kRelease) refused_.erase(item.group());
    } else if (item.moved) {
      index_.commit_move(item.moved_from, location);
      ++moved_records_;
    } else {
      index_.commit_record(item.group(), item.life, item.record->header.position.sequence, location);
      ++appended_entries_;
    }
  }
}

void JournalWriter::report(std::vector<JournalItem>& items, const Status& outcome) {
  if (!outcome) no_moves_before_ = Clock::now() + kMovePause;
  for (JournalItem& item : items) {
    const Status& status = item.admitted ? outcome : item.admitted;
    bool of_client = item.record && !item.moved;
    if (of_client && !status && status.code() != Code::kFailedPrecondition) {
      refused_.try_emplace(item.group(), item.record->header.position.sequence, status.code());
    }
    bool owed = !item.record && !item.done && item.control.type != EntryType::kRelease;
    if (!status && owed) {
      item.control.before = 0;  // it gets a number of its own again
      owed_.push_back({.control = item.control});
    }
    if (item.done) item.done(status);
  }
}

// There is no segment to write to: all that waits is told so.
void JournalWriter::refuse_waiting(const Status& why) {
  std::vector<JournalItem> items(std::make_move_iterator(work_.begin()),
                                 std::make_move_iterator(work_.end()));
  work_.clear();
  moves_.clear();
  report(items, why);
}

// Releases ride along with batches that are written anyway, or make one of their own in a quiet moment.
void JournalWriter::queue_due_releases() {
  auto now = Clock::now();
  if (now - releases_written_ < kReleaseInterval) return;
  releases_written_ = now;
  std::erase_if(owed_, [](const JournalItem& item) { return item.control.type == EntryType::kRelease; });
  for (const Control& c : index_.unwritten_releases()) owed_.push_back({.control = c});
}

// The fuller the journal, the fuller the segments that are worth emptying.
void JournalWriter::queue_moves() {
  uint64_t used = index_.used_bytes();
  if (used < options_.max_bytes / 4 || used < 3 * options_.segment_bytes || Clock::now() < no_moves_before_)
    return;
  auto victim = index_.emptiest_segment(used < options_.max_bytes / 4 * 3 ? 0.25 : 0.6);
  if (!victim) return;
  for (const LiveRecord& live : index_.live_records(*victim, kMoveBytesPerBatch)) {
    auto records = read_records(index_, disk_id_, live.group, live.sequence, {live.location});
    if (!records) {
      index_.set_unmovable(*victim);
      moves_.clear();
      return;
    }
    moves_.push_back({.record = records->front(), .moved = true, .moved_from = live});
  }
  std::lock_guard lock(mutex_);
  housekeeping_ = true;  // until nothing is left to move
}

// Oldest first, each once its control entries are safe elsewhere. The oldest of all needs none but releases,
// which a crash may forget: so it goes even if nothing can be written.
void JournalWriter::retire_dead_segments() {
  for (uint32_t segment : index_.dead_segments()) {
    if (!write_controls(index_.controls_to_keep(segment)) && !index_.is_oldest(segment)) return;
    supply_.retire(index_.remove_segment(segment));
  }
}

bool JournalWriter::write_controls(std::vector<Control> controls) {
  for (auto it = controls.begin(); it != controls.end();) {
    if (!active_) return false;
    BatchBuilder batch(disk_id_, active_->number, active_end_, next_number_);
    std::vector<JournalItem> items;
    batch_life_.clear();
    for (; it != controls.end(); ++it) {
      JournalItem item{.control = *it};
      if (!place(batch, item)) break;
      items.push_back(std::move(item));
    }
    bool full = it != controls.end();
    if (full && !obtain_next(true)) return false;
    if (!write(batch, items, full)) return false;
  }
  return true;
}

}  // namespace shima
