// What a caller asked for, and the pieces it was cut into. Private to the volume client; lives on its loop.
//
// A piece is what goes to one replica group in one frame: a part of a byte range, a truncation at a group, a
// job, or a question.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "accessserver/volume/block_pieces.h"
#include "accessserver/volume/volume_access.h"
#include "common/status/status.h"
#include "common/types/buffer.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

enum class OperationKind : uint8_t { kRead, kWrite, kPunch, kTruncate, kJob, kInodeData, kSeek };

struct Piece;
struct OwnReplicaRead;
class ServerLink;

struct Operation {
  using ReadDone = std::function<void(Status, Buffer)>;
  using Callback = std::variant<ReadDone, VolumeAccess::BytesDone, VolumeAccess::Done, VolumeAccess::JobDone,
                                VolumeAccess::InodeDone, VolumeAccess::SeekDone>;

  OperationKind kind = OperationKind::kRead;
  InodeId inode;
  std::string site;                  // reads: this site's own member; empty: the primary
  bool may_use_own_replica = false;  // reads: ordered by the primary, with the bytes of the own site (R17)
  uint64_t length = 0;
  WriteTags tags;       // writes, punches, truncations
  bool remove = false;  // truncations
  bool hole = false;    // seeks
  uint64_t end = 0;     // seeks: places at or beyond it are not found; bytes from the start of the file
  uint64_t started_us = 0, deadline_us = 0;
  Callback done;

  std::vector<std::shared_ptr<Piece>> pieces;  // emptied when all have been queued
  size_t left = 0;                             // pieces that have not ended
  Status error;                                // the first one

  Buffer whole;                          // read of one piece: its bytes
  std::shared_ptr<uint8_t[]> assembled;  // read of several pieces: where they come together
  uint64_t fence = 0;                    // reads: the highest
  InodeData inode_data;                  // so far
  std::optional<uint64_t> found;         // seeks: the lowest so far; bytes from the start of the file
  std::optional<metadata::v1::JobReply> job_reply;
};

struct Piece {
  std::shared_ptr<Operation> operation;
  BlockPiece where;  // truncations and seeks: from here on, length 0; jobs and inode queries: nothing
  GroupIndex group;
  Buffer payload;                    // writes and jobs
  std::vector<uint32_t> checksums;   // of the payload
  bool wants_request_id = false;     // it changes something: servers must know a repetition (R20)
  RequestId request;                 // given when first sent
  uint64_t frame = 0;                // id of the frame that is out; 0: none
  uint64_t sent_us = 0;              // when last
  ServerId server;                   // to whom last
  Term term;                         // of the group, as the layout had it then
  const ServerLink* link = nullptr;  // what it was last sent over; for comparison only
  std::string server_name;
  bool placed = false;  // holds a place in flight
  uint32_t times_sent = 0, times_corrupt = 0;
  Status last_error;
  // While the own site's replica is asked, too: `frame` asks the primary for the version only.
  std::shared_ptr<OwnReplicaRead> own_replica;
  bool bytes_from_home = false;  // the own site's replica has failed it

  // Bytes that travel for it, one way or the other.
  uint64_t cost() const {
    return operation->kind == OperationKind::kRead ? where.length : uint64_t{payload.size()};
  }
  // A server may have it, and may yet carry it out.
  bool may_have_happened() const { return wants_request_id && times_sent > 0; }
};

using PiecePtr = std::shared_ptr<Piece>;

// Calls the operation's callback, once, with what its pieces brought or its error.
void call_back(Operation& operation);

}  // namespace shima
