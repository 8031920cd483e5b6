// What goes into a replica group (events) and what comes out (effects).
//
// PURE. The driver (coreserver/driver) or the simulator (tests/simulation) feeds events and carries out
// effects, in order.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/status/status.h"
#include "common/types/record.h"
#include "coreserver/replication/group_config.h"
#include "coreserver/replication/messages.h"

namespace shima::replication {

// ---- events ----

struct ConfigChanged {  // the volume's record was read from etcd
  GroupConfig config;
};
struct ClientWrite {   // a client wants a change; whole chunks only, or one batch of metadata
  uint64_t token = 0;  // comes back in Acknowledge
  ClientId client;
  RequestId request;
  RequestId settled_below;
  Sequence known_sequence;
  RecordKind kind = RecordKind::kWrite;
  InodeId inode;
  BlockIndex block;
  uint32_t offset = 0;  // bytes
  uint32_t length = 0;  // bytes
  std::vector<uint32_t> checksums;
  Buffer payload;
  uint64_t fence = 0;   // as in RecordHeader
  int64_t time_ns = 0;  // as in RecordHeader
};
struct LocalDurable {  // the journal has fdatasync'ed the record at `upto` and all before it
  Position upto;
};
struct PeerUp {  // a connection to the member stands (again)
  ServerId peer;
};
struct PeerDown {
  ServerId peer;
};
struct PeerMessage {
  ServerId from;
  Message message;
};
struct Checkpointed {  // the effects of records up to `upto` are durable outside the journal (applied, or
                       // dropped)
  Sequence upto;
};
struct SpaceChanged {  // the local disk is full, or no longer
  bool full = false;
};
struct ResyncProgress {  // the driver has sent another piece
  ServerId to;
  uint64_t round = 0;
};
struct ResyncSent {  // the driver has sent all blocks for StartResync
  ServerId to;
  uint64_t round = 0;
};
struct ResyncStored {  // the driver has durably stored all pieces up to ResyncEnd at this remote
  Position position;
};
struct Tick {           // about every 50 ms
  uint64_t now_ms = 0;  // of a clock that never goes back
};

using Event = std::variant<ConfigChanged, ClientWrite, LocalDurable, PeerUp, PeerDown, PeerMessage,
                           Checkpointed, SpaceChanged, ResyncProgress, ResyncSent, ResyncStored, Tick>;

// ---- effects ----

struct AppendToJournal {  // then LocalDurable
  RecordPtr record;
};
struct TruncateJournal {  // records beyond `after` are void; order against AppendToJournal matters
  Sequence after;
};
struct SendMessage {
  ServerId to;
  Message message;
};
struct SendRecords {  // read records [first, last] from memory or the journal, put them into `append` and
                      // send it
  ServerId to;
  Sequence first;
  Sequence last;
  Append append;
};
struct Acknowledge {  // the answer to ClientWrite{token}
  uint64_t token = 0;
  Status status;
  Position position;
};
struct Commit {  // records up to `upto` are committed: visible to readers, and to be applied to the block
                 // store
  Sequence upto;
};
struct DropRecords {  // secondary: records up to `upto` are safe at every whole remote; checkpoint, then
                      // Checkpointed
  Sequence upto;
};
struct ReleaseJournal {  // nobody needs records up to `upto` from this journal any more
  Sequence upto;
};
// Compare-and-swap this into the volume's record (R7, R12); then ConfigChanged, or nothing. It may only take
// effect on the record's version `based_on`: on a later one, what the primary promised to wait for may
// already be trimmed.
struct ProposeMembership {
  ConfigVersion based_on;
  ServerId member;
  bool whole = true;
  bool in_sync = true;
  std::string reason;
};
struct StartResync {  // primary: send all blocks of the block store to the remote; then ResyncSent
  ServerId to;
  uint64_t round = 0;
};
// Nothing that was under way for the group before this (LocalDurable, Checkpointed, ResyncStored) may be
// reported after it.
struct ForgetEverything {  // remote, on ResyncBegin: drop all blocks and records of the group, durably
};
struct DropBlocks {  // secondary that folded: remotes are whole again; the blocks are not needed any more
};

using Effect =
    std::variant<AppendToJournal, TruncateJournal, SendMessage, SendRecords, Acknowledge, Commit, DropRecords,
                 ReleaseJournal, ProposeMembership, StartResync, ForgetEverything, DropBlocks>;

}  // namespace shima::replication
