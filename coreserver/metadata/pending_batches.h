// PendingBatches: the batches of a metadata group that are in the log but not yet in the KvStore, for reads
// and jobs; what driver/overlay.h is for blocks.
//
// Threads: none of its own; one owner. A view is used at once on the owner's thread, before the next call of
// add, applied, truncate or clear. Memory: each batch is kept twice, as record and by key; the log's limits
// bound it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/types/record.h"
#include "coreserver/jobs/kv_view.h"
#include "coreserver/metadata/kv_store.h"

namespace shima {

class PendingBatches {
 public:
  // Positions ascend without gaps. A payload that is no batch is remembered: views that reach to it have its
  // error as their status.
  void add(const RecordPtr& record);
  // Records up to `upto` are in the KvStore now.
  void applied(Sequence upto);
  void truncate(Sequence after);
  void clear();

  // All records in (from, upto], oldest first, until their bytes pass max_bytes (at least one).
  std::vector<RecordPtr> next_to_apply(Sequence from, Sequence upto, uint64_t max_bytes) const;

  // The KV as of record `upto`: the newest pending change of each key that is not newer, over what `store`
  // has. The store may hold records newer than the oldest pending one, but none newer than `upto`.
  std::unique_ptr<KvView> view(const KvStore& store, GroupId group, Sequence upto) const;

  uint64_t bytes() const { return bytes_; }
  bool empty() const { return records_.empty(); }
  Sequence first() const {
    return records_.empty() ? Sequence() : records_.front().record->header.position.sequence;
  }

 private:
  struct Version {
    Sequence sequence;
    std::optional<std::string> value;  // none: the key goes
  };
  using Versions = std::deque<Version>;  // oldest first
  using VersionsByKey = std::map<std::string, Versions, std::less<>>;
  struct Pending {
    RecordPtr record;
    std::vector<VersionsByKey::iterator> keys;  // that the batch changes, each once
  };
  class View;

  static Sequence sequence_of(const Pending& p) { return p.record->header.position.sequence; }
  void forget(const Pending& pending, bool newest);

  std::deque<Pending> records_;  // contiguous
  VersionsByKey keys_;
  std::map<Sequence, Status> damaged_;  // records whose payload is no batch
  uint64_t bytes_ = 0;
};

}  // namespace shima
