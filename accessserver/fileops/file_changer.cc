#include "accessserver/fileops/file_changer.h"

#include <algorithm>
#include <cerrno>

#include "accessserver/fileops/file_access.h"
#include "coreserver/jobs/permission.h"

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

// A mark is taken away by others when its data did not change for longer than this by far: a write that took
// so long notes itself once more.
constexpr int64_t kLongWriteNs = 10'000'000'000;
constexpr uint64_t kMaxAhead = 64u << 20;  // bytes that are reserved beyond a write

}  // namespace

void FileChanger::change(FileChange change, Done done) {
  auto run = std::make_shared<Run>();
  run->change = std::move(change);
  run->done = std::move(done);
  FileChange& c = run->change;
  bool writes = c.kind == ChangeKind::kWrite || c.kind == ChangeKind::kAppend;
  if (writes) c.length = c.bytes.size();
  bool append = c.kind == ChangeKind::kAppend;
  marks_.begin(c.inode);
  run->ticket = orders_[c.inode].enter(append ? 0 : c.offset, append ? ~0ull : c.offset + c.length,
                                       [this, run] { context_.at_end_of_turn([this, run] { start(run); }); });
}

void FileChanger::start(const RunPtr& run) {
  FileChange& c = run->change;
  if (int error = locks_.check_write(c.inode)) return end(run, error);
  bool writes = c.kind == ChangeKind::kWrite || c.kind == ChangeKind::kAppend;
  if (writes && c.length > kMaxTransferBytes) return end(run, EINVAL);
  if (c.kind != ChangeKind::kAppend) {
    if (int error = check_range(c.offset, c.length)) return end(run, error);
  }
  const FileAttributes* known = attributes_.known(c.inode);
  if (known != nullptr && c.credentials.checked() && c.kind == ChangeKind::kWrite) {
    run->before = *known;
    return admit(run);
  }
  if (known != nullptr && may_send_beside(c, *known)) {
    run->before = *known;
    return admit_beside(run);
  }
  fetch(run);
}

// Attributes that may be old are good enough to send the data if nothing that they could show since would
// forbid it: the privileged may write whatever owner and mode are, a type never changes, and a truncation or
// removal was told to every group below the high water, so that the fence finds it out.
bool FileChanger::may_send_beside(const FileChange& change, const FileAttributes& known) const {
  if (change.kind != ChangeKind::kWrite || change.length == 0 || !is_privileged(change.credentials))
    return false;
  return known.nlink() > 0 && check_may_write(known, change.credentials) == 0 &&
         change.offset + change.length <= std::min(known.size(), known.high_water()) &&
         marks_.is_set(change.inode, known.mtime_floor_ns());
}

void FileChanger::admit_beside(const RunPtr& run) {
  quota_.admit(run->before, run->change.offset, run->change.length, [this, run](int error) {
    if (error != 0) return end(run, error);
    run->admitted = true;
    run->time_ns = context_.stamp_ns(run->before.mtime_floor_ns());
    run->data_end = run->change.offset + run->change.length;
    run->beside = true;
    run->waiting_for = 2;
    send_data(run);
    attributes_.get(run->change.inode, [this, run](int get_error, const FileAttributes& attributes) {
      run->note_error = get_error;
      if (get_error == 0) run->before = attributes;
      part_done(run);
    });
  });
}

// The data is there, and so are attributes from after the change began: goes on as if they had come first.
void FileChanger::both_there(const RunPtr& run) {
  run->beside = false;
  run->result.before = run->before;
  plan(*run);
  run->needs_note ? move_data(run) : finish_data(run);
}

void FileChanger::fetch(const RunPtr& run) {
  attributes_.get(run->change.inode, [this, run](int error, const FileAttributes& attributes) {
    if (error != 0) return end(run, error);
    run->before = attributes;
    if (run->change.kind == ChangeKind::kAppend && !run->data_done) run->change.offset = attributes.size();
    admit(run);
  });
}

void FileChanger::admit(const RunPtr& run) {
  FileChange& c = run->change;
  if (int error = check_range(c.offset, c.length)) return end(run, error);
  if (run->admitted) return move_data(run);
  if (int error = check_may_write(run->before, c.credentials)) return end(run, error);
  run->admitted = true;
  run->result.before = run->before;
  if (c.bytes.empty()) return move_data(run);
  quota_.admit(run->before, c.offset, c.length, [this, run](int error) {
    if (error != 0) return end(run, error);
    move_data(run);
  });
}

// What of the change is left to do, given the attributes.
void FileChanger::plan(Run& run) const {
  const FileChange& c = run.change;
  const FileAttributes& a = run.before;
  // Data that was taken under an older fence is before a truncation, which has set the size since.
  bool before_truncation = run.data_done && run.data_fence != a.truncate_sequence();
  run.note_end = c.kind == ChangeKind::kPunch || before_truncation ? 0 : c.offset + c.length;
  run.extends = run.note_end > a.size();
  run.needs_note =
      run.extends || !marks_.is_set(c.inode, a.mtime_floor_ns()) || clears_set_id(a, c.credentials);
  if (c.kind == ChangeKind::kExtend) run.needs_note = run.extends;
  // Nothing at or beyond the high water was ever written. (The attributes are fresh.)
  uint64_t written_end = std::max(a.size(), a.high_water());
  run.data_end = c.offset + c.length;
  if (c.kind == ChangeKind::kPunch) run.data_end = std::min(run.data_end, written_end);
  run.has_data = !run.data_done && c.kind != ChangeKind::kExtend && run.data_end > c.offset;
}

void FileChanger::move_data(const RunPtr& run) {
  plan(*run);
  bool nothing_to_do = run->change.length == 0 || (!run->has_data && !run->needs_note);
  if (nothing_to_do || (!run->has_data && !run->data_done && run->change.kind == ChangeKind::kPunch)) {
    return end(run, 0);
  }
  if (!run->data_done) run->time_ns = context_.stamp_ns(run->before.mtime_floor_ns());
  if (run->has_data && run->data_end > run->before.high_water() && run->change.kind != ChangeKind::kPunch) {
    return reserve(run);
  }
  run->data_status = Status::ok();
  run->note_error = 0;
  run->has_after = false;
  bool note_beside = run->needs_note && !(run->has_data && run->extends);
  run->waiting_for = (run->has_data ? 1 : 0) + (note_beside ? 1 : 0);
  if (note_beside) {
    run->needs_note = false;
    send_note(run);
  }
  if (run->has_data) send_data(run);
}

void FileChanger::send_data(const RunPtr& run) {
  const FileChange& c = run->change;
  run->data_fence = run->before.truncate_sequence();
  WriteTags tags{.fence = run->data_fence, .time_ns = run->time_ns};
  auto done = [this, run](Status status) {
    run->data_done = status.is_ok();
    run->data_status = std::move(status);
    part_done(run);
  };
  if (c.kind == ChangeKind::kPunch) {
    context_.punch(c.inode, c.offset, run->data_end - c.offset, tags, done);
  } else {
    context_.write(c.inode, c.offset, c.bytes, tags, done);
  }
}

JobRequest FileChanger::note_of(const Run& run) const {
  JobRequest request;
  *request.mutable_credentials() = run.change.credentials;
  auto& written = *request.mutable_written();
  written.set_inode(run.change.inode);
  written.set_truncate_sequence(run.before.truncate_sequence());
  written.set_time_ns(run.time_ns);
  written.set_mark(run.change.kind != ChangeKind::kExtend);
  return request;
}

// A file that grows doubles its reserve, up to kMaxAhead: few jobs for a long file, and none beside the one
// of its creation for a short one.
void FileChanger::reserve(const RunPtr& run) {
  uint64_t block = context_.first_layout().block_size;
  uint64_t ahead = run->data_end <= block ? 0 : std::min(run->data_end, kMaxAhead);
  JobRequest request = note_of(*run);
  request.mutable_written()->set_reserve((run->data_end + ahead + block - 1) / block * block);
  marks_.note(std::move(request), [this, run](const JobReply& reply) {
    if (reply.error() == EAGAIN || reply.error() == ENOTCONN) return again(run);
    if (reply.error() != 0) return end(run, reply.error());
    attributes_.complete(reply.attributes(), [](int, const FileAttributes&) {});
    run->before = reply.attributes();
    if (++run->tries > kMaxTries) return end(run, EIO);
    if (run->change.kind == ChangeKind::kAppend) run->change.offset = run->before.size();
    admit(run);
  });
}

void FileChanger::send_note(const RunPtr& run) {
  JobRequest request = note_of(*run);
  request.mutable_written()->set_end(run->note_end);
  request.mutable_written()->set_clear_set_id(clears_set_id(run->before, run->change.credentials));
  marks_.note(std::move(request), [this, run](const JobReply& reply) {
    run->note_error = reply.error();
    if (reply.error() == 0) {
      run->after = reply.attributes();
      run->has_after = true;
    }
    part_done(run);
  });
}

void FileChanger::part_done(const RunPtr& run) {
  if (--run->waiting_for > 0) return;
  bool stale = run->data_status.code() == Code::kStaleFence;
  if (!run->data_status.is_ok() && !stale) return end(run, context_.errno_of(run->data_status));
  if (stale || run->note_error == EAGAIN || run->note_error == ENOTCONN) return again(run);
  if (run->note_error != 0) return end(run, run->note_error);
  run->beside ? both_there(run) : finish_data(run);
}

void FileChanger::finish_data(const RunPtr& run) {
  // The mark on which this change relied may have gone with the session meanwhile.
  bool took_long = context_.stamp_ns(0) - run->time_ns > kLongWriteNs;
  bool marked = marks_.is_set(run->change.inode, 0) && !took_long;
  bool needs_mark = run->change.kind != ChangeKind::kExtend;
  if (run->needs_note || (needs_mark && !run->has_after && !marked)) {
    run->needs_note = false;
    run->waiting_for = 1;
    return send_note(run);
  }
  if (run->has_after) attributes_.complete(run->after, [](int, const FileAttributes&) {});
  end(run, 0);
}

void FileChanger::again(const RunPtr& run) {
  run->beside = false;
  if (++run->tries > kMaxTries) return end(run, EIO);
  context_.again(run->tries, [this, run] {
    sessions_.when_open([this, run](int error) {
      if (error != 0) return end(run, error);
      // Locks may have gone with a session.
      if (int lost = locks_.check_write(run->change.inode)) return end(run, lost);
      fetch(run);
    });
  });
}

void FileChanger::end(const RunPtr& run, int error) {
  FileChange& c = run->change;
  bool changed = error == 0 && run->time_ns != 0;
  marks_.ended(c.inode, changed ? run->time_ns : 0, c.bytes.size());
  run->result.error = error;
  run->result.offset = c.offset;
  if (error == 0) fill_attributes(*run);
  auto order = orders_.find(c.inode);
  order->second.leave(run->ticket);
  if (order->second.empty()) orders_.erase(order);
  run->done(std::move(run->result));
}

// Without asking anybody: if other sessions write too, the attributes stay away.
void FileChanger::fill_attributes(Run& run) const {
  FileWritten& result = run.result;
  result.after = run.has_after ? run.after : run.before;
  result.has_attributes = marks_.merge_from_memory(result.before) && marks_.merge_from_memory(result.after);
}

}  // namespace shima
