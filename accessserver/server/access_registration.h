// AccessRegistration: how an access server that serves NFS enters the cluster (R20).
//
// Its AccessRecord, /shima/v1/access/SITE/access-N, lives under a lease and has an incarnation that is never
// given twice. Core servers refuse what comes from an incarnation whose record is gone. Each registration has
// a lease of its own, under which the server may put more: what lies under it goes together with the record.
// A lease is lost when etcd says so, or when no renewal was confirmed in time; then the server registers
// anew, with a new incarnation. Whatever was asked for under the old one must be dropped before anything is
// done under the new one: that is what OnNew is for. Until then the old identity goes on being used: etcd's
// trouble is not the data path's, and where the record is really gone core servers refuse.
//
// Order of a new registration: new record (of an old one nothing is accepted any more), OnNew, then the old
// lease is revoked, with what else lay under it.
//
// Threads: all methods from any thread. OnNew is called for each registration, inside start() and
// register_anew(), else on the registration's own thread; one at a time. Errors: kInvalidArgument (the name),
// kFailedPrecondition: another process of this name is registered, and stays; kUnavailable: etcd does not
// answer; kCorrupt: the record or the counter cannot be read.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "accessserver/volume/client_identity.h"
#include "common/etcd/etcd_client.h"
#include "common/status/status.h"

namespace shima {

struct AccessRegistrationOptions {
  std::string name;  // SITE/access-N
  uint32_t lease_ttl_ms = 6000;
  uint32_t retry_ms = 500;           // between tries
  uint32_t doubt_pause_ms = 1000;    // least time from one registration to the next because of a doubt
  uint32_t predecessor_ms = 40'000;  // how long a start waits for another process's record to go
};

class AccessRegistration {
 public:
  using OnNew = std::function<void(const ClientIdentity&)>;

  // Blocks until it is registered: as long as it takes etcd to answer, or until ended() (kUnavailable).
  // `etcd` must outlive it.
  static Result<std::unique_ptr<AccessRegistration>> start(EtcdClient& etcd,
                                                           AccessRegistrationOptions options, OnNew on_new,
                                                           const std::function<bool()>& ended = {});
  // Stops keeping the lease; the record goes when it expires. leave() beforehand takes it away at once.
  ~AccessRegistration();
  AccessRegistration(const AccessRegistration&) = delete;
  AccessRegistration& operator=(const AccessRegistration&) = delete;

  ClientIdentity identity() const;  // of the newest registration
  EtcdLease lease() const;          // the same
  // True: `lease` is the newest registration's, and is not lost.
  bool holds(EtcdLease lease) const;

  // Registers anew though nothing is lost; returns when it is done. kUnavailable: nothing has changed.
  Status register_anew(const std::string& why);
  // A core server has said that this incarnation is fenced. If it is the newest, the server registers anew.
  void doubt(uint64_t incarnation);
  // Revokes the lease: a clean stop. Nothing may be in flight that others must not see later.
  Status leave();

 private:
  AccessRegistration(EtcdClient& etcd, AccessRegistrationOptions options, OnNew on_new);
  Status begin(const std::function<bool()>& ended);
  Status enter();
  Result<EtcdRevision> revision_to_replace();
  void keep(EtcdLease lease);
  void stay_registered();
  bool is_needed() const;   // with mutex_
  bool pause(uint64_t ms);  // true: stopping
  void stop();

  EtcdClient& etcd_;
  const AccessRegistrationOptions options_;
  const OnNew on_new_;

  std::mutex work_mutex_;  // one registration at a time; held while on_new_ runs
  // With work_mutex_.
  std::set<uint64_t> own_incarnations_;  // that may be in etcd: an outcome may be unknown
  EtcdRevision predecessor_;             // record of another process, as it was last seen
  uint64_t predecessor_since_ms_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // With mutex_.
  ClientIdentity identity_;
  EtcdLease lease_;
  std::shared_ptr<EtcdLeaseKeeper> keeper_;
  bool lost_ = false, stopping_ = false;
  std::string lost_why_;
  uint64_t doubted_ = 0;
  uint64_t registered_ms_ = 0;

  std::thread thread_;
};

}  // namespace shima
