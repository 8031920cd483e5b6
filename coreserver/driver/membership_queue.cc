#include "coreserver/driver/membership_queue.h"

namespace shima {

bool MembershipQueue::add(const std::string& volume, const MembershipChange& change) {
  std::lock_guard lock(mutex_);
  OfVolume& of_volume = waiting_[volume];
  const bool first = of_volume.empty();
  of_volume[{change.group, change.server}] = change;
  return first;
}

std::vector<MembershipChange> MembershipQueue::take(const std::string& volume) {
  std::lock_guard lock(mutex_);
  std::vector<MembershipChange> taken;
  const auto found = waiting_.find(volume);
  if (found == waiting_.end()) return taken;
  for (auto& [whose, change] : found->second) taken.push_back(change);
  waiting_.erase(found);
  return taken;
}

}  // namespace shima
