#include "operator/server/counted_calls.h"

#include <chrono>
#include <utility>

#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

const Status& status_of(const Status& status) { return status; }
template <typename T>
const Status& status_of(const Result<T>& result) {
  return result.status();
}

}  // namespace

template <typename Call>
auto CountedCalls::counted(const char* verb, Call call, int attempts) -> decltype(call()) {
  if (!may_act_()) return Status(Code::kUnavailable, "this operator is not the leader any more");
  const auto begin = std::chrono::steady_clock::now();
  auto answer = call();
  count(verb, status_of(answer));
  const bool silent = status_of(answer).code() == Code::kUnavailable &&
                      std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(call_ms_);
  return silent && attempts > 1 ? counted(verb, call, attempts - 1) : std::move(answer);
}

void CountedCalls::count(const char* verb, const Status& status) {
  std::lock_guard lock(mutex_);
  ++counts_[{verb, std::string(code_name(status.code()))}];
}

Result<nlohmann::json> CountedCalls::get(const ResourceKind& kind, const std::string& name_space,
                                         const std::string& name) {
  return counted("get", [&] { return client_.get(kind, name_space, name); });
}

Result<std::vector<nlohmann::json>> CountedCalls::list(const ResourceKind& kind) {
  return counted("list", [&]() -> Result<std::vector<nlohmann::json>> {
    auto all = client_.list(kind, {});
    if (!all) return all.status();
    return std::move(all->items);
  });
}

Result<nlohmann::json> CountedCalls::apply(const ResourceKind& kind, const nlohmann::json& object) {
  return counted("apply", [&] { return client_.apply(kind, object, kFieldManager); });
}

Result<nlohmann::json> CountedCalls::apply_status(const ResourceKind& kind, const nlohmann::json& object) {
  return counted("apply_status", [&] { return client_.apply_status(kind, object, kFieldManager); });
}

Result<nlohmann::json> CountedCalls::create(const ResourceKind& kind, const nlohmann::json& object) {
  return counted("create", [&] { return client_.create(kind, object); });
}

Result<nlohmann::json> CountedCalls::merge_patch(const ResourceKind& kind, const std::string& name_space,
                                                 const std::string& name, const nlohmann::json& patch) {
  return counted("patch", [&] { return client_.merge_patch(kind, name_space, name, patch); });
}

Status CountedCalls::remove(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                            const std::string& uid) {
  return counted("delete", [&] { return client_.remove(kind, name_space, name, uid); });
}

Status CountedCalls::remove_as_seen(const ResourceKind& kind, const nlohmann::json& object) {
  return counted("delete", [&] {
    return client_.remove(kind, namespace_of(object), name_of(object), text_at(object, "/metadata/uid"),
                          text_at(object, "/metadata/resourceVersion"));
  });
}

Status CountedCalls::evict(const std::string& name_space, const std::string& pod) {
  // Once: by then another pod may have the name.
  return counted(
      "evict", [&] { return client_.evict(name_space, pod); }, 1);
}

Result<bool> CountedCalls::knows(const std::string& api_version, const std::string& kind) {
  auto answer = client_.knows(api_version, kind);
  count("discover", answer.status());
  return answer;
}

std::map<std::pair<std::string, std::string>, uint64_t> CountedCalls::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace shima
