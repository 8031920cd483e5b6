// EtcdChannels: connections to etcd's endpoints and the order in which they are tried. Internal to
// common/etcd.
//
// Threads: all methods from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/etcd/rpc.grpc.pb.h"
#include "common/etcd/etcd_client.h"

namespace shima {

// Milliseconds since the machine booted, suspended time included.
uint64_t boot_clock_ms();

struct EtcdChannel {
  std::string name;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Cluster::Stub> cluster;
  std::atomic<uint64_t> avoid_until_ms{0};  // boot clock; 0: in good standing
};

// What is known of a call that failed.
enum class CallOutcome {
  kRefused,  // etcd answered: the request itself is the reason; the same everywhere
  kNotDone,  // surely not carried out: another endpoint may do it
  kUnknown,  // may have been carried out
};
CallOutcome classify(const grpc::Status& status);
Code code_of_refusal(const grpc::Status& status);

class EtcdChannels {
 public:
  // A call that changes nothing, or the same when repeated, goes on to the next endpoint after an unknown
  // outcome.
  enum class Repeat { kHarmless, kHarmful };
  using Call = std::function<grpc::Status(EtcdChannel&, grpc::ClientContext&)>;

  EtcdChannels(const std::vector<std::string>& targets, const EtcdOptions& options);

  // Tries `call` at the endpoints until one answers or `timeout_ms` is over or `*cancelled`. `what` is for
  // errors.
  Status attempt(Repeat repeat, const std::string& what, uint32_t timeout_ms, const Call& call,
                 const std::atomic<bool>* cancelled = nullptr);
  // Those in good standing first; within both in the order given.
  std::vector<EtcdChannel*> in_order();
  bool wait_connected(EtcdChannel& channel, uint64_t until_ms, const std::atomic<bool>* cancelled);
  void mark_failed(EtcdChannel& channel);
  void mark_worked(EtcdChannel& channel) { channel.avoid_until_ms = 0; }
  const EtcdOptions& options() const { return options_; }

 private:
  std::vector<std::unique_ptr<EtcdChannel>> channels_;
  EtcdOptions options_;
};

// EtcdClient::create()'s endpoints as gRPC wants them. kInvalidArgument.
Result<std::vector<std::string>> etcd_targets(const std::vector<std::string>& endpoints);

// The key after all keys that start with `prefix`.
std::string end_of_prefix(std::string prefix);
EtcdKeyValue to_key_value(const etcdserverpb::KeyValue& kv);

// Made by EtcdClient::keep_lease and watch.
std::unique_ptr<EtcdLeaseKeeper> make_lease_keeper(EtcdChannels& channels, EtcdLease lease, uint32_t ttl_ms,
                                                   EtcdClient::OnLeaseLost on_lost);
std::unique_ptr<EtcdWatch> make_watch(EtcdChannels& channels, std::string prefix, EtcdRevision from,
                                      EtcdClient::OnWatch on_batch);
// Used by both list() and the watch.
Result<EtcdRange> list_prefix(EtcdChannels& channels, const std::string& prefix, EtcdRead read,
                              const std::atomic<bool>* cancelled);

}  // namespace shima
