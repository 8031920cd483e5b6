// WeightedSteps: which operation a random tester does next: each has a weight. Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "tests/posix/seeded_random.h"

namespace shima {

class WeightedSteps {
 public:
  using Step = std::function<void()>;

  void add(uint64_t weight, Step step) {
    total_ += weight;
    steps_.emplace_back(weight, std::move(step));
  }
  void take_one(SeededRandom& random) const {
    uint64_t die = random.below(total_);
    for (const auto& [weight, step] : steps_) {
      if (die < weight) return step();
      die -= weight;
    }
  }

 private:
  std::vector<std::pair<uint64_t, Step>> steps_;
  uint64_t total_ = 0;
};

}  // namespace shima
