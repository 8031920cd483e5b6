// Reads a range of a block from its slot: what the index calls present comes from the file, holes are zeros.
#pragma once

#include "common/status/status.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/blocks/data_files.h"
#include "coreserver/blocks/index_entry.h"

namespace shima {

// `entry` is null for a block that is not there. The caller excludes changes of the block meanwhile. Each
// present chunk is checked; a mismatch is kCorrupt and returns no bytes. `offset` and `length` are in bytes,
// whole chunks.
Result<BlockPiece> read_present(const DataFiles& files, const IndexEntry* entry, uint32_t offset,
                                uint32_t length);

}  // namespace shima
