// SimDisk: the journal and the block store of one member, and what a crash leaves of them.
//
// Journal: entries (append a record, cut off the tail) become durable in order, batch by batch. A crash keeps
// all durable ones and a random prefix of the others; the first one lost may be torn. A release may be
// forgotten. Block store: contents change when records are applied; a checkpoint makes them durable together
// with where the log stood. A crash leaves contents at some point between the last checkpoint and the last
// apply. A block is kChunks chunks; a chunk's content is one number (0: never written, or a hole).
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/types/crc32c.h"
#include "coreserver/replication/replica_group.h"
#include "tests/simulation/random.h"
#include "tests/simulation/statistics.h"

namespace shima::simulation {

inline constexpr uint32_t kChunks = 2;
using Blocks =
    std::map<uint64_t, std::array<uint64_t, kChunks>>;  // blocks that hold nothing are not in the map

// The number which a record writes into each chunk that it covers.
uint64_t content_of(const Record& record);
void apply_record(Blocks& blocks, const Record& record);

struct Checkpoint {
  Position applied;
  std::vector<replication::TermStart> history;
  std::string window = replication::RequestWindow().save(Sequence());
  Sequence folded;
  bool resyncing = false;
  Blocks blocks;
};

class SimDisk {
 public:
  // ---- journal ----
  void append(RecordPtr record);
  void truncate(Sequence after);
  size_t unsynced() const { return pending_.size(); }
  // The first `count` unsynced entries are durable now; returns the position of the last record among them.
  Position synced(size_t count);
  void release(Sequence upto, Random& random);
  const RecordPtr* read(Sequence sequence) const;  // nullptr: never there, cut off or released
  // True if the record at `position` would survive a crash now, in the journal or through a checkpoint.
  bool holds(Position position) const;
  Sequence durable_end() const;
  Sequence released() const { return released_; }
  size_t records() const { return live_.size(); }
  const std::map<Sequence, RecordPtr>& durable_records() const { return durable_; }

  // ---- block store ----
  void apply(const RecordPtr& record);
  void clear_blocks();
  const Blocks& blocks() const { return blocks_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  // Two steps: what to make durable, and that it is; applies in between belong to the next checkpoint.
  size_t applied_since_checkpoint() const { return since_.size(); }
  void checkpointed(Checkpoint checkpoint, size_t covered);
  // A remote forgets all. Until forgotten(), a crash may find all as it was, or a copy that calls itself
  // incomplete beside records that are still in the journal.
  void forget();
  void forgotten() { forgetting_.reset(); }
  // A resync is stored: blocks and position, durably.
  void store_resync(Checkpoint checkpoint);

  void crash(Random& random, Statistics& statistics);
  // What a restarted member starts from. Clears what an unfinished resync or fold left in the block store.
  replication::RecoveredGroup recover(bool secondary);

 private:
  struct Entry {
    RecordPtr record;  // nullptr: cut off what lies beyond `after`
    Sequence after;
  };
  static void carry_out(const Entry& entry, std::map<Sequence, RecordPtr>& log);

  std::map<Sequence, RecordPtr> live_, durable_;
  std::deque<Entry> pending_;
  Sequence released_, released_durably_;

  struct Kept {  // what is on the disk while it is being forgotten
    std::map<Sequence, RecordPtr> records;
    Sequence released;
    Checkpoint checkpoint;
  };
  std::optional<Kept> forgetting_;

  Blocks blocks_;
  Checkpoint checkpoint_;
  std::vector<RecordPtr> since_;  // applied since the checkpoint; nullptr: all blocks were dropped
};

}  // namespace shima::simulation
