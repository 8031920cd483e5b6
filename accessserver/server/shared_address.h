// SharedAddress: the one address of a site's access servers outside Kubernetes: whoever holds a lease in etcd
// has it on its interface.
//
// The key /shima/v1/addresses/ADDRESS is put under a lease by the server that finds it free. The holder sets
// the address with a lifetime no longer than what is left of the lease, and renews both; so the address is
// gone from a dead or cut-off holder before another one can get it. Clients keep their address; their TCP
// connections are reset and made anew (NFS over TCP does that by itself, and handles mean the same at every
// access server).
//
// Threads: one of its own, which blocks on etcd; `taken` and `lost` are called on it. The destructor gives
// the address back at once (the lease is revoked).
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/etcd/etcd_client.h"
#include "common/network/interface_address.h"
#include "common/status/status.h"

namespace shima {

struct SharedAddressOptions {
  InterfaceAddress address;
  std::string holder;  // this server's name, for people
  uint32_t lease_ttl_ms = 6000;
  uint32_t look_every_ms = 500;  // when another server holds it
};

class SharedAddress {
 public:
  struct Handlers {
    // The address is on the interface: begin to listen on it. An error gives it back and tries again later.
    std::function<Status()> taken;
    std::function<void()> lost;  // stop listening: another server has it, or will have it soon
  };

  SharedAddress(EtcdClient& etcd, SharedAddressOptions options, Handlers handlers);
  ~SharedAddress();

  bool is_here() const;
  static std::string key_of(const InterfaceAddress& address);

 private:
  void run();
  void try_to_take();
  void renew();
  void give_up(const std::string& why);
  bool pause(uint64_t ms);  // true: stopping

  EtcdClient& etcd_;
  const SharedAddressOptions options_;
  const Handlers handlers_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool here_ = false;

  // The thread's own.
  EtcdLease lease_;
  std::unique_ptr<EtcdLeaseKeeper> keeper_;
  std::thread thread_;
};

}  // namespace shima
