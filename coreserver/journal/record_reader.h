// Reads records back from where the index says they lie, with every checksum checked. Any thread.
#pragma once

#include <vector>

#include "coreserver/journal/journal_index.h"

namespace shima {

// The records of `locations`, which hold sequences first, first + 1, ... of the group. Their payloads are
// slices of what one read brought. kCorrupt if bytes are bad, which also happens if a segment was reused
// meanwhile: look again then.
Result<std::vector<RecordPtr>> read_records(const JournalIndex& index, uint64_t disk_id, GroupId group,
                                            Sequence first, const std::vector<Location>& locations);

}  // namespace shima
