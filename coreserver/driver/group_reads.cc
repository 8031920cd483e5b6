// Reads: the block store, with what is committed but not yet applied laid over it (R1: never anything
// uncommitted).
#include <algorithm>

#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"

namespace shima {

using namespace replication;

// Why this member cannot say what is committed now.
Status GroupDriver::refusal_to_read() const {
  if (dropped_) return {Code::kNotFound, "the volume is being deleted"};
  if (core_.role() != Role::kPrimary)
    return {Code::kNotPrimary, "this server is not the primary of group " + to_string(id())};
  if (!core_.serving())
    return {Code::kUnavailable, "group " + to_string(id()) + ": " + core_.state_in_words()};
  if (replaying())
    return {Code::kUnavailable, "group " + to_string(id()) + " is applying its journal after a restart"};
  return Status::ok();
}

void GroupDriver::read(ReadCall call) {
  if (dropped_) return call.done(Status(Code::kNotFound, "the volume is being deleted"), {});
  if (metadata_) return call.done(Status(Code::kInvalidArgument, "the metadata group has no blocks"), {});
  bool whole_chunks = call.offset % kChunkSize == 0 && call.length % kChunkSize == 0 && call.length > 0;
  if (!whole_chunks || uint64_t{call.offset} + call.length > block_size_) {
    return call.done(
        Status(Code::kInvalidArgument, "a read must be of whole 4096-byte chunks inside a block of " +
                                           std::to_string(block_size_) + " bytes"),
        {});
  }
  if (Status why = refusal_of(*call.who, false); !why.is_ok()) return call.done(why, {});
  if (call.own_replica) {
    bool has_blocks = core_.role() == Role::kPrimary || core_.role() == Role::kRemote;
    if (!has_blocks)
      return call.done(Status(Code::kNotPrimary, "this member keeps no blocks of group " + to_string(id())),
                       {});
    if (core_.resyncing()) return call.done(Status(Code::kUnavailable, "this copy is being rebuilt"), {});
    if (replaying())
      return call.done(Status(Code::kUnavailable, "this copy is applying its journal after a restart"), {});
  } else if (Status why = refusal_to_read(); !why.is_ok()) {
    return call.done(why, {});
  }
  if (!call.own_replica) call.seen.fence = fences_of(call.inode).seen;
  call.seen.visible = core_.visible();
  if (call.version_only && !call.own_replica) return read_version(std::move(call));
  auto records = overlay_.touching(call.inode, call.block, call.offset, call.length, core_.visible());
  env_.readers->post([self = shared_from_this(), call = std::make_shared<ReadCall>(std::move(call)),
                      records = std::move(records)] {
    Result<BlockPiece> piece =
        self->env_.disk->blocks().read({self->id(), call->inode, call->block}, call->offset, call->length);
    if (piece.is_ok()) piece = laid_over(std::move(*piece), call->block, call->offset, records);
    self->env_.loop->post(
        [self, call, piece = std::move(piece)]() mutable { self->end_read(*call, std::move(piece)); });
  });
}

// While the bytes were read, a truncation may have been applied, so that they are newer than the fence that
// was noted; and a copy may have begun to be rebuilt.
void GroupDriver::end_read(ReadCall& call, Result<BlockPiece> piece) {
  if (!call.own_replica) call.seen.fence = std::max(call.seen.fence, fences_of(call.inode).seen);
  if (call.own_replica && (dropped_ || core_.resyncing()))
    piece = Status(Code::kUnavailable, "this copy is being rebuilt");
  call.done(std::move(piece), call.seen);
}

// R17: how new the piece is. A truncation of the inode counts, wherever it cut: a block that it took away has
// no version of its own any more.
void GroupDriver::read_version(ReadCall call) {
  auto records = overlay_.touching(call.inode, call.block, 0, block_size_, core_.visible());
  if (!records.empty()) {
    BlockPiece piece;
    piece.version = records.back()->header.position;
    return call.done(std::move(piece), call.seen);
  }
  env_.readers->post([self = shared_from_this(), call = std::make_shared<ReadCall>(std::move(call))] {
    BlockStore& blocks = self->env_.disk->blocks();
    Result<BlockPiece> piece = blocks.read({self->id(), call->inode, call->block}, 0, 0);
    auto state = blocks.inode_state(self->id(), call->inode);
    if (!state.is_ok()) {
      piece = state.status();
    } else if (piece.is_ok()) {
      piece->version.sequence = std::max(piece->version.sequence, state->truncated_at);
    }
    self->env_.loop->post(
        [self, call, piece = std::move(piece)]() mutable { self->end_read(*call, std::move(piece)); });
  });
}

}  // namespace shima
