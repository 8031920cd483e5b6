// CountedCalls: ObjectCalls by an ApiClient, counted by verb and result, and only while this process may act.
//
// Threads: any. Errors: ApiClient's; kUnavailable without a call while `may_act` says no: a former leader
// must not change anything any more. A call that got no answer in time is made again: an API server, or its
// etcd, may stand still for some seconds, and what is said once, as an Event, would be lost.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/kubernetes/api_client.h"
#include "operator/reconcile/object_api.h"

namespace shima {

class CountedCalls final : public ObjectCalls {
 public:
  // Both must outlive it. `call_ms`: so long the client waits for an answer.
  CountedCalls(ApiClient& client, std::function<bool()> may_act, uint32_t call_ms)
      : client_(client), may_act_(std::move(may_act)), call_ms_(call_ms) {}

  Result<nlohmann::json> get(const ResourceKind& kind, const std::string& name_space,
                             const std::string& name) override;
  Result<std::vector<nlohmann::json>> list(const ResourceKind& kind) override;
  Result<nlohmann::json> apply(const ResourceKind& kind, const nlohmann::json& object) override;
  Result<nlohmann::json> apply_status(const ResourceKind& kind, const nlohmann::json& object) override;
  Result<nlohmann::json> create(const ResourceKind& kind, const nlohmann::json& object) override;
  Result<nlohmann::json> merge_patch(const ResourceKind& kind, const std::string& name_space,
                                     const std::string& name, const nlohmann::json& patch) override;
  Status remove(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                const std::string& uid) override;
  Status remove_as_seen(const ResourceKind& kind, const nlohmann::json& object) override;
  Status evict(const std::string& name_space, const std::string& pod) override;
  // Not of the reconciler, and while another leads as well.
  Result<bool> knows(const std::string& api_version, const std::string& kind);

  // {verb, result}: "apply", "ok" or code_name().
  std::map<std::pair<std::string, std::string>, uint64_t> counts() const;

 private:
  template <typename Call>
  auto counted(const char* verb, Call call, int attempts = kAttempts) -> decltype(call());
  void count(const char* verb, const Status& status);

  static constexpr int kAttempts = 3;

  ApiClient& client_;
  const std::function<bool()> may_act_;
  const uint32_t call_ms_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, uint64_t> counts_;
};

}  // namespace shima
