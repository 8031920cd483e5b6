// A piece whose bytes may come from the own site's replica, ordered by the primary at home (R17). Private to
// the volume client; lives on its loop.
//
// Two questions go out at the same time: to the primary, over the WAN, how new the piece is; to the own
// site's member for its bytes. What the member holds is given to the caller only if it is what the primary
// had when it answered: neither older (the read would miss a write that was ACKed before it began) nor newer
// (the primary's fence would not be that of the bytes, and a truncation would show through, R18).
#pragma once

#include <optional>

#include "accessserver/volume/piece_codec.h"
#include "common/runtime/event_loop.h"

namespace shima {

struct OwnReplicaRead {
  uint64_t frame = 0;                 // id of the frame that is out to the member; 0: none (any more)
  const ServerLink* link = nullptr;   // what it was sent over; for comparison only
  std::optional<PieceReply> bytes;    // the member's good answer
  std::optional<PieceReply> version;  // the primary's
  EventLoop::TimerId patience = 0;    // runs from the primary's answer on: the member is slow
};

enum class ReplicaVerdict : uint8_t {
  kCurrent,  // the bytes are those of the primary's answer
  kBehind,   // the member lacks a record that the primary had
  kOther,    // newer than the primary's answer, or it cannot be told
};

// `version`: the primary's good answer to version_only, is_hole() of which is false. `bytes`: the member's.
ReplicaVerdict compare_versions(const PieceReply& version, const PieceReply& bytes);

// Whether the primary's answer to version_only says that the block is not there at all: zeros, whatever a
// member holds.
bool is_hole(const PieceReply& version);

}  // namespace shima
