#include "tests/simulation/disk.h"

#include <cstring>

namespace shima::simulation {

uint64_t content_of(const Record& record) {
  uint64_t content = 0;
  if (record.header.kind == RecordKind::kWrite) std::memcpy(&content, record.payload.data(), sizeof(content));
  return content;
}

void apply_record(Blocks& blocks, const Record& record) {
  const RecordHeader& h = record.header;
  if (h.kind == RecordKind::kNoop) return;
  auto& block = blocks[h.block.value];
  for (uint32_t at = h.offset; at < h.offset + h.length; at += kChunkSize)
    block[at / kChunkSize] = content_of(record);
  bool empty = true;
  for (uint64_t content : block) empty = empty && content == 0;
  if (empty) blocks.erase(h.block.value);
}

void SimDisk::carry_out(const Entry& entry, std::map<Sequence, RecordPtr>& log) {
  if (entry.record) {
    log[entry.record->header.position.sequence] = entry.record;
  } else {
    log.erase(log.upper_bound(entry.after), log.end());
  }
}

void SimDisk::append(RecordPtr record) {
  pending_.push_back({std::move(record), {}});
  carry_out(pending_.back(), live_);
}

void SimDisk::truncate(Sequence after) {
  pending_.push_back({nullptr, after});
  carry_out(pending_.back(), live_);
}

Position SimDisk::synced(size_t count) {
  Position last;
  for (; count > 0; count--) {
    const Entry& entry = pending_.front();
    carry_out(entry, durable_);
    if (entry.record) last = entry.record->header.position;
    pending_.pop_front();
  }
  durable_.erase(durable_.begin(), durable_.upper_bound(released_durably_));
  return last;
}

void SimDisk::release(Sequence upto, Random& random) {
  released_ = std::max(released_, upto);
  live_.erase(live_.begin(), live_.upper_bound(released_));
  if (!random.chance(500)) return;
  released_durably_ = released_;
  durable_.erase(durable_.begin(), durable_.upper_bound(released_durably_));
}

const RecordPtr* SimDisk::read(Sequence sequence) const {
  auto it = live_.find(sequence);
  return it == live_.end() ? nullptr : &it->second;
}

bool SimDisk::holds(Position position) const {
  if (position.sequence <= checkpoint_.applied.sequence) return true;
  auto it = durable_.find(position.sequence);
  return it != durable_.end() && it->second->header.position == position;
}

Sequence SimDisk::durable_end() const {
  Sequence end = checkpoint_.applied.sequence;
  return durable_.empty() ? end : std::max(end, durable_.rbegin()->first);
}

void SimDisk::apply(const RecordPtr& record) {
  apply_record(blocks_, *record);
  since_.push_back(record);
}

void SimDisk::clear_blocks() {
  blocks_.clear();
  since_.push_back(nullptr);
}

void SimDisk::checkpointed(Checkpoint checkpoint, size_t covered) {
  checkpoint_ = std::move(checkpoint);
  since_.erase(since_.begin(), since_.begin() + static_cast<long>(covered));
}

void SimDisk::forget() {
  if (!forgetting_) forgetting_ = Kept{durable_, released_durably_, checkpoint_};
  live_.clear();
  durable_.clear();
  pending_.clear();
  released_ = released_durably_ = Sequence();
  blocks_.clear();
  since_.clear();
  checkpoint_ = Checkpoint();
  checkpoint_.resyncing = true;
}

void SimDisk::store_resync(Checkpoint checkpoint) {
  forgotten();
  blocks_ = checkpoint.blocks;
  since_.clear();
  released_ = released_durably_ = checkpoint.applied.sequence;
  checkpoint_ = std::move(checkpoint);
}

void SimDisk::crash(Random& random, Statistics& statistics) {
  if (forgetting_) {
    statistics.count(Fault::kForgettingCutOff);
    durable_ = forgetting_->records;
    released_durably_ = forgetting_->released;
    if (random.chance(500)) checkpoint_ = forgetting_->checkpoint;
    forgotten();
  }
  size_t keep = random.below(pending_.size() + 1);
  bool lost = keep < pending_.size();
  for (size_t i = 0; i < keep; i++) carry_out(pending_[i], durable_);
  if (lost) statistics.count(random.chance(500) ? Fault::kTornAppend : Fault::kLostAppend);
  pending_.clear();
  if (random.chance(500)) released_durably_ = released_;
  durable_.erase(durable_.begin(), durable_.upper_bound(released_durably_));
  released_ = released_durably_;
  live_ = durable_;

  size_t applied = random.below(since_.size() + 1);
  if (applied < since_.size()) statistics.count(Fault::kBlocksFellBack);
  since_.resize(applied);
  blocks_ = checkpoint_.blocks;
  for (const RecordPtr& record : since_) {
    if (record)
      apply_record(blocks_, *record);
    else
      blocks_.clear();
  }
}

replication::RecoveredGroup SimDisk::recover(bool secondary) {
  if (checkpoint_.resyncing) {
    forget();
    forgotten();
  }
  if (secondary && !checkpoint_.folded) clear_blocks();
  replication::RecoveredGroup r;
  r.checkpointed = checkpoint_.applied.sequence;
  r.history = checkpoint_.history;
  r.folded = checkpoint_.folded;
  r.resyncing = checkpoint_.resyncing;
  if (auto window = replication::RequestWindow::load(checkpoint_.window); window.is_ok())
    r.window = std::move(*window);
  r.base = checkpoint_.applied;
  if (!durable_.empty()) {
    const RecordHeader& first = durable_.begin()->second->header;
    r.base = {first.previous_term, first.position.sequence.prev()};
  }
  Sequence expected = r.base.sequence;
  for (const auto& [sequence, record] : durable_) {
    expected = expected.next();
    if (sequence != expected) r.damage = "the journal has a gap at " + std::to_string(expected.value);
    r.records.push_back(record->header);
  }
  if (!r.records.empty() &&
      (r.base.sequence > r.checkpointed || r.records.back().position.sequence < r.checkpointed)) {
    r.damage = "journal and checkpoint do not join";
  }
  return r;
}

}  // namespace shima::simulation
