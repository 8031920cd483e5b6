// Names of directory entries as they come from outside: any bytes but '/' and NUL, 1 to 255 of them.
#pragma once

#include <string_view>

namespace shima {

inline bool is_dot(std::string_view name) { return name == "."; }
inline bool is_dot_dot(std::string_view name) { return name == ".."; }
inline bool is_dot_or_dot_dot(std::string_view name) { return is_dot(name) || is_dot_dot(name); }

// EINVAL: empty, or has a '/' or NUL. ENAMETOOLONG. 0: good ("." and ".." too).
int check_entry_name(std::string_view name);

}  // namespace shima
