#include "operator/core_view/volume_rounds.h"

#include <algorithm>

namespace shima {

std::vector<std::string> VolumeRounds::next(const std::vector<std::string>& names, size_t budget) {
  std::vector<std::string> chosen;
  const size_t count = std::min(budget, names.size());
  const size_t begin =
      static_cast<size_t>(std::upper_bound(names.begin(), names.end(), last_) - names.begin());
  for (size_t i = 0; i < count; ++i) chosen.push_back(names[(begin + i) % names.size()]);
  if (!chosen.empty()) last_ = chosen.back();
  return chosen;
}

}  // namespace shima
