// PURE: a list of conditions as Kubernetes keeps them (metav1.Condition), carried over from the previous one.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace shima {

inline constexpr size_t kMaxConditionMessageBytes = 4096;  // the API allows 32768; people read less

class Conditions {
 public:
  // `previous`: the list as it stands; anything but a list of objects counts as none. `now`: RFC 3339.
  Conditions(const nlohmann::json& previous, int64_t generation, std::string now);

  // `reason` is one CamelCase word. A message that is too long is cut.
  void set(const std::string& type, bool is_true, const std::string& reason, const std::string& message);
  // In the order of set(). Conditions that were not set are dropped.
  nlohmann::json list() const { return list_; }

 private:
  nlohmann::json previous_;
  const int64_t generation_;
  const std::string now_;
  nlohmann::json list_ = nlohmann::json::array();
};

// The first few of `parts`, joined by "; ", and how many more there are.
std::string told(const std::vector<std::string>& parts, size_t shown = 3);

}  // namespace shima
