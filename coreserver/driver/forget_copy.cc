#include "coreserver/driver/forget_copy.h"

#include "coreserver/metadata/kv_store.h"

namespace shima {

Status forget_copy(BlockStore& blocks, Journal& journal, GroupId group, const GroupCheckpoint& incomplete) {
  const std::string checkpoint = encode_checkpoint(incomplete);
  SHIMA_RETURN_IF_ERROR(blocks.checkpoint(group, checkpoint));
  journal.drop_group(group);
  SHIMA_RETURN_IF_ERROR(incomplete.metadata ? blocks.kv().delete_group(group) : blocks.delete_blocks(group));
  return blocks.checkpoint(group, checkpoint);  // only now may the slots be used for what comes
}

}  // namespace shima
