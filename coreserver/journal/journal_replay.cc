#include "coreserver/journal/journal_replay.h"

#include <algorithm>

namespace shima {
namespace {

void forget(ReplayedGroup& group) {
  group.records.clear();
  group.truncations.clear();
  group.released = Sequence(0);
  group.released_segment = 0;
  group.life = 0;
}

// True if the entry is of the group's newest life, which it may begin.
bool is_current(ReplayedGroup& group, uint64_t life) {
  if (life < group.life || life < group.dropped_before) return false;
  if (life > group.life) forget(group);
  group.life = life;
  return true;
}

}  // namespace

bool note_truncation(std::vector<Truncation>& truncations, Truncation truncation) {
  for (Truncation& t : truncations) {
    if (t.after != truncation.after || t.before != truncation.before) continue;
    t.segment = truncation.segment;
    return false;
  }
  truncations.push_back(truncation);
  return true;
}

void JournalReplay::feed(uint32_t segment, const ScannedEntry& e) {
  switch (e.entry.type) {
    case EntryType::kSeal:
      break;
    case EntryType::kRecord:
      if (is_current(groups_[e.record.group], e.entry.life)) feed_record(segment, e);
      break;
    case EntryType::kDrop: {
      ReplayedGroup& group = groups_[e.control.group];
      if (group.life < e.control.before) forget(group);
      if (e.control.before >= group.dropped_before) group.dropped_segment = segment;
      group.dropped_before = std::max(group.dropped_before, e.control.before);
      break;
    }
    default:
      if (is_current(groups_[e.control.group], e.entry.life)) feed_control(segment, e.control);
  }
}

void JournalReplay::feed_record(uint32_t segment, const ScannedEntry& e) {
  ReplayedGroup& group = groups_[e.record.group];
  Sequence sequence = e.record.position.sequence;
  if (sequence <= group.released) return;
  group.records[sequence] = ReplayedRecord{
      e.record, e.entry.number, segment, static_cast<uint32_t>(e.offset), e.entry.total_length, e.payload_ok};
}

void JournalReplay::feed_control(uint32_t segment, const Control& c) {
  ReplayedGroup& group = groups_[c.group];
  auto& records = group.records;
  if (c.type == EntryType::kRelease) {
    if (c.sequence < group.released) return;
    group.released = c.sequence;
    group.released_segment = segment;
    records.erase(records.begin(), records.upper_bound(c.sequence));
    return;
  }
  note_truncation(group.truncations, {c.sequence, c.before, segment});
  for (auto it = records.upper_bound(c.sequence); it != records.end();) {
    it = it->second.number < c.before ? records.erase(it) : std::next(it);
  }
}

}  // namespace shima
