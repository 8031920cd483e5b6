// What is inside an EventLoop, for the few units that put sockets on one. Everyone else includes
// event_loop.h.
//
// Sockets hold the Impl (not the EventLoop), so that asio's context outlives the last of them.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/runtime/event_loop.h"

namespace shima {

struct EventLoop::Impl {
  explicit Impl(std::string thread_name);

  void run();          // body of the thread
  bool take_posted();  // false: there is nothing, and the next post() wakes the loop
  void run_batch();
  void run_end_of_turn();
  // For sockets: runs the task when all posted tasks that wait now have run, so that what several of them
  // send becomes one system call. Loop's thread.
  void before_next_wait(Task task);
  void run_flushes();
  void run_due_timers();
  void arm_timer();  // makes the timer descriptor fire at the earliest deadline
  void wait_for_timer();
  void wait_for_wake_up();
  void shut_down();           // runs the at_stop tasks and what they cause
  void check_thread() const;  // the calls for the loop's own thread

  std::string name;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
  std::atomic<std::thread::id> thread_id{};
  std::atomic<bool> running{false};
  bool stopping = false;  // loop's thread

  std::mutex mutex;
  std::vector<Task> posted;    // under mutex
  bool wants_wake_up = false;  // under mutex: the loop waits for events, or is about to
  bool accepts = true;         // under mutex: false after the end

  std::vector<Task> batch;  // the loop's, swapped with `posted`
  std::vector<Task> end_of_turn;
  std::vector<Task> to_flush;
  std::map<std::pair<uint64_t, TimerId>, Task> timers;  // by deadline in us
  std::unordered_map<TimerId, uint64_t> deadlines;      // us
  std::map<TimerId, Task> stop_tasks;
  TimerId last_id = 0;
  asio::posix::stream_descriptor timer_descriptor;
  uint64_t armed_for_us = 0;  // 0: not armed
  uint64_t expirations = 0;   // what a read of the descriptor gives
  // asio's own wake-up is sent under its lock, for which the woken thread then waits: two more system calls
  // and a switch of threads for each.
  asio::posix::stream_descriptor wake_descriptor;
  uint64_t wake_ups = 0;  // what a read of the descriptor gives
};

}  // namespace shima
