// ReplyCache: answers to calls that must not be done twice (a REMOVE whose answer was lost), for clients that
// repeat them with the same xid (RFC 1813 section 4.6: over a new connection as well).
//
// Bounded: the oldest answers go first; a call that is still in work stays. Repetitions of a call in work
// wait for its answer. Threads: any.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "accessserver/nfs/rpc/rpc_request.h"

namespace shima {

class ReplyCache {
 public:
  explicit ReplyCache(size_t max_entries) : max_entries_(max_entries) {}

  enum class Verdict : uint8_t {
    kRun,       // the first of its kind: finish() or forget() must follow
    kUncached,  // too many are in work: run it, and do not come back
    kAnswered,  // `results` is the answer
    kWaits,     // `request` was taken over: it is answered with the first one
    kTooMany,   // as kWaits, but so many wait already that this one needs no answer
  };
  Verdict begin(const RpcCallKey& key, RpcRequestPtr& request, XdrWriter& results);

  // The call was done: gives those that wait for it.
  [[nodiscard]] std::vector<RpcRequestPtr> finish(const RpcCallKey& key, const XdrWriter& results);
  // The call was not done.
  void forget(const RpcCallKey& key);

  size_t size() const;

 private:
  static constexpr size_t kMaxWaiting = 4;
  struct Entry {
    bool answered = false;
    XdrWriter results;
    std::vector<RpcRequestPtr> waiting;
  };
  bool make_room();  // under mutex_

  const size_t max_entries_;
  mutable std::mutex mutex_;
  std::map<RpcCallKey, Entry> entries_;
  std::deque<RpcCallKey> by_age_;  // of answered entries
};

}  // namespace shima
