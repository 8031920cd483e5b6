// Requests and replies of one piece as frames' headers (api/shima/data/v1/data.proto).
#pragma once

#include <optional>
#include <string>

#include "accessserver/volume/client_identity.h"
#include "accessserver/volume/operation.h"
#include "common/transport/frame.h"
#include "common/types/ids.h"

namespace shima {

// What a request carries besides its piece.
struct RequestContext {
  VolumeId volume;
  ClientId client;
  RequestId settled_below;
  Sequence known_sequence;
  uint32_t deadline_ms = 0;
};

struct PieceReply {
  Status status;      // as the server said it, or kCorrupt if the payload's checksum is wrong
  Sequence sequence;  // of the block version, or the job's record
  Term term;          // reads: of the block version; 0: there is no such block
  Sequence visible;   // reads of an own replica: it has everything up to here
  Buffer bytes;       // reads: exactly the piece's bytes
  bool all_zero = false;
  uint64_t fence = 0;             // reads
  InodeData inode_data;           // inode queries
  std::optional<uint64_t> found;  // seeks: bytes from the start of the file, at or after the piece's place
  std::optional<metadata::v1::JobReply> job_reply;
};

// Checksums of a write's payload as WriteRequest wants them.
std::vector<uint32_t> write_checksums(const BlockPiece& where, const Buffer& payload);

// Reads whose bytes the own site's replica is asked for ask for the version only.
Frame encode_request(const Piece& piece, const RequestContext& context);
// A read's second request, to the own site's replica (R17).
Frame encode_own_replica_read(const Piece& piece, uint64_t frame, const RequestContext& context);

// kInternal if the frame is no reply to such a piece, or one that cannot be.
PieceReply decode_reply(const Piece& piece, const Frame& frame, uint32_t block_size);
PieceReply decode_own_replica_reply(const Piece& piece, const Frame& frame);

// The first frame of each side.
Frame encode_greeting(ClientId client, const ClientIdentity& identity, ServerId expected);
// Ok if the frame is the greeting of `expected`.
Status check_greeting(const Frame& frame, ServerId expected);

}  // namespace shima
