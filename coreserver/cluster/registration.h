// Registration: how a core server enters the cluster.
//
// At start: a program that may not run in this cluster is refused first; then the site's record is made if it
// is absent; the server's addresses must not lie in another site's CIDRs, and its storage address must lie in
// its own site's if that has any; a new server gets its id; the incarnation is raised by compare-and-swap,
// together with the record that says that it is alive, which lives under a lease. Threads: all methods from
// any thread; on_event runs on threads of the registration's own. Errors: kInvalidArgument (names, CIDRs),
// kFailedPrecondition (addresses, with what to change; a program that is too old or too new for the cluster),
// kCorrupt (records), kUnavailable / kDeadlineExceeded (etcd, after 15 s of trying): call start() again; a
// lost incarnation number does no harm. kStaleTerm: the record of the server's disks is not what it was:
// enter them again first.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/software_rules.h"

namespace shima {

struct RegistrationSpec {
  std::string name;  // SITE/core-N
  std::string site;
  std::string failure_domain;
  ServerNetworks networks;                         // what others connect to; ports as they were bound
  std::map<std::string, std::string> site_labels;  // used only if the site's record is made now
  std::vector<std::string> site_cidrs;             // the same
  uint64_t disk_total_bytes = 0;
  uint32_t lease_ttl_ms = 6000;
  ServerSoftware software = this_software();
  // Of the record of the server's disks, as DiskStore::enter() found it good; nullopt: it has none.
  std::optional<EtcdRevision> disks;
};

struct RegistrationEvent {
  enum class Kind {
    kLeaseLost,   // others take this server for dead; registering again goes on in the background
    kAliveAgain,  // the same incarnation is registered again
    kSuperseded,  // there is a newer incarnation of this name: this process must end
  };
  Kind kind;
  std::string why;
};

class Registration {
 public:
  using OnEvent = std::function<void(const RegistrationEvent&)>;

  static Result<std::unique_ptr<Registration>> start(EtcdClient& etcd, const RegistrationSpec& spec,
                                                     OnEvent on_event);
  // Stops keeping the lease; the alive record goes when it expires. leave() beforehand takes it away at once.
  virtual ~Registration() = default;

  virtual ServerId id() const = 0;
  virtual Incarnation incarnation() const = 0;
  virtual bool is_alive() const = 0;
  virtual EtcdRevision revision()
      const = 0;  // of the registration: ClusterView::wait_for() it to see oneself
  virtual const std::vector<std::string>& warnings() const = 0;  // for the log
  virtual Status leave() = 0;                                    // revokes the lease: a clean stop
};

// Makes a site's record by hand. kAlreadyExists, or kInvalidArgument (name, CIDRs, CIDRs that overlap another
// site's).
Status create_site(EtcdClient& etcd, const SiteInfo& site);

}  // namespace shima
