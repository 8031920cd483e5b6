// Forgets what a member has of its group, for a resync (R7), so that a crash at any point leaves a copy that
// calls itself incomplete, never half of one that calls itself good.
//
// Threads: the disk's worker.
#pragma once

#include "common/status/status.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/driver/group_checkpoint.h"
#include "coreserver/journal/journal.h"

namespace shima {

// `incomplete`: the checkpoint of a copy that is being resynced; it is durable before anything goes. The
// records go from the journal some time later: recovered_group() passes over those of such a copy. On an
// error the copy is as it was or incomplete.
Status forget_copy(BlockStore& blocks, Journal& journal, GroupId group, const GroupCheckpoint& incomplete);

}  // namespace shima
