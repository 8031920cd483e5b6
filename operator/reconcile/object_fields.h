// PURE: fields of Kubernetes objects, which may be missing or of another type than they should: whoever asks
// for a text gets one.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace shima {

// `pointer`: RFC 6901, as in "/metadata/name". nullptr: there is nothing.
const nlohmann::json* value_at(const nlohmann::json& object, const std::string& pointer);
std::string text_at(const nlohmann::json& object, const std::string& pointer);  // else ""
int64_t number_at(const nlohmann::json& object, const std::string& pointer, int64_t otherwise = 0);
bool true_at(const nlohmann::json& object, const std::string& pointer);  // else false
std::map<std::string, std::string> texts_at(const nlohmann::json& object, const std::string& pointer);

std::string name_of(const nlohmann::json& object);
std::string namespace_of(const nlohmann::json& object);
std::string key_of(const nlohmann::json& object);  // object_key()
std::string label_of(const nlohmann::json& object, const std::string& key);
std::string annotation_of(const nlohmann::json& object, const std::string& key);
bool is_ending(const nlohmann::json& object);  // metadata.deletionTimestamp is set
// status.conditions: whether one of `type` has status True.
bool has_true_condition(const nlohmann::json& object, const std::string& type);
// metadata.resourceVersion as a number, which orders the versions of an object (KEP-5504); 0: it is none.
uint64_t version_of(const nlohmann::json& object);
// Whether metadata.ownerReferences names `uid`.
bool is_owned_by(const nlohmann::json& object, const std::string& uid);

// Of what someone has written into the object: without status, and without what the API server counts and
// notes itself. The same for the same content, also after a restart of the operator.
uint64_t written_hash(const nlohmann::json& object);
uint64_t json_hash(const nlohmann::json& value);

// RFC 3339, UTC, whole seconds, as metav1.Time wants it.
std::string whole_seconds(uint64_t wall_us);

}  // namespace shima
