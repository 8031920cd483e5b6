#include "cli/in_flight.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace shima {
namespace {
constexpr auto kTick = std::chrono::milliseconds(100);
}

struct InFlight::State {
  std::mutex mutex;
  std::condition_variable changed;
  size_t count = 0;
  Status first_error;
};

InFlight::InFlight(size_t limit, std::function<void()> tick)
    : state_(std::make_shared<State>()), limit_(limit), tick_(std::move(tick)) {}

bool InFlight::enter() {
  std::unique_lock lock(state_->mutex);
  while (state_->first_error.is_ok() && state_->count >= limit_) {
    state_->changed.wait_for(lock, kTick);
    lock.unlock();
    tick_();
    lock.lock();
  }
  if (!state_->first_error.is_ok()) return false;
  ++state_->count;
  return true;
}

IoDone InFlight::done(std::function<void()> after) {
  return [state = state_, after = std::move(after)](Status status) {
    if (status.is_ok()) after();
    std::lock_guard lock(state->mutex);
    --state->count;
    if (!status.is_ok() && state->first_error.is_ok()) state->first_error = std::move(status);
    state->changed.notify_all();
  };
}

Status InFlight::wait_all() {
  std::unique_lock lock(state_->mutex);
  while (state_->count > 0) {
    state_->changed.wait_for(lock, kTick);
    lock.unlock();
    tick_();
    lock.lock();
  }
  return state_->first_error;
}

}  // namespace shima
