#include "accessserver/fileops/writing_marks.h"

#include <algorithm>
#include <cerrno>

#include "accessserver/fileops/session_keeper.h"

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

constexpr uint32_t kMaxPauses = 32;     // at a time
constexpr size_t kMaxSuspects = 4096;   // marks of other sessions that are watched
constexpr uint64_t kAllocation = 4096;  // bytes

void raise_times(FileAttributes& attributes, int64_t data_mtime_ns) {
  if (data_mtime_ns <= attributes.mtime_floor_ns()) return;
  // What the metadata has at or below the floor was set by utimes(2), before this write.
  bool was_set = attributes.mtime_ns() <= attributes.mtime_floor_ns();
  attributes.set_mtime_ns(was_set ? data_mtime_ns : std::max(attributes.mtime_ns(), data_mtime_ns));
  attributes.set_ctime_ns(std::max(attributes.ctime_ns(), data_mtime_ns));
}

}  // namespace

void WritingMarks::start() {
  if (context_.closing()) return;
  tick();
  context_.after(std::max<uint64_t>(context_.options().writing_paused_after_ms / 4, 1), [this] { start(); });
}

void WritingMarks::begin(uint64_t inode) { marks_[inode].in_flight++; }

void WritingMarks::ended(uint64_t inode, int64_t time_ns, uint64_t bytes) {
  Mark& mark = marks_[inode];
  mark.in_flight--;
  if (time_ns != 0) {
    mark.last_write_ms = context_.now_ms();
    mark.newest_ns = std::max(mark.newest_ns, time_ns);
    mark.changes++;
    mark.written_bytes += bytes;
  }
  if (mark.in_flight == 0 && mark.maybe_marked.empty() && !mark.asking && !mark.pausing) marks_.erase(inode);
}

bool WritingMarks::is_set(uint64_t inode, int64_t mtime_floor_ns) const {
  auto it = marks_.find(inode);
  return it != marks_.end() && it->second.set && !it->second.pausing &&
         mtime_floor_ns <= it->second.noted_floor_ns && sessions_.trusted();
}

void WritingMarks::note(JobRequest written, FileContext::JobDone done) {
  uint64_t inode = written.written().inode();
  Mark& mark = marks_[inode];
  if (mark.pausing) {
    // Else the pause could take away the mark that this job sets.
    mark.after_pause.push_back([this, written = std::move(written), done = std::move(done)]() mutable {
      note(std::move(written), std::move(done));
    });
    return;
  }
  uint64_t session = context_.session();
  if (written.written().mark() && std::ranges::find(mark.maybe_marked, session) == mark.maybe_marked.end()) {
    mark.maybe_marked.push_back(session);
  }
  context_.job(std::move(written), [this, inode, session, done = std::move(done)](JobReply reply) {
    if (reply.error() == ENOTCONN) sessions_.lost(session);
    if (reply.error() == 0 && session == context_.session()) noted(inode, reply);
    done(std::move(reply));
  });
}

void WritingMarks::noted(uint64_t inode, const JobReply& reply) {
  const FileAttributes& attributes = reply.attributes();
  if (std::ranges::find(attributes.writers(), context_.session()) == attributes.writers().end()) return;
  auto it = marks_.find(inode);
  if (it == marks_.end()) return;
  it->second.set = true;
  it->second.noted_floor_ns = std::max(it->second.noted_floor_ns, attributes.mtime_floor_ns());
}

// ---- pauses ----

bool WritingMarks::may_pause(const Mark& mark) const {
  if (mark.in_flight > 0 || mark.asking || mark.pausing) return false;
  return context_.closing() ||
         context_.now_ms() - mark.last_write_ms >= context_.options().writing_paused_after_ms;
}

void WritingMarks::tick() {
  if (due_.empty()) {
    for (const auto& [inode, mark] : marks_) {
      if (may_pause(mark)) due_.push_back(inode);
    }
  }
  pause_next();
}

void WritingMarks::pause_next() {
  while (!due_.empty() && pauses_ < kMaxPauses) {
    uint64_t inode = due_.back();
    due_.pop_back();
    auto it = marks_.find(inode);
    if (it != marks_.end() && may_pause(it->second)) pause(inode);
  }
}

void WritingMarks::pause(uint64_t inode) {
  pauses_++;
  marks_[inode].asking = true;
  // A write that begins before the answer has come makes the pause void; one that begins after it waits.
  context_.inode_data(inode, [this, inode](const Status& status, const InodeData& data) {
    auto it = marks_.find(inode);
    if (it == marks_.end()) return paused(inode, false);
    it->second.asking = false;
    // Others may take a mark away whose session does not come to pause it.
    if (!status.is_ok()) it->second.set = false;
    if (!status.is_ok() || !may_pause(it->second)) return paused(inode, false);
    it->second.pausing = true;
    take_mark_away(inode, it->second.maybe_marked, data);
  });
}

void WritingMarks::take_mark_away(uint64_t inode, std::vector<uint64_t> writers, InodeData data) {
  if (writers.empty()) return paused(inode, true);
  JobRequest request;
  auto& paused_job = *request.mutable_writing_paused();
  paused_job.set_inode(inode);
  paused_job.set_writer(writers.back());
  paused_job.set_mtime_ns(data.mtime_ns);
  paused_job.set_changes(data.changes);
  paused_job.set_used_bytes(data.used_bytes);
  writers.pop_back();
  context_.job(std::move(request), [this, inode, writers, data](const JobReply& reply) {
    if (reply.error() == 0 && reply.has_attributes()) {
      attributes_.complete(reply.attributes(), [](int, const FileAttributes&) {});
    }
    if (reply.error() == 0 || reply.error() == ESTALE) return take_mark_away(inode, writers, data);
    paused(inode, false);
  });
}

void WritingMarks::paused(uint64_t inode, bool done) {
  pauses_--;
  auto it = marks_.find(inode);
  if (it != marks_.end()) {
    Mark& mark = it->second;
    bool was_pausing = std::exchange(mark.pausing, false);
    auto waiting = std::exchange(mark.after_pause, {});
    if (was_pausing) mark.set = false;
    if (done) {
      mark.maybe_marked.clear();
      mark.changes = mark.written_bytes = 0;
      mark.newest_ns = 0;
      if (mark.in_flight == 0) marks_.erase(it);
    } else {
      mark.last_write_ms = context_.now_ms();  // not again at once
    }
    for (auto& task : waiting) task();
  }
  pause_next();
  if (pauses_ == 0 && all_paused_) std::exchange(all_paused_, nullptr)();
}

void WritingMarks::pause_all(std::function<void()> done) {
  all_paused_ = std::move(done);
  due_.clear();
  tick();
  if (pauses_ == 0 && all_paused_) std::exchange(all_paused_, nullptr)();
}

void WritingMarks::session_lost() {
  for (auto& [inode, mark] : marks_) mark.set = false;
}

// ---- attributes ----

bool WritingMarks::only_own(const FileAttributes& attributes) const {
  uint64_t session = context_.session();
  return std::ranges::all_of(attributes.writers(), [session](uint64_t writer) { return writer == session; });
}

bool WritingMarks::merge_from_memory(FileAttributes& attributes) const {
  if (attributes.type() != metadata::v1::FILE_TYPE_REGULAR || attributes.writers().empty()) return true;
  auto it = marks_.find(attributes.inode());
  if (!only_own(attributes) || it == marks_.end() || !it->second.set) return false;
  const Mark& mark = it->second;
  raise_times(attributes, mark.newest_ns);
  attributes.set_change(attributes.change() + mark.changes);
  uint64_t whole = (attributes.size() + kAllocation - 1) / kAllocation * kAllocation;
  attributes.set_used_bytes(
      std::max(attributes.used_bytes(), std::min(whole, attributes.used_bytes() + mark.written_bytes)));
  return true;
}

void WritingMarks::merge(const FileAttributes& attributes, Done done) {
  FileAttributes merged = attributes;
  if (merge_from_memory(merged)) return done(0, merged);
  context_.inode_data(attributes.inode(), [this, attributes, done = std::move(done)](const Status& status,
                                                                                     const InodeData& data) {
    merge_data(attributes, status, data, done);
  });
}

void WritingMarks::merge_data(FileAttributes attributes, const Status& status, const InodeData& data,
                              const Done& done) {
  if (!status.is_ok()) return done(context_.errno_of(status), attributes);
  suspect(attributes, data);
  // May be of a write that is not done yet: who has seen it must not see an older one next from memory.
  if (auto it = marks_.find(attributes.inode()); it != marks_.end()) {
    it->second.newest_ns = std::max(it->second.newest_ns, data.mtime_ns);
  }
  raise_times(attributes, data.mtime_ns);
  attributes.set_change(attributes.change() + data.changes);
  attributes.set_used_bytes(data.used_bytes);
  done(0, attributes);
}

void WritingMarks::suspect(const FileAttributes& attributes, const InodeData& data) {
  for (uint64_t writer : attributes.writers()) {
    if (writer == context_.session()) {
      // A mark of ours that memory does not know: the answer to Written was lost.
      Mark& mark = marks_[attributes.inode()];
      if (mark.maybe_marked.empty() && !mark.pausing) mark.maybe_marked.push_back(writer);
      continue;
    }
    std::pair key(attributes.inode(), writer);
    auto it = suspects_.find(key);
    if (it == suspects_.end()) {
      if (suspects_.size() >= kMaxSuspects) suspects_.erase(suspects_.begin());
      suspects_[key] = {data.changes, context_.now_ms()};
    } else if (it->second.changes != data.changes) {
      it->second = {data.changes, context_.now_ms()};
    } else if (context_.now_ms() - it->second.since_ms >= context_.options().dead_mark_after_ms) {
      suspects_.erase(it);
      clear_dead_mark(attributes.inode(), writer);
    }
  }
}

void WritingMarks::clear_dead_mark(uint64_t inode, uint64_t writer) {
  if (context_.closing()) return;
  context_.inode_data(inode, [this, inode, writer](const Status& status, const InodeData& data) {
    if (!status.is_ok()) return;
    JobRequest request;
    auto& paused_job = *request.mutable_writing_paused();
    paused_job.set_inode(inode);
    paused_job.set_writer(writer);
    paused_job.set_mtime_ns(data.mtime_ns);
    paused_job.set_changes(data.changes);
    paused_job.set_used_bytes(data.used_bytes);
    context_.job(std::move(request), [](const JobReply&) {});
  });
}

}  // namespace shima
