// JournalIndex: where each live record of the journal lies, and what each segment is still needed for. No
// I/O.
//
// Memory: 12 bytes a live record. A group's live records are contiguous: [first, first + locations).
// Entry numbers and the three control entries (truncate, release, drop) are explained in segment_format.h.
// A control entry must not vanish with its segment while an older segment may still hold what it voids:
// controls_to_keep() names those that have to be written again before a segment is recycled.
// Threads: all methods from any thread (one mutex inside). Only the journal's thread calls those that add
// or remove segments and commit entries; release() and find() come from everywhere.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/runtime/disk.h"
#include "coreserver/journal/journal_replay.h"

namespace shima {

struct Location {
  uint32_t segment = 0;
  uint32_t offset = 0;
  uint32_t length = 0;  // bytes on disk; the padding at the end of a batch may be left out
  bool operator==(const Location&) const = default;
};

// A segment file that is open; shared by the index and by readers that are under way.
struct SegmentFile {
  uint32_t number = 0;
  uint64_t bytes = 0;
  std::string path;
  std::unique_ptr<FileHandle> file;
};
using SegmentFilePtr = std::shared_ptr<SegmentFile>;

struct LiveRecord {
  GroupId group;
  Sequence sequence;
  Location location;
};

class JournalIndex {
 public:
  // Segments. A new one is active until seal_segment(); only sealed ones become dead or victims.
  void add_segment(SegmentFilePtr file, uint64_t first_number);
  void seal_segment(uint32_t segment, uint64_t end);  // `end`: offset behind its last entry
  // Sealed segments without a live record, oldest first.
  std::vector<uint32_t> dead_segments() const;
  // What must be written anew before `segment` goes, see above. Only newest copies count. The newest release
  // of a group is kept as well, and one that is not yet on disk but concerns the segment's records.
  std::vector<Control> controls_to_keep(uint32_t segment) const;
  bool is_oldest(uint32_t segment) const;
  SegmentFilePtr remove_segment(uint32_t segment);
  SegmentFilePtr file(uint32_t segment) const;
  // The sealed segment that is cheapest to empty, if live records are at most this share of what was written
  // to it. (Not of its size: moving must gain something, or it would never end.)
  std::optional<uint32_t> emptiest_segment(double max_live_share) const;
  void set_unmovable(uint32_t segment);
  std::vector<LiveRecord> live_records(uint32_t segment, uint64_t max_bytes) const;

  // Entries, once they are durable.
  // Each is of the group's life, see segment_format.h.
  void commit_record(GroupId group, uint64_t life, Sequence sequence, Location location);
  void commit_move(const LiveRecord& from, Location to);  // nothing if the record was released meanwhile
  void commit_control(const Control& control, uint64_t life, uint32_t segment);

  // Groups.
  uint64_t life(GroupId group) const;  // 0: the next entry begins one
  // The sequence that the next record must have; 0 if the log is empty: then any above released().
  Sequence expected_next(GroupId group) const;
  Sequence first(GroupId group) const;  // 0 if the log is empty
  Sequence released(GroupId group) const;
  // True if a segment may have become free by it.
  bool release(GroupId group, Sequence upto);
  std::vector<Control> unwritten_releases() const;
  // Locations of [first, last], up to max_bytes but at least one; empty if `first` is not there.
  std::vector<Location> find(GroupId group, Sequence first, Sequence last, uint64_t max_bytes) const;

  // Takes over what recovery found: records must be contiguous.
  void load(GroupId group, const ReplayedGroup& replayed);
  void note_control(GroupId group, uint32_t segment);
  // These segments hold rot and stay until each of the groups was released up to the sequence given, or
  // dropped: the evidence must outlive a crash during the repair.
  void hold_damaged(std::set<uint32_t> segments, std::map<GroupId, Sequence> until_released);

  uint64_t used_bytes() const;
  uint64_t live_bytes() const;
  uint64_t segment_count() const;

 private:
  struct Group {
    std::deque<Location> locations;
    Sequence first;  // of locations; meaningless if empty
    Sequence released;
    bool release_unwritten = false;  // `released` is not on disk yet
    uint32_t release_segment = 0;    // where the newest release entry lies
    std::vector<Truncation> truncations;
    uint64_t dropped_before = 0;
    uint32_t dropped_segment = 0;
    uint64_t life = 0;
  };
  struct Range {
    Sequence low, high;
  };
  struct Segment {
    SegmentFilePtr file;
    uint64_t first_number = 0;
    uint64_t end = 0;  // once sealed
    bool sealed = false;
    bool unmovable = false;
    uint64_t live_records = 0;
    uint64_t live_bytes = 0;
    std::map<GroupId, Range> groups;  // sequences that may lie here
    std::set<GroupId> controls;       // groups with control entries here
  };
  void add_live(GroupId group, Sequence sequence, const Location& location);
  void drop_live(const Location& location);
  void truncate(Group& group, Sequence after);
  void forget_needless_controls();
  void repaired(GroupId group, Sequence released);
  void collect_controls(GroupId id, uint32_t segment, std::vector<Control>& out) const;

  mutable std::mutex mutex_;
  std::map<uint32_t, Segment> segments_;
  std::unordered_map<GroupId, Group> groups_;
  std::set<uint32_t> damaged_segments_;
  std::map<GroupId, Sequence> unrepaired_;
  std::set<GroupId> unwritten_;
  uint64_t used_bytes_ = 0;
  uint64_t live_bytes_ = 0;
};

}  // namespace shima
