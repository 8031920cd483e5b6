// SharedAddress: the one address of a site's access servers outside Kubernetes: whoever holds its key in etcd
// has it on its interface.
//
// The key /shima/v1/addresses/ADDRESS is put under the lease of the server's registration
// (AccessRegistration) by the server that finds it free: so the key of a holder never outlives its
// registration. Before the address is set, `fence` waits until core servers refuse what the former holder
// sent (R20). The holder sets the address with a lifetime no longer than what is left of the lease, and
// renews both; so the address is gone from a dead or cut-off holder before another one can get it. Clients
// keep their address; their TCP connections are reset and made anew (NFS over TCP does that by itself, and
// handles mean the same at every access server). A holder that cannot serve on the address registers anew,
// with another lease, and thereby gives the key back.
//
// Threads: one of its own, which blocks on etcd and core servers; the handlers are called on it. The
// destructor takes the address off the interface and stops listening; the key goes with the registration:
// leave() it when nothing is in flight any more.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "accessserver/server/access_registration.h"
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
    // The key was taken at `revision` of etcd: returns when nothing of a former holder's can be carried out
    // any more (CoreServerBarrier); an error when wanted() has become false.
    std::function<Status(EtcdRevision revision, const std::function<bool()>& wanted)> fence;
    // The address is on the interface: begin to listen on it. An error gives it back and tries again later.
    std::function<Status()> taken;
    std::function<void()> lost;  // stop listening: another server has it, or will have it soon
  };

  // Both must outlive it.
  SharedAddress(EtcdClient& etcd, AccessRegistration& registration, SharedAddressOptions options,
                Handlers handlers);
  ~SharedAddress();

  bool is_here() const;
  static std::string key_of(const InterfaceAddress& address);

 private:
  void run();
  void try_to_take();
  Result<EtcdRevision> take_key(EtcdLease lease);
  void renew();
  void leave_interface(const std::string& why);
  void give_back(const std::string& why);
  void set_here(bool here);
  bool stopping() const;
  bool pause(uint64_t ms);  // true: stopping

  EtcdClient& etcd_;
  AccessRegistration& registration_;
  const SharedAddressOptions options_;
  const Handlers handlers_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool here_ = false;

  EtcdLease lease_;  // the thread's own: what the key lies under
  std::thread thread_;
};

}  // namespace shima
