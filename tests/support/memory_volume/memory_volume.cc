#include "tests/support/memory_volume/memory_volume.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "common/types/record.h"

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

std::optional<std::string> MemoryVolume::MapKv::get(std::string_view key) const {
  auto it = entries_.find(key);
  return it == entries_.end() ? std::nullopt : std::optional(it->second);
}

void MemoryVolume::MapKv::scan(std::string_view prefix, std::string_view from,
                               const std::function<bool(std::string_view, std::string_view)>& visit) const {
  for (auto it = entries_.lower_bound(std::max(prefix, from)); it != entries_.end(); ++it) {
    if (!it->first.starts_with(prefix) || !visit(it->first, it->second)) return;
  }
}

void MemoryVolume::MapKv::apply(const KvBatch& batch) {
  for (const KvChange& change : batch) {
    if (change.value) {
      entries_[change.key] = *change.value;
    } else {
      entries_.erase(change.key);
    }
  }
}

MemoryVolume::MemoryVolume(MemoryVolumeOptions options)
    : options_(options),
      size_bytes_(options.size_bytes),
      told_size_bytes_(options.size_bytes),
      groups_(VolumeId(options.volume_id), options.data_groups, options.block_size),
      random_(options.seed),
      loop_("memory-volume") {
  groups_.set_capacity_bytes(options.capacity_bytes);
  loop_.start();
}

MemoryVolume::~MemoryVolume() { loop_.stop(); }

// ---- steps: when things happen ----

void MemoryVolume::step(Task task) {
  loop_.post([this, task = std::move(task)]() mutable {
    if (options_.max_delay_ms != 0) {
      loop_.after(random_() % (options_.max_delay_ms + 1), std::move(task));
    } else if (options_.reorder) {
      steps_.push_back(std::move(task));
      loop_.post([this] { take_any_step(); });
    } else {
      task();
    }
  });
}

void MemoryVolume::take_any_step() {
  std::swap(steps_[random_() % steps_.size()], steps_.back());
  Task task = std::move(steps_.back());
  steps_.pop_back();
  task();
}

void MemoryVolume::carry_out(Request request, std::shared_ptr<const JobRequest> job,
                             std::function<Status()> action, std::function<void(Status)> done) {
  request.job = job.get();
  step([this, request, job = std::move(job), action = std::move(action), done = std::move(done)]() mutable {
    if (holds_ && holds_(request)) {
      held_.push_back({[this, request, job, action, done] { carry_out_now(request, action, done); }});
    } else {
      carry_out_now(request, action, std::move(done));
    }
  });
}

void MemoryVolume::carry_out_now(Request request, const std::function<Status()>& action,
                                 std::function<void(Status)> done) {
  std::optional<Failure> failure = inject_ ? inject_(request) : std::nullopt;
  Status status;
  if (!failure || failure->carried_out) {
    counts_[static_cast<size_t>(request.call)]++;
    status = action();
  }
  if (failure) status = failure->status;
  step([done = std::move(done), status] { done(status); });
}

// ---- jobs ----

void MemoryVolume::run_job(const JobRequest& request, JobDone done) {
  auto job = std::make_shared<const JobRequest>(request);
  auto reply = std::make_shared<JobReply>();
  carry_out(
      {.call = Call::kJob}, job,
      [this, job, reply] {
        *reply = job_now(*job);
        return Status::ok();
      },
      [reply, done = std::move(done)](Status status) {
        done(status, status.is_ok() ? std::move(*reply) : JobReply());
      });
}

JobReply MemoryVolume::job_now(const JobRequest& request) {
  expire_sessions_now();
  JobOutcome outcome = shima::run_job({kv_, now_ns(), options_.max_inodes, &sessions_}, request);
  SHIMA_CHECK(job_changes(request) || outcome.batch.empty(), "a job that only reads changes nothing");
  kv_.apply(outcome.batch);
  std::lock_guard lock(mutex_);
  job_counts_[request.job_case()]++;
  return std::move(outcome.reply);
}

void MemoryVolume::expire_sessions_now() {
  for (uint64_t session : sessions_.expired(kv_, now_ns())) {
    kv_.apply(end_session(kv_, session));
    sessions_.forget(session);
  }
}

int64_t MemoryVolume::now_ns() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count() + clock_offset_ns_;
  return last_now_ns_ = std::max(now, last_now_ns_ + 1);
}

// ---- data ----

// Ends when its last piece has ended; the first error wins.
struct MemoryVolume::Pieces {
  size_t left = 0;
  Status status;
  std::function<void(Status)> done;
  void ended(const Status& piece) {
    if (status.is_ok() && !piece.is_ok()) status = piece;
    if (--left == 0) done(status);
  }
};

template <typename Each>
void MemoryVolume::for_each_block(uint64_t offset, uint64_t length, Each&& each) const {
  for (uint64_t at = offset; at < offset + length;) {
    uint64_t size = std::min(options_.block_size - at % options_.block_size, offset + length - at);
    each(at, size);
    at += size;
  }
}

void MemoryVolume::read_file(InodeId inode, uint64_t offset, uint64_t length, BytesDone done) {
  SHIMA_CHECK(length <= (16u << 20), "volume_access.h: at most 16 MiB");
  auto bytes = std::make_shared<std::vector<uint8_t>>(length);
  auto fence = std::make_shared<uint64_t>(0);
  auto pieces = std::make_shared<Pieces>();
  pieces->done = [bytes, fence, done = std::move(done)](Status status) {
    done(status, status.is_ok() ? Buffer::copy_of(std::span<const uint8_t>(*bytes)) : Buffer(), *fence);
  };
  for_each_block(offset, length, [&](uint64_t, uint64_t) { pieces->left++; });
  if (pieces->left == 0) {
    step([pieces] { pieces->done(Status::ok()); });
  }
  for_each_block(offset, length, [&](uint64_t at, uint64_t size) {
    auto read = [=, this] {
      *fence = std::max(*fence, groups_.read(inode, at, std::span(*bytes).subspan(at - offset, size)));
      return Status::ok();
    };
    carry_out({.call = Call::kRead, .inode = inode.value, .offset = at}, nullptr, read,
              [pieces](Status status) { pieces->ended(status); });
  });
}

void MemoryVolume::write_file(InodeId inode, uint64_t offset, Buffer bytes, WriteTags tags, Done done) {
  auto pieces = std::make_shared<Pieces>();
  pieces->done = std::move(done);
  for_each_block(offset, bytes.size(), [&](uint64_t, uint64_t) { pieces->left++; });
  if (pieces->left == 0) {
    step([pieces] { pieces->done(Status::ok()); });
  }
  for_each_block(offset, bytes.size(), [&](uint64_t at, uint64_t size) {
    Buffer piece = bytes.slice(at - offset, size);
    carry_out(
        {.call = Call::kWrite, .inode = inode.value, .offset = at}, nullptr,
        [=, this] { return groups_.write(inode, at, piece.span(), tags); },
        [pieces](Status status) { pieces->ended(status); });
  });
}

void MemoryVolume::punch_file(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags, Done done) {
  auto pieces = std::make_shared<Pieces>();
  pieces->done = std::move(done);
  for_each_block(offset, length, [&](uint64_t, uint64_t) { pieces->left++; });
  if (pieces->left == 0) {
    step([pieces] { pieces->done(Status::ok()); });
  }
  for_each_block(offset, length, [&](uint64_t at, uint64_t size) {
    carry_out(
        {.call = Call::kPunch, .inode = inode.value, .offset = at}, nullptr,
        [=, this] { return groups_.punch(inode, at, size, tags); },
        [pieces](Status status) { pieces->ended(status); });
  });
}

void MemoryVolume::truncate_file(InodeId inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                                 Done done) {
  SHIMA_CHECK(remove == (fence == kRemovedFence), "removal has its own fence");
  std::vector<bool> asked(groups_.count(), false);
  uint64_t first = from / options_.block_size, last = (upto + options_.block_size - 1) / options_.block_size;
  for (uint64_t block = first; block < last && block < first + 64 * groups_.count(); block++) {
    asked[groups_.group_of(inode, block)] = true;
  }
  if (last > first + 64 * groups_.count()) asked.assign(groups_.count(), true);
  auto pieces = std::make_shared<Pieces>();
  pieces->done = std::move(done);
  pieces->left = static_cast<size_t>(std::count(asked.begin(), asked.end(), true));
  if (pieces->left == 0) {
    step([pieces] { pieces->done(Status::ok()); });
  }
  for (uint32_t group = 0; group < groups_.count(); group++) {
    if (!asked[group]) continue;
    auto truncate = [=, this] {
      groups_.truncate(group, inode, from, fence);
      return Status::ok();
    };
    carry_out({.call = Call::kTruncate, .inode = inode.value, .offset = from}, nullptr, truncate,
              [pieces](Status status) { pieces->ended(status); });
  }
}

void MemoryVolume::inode_data(InodeId inode, InodeDone done) {
  auto sum = std::make_shared<InodeData>();
  auto pieces = std::make_shared<Pieces>();
  pieces->left = groups_.count();
  pieces->done = [sum, done = std::move(done)](Status status) { done(status, *sum); };
  for (uint32_t group = 0; group < groups_.count(); group++) {
    auto ask = [=, this] {
      InodeData data = groups_.inode_data(group, inode);
      sum->fence = std::max(sum->fence, data.fence);
      sum->mtime_ns = std::max(sum->mtime_ns, data.mtime_ns);
      sum->changes += data.changes;
      sum->used_bytes += data.used_bytes;
      sum->volume_used_bytes += data.volume_used_bytes;
      return Status::ok();
    };
    carry_out({.call = Call::kInodeData, .inode = inode.value}, nullptr, ask,
              [pieces](Status status) { pieces->ended(status); });
  }
}

void MemoryVolume::seek_file(InodeId inode, uint64_t offset, uint64_t end, bool hole, SeekDone done) {
  auto found = std::make_shared<std::optional<uint64_t>>();
  auto seek = [=, this] {
    *found = hole ? groups_.seek_hole(inode, offset, end) : groups_.seek_data(inode, offset, end);
    return Status::ok();
  };
  carry_out({.call = Call::kSeek, .inode = inode.value, .offset = offset}, nullptr, seek,
            [found, done = std::move(done)](Status status) { done(status, *found); });
}

void MemoryVolume::refresh_layout(Done done) {
  loop_.post([this, done = std::move(done)] {
    told_size_bytes_ = size_bytes_.load();
    done(Status::ok());
  });
}

VolumeLayout MemoryVolume::layout() const {
  VolumeLayout layout;
  layout.name = options_.name;
  layout.volume = VolumeId(options_.volume_id);
  layout.config_version = ConfigVersion(1);
  layout.home = "memory";
  layout.sites = {"memory"};
  layout.block_size = options_.block_size;
  layout.size_bytes = told_size_bytes_;
  layout.max_inodes = options_.max_inodes;
  layout.life = options_.life;
  layout.groups.resize(options_.data_groups);
  layout.has_metadata = true;
  return layout;
}

// ---- what tests ask for ----

template <typename R>
R MemoryVolume::on_loop(std::function<R()> action) {
  std::promise<R> promise;
  loop_.post([&] { promise.set_value(action()); });
  return promise.get_future().get();
}

void MemoryVolume::inject(Inject inject) {
  on_loop<bool>([&] { return inject_ = std::move(inject), true; });
}

void MemoryVolume::hold(Matches matches) {
  on_loop<bool>([&] { return holds_ = std::move(matches), true; });
}

void MemoryVolume::release() {
  on_loop<bool>([&] {
    holds_ = nullptr;
    for (Held& held : std::exchange(held_, {})) held.go_on();
    return true;
  });
}

size_t MemoryVolume::held() {
  return on_loop<size_t>([&] { return held_.size(); });
}

JobReply MemoryVolume::run_now(const JobRequest& request) {
  return on_loop<JobReply>([&] { return job_now(request); });
}

void MemoryVolume::expire_sessions() {
  on_loop<bool>([&] { return expire_sessions_now(), true; });
}

uint64_t MemoryVolume::used_bytes() {
  return on_loop<uint64_t>([&] { return groups_.used_bytes(); });
}

uint64_t MemoryVolume::used_bytes(InodeId inode) {
  return on_loop<uint64_t>([&] {
    uint64_t used = 0;
    for (uint32_t group = 0; group < groups_.count(); group++) {
      used += groups_.inode_data(group, inode).used_bytes;
    }
    return used;
  });
}

uint64_t MemoryVolume::count(JobRequest::JobCase job) const {
  std::lock_guard lock(mutex_);
  auto it = job_counts_.find(job);
  return it == job_counts_.end() ? 0 : it->second;
}

}  // namespace shima
