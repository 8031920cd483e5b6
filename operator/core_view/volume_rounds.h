// PURE: which volumes to ask about next, so that all get their turn and no look costs more than its budget.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace shima {

class VolumeRounds {
 public:
  // The next `budget` of `names` (sorted), those after the last one first; all of them at most once.
  std::vector<std::string> next(const std::vector<std::string>& names, size_t budget);
  // Of those that next() gave last only these up to `name` had their turn; the others come first.
  void go_on_after(const std::string& name) { last_ = name; }

 private:
  std::string last_;
};

}  // namespace shima
