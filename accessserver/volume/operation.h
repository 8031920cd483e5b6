// What a caller asked for, and the pieces it was cut into. Private to the volume client; lives on its loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/volume/block_pieces.h"
#include "common/status/status.h"
#include "common/types/buffer.h"

namespace shima {

enum class OperationKind : uint8_t { kRead, kWrite, kPunch };

struct Piece;
class ServerLink;

struct Operation {
  OperationKind kind = OperationKind::kRead;
  std::string site;  // reads: this site's own member; empty: the primary
  uint64_t length = 0;
  uint64_t started_us = 0, deadline_us = 0;
  std::function<void(Status, Buffer)> done;

  std::vector<std::shared_ptr<Piece>> pieces;  // emptied when all have been queued
  size_t left = 0;                             // pieces that have not ended
  Status error;                                // the first one
  Buffer whole;                                // read of one piece: its bytes
  std::shared_ptr<uint8_t[]> assembled;        // read of several pieces: where they come together
};

struct Piece {
  std::shared_ptr<Operation> operation;
  BlockPiece where;
  GroupIndex group;
  Buffer payload;                    // writes
  std::vector<uint32_t> checksums;   // writes
  RequestId request;                 // writes; given when first sent
  uint64_t frame = 0;                // id of the frame that is out; 0: none
  uint64_t sent_us = 0;              // when last
  ServerId server;                   // to whom last
  Term term;                         // of the group, as the layout had it then
  const ServerLink* link = nullptr;  // what it was last sent over; for comparison only
  std::string server_name;
  bool placed = false;  // holds a place in flight
  uint32_t times_sent = 0, times_corrupt = 0;
  Status last_error;

  uint64_t cost() const { return operation->kind == OperationKind::kPunch ? 0 : where.length; }
};

using PiecePtr = std::shared_ptr<Piece>;

}  // namespace shima
