// EventLoop: one thread that runs posted tasks, timers and the sockets of common/transport, one at a time.
//
// What lives on a loop (connections, a shard's replica groups) needs no lock: it is touched on the loop's
// thread only. Threads: post(), on_loop_thread() and the clock from any thread; after(), cancel(),
// at_end_of_turn() and at_stop() on the loop's thread, or from anywhere while the loop is not running. Tasks
// must not block and must not throw. Order: tasks posted by one thread run in the order of its posts.
// Lifetime: stop() runs what was posted before it, closes the loop's connections and listeners and joins the
// thread; a task posted later is destroyed without being run. A loop is started once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/runtime/task.h"

namespace shima {

class EventLoop {
 public:
  using TimerId = uint64_t;  // never 0, never reused

  explicit EventLoop(std::string name);  // the thread's name, cut to 15 bytes
  ~EventLoop();                          // stop()
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void start();
  void stop();  // not from the loop's own thread; a second call does nothing

  void post(Task task);
  // Runs the task after the event (task, timer, read) that is being handled, before the next one: how many
  // small sends become one system call.
  void at_end_of_turn(Task task);

  // Runs the task once, no earlier than delay_ms from now by the suspend-aware clock.
  TimerId after(uint64_t delay_ms, Task task);
  void cancel(TimerId timer);  // one that has run or is unknown is ignored

  // Runs the task when the loop stops, unless forgotten before.
  TimerId at_stop(Task task);
  void forget_at_stop(TimerId id);

  bool on_loop_thread() const;
  uint64_t now_ms() const;  // CLOCK_BOOTTIME, see clock.h
  uint64_t now_us() const;

  struct Impl;  // event_loop_asio.h: for common/transport only
  Impl& impl() { return *impl_; }
  std::shared_ptr<Impl> shared_impl() { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace shima
