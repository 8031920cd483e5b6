// Reads: the block store, with what is committed but not yet applied laid over it (R1: never anything
// uncommitted).
#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"

namespace shima {

using namespace replication;

void GroupDriver::read(ReadCall call) {
  if (dropped_) return call.done(Status(Code::kNotFound, "the volume is being deleted"));
  bool whole_chunks = call.offset % kChunkSize == 0 && call.length % kChunkSize == 0 && call.length > 0;
  if (!whole_chunks || uint64_t{call.offset} + call.length > block_size_) {
    return call.done(
        Status(Code::kInvalidArgument, "a read must be of whole 4096-byte chunks inside a block of " +
                                           std::to_string(block_size_) + " bytes"));
  }
  if (call.own_replica) {
    bool has_blocks = core_.role() == Role::kPrimary || core_.role() == Role::kRemote;
    if (!has_blocks)
      return call.done(Status(Code::kNotPrimary, "this member keeps no blocks of group " + to_string(id())));
    if (core_.resyncing()) return call.done(Status(Code::kUnavailable, "this copy is being rebuilt"));
  } else if (core_.role() != Role::kPrimary) {
    return call.done(Status(Code::kNotPrimary, "this server is not the primary of group " + to_string(id())));
  } else if (!core_.serving()) {
    return call.done(Status(Code::kUnavailable, "group " + to_string(id()) + ": " + core_.state_in_words()));
  }
  if (replaying())
    return call.done(
        Status(Code::kUnavailable, "group " + to_string(id()) + " is applying its journal after a restart"));
  auto records = overlay_.touching(call.inode, call.block, call.offset, call.length, core_.visible());
  env_.readers->post([self = shared_from_this(), call = std::make_shared<ReadCall>(std::move(call)),
                      records = std::move(records)] {
    Result<BlockPiece> piece =
        self->env_.disk->blocks().read({self->id(), call->inode, call->block}, call->offset, call->length);
    if (piece.is_ok()) piece = laid_over(std::move(*piece), call->offset, records);
    self->env_.loop->post([call, piece = std::move(piece)]() mutable { call->done(std::move(piece)); });
  });
}

}  // namespace shima
