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

// Not in the middle of a character of several bytes: the API takes valid UTF-8 only.
std::string cut(std::string text) {
  if (text.size() <= kMaxConditionMessageBytes) return text;
  size_t end = kMaxConditionMessageBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

}  // namespace

Conditions::Conditions(const json& previous, int64_t generation, std::string now)
    : previous_(previous), generation_(generation), now_(std::move(now)) {}

void Conditions::set(const std::string& type, bool is_true, const std::string& reason,
                     const std::string& message) {
  const std::string status = is_true ? "True" : "False";
  json condition{{"type", type},
                 {"status", status},
                 {"reason", reason},
                 {"message", cut(message)},
                 {"observedGeneration", generation_},
                 {"lastTransitionTime", now_}};
  const json* before = find(previous_, type);
  if (before && before->value("status", json()) == json(status) &&
      before->value("lastTransitionTime", json()).is_string())
    condition["lastTransitionTime"] = before->at("lastTransitionTime");
  list_.push_back(std::move(condition));
}

std::string told(const std::vector<std::string>& parts, size_t shown) {
  std::string text;
  for (size_t i = 0; i < parts.size() && i < shown; ++i) text += (i ? "; " : "") + parts[i];
  if (parts.size() > shown) text += "; and " + std::to_string(parts.size() - shown) + " more";
  return text;
}

}  // namespace shima
