#include "common/kubernetes/object_cache.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/kubernetes/resource_path.h"

namespace shima {
namespace {

using nlohmann::json;

// After so many failed watches in a row the position itself may be what is wrong: after etcd was restored
// from a backup, for example, the resource versions are lower than before.
constexpr uint32_t kWatchesBeforeList = 5;

std::string metadata(const json& object, const char* key) {
  const auto found = object.find("metadata");
  if (found == object.end() || !found->is_object()) return "";
  const auto value = found->find(key);
  return value != found->end() && value->is_string() ? value->get<std::string>() : "";
}

// None: the object has no name or no version.
std::optional<std::string> key_of(const json& object) {
  const std::string name = metadata(object, "name");
  if (name.empty() || metadata(object, "resourceVersion").empty()) return std::nullopt;
  return object_key(metadata(object, "namespace"), name);
}

bool is_number(const std::string& version) {
  return !version.empty() && version.find_first_not_of("0123456789") == std::string::npos;
}

// -1, 0, 1; none: they cannot be compared.
std::optional<int> compare_versions(const std::string& a, const std::string& b) {
  if (!is_number(a) || !is_number(b)) return std::nullopt;
  const auto digits = [](const std::string& text) {
    return text.substr(std::min(text.find_first_not_of('0'), text.size()));
  };
  const std::string left = digits(a), right = digits(b);
  if (left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
  const int order = left.compare(right);
  return order < 0 ? -1 : order > 0;
}

bool same(const json& a, const json& b) {
  return metadata(a, "resourceVersion") == metadata(b, "resourceVersion") &&
         metadata(a, "uid") == metadata(b, "uid");
}

Status nameless(const char* where) {
  return {Code::kCorrupt, std::string("wanted objects with metadata.name and metadata.resourceVersion in ") +
                              where + ", found one without"};
}

}  // namespace

ObjectCache::ObjectCache(std::function<uint64_t()> random, RetryDelay delay)
    : random_(std::move(random)), delay_(delay) {}

void ObjectCache::step(Event event, std::vector<Effect>& effects) {
  std::visit([&](auto&& one) { on(std::move(one), effects); }, std::move(event));
}

ObjectPointer ObjectCache::find(const std::string& key) const {
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

void ObjectCache::on(Tick, std::vector<Effect>& effects) {
  progressed_ = false;
  if (must_list_)
    effects.emplace_back(List{});
  else
    effects.emplace_back(Watch{resource_version_});
}

void ObjectCache::on(Listed event, std::vector<Effect>& effects) {
  ObjectMap listed;
  for (json& object : event.list.items) {
    auto key = key_of(object);
    if (!key) return fail(nameless("a list"), true, 0, effects);
    listed[*key] = std::make_shared<const json>(std::move(object));
  }
  if (event.list.resource_version.empty())
    return fail({Code::kCorrupt, "wanted a list with metadata.resourceVersion, found none in it"}, true, 0,
                effects);
  replace_all(std::move(listed), effects);
  resource_version_ = std::move(event.list.resource_version);
  synced_ = true;
  must_list_ = false;
  progressed_ = false;
  trouble_ = Status::ok();
  effects.emplace_back(Watch{resource_version_});
}

void ObjectCache::replace_all(ObjectMap listed, std::vector<Effect>& effects) {
  auto old = objects_.begin();
  auto now = listed.begin();
  while (old != objects_.end() || now != listed.end()) {
    if (now == listed.end() || (old != objects_.end() && old->first < now->first)) {
      effects.emplace_back(Changed{old->first});
      ++old;
    } else if (old == objects_.end() || now->first < old->first) {
      effects.emplace_back(Changed{now->first});
      ++now;
    } else {
      if (same(*old->second, *now->second))
        now->second = old->second;
      else
        effects.emplace_back(Changed{now->first});
      ++old;
      ++now;
    }
  }
  objects_ = std::move(listed);
}

void ObjectCache::on(ListFailed event, std::vector<Effect>& effects) {
  fail(std::move(event.why), true, event.asked_to_wait_ms, effects);
}

// How long to wait stays as it is: a watch that ends at once has begun, too.
void ObjectCache::on(WatchBegun, std::vector<Effect>&) { trouble_ = Status::ok(); }

void ObjectCache::on(Watched event, std::vector<Effect>& effects) {
  json& object = event.event.object;
  const bool is_bookmark = event.event.type == WatchEvent::Type::kBookmark;
  const std::string version = metadata(object, "resourceVersion");
  const auto key = is_bookmark ? std::string() : key_of(object);
  if (!key || version.empty()) return fail(nameless("a watch"), true, 0, effects);
  const auto order = compare_versions(version, resource_version_);
  if (is_bookmark && order && *order < 0)
    return fail({Code::kCorrupt, "the API server went back from resourceVersion " + resource_version_ +
                                     " to " + version + ": has etcd been restored?"},
                true, 0, effects);
  if (order && *order <= 0) return;
  progressed_ = true;
  failures_ = 0;
  trouble_ = Status::ok();
  resource_version_ = version;
  if (is_bookmark) return;
  if (event.event.type == WatchEvent::Type::kDeleted) {
    if (objects_.erase(*key)) effects.emplace_back(Changed{*key});
    return;
  }
  ObjectPointer& kept = objects_[*key];
  if (kept && same(*kept, object)) return;
  kept = std::make_shared<const json>(std::move(object));
  effects.emplace_back(Changed{*key});
}

void ObjectCache::on(WatchEnded event, std::vector<Effect>& effects) {
  const bool healthy = progressed_ || event.lasted_ms >= kHealthyWatchMs;
  if (healthy) failures_ = 0;
  if (event.why.code() == Code::kRequestTooOld) {
    if (failures_ > 0 || event.asked_to_wait_ms > 0)
      return fail(std::move(event.why), true, event.asked_to_wait_ms, effects);
    ++failures_;  // if the list does not help, the next one waits
    must_list_ = true;
    effects.emplace_back(List{});
    return;
  }
  if (event.why.is_ok() && healthy) {
    trouble_ = Status::ok();
    progressed_ = false;
    effects.emplace_back(Watch{resource_version_});
    return;
  }
  const Code code = event.why.code();
  const bool position_is_good = code == Code::kOk || code == Code::kUnavailable || code == Code::kInternal ||
                                code == Code::kPermissionDenied;
  fail(std::move(event.why), !position_is_good || (failures_ + 1) % kWatchesBeforeList == 0,
       event.asked_to_wait_ms, effects);
}

void ObjectCache::fail(Status why, bool list_next, uint64_t at_least_ms, std::vector<Effect>& effects) {
  ++failures_;
  must_list_ = list_next;
  trouble_ = std::move(why);
  effects.emplace_back(Wait{std::max(delay_.after(failures_, random_()), at_least_ms)});
}

}  // namespace shima
