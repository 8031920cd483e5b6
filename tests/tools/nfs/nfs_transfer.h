// What shima-nfsclient does with a file: copy it in and out with many requests in flight, measure single
// writes, and write numbered pieces that survive the loss of a server. All print one JSON line at the end.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"
#include "tests/tools/nfs/nfs_session.h"

namespace shima {

struct TransferOptions {
  size_t depth = 16;  // pieces in flight
  uint64_t piece_bytes = 1u << 20;
  bool progress = false;  // lines on standard error
};

// Writes a local file to `path`, but for pieces of 64 KiB that are zero: these stay holes.
Status put_file(NfsSession& session, const std::string& local, const std::string& path,
                const TransferOptions& options);
// Reads `path` whole, into `local` unless that is empty; prints its sha256.
Status get_file(NfsSession& session, const std::string& path, const std::string& local,
                const TransferOptions& options);

struct WriteLoop {
  uint64_t count = 1000;  // writes
  uint64_t bytes = 4096;  // of each
  bool append = false;    // each behind the one before; else over and over in the first MiB
};
// One write at a time; prints latencies.
Status measure_writes(NfsSession& session, const std::string& path, const WriteLoop& loop);

// Pieces of 4 KiB, each full of its number, one after the other. When the server does not answer, goes on at
// the next one, within `patience_s` seconds. Prints how many it wrote (fewer if it was asked to end,
// asked_to_end.h), the longest time between two ACKs, and how often it changed servers.
Status write_numbered(NfsSession& session, const std::string& path, uint64_t count, uint64_t patience_s);
// kCorrupt: a piece is not there or has another number.
Status verify_numbered(NfsSession& session, const std::string& path, uint64_t count);

}  // namespace shima
