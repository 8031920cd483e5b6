// RangeOrder: operations on overlapping byte ranges of one file go one after another, in the order in which
// they came; others side by side.
//
// Pure. `go` runs inside enter() if nothing is in the way, else inside the leave() of what was. Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <list>

namespace shima {

class RangeOrder {
 public:
  using Ticket = uint64_t;
  // [start, end) in bytes.
  Ticket enter(uint64_t start, uint64_t end, std::function<void()> go);
  void leave(Ticket ticket);
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    Ticket ticket;
    uint64_t start, end;
    uint32_t in_the_way;  // earlier entries that overlap
    std::function<void()> go;
  };
  std::list<Entry> entries_;  // in the order in which they came
  Ticket last_ = 0;
};

}  // namespace shima
