// Jobs at the primary of a metadata group (Jobcast): read the KV as it is with everything in the log, yield a
// reply and a batch; the batch is a record like any other, with the reply in it, so that a repeated request
// gets the same reply (R20).
#include <ctime>

#include "common/observe/log.h"
#include "common/types/block_routing.h"
#include "common/types/byte_order.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"

namespace shima {

using namespace replication;

namespace {

constexpr uint64_t kCheckSessionsMs = 1000;
constexpr size_t kForgetAtOnce = 256;  // stored replies a batch
constexpr int64_t kRetriesNs =
    300'000'000'000;                        // for so long a client's request is known; longer than a failover
constexpr size_t kForgetRetriesAtOnce = 8;  // a batch; more than one, so that they become fewer

std::string reply_key(ClientId client, RequestId request) {
  std::string key = "r";
  append_big_endian<uint64_t>(key, client.value);
  append_big_endian<uint64_t>(key, request.value);
  return key;
}

// A client's own request, and the kind of job: one request may need several.
std::string retry_suffix(const metadata::v1::JobRequest& job) {
  std::string suffix;
  append_big_endian<uint64_t>(suffix, job.retry_key());
  append_big_endian<uint32_t>(suffix, static_cast<uint32_t>(job.job_case()));
  return suffix;
}

std::string time_prefix(int64_t ns) {
  std::string key = "t";
  append_big_endian<uint64_t>(key, static_cast<uint64_t>(ns));
  return key;
}

// A client that may only read keeps a session nevertheless, and locks.
bool changes_volume(const metadata::v1::JobRequest& job) {
  using Job = metadata::v1::JobRequest;
  switch (job.job_case()) {
    case Job::kOpenSession:
    case Job::kKeepAlive:
    case Job::kCloseSession:
    case Job::kSetLock:
    case Job::kReleaseLocks:
      return false;
    default:
      return job_changes(job);
  }
}

std::string answer_bytes(const metadata::v1::JobReply& reply) { return reply.SerializeAsString(); }

}  // namespace

// Never goes back while this process lives; jobs take care of what came before.
int64_t GroupDriver::wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t ns = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  return last_wall_ns_ = std::max(ns, last_wall_ns_ + 1);
}

void GroupDriver::run_job(JobCall call) {
  if (!metadata_) {
    return call.done(Status(Code::kInvalidArgument, "group " + to_string(id()) + " is no metadata group"), "",
                     {});
  }
  if (Status why = refusal_to_read(); !why.is_ok()) return call.done(why, "", {});
  if (Status why = refusal_of(*call.who, changes_volume(call.job)); !why.is_ok())
    return call.done(why, "", {});
  if (!close_fenced_sessions()) {
    return call.done(
        Status(Code::kUnavailable, "the sessions of clients that were fenced are being closed; retry"), "",
        {});
  }
  if (call.job.has_open_session()) access_->bind(*call.who, *call.job.mutable_open_session());
  if (job_changes(call.job)) return change_by_job(std::move(call));
  if (std::min(fenced_sessions_closed_, core_.log().last()) >
      core_.visible()) {  // a lock that is free already must not show
    return after_commit([self = shared_from_this(), call = std::move(call)](bool committed) mutable {
      if (committed) return self->run_job(std::move(call));
      call.done(Status(Code::kUnavailable, "the group's primary has changed"), "", {});
    });
  }
  auto view = pending_.view(env_.disk->blocks().kv(), id(), core_.visible());
  JobOutcome outcome = shima::run_job({*view, wall_clock_ns(), max_inodes_, &sessions_}, call.job);
  if (Status read = view->status(); !read.is_ok()) return call.done(read, "", {});
  call.done(Status::ok(), answer_bytes(outcome.reply), core_.visible());
}

void GroupDriver::change_by_job(JobCall call) {
  RequestWindow::Answer known = core_.window().find(call.client, call.request, call.known_sequence);
  bool is_new = known.verdict == RequestWindow::Verdict::kNew && call.client && call.request;
  if (!is_new) {  // the core knows what to say; if it was executed, the reply is in the KV
    ClientWrite write;
    write.token = next_token_++;
    write.client = call.client;
    write.request = call.request;
    write.settled_below = call.settled_below;
    write.known_sequence = call.known_sequence;
    write.kind = RecordKind::kBatch;
    return repeat_reply(std::move(call), write.token, write);
  }
  if (!has_room())
    return call.done(Status(Code::kUnavailable, "too many jobs wait to be committed; retry"), "", {});
  auto view = pending_.view(env_.disk->blocks().kv(), id(), core_.log().last());
  JobOutcome outcome;
  std::optional<std::string> before;
  if (call.job.retry_key()) before = view->get("R" + retry_suffix(call.job));
  if (!before) outcome = shima::run_job({*view, wall_clock_ns(), max_inodes_, &sessions_}, call.job);
  if (Status read = view->status(); !read.is_ok()) return call.done(read, "", {});
  std::string reply = before ? *before : answer_bytes(outcome.reply);
  if (outcome.batch.empty()) {  // R1: what it read must be committed before anybody hears of it
    return after_commit([self = shared_from_this(), call = std::move(call), reply](bool committed) {
      if (committed) return call.done(Status::ok(), reply, self->core_.visible());
      call.done(Status(Code::kUnavailable, "the group's primary has changed"), "", {});
    });
  }
  if (call.job.retry_key()) remember_for_retries(call.job, reply, *view, outcome.batch);
  forget_settled(call.client, call.settled_below, *view, outcome.batch);
  outcome.batch.push_back({reply_key(call.client, call.request), reply});
  append_batch(std::move(outcome.batch), call.client, call.request, call.settled_below, call.known_sequence,
               [done = std::move(call.done), reply](Status status, Position position) {
                 done(status, status.is_ok() ? reply : "", position.sequence);
               });
}

void GroupDriver::repeat_reply(JobCall call, uint64_t token, const ClientWrite& write) {
  std::string key = reply_key(call.client, call.request);
  waiting_[token] = [self = shared_from_this(), done = std::move(call.done), key](Status status,
                                                                                  Position position) {
    if (!status.is_ok()) return done(status, "", position.sequence);
    auto view = self->pending_.view(self->env_.disk->blocks().kv(), self->id(), self->core_.visible());
    auto reply = view->get(key);
    if (Status read = view->status(); !read.is_ok()) return done(read, "", {});
    if (!reply)
      return done(Status(Code::kRequestTooOld, "the job was run, but its reply is forgotten"), "", {});
    done(Status::ok(), *reply, position.sequence);
  };
  step(write);
}

void GroupDriver::append_batch(KvBatch batch, ClientId client, RequestId request, RequestId settled_below,
                               Sequence known_sequence, std::function<void(Status, Position)> done) {
  std::string bytes = encode_kv_batch(batch);
  if (bytes.size() > kMaxBlockSize)
    return done(Status(Code::kInvalidArgument, "a job's changes are too many for one record"), {});
  ClientWrite write;
  write.token = next_token_++;
  write.client = client;
  write.request = request;
  write.settled_below = settled_below;
  write.known_sequence = known_sequence;
  write.kind = RecordKind::kBatch;
  write.payload = Buffer::copy_of(bytes);
  write.length = static_cast<uint32_t>(bytes.size());
  write.checksums = chunk_checksums(write.payload.span());
  waiting_[write.token] = std::move(done);
  step(write);
}

// A client's request that another access server may be asked again (its TCP connection broke): the reply
// stays for some minutes. Old ones go with the next batches, oldest first.
void GroupDriver::remember_for_retries(const metadata::v1::JobRequest& job, const std::string& reply,
                                       const KvView& view, KvBatch& batch) {
  const std::string suffix = retry_suffix(job);
  batch.push_back({"R" + suffix, reply});
  batch.push_back({time_prefix(last_wall_ns_) + suffix, ""});
  const std::string end = time_prefix(last_wall_ns_ - kRetriesNs);
  size_t found = 0;
  view.scan("t", retries_forgotten_upto_, [&](std::string_view key, std::string_view) {
    if (key >= end || ++found > kForgetRetriesAtOnce) return false;
    retries_forgotten_upto_ = key;  // the next scan need not pass what this one deletes
    batch.push_back({std::string(key), std::nullopt});
    batch.push_back({"R" + std::string(key.substr(end.size())), std::nullopt});
    return true;
  });
}

// Replies that the client will never ask for again go with its next change.
void GroupDriver::forget_settled(ClientId client, RequestId settled_below, const KvView& view,
                                 KvBatch& batch) {
  RequestId& from = forgotten_below_[client];
  if (settled_below <= from) return;
  size_t found = 0;
  std::string prefix = reply_key(client, RequestId()).substr(0, 9), end = reply_key(client, settled_below);
  view.scan(prefix, reply_key(client, from), [&](std::string_view key, std::string_view) {
    if (key >= end || ++found > kForgetAtOnce) return false;
    batch.push_back({std::string(key), std::nullopt});
    return true;
  });
  if (found <= kForgetAtOnce) from = settled_below;
  if (forgotten_below_.size() > RequestWindow::kMaxClients) forgotten_below_.erase(forgotten_below_.begin());
}

// R21: what a session held goes when it was silent for too long.
void GroupDriver::end_silent_sessions() {
  uint64_t now = env_.loop->now_ms();
  if (!refusal_to_read().is_ok() || !has_room()) return sessions_.deaf();  // whoever spoke was not heard
  if (now - sessions_checked_ms_ < kCheckSessionsMs) return;
  sessions_checked_ms_ = now;
  auto view = pending_.view(env_.disk->blocks().kv(), id(), core_.log().last());
  // Grace is counted by the suspend-aware clock: a wall clock that is set must end nobody.
  auto now_ns = static_cast<int64_t>(now) * 1'000'000;
  for (uint64_t session : sessions_.expired(*view, now_ns)) {
    KvBatch batch = end_session(*view, session);
    if (!view->status().is_ok()) return;
    sessions_.forget(session);
    log(LogLevel::kWarning, "session",
        "volume " + volume_ + ": session " + std::to_string(session) +
            " was not heard of for 20 s: its locks are freed");
    if (batch.empty()) continue;
    append_own_batch(std::move(batch));
    return;  // the next one sees what this one changed
  }
}

void GroupDriver::append_own_batch(KvBatch batch) {
  ClientId self(mix64(mix64(env_.self.value) ^ env_.incarnation.value) | 1);
  own_request_ = own_request_.next();
  append_batch(std::move(batch), self, own_request_, own_request_, core_.log().last(),
               [](Status, Position) {});
}

// R20: sessions of clients that may not use the volume any more end, with their locks, before anybody's next
// job. False: not yet. Once it has its place in the log, all that is asked for later comes after it.
bool GroupDriver::close_fenced_sessions() {
  if (!fenced_sessions_due_) return true;
  if (!access_ || !refusal_to_read().is_ok()) return false;
  metadata::v1::JobRequest request;
  *request.mutable_close_fenced() = access_->admitted();
  for (;;) {
    const Sequence last = core_.log().last();
    auto view = pending_.view(env_.disk->blocks().kv(), id(), last);
    JobOutcome outcome =
        shima::run_job({*view, wall_clock_ns(), max_inodes_, &sessions_, /*own=*/true}, request);
    if (outcome.reply.error() != 0) return false;  // the jobs that wait for this say why
    if (outcome.batch.empty()) {
      fenced_sessions_due_ = false;
      return true;
    }
    if (!has_room()) return false;
    log(LogLevel::kWarning, "session",
        "volume " + volume_ + ": fenced, their locks are freed: " + outcome.reply.message());
    append_own_batch(std::move(outcome.batch));
    if (core_.log().last() == last) return false;
    fenced_sessions_closed_ = core_.log().last();
  }
}

}  // namespace shima
