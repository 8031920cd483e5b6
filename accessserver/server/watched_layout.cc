#include "accessserver/server/watched_layout.h"

namespace shima {

Result<VolumeLayout> WatchedLayout::fetch(const std::string& name) {
  Result<VolumeLayout> layout = source_->fetch(name);
  if (!layout && layout.status().code() != Code::kNotFound) return layout;
  uint64_t first = 0;
  if (layout) {
    const uint64_t found = layout->volume.value;
    if (id_.compare_exchange_strong(first, found) || first == found) return layout;
  } else {
    first = id_.load();
  }
  if (first != 0 && on_gone_) on_gone_(first);
  if (!layout) return layout;
  return Status(Code::kNotFound, "volume " + name + " with id " + std::to_string(first) +
                                     " was deleted; another one has its name now");
}

}  // namespace shima
