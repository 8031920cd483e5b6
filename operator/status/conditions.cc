#include "operator/status/conditions.h"

namespace shima {
namespace {

using nlohmann::json;

const json* find(const json& list, const std::string& type) {
  if (!list.is_array()) return nullptr;
  for (const json& each : list)
    if (each.is_object() && each.value("type", json()) == json(type)) return &each;
  return nullptr;
}

}  // namespace

Conditions::Conditions(const json& previous, int64_t generation, std::string now)
    : previous_(previous), generation_(generation), now_(std::move(now)) {}

void Conditions::set(const std::string& type, bool is_true, const std::string& reason,
                     const std::string& message) {
  add(type, is_true ? "True" : "False", reason, message);
}

void Conditions::set_unknown(const std::string& type, const std::string& reason, const std::string& message) {
  add(type, "Unknown", reason, message);
}

bool Conditions::keep(const std::string& type) {
  const json* before = find(previous_, type);
  if (before) list_.push_back(*before);
  return before != nullptr;
}

void Conditions::add(const std::string& type, const std::string& status, const std::string& reason,
                     const std::string& message) {
  json condition{{"type", type},
                 {"status", status},
                 {"reason", reason},
                 {"message", shortened(message, kMaxConditionMessageBytes)},
                 {"observedGeneration", generation_},
                 {"lastTransitionTime", now_}};
  const json* before = find(previous_, type);
  if (before && before->value("status", json()) == json(status) &&
      before->value("lastTransitionTime", json()).is_string())
    condition["lastTransitionTime"] = before->at("lastTransitionTime");
  list_.push_back(std::move(condition));
}

std::string shortened(std::string text, size_t most_bytes) {
  if (text.size() <= most_bytes) return text;
  size_t end = most_bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

std::string told(const std::vector<std::string>& parts, size_t shown) {
  std::string text;
  for (size_t i = 0; i < parts.size() && i < shown; ++i) text += (i ? "; " : "") + parts[i];
  if (parts.size() > shown) text += "; and " + std::to_string(parts.size() - shown) + " more";
  return text;
}

}  // namespace shima
