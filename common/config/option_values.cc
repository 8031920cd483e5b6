#include "common/config/option_values.h"

#include <algorithm>
#include <charconv>

namespace shima {
namespace {

struct Suffix {
  std::string_view text;
  uint64_t factor;
};
constexpr Suffix kByteSuffixes[] = {
    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}, {"", 1}};
constexpr Suffix kDurationSuffixes[] = {{"min", 60000}, {"ms", 1}, {"s", 1000}, {"h", 3600000}, {"", 1}};

template <size_t N>
Result<uint64_t> parse_with_suffix(std::string_view text, const Suffix (&suffixes)[N], const char* wanted) {
  auto refuse = [&] {
    return Status(Code::kInvalidArgument, "found \"" + std::string(text) + "\", wanted " + wanted);
  };
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return refuse();
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  for (const Suffix& s : suffixes) {
    if (rest != s.text) continue;
    if (number > UINT64_MAX / s.factor) return refuse();
    return number * s.factor;
  }
  return refuse();
}

constexpr const char* kWantedBytes = "a number of bytes, or one with KiB, MiB, GiB or TiB behind it";
constexpr const char* kWantedDuration = "a number of milliseconds, or one with ms, s, min or h behind it";

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& t : texts) all += (all.empty() ? "" : ", ") + t;
  return all;
}

std::string bounds_text(const OptionSpec& spec) {
  if (spec.max == UINT64_MAX) return spec.min == 0 ? "" : " of at least " + format_number(spec, spec.min);
  return " from " + format_number(spec, spec.min) + " to " + format_number(spec, spec.max);
}

}  // namespace

Result<uint64_t> parse_bytes(std::string_view text) {
  return parse_with_suffix(text, kByteSuffixes, kWantedBytes);
}
Result<uint64_t> parse_duration_ms(std::string_view text) {
  return parse_with_suffix(text, kDurationSuffixes, kWantedDuration);
}

std::string format_bytes(uint64_t bytes) {
  for (const Suffix& s : kByteSuffixes) {
    if (s.factor > 1 && bytes != 0 && bytes % s.factor == 0) {
      return std::to_string(bytes / s.factor) + std::string(s.text);
    }
  }
  return std::to_string(bytes);
}

bool is_scalar(OptionType type) {
  return type != OptionType::kStringList && type != OptionType::kStringMap &&
         type != OptionType::kSectionList;
}

std::string type_name(OptionType type) {
  switch (type) {
    case OptionType::kString:
      return "string";
    case OptionType::kInteger:
      return "integer";
    case OptionType::kBytes:
      return "size";
    case OptionType::kDurationMs:
      return "duration";
    case OptionType::kBool:
      return "true or false";
    case OptionType::kStringList:
      return "list";
    case OptionType::kStringMap:
      return "map";
    case OptionType::kSectionList:
      return "list of sections";
  }
  return "";
}

std::string format_number(const OptionSpec& spec, uint64_t value) {
  if (spec.type == OptionType::kBytes) return format_bytes(value);
  if (spec.type == OptionType::kDurationMs) return std::to_string(value) + "ms";
  return std::to_string(value);
}

std::string wanted_text(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kString:
      return spec.allowed.empty() ? "a string" : "one of " + joined(spec.allowed);
    case OptionType::kInteger:
      return "an integer" + bounds_text(spec);
    case OptionType::kBytes:
      return "a size (a number, with KiB, MiB, GiB or TiB behind it if not bytes)" + bounds_text(spec);
    case OptionType::kDurationMs:
      return "a duration (a number, with s, min or h behind it if not ms)" + bounds_text(spec);
    case OptionType::kBool:
      return "true or false";
    case OptionType::kStringList:
      return "a list of strings";
    case OptionType::kStringMap:
      return "a map of strings";
    case OptionType::kSectionList:
      return "a list of sections";
  }
  return "";
}

Result<ScalarValue> parse_scalar(const OptionSpec& spec, std::string_view text) {
  auto refuse = [&] {
    return Status(Code::kInvalidArgument, "found \"" + std::string(text) + "\", wanted " + wanted_text(spec));
  };
  ScalarValue value;
  switch (spec.type) {
    case OptionType::kString:
      if (spec.allowed.empty()) return value;
      if (std::find(spec.allowed.begin(), spec.allowed.end(), text) == spec.allowed.end()) return refuse();
      return value;
    case OptionType::kBool:
      if (text != "true" && text != "false") return refuse();
      value.boolean = text == "true";
      return value;
    default:
      break;
  }
  Result<uint64_t> number = spec.type == OptionType::kBytes ? parse_bytes(text)
                            : spec.type == OptionType::kDurationMs
                                ? parse_duration_ms(text)
                                : parse_with_suffix(text, {Suffix{"", 1}}, "");
  if (!number || *number < spec.min || *number > spec.max) return refuse();
  value.number = *number;
  return value;
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    parts.emplace_back(part);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

}  // namespace shima
