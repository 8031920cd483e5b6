// VolumeClient: a volume's files and jobs over the network, wherever their blocks and groups are.
//
// A range is cut at block borders; the pieces go in parallel to the primaries of their replica groups
// (common/types/block_routing.h), each with its checksums; jobs go to the metadata group's. They are sent
// again, with the same request id and after reading the layout again, when a connection is lost, a primary
// has changed or nothing answers, until the deadline.
//
// Threads: all methods from any thread; a call from the client's event loop is on its way when it returns.
// Callbacks run on that loop, never inside the call, and must not block; they may start new operations. The
// blocking calls are for any thread but that loop. Order: operations in flight at the same time are not
// ordered; whoever overlaps writes waits for the first. An error of an operation of several pieces may leave
// some of them written, but comes only when none of them is on its way any more. After kDeadlineExceeded a
// write or job may or may not have happened, and may still happen until the next one at the same replica
// group has returned. Errors: kInvalidArgument (range outside the volume, more than kMaxFileReadBytes),
// kNoSpace, kStaleFence, kRequestTooOld ... as the core server says them, at once; kFailedPrecondition for
// jobs of a volume without a metadata group; kDeadlineExceeded with the group, the server and the last error;
// kCorrupt when the bytes stay wrong after three tries.
//
// kFenced: a core server says that the client's identity may not use the volume (any more, R20). That is
// final: nothing is sent again, whatever is in flight and every later call ends with it at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "accessserver/volume/client_identity.h"
#include "accessserver/volume/volume_access.h"
#include "accessserver/volume/volume_layout.h"
#include "common/observe/histogram.h"
#include "common/status/status.h"
#include "common/types/buffer.h"

namespace shima {

inline constexpr uint64_t kMaxFileReadBytes = 16ull << 20;  // of one read_file()

struct VolumeClientOptions {
  uint32_t deadline_ms = 30'000;  // of each operation, from its call
  // Pieces sent and not answered; more wait, first come first served. Jobs, truncations and questions have as
  // many places of their own, so that they do not wait behind bytes.
  uint32_t max_in_flight = 64;
  uint64_t max_in_flight_bytes = 64ull << 20;  // payload of these
  ClientId client;                             // 0: drawn at random
  uint32_t retry_min_ms = 50;                  // back-off of retries, doubling, with jitter
  uint32_t retry_max_ms = 1'000;
  uint32_t ask_after_ms = 2'000;   // no answer for so long: see in the layout whether the primary has changed
  uint32_t dead_after_ms = 5'000;  // a server that sends nothing for this long is given up
  uint32_t socket_buffer_bytes = 0;  // see ConnectionOptions
  // Where this client is. Away from the volume's home, read_file() takes bytes from the own site's replica
  // where that is as new as the home says it must be (R17). Empty: always from the home.
  std::string own_site;
  uint32_t replica_read_min_bytes = 64 << 10;  // of one block; smaller pieces are read at home at once
  uint32_t replica_wait_ms = 50;               // for the replica's bytes, after the home's answer
  uint32_t replica_pause_ms = 200;             // so long a replica in trouble is not asked, by group
  ClientIdentity identity;
  // The identity is fenced: called once, on the client's loop; must not block.
  std::function<void(const Status&)> on_fenced;
};

struct VolumeClientStats {
  // Operations that ended, well or not. Queries: inode data and seeks.
  uint64_t reads = 0, writes = 0, punches = 0, truncates = 0, jobs = 0, queries = 0;
  uint64_t failed = 0;  // those that ended with an error
  uint64_t read_bytes = 0, written_bytes = 0;
  uint64_t pieces_sent = 0, pieces_sent_again = 0;
  uint64_t connections_lost = 0, layouts_fetched = 0, checksum_errors = 0;
  // Pieces (R17) that were read without bytes from the home: the own site's replica had them, or they are a
  // hole; and those that the replica was asked for, and had not in time: they were sent again, to the home.
  uint64_t replica_reads = 0, replica_fallbacks = 0;
  uint64_t replica_bytes = 0;           // of replica_reads
  Histogram read_us, write_us, job_us;  // from call to callback
};

// volume_access.h has the calls for files and jobs. A punch_file() of more than 1,024 blocks goes over them
// in several rounds, each with a deadline of its own, and leaves out what is a hole already, as does a search
// for a hole.
//
// With own_site, read_file() asks two servers at the same time: the primary at home how new a piece is, and
// the own site's replica for the bytes. A replica that is behind, slow, being rebuilt or gone costs one more
// trip to the home, and is left alone for 200 ms (by group). Linearizable all the same: the bytes are those
// that the primary had when it answered.
class VolumeClient : public VolumeAccess {
 public:
  using ReadDone = std::function<void(Status, Buffer)>;

  // Fetches the layout (until the deadline) and starts the client's threads. The source must outlive the
  // client.
  static Result<std::unique_ptr<VolumeClient>> open(LayoutSource& source, const std::string& name,
                                                    const VolumeClientOptions& options = {});
  // Operations in flight end with kUnavailable. Not from a callback.
  ~VolumeClient() override = default;

  // The one file (inode 1) of a volume that is used as a disk image; its size is the volume's.
  virtual void read(uint64_t offset, uint64_t length, ReadDone done) = 0;
  virtual void write(uint64_t offset, Buffer bytes, Done done) = 0;
  virtual void punch(uint64_t offset, uint64_t length, Done done) = 0;  // the range becomes a hole: zeros
  // Reads what the member at `site` holds in its own block store. Unordered: a remote site may lag behind.
  virtual void read_site(const std::string& site, uint64_t offset, uint64_t length, ReadDone done) = 0;
  // The same of a file: at most kMaxFileReadBytes; what the site does not hold is zeros.
  virtual void read_site_file(const std::string& site, InodeId inode, uint64_t offset, uint64_t length,
                              ReadDone done) = 0;

  // The same, waiting for the end.
  Result<Buffer> read(uint64_t offset, uint64_t length);
  Status write(uint64_t offset, Buffer bytes);
  Status punch(uint64_t offset, uint64_t length);
  Result<Buffer> read_site(const std::string& site, uint64_t offset, uint64_t length);

  // Ends whatever is in flight, and every later call, with `why`. What was sent may still be carried out,
  // unless core servers refuse it. Returns at once; any thread.
  virtual void retire(Status why) = 0;
  // Reads the volume's record again, for example after its size was set.
  virtual Status refresh() = 0;
  virtual VolumeClientStats stats() = 0;
  // Statistics since the last call of this (or since open): for measurements by windows.
  virtual VolumeClientStats take_stats() = 0;
};

}  // namespace shima
