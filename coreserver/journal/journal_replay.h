// What the entries of a journal mean: feed them in order, then read each group's records. For recovery and
// shima-dump.
//
// Numbers decide: an entry of a higher life, or a drop, voids all of a group's lower lives; a truncation
// voids records with lower numbers only; a release voids lower sequences of its life; of two copies of one
// sequence the later wins. So copies of control entries that were made when their segment was recycled, and
// moved copies of records, mean the same wherever they stand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coreserver/journal/journal_scan.h"

namespace shima {

struct ReplayedRecord {
  RecordHeader header;
  uint64_t number = 0;
  uint32_t segment = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  bool payload_ok = true;
};

struct Truncation {
  Sequence after;
  uint64_t before = 0;   // voids entries with lower numbers
  uint32_t segment = 0;  // where its newest copy lies
};

struct ReplayedGroup {
  std::map<Sequence, ReplayedRecord> records;
  Sequence released;
  uint32_t released_segment = 0;  // where the newest release lies
  std::vector<Truncation> truncations;
  uint64_t dropped_before = 0;   // lives below this are void; 0: never dropped
  uint32_t dropped_segment = 0;  // where the newest copy of the drop lies
  uint64_t life = 0;             // 0: nothing was said of it since the last drop
};

// Adds the truncation, or notes that a newer copy of it lies in `segment`. True if it is new.
bool note_truncation(std::vector<Truncation>& truncations, Truncation truncation);

class JournalReplay {
 public:
  void feed(uint32_t segment, const ScannedEntry& entry);
  std::map<GroupId, ReplayedGroup>& groups() { return groups_; }

 private:
  void feed_record(uint32_t segment, const ScannedEntry& entry);
  void feed_control(uint32_t segment, const Control& control);
  std::map<GroupId, ReplayedGroup> groups_;
};

}  // namespace shima
