// ApiClient: calls of a Kubernetes API server, and watches of it.
//
// Objects are JSON documents. Credentials: those of a pod or of a kubeconfig file (api_access.h); a token is
// read again for each call, since it is renewed. The server's certificate is always verified, with its name.
// Connections are kept and used again. Threads: all methods from any thread; a call blocks until it is
// answered or timed out (ApiAccess::timeout_ms, as a whole). Answers over 64 MiB are refused
// (kInvalidArgument: ask for smaller chunks). What the server sends is believed to be well meant HTTP, since
// its certificate was verified; its JSON is checked.
//
// Errors, always with the server's own words: kPermissionDenied: 401, 403 (they name verb and resource);
// kNotFound: 404; kAlreadyExists, kConflict: 409, someone else has changed or owns it; kInvalidArgument: 400,
// 422 and other 4xx; kRequestTooOld: 410, the resourceVersion is too old: list again; kInternal: 500, mostly
// of this object alone, as while a webhook that is asked about its kind does not answer: try it again later;
// kUnavailable: nobody answers, or not in time (a change may have been made or not), the certificate is not
// trusted, 429 and other 5xx (asked_to_wait_ms() says for how long), or cancelled; kCorrupt: no JSON object;
// kFailedPrecondition: credentials that cannot be read, which file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/kubernetes/api_access.h"
#include "common/kubernetes/resource_path.h"
#include "common/kubernetes/watch_event.h"
#include "common/status/status.h"

namespace shima {

struct ListOptions {
  std::string name_space;      // empty: all
  std::string label_selector;  // as kubectl -l
  uint32_t chunk = 500;        // objects an answer; the rest is fetched with `continue`
};

class ApiClient {
 public:
  explicit ApiClient(ApiAccess access);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  Result<nlohmann::json> get(const ResourceKind& kind, const std::string& name_space,
                             const std::string& name);
  // Everything, chunk by chunk. If the server forgets where it was (410), it is begun anew once.
  Result<ObjectList> list(const ResourceKind& kind, const ListOptions& options);
  // Events from `resource_version` on, in order, on this thread, until the server ends the watch (kOk: watch
  // again from the last resourceVersion seen), `on_event` returns false (kOk), cancel() (kOk) or an error
  // (see above). An event that is cut in the middle by a broken connection is not delivered. `on_begin` is
  // called once the server has agreed to watch.
  Status watch(const ResourceKind& kind, const ListOptions& options, const std::string& resource_version,
               const std::function<bool(const WatchEvent&)>& on_event,
               const std::function<void()>& on_begin = {});
  // Server-side apply (PATCH application/apply-patch+yaml) as `field_manager`; `force` takes fields from
  // others. Returns what is there now.
  Result<nlohmann::json> apply(const ResourceKind& kind, const nlohmann::json& object,
                               const std::string& field_manager, bool force = true);
  Result<nlohmann::json> apply_status(const ResourceKind& kind, const nlohmann::json& object,
                                      const std::string& field_manager);
  Result<nlohmann::json> create(const ResourceKind& kind, const nlohmann::json& object);
  // PUT with the object's resourceVersion: kConflict if it is not the newest.
  Result<nlohmann::json> replace(const ResourceKind& kind, const nlohmann::json& object);
  // RFC 7386 merge patch.
  Result<nlohmann::json> merge_patch(const ResourceKind& kind, const std::string& name_space,
                                     const std::string& name, const nlohmann::json& patch);
  // kOk also if it was not there. `uid`: only that very object; `resource_version`: only in that very state;
  // empty: any. kConflict: it is another one.
  Status remove(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                const std::string& uid = {}, const std::string& resource_version = {});
  // policy/v1 Eviction of a pod, which respects PodDisruptionBudgets: kUnavailable (429) while they forbid
  // it.
  Status evict(const std::string& name_space, const std::string& pod);
  // Whether the server knows a kind now, by discovery of /apis/GROUP/VERSION.
  Result<bool> knows(const std::string& api_version, const std::string& kind);

  // For ever: ends what is in progress within 100 ms, and every later call at once.
  void cancel();
  // How long the server has last asked to be left alone (Retry-After, at most 5 minutes) from now on; 0: it
  // has not. Only information: calls are made all the same. Evictions do not count: theirs is about one pod.
  uint32_t asked_to_wait_ms() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
