// EtcdClient: blocking calls, leases and watches on etcd's v3 API over gRPC.
//
// Purpose: etcd is the one consensus engine of Shima; all that is agreed on lies there (rule R4). This is the
// only place that speaks its protocol.
// Endpoints: tried in the order given, the first is preferred; one that failed is put behind the others until
// it is reachable again. Reads go on to the next endpoint on any failure. Writes go on only while it is
// certain that no endpoint has seen the request.
// Threads: every method from any thread. Callbacks run on threads of the client's own, one per watch or lease
// keeper; a callback must not destroy the object that calls it. Watches and keepers end before their client.
// Errors: kUnavailable: surely not done (or, of a read, no answer in time); try again later.
//         kDeadlineExceeded: only of writes: it *may* have happened, or may happen yet (R4).
//         kConflict: a compare failed, nothing was changed. kNotFound: there is no such key or lease.
//         kNoSpace: etcd's own database is full. All name the endpoints that were tried and what to do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/types/ids.h"

namespace shima {

using EtcdRevision = Strong<struct EtcdRevisionTag, int64_t>;  // counts changes of the whole store; 0: none
using EtcdLease = Strong<struct EtcdLeaseTag, int64_t>;        // 0: no lease

struct EtcdOptions {
  uint32_t call_timeout_ms = 5000;     // one call, over all the endpoints that it tries
  uint32_t attempt_timeout_ms = 2000;  // one endpoint's share of it, if there are others left
  uint32_t connect_timeout_ms = 1000;  // waiting for one endpoint's connection
  uint32_t watch_silence_ms = 6000;    // a watch that hears nothing for so long connects anew
};

enum class EtcdRead {
  kLinearizable,
  kSerializable,  // this member's own state, perhaps old; works without a majority
};

struct EtcdKeyValue {
  std::string key;
  std::string value;
  EtcdRevision mod_revision;  // when it was last written; what compare_and_swap() compares
  EtcdLease lease;
};

struct EtcdRange {
  std::vector<EtcdKeyValue> items;  // by key
  EtcdRevision revision;            // of the store when it was read; watch from revision.next() on
};

// The key's mod revision must equal `expected`; 0: the key must not exist.
struct EtcdCompare {
  std::string key;
  EtcdRevision expected;
};

struct EtcdOperation {
  enum class Kind { kPut, kRemove };
  Kind kind = Kind::kPut;
  std::string key;
  std::string value;  // kPut
  EtcdLease lease;    // kPut: the key goes when the lease does

  static EtcdOperation put(std::string key, std::string value, EtcdLease lease = EtcdLease()) {
    return {Kind::kPut, std::move(key), std::move(value), lease};
  }
  static EtcdOperation remove(std::string key) { return {Kind::kRemove, std::move(key), {}, {}}; }
};

struct EtcdWatchBatch {
  enum class Kind {
    kEvents,    // `changes` in the order of their revisions
    kFullList,  // `changes` is the whole prefix, and nothing else exists: at the start, after a compaction
    kProgress,  // nothing changed up to `revision`; the connection lives
  };
  struct Change {
    bool removed = false;
    EtcdKeyValue item;  // removed: key and mod_revision only
  };
  Kind kind = Kind::kEvents;
  EtcdRevision revision;  // the store's; all changes up to it have been told
  std::vector<Change> changes;
};

// A running watch. Its destructor ends it and waits for a callback that runs.
class EtcdWatch {
 public:
  virtual ~EtcdWatch() = default;
  // Since etcd was last heard of; seldom above watch_silence_ms / 4 in good times.
  virtual uint64_t silent_ms() const = 0;
};

// Keeps a lease alive. Its destructor stops doing so, without revoking it.
class EtcdLeaseKeeper {
 public:
  virtual ~EtcdLeaseKeeper() = default;
  virtual bool is_alive() const = 0;  // false once lost
};

class EtcdClient {
 public:
  using OnWatch = std::function<void(const EtcdWatchBatch&)>;
  using OnLeaseLost = std::function<void(Status)>;

  // Endpoints as HOST:PORT, [IPV6]:PORT or with http:// in front. Connects lazily.
  static Result<std::unique_ptr<EtcdClient>> create(std::vector<std::string> endpoints,
                                                    EtcdOptions options = EtcdOptions());
  virtual ~EtcdClient() = default;

  virtual Result<EtcdKeyValue> get(const std::string& key, EtcdRead read = EtcdRead::kLinearizable) = 0;
  virtual Result<EtcdRange> list(const std::string& prefix, EtcdRead read = EtcdRead::kLinearizable) = 0;

  // All return the revision of the change.
  virtual Result<EtcdRevision> put(const std::string& key, const std::string& value,
                                   EtcdLease lease = {}) = 0;
  virtual Result<EtcdRevision> compare_and_swap(const std::string& key, EtcdRevision expected,
                                                const std::string& value, EtcdLease lease = {}) = 0;
  virtual Result<EtcdRevision> compare_and_remove(const std::string& key, EtcdRevision expected) = 0;
  // All operations if all compares hold, else none and kConflict.
  virtual Result<EtcdRevision> transact(const std::vector<EtcdCompare>& compares,
                                        const std::vector<EtcdOperation>& operations) = 0;

  // A lease of at least `ttl_ms`; etcd counts in whole seconds and may give more.
  virtual Result<EtcdLease> grant_lease(uint32_t ttl_ms) = 0;
  virtual Status revoke_lease(EtcdLease lease) = 0;
  // Renews every third of `ttl_ms`. `on_lost` is called once: etcd says that the lease is gone (kNotFound),
  // or no renewal was confirmed for ttl_ms by a clock that counts suspended time (kUnavailable).
  virtual std::unique_ptr<EtcdLeaseKeeper> keep_lease(EtcdLease lease, uint32_t ttl_ms,
                                                      OnLeaseLost on_lost) = 0;

  // Tells every change of keys that start with `prefix` from revision `from` on; `from` = 0 begins with a
  // full list. Reconnects by itself and for ever; after a compaction it tells a full list.
  virtual std::unique_ptr<EtcdWatch> watch(const std::string& prefix, EtcdRevision from,
                                           OnWatch on_batch) = 0;
};

}  // namespace shima
