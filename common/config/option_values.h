// Texts of single values <-> numbers and flags, and how bounds are told to people. Internal to common/config.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/config/options.h"
#include "common/status/status.h"

namespace shima {

struct ScalarValue {
  uint64_t number = 0;
  bool boolean = false;
};

bool is_scalar(OptionType type);
std::string type_name(OptionType type);
// "a size from 1MiB to 4GiB", "one of posix, losing"
std::string wanted_text(const OptionSpec& spec);
// Checks type, bounds and allowed values; the error is "found ..., wanted ..." without the key.
Result<ScalarValue> parse_scalar(const OptionSpec& spec, std::string_view text);
std::vector<std::string> split_at_commas(std::string_view text);  // spaces around values are dropped
std::string format_number(const OptionSpec& spec, uint64_t value);

}  // namespace shima
