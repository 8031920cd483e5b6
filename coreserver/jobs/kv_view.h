// KvView: the metadata of one volume as sorted keys and values, at one instant; and KvBatch, a change to it.
//
// Keys are of this volume's metadata group only (the store puts the group in front). Implementations:
// metadata/pending_batches.h (what is in the log, over RocksDB) and MemoryKv in tests. A failed read is
// remembered: get() and scan() then say "not there", and whoever runs a job looks at status() before anything
// it returned is used. Threads: as the implementation says.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"

namespace shima {

class KvView {
 public:
  virtual ~KvView() = default;
  virtual std::optional<std::string> get(std::string_view key) const = 0;
  // Visits keys >= `from` that begin with `prefix`, ascending, until `visit` returns false.
  virtual void scan(std::string_view prefix, std::string_view from,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
  virtual Status status() const = 0;
};

struct KvChange {
  std::string key;
  std::optional<std::string> value;  // none: the key goes
  bool operator==(const KvChange&) const = default;
};

// One atomic change; a later change of the same key wins.
using KvBatch = std::vector<KvChange>;

// Format: version byte (1), then for each change: 1 byte (0 delete, 1 put), key and value, each after its
// 32-bit little-endian length. decode refuses hostile input (kCorrupt).
std::string encode_kv_batch(const KvBatch& batch);
Result<KvBatch> decode_kv_batch(std::string_view bytes);

}  // namespace shima
