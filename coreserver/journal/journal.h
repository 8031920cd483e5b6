// Journal: the write-ahead log of one disk, shared by all replica groups that live on the disk.
//
// On disk: preallocated, zero-filled segments journal/NNNNNNNNNN.shj; a segment is a header (magic, version,
// segment number, disk id) and entries, each with magic, version, segment number, length, type and crc32c.
// Entry types: a Record (header + payload; the payload is covered by the record's chunk checksums), a
// truncation (group, after position: later sequences of lower terms are void), a release (group, up to: lower
// sequences are no longer needed). Every segment ends with a seal entry before the next one gets entries.
// segment_format.h has the bytes.
//
// Group commit: append() only queues. One thread a journal takes all that is queued, writes it with as few
// calls as possible, calls sync() once, and then reports every entry of the batch, in order. A segment is
// left only when synced. Each entry carries the offset at which its batch began: an invalid entry followed by
// a valid one of a *later* batch, or one in a segment that has a successor, is rot, not a torn tail (R22).
//
// Space: release(group, upto) says that a group no longer needs records up to a sequence; a segment which
// holds only released records is recycled (renamed to a new number, not rewritten). If one lagging group pins
// many segments with little live data, its live records are moved (appended anew, same position) so that the
// segment can be reused; when the journal holds more than max_bytes of live segments, has_space() turns
// false. That is advice for admission: append() goes on taking records, of which those under way need room,
// until the disk itself is full.
//
// Order: a group's records are contiguous. append() of any sequence but the last one + 1 is refused with
// kFailedPrecondition (after a refused record: with that record's code); an empty log (all released or
// truncated) takes any sequence above the released one. So after kNoSpace a group begins again with the
// refused record.
//
// Threads: all methods from any thread. Callbacks run on the journal's thread; they must only post to an
// event loop. What append() is given must be right: a header against record.h or a payload against its
// checksums ends the process. Errors: a failed write for lack of space is reported to the entry's callback as
// kNoSpace and the journal goes on; a failed sync() ends the process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/runtime/disk.h"
#include "common/status/status.h"
#include "common/types/record.h"

namespace shima {

struct JournalOptions {
  uint64_t segment_bytes = 64ull << 20;
  uint64_t max_bytes = 12ull << 30;  // all segments together; beyond it has_space() is false
  uint32_t spare_segments = 1;       // kept preallocated ahead of need
  uint64_t max_batch_bytes =
      8ull << 20;  // one write + sync takes at most this (one larger entry is still taken)
};

// What recovery found of one group. The records themselves stay on disk: read() gets them.
struct RecoveredLog {
  Sequence released;                  // highest release seen (0 if none)
  std::vector<RecordHeader> records;  // contiguous, ascending; truncated and released ones left out
                                      // and, if damaged, those behind the damage (they are truncated)
  bool damaged = false;  // R22: rot was found where this group has or may have had records; reported
                         // at each open until all damaged groups were dropped or released past it
  std::string damage;    // in words, for people
};

struct JournalStats {
  uint64_t appended_entries = 0, appended_bytes = 0, batches = 0, syncs = 0;
  uint64_t segments = 0, live_bytes = 0, moved_records = 0, recycled_segments = 0;
  uint64_t sync_micros = 0;  // time spent in sync()
};

class Journal {
 public:
  using Done = std::function<void(Status)>;

  // Opens or creates the journal in `directory` of `disk` and scans it. `disk_id` is that of the superblock:
  // a segment with another is refused (kCorrupt), as is a wrong magic or version.
  static Result<std::unique_ptr<Journal>> open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                               const JournalOptions& options);
  virtual ~Journal() = default;  // waits for the queue to drain

  // What the scan found, by group; called once, after open.
  virtual std::map<GroupId, RecoveredLog> take_recovered() = 0;

  // Unreadable stretches that the scan found, in words; empty if none. If not empty, a group that
  // take_recovered() does not name may have had records too: its member is not whole.
  virtual std::string damage() const = 0;

  // Queues a record. `done` is called once it is durable, in order of the calls of append and truncate.
  virtual void append(RecordPtr record, Done done) = 0;
  // Queues the truncation of all of a group's records after `after`. Order against append() is kept.
  virtual void truncate(GroupId group, Sequence after, Done done) = 0;
  // The group needs nothing up to and including `upto` any more. The caller has made durable elsewhere
  // whatever it needs to know of it. Lazy: a crash may forget it. Cheap: no I/O. The records are gone for
  // read() at once.
  virtual void release(GroupId group, Sequence upto) = 0;
  // Forgets the group altogether (volume deleted).
  virtual void drop_group(GroupId group) = 0;

  // Reads records [first, last] of the group, at most about max_bytes of them (at least one), checking every
  // checksum. A record not there, released or not yet written is kNotFound; a bad one kCorrupt.
  virtual Result<std::vector<RecordPtr>> read(GroupId group, Sequence first, Sequence last,
                                              uint64_t max_bytes) = 0;

  virtual bool has_space() const = 0;
  virtual JournalStats stats() const = 0;
};

}  // namespace shima
