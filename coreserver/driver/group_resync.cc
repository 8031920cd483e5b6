// R7: all blocks to a remote whose missing records are gone, one piece at a time, as fast as the link takes
// them and the remote stores them: it answers with ResyncTaken, and no more than a window is on its way
// (I10). Reading at the remote goes on meanwhile, so that other groups on the connection do not wait.
#include <algorithm>

#include "common/observe/log.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/forget_copy.h"
#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/wire_messages.h"
#include "shima/data/v1/data.pb.h"

namespace shima {

using namespace replication;

namespace {
constexpr uint32_t kPieceBytes = 1u << 20;
constexpr size_t kPiecesAtOnce = 64;       // of blocks with little in them
constexpr uint64_t kPieceOverhead = 256;   // bytes that a piece takes beside its payload, here and there
constexpr uint64_t kTellBytes = 1u << 20;  // after as many the remote says what it has stored
}  // namespace

// All is read twice: once to see that it can be read, before the remote is told to forget its own copy.
struct GroupDriver::ResyncJob {
  struct Piece {
    BlockKey key;
    uint32_t offset;  // bytes, in the block
    BlockPiece content;
  };
  // The next pieces of blocks, none of them with holes.
  Result<std::vector<Piece>> read(BlockStore& store, uint32_t block_size);

  ServerId to;
  uint64_t round = 0;
  bool reading = false;
  bool begun = false;  // all could be read, and ResyncBegin is on its way
  uint64_t sent_bytes = 0, taken_bytes = 0;
  // data groups: what is known of inodes, then blocks
  std::vector<std::pair<InodeId, InodeState>> inodes;
  size_t next_inode = 0;
  std::vector<BlockKey> blocks;
  size_t next = 0;
  uint32_t offset = 0;  // bytes, in blocks[next]
  // metadata groups: keys in order
  bool with_keys = false;
  bool keys_left = false;
  std::string after_key;
};

Result<std::vector<GroupDriver::ResyncJob::Piece>> GroupDriver::ResyncJob::read(BlockStore& store,
                                                                                uint32_t block_size) {
  std::vector<Piece> pieces;
  uint32_t bytes = 0;
  for (size_t i = 0; i < kPiecesAtOnce && bytes < kPieceBytes && next < blocks.size(); i++) {
    const BlockKey& key = blocks[next];
    auto data = store.next_present(key.group, key.inode, key.block, offset);
    if (!data.is_ok()) return data.status();
    if (!*data || (*data)->first != key.block) {
      next++;
      offset = 0;
      continue;
    }
    offset = (*data)->second;
    auto hole = store.next_hole(key, offset, block_size);
    if (!hole.is_ok()) return hole.status();
    uint32_t length = std::min(*hole - offset, kPieceBytes - bytes);
    if (length == 0) continue;  // it became a hole meanwhile
    auto piece = store.read(key, offset, length);
    if (!piece.is_ok()) return piece.status();
    pieces.push_back({key, offset, std::move(*piece)});
    offset += length;
    bytes += length;
  }
  return pieces;
}

void GroupDriver::carry_out(StartResync& effect) {
  resyncs_.erase(effect.to);
  const bool old = env_.links->protocol(effect.to) < kResyncProtocol;
  if (old && !resync_window_fits(effect.to, core_.window().save(core_.log().last()).size())) return;
  auto job = std::make_shared<ResyncJob>();
  job->to = effect.to;
  job->round = effect.round;
  resyncs_[effect.to] = job;
  log(LogLevel::kInfo, "resync",
      "group " + to_string(id()) + ": sending all of its state to server " + std::to_string(effect.to.value));
  // A secondary that does not fold keeps no state: it only forgets and goes on at the end of the log.
  bool with_state = core_.config().role_of(effect.to) == Role::kRemote || core_.config().secondary_folds();
  if (metadata_) {
    job->with_keys = job->keys_left = with_state;
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
      if (!self->resync_is_current(job)) return;
      if (!status.is_ok()) return self->resync_failed(*job, status);
      self->resync_next(job);
    });
  });
}

bool GroupDriver::resync_is_current(const ResyncJobPtr& job) const {
  auto it = resyncs_.find(job->to);
  return !dropped_ && it != resyncs_.end() && it->second == job;
}

bool GroupDriver::resync_may_send(const ResyncJob& job) const {
  bool answers = env_.links->protocol(job.to) >= kResyncProtocol;
  return env_.links->has_room(job.to) &&
         (!answers || job.sent_bytes - job.taken_bytes < env_.resync_window_bytes);
}

void GroupDriver::resync_next(const ResyncJobPtr& job) {
  if (!resync_is_current(job) || job->reading || (job->begun && !resync_may_send(*job))) return;
  if (job->keys_left) return resync_keys(job);
  while (job->begun && job->next_inode < job->inodes.size()) {
    if (!resync_may_send(*job)) return;
    resync_inode(*job);
  }
  if (job->next < job->blocks.size()) return resync_blocks(job);
  if (!job->begun) return resync_begin(job);
  const ResyncSent sent{job->to, job->round};  // `job` may go with the map's
  resyncs_.erase(sent.to);
  step(sent);
}

// The core's ResyncBegin leaves here and not before: a chunk that cannot be read here may be a good one
// there.
void GroupDriver::resync_begin(const ResyncJobPtr& job) {
  job->begun = true;
  job->next = 0;
  job->offset = 0;
  job->keys_left = job->with_keys;
  job->after_key.clear();
  for (Frame& frame : frames_of(id(), ResyncBegin{core_.term(), job->round}))
    env_.links->send(job->to, std::move(frame));
  resync_next(job);
}

bool GroupDriver::resync_window_fits(ServerId to, size_t window_bytes) const {
  if (window_bytes <= kMaxHeaderWindow || env_.links->protocol(to) >= kResyncProtocol) return true;
  log(LogLevel::kError, "resync",
      "group " + to_string(id()) + " remembers " + std::to_string(window_bytes) +
          " bytes of clients' requests; server " + std::to_string(to.value) + " takes " +
          std::to_string(kMaxHeaderWindow) + " of them: upgrade it to be resynced");
  return false;
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

void GroupDriver::resync_send(ResyncJob& job, data::v1::Header header, Buffer payload) {
  job.sent_bytes += payload.size() + kPieceOverhead;
  header.mutable_resync()->set_sent_bytes(job.sent_bytes);
  env_.links->send(job.to, Frame{0, header.SerializeAsString(), std::move(payload), {}});
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
  resync_send(job, std::move(header), {});
}

void GroupDriver::resync_keys(const ResyncJobPtr& job) {
  job->reading = true;
  env_.readers->post([self = shared_from_this(), job] {
    auto batch = self->env_.disk->blocks().kv().read_batch(self->id(), job->after_key, kPieceBytes);
    self->env_.loop->post([self, job, batch = std::move(batch)] {
      job->reading = false;
      if (!self->resync_is_current(job)) return;
      if (!batch.is_ok()) return self->resync_failed(*job, batch.status());
      job->keys_left = !batch->first.empty();
      job->after_key = batch->second;
      if (job->begun && job->keys_left) {
        data::v1::Header header = self->resync_header(*job);
        auto* r = header.mutable_resync();
        Buffer payload = Buffer::copy_of(batch->first);
        r->set_batch(true);
        r->set_length(static_cast<uint32_t>(payload.size()));
        for (uint32_t c : chunk_checksums(payload.span())) r->add_checksums(c);
        self->resync_send(*job, std::move(header), std::move(payload));
      }
      self->step(ResyncProgress{job->to, job->round});
      self->resync_next(job);
    });
  });
}

void GroupDriver::resync_blocks(const ResyncJobPtr& job) {
  job->reading = true;
  env_.readers->post([self = shared_from_this(), job] {
    auto pieces = job->read(self->env_.disk->blocks(), self->block_size_);
    self->env_.loop->post([self, job, pieces = std::move(pieces)] {
      job->reading = false;
      if (!self->resync_is_current(job)) return;
      if (!pieces.is_ok()) return self->resync_failed(*job, pieces.status());
      if (job->begun) {
        for (const auto& [key, offset, content] : *pieces) self->resync_block(*job, key, offset, content);
      }
      self->step(ResyncProgress{job->to, job->round});
      self->resync_next(job);
    });
  });
}

void GroupDriver::resync_block(ResyncJob& job, const BlockKey& key, uint32_t offset,
                               const BlockPiece& content) {
  data::v1::Header header = resync_header(job);
  auto* r = header.mutable_resync();
  r->set_inode(key.inode.value);
  r->set_block(key.block.value);
  r->set_offset(offset);
  r->set_length(static_cast<uint32_t>(content.bytes.size()));
  r->set_version_term(content.version.term.value);
  r->set_version_sequence(content.version.sequence.value);
  for (uint32_t c : content.checksums) r->add_checksums(c);
  resync_send(job, std::move(header), content.bytes);
}

void GroupDriver::resync_taken(ServerId from, const data::v1::ResyncTaken& taken) {
  auto it = resyncs_.find(from);
  bool ours =
      it != resyncs_.end() && Term(taken.term()) == core_.term() && taken.round() == it->second->round;
  if (dropped_ || !ours || taken.bytes() > it->second->sent_bytes) return;
  ResyncJobPtr job = it->second;
  job->taken_bytes = std::max(job->taken_bytes, taken.bytes());
  step(ResyncProgress{job->to, job->round});
  resync_next(job);
}

// The core begins anew after a while.
void GroupDriver::resync_failed(const ResyncJob& job, const Status& why) {
  log(LogLevel::kError, "resync",
      "group " + to_string(id()) + " cannot be sent to server " + std::to_string(job.to.value) +
          (job.begun ? "" : ", which keeps what it has") + ": " + why.to_string());
  resyncs_.erase(job.to);
}

// ---- at the remote ----

void GroupDriver::carry_out(ForgetEverything&) {
  unapplied([](auto& u) { u.clear(); });
  fences_.clear();
  apply_epoch_++;
  applying_ = false;
  count_backlog();
  overlay_loaded_ = true;
  resync_store_ = std::make_shared<ResyncStore>();
  resync_window_.clear();
  durable_ = std::make_shared<Durable>();
  replay_until_ = applied_ = applicable_ = checkpoint_asked_ = drop_wanted_ = Sequence();
  GroupCheckpoint c;
  c.volume = volume_;
  c.block_size = block_size_;
  c.resyncing = true;
  c.metadata = metadata_;
  env_.disk->worker().post([self = shared_from_this(), incomplete = std::move(c), store = resync_store_] {
    ServerDisk& disk = *self->env_.disk;
    Status status = forget_copy(disk.blocks(), disk.journal(), self->id(), incomplete);
    if (status.is_ok()) return;
    store->failed = true;
    log(LogLevel::kError, "resync", status.to_string());
  });
}

// What was to be applied is in what is trimmed: neither what was read for it nor what waits is written behind
// the deletion, where nobody would delete it again.
void GroupDriver::carry_out(DropBlocks&) {
  apply_epoch_++;
  applying_ = false;
  applicable_ = applied_;
  env_.disk->worker().post([self = shared_from_this()] {
    Status status = self->delete_state();
    if (!status.is_ok()) log(LogLevel::kError, "fold", status.to_string());
  });
}

Status GroupDriver::delete_state() {
  BlockStore& blocks = env_.disk->blocks();
  return metadata_ ? blocks.kv().delete_group(id()) : blocks.delete_blocks(id());
}

Status GroupDriver::store_piece(const RecordPtr& piece, const std::optional<InodeState>& state) {
  BlockStore& blocks = env_.disk->blocks();
  if (state) return blocks.put_inode_state(id(), piece->header.inode, *state);
  return metadata_ ? blocks.kv().apply(id(), {&piece, 1}) : blocks.restore(id(), block_size_, {&piece, 1});
}

void GroupDriver::resync_piece(ServerId from, const data::v1::Resync& piece, Buffer payload) {
  if (dropped_ || !core_.accepts_resync(from, Term(piece.term()), piece.round())) return;
  if (piece.window_piece()) {
    if (resync_window_.size() + payload.size() <= RequestWindow::kMaxSavedBytes)
      resync_window_.append(payload.span().begin(), payload.span().end());
    return;
  }
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
  data::v1::Header header;
  data::v1::ResyncTaken* taken = header.mutable_resync_taken();
  *taken->mutable_group() = piece.group();
  taken->set_term(piece.term());
  taken->set_round(piece.round());
  taken->set_bytes(piece.sent_bytes());
  env_.disk->worker().post([self = shared_from_this(), record = RecordPtr(record), store = resync_store_,
                            state, via = reply_via_[from], header = std::move(header)] {
    if (store->failed) return;  // also the forgetting: what was there calls itself complete
    if (Status status = self->store_piece(record, state); !status.is_ok()) {
      if (!store->failed.exchange(true)) log(LogLevel::kError, "resync", status.to_string());
      return;
    }
    if (header.resync_taken().bytes() < store->told_bytes + kTellBytes) return;
    store->told_bytes = header.resync_taken().bytes();
    send_on(via, Frame{0, header.SerializeAsString(), {}, {}});
  });
}

void GroupDriver::resync_stored(ServerId from, const ResyncEnd& end) {
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
  // anew. It may have begun anew for another reason meanwhile: then this end is not the end of that one.
  env_.disk->worker().post([self = shared_from_this(), checkpoint = encode_checkpoint(c),
                            store = resync_store_, from, term = end.term, round = end.round,
                            position = end.position] {
    Status status = store->failed ? Status(Code::kIo, "a piece was not stored")
                                  : self->env_.disk->blocks().checkpoint(self->id(), checkpoint);
    self->env_.loop->post([self, store, from, term, round, position, status] {
      bool current = store == self->resync_store_ && self->core_.accepts_resync(from, term, round);
      if (self->dropped_ || !status.is_ok() || !current) return;
      self->applied_ = self->applicable_ = self->checkpoint_asked_ = position.sequence;
      self->step(ResyncStored{position});
    });
  });
}

}  // namespace shima
