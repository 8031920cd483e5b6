// GroupCheckpoint: what a member keeps of its group beside journal and blocks, so that it can start again.
//
// Saved in the block store's index, durable together with the blocks that it speaks of. Magic and version
// first.
#pragma once

#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/types/ids.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/replication/replica_group.h"

namespace shima {

struct GroupCheckpoint {
  std::string volume;       // its name, for people and to find the record
  uint32_t block_size = 0;  // bytes
  Position position;        // effects of records up to here are in the blocks (or dropped: secondary)
  std::vector<replication::TermStart> history;  // up to position
  std::string window;                           // RequestWindow::save(position)
  Sequence folded;                              // secondary: blocks hold records up to here
  bool resyncing = false;                       // remote: blocks are incomplete
  bool metadata = false;                        // the state is the metadata KV, not blocks
};

std::string encode_checkpoint(const GroupCheckpoint& checkpoint);
Result<GroupCheckpoint> decode_checkpoint(const std::string& bytes);

// kFailedPrecondition, in words: what lies here under the id of the volume's group is another volume's. An
// etcd that was set back gives volumes' ids again.
Status check_identity(const GroupCheckpoint& found, const VolumeInfo& volume, const GroupInfo& group);

// The newest term that the recovered log has seen.
Term newest_term(const replication::RecoveredGroup& recovered);

// What the core needs to start again, from the checkpoint and from what the journal still has. `records` that
// lie at or before the checkpoint are kept where a primary may still have to ship them. `released`: the
// highest release that the journal knows of. Damage (R22): a gap, a release beyond the checkpoint (the index
// was rolled back), terms that fall. No record is taken if a resync has made them void: then the journal is
// to drop the group.
replication::RecoveredGroup recovered_group(const GroupCheckpoint& checkpoint,
                                            std::vector<RecordHeader> records,
                                            const std::string& journal_damage,
                                            Sequence released = Sequence());

}  // namespace shima
