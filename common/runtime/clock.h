// Clock: where time comes from. Handed in to whatever measures time, so that tests and the simulator own it.
//
// The clock never steps back and counts on while the machine is suspended (CLOCK_BOOTTIME), since leases and
// grants compare durations between machines (R2). Its zero is the machine's start: never store a value.
// Threads: any.
#pragma once

#include <cstdint>

namespace shima {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual uint64_t now_us() const = 0;
  uint64_t now_ms() const { return now_us() / 1000; }
};

// The machine's clock; lives as long as the process.
const Clock& real_clock();

}  // namespace shima
