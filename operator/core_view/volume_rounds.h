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

 private:
  std::string last_;
};

}  // namespace shima
