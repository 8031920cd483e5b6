#include "accessserver/fileops/session_locks.h"

#include <algorithm>
#include <cerrno>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;
using metadata::v1::LockRange;

namespace {

constexpr uint64_t kToTheEnd = (1ull << 63) - 1;

bool unlocks_all(const LockRange& lock) {
  return lock.type() == metadata::v1::LOCK_TYPE_UNLOCK && lock.start() == 0 && lock.end() >= kToTheEnd;
}

}  // namespace

void SessionLocks::set_lock(uint64_t ticket, LockRange lock, bool wait, FileContext::ErrorDone done) {
  waits_[ticket] = {.lock = std::move(lock),
                    .done = std::move(done),
                    .pause_ms = wait ? std::max(context_.options().lock_retry_min_ms, 1u) : 0};
  ask(ticket);
}

void SessionLocks::ask(uint64_t ticket) {
  auto it = waits_.find(ticket);
  if (it == waits_.end()) return;
  if (it->second.given_up != 0) return end(ticket, it->second.given_up);
  JobRequest request;
  *request.mutable_set_lock()->mutable_lock() = it->second.lock;
  if (int error = prepare(request)) return end(ticket, error);
  bool wait = it->second.pause_ms != 0 && it->second.lock.type() != metadata::v1::LOCK_TYPE_UNLOCK;
  it->second.asking = true;
  if (wait) circles_.asks(ticket, request.set_lock().lock());
  context_.job(request, [this, ticket, wait, request](const JobReply& reply) {
    answered(ticket, wait, request, reply);
  });
}

void SessionLocks::answered(uint64_t ticket, bool wait, const JobRequest& request, const JobReply& reply) {
  note(request, reply);
  Wait& waiting = waits_.at(ticket);
  waiting.asking = false;
  bool unlock = request.set_lock().lock().type() == metadata::v1::LOCK_TYPE_UNLOCK;
  if (reply.error() == ENOTCONN) return end(ticket, unlock ? 0 : ENOLCK);
  if (reply.error() != EAGAIN || !wait) return end(ticket, reply.error());
  if (waiting.given_up != 0) return end(ticket, waiting.given_up);
  context_.after(waiting.pause_ms, [this, ticket] { ask(ticket); });
  waiting.pause_ms = std::min<uint64_t>(waiting.pause_ms * 2, context_.options().lock_retry_max_ms);
  circles_.refused(ticket, reply.conflict());
  if (auto youngest = circles_.circle_through(ticket)) give_up(*youngest, EDEADLK);
}

void SessionLocks::cancel(uint64_t ticket) { give_up(ticket, EINTR); }

void SessionLocks::give_up(uint64_t ticket, int error) {
  auto it = waits_.find(ticket);
  if (it == waits_.end() || it->second.given_up != 0) return;
  it->second.given_up = error;
  circles_.end(ticket);
  // One that is being asked for may just be granted: its answer decides.
  if (!it->second.asking) end(ticket, error);
}

void SessionLocks::end(uint64_t ticket, int error) {
  circles_.end(ticket);
  auto ended = waits_.extract(ticket);
  ended.mapped().done(error);
}

int SessionLocks::prepare(JobRequest& request) const {
  if (request.has_test_lock()) request.mutable_test_lock()->mutable_lock()->set_session(context_.session());
  if (request.has_release_locks()) request.mutable_release_locks()->set_session(context_.session());
  if (!request.has_set_lock()) return 0;
  LockRange& lock = *request.mutable_set_lock()->mutable_lock();
  lock.set_session(context_.session());
  if (lock.kind() == metadata::v1::LOCK_KIND_APPEND) return EINVAL;  // internal
  auto it = holders_.find(lock.inode());
  bool lost = it != holders_.end() && it->second.lost.contains({lock.kind(), lock.owner()});
  return lost && lock.type() != metadata::v1::LOCK_TYPE_UNLOCK ? ENOLCK : 0;
}

void SessionLocks::note(const JobRequest& request, const JobReply& reply) {
  if (request.has_release_locks()) {
    const auto& release = request.release_locks();
    if (reply.error() == 0 || reply.error() == ESTALE) {
      forget(release.inode(), {release.kind(), release.owner()});
    }
    return;
  }
  if (!request.has_set_lock()) return;
  const LockRange& lock = request.set_lock().lock();
  Owner owner(lock.kind(), lock.owner());
  if (reply.error() == ENOTCONN) sessions_.lost(lock.session());
  if (unlocks_all(lock)) return forget(lock.inode(), owner);
  // An answer that was lost may have been a yes.
  bool may_have_it = reply.error() == 0 || reply.error() == EIO || reply.error() == ETIMEDOUT;
  if (lock.type() == metadata::v1::LOCK_TYPE_UNLOCK || !may_have_it) return;
  Holders& holders = holders_[lock.inode()];
  (lock.session() == context_.session() ? holders.holding : holders.lost).insert(owner);
}

void SessionLocks::forget(uint64_t inode, Owner owner) {
  auto it = holders_.find(inode);
  if (it == holders_.end()) return;
  it->second.holding.erase(owner);
  it->second.lost.erase(owner);
  if (it->second.holding.empty() && it->second.lost.empty()) holders_.erase(it);
}

int SessionLocks::check_write(uint64_t inode) const {
  auto it = holders_.find(inode);
  if (it == holders_.end()) return 0;
  return !it->second.lost.empty() || !sessions_.trusted() ? EIO : 0;
}

void SessionLocks::session_lost() {
  for (auto& [inode, holders] : holders_) {
    holders.lost.merge(holders.holding);
    holders.holding.clear();
  }
}

}  // namespace shima
