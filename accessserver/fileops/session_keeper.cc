#include "accessserver/fileops/session_keeper.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <random>
#include <string>
#include <utility>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

constexpr uint64_t kMaxRetryMs = 1000;
constexpr int kMaxAnswersThatTold = 2;

uint64_t random_session() {
  std::random_device device;
  uint64_t session = 0;
  while (session == 0) session = (uint64_t{device()} << 32) | device();
  return session;
}

}  // namespace

void SessionKeeper::start() { open(); }

void SessionKeeper::open() {
  opening_ = true;
  // Always a new number: the outcome of the try before may be unknown.
  context_.set_session(random_session());
  JobRequest request;
  request.mutable_open_session()->set_session(context_.session());
  request.mutable_open_session()->set_name(context_.options().session_name);
  context_.job(std::move(request), [this, sent_ms = context_.now_ms()](const JobReply& reply) {
    opened_session(sent_ms, reply);
  });
}

void SessionKeeper::opened_session(uint64_t sent_ms, const JobReply& reply) {
  opening_ = false;
  if (context_.fenced()) return tell_waiting(context_.options().fenced_errno);
  if (reply.error() != 0) {
    log(LogLevel::kWarning, "fileops",
        "cannot open a session at volume " + context_.first_layout().name + ": " + reply.message() +
            "; trying again");
    // Who can wait asks again.
    tell_waiting(reply.error() == ETIMEDOUT ? ETIMEDOUT : EIO);
    if (context_.closing()) return;
    context_.after(std::min<uint64_t>(context_.options().keep_alive_ms, kMaxRetryMs), [this] {
      if (!open_ && !opening_ && !context_.closing()) open();
    });
    return;
  }
  open_ = true;
  alive_ms_ = sent_ms;
  orphans_seen_ = 0;
  hear_of(reply);
  tell_waiting(0);
  // What the last session held is held by this one too, if it is still there.
  schedule(orphans_.empty() ? context_.options().keep_alive_ms : 0);
}

void SessionKeeper::when_open(FileContext::ErrorDone task) {
  if (context_.fenced()) return task(context_.options().fenced_errno);
  if (open_) return task(0);
  waiting_.push_back(std::move(task));
}

void SessionKeeper::tell_waiting(int error) {
  for (auto& task : std::exchange(waiting_, {})) task(error);
}

void SessionKeeper::schedule(uint64_t delay_ms) {
  context_.after(delay_ms, [this, turn = ++turn_] {
    if (turn == turn_ && open_ && !context_.closing()) keep_alive();
  });
}

void SessionKeeper::keep_alive() {
  if (asking_session_ == context_.session()) {
    again_ = true;
    return;
  }
  asking_session_ = context_.session();
  again_ = false;
  std::ranges::move(std::exchange(to_answer_, {}), std::back_inserter(being_answered_));
  JobRequest request;
  auto& keep_alive = *request.mutable_keep_alive();
  keep_alive.set_session(context_.session());
  keep_alive.set_orphans_seen(orphans_seen_);
  // A file may have been opened since we were told that it is an orphan.
  std::erase_if(orphans_, [this](uint64_t inode) { return !open_files_.contains(inode); });
  for (uint64_t inode : orphans_) keep_alive.add_holds(inode);
  context_.job(std::move(request), [this, sent_ms = context_.now_ms(), session = context_.session()](
                                       const JobReply& reply) { kept_alive(sent_ms, session, reply); });
}

void SessionKeeper::kept_alive(uint64_t sent_ms, uint64_t session, const JobReply& reply) {
  if (session != context_.session()) return;
  asking_session_ = 0;
  if (context_.fenced()) {
    std::ranges::move(std::exchange(to_answer_, {}), std::back_inserter(being_answered_));
    return tell_answered(context_.options().fenced_errno);
  }
  if (reply.error() == ESTALE) return lost(session);
  if (reply.error() != 0) {
    tell_answered(reply.error());
    return schedule(std::min<uint64_t>(context_.options().keep_alive_ms, kMaxRetryMs));
  }
  alive_ms_ = std::max(alive_ms_, sent_ms);
  // An answer is awaited before the data of an orphan can go.
  const bool told = hear_of(reply);
  schedule(told || again_ || !to_answer_.empty() ? 0 : context_.options().keep_alive_ms);
  // While others delete files, each answer may tell of more orphans: whoever waits does not wait for their
  // end.
  if (!told || ++answers_that_told_ >= kMaxAnswersThatTold) tell_answered(0);
}

void SessionKeeper::tell_answered(int error) {
  answers_that_told_ = 0;
  for (auto& done : std::exchange(being_answered_, {})) done(error);
}

bool SessionKeeper::hear_of(const JobReply& reply) {
  for (const auto& orphan : reply.orphans()) {
    orphans_seen_ = std::max(orphans_seen_, orphan.number());
    orphans_.insert(orphan.inode());
  }
  return reply.orphans_size() > 0;
}

void SessionKeeper::answer_for(uint64_t inode, FileContext::ErrorDone done) {
  if (!open_ || context_.closing()) return done(EIO);
  orphans_.insert(inode);
  to_answer_.push_back(std::move(done));
  schedule(0);
}

void SessionKeeper::closed(uint64_t inode) {
  auto it = open_files_.find(inode);
  if (it == open_files_.end()) return;
  if (--it->second > 0) return;
  open_files_.erase(it);
  if (orphans_.erase(inode) > 0 && open_ && !context_.closing()) schedule(0);
}

void SessionKeeper::lost(uint64_t session) {
  if (session != context_.session() || !open_) return;
  open_ = false;
  asking_session_ = 0;
  std::ranges::move(std::exchange(to_answer_, {}), std::back_inserter(being_answered_));
  tell_answered(EIO);
  lost_sessions_++;
  log(LogLevel::kError, "fileops",
      "volume " + context_.first_layout().name +
          ": the session was given up by the volume (not heard of for 20 s): "
          "locks are lost, files that were deleted while open may be; opening a new one");
  for (const auto& listener : listeners_) listener();
  if (!context_.closing()) open();
}

bool SessionKeeper::trusted() const {
  return open_ && context_.now_ms() - alive_ms_ <= context_.options().self_fence_after_ms;
}

void SessionKeeper::close(std::function<void()> done) {
  if (!open_) return done();
  open_ = false;
  std::ranges::move(std::exchange(to_answer_, {}), std::back_inserter(being_answered_));
  tell_answered(EIO);
  JobRequest request;
  request.mutable_close_session()->set_session(context_.session());
  context_.job(std::move(request), [done = std::move(done)](const JobReply&) { done(); });
}

}  // namespace shima
