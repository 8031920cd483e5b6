#include "common/runtime/event_loop.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <asio/buffer.hpp>

#include "common/runtime/clock.h"
#include "common/runtime/event_loop_asio.h"
#include "common/status/status.h"

namespace shima {

EventLoop::Impl::Impl(std::string thread_name)
    : name(std::move(thread_name)), timer_descriptor(context), wake_descriptor(context) {
  int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  SHIMA_CHECK(fd >= 0, "timerfd_create failed: is the limit of open files too low?");
  timer_descriptor.assign(fd);
  fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  SHIMA_CHECK(fd >= 0, "eventfd failed: is the limit of open files too low?");
  wake_descriptor.assign(fd);
}

void EventLoop::Impl::run() {
  thread_id = std::this_thread::get_id();
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  wait_for_timer();
  wait_for_wake_up();
  bool ran_tasks = false;
  while (!stopping) {
    bool run_tasks = take_posted();
    if (run_tasks) run_batch();
    // Tasks that post tasks without end do not keep sockets and timers waiting.
    if (!run_tasks) context.run_one();
    if (run_tasks && ran_tasks) context.poll_one();
    run_end_of_turn();
    run_flushes();
    ran_tasks = run_tasks;
  }
  shut_down();
}

bool EventLoop::Impl::take_posted() {
  std::lock_guard lock(mutex);
  wants_wake_up = posted.empty();
  batch.swap(posted);
  return !wants_wake_up;
}

void EventLoop::Impl::run_batch() {
  for (Task& task : batch) {
    task();
    task = Task();  // what it owns goes before the next one runs
    run_end_of_turn();
  }
  batch.clear();
}

void EventLoop::Impl::run_end_of_turn() {
  // A task may ask for another one: by index, since the vector may grow.
  for (size_t i = 0; i < end_of_turn.size(); i++) {
    Task task = std::move(end_of_turn[i]);
    task();
  }
  end_of_turn.clear();
}

void EventLoop::Impl::before_next_wait(Task task) {
  check_thread();
  to_flush.push_back(std::move(task));
}

void EventLoop::Impl::run_flushes() {
  for (size_t i = 0; i < to_flush.size(); i++) {
    Task task = std::move(to_flush[i]);
    task();
    run_end_of_turn();
  }
  to_flush.clear();
}

void EventLoop::Impl::run_due_timers() {
  uint64_t now = real_clock().now_us();
  while (!timers.empty() && timers.begin()->first.first <= now) {
    auto node = timers.extract(timers.begin());
    deadlines.erase(node.key().second);
    node.mapped()();
    run_end_of_turn();
  }
}

void EventLoop::Impl::arm_timer() {
  if (!timer_descriptor.is_open()) return;  // the loop is shutting down: no timer runs any more
  if (timers.empty()) return;  // a superfluous wake-up is cheaper than a system call for each cancel()
  uint64_t deadline = timers.begin()->first.first;
  if (armed_for_us != 0 && armed_for_us <= deadline) return;
  armed_for_us = deadline;
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(deadline / 1'000'000);
  when.it_value.tv_nsec = static_cast<long>(deadline % 1'000'000) * 1000 + 1;  // 0 would disarm
  int rc = timerfd_settime(timer_descriptor.native_handle(), TFD_TIMER_ABSTIME, &when, nullptr);
  SHIMA_CHECK(rc == 0, "timerfd_settime failed");
}

void EventLoop::Impl::wait_for_timer() {
  timer_descriptor.async_read_some(asio::buffer(&expirations, sizeof expirations),
                                   [this](const asio::error_code& error, size_t) {
                                     if (error || !timer_descriptor.is_open()) return;
                                     armed_for_us = 0;
                                     run_due_timers();
                                     arm_timer();
                                     wait_for_timer();
                                   });
}

void EventLoop::Impl::wait_for_wake_up() {
  wake_descriptor.async_read_some(asio::buffer(&wake_ups, sizeof wake_ups),
                                  [this](const asio::error_code& error, size_t) {
                                    if (!error) wait_for_wake_up();
                                  });
}

void EventLoop::Impl::shut_down() {
  while (!stop_tasks.empty()) {
    auto node = stop_tasks.extract(stop_tasks.begin());
    node.mapped()();
  }
  run_end_of_turn();
  run_flushes();
  timer_descriptor.close();
  work.reset();
  std::vector<Task> left;
  {
    std::lock_guard lock(mutex);
    accepts = false;
    left.swap(posted);
  }
  asio::error_code ignored;
  wake_descriptor.cancel(ignored);  // not closed: who posts right now may still write to it
  context.poll();  // handlers of closed sockets run with "aborted" and let go of what they hold
  run_end_of_turn();
  run_flushes();
  left.clear();
  timers.clear();
  deadlines.clear();
}

void EventLoop::Impl::check_thread() const {
  SHIMA_CHECK(!running || thread_id.load() == std::this_thread::get_id(),
              "a call that is only for the event loop's own thread came from another");
}

EventLoop::EventLoop(std::string name) : impl_(std::make_shared<Impl>(std::move(name))) {}

EventLoop::~EventLoop() {
  stop();
  if (impl_->thread_id.load() == std::thread::id()) impl_->shut_down();  // never started
}

void EventLoop::start() {
  SHIMA_CHECK(!impl_->running && !impl_->stopping, "an event loop is started once");
  impl_->running = true;
  impl_->arm_timer();
  impl_->thread = std::thread([impl = impl_] { impl->run(); });
}

void EventLoop::stop() {
  if (!impl_->thread.joinable()) return;
  SHIMA_CHECK(!on_loop_thread(), "an event loop cannot wait for its own end");
  post([impl = impl_.get()] { impl->stopping = true; });
  impl_->thread.join();
  impl_->running = false;
}

void EventLoop::post(Task task) {
  bool wake_up = false;
  {
    std::lock_guard lock(impl_->mutex);
    if (!impl_->accepts) return;
    impl_->posted.push_back(std::move(task));
    wake_up = std::exchange(impl_->wants_wake_up, false);
  }
  // The loop itself looks for tasks before it waits.
  if (wake_up && !on_loop_thread()) eventfd_write(impl_->wake_descriptor.native_handle(), 1);
}

void EventLoop::at_end_of_turn(Task task) {
  impl_->check_thread();
  impl_->end_of_turn.push_back(std::move(task));
}

EventLoop::TimerId EventLoop::after(uint64_t delay_ms, Task task) {
  impl_->check_thread();
  TimerId id = ++impl_->last_id;
  uint64_t deadline = now_us() + delay_ms * 1000;
  impl_->timers.emplace(std::pair(deadline, id), std::move(task));
  impl_->deadlines.emplace(id, deadline);
  impl_->arm_timer();
  return id;
}

void EventLoop::cancel(TimerId timer) {
  impl_->check_thread();
  auto it = impl_->deadlines.find(timer);
  if (it == impl_->deadlines.end()) return;
  impl_->timers.erase({it->second, timer});
  impl_->deadlines.erase(it);
}

EventLoop::TimerId EventLoop::at_stop(Task task) {
  impl_->check_thread();
  TimerId id = ++impl_->last_id;
  impl_->stop_tasks.emplace(id, std::move(task));
  return id;
}

void EventLoop::forget_at_stop(TimerId id) {
  impl_->check_thread();
  impl_->stop_tasks.erase(id);
}

bool EventLoop::on_loop_thread() const { return impl_->thread_id.load() == std::this_thread::get_id(); }
uint64_t EventLoop::now_ms() const { return real_clock().now_ms(); }
uint64_t EventLoop::now_us() const { return real_clock().now_us(); }

}  // namespace shima
