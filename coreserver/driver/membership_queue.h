// MembershipQueue: what the primaries of this server wish to have changed in volumes' records (R7, R12), on
// its way to etcd.
//
// While etcd is away each group repeats its wishes. Of one group and member only the newest waits, so the
// queue is bounded (I10), and whoever takes a volume's wishes takes all of them, for one change of its
// record. Threads: any.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "coreserver/cluster/volume_changes.h"

namespace shima {

class MembershipQueue {
 public:
  // True: nothing of the volume was waiting, so that somebody is to be sent for take().
  bool add(const std::string& volume, const MembershipChange& change);
  // All that waits for the volume.
  std::vector<MembershipChange> take(const std::string& volume);

 private:
  using OfVolume = std::map<std::pair<GroupIndex, ServerId>, MembershipChange>;
  std::mutex mutex_;
  std::map<std::string, OfVolume> waiting_;
};

}  // namespace shima
