#include "accessserver/fileops/append_queue.h"

#include <algorithm>
#include <cerrno>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

constexpr uint64_t kToTheEnd = (1ull << 63) - 1;
constexpr uint64_t kMaxPauseMs = 20;

}  // namespace

void AppendQueue::append(FileChange change, FileChanger::Done done) {
  uint64_t inode = change.inode;
  queues_[inode].waiting.push_back({std::move(change), std::move(done)});
  go_on(inode);
}

void AppendQueue::go_on(uint64_t inode) {
  auto it = queues_.find(inode);
  if (it == queues_.end()) return;
  Queue& queue = it->second;
  if (queue.running || queue.lock == Lock::kAsking || queue.lock == Lock::kGivingUp) return;
  if (queue.lock == Lock::kNone) {
    if (queue.waiting.empty()) {
      queues_.erase(it);
    } else {
      ask_for_lock(inode, false);
    }
    return;
  }
  if (!sessions_.trusted()) {  // the lock may be somebody else's by now
    ask_for_lock(inode, true);
    return fail_all(inode, EIO);
  }
  bool long_enough = context_.now_ms() - queue.held_since_ms >= context_.options().append_lock_max_ms;
  if (long_enough) return ask_for_lock(inode, true);
  if (queue.waiting.empty()) return wait_idle(inode, queue);
  run_first(inode, queue);
}

void AppendQueue::run_first(uint64_t inode, Queue& queue) {
  Append append = std::move(queue.waiting.front());
  queue.waiting.pop_front();
  queue.running = true;
  queue.idle_turn++;
  changer_.change(std::move(append.change), [this, inode, done = std::move(append.done)](FileWritten result) {
    auto it = queues_.find(inode);
    if (it != queues_.end()) it->second.running = false;
    done(std::move(result));
    go_on(inode);
  });
}

void AppendQueue::wait_idle(uint64_t inode, Queue& queue) {
  context_.after(context_.options().append_lock_keep_ms, [this, inode, turn = ++queue.idle_turn] {
    auto it = queues_.find(inode);
    if (it == queues_.end() || it->second.idle_turn != turn || it->second.lock != Lock::kHeld) return;
    ask_for_lock(inode, true);
  });
}

void AppendQueue::ask_for_lock(uint64_t inode, bool unlock) {
  queues_[inode].lock = unlock ? Lock::kGivingUp : Lock::kAsking;
  JobRequest request;
  auto& lock = *request.mutable_set_lock()->mutable_lock();
  lock.set_inode(inode);
  lock.set_kind(metadata::v1::LOCK_KIND_APPEND);
  lock.set_type(unlock ? metadata::v1::LOCK_TYPE_UNLOCK : metadata::v1::LOCK_TYPE_WRITE);
  lock.set_end(kToTheEnd);
  lock.set_session(context_.session());
  lock.set_owner(1);
  context_.job(std::move(request),
               [this, inode, unlock, session = context_.session()](const JobReply& reply) {
                 if (unlock) return unlocked(inode);
                 if (reply.error() == ENOTCONN) sessions_.lost(session);
                 lock_answered(inode, session, reply.error());
               });
}

void AppendQueue::lock_answered(uint64_t inode, uint64_t session, int error) {
  Queue& queue = queues_[inode];
  if (error == ENOTCONN || session != context_.session()) {
    queue.lock = Lock::kNone;
    sessions_.when_open([this, inode](int open_error) {
      if (open_error != 0) return fail_all(inode, open_error);
      go_on(inode);
    });
    return;
  }
  if (error == EAGAIN) {
    queue.pause_ms = std::clamp<uint64_t>(queue.pause_ms * 2, 1, kMaxPauseMs);
    context_.after(queue.pause_ms, [this, inode] { ask_for_lock(inode, false); });
    return;
  }
  queue.pause_ms = 0;
  if (error != 0) {
    // An answer that was lost may have been a yes.
    ask_for_lock(inode, true);
    return fail_all(inode, error);
  }
  queue.lock = Lock::kHeld;
  queue.held_since_ms = context_.now_ms();
  go_on(inode);
}

void AppendQueue::unlocked(uint64_t inode) {
  Queue& queue = queues_[inode];
  queue.lock = Lock::kNone;
  if (queue.waiting.empty()) return go_on(inode);
  // Others get a chance.
  queue.lock = Lock::kAsking;
  context_.after(1, [this, inode] { ask_for_lock(inode, false); });
}

void AppendQueue::fail_all(uint64_t inode, int error) {
  auto it = queues_.find(inode);
  if (it == queues_.end()) return;
  for (Append& append : std::exchange(it->second.waiting, {})) {
    FileWritten failed;
    failed.error = error;
    append.done(std::move(failed));
  }
}

void AppendQueue::session_lost() {
  for (auto& [inode, queue] : queues_) {
    if (queue.lock == Lock::kHeld) queue.lock = Lock::kNone;
  }
}

}  // namespace shima
