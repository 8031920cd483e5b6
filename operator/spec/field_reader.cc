#include "operator/spec/field_reader.h"

#include <algorithm>

#include "operator/spec/label_syntax.h"

namespace shima {
namespace {

constexpr size_t kMaxShownBytes = 80;
constexpr size_t kMaxTextBytes = 1024;

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool says_nothing(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::boolean:
      return !value.get<bool>();
    case nlohmann::json::value_t::string:
      return value.get_ref<const std::string&>().empty();
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
    case nlohmann::json::value_t::number_float:
      return value == 0;
    case nlohmann::json::value_t::array:
    case nlohmann::json::value_t::object:
      return std::all_of(value.begin(), value.end(), says_nothing);
    default:
      return value.is_null();
  }
}

}  // namespace

std::string shown(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.size() <= kMaxShownBytes ? text : text.substr(0, kMaxShownBytes) + "...";
}

FieldReader::FieldReader(const nlohmann::json& object, std::string path)
    : object_(object), path_(std::move(path)) {
  if (!object.is_object())
    status_ = {Code::kInvalidArgument, path_ + ": found " + shown(object) + ", wanted an object"};
}

const nlohmann::json* FieldReader::find(const std::string& name) {
  known_.insert(name);
  if (failed()) return nullptr;
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void FieldReader::refuse(const std::string& name, const std::string& why) {
  if (!failed()) status_ = {Code::kInvalidArgument, path_of(name) + ": " + why};
}

void FieldReader::take(Status status) {
  if (!failed()) status_ = std::move(status);
}

void FieldReader::wrong_type(const std::string& name, const nlohmann::json& found,
                             const std::string& wanted) {
  refuse(name, "found " + shown(found) + ", wanted " + wanted);
}

void FieldReader::text(const std::string& name, std::string& out, size_t max_bytes) {
  const nlohmann::json* found = find(name);
  if (!found) return;
  if (!found->is_string() || found->get_ref<const std::string&>().size() > max_bytes)
    return wrong_type(name, *found, "a text of at most " + std::to_string(max_bytes) + " bytes");
  out = found->get<std::string>();
}

void FieldReader::choice(const std::string& name, std::string& out, const std::vector<std::string>& allowed) {
  const nlohmann::json* found = find(name);
  if (!found) return;
  std::string known;
  for (const std::string& one : allowed) {
    if (found->is_string() && *found == one) {
      out = one;
      return;
    }
    known += (known.empty() ? "" : " or ") + one;
  }
  wrong_type(name, *found, known);
}

void FieldReader::boolean(const std::string& name, bool& out) {
  const nlohmann::json* found = find(name);
  if (!found) return;
  if (!found->is_boolean()) return wrong_type(name, *found, "true or false");
  out = found->get<bool>();
}

void FieldReader::number(const std::string& name, uint32_t& out, uint32_t min, uint32_t max) {
  const nlohmann::json* found = find(name);
  if (!found) return;
  // A negative number compares as a large one would: refused by the type.
  const bool fits = found->is_number_integer() &&
                    (found->is_number_unsigned() || found->get<int64_t>() >= 0) &&
                    found->get<uint64_t>() >= min && found->get<uint64_t>() <= max;
  if (!fits)
    return wrong_type(name, *found, "a number from " + std::to_string(min) + " to " + std::to_string(max));
  out = found->get<uint32_t>();
}

void FieldReader::texts(const std::string& name, std::vector<std::string>& out, size_t max_items) {
  const nlohmann::json* found = items(name, max_items);
  if (!found) return;
  std::vector<std::string> texts;
  for (const nlohmann::json& item : *found) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty() ||
        item.get_ref<const std::string&>().size() > kMaxTextBytes)
      return wrong_type(name, item, "a list of texts that are not empty");
    if (std::find(texts.begin(), texts.end(), item) != texts.end())
      return refuse(name, "found " + shown(item) + " twice, wanted each once");
    texts.push_back(item);
  }
  out = std::move(texts);
}

void FieldReader::text_map(const std::string& name, std::map<std::string, std::string>& out,
                           size_t max_items) {
  const nlohmann::json* found = find(name);
  if (!found) return;
  if (!found->is_object() || found->size() > max_items)
    return wrong_type(name, *found, "at most " + std::to_string(max_items) + " pairs of a name and a text");
  std::map<std::string, std::string> pairs;
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string() || value.get_ref<const std::string&>().size() > kMaxTextBytes)
      return wrong_type(std::string(name).append(".").append(key), value,
                        "a text of at most " + std::to_string(kMaxTextBytes) + " bytes (numbers in quotes)");
    pairs[key] = value;
  }
  out = std::move(pairs);
}

void FieldReader::labels(const std::string& name, std::map<std::string, std::string>& out, size_t max_items) {
  std::map<std::string, std::string> pairs = out;
  text_map(name, pairs, max_items);
  for (const auto& [key, value] : pairs) {
    if (!valid_label_key(key)) return refuse(name, "found key " + shown(key) + ", wanted " + kLabelKeyWanted);
    if (!valid_label_value(value))
      return refuse(std::string(name).append(".").append(key),
                    "found " + shown(value) + ", wanted " + kLabelValueWanted);
  }
  if (!failed()) out = std::move(pairs);
}

const nlohmann::json* FieldReader::section(const std::string& name) {
  const nlohmann::json* found = find(name);
  if (found && !found->is_object()) {
    wrong_type(name, *found, "an object");
    return nullptr;
  }
  return found;
}

const nlohmann::json* FieldReader::items(const std::string& name, size_t max_items) {
  const nlohmann::json* found = find(name);
  if (found && (!found->is_array() || found->size() > max_items)) {
    wrong_type(name, *found, "a list of at most " + std::to_string(max_items) + " items");
    return nullptr;
  }
  return found;
}

Status FieldReader::finish() {
  if (failed()) return status_;
  for (const auto& [name, value] : object_.items()) {
    if (!known_.contains(name) && !says_nothing(value))
      return {Code::kInvalidArgument,
              path_of(name) + ": there is no such field; known are " + joined(known_)};
  }
  return Status::ok();
}

}  // namespace shima
