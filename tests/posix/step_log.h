// StepLog: what a random tester did last, for the report of a failure. The last kKept steps are kept as text;
// the report begins with how to run it again. Threads: one at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace shima {

class StepLog {
 public:
  // `again`: the command line that repeats the run.
  // `trace`: every step is printed when the next one begins.
  explicit StepLog(std::string again, bool trace = false) : again_(std::move(again)), trace_(trace) {}

  void begin(std::string text) {
    if (trace_ && !steps_.empty()) print_last();
    ++number_;
    steps_.push_back(std::to_string(number_) + ": " + std::move(text));
    if (steps_.size() > kKept) steps_.pop_front();
  }
  // Adds to the text of the step that is being done.
  void add(const std::string& text) { steps_.back() += text; }
  uint64_t number() const { return number_; }

  // Prints the report and ends the process with exit code 1.
  [[noreturn]] void fail(const std::string& what) const;
  // Says how far it is, now and then.
  void progress(uint64_t of) const;

 private:
  static std::string readable(const std::string& text);
  static constexpr size_t kKept = 25;
  void print_last() const;
  std::string again_;
  bool trace_;
  std::deque<std::string> steps_;
  uint64_t number_ = 0;
};

}  // namespace shima
