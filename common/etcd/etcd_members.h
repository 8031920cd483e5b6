// EtcdMembership: who the members of an etcd cluster are, and changes of that (etcd v3 API, service Cluster).
//
// Threads: all methods block, for options.call_timeout_ms at most, and may be called from any thread.
// Errors: kUnavailable (surely not done: no majority, nobody answers), kDeadlineExceeded (the outcome is
// unknown: list() tells), kNotFound (no such member), kAlreadyExists (a member has that URL),
// kFailedPrecondition (etcd refuses: the change would leave no majority of started members).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"

namespace shima {

struct EtcdMember {
  uint64_t id = 0;
  std::string name;  // empty: added, and not started yet
  std::vector<std::string> peer_urls;
  bool operator==(const EtcdMember&) const = default;
};

class EtcdMembership {
 public:
  // Endpoints as EtcdClient::create() takes them.
  static Result<std::unique_ptr<EtcdMembership>> connect(const std::vector<std::string>& endpoints,
                                                         EtcdOptions options = EtcdOptions());
  virtual ~EtcdMembership() = default;

  virtual Result<std::vector<EtcdMember>> list() = 0;  // as a majority has them (from etcd 3.5 on)
  virtual Status remove(uint64_t id) = 0;
  virtual Result<EtcdMember> add(const std::string& peer_url) = 0;
};

}  // namespace shima
