// From a client's bytes to a place in the log. A write that does not cover whole chunks is completed here, at
// the one place that orders writes, so that no member ever reads before it writes.
#include <algorithm>
#include <cstring>

#include "common/types/block_routing.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"

namespace shima {

using namespace replication;

namespace {
constexpr size_t kMaxParked = 65536;  // far more than the connections' limits on bytes in flight let in

bool covers_chunks(const ClientWrite& w) { return w.offset % kChunkSize == 0 && w.length % kChunkSize == 0; }
bool is_truncate(const ClientWrite& w) { return w.kind == RecordKind::kTruncate; }
uint32_t chunk_floor(uint32_t v) { return v / kChunkSize * kChunkSize; }
uint32_t chunk_ceil(uint32_t v) { return chunk_floor(v + kChunkSize - 1); }
}  // namespace

Status GroupDriver::check_write(const WriteCall& call) const {
  const ClientWrite& w = call.write;
  if (dropped_) return {Code::kNotFound, "the volume is being deleted"};
  if (core_.role() != Role::kPrimary)
    return {Code::kNotPrimary, "this server is not the primary of group " + to_string(id())};
  if (metadata_) return {Code::kInvalidArgument, "the metadata group takes jobs, not writes"};
  if (is_truncate(w)) {
    if (w.length == 0 && w.offset < block_size_ && w.fence != 0) return Status::ok();
    return {Code::kInvalidArgument, "a truncation needs a fence, an offset inside a block, and no length"};
  }
  if (w.fence == kRemovedFence) return {Code::kInvalidArgument, "this fence is for removals only"};
  if (w.length == 0 || uint64_t{w.offset} + w.length > block_size_) {
    return {Code::kInvalidArgument, "a write of " + std::to_string(w.length) + " bytes at " +
                                        std::to_string(w.offset) + " does not lie in a block of " +
                                        std::to_string(block_size_) + " bytes"};
  }
  if (w.kind == RecordKind::kPunch) return Status::ok();
  if (w.payload.size() != w.length)
    return {Code::kInvalidArgument, "a write's payload must be as long as it says"};
  bool good = covers_chunks(w) ? chunks_match(w.payload.span(), w.checksums)
                               : w.checksums.size() == 1 && w.checksums[0] == crc32c(w.payload.span());
  if (!good) return {Code::kCorrupt, "the payload of a write does not match its checksums"};
  return Status::ok();
}

bool GroupDriver::has_room() const {
  return core_.admits() && core_.log().bytes_between(applied_, core_.log().last()) < env_.unapplied_bytes;
}

void GroupDriver::write(WriteCall call) {
  if (Status why = check_write(call); !why.is_ok()) return call.done(why, {});
  if (Status why = refusal_of(*call.who, true); !why.is_ok()) return call.done(why, {});
  if (core_.serving() && (!parked_.empty() || !has_room())) {
    if (parked_.size() >= kMaxParked)
      return call.done(Status(Code::kUnavailable, "too many writes wait"), {});
    uint64_t deadline = env_.loop->now_ms() + (call.deadline_ms ? call.deadline_ms : 30000);
    parked_.emplace_back(deadline, std::make_shared<WriteCall>(std::move(call)));
    return;
  }
  admit(std::move(call));
}

void GroupDriver::admit(WriteCall call) {
  // Also of those that have waited: whoever was fenced meanwhile gets no place any more.
  if (Status why = refusal_of(*call.who, true); !why.is_ok()) return call.done(why, {});
  bool truncate = is_truncate(call.write);
  // The new end of the file lies inside a chunk of ours: the chunk goes with the truncation.
  bool partial = truncate ? call.write.offset % kChunkSize != 0 && owns(call.write.inode, call.write.block)
                          : !covers_chunks(call.write);
  if (core_.serving() && !replaying()) {
    if (truncate && call.write.fence <= fences_of(call.write.inode).truncated)
      return already_truncated(std::move(call));
    if (!truncate && stale_fence(call.write)) {
      return call.done(
          Status(Code::kStaleFence, "the file was truncated meanwhile: its truncate sequence is " +
                                        std::to_string(fences_of(call.write.inode).seen)),
          {});
    }
  }
  if (partial) return complete_partial(std::make_shared<WriteCall>(std::move(call)));
  if (truncate && call.write.length == 0) call.write.offset = chunk_ceil(call.write.offset);
  call.write.token = next_token_++;
  waiting_[call.write.token] = std::move(call.done);
  Sequence before = core_.log().last();
  step(call.write);
  if (core_.log().last() > before) note_fence(call.write);
}

// Only of what is in the log now: a truncation that was refused for want of space was not executed.
void GroupDriver::note_fence(const ClientWrite& w) {
  if (!w.fence) return;
  Fences& fences = fences_of(w.inode);
  fences.seen = std::max(fences.seen, w.fence);
  if (is_truncate(w)) fences.truncated = std::max(fences.truncated, w.fence);
}

bool GroupDriver::owns(InodeId inode, BlockIndex block) const {
  return group_of_block(id().volume, inode, block, env_.data_groups) == id().index;
}

// Somebody else has completed this truncation, or a later one. It counts once that is committed.
void GroupDriver::already_truncated(WriteCall call) {
  after_commit([self = shared_from_this(), call = std::move(call)](bool committed) {
    if (committed) return call.done(Status::ok(), self->core_.log().last_position());
    call.done(Status(Code::kUnavailable, "the group's primary has changed"), {});
  });
}

void GroupDriver::admit_parked() {
  while (!parked_.empty() && (has_room() || !core_.serving())) {
    auto call = std::move(parked_.front().second);
    parked_.pop_front();
    admit(std::move(*call));
  }
  uint64_t now = parked_.empty() ? 0 : env_.loop->now_ms();
  while (!parked_.empty() && parked_.front().first < now) {
    auto call = std::move(parked_.front().second);
    parked_.pop_front();
    call->done(
        Status(Code::kDeadlineExceeded, "the write waited too long for room: " + core_.state_in_words()), {});
  }
}

// Reads the chunks that the write touches, without what is not yet applied; that is laid over in
// partial_base_read.
void GroupDriver::complete_partial(std::shared_ptr<WriteCall> call) {
  if (!core_.serving())
    return call->done(Status(Code::kUnavailable, "group " + to_string(id()) + ": " + core_.state_in_words()),
                      {});
  if (replaying())
    return call->done(
        Status(Code::kUnavailable, "group " + to_string(id()) + " is applying its journal after a restart"),
        {});
  const ClientWrite& w = call->write;
  uint32_t from = chunk_floor(w.offset), to = chunk_ceil(w.offset + std::max(w.length, 1u));
  partial_[{w.inode, w.block}].count++;
  env_.readers->post([self = shared_from_this(), call, from, to] {
    auto base =
        self->env_.disk->blocks().read({self->id(), call->write.inode, call->write.block}, from, to - from);
    self->env_.loop->post(
        [self, call, base = std::move(base)]() mutable { self->partial_base_read(call, std::move(base)); });
  });
}

// From here to the record's place in the log nothing else happens on the loop: what is laid over is all that
// came before.
void GroupDriver::partial_base_read(std::shared_ptr<WriteCall> call, Result<BlockPiece> base) {
  ClientWrite& w = call->write;
  auto interest = partial_.find({w.inode, w.block});
  Sequence applied_meanwhile = interest->second.applied;
  if (--interest->second.count == 0) partial_.erase(interest);
  if (!base.is_ok()) return call->done(base.status(), {});
  if (applied_meanwhile > base->version.sequence)
    return complete_partial(call);  // the base is older than the overlay's begin
  if (!has_room()) {
    uint64_t deadline = env_.loop->now_ms() + (call->deadline_ms ? call->deadline_ms : 30000);
    parked_.emplace_back(deadline, call);
    return;
  }
  uint32_t from = chunk_floor(w.offset), to = chunk_ceil(w.offset + std::max(w.length, 1u));
  auto newer = overlay_.touching(w.inode, w.block, from, to - from, core_.log().last());
  BlockPiece piece = laid_over(std::move(*base), w.block, from, newer);
  WriteCall whole{w, call->deadline_ms, call->who, std::move(call->done)};
  if (!is_truncate(w)) whole.write.kind = RecordKind::kWrite;
  whole.write.offset = from;
  whole.write.length = to - from;
  whole.write.payload = Buffer::make(to - from, [&](uint8_t* out) {
    std::memcpy(out, piece.bytes.data(), to - from);
    if (is_truncate(w)) {
      std::memset(out + (w.offset - from), 0, to - w.offset);
    } else if (w.kind == RecordKind::kPunch) {
      std::memset(out + (w.offset - from), 0, w.length);
    } else {
      std::memcpy(out + (w.offset - from), w.payload.data(), w.length);
    }
  });
  whole.write.checksums = chunk_checksums(whole.write.payload.span());
  admit(std::move(whole));
}

}  // namespace shima
