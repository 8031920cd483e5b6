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
  // Status Unknown: nobody tells, or what was told is old.
  void set_unknown(const std::string& type, const std::string& reason, const std::string& message);
  // As it was. False: there was none.
  bool keep(const std::string& type);
  // In the order of the calls. Conditions that none of them named are dropped.
  nlohmann::json list() const { return list_; }

 private:
  void add(const std::string& type, const std::string& status, const std::string& reason,
           const std::string& message);

  nlohmann::json previous_;
  const int64_t generation_;
  const std::string now_;
  nlohmann::json list_ = nlohmann::json::array();
};

// At most so many bytes (3 or more), the last of which say "..." where it was cut. Not in the middle of a
// character of several bytes: the API takes valid UTF-8 only.
std::string shortened(std::string text, size_t most_bytes);
// The first few of `parts`, joined by "; ", and how many more there are.
std::string told(const std::vector<std::string>& parts, size_t shown = 3);

}  // namespace shima
