#include "operator/reconcile/object_fields.h"

#include <charconv>

#include "common/kubernetes/leader_lease.h"
#include "common/kubernetes/resource_path.h"

namespace shima {
namespace {

using nlohmann::json;

}  // namespace

const json* value_at(const json& object, const std::string& pointer) {
  const json* at = &object;
  for (size_t begin = 0; begin < pointer.size();) {
    const size_t end = std::min(pointer.find('/', begin + 1), pointer.size());
    const std::string key = pointer.substr(begin + 1, end - begin - 1);
    if (!at->is_object()) return nullptr;
    const auto found = at->find(key);
    if (found == at->end()) return nullptr;
    at = &*found;
    begin = end;
  }
  return at;
}

std::string text_at(const json& object, const std::string& pointer) {
  const json* value = value_at(object, pointer);
  return value && value->is_string() ? value->get<std::string>() : std::string();
}

int64_t number_at(const json& object, const std::string& pointer, int64_t otherwise) {
  const json* value = value_at(object, pointer);
  return value && value->is_number_integer() ? value->get<int64_t>() : otherwise;
}

bool true_at(const json& object, const std::string& pointer) {
  const json* value = value_at(object, pointer);
  return value && value->is_boolean() && value->get<bool>();
}

std::map<std::string, std::string> texts_at(const json& object, const std::string& pointer) {
  std::map<std::string, std::string> texts;
  const json* value = value_at(object, pointer);
  if (!value || !value->is_object()) return texts;
  for (const auto& [key, each] : value->items())
    if (each.is_string()) texts[key] = each.get<std::string>();
  return texts;
}

std::string name_of(const json& object) { return text_at(object, "/metadata/name"); }

std::string namespace_of(const json& object) { return text_at(object, "/metadata/namespace"); }

std::string key_of(const json& object) { return object_key(namespace_of(object), name_of(object)); }

std::string label_of(const json& object, const std::string& key) {
  const json* labels = value_at(object, "/metadata/labels");
  if (!labels || !labels->is_object()) return {};
  const auto found = labels->find(key);
  return found != labels->end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string annotation_of(const json& object, const std::string& key) {
  const json* annotations = value_at(object, "/metadata/annotations");
  if (!annotations || !annotations->is_object()) return {};
  const auto found = annotations->find(key);
  return found != annotations->end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_ending(const json& object) { return value_at(object, "/metadata/deletionTimestamp") != nullptr; }

bool has_true_condition(const json& object, const std::string& type) {
  const json* conditions = value_at(object, "/status/conditions");
  if (!conditions || !conditions->is_array()) return false;
  for (const json& each : *conditions)
    if (text_at(each, "/type") == type && text_at(each, "/status") == "True") return true;
  return false;
}

uint64_t version_of(const json& object) {
  const std::string text = text_at(object, "/metadata/resourceVersion");
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  return error == std::errc() && end == text.data() + text.size() ? version : 0;
}

bool is_owned_by(const json& object, const std::string& uid) {
  const json* owners = value_at(object, "/metadata/ownerReferences");
  if (!owners || !owners->is_array() || uid.empty()) return false;
  for (const json& each : *owners)
    if (text_at(each, "/uid") == uid) return true;
  return false;
}

std::string whole_seconds(uint64_t wall_us) { return micro_time(wall_us).substr(0, 19) + "Z"; }

uint64_t json_hash(const json& value) {  // FNV-1a, 64 bits
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : value.dump(-1, ' ', false, json::error_handler_t::replace)) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

uint64_t written_hash(const json& object) {
  if (!object.is_object()) return json_hash(object);
  json content = object;
  content.erase("status");
  if (const auto metadata = content.find("metadata"); metadata != content.end() && metadata->is_object())
    for (const char* noted : {"resourceVersion", "managedFields", "generation", "creationTimestamp"})
      metadata->erase(noted);
  return json_hash(content);
}

}  // namespace shima
