// Writes numbered pieces to random places of a volume and remembers what was acknowledged; reads them back
// and says what is older than that.
#pragma once

#include <cstdint>
#include <string>

#include "accessserver/volume/volume_client.h"
#include "tests/tools/ack_log.h"

namespace shima {

struct WriteOptions {
  double seconds = 5;
  uint32_t depth = 8;       // writes on their way; none two to the same place
  uint64_t span_bytes = 0;  // the first bytes of the volume; 0: all
  uint64_t seed = 1;        // of the order of the places
  uint64_t max_writes = 0;  // 0: no limit
};

// Prints a JSON line each second and one at the end, also when it is asked to end before its time
// (asked_to_end.h). A write that fails is counted and its place used again; kFailedPrecondition if nothing at
// all was acknowledged.
Status write_pieces(VolumeClient& client, AckLog& log, const WriteOptions& options);

// Reads every place of the log, through the primaries or what `site` holds, and prints a JSON line. kCorrupt
// with the first few places where a piece is older than the last acknowledged one, torn, or misplaced. What
// the primaries show is noted in the log: it must stay.
Status verify_pieces(VolumeClient& client, AckLog& log, const std::string& site);

}  // namespace shima
