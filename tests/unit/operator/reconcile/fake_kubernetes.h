// FakeKubernetes: an API server in memory, whose watches are never behind, for tests of the reconciler.
//
// Server-side apply is taken for a merge of one manager's objects. Threads: the calls of one at a time; get()
// from any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operator/reconcile/object_api.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {

class FakeKubernetes final : public ObjectCalls, public ObjectView {
 public:
  using Json = nlohmann::json;

  Result<Json> get(const ResourceKind& kind, const std::string& name_space,
                   const std::string& name) override {
    calls.push_back("get " + kind.kind + " " + name);
    if (const Status refusal = refuse("get", kind); !refusal) return refusal;
    const ObjectPointer there = find(kind, object_key(name_space, name));
    if (!there) return Status(Code::kNotFound, "there is no such object");
    return *there;
  }
  Result<std::vector<Json>> list(const ResourceKind& kind) override {
    calls.push_back("list " + kind.kind);
    if (const Status refusal = refuse("list", kind); !refusal) return refusal;
    std::vector<Json> items;
    for (const auto& [key, object] : all(kind)) items.push_back(*object);
    return items;
  }
  Result<Json> apply(const ResourceKind& kind, const Json& object) override {
    if (taken_addresses.contains(text_at(object, "/spec/clusterIP")))
      return Status(Code::kInvalidArgument,
                    "spec.clusterIPs: Invalid value: failed to allocate: provided IP is already allocated");
    return change("apply", kind, key_of(object), [&](Json& there) {
      const Json status = there.value("status", Json());
      const Json metadata = there.value("metadata", Json::object());
      there = object;
      for (const char* kept : {"uid", "creationTimestamp", "finalizers", "deletionTimestamp"})
        if (metadata.contains(kept)) there["metadata"][kept] = metadata[kept];
      if (!status.is_null()) there["status"] = status;
    });
  }
  Result<Json> apply_status(const ResourceKind& kind, const Json& object) override {
    if (!find(kind, key_of(object))) return Status(Code::kNotFound, "there is no such object");
    return change("apply_status", kind, key_of(object),
                  [&](Json& there) { there["status"] = object.at("status"); });
  }
  Result<Json> create(const ResourceKind& kind, const Json& object) override {
    if (find(kind, key_of(object))) return Status(Code::kAlreadyExists, "there is one already");
    return change("create", kind, key_of(object), [&](Json& there) { there = object; });
  }
  Result<Json> merge_patch(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                           const Json& patch) override {
    const std::string key = object_key(name_space, name);
    if (!find(kind, key)) return Status(Code::kNotFound, "there is no such object");
    return change("patch", kind, key, [&](Json& there) { there.merge_patch(patch); });
  }
  Status remove(const ResourceKind& kind, const std::string& name_space, const std::string& name,
                const std::string&) override {
    calls.push_back("delete " + kind.kind + " " + name);
    if (const Status refusal = refuse("delete", kind); !refusal) return refusal;
    take(kind, object_key(name_space, name));
    return Status::ok();
  }
  Status remove_as_seen(const ResourceKind& kind, const Json& object) override {
    calls.push_back("delete as seen " + kind.kind + " " + name_of(object));
    if (const Status refusal = refuse("delete", kind); !refusal) return refusal;
    const ObjectPointer there = find(kind, key_of(object));
    if (there && version_of(*there) != version_of(object)) return {Code::kConflict, "it has changed"};
    take(kind, key_of(object));
    return Status::ok();
  }
  Status evict(const std::string& name_space, const std::string& pod) override {
    calls.push_back("evict Pod " + pod);
    if (const Status refusal = refuse("evict", pod_kind()); !refusal) return refusal;
    take(pod_kind(), object_key(name_space, pod));
    return Status::ok();
  }

  bool watched(const ResourceKind& kind) const override { return !unwatched.contains(kind.kind); }
  Status trouble(const ResourceKind& kind) const override {
    for (const auto* why : {&unwatched, &troubled})
      if (const auto found = why->find(kind.kind); found != why->end()) return found->second;
    return Status::ok();
  }
  ObjectPointer get(const ResourceKind& kind, const std::string& key) const override {
    return hidden.contains(kind.kind) ? nullptr : find(kind, key);
  }
  ObjectMap all(const ResourceKind& kind) const override {
    std::lock_guard lock(mutex_);
    const auto found = objects_.find(kind_key(kind));
    const bool shown = !unwatched.contains(kind.kind) && !hidden.contains(kind.kind);
    return found == objects_.end() || !shown ? ObjectMap() : found->second;
  }

  // As if someone else wrote it.
  void put(const ResourceKind& kind, Json object) {
    object["apiVersion"] = kind.api_version;
    object["kind"] = kind.kind;
    stamp(object);
    const std::string key = key_of(object);
    std::lock_guard lock(mutex_);
    objects_[kind_key(kind)][key] = std::make_shared<const Json>(std::move(object));
  }
  void edit(const ResourceKind& kind, const std::string& key, const std::function<void(Json&)>& how) {
    Json object = *find(kind, key);
    how(object);
    put(kind, std::move(object));
  }
  void take(const ResourceKind& kind, const std::string& key) {
    std::lock_guard lock(mutex_);
    objects_[kind_key(kind)].erase(key);
  }

  size_t count_calls(const std::string& begin) const {
    size_t count = 0;
    for (const std::string& call : calls) count += call.starts_with(begin) ? 1 : 0;
    return count;
  }

  std::vector<std::string> calls;           // "apply StatefulSet shima-core-a"
  std::map<std::string, Status> unwatched;  // by kind: why
  std::map<std::string, Status> troubled;   // by kind: why what is known may be old
  std::map<std::string, Status> refusals;   // by "VERB KIND NAME", "VERB KIND" or "VERB"
  std::set<std::string> taken_addresses;    // of Services: somebody else has them
  std::set<std::string> hidden;             // kinds whose watch shows nothing yet

 private:
  ObjectPointer find(const ResourceKind& kind, const std::string& key) const {
    std::lock_guard lock(mutex_);
    const auto of_kind = objects_.find(kind_key(kind));
    if (of_kind == objects_.end()) return nullptr;
    const auto found = of_kind->second.find(key);
    return found == of_kind->second.end() ? nullptr : found->second;
  }
  Status refuse(const std::string& verb, const ResourceKind& kind, const std::string& name = {}) const {
    for (const std::string& key : {verb + " " + kind.kind + " " + name, verb + " " + kind.kind, verb})
      if (const auto found = refusals.find(key); found != refusals.end()) return found->second;
    return Status::ok();
  }
  Result<Json> change(const std::string& verb, const ResourceKind& kind, const std::string& key,
                      const std::function<void(Json&)>& how) {
    calls.push_back(verb + " " + kind.kind + " " + split_object_key(key).second);
    if (const Status refusal = refuse(verb, kind, split_object_key(key).second); !refusal) return refusal;
    const ObjectPointer there = find(kind, key);
    Json object = there ? *there : Json::object();
    how(object);
    stamp(object);
    std::lock_guard lock(mutex_);
    objects_[kind_key(kind)][key] = std::make_shared<const Json>(object);
    const Json* finalizers = value_at(object, "/metadata/finalizers");
    if (is_ending(object) && (!finalizers || finalizers->empty())) objects_[kind_key(kind)].erase(key);
    return object;
  }
  void stamp(Json& object) {
    if (!object["metadata"].contains("uid")) object["metadata"]["uid"] = "uid-" + std::to_string(++last_);
    object["metadata"]["resourceVersion"] = std::to_string(++last_);
  }

  mutable std::mutex mutex_;                  // of objects_: a CoreWatch's thread asks for nodes
  std::map<std::string, ObjectMap> objects_;  // by kind
  uint64_t last_ = 0;
};

}  // namespace shima
