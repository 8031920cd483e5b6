// R7: all blocks to a remote whose missing records are gone, one piece at a time, as fast as the link takes
// them.
#include <algorithm>

#include "common/observe/log.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/wire_messages.h"
#include "shima/data/v1/data.pb.h"

namespace shima {

using namespace replication;

namespace {
constexpr uint32_t kPieceBytes = 1u << 20;
}

struct GroupDriver::ResyncJob {
  ServerId to;
  uint64_t round = 0;
  bool reading = false;
  // data groups: what is known of inodes, then blocks
  std::vector<std::pair<InodeId, InodeState>> inodes;
  size_t next_inode = 0;
  std::vector<BlockKey> blocks;
  size_t next = 0;
  uint32_t offset = 0;  // bytes, in blocks[next]
  // metadata groups: keys in order
  std::string after_key;
  bool keys_left = false;
};

void GroupDriver::carry_out(StartResync& effect) {
  auto job = std::make_shared<ResyncJob>();
  job->to = effect.to;
  job->round = effect.round;
  resync_ = job;
  log(LogLevel::kInfo, "resync",
      "group " + to_string(id()) + ": sending all of its state to server " + std::to_string(effect.to.value));
  // A secondary that does not fold keeps no state: it only forgets and goes on at the end of the log.
  bool with_state = core_.config().role_of(effect.to) == Role::kRemote || core_.config().secondary_folds();
  if (metadata_) {
    job->keys_left = with_state;
    return env_.loop->post([self = shared_from_this(), job] { self->resync_next(job); });
  }
  job->reading = true;
  env_.disk->worker().post([self = shared_from_this(), job, with_state] {
    Status status;
    BlockStore& blocks = self->env_.disk->blocks();
    if (with_state) {
      status = blocks.for_each_block(self->id(), [&](const BlockInfo& info) {
        job->blocks.push_back(info.key);
        return true;
      });
    }
    if (with_state && status.is_ok()) {
      status = blocks.for_each_inode(self->id(), [&](InodeId inode, const InodeState& state) {
        job->inodes.emplace_back(inode, state);
        return true;
      });
    }
    self->env_.loop->post([self, job, status] {
      job->reading = false;
      if (!status.is_ok()) log(LogLevel::kError, "resync", status.to_string());
      if (status.is_ok()) self->resync_next(job);
    });
  });
}

void GroupDriver::resync_next(std::shared_ptr<ResyncJob> job) {
  if (resync_ != job || job->reading || dropped_) return;
  if (!env_.links->has_room(job->to)) return;
  if (job->keys_left) return resync_keys(job);
  while (job->next_inode < job->inodes.size() && env_.links->has_room(job->to)) resync_inode(*job);
  if (job->next_inode < job->inodes.size()) return;
  if (job->next == job->blocks.size()) {
    resync_.reset();
    step(ResyncSent{job->to, job->round});
    return;
  }
  job->reading = true;
  uint32_t length = std::min(kPieceBytes, block_size_ - job->offset);
  env_.readers->post([self = shared_from_this(), job, length] {
    auto piece = self->env_.disk->blocks().read(job->blocks[job->next], job->offset, length);
    self->env_.loop->post(
        [self, job, piece = std::move(piece)]() mutable { self->resync_read(job, std::move(piece)); });
  });
}

data::v1::Header GroupDriver::resync_header(const ResyncJob& job) const {
  data::v1::Header header;
  auto* r = header.mutable_resync();
  r->mutable_group()->set_volume(id().volume.value);
  r->mutable_group()->set_group(id().index.value);
  r->set_term(core_.term().value);
  r->set_round(job.round);
  return header;
}

void GroupDriver::resync_inode(ResyncJob& job) {
  const auto& [inode, state] = job.inodes[job.next_inode++];
  data::v1::Header header = resync_header(job);
  auto* r = header.mutable_resync();
  r->set_inode_state(true);
  r->set_inode(inode.value);
  r->set_fence(state.fence);
  r->set_mtime_ns(state.mtime_ns);
  r->set_changes(state.changes);
  env_.links->send(job.to, Frame{0, header.SerializeAsString(), {}, {}});
}

void GroupDriver::resync_keys(std::shared_ptr<ResyncJob> job) {
  job->reading = true;
  env_.readers->post([self = shared_from_this(), job] {
    auto batch = self->env_.disk->blocks().kv().read_batch(self->id(), job->after_key, kPieceBytes);
    self->env_.loop->post([self, job, batch = std::move(batch)] {
      job->reading = false;
      if (self->resync_ != job || self->dropped_) return;
      if (!batch.is_ok()) return self->resync_failed(batch.status());
      if (batch->first.empty()) {
        job->keys_left = false;
        return self->resync_next(job);
      }
      job->after_key = batch->second;
      data::v1::Header header = self->resync_header(*job);
      auto* r = header.mutable_resync();
      Buffer payload = Buffer::copy_of(batch->first);
      r->set_batch(true);
      r->set_length(static_cast<uint32_t>(payload.size()));
      for (uint32_t c : chunk_checksums(payload.span())) r->add_checksums(c);
      self->env_.links->send(job->to, Frame{0, header.SerializeAsString(), payload, {}});
      self->step(ResyncProgress{job->to, job->round});
      self->resync_next(job);
    });
  });
}

// The core begins anew after a while.
void GroupDriver::resync_failed(const Status& why) {
  log(LogLevel::kError, "resync", "group " + to_string(id()) + ": " + why.to_string());
  resync_.reset();
}

void GroupDriver::resync_read(std::shared_ptr<ResyncJob> job, Result<BlockPiece> piece) {
  job->reading = false;
  if (resync_ != job || dropped_) return;
  if (!piece.is_ok()) return resync_failed(piece.status());
  data::v1::Header header = resync_header(*job);
  auto* r = header.mutable_resync();
  r->set_inode(job->blocks[job->next].inode.value);
  r->set_block(job->blocks[job->next].block.value);
  r->set_offset(job->offset);
  r->set_length(static_cast<uint32_t>(piece->bytes.size()));
  r->set_version_term(piece->version.term.value);
  r->set_version_sequence(piece->version.sequence.value);
  for (uint32_t c : piece->checksums) r->add_checksums(c);
  env_.links->send(job->to, Frame{0, header.SerializeAsString(), piece->bytes, {}});
  job->offset += static_cast<uint32_t>(piece->bytes.size());
  if (job->offset >= block_size_) {
    job->offset = 0;
    job->next++;
  }
  step(ResyncProgress{job->to, job->round});
  resync_next(job);
}

// ---- at the remote ----

void GroupDriver::carry_out(ForgetEverything&) {
  unapplied([](auto& u) { u.clear(); });
  fences_.clear();
  apply_epoch_++;
  applying_ = false;
  count_backlog();
  overlay_loaded_ = true;
  resync_store_failed_ = std::make_shared<std::atomic<bool>>(false);
  durable_ = std::make_shared<Durable>();
  replay_until_ = applied_ = applicable_ = checkpoint_asked_ = drop_wanted_ = Sequence();
  env_.disk->journal().drop_group(id());
  GroupCheckpoint c;
  c.volume = volume_;
  c.block_size = block_size_;
  c.resyncing = true;
  c.metadata = metadata_;
  env_.disk->worker().post(
      [self = shared_from_this(), checkpoint = encode_checkpoint(c), failed = resync_store_failed_] {
        Status status = self->delete_state();
        if (status.is_ok()) status = self->env_.disk->blocks().checkpoint(self->id(), checkpoint);
        if (status.is_ok()) return;
        *failed = true;
        log(LogLevel::kError, "resync", status.to_string());
      });
}

void GroupDriver::carry_out(DropBlocks&) {
  env_.disk->worker().post([self = shared_from_this()] {
    Status status = self->delete_state();
    if (!status.is_ok()) log(LogLevel::kError, "fold", status.to_string());
  });
}

Status GroupDriver::delete_state() {
  BlockStore& blocks = env_.disk->blocks();
  return metadata_ ? blocks.kv().delete_group(id()) : blocks.delete_blocks(id());
}

void GroupDriver::resync_piece(ServerId from, const data::v1::Resync& piece, Buffer payload) {
  if (dropped_ || !core_.resyncing() || !core_.accepts_resync(from, Term(piece.term()), piece.round()))
    return;
  if (piece.batch() != metadata_ && !piece.inode_state()) return;  // of another kind of group: not ours
  auto record = std::make_shared<Record>();
  RecordHeader& h = record->header;
  h.group = id();
  h.position = {Term(piece.version_term()), Sequence(piece.version_sequence())};
  h.kind = piece.batch() ? RecordKind::kBatch : RecordKind::kWrite;
  h.inode = InodeId(piece.inode());
  h.block = BlockIndex(piece.block());
  h.offset = piece.offset();
  h.length = piece.length();
  h.checksums.assign(piece.checksums().begin(), piece.checksums().end());
  record->payload = std::move(payload);
  std::optional<InodeState> state;
  if (piece.inode_state()) {
    state.emplace();
    state->fence = piece.fence();
    state->mtime_ns = piece.mtime_ns();
    state->changes = piece.changes();
  }
  env_.disk->worker().post(
      [self = shared_from_this(), record = RecordPtr(record), failed = resync_store_failed_, state] {
        BlockStore& blocks = self->env_.disk->blocks();
        Status status = state             ? blocks.put_inode_state(self->id(), record->header.inode, *state)
                        : self->metadata_ ? blocks.kv().apply(self->id(), {&record, 1})
                                          : blocks.restore(self->id(), self->block_size_, {&record, 1});
        if (status.is_ok()) return;
        *failed = true;
        log(LogLevel::kError, "resync", status.to_string());
      });
}

void GroupDriver::resync_stored(const ResyncEnd& end) {
  GroupCheckpoint c;
  c.volume = volume_;
  c.block_size = block_size_;
  c.position = end.position;
  TermHistory history;
  history.reset(end.position);
  c.history = history.starts();
  c.window = end.window;
  c.metadata = metadata_;
  // The worker has stored all pieces when it comes to this task; if one failed, the primary begins the resync
  // anew.
  env_.disk->worker().post([self = shared_from_this(), checkpoint = encode_checkpoint(c),
                            failed = resync_store_failed_, position = end.position] {
    Status status = *failed ? Status(Code::kIo, "a piece was not stored")
                            : self->env_.disk->blocks().checkpoint(self->id(), checkpoint);
    self->env_.loop->post([self, position, status] {
      if (self->dropped_ || !status.is_ok() || !self->core_.resyncing()) return;
      self->applied_ = self->applicable_ = self->checkpoint_asked_ = position.sequence;
      self->step(ResyncStored{position});
    });
  });
}

}  // namespace shima
