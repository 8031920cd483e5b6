#include "operator/spec/quantity.h"

#include <array>
#include <cmath>
#include <optional>
#include <utility>

namespace shima {
namespace {

constexpr size_t kMaxTextBytes = 32;
constexpr long double kMaxBytes = 9.2e18L;  // what a signed 64-bit number of Kubernetes holds

constexpr std::array<std::pair<const char*, long double>, 15> kSuffixes = {{{"", 1.0L},
                                                                            {"m", 1e-3L},
                                                                            {"u", 1e-6L},
                                                                            {"n", 1e-9L},
                                                                            {"k", 1e3L},
                                                                            {"M", 1e6L},
                                                                            {"G", 1e9L},
                                                                            {"T", 1e12L},
                                                                            {"P", 1e15L},
                                                                            {"E", 1e18L},
                                                                            {"Ki", 1024.0L},
                                                                            {"Mi", 1048576.0L},
                                                                            {"Gi", 1073741824.0L},
                                                                            {"Ti", 1099511627776.0L},
                                                                            {"Pi", 1125899906842624.0L}}};

std::optional<long double> exponent_of(const std::string& text) {
  if (text.size() < 2 || text.size() > 4 || (text[0] != 'e' && text[0] != 'E')) return std::nullopt;
  size_t begin = 1;
  const bool negative = text[1] == '-';
  if (negative || text[1] == '+') ++begin;
  if (begin == text.size() || text.find_first_not_of("0123456789", begin) != std::string::npos)
    return std::nullopt;
  const int digits = std::stoi(text.substr(begin));
  return std::pow(10.0L, negative ? -digits : digits);
}

std::optional<long double> factor_of(const std::string& suffix) {
  for (const auto& [name, factor] : kSuffixes)
    if (suffix == name) return factor;
  return exponent_of(suffix);
}

// Digits with at most one point among or after them, then a suffix.
std::optional<long double> amount_of(const std::string& text) {
  if (text.empty() || text.size() > kMaxTextBytes) return std::nullopt;
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string digits = text.substr(0, end);
  const size_t point = digits.find('.');
  if (digits.empty() || digits == "." ||
      digits.find('.', point == std::string::npos ? end : point + 1) != std::string::npos)
    return std::nullopt;
  const std::optional<long double> factor = factor_of(text.substr(end));
  if (!factor) return std::nullopt;
  return std::stold(digits) * *factor;
}

}  // namespace

bool valid_quantity(const std::string& text) {
  const auto amount = amount_of(text);
  return amount && *amount <= kMaxBytes;
}

Result<uint64_t> quantity_bytes(const std::string& text) {
  const auto amount = amount_of(text);
  if (!amount || *amount <= 0 || *amount > kMaxBytes)
    return {Code::kInvalidArgument,
            "found \"" + text.substr(0, kMaxTextBytes) + "\", wanted a number of bytes, as in 100Gi"};
  return static_cast<uint64_t>(std::ceil(*amount));
}

std::string bytes_quantity(uint64_t bytes) {
  constexpr std::array<const char*, 6> kBinary = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
  size_t power = 0;
  while (bytes != 0 && bytes % 1024 == 0 && power + 1 < kBinary.size()) {
    bytes /= 1024;
    ++power;
  }
  return std::to_string(bytes) + kBinary[power];
}

}  // namespace shima
