// The known name that a mistyped one most likely means. Internal to common/config.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shima {

// Empty if none is near enough to be worth a suggestion.
std::string nearest_name(std::string_view typed, const std::vector<std::string>& known);

}  // namespace shima
