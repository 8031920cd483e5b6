// Walks one journal segment, read-only, entry by entry: for recovery and for shima-dump.
//
// Torn tail or rot (R22)? The entries of one batch are made durable by one sync, and nothing of a later batch
// is written before it. So an invalid entry is a torn tail if nothing valid of a later batch follows; else it
// was durable once and is rot. In a segment that has a successor with entries everything was durable: each
// invalid entry is rot, and so is a missing seal. Threads: none of its own; the file may be written meanwhile
// (then its tail looks torn).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/runtime/disk.h"
#include "common/types/record.h"
#include "coreserver/journal/segment_format.h"

namespace shima {

struct ScannedEntry {
  uint64_t offset = 0;
  EntryHeader entry;
  RecordHeader record;               // type record
  Control control;                   // types truncate, release, drop
  std::span<const uint8_t> payload;  // valid during the callback only
  bool payload_ok = true;  // false: the header is right, the payload is not what its checksums say (rot)
};

struct BadRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  bool header_readable = false;  // the group and position are known: it was reported with payload_ok = false
};

struct SegmentScan {
  uint64_t entries = 0;       // valid ones, the seal included
  uint64_t end = 0;           // offset behind the last valid entry
  uint64_t first_number = 0;  // entry numbers; 0 if there are none
  uint64_t last_number = 0;
  bool sealed = false;
  bool torn = false;  // after `end` lie pieces of entries that were never durable
  std::vector<BadRange> rot;
};

// Reads and checks the segment header. The file's size must be what the header says.
Result<SegmentHeader> read_segment_header(const FileHandle& file);

// `has_successor`: a later segment holds entries. Errors are those of reading only; what is wrong with the
// contents is in the result.
Result<SegmentScan> scan_segment(const FileHandle& file, const SegmentHeader& header, bool has_successor,
                                 const std::function<void(const ScannedEntry&)>& visit);

// Checks one entry that lies at the start of `bytes` and takes it apart. False if it is invalid;
// a wrong payload alone leaves true and payload_ok = false. `bytes` need not reach over the padding.
bool parse_entry(std::span<const uint8_t> bytes, const EntryPlace& place, ScannedEntry& out);

}  // namespace shima
