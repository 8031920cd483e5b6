// What access servers note about data they wrote: Written, WritingPaused, TruncateDone (R18, R19).
#include <algorithm>
#include <cerrno>
#include <limits>

#include "coreserver/jobs/file_size.h"
#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/metadata_keys.h"

namespace shima {
namespace {

using metadata::v1::Attributes;

// Sessions with a mark on one inode at the same time; each costs every GETATTR bytes.
constexpr int kMaxWriters = 1024;

bool has_mark(const Attributes& a, uint64_t session) {
  return std::ranges::find(a.writers(), session) != a.writers().end();
}

int find_file(JobRun& run, uint64_t number, StoredInode*& inode) {
  if (int error = find_inode(run, number, inode)) return error;
  *run.reply.mutable_attributes() = inode->attributes;
  return inode->is_regular() ? 0 : run.fail(EINVAL, "only regular files are written");
}

int check_mark(JobRun& run, const Attributes& a) {
  const uint64_t session = run.request.session();
  if (!run.inodes.before().get(session_key(session))) {
    return run.fail(ENOTCONN, "the session is not open (any more): open one");
  }
  if (!has_mark(a, session) && a.writers_size() >= kMaxWriters) {
    return run.fail(EUSERS, "too many access servers write to the file at once");
  }
  return 0;
}

// A write has no place in the order before the last change of the mtime: that was before its ACK.
int64_t above_floor(const Attributes& a, int64_t time_ns) {
  const int64_t floor = a.mtime_floor_ns();
  return floor == std::numeric_limits<int64_t>::max() ? floor : std::max(time_ns, floor + 1);
}

// The ctime is never behind the mtime of a write.
void raise_ctime(StoredInode& inode) {
  Attributes& a = inode.attributes;
  if (!inode.mtime_was_set) a.set_ctime_ns(std::max(a.ctime_ns(), a.mtime_ns()));
}

}  // namespace

void note_write_time(StoredInode& inode, int64_t mtime_ns) {
  Attributes& a = inode.attributes;
  if (mtime_ns <= a.mtime_floor_ns()) return;
  a.set_mtime_ns(inode.mtime_was_set ? mtime_ns : std::max(a.mtime_ns(), mtime_ns));
  inode.mtime_was_set = false;
}

int run_written(JobRun& run, const metadata::v1::Written& job) {
  StoredInode* inode = nullptr;
  if (int error = find_file(run, job.inode(), inode)) return error;
  Attributes& a = inode->attributes;
  if (job.end() > kMaxFileBytes) return run.fail(EFBIG, "a file has at most 16 TiB");
  if (a.truncating()) return run.fail(EAGAIN, "a truncation is under way: complete it, then write again");
  if (a.truncate_sequence() != job.truncate_sequence()) {
    return run.fail(EAGAIN, "the file was truncated since: write again");
  }
  if (job.mark()) {
    if (int error = check_mark(run, a)) return error;
  }
  note_change(run, *inode);
  if (job.mark() && !has_mark(a, run.request.session())) a.add_writers(run.request.session());
  a.set_size(std::max(a.size(), job.end()));
  a.set_high_water(std::max(a.high_water(), a.writers().empty() ? job.end() : a.size()));
  a.set_high_water(std::max(a.high_water(), std::min(job.reserve(), kMaxFileBytes)));
  note_write_time(*inode, above_floor(a, plausible_time_ns(run, job.time_ns())));
  raise_ctime(*inode);
  if (job.clear_set_id()) a.set_mode(without_set_id(a, run.who));
  *run.reply.mutable_attributes() = a;
  return 0;
}

int run_writing_paused(JobRun& run, const metadata::v1::WritingPaused& job) {
  StoredInode* inode = nullptr;
  if (int error = find_file(run, job.inode(), inode)) return error;
  Attributes& a = inode->attributes;
  if (!has_mark(a, job.writer())) return 0;
  run.inodes.changed(*inode);
  auto& writers = *a.mutable_writers();
  writers.erase(std::ranges::find(writers, job.writer()));
  // What was shown while the mark was there is not taken back.
  a.set_change(a.change() + std::min(job.changes(), (std::numeric_limits<uint64_t>::max() - a.change()) / 2));
  a.set_used_bytes(std::min(job.used_bytes(), kMaxFileBytes));
  note_write_time(*inode, plausible_time_ns(run, job.mtime_ns()));
  raise_ctime(*inode);
  *run.reply.mutable_attributes() = a;
  return 0;
}

int run_truncate_done(JobRun& run, const metadata::v1::TruncateDone& job) {
  StoredInode* inode = nullptr;
  if (int error = find_file(run, job.inode(), inode)) return error;
  Attributes& a = inode->attributes;
  if (!a.truncating() || a.truncate_sequence() != job.truncate_sequence()) return 0;
  run.inodes.changed(*inode);
  a.set_truncating(false);
  a.set_truncating_from(0);
  *run.reply.mutable_attributes() = a;
  return 0;
}

}  // namespace shima
