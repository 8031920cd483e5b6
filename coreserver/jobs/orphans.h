// Orphans: inodes without a name, kept until no session has them open (POSIX unlink(2)).
//
// Each gets the next orphan number. Sessions are told of orphans in replies to KeepAlive and answer with
// those that they hold open (`h` and `H` keys) and the highest number that the answer is about
// (SessionTable). An orphan is droppable when every session has answered for its number and no live one holds
// it. A session that was opened after the orphan was made counts as having answered; what it opens must have
// had a name then.
#pragma once

#include "coreserver/jobs/job_run.h"

namespace shima {

// An inode whose nlink has just become 0.
void make_orphan(JobRun& run, StoredInode& inode);
// Has every session answered for this orphan, and does none have it open? (It may be dropped at any moment,
// then.)
bool nobody_has_open(JobRun& run, const StoredInode& orphan);
// Orphans with numbers above `seen`, the oldest first, into the reply; bounded. Without high_water.
void tell_orphans(JobRun& run, uint64_t seen);

}  // namespace shima
