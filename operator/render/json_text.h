// PURE: JSON for people: what fits on a line is on one line.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace shima {

// Without a newline at the end. `width`: of a line, in bytes; a text that is longer is not cut.
std::string json_text(const nlohmann::json& value, size_t width = 110);

}  // namespace shima
