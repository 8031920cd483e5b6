// A regular file's size and times as jobs change them (R18, R19): shared by SetAttributes, Create and
// Written.
//
// Invariants, which keep bytes beyond a file's end from ever showing up again:
// * While a session has a "being written" mark (Attributes.writers) high_water >= size: a marked session
// writes
//   inside the file without a job, so every place that it may write to is counted before.
// * Every ACKed byte lies below high_water, or below truncating_from while a truncation is under way: an
// extending
//   write is ACKed only after Written, and a truncation lowers high_water only to what the data groups are
//   then told to drop to.
// * A file that gets shorter always goes through the truncation protocol, from the larger of high_water and
// its old
//   size, even if it was never written: a session that died between its data write and its Written leaves
//   bytes that high_water does not know.
// * Nothing changes the size while a truncation is under way.
#pragma once

#include <cstdint>

#include "coreserver/jobs/job_run.h"

namespace shima {

// May the caller set the size? EISDIR, EINVAL (not a regular file), EFBIG, EACCES, EAGAIN (truncating:
// TruncateDone first). The owner may always (RFC 1813 4.4: a descriptor that was opened before a chmod goes
// on working).
int check_set_size(JobRun& run, const StoredInode& inode, uint64_t size);
// Sets it at `instant` (of note_change), with mtime.
void set_size(JobRun& run, StoredInode& inode, uint64_t size, int64_t instant);
// Sets the mtime by an attribute change at `instant`: what data groups have noted until then is void.
void set_mtime(JobRun& run, StoredInode& inode, int64_t mtime_ns, int64_t instant);
// A write's mtime, already limited by plausible_time_ns; none at or below the floor.
void note_write_time(StoredInode& inode, int64_t mtime_ns);
// A clock that is not the primary's is believed up to a day ahead of it.
int64_t plausible_time_ns(const JobRun& run, int64_t time_ns);

}  // namespace shima
