#include "accessserver/nfs/rpc/rpc_loop.h"

#include "accessserver/nfs/rpc/rpc_connection.h"

namespace shima {

void RpcServerState::call_began() { calls_in_work_.fetch_add(1, std::memory_order_relaxed); }

void RpcServerState::call_ended() {
  if (calls_in_work_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::lock_guard lock(mutex_);  // the waiter is either before its test, or asleep
  ended_.notify_all();
}

void RpcServerState::wait_for_calls() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return calls_in_work_.load(std::memory_order_acquire) == 0; });
}

RpcLoop::RpcLoop(EventLoop& loop, std::shared_ptr<RpcServerState> server)
    : loop_(loop), server_(std::move(server)), scratch_(new uint8_t[kScratchBytes]) {}

void RpcLoop::put(Finished finished) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    first = finished_.empty();
    finished_.push_back(std::move(finished));
  }
  if (first) loop_.post([self = shared_from_this()] { self->deliver(); });
}

void RpcLoop::deliver() {
  std::vector<Finished> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(finished_);
  }
  for (Finished& one : batch) one.connection->settle(std::move(one.reply), one.charged);
}

void RpcLoop::begin() {
  stop_hook_ = loop_.at_stop([self = shared_from_this()] { self->stop_hook_ = 0, self->end(); });
}

void RpcLoop::end() {
  if (stop_hook_) loop_.forget_at_stop(std::exchange(stop_hook_, 0));
  std::vector<Finished> left;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    left.swap(finished_);
  }
  while (!connections_.empty()) {
    std::shared_ptr<RpcConnection> connection = connections_.begin()->second;
    connection->close();
  }
}

void RpcLoop::add(std::shared_ptr<RpcConnection> connection) {
  RpcConnection* key = connection.get();
  connections_.emplace(key, std::move(connection));
}

}  // namespace shima
