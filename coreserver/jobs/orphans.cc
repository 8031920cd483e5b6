#include "coreserver/jobs/orphans.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "common/types/byte_order.h"
#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/metadata_keys.h"
#include "coreserver/jobs/stored_session.h"

namespace shima {
namespace {

using metadata::v1::Orphan;

constexpr uint8_t kOrphanVersion = 1;
constexpr int kMaxToldAtOnce = 16384;
constexpr uint32_t kMaxListed = 4096;
// A list looks at no more orphans than this: held ones are passed over.
constexpr int kMaxExamined = 100'000;

std::string encode_orphan(uint64_t inode) {
  std::string value;
  append_little_endian(value, kOrphanVersion);
  append_little_endian(value, inode);
  return value;
}

// 0: rot.
uint64_t decode_orphan(std::string_view value) {
  uint8_t version = 0;
  uint64_t inode = 0;
  const bool good = take_little_endian(value, version) && take_little_endian(value, inode) && value.empty();
  return good && version == kOrphanVersion ? inode : 0;
}

// Visits orphans with numbers from `first` on until `visit` returns false. A damaged record is passed over:
// it must not keep all other orphans for ever.
void scan_orphans(JobRun& run, uint64_t first,
                  const std::function<bool(uint64_t number, uint64_t inode)>& visit) {
  run.inodes.before().scan(orphan_prefix(), orphan_key(first),
                           [&](std::string_view key, std::string_view value) {
                             const uint64_t inode = decode_orphan(value);
                             return inode == 0 || visit(last_number(key), inode);
                           });
}

// With the bytes that may be in data groups. A damaged inode is passed over, as above.
void list_orphan(JobRun& run, uint64_t number, uint64_t inode_number) {
  const std::optional<std::string> value = run.inodes.before().get(inode_key(inode_number));
  const std::optional<StoredInode> inode = value ? decode_inode(inode_number, *value) : std::nullopt;
  if (!inode) return;
  const metadata::v1::Attributes& a = inode->attributes;
  Orphan& orphan = *run.reply.add_orphans();
  orphan.set_inode(inode_number);
  orphan.set_number(number);
  if (inode->is_regular()) orphan.set_high_water(std::max({a.high_water(), a.size(), a.truncating_from()}));
}

// The highest number that every session has answered for.
uint64_t answered_by_all(JobRun& run) {
  uint64_t lowest = std::numeric_limits<uint64_t>::max();
  run.inodes.before().scan(session_prefix(), session_prefix(),
                           [&](std::string_view key, std::string_view value) {
                             const std::optional<StoredSession> session = decode_session(value);
                             if (!session) {
                               run.inodes.found_rot();
                               return false;
                             }
                             if (session->closing) return true;
                             const SessionTable* table = run.context.sessions;
                             const uint64_t told = table ? table->answered_upto(last_number(key)) : 0;
                             lowest = std::min(lowest, std::max(told, session->orphans_at_opening));
                             return true;
                           });
  return lowest;
}

bool is_held(JobRun& run, uint64_t inode) {
  if (run.context.sessions && run.context.sessions->is_held(inode)) return true;
  bool held = false;
  const std::string prefix = holders_prefix(inode);
  run.inodes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    held = is_live_session(run.inodes.before(), last_number(key));
    return !held;
  });
  return held;
}

void drop_holds(JobRun& run, uint64_t inode) {
  const std::string prefix = holders_prefix(inode);
  run.inodes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    run.inodes.writes().erase(std::string(key));
    run.inodes.writes().erase(hold_key(last_number(key), inode));
    return true;
  });
}

void drop_xattrs(JobRun& run, const StoredInode& inode) {
  if (inode.xattr_name_bytes == 0) return;
  const std::string prefix = xattr_prefix(inode.attributes.inode());
  run.inodes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    run.inodes.writes().erase(std::string(key));
    return true;
  });
}

}  // namespace

void make_orphan(JobRun& run, StoredInode& inode) {
  inode.orphan_number = ++run.inodes.counters().orphans_so_far;
  run.inodes.writes().put(orphan_key(inode.orphan_number), encode_orphan(inode.attributes.inode()));
}

bool nobody_has_open(JobRun& run, const StoredInode& orphan) {
  return !is_held(run, orphan.attributes.inode()) && orphan.orphan_number <= answered_by_all(run);
}

void tell_orphans(JobRun& run, uint64_t seen) {
  if (seen == std::numeric_limits<uint64_t>::max()) return;
  scan_orphans(run, seen + 1, [&](uint64_t number, uint64_t inode) {
    Orphan& orphan = *run.reply.add_orphans();
    orphan.set_inode(inode);
    orphan.set_number(number);
    return run.reply.orphans_size() < kMaxToldAtOnce;
  });
}

int run_list_orphans(JobRun& run, const metadata::v1::ListOrphans& job) {
  const int limit = static_cast<int>(job.max() == 0 ? kMaxListed : std::min(job.max(), kMaxListed));
  const uint64_t answered = answered_by_all(run);
  int examined = 0;
  scan_orphans(run, 0, [&](uint64_t number, uint64_t inode) {
    if (number > answered || ++examined > kMaxExamined) return false;
    if (!is_held(run, inode)) list_orphan(run, number, inode);
    return run.reply.orphans_size() < limit;
  });
  return 0;
}

int run_orphan_dropped(JobRun& run, const metadata::v1::OrphanDropped& job) {
  StoredInode* inode = run.inodes.find(job.inode());
  if (!inode) return 0;  // somebody else was faster
  if (inode->attributes.nlink() != 0) return run.fail(EINVAL, "the inode has a name: it is no orphan");
  if (is_held(run, job.inode())) return run.fail(EBUSY, "a session has the orphan open");
  JobWrites& writes = run.inodes.writes();
  writes.erase(orphan_key(inode->orphan_number));
  if (inode->is(metadata::v1::FILE_TYPE_SYMLINK)) writes.erase(symlink_key(job.inode()));
  drop_holds(run, job.inode());
  drop_xattrs(run, *inode);
  drop_locks(run, job.inode());
  run.inodes.forget(*inode);
  return 0;
}

}  // namespace shima
