#include "operator/spec/label_syntax.h"

#include <algorithm>
#include <string_view>

namespace shima {
namespace {

bool is_digit_or_lower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alphanumeric(char c) { return is_digit_or_lower(c) || (c >= 'A' && c <= 'Z'); }

bool is_label_text(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

// Parts with dots between, each of [a-z0-9-] with a letter or digit at both ends.
bool is_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const bool fits =
        !part.empty() && is_digit_or_lower(part.front()) && is_digit_or_lower(part.back()) &&
        std::all_of(part.begin(), part.end(), [](char c) { return is_digit_or_lower(c) || c == '-'; });
    if (!fits) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

bool valid_label_key(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return is_label_text(text);
  return is_subdomain(std::string_view(text).substr(0, slash)) &&
         is_label_text(std::string_view(text).substr(slash + 1));
}

bool valid_label_value(const std::string& text) { return text.empty() || is_label_text(text); }

bool valid_site_name(const std::string& text) {
  return text.size() <= 63 && text.find('.') == std::string::npos && is_subdomain(text);
}

bool valid_object_name(const std::string& text) { return is_subdomain(text); }

}  // namespace shima
