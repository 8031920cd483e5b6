#include "common/kubernetes/api_client.h"

#include <algorithm>
#include <atomic>

#include "common/kubernetes/http_exchange.h"
#include "common/kubernetes/watch_lines.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

using nlohmann::json;
using Parameters = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kShownBytes = 200;
constexpr uint64_t kLongestAskedWaitMs = 300'000;
// A server that goes on for ever is not believed.
constexpr size_t kMaxListed = 1'000'000;
constexpr size_t kMaxChunks = 10'000;

std::string metadata(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find("metadata");
  if (found == object.end() || !found->is_object()) return "";
  const auto value = found->find(key);
  return value != found->end() && value->is_string() ? value->get<std::string>() : "";
}

Result<json> object_of(const HttpAnswer& answer, const std::string& what) {
  json object = json::parse(answer.body, nullptr, false);
  if (object.is_object()) return object;
  std::string shown = answer.body.substr(0, kShownBytes);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return {Code::kCorrupt, "wanted a JSON object in the API server's answer to " + what + ", found: " + shown};
}

Result<std::string> text_of_object(const json& object) {
  try {
    return object.dump();
  } catch (const json::exception& error) {  // text that is no UTF-8
    return {Code::kInvalidArgument,
            std::string("wanted an object that can be written as JSON, found: ") + error.what()};
  }
}

}  // namespace

struct ApiClient::Impl {
  explicit Impl(ApiAccess access) : watch_s(access.watch_s), exchange(std::move(access)) {}

  // The answer, if it is a success.
  Result<HttpAnswer> checked(Result<HttpAnswer> answer, const std::string& what, bool counts_wait) {
    if (!answer) return answer;
    if (counts_wait && answer->retry_after_s > 0)
      left_alone_until_ms =
          real_clock().now_ms() + std::min<uint64_t>(answer->retry_after_s * 1000ull, kLongestAskedWaitMs);
    if (answer->code / 100 != 2) return status_of_answer(answer->code, answer->body, what);
    return answer;
  }

  Result<json> call(const HttpRequest& request, bool counts_wait = true) {
    const std::string what = std::string(request.method) + " " + request.path;
    Result<HttpAnswer> answer = checked(exchange.ask(request), what, counts_wait);
    if (!answer) return answer.status();
    return object_of(*answer, what);
  }

  // `object` sent to its own place.
  Result<json> send(const char* method, const ResourceKind& kind, const json& object,
                    const std::string& subresource, const Parameters& parameters,
                    const char* content_type = "application/json") {
    Result<std::string> path =
        std::string(method) == "POST"
            ? collection_path_of(kind, object)
            : object_path(kind, metadata(object, "namespace"), metadata(object, "name"), subresource);
    if (!path) return path.status();
    Result<std::string> body = text_of_object(object);
    if (!body) return body.status();
    return call({method, *path + query_text(parameters), std::move(*body), content_type});
  }

  // One made in all namespaces would be an error that the server words worse.
  static Result<std::string> collection_path_of(const ResourceKind& kind, const json& object) {
    const std::string name_space = metadata(object, "namespace");
    if (kind.namespaced && name_space.empty())
      return {Code::kInvalidArgument, "wanted metadata.namespace in a " + kind.kind + ", found none"};
    return collection_path(kind, name_space);
  }

  Result<json> apply(const ResourceKind& kind, const json& object, const std::string& subresource,
                     const std::string& field_manager, bool force) {
    Parameters parameters{{"fieldManager", field_manager}};
    if (force) parameters.emplace_back("force", "true");
    return send("PATCH", kind, object, subresource, parameters, "application/apply-patch+yaml");
  }

  // One chunk more in `list`; `next` is where the one after it begins, "" at the end.
  Status list_chunk(const ResourceKind& kind, const ListOptions& options, const std::string& path,
                    ObjectList& list, std::string& next) {
    Parameters parameters{{"limit", std::to_string(options.chunk)}};
    if (!options.label_selector.empty()) parameters.emplace_back("labelSelector", options.label_selector);
    if (!next.empty()) parameters.emplace_back("continue", next);
    Result<json> answer = call({"GET", path + query_text(parameters)});
    if (!answer) return answer.status();
    const auto items = answer->find("items");
    if (items == answer->end() || !(items->is_array() || items->is_null()))
      return {Code::kCorrupt, "wanted a list in the API server's answer to GET " + path + ", found no items"};
    for (json& item : *items) {
      if (!item.is_object())
        return {Code::kCorrupt,
                "wanted objects in the API server's answer to GET " + path + ", found something else"};
      item.emplace("apiVersion", kind.api_version);
      item.emplace("kind", kind.kind);
      list.items.push_back(std::move(item));
    }
    list.resource_version = metadata(*answer, "resourceVersion");
    next = metadata(*answer, "continue");
    return Status::ok();
  }

  Result<ObjectList> list_all(const ResourceKind& kind, const ListOptions& options, const std::string& path) {
    ObjectList list;
    std::string next;
    for (size_t chunk = 0; chunk < kMaxChunks && list.items.size() < kMaxListed; ++chunk) {
      SHIMA_RETURN_IF_ERROR(list_chunk(kind, options, path, list, next));
      if (next.empty()) return list;
    }
    return {Code::kCorrupt, "wanted a list with an end from the API server at " + path + ", found " +
                                std::to_string(list.items.size()) + " objects, and more to come"};
  }

  const uint32_t watch_s;
  HttpExchange exchange;
  std::atomic<uint64_t> left_alone_until_ms{0};  // of real_clock()
};

ApiClient::ApiClient(ApiAccess access) : impl_(std::make_unique<Impl>(std::move(access))) {}
ApiClient::~ApiClient() = default;

Result<json> ApiClient::get(const ResourceKind& kind, const std::string& name_space,
                            const std::string& name) {
  Result<std::string> path = object_path(kind, name_space, name);
  if (!path) return path.status();
  return impl_->call({"GET", *path});
}

Result<ObjectList> ApiClient::list(const ResourceKind& kind, const ListOptions& options) {
  Result<std::string> path = collection_path(kind, options.name_space);
  if (!path) return path.status();
  Result<ObjectList> list = impl_->list_all(kind, options, *path);
  if (list || list.status().code() != Code::kRequestTooOld) return list;
  return impl_->list_all(kind, options, *path);
}

Status ApiClient::watch(const ResourceKind& kind, const ListOptions& options,
                        const std::string& resource_version,
                        const std::function<bool(const WatchEvent&)>& on_event,
                        const std::function<void()>& on_begin) {
  Result<std::string> path = collection_path(kind, options.name_space);
  if (!path) return path.status();
  Parameters parameters{{"watch", "true"},
                        {"allowWatchBookmarks", "true"},
                        {"resourceVersion", resource_version},
                        {"timeoutSeconds", std::to_string(impl_->watch_s)}};
  if (!options.label_selector.empty()) parameters.emplace_back("labelSelector", options.label_selector);
  WatchLines lines;
  Status wrong;
  const auto on_piece = [&](std::string_view piece) {
    if (piece.empty() && on_begin) on_begin();
    std::vector<WatchEvent> events;
    wrong = lines.feed(piece, events);
    for (const WatchEvent& event : events) {
      if (impl_->exchange.is_cancelled()) return false;
      if (on_event(event)) continue;
      wrong = Status::ok();  // of what came after the event that was the last one wanted
      return false;
    }
    return wrong.is_ok();
  };
  const std::string what = "GET " + *path;
  Result<HttpAnswer> answer =
      impl_->checked(impl_->exchange.stream({"GET", *path + query_text(parameters)}, on_piece), what, true);
  if (impl_->exchange.is_cancelled()) return Status::ok();
  if (!wrong) return wrong.with_context(what);
  return answer.status();
}

Result<json> ApiClient::apply(const ResourceKind& kind, const json& object, const std::string& field_manager,
                              bool force) {
  return impl_->apply(kind, object, "", field_manager, force);
}

Result<json> ApiClient::apply_status(const ResourceKind& kind, const json& object,
                                     const std::string& field_manager) {
  return impl_->apply(kind, object, "status", field_manager, true);
}

Result<json> ApiClient::create(const ResourceKind& kind, const json& object) {
  return impl_->send("POST", kind, object, "", {});
}

Result<json> ApiClient::replace(const ResourceKind& kind, const json& object) {
  if (metadata(object, "resourceVersion").empty())
    return {Code::kInvalidArgument,
            "wanted metadata.resourceVersion in the " + kind.kind +
                " that replaces another, found none: without it changes of others would be lost"};
  return impl_->send("PUT", kind, object, "", {});
}

Result<json> ApiClient::merge_patch(const ResourceKind& kind, const std::string& name_space,
                                    const std::string& name, const json& patch) {
  Result<std::string> path = object_path(kind, name_space, name);
  if (!path) return path.status();
  Result<std::string> body = text_of_object(patch);
  if (!body) return body.status();
  return impl_->call({"PATCH", *path, std::move(*body), "application/merge-patch+json"});
}

Status ApiClient::remove(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                         const std::string& uid, const std::string& resource_version) {
  Result<std::string> path = object_path(kind, name_space, name);
  if (!path) return path.status();
  json options{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!uid.empty()) options["preconditions"]["uid"] = uid;
  if (!resource_version.empty()) options["preconditions"]["resourceVersion"] = resource_version;
  Result<std::string> body = text_of_object(options);
  if (!body) return body.status();
  const Status status = impl_->call({"DELETE", *path, std::move(*body)}).status();
  return status.code() == Code::kNotFound ? Status::ok() : status;
}

Status ApiClient::evict(const std::string& name_space, const std::string& pod) {
  Result<std::string> path = object_path({"v1", "Pod", "pods"}, name_space, pod, "eviction");
  if (!path) return path.status();
  const json eviction{{"apiVersion", "policy/v1"},
                      {"kind", "Eviction"},
                      {"metadata", {{"name", pod}, {"namespace", name_space}}}};
  return impl_->call({"POST", *path, eviction.dump()}, false).status();
}

Result<bool> ApiClient::knows(const std::string& api_version, const std::string& kind) {
  Result<std::string> path = group_path(api_version);
  if (!path) return path.status();
  Result<json> answer = impl_->call({"GET", *path});
  if (!answer && answer.status().code() == Code::kNotFound) return false;
  if (!answer) return answer.status();
  const auto resources = answer->find("resources");
  if (resources == answer->end() || !resources->is_array())
    return {Code::kCorrupt,
            "wanted the resources of " + api_version + " in the API server's answer, found none"};
  return std::any_of(resources->begin(), resources->end(), [&](const json& resource) {
    if (!resource.is_object()) return false;
    const auto found = resource.find("kind");
    return found != resource.end() && found->is_string() && *found == kind;
  });
}

void ApiClient::cancel() { impl_->exchange.cancel(); }

uint32_t ApiClient::asked_to_wait_ms() const {
  const uint64_t until_ms = impl_->left_alone_until_ms, now_ms = real_clock().now_ms();
  return until_ms > now_ms ? static_cast<uint32_t>(until_ms - now_ms) : 0;
}

}  // namespace shima
