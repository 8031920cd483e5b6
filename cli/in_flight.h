// InFlight: a bounded number of operations under way; remembers the first error.
//
// Threads: enter() and wait_all() from the thread that starts operations; the callbacks that done() makes
// from any.
#pragma once

#include <functional>
#include <memory>

#include "cli/volume_io.h"

namespace shima {

class InFlight {
 public:
  // `tick` is called on the waiting thread several times a second.
  InFlight(size_t limit, std::function<void()> tick);

  // Waits for a free place and takes it; false (nothing taken) once an operation has failed.
  bool enter();
  // The end of an operation that entered; calls `after` first if it went well.
  IoDone done(std::function<void()> after);
  // Waits until nothing is under way; the first error.
  Status wait_all();

 private:
  struct State;
  std::shared_ptr<State> state_;
  const size_t limit_;
  const std::function<void()> tick_;
};

}  // namespace shima
