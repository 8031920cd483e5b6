// Step 3, there: the secondary gets every record at once, committed or not; its journal is the paper's second
// copy.
#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::send_second_copy(Effects& out) {
  auto second = peers_.find(config_.server_with(Role::kSecondary));
  if (second != peers_.end()) send_to(second->first, second->second, log_.last(), out);
}

}  // namespace shima::replication
