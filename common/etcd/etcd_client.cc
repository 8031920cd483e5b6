#include "common/etcd/etcd_client.h"

#include <algorithm>
#include <random>

#include "common/etcd/etcd_channels.h"

namespace shima {
namespace {

using Repeat = EtcdChannels::Repeat;

std::string quoted_keys(const std::vector<EtcdOperation>& operations) {
  std::string text;
  for (const auto& o : operations) text += (text.empty() ? "" : ", ") + o.key;
  return text;
}

void fill_txn(const std::vector<EtcdCompare>& compares, const std::vector<EtcdOperation>& operations,
              etcdserverpb::TxnRequest& request) {
  for (const auto& c : compares) {
    auto* compare = request.add_compare();
    compare->set_result(etcdserverpb::Compare::EQUAL);
    compare->set_target(etcdserverpb::Compare::MOD);
    compare->set_key(c.key);
    compare->set_mod_revision(c.expected.value);
  }
  for (const auto& o : operations) {
    auto* op = request.add_success();
    if (o.kind == EtcdOperation::Kind::kPut) {
      auto* put = op->mutable_request_put();
      put->set_key(o.key);
      put->set_value(o.value);
      put->set_lease(o.lease.value);
    } else {
      op->mutable_request_delete_range()->set_key(o.key);
    }
  }
}

class GrpcEtcdClient : public EtcdClient {
 public:
  GrpcEtcdClient(const std::vector<std::string>& targets, const EtcdOptions& options)
      : channels_(targets, options) {}

  Result<EtcdKeyValue> get(const std::string& key, EtcdRead read) override {
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    request.set_serializable(read == EtcdRead::kSerializable);
    etcdserverpb::RangeResponse response;
    SHIMA_RETURN_IF_ERROR(call(
        Repeat::kHarmless, "a read of " + key,
        [&](EtcdChannel& c, grpc::ClientContext& ctx) { return c.kv->Range(&ctx, request, &response); }));
    if (response.kvs_size() == 0) return {Code::kNotFound, "there is no key " + key + " in etcd"};
    return to_key_value(response.kvs(0));
  }

  Result<EtcdRange> list(const std::string& prefix, EtcdRead read) override {
    return list_prefix(channels_, prefix, read, nullptr);
  }

  Result<EtcdRevision> put(const std::string& key, const std::string& value, EtcdLease lease) override {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease.value);
    etcdserverpb::PutResponse response;
    SHIMA_RETURN_IF_ERROR(
        call(Repeat::kHarmful, "a write of " + key,
             [&](EtcdChannel& c, grpc::ClientContext& ctx) { return c.kv->Put(&ctx, request, &response); }));
    return EtcdRevision(response.header().revision());
  }

  Result<EtcdRevision> compare_and_swap(const std::string& key, EtcdRevision expected,
                                        const std::string& value, EtcdLease lease) override {
    return transact({{key, expected}}, {EtcdOperation::put(key, value, lease)});
  }

  Result<EtcdRevision> compare_and_remove(const std::string& key, EtcdRevision expected) override {
    return transact({{key, expected}}, {EtcdOperation::remove(key)});
  }

  Result<EtcdRevision> transact(const std::vector<EtcdCompare>& compares,
                                const std::vector<EtcdOperation>& operations) override {
    etcdserverpb::TxnRequest request;
    fill_txn(compares, operations, request);
    etcdserverpb::TxnResponse response;
    std::string what = "a compare-and-swap of " + quoted_keys(operations);
    SHIMA_RETURN_IF_ERROR(call(Repeat::kHarmful, what, [&](EtcdChannel& c, grpc::ClientContext& ctx) {
      return c.kv->Txn(&ctx, request, &response);
    }));
    if (!response.succeeded()) {
      return {Code::kConflict, what + " lost: a key has changed since it was read; read and decide again"};
    }
    return EtcdRevision(response.header().revision());
  }

  Result<EtcdLease> grant_lease(uint32_t ttl_ms) override {
    // With an id of our own a repetition after an unknown outcome makes no second lease.
    etcdserverpb::LeaseGrantRequest request;
    request.set_id(draw_lease_id());
    request.set_ttl(std::max<int64_t>(1, (static_cast<int64_t>(ttl_ms) + 999) / 1000));
    etcdserverpb::LeaseGrantResponse response;
    Status s = call(Repeat::kHarmless, "a grant of a lease", [&](EtcdChannel& c, grpc::ClientContext& ctx) {
      grpc::Status status = c.lease->LeaseGrant(&ctx, request, &response);
      bool repeated = status.error_message().find("lease already exists") != std::string::npos;
      return repeated ? grpc::Status::OK : status;
    });
    if (!s) return s;
    return EtcdLease(request.id());
  }

  Status revoke_lease(EtcdLease lease) override {
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease.value);
    return call(Repeat::kHarmless, "the end of a lease", [&](EtcdChannel& c, grpc::ClientContext& ctx) {
      etcdserverpb::LeaseRevokeResponse response;
      return c.lease->LeaseRevoke(&ctx, request, &response);
    });
  }

  std::unique_ptr<EtcdLeaseKeeper> keep_lease(EtcdLease lease, uint32_t ttl_ms,
                                              OnLeaseLost on_lost) override {
    return make_lease_keeper(channels_, lease, ttl_ms, std::move(on_lost));
  }

  std::unique_ptr<EtcdWatch> watch(const std::string& prefix, EtcdRevision from, OnWatch on_batch) override {
    return make_watch(channels_, prefix, from, std::move(on_batch));
  }

 private:
  Status call(Repeat repeat, const std::string& what, const EtcdChannels::Call& call) {
    return channels_.attempt(repeat, what, channels_.options().call_timeout_ms, call);
  }
  static int64_t draw_lease_id() {
    std::random_device random;
    uint64_t id = (static_cast<uint64_t>(random()) << 32) | random();
    return static_cast<int64_t>((id & 0x7fffffffffffffffull) | 1);
  }

  EtcdChannels channels_;
};

}  // namespace

Result<EtcdRange> list_prefix(EtcdChannels& channels, const std::string& prefix, EtcdRead read,
                              const std::atomic<bool>* cancelled) {
  etcdserverpb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(end_of_prefix(prefix));
  request.set_serializable(read == EtcdRead::kSerializable);
  etcdserverpb::RangeResponse response;
  SHIMA_RETURN_IF_ERROR(channels.attempt(
      Repeat::kHarmless, "a list of " + prefix, channels.options().call_timeout_ms,
      [&](EtcdChannel& c, grpc::ClientContext& ctx) { return c.kv->Range(&ctx, request, &response); },
      cancelled));
  EtcdRange range;
  range.revision = EtcdRevision(response.header().revision());
  for (const auto& kv : response.kvs()) range.items.push_back(to_key_value(kv));
  return range;
}

Result<std::unique_ptr<EtcdClient>> EtcdClient::create(std::vector<std::string> endpoints,
                                                       EtcdOptions options) {
  Result<std::vector<std::string>> targets = etcd_targets(endpoints);
  if (!targets) return targets.status();
  return std::unique_ptr<EtcdClient>(std::make_unique<GrpcEtcdClient>(*targets, options));
}

}  // namespace shima
