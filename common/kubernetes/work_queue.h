// WorkQueue: keys that somebody has to look at, each in the hands of one worker at a time.
//
// PURE: the time is handed in, from one clock that never steps back (common/runtime/clock.h). A key that
// waits is there once, however often it is added. A key that is added while it is worked on comes again after
// done(). Keys come in the order in which they were due. Rules as those of client-go's workqueue.
// BlockingWorkQueue (blocking_work_queue.h) is for threads.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/kubernetes/retry_delay.h"

namespace shima {

class WorkQueue {
 public:
  // `retry`: how long add_rate_limited() waits, by how often it was called for the key since forget().
  explicit WorkQueue(RetryDelay retry = {5, 300'000}) : retry_(retry) {}

  void add(const std::string& key);
  // Not before `delay_ms` from now. Of several the earliest counts.
  void add_after(const std::string& key, uint64_t delay_ms, uint64_t now_ms);
  void add_rate_limited(const std::string& key, uint64_t now_ms);
  void forget(const std::string& key);  // it went well: the next failure is the first one again
  uint32_t failures(const std::string& key) const;

  // The next key, which the caller works on until done(); none: there is nothing to do now.
  std::optional<std::string> take(uint64_t now_ms);
  void done(const std::string& key);

  // When take() may have something that it has not now, by delays alone; none: only an add() or done() helps.
  std::optional<uint64_t> next_due_ms() const;
  size_t waiting() const { return ready_.size() + due_of_.size(); }
  size_t worked_on() const { return worked_on_.size(); }

 private:
  void move_due(uint64_t now_ms);

  const RetryDelay retry_;
  std::deque<std::string> ready_;
  std::set<std::string> wanted_;  // in ready_, or worked on and to come again
  std::set<std::string> worked_on_;
  std::map<std::string, uint64_t> due_of_;                // delayed keys
  std::set<std::pair<uint64_t, std::string>> due_order_;  // the same, by time
  std::map<std::string, uint32_t> failures_;
};

}  // namespace shima
