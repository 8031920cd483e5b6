// GroupDriver: one replica group on one disk and one event loop: feeds the PURE core with events and carries
// out its effects.
//
// A data group's state machine is the block store, a metadata group's is the KV; the log above is the same.
//
// Files: group_driver (core and effects), group_writes (from a client's bytes to ClientWrite, partial
// chunks), group_reads, group_inodes (fences, what a data group knows of an inode), group_jobs (metadata),
// group_apply (committed records to the state, checkpoints), group_shipping (records to members),
// group_resync. Threads: everything on the group's event loop, except what is posted to the disk's
// worker and to the readers; those tasks hold a reference and post back.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/runtime/event_loop.h"
#include "common/runtime/worker_pool.h"
#include "common/transport/connection.h"
#include "coreserver/driver/group_checkpoint.h"
#include "coreserver/driver/overlay.h"
#include "coreserver/driver/peer_links.h"
#include "coreserver/driver/server_disk.h"
#include "coreserver/driver/volume_admission.h"
#include "coreserver/jobs/jobs.h"
#include "coreserver/metadata/pending_batches.h"
#include "coreserver/replication/replica_group.h"

namespace shima::data::v1 {
class Header;
class Resync;
class ResyncTaken;
}  // namespace shima::data::v1

namespace shima {

// What a group needs of its server, handed in.
struct GroupEnvironment {
  EventLoop* loop = nullptr;
  ServerDisk* disk = nullptr;
  WorkerPool* readers = nullptr;
  PeerLinks* links = nullptr;
  ServerId self;
  Incarnation incarnation;
  uint64_t unapplied_bytes = 64ull << 20;
  uint64_t resync_window_bytes = 64ull << 20;  // sent to a remote that is rebuilt, not yet stored there
  uint32_t data_groups = 1;                    // W of the volume
  replication::GroupOptions protocol;
  // Carries a ProposeMembership to etcd; any thread may answer by set_config.
  std::function<void(GroupId, Term, const replication::ProposeMembership&)> propose;
};

using SessionIdentityPtr = std::shared_ptr<const SessionIdentity>;  // of whoever asks; never null in a call

struct WriteCall {
  // Offset and length any, until the partial chunks are completed; of a kTruncate: length 0, offset any.
  replication::ClientWrite write;
  uint32_t deadline_ms = 0;
  SessionIdentityPtr who;
  std::function<void(Status, Position)> done;  // on the group's loop
};

struct ReadCall {
  SessionIdentityPtr who;
  InodeId inode;
  BlockIndex block;
  uint32_t offset = 0;  // bytes, multiple of kChunkSize
  uint32_t length = 0;  // bytes, multiple of kChunkSize
  bool own_replica = false;
  bool version_only = false;  // primary: the answer has no bytes
  struct Seen {               // beside the bytes
    uint64_t fence = 0;       // the inode's truncate sequence; at least that of the bytes
    Sequence visible;         // what this member's state has
  } seen;                     // filled in
  std::function<void(Result<BlockPiece>, Seen)> done;  // on the group's loop
};

struct JobCall {
  SessionIdentityPtr who;
  metadata::v1::JobRequest job;
  ClientId client;  // these four: of jobs that change
  RequestId request, settled_below;
  Sequence known_sequence;
  std::function<void(Status, std::string reply, Sequence)> done;  // on the group's loop; an encoded JobReply
};

// What this group knows of an inode.
struct InodeAnswer {
  InodeState state;
  uint64_t group_used_bytes = 0;
};

struct SeekCall {
  SessionIdentityPtr who;
  InodeId inode;
  BlockIndex block;
  uint32_t offset = 0;  // bytes
  bool hole = false;
  uint64_t deadline_ms = 0;                                                          // of the loop's clock
  std::function<void(Result<std::optional<std::pair<BlockIndex, uint32_t>>>)> done;  // on the group's loop
};

// For people and for the control plane; a copy, taken on the loop.
struct GroupSnapshot {
  GroupId id;
  replication::Role role = replication::Role::kNone;
  Term term;
  bool serving = false;
  std::string state;
  Position last, committed, durable, applied, trimmed;
  uint64_t journal_bytes = 0;
  std::vector<replication::ReplicaGroup::PeerStatus> peers;
  std::vector<Position> peer_durable;  // of each of peers
};

class GroupDriver : public std::enable_shared_from_this<GroupDriver> {
 public:
  GroupDriver(GroupEnvironment environment, GroupId id, GroupCheckpoint checkpoint,
              replication::RecoveredGroup recovered);
  ~GroupDriver();

  // `max_inodes`: of the volume; only the metadata group cares. Requests that come after this are held
  // against `access`, and so are those that came before and have no place in the log yet.
  void set_config(const replication::GroupConfig& config, uint64_t max_inodes,
                  std::shared_ptr<const VolumeAdmission> access);
  void read(ReadCall call);
  void write(WriteCall call);
  void run_job(JobCall call);
  void inode(const SessionIdentity& who, InodeId inode, std::function<void(Result<InodeAnswer>)> done);
  void seek(SeekCall call);
  void peer_up(ServerId peer);
  void peer_down(ServerId peer);
  // A message that came on `via`; answers go back there.
  void peer_message(ServerId from, replication::Message message, const ConnectionPtr& via);
  void resync_piece(ServerId from, const data::v1::Resync& piece, Buffer payload);
  void resync_taken(ServerId from, const data::v1::ResyncTaken& taken);
  // Calls back with true when all that is in the primary's log now is committed; with false if this is no
  // primary (any more).
  void when_committed(std::function<void(bool)> done);
  void link_drained(ServerId peer);
  void tick();
  // The volume is gone: drops records, blocks and checkpoint; `done` on the disk's worker. The driver does
  // nothing any more.
  void drop(std::function<void(Status)> done);

  GroupId id() const { return core_.id(); }
  ServerDisk* disk() const { return env_.disk; }
  const replication::ReplicaGroup& core() const { return core_; }
  GroupSnapshot snapshot() const;

 private:
  struct Durable {  // the newest record that the journal reported, on its way to the loop
    std::mutex mutex;
    Position newest;
    bool posted = false;
  };
  struct Outgoing {  // ranges of records on their way to one member, in order
    std::deque<replication::SendRecords> queue;
    bool reading = false;
    uint64_t generation = 0;  // counts connections: what was read for an old one is dropped
  };
  struct Fences {
    uint64_t seen = 0;       // highest, of writes and truncations
    uint64_t truncated = 0;  // highest of truncations
  };
  struct PartialInterest {  // partial writes in progress on a block
    unsigned count = 0;
    Sequence applied;  // newest record of the block that left the overlay meanwhile
  };

  void step(const replication::Event& event);
  void tick_core();
  void feed(const replication::Event& event);
  void carry_out(replication::AppendToJournal& effect);
  void carry_out(replication::TruncateJournal& effect);
  void carry_out(replication::SendMessage& effect);
  void carry_out(replication::SendRecords& effect);
  void carry_out(replication::Acknowledge& effect);
  void carry_out(replication::Commit& effect);
  void carry_out(replication::DropRecords& effect);
  void carry_out(replication::ReleaseJournal& effect);
  void carry_out(replication::ProposeMembership& effect);
  void carry_out(replication::StartResync& effect);
  void carry_out(replication::ForgetEverything& effect);
  void carry_out(replication::DropBlocks& effect);
  void journal_durable(Position position, const Status& status);
  void load_unapplied();
  void drop_leftover_blocks();
  void count_backlog();
  // R20: why the sender may not have that.
  Status refusal_of(const SessionIdentity& who, bool changes) const;
  void tell_space();

  // group_writes.cc
  bool has_room() const;
  Status check_write(const WriteCall& call) const;
  void admit(WriteCall call);
  bool owns(InodeId inode, BlockIndex block) const;
  void already_truncated(WriteCall call);
  void note_fence(const replication::ClientWrite& write);
  void complete_partial(std::shared_ptr<WriteCall> call);
  void partial_base_read(std::shared_ptr<WriteCall> call, Result<BlockPiece> base);
  void admit_parked();
  Status refusal_to_read() const;
  void read_version(ReadCall call);
  void end_read(ReadCall& call, Result<BlockPiece> piece);
  // group_inodes.cc
  Fences& fences_of(InodeId inode);
  bool stale_fence(const replication::ClientWrite& write);
  // Runs `task(true)` when all that is in the log now is committed; task(false) if this member can never say
  // so.
  void after_commit(std::function<void(bool)> task);
  void give_up_after_commit();
  // group_jobs.cc
  void change_by_job(JobCall call);
  void repeat_reply(JobCall call, uint64_t token, const replication::ClientWrite& write);
  void append_batch(KvBatch batch, ClientId client, RequestId request, RequestId settled_below,
                    Sequence known_sequence, std::function<void(Status, Position)> done);
  void remember_for_retries(const metadata::v1::JobRequest& job, const std::string& reply, const KvView& view,
                            KvBatch& batch);
  void forget_settled(ClientId client, RequestId settled_below, const KvView& view, KvBatch& batch);
  void end_silent_sessions();
  bool close_fenced_sessions();
  void append_own_batch(KvBatch batch);
  int64_t wall_clock_ns();
  // group_apply.cc
  void pump_apply(bool now);
  void apply_records(std::vector<RecordPtr> records);
  void applied(Sequence upto, const Status& status);
  void pump_checkpoint(bool now);
  std::string checkpoint_at(Sequence upto) const;
  // group_shipping.cc
  void pump(ServerId peer);
  bool send_from_memory(ServerId peer, replication::SendRecords& range);
  void read_for(ServerId peer, Outgoing& out);
  void send_append(ServerId peer, replication::Append append);
  void remember(const RecordPtr& record);
  void forget_remembered(Sequence upto);
  // group_resync.cc
  struct ResyncJob;
  using ResyncJobPtr = std::shared_ptr<ResyncJob>;
  struct ResyncStore {                // at the remote; the disk's worker writes it
    std::atomic<bool> failed{false};  // a piece could not be stored
    uint64_t told_bytes = 0;          // the primary was told that these are stored
  };
  bool resync_is_current(const ResyncJobPtr& job) const;
  void resync_next(const ResyncJobPtr& job);
  bool resync_may_send(const ResyncJob& job) const;
  void resync_begin(const ResyncJobPtr& job);
  void resync_blocks(const ResyncJobPtr& job);
  void resync_keys(const ResyncJobPtr& job);
  void resync_inode(ResyncJob& job);
  void resync_block(ResyncJob& job, const BlockKey& key, uint32_t offset, const BlockPiece& content);
  void resync_failed(const ResyncJob& job, const Status& why);
  bool resync_window_fits(ServerId to, size_t window_bytes) const;
  void resync_send(ResyncJob& job, data::v1::Header header, Buffer payload);
  data::v1::Header resync_header(const ResyncJob& job) const;
  Status delete_state();
  Status store_piece(const RecordPtr& piece, const std::optional<InodeState>& state);
  void resync_stored(ServerId from, const replication::ResyncEnd& end);

  GroupEnvironment env_;
  replication::ReplicaGroup core_;
  std::string volume_;
  uint32_t block_size_;
  const bool metadata_;
  std::shared_ptr<const VolumeAdmission> access_;  // null until the first set_config()
  bool dropped_ = false;
  uint64_t last_event_ms_ = 0;  // other than Tick: a group where nothing happens ticks once a second only
  uint64_t last_tick_ms_ = 0;

  std::shared_ptr<Durable> durable_ = std::make_shared<Durable>();
  uint64_t next_token_ = 1;
  std::map<uint64_t, std::function<void(Status, Position)>> waiting_;   // by token
  std::deque<std::pair<uint64_t, std::shared_ptr<WriteCall>>> parked_;  // deadline (loop ms), call
  std::map<std::pair<InodeId, BlockIndex>, PartialInterest> partial_;

  // What is in the log but not yet in the state machine: one of the two.
  Overlay overlay_;
  PendingBatches pending_;
  template <typename F>
  auto unapplied(F use) {
    return metadata_ ? use(pending_) : use(overlay_);
  }
  template <typename F>
  auto unapplied(F use) const {
    return metadata_ ? use(pending_) : use(overlay_);
  }
  bool overlay_loaded_ = false;
  uint64_t counted_bytes_ = 0;  // of the overlay, in the disk's backlog
  Sequence applicable_;         // Commit said so
  Sequence applied_;            // in the block store
  // Blocks are overwritten in place: after a crash they hold what they should only once all that was in the
  // journal is applied again. Until then nobody reads them.
  Sequence replay_until_;
  bool replaying() const { return applied_ < replay_until_; }
  bool applying_ = false;
  // Counts ForgetEverything and DropBlocks: what was read from the journal before is dropped.
  uint64_t apply_epoch_ = 0;
  bool told_full_ = false;
  bool congested_ = false;  // member: more is committed than the block store takes in; the primary waits
  Sequence checkpoint_asked_;
  Sequence drop_wanted_;  // secondary: DropRecords said so
  uint64_t checkpoint_ms_ = 0;
  bool checkpointing_ = false;

  std::unordered_map<InodeId, Fences>
      fences_;  // primary: of all that is in the log, committed or not; a cache
  std::multimap<Sequence, std::function<void(bool)>> after_commit_;

  // metadata primary
  SessionTable sessions_;
  bool fenced_sessions_due_ = true;  // sessions may be there of those who may not use the volume any more
  Sequence fenced_sessions_closed_;  // by the record up to here
  uint64_t max_inodes_ = 0;
  int64_t last_wall_ns_ = 0;
  uint64_t sessions_checked_ms_ = 0;
  RequestId own_request_;               // of batches that no client asked for
  std::string retries_forgotten_upto_;  // key of the newest stored reply to a retry that is gone already
  std::map<ClientId, RequestId> forgotten_below_;  // stored replies that are gone already

  std::deque<RecordPtr> remembered_;  // primary: newest records, contiguous, for sending
  uint64_t remembered_bytes_ = 0;
  std::map<ServerId, Outgoing> outgoing_;
  std::map<ServerId, ConnectionPtr> reply_via_;  // member: where the primary speaks to us
  ConnectionPtr hello_via_;                      // member: where the Hello that is being answered came from
  std::map<ServerId, ResyncJobPtr> resyncs_;     // primary: those that are under way
  std::shared_ptr<ResyncStore> resync_store_ = std::make_shared<ResyncStore>();
  std::string resync_window_;  // remote: what came of the request window
};

// Sends on the connection from whatever loop the caller is on.
void send_on(const ConnectionPtr& connection, Frame frame);

}  // namespace shima
