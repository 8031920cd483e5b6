// LockTable: the locks of one inode, as fcntl(2) and flock(2) define them.
//
// Kinds do not see each other. An owner is (session, owner number); a range of one owner and kind replaces
// what the owner had there: ranges split, and neighbours of one type merge. Ranges are [start, end], both
// inclusive, at most kLastByte. Encoded under the inode's `l` key; `L SESSION INODE` keys say where a session
// has locks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coreserver/jobs/job_run.h"

namespace shima {

inline constexpr uint64_t kLastByte = (1ull << 63) - 1;  // as an end: however long the file gets
inline constexpr size_t kMaxLocksPerInode = 65536;

struct Lock {
  metadata::v1::LockKind kind = metadata::v1::LOCK_KIND_UNSPECIFIED;
  metadata::v1::LockType type = metadata::v1::LOCK_TYPE_UNLOCK;
  uint64_t start = 0, end = 0;
  uint64_t session = 0, owner = 0;
  uint32_t pid = 0;

  bool operator==(const Lock&) const = default;
  bool same_owner(const Lock& other) const {
    return kind == other.kind && session == other.session && owner == other.owner;
  }
  bool overlaps(const Lock& other) const { return start <= other.end && other.start <= end; }
};

class LockTable {
 public:
  // The first lock by start that keeps `wanted` from being set; null: none does.
  const Lock* conflict(const Lock& wanted) const;
  // Sets the range, or frees it (LOCK_TYPE_UNLOCK); there is no conflict. False, and nothing changed: there
  // would be more than kMaxLocksPerInode.
  bool set(const Lock& lock);
  // All of an owner, of a kind (UNSPECIFIED: of every kind).
  void release(uint64_t session, uint64_t owner, metadata::v1::LockKind kind);
  void release_session(uint64_t session);

  bool has_session(uint64_t session) const;
  std::vector<uint64_t> sessions() const;  // ascending, each once
  const std::vector<Lock>& locks() const { return locks_; }

  std::string encode() const;
  static std::optional<LockTable> decode(std::string_view value);
  bool operator==(const LockTable&) const = default;

 private:
  std::vector<Lock> locks_;  // by start, kind, session, owner
};

// All locks on an inode that goes, with the sessions' notes of them.
void drop_locks(JobRun& run, uint64_t inode);

}  // namespace shima
