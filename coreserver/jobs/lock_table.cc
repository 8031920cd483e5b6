#include "coreserver/jobs/lock_table.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "common/types/byte_order.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {
namespace {

using metadata::v1::LockKind;
using metadata::v1::LockType;

constexpr uint8_t kVersion = 1;
constexpr size_t kLockBytes = 2 + 4 * 8 + 4;

bool by_start(const Lock& a, const Lock& b) {
  return std::tie(a.start, a.kind, a.session, a.owner) < std::tie(b.start, b.kind, b.session, b.owner);
}

// What is left of `old` outside of `taken`.
void keep_rest(const Lock& old, const Lock& taken, std::vector<Lock>& kept) {
  if (old.start < taken.start) {
    kept.push_back(old);
    kept.back().end = taken.start - 1;
  }
  if (old.end > taken.end) {
    kept.push_back(old);
    kept.back().start = taken.end + 1;
  }
}

bool touch(const Lock& a, const Lock& b) { return a.end + 1 == b.start || b.end + 1 == a.start; }

bool plausible(const Lock& lock) {
  return lock.kind > metadata::v1::LOCK_KIND_UNSPECIFIED && lock.kind <= metadata::v1::LOCK_KIND_APPEND &&
         lock.type > metadata::v1::LOCK_TYPE_UNLOCK && lock.type <= metadata::v1::LOCK_TYPE_WRITE &&
         lock.start <= lock.end && lock.end <= kLastByte;
}

}  // namespace

const Lock* LockTable::conflict(const Lock& wanted) const {
  for (const Lock& held : locks_) {
    if (held.start > wanted.end) break;
    const bool shared =
        held.type == metadata::v1::LOCK_TYPE_READ && wanted.type == metadata::v1::LOCK_TYPE_READ;
    if (held.kind == wanted.kind && !held.same_owner(wanted) && !shared && held.overlaps(wanted))
      return &held;
  }
  return nullptr;
}

bool LockTable::set(const Lock& lock) {
  Lock merged = lock;
  std::vector<Lock> kept;
  kept.reserve(locks_.size() + 2);
  for (const Lock& old : locks_) {
    if (!old.same_owner(lock)) {
      kept.push_back(old);
    } else if (old.type == lock.type && (old.overlaps(lock) || touch(old, lock))) {
      merged.start = std::min(merged.start, old.start);
      merged.end = std::max(merged.end, old.end);
    } else if (old.overlaps(lock)) {
      keep_rest(old, lock, kept);
    } else {
      kept.push_back(old);
    }
  }
  if (lock.type != metadata::v1::LOCK_TYPE_UNLOCK) kept.push_back(merged);
  if (kept.size() > kMaxLocksPerInode) return false;
  std::ranges::sort(kept, by_start);
  locks_ = std::move(kept);
  return true;
}

void LockTable::release(uint64_t session, uint64_t owner, LockKind kind) {
  std::erase_if(locks_, [&](const Lock& lock) {
    return lock.session == session && lock.owner == owner &&
           (kind == metadata::v1::LOCK_KIND_UNSPECIFIED || lock.kind == kind);
  });
}

void LockTable::release_session(uint64_t session) {
  std::erase_if(locks_, [&](const Lock& lock) { return lock.session == session; });
}

bool LockTable::has_session(uint64_t session) const {
  return std::ranges::any_of(locks_, [&](const Lock& lock) { return lock.session == session; });
}

std::vector<uint64_t> LockTable::sessions() const {
  std::set<uint64_t> sessions;
  for (const Lock& lock : locks_) sessions.insert(lock.session);
  return {sessions.begin(), sessions.end()};
}

std::string LockTable::encode() const {
  std::string out;
  out.reserve(1 + locks_.size() * kLockBytes);
  append_little_endian(out, kVersion);
  for (const Lock& lock : locks_) {
    append_little_endian(out, static_cast<uint8_t>(lock.kind));
    append_little_endian(out, static_cast<uint8_t>(lock.type));
    append_little_endian(out, lock.start);
    append_little_endian(out, lock.end);
    append_little_endian(out, lock.session);
    append_little_endian(out, lock.owner);
    append_little_endian(out, lock.pid);
  }
  return out;
}

std::optional<LockTable> LockTable::decode(std::string_view value) {
  uint8_t version = 0;
  if (!take_little_endian(value, version) || version != kVersion || value.size() % kLockBytes != 0) {
    return std::nullopt;
  }
  LockTable table;
  table.locks_.reserve(value.size() / kLockBytes);
  while (!value.empty()) {
    Lock lock;
    uint8_t kind = 0, type = 0;
    const bool good = take_little_endian(value, kind) && take_little_endian(value, type) &&
                      take_little_endian(value, lock.start) && take_little_endian(value, lock.end) &&
                      take_little_endian(value, lock.session) && take_little_endian(value, lock.owner) &&
                      take_little_endian(value, lock.pid);
    lock.kind = static_cast<LockKind>(kind);
    lock.type = static_cast<LockType>(type);
    if (!good || !plausible(lock)) return std::nullopt;
    table.locks_.push_back(lock);
  }
  if (!std::ranges::is_sorted(table.locks_, by_start)) return std::nullopt;
  return table;
}

void drop_locks(JobRun& run, uint64_t inode) {
  const std::optional<std::string> value = run.inodes.before().get(locks_key(inode));
  if (!value) return;
  run.inodes.writes().erase(locks_key(inode));
  const std::optional<LockTable> table = LockTable::decode(*value);
  if (!table) return run.inodes.found_rot();
  for (uint64_t session : table->sessions()) run.inodes.writes().erase(session_locks_key(session, inode));
}

}  // namespace shima
