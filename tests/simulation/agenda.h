// Agenda: what is to happen when, in simulated microseconds. Things of the same time happen in the order they
// were added.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace shima::simulation {

class Agenda {
 public:
  using Action = std::function<void()>;

  uint64_t now_us() const { return now_us_; }
  uint64_t done() const { return done_; }

  void at(uint64_t time_us, Action action) {
    items_.push_back({std::max(time_us, now_us_), added_++, std::move(action)});
    std::push_heap(items_.begin(), items_.end(), Later());
  }
  void after(uint64_t delay_us, Action action) { at(now_us_ + delay_us, std::move(action)); }

  // Does the next thing; false if there is none.
  bool step() {
    if (items_.empty()) return false;
    std::pop_heap(items_.begin(), items_.end(), Later());
    Item item = std::move(items_.back());
    items_.pop_back();
    now_us_ = item.time_us;
    done_++;
    item.action();
    return true;
  }

 private:
  struct Item {
    uint64_t time_us, order;
    Action action;
  };
  struct Later {
    bool operator()(const Item& a, const Item& b) const {
      return a.time_us != b.time_us ? a.time_us > b.time_us : a.order > b.order;
    }
  };
  std::vector<Item> items_;
  uint64_t now_us_ = 0, added_ = 0, done_ = 0;
};

}  // namespace shima::simulation
