// Recovery of a journal: scan all segments in order, replay them, tell a torn tail from rot, and leave the
// files so that the journal can go on (bytes of a torn tail are overwritten with zeros and synced; a segment
// that holds nothing but a torn batch is removed).
//
// Rot: a record with a readable header damages its own group, which is cut off before it. An unreadable
// stretch may have held anything of any group: all groups are marked. Segments with rot stay until the groups
// are repaired.
#pragma once

#include <deque>
#include <map>

#include "coreserver/journal/journal.h"
#include "coreserver/journal/journal_index.h"

namespace shima {

struct RecoveredJournal {
  std::map<GroupId, RecoveredLog> logs;
  std::string damage;                   // unreadable stretches, in words; empty if there are none
  SegmentFilePtr active;                // where appending goes on; null: in a new segment
  uint64_t active_end = 0;              // offset of the next batch in it
  uint64_t next_number = 1;             // of the next entry
  uint32_t next_segment = 1;            // of the next segment to prepare
  std::deque<SegmentFilePtr> ready;     // prepared and unused
  std::vector<std::string> free_files;  // paths of raw material for segments
  std::vector<Control> to_write;        // truncations of groups that were cut off, to be made durable first
};

// Fills `index` with the live records and the segments.
Result<RecoveredJournal> recover_journal(Disk& disk, const std::string& directory, uint64_t disk_id,
                                         const JournalOptions& options, JournalIndex& index);

}  // namespace shima
