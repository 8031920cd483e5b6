#include "common/kubernetes/resource_path.h"

#include <algorithm>

namespace shima {
namespace {

constexpr size_t kMaxPart = 253;  // a DNS subdomain, the longest name that Kubernetes knows (RFC 1123)
constexpr size_t kShownBytes = 80;

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::string encoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (char c : text) {
    if (is_unreserved(c)) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return result;
}

// What Kubernetes itself refuses in any name (path segment names), and lengths.
Status check_part(std::string_view what, std::string_view part) {
  const char* wrong = nullptr;
  if (part.empty()) wrong = "it is empty";
  if (part.size() > kMaxPart) wrong = "it is longer than 253 bytes";
  if (part == "." || part == "..") wrong = "it would leave its place in the path";
  if (std::any_of(part.begin(), part.end(), [](char c) { return c == '/' || c == '%' || c == '\\'; }))
    wrong = "it has a slash, a backslash or a percent sign";
  if (std::any_of(part.begin(), part.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    wrong = "it has control characters";
  if (!wrong) return Status::ok();
  std::string shown(part.substr(0, kShownBytes));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return {Code::kInvalidArgument, "wanted " + std::string(what) + " of a Kubernetes object, found \"" +
                                      shown + "\", which cannot be one: " + wrong};
}

}  // namespace

Result<std::string> group_path(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) {
    SHIMA_RETURN_IF_ERROR(check_part("the version", api_version));
    return "/api/" + encoded(api_version);
  }
  SHIMA_RETURN_IF_ERROR(check_part("the API group", api_version.substr(0, slash)));
  SHIMA_RETURN_IF_ERROR(check_part("the version", api_version.substr(slash + 1)));
  return "/apis/" + encoded(api_version.substr(0, slash)) + "/" + encoded(api_version.substr(slash + 1));
}

Result<std::string> collection_path(const ResourceKind& kind, std::string_view name_space) {
  Result<std::string> path = group_path(kind.api_version);
  if (!path) return path;
  SHIMA_RETURN_IF_ERROR(check_part("the plural name", kind.plural));
  if (kind.namespaced && !name_space.empty()) {
    SHIMA_RETURN_IF_ERROR(check_part("the namespace", name_space));
    *path += "/namespaces/" + encoded(name_space);
  }
  return *path + "/" + encoded(kind.plural);
}

Result<std::string> object_path(const ResourceKind& kind, std::string_view name_space, std::string_view name,
                                std::string_view subresource) {
  if (kind.namespaced) SHIMA_RETURN_IF_ERROR(check_part("the namespace", name_space));
  SHIMA_RETURN_IF_ERROR(check_part("the name", name));
  Result<std::string> path = collection_path(kind, name_space);
  if (!path) return path;
  *path += "/" + encoded(name);
  if (subresource.empty()) return path;
  SHIMA_RETURN_IF_ERROR(check_part("the subresource", subresource));
  return *path + "/" + encoded(subresource);
}

std::string query_text(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters)
    text += (text.empty() ? "?" : "&") + encoded(name) + "=" + encoded(value);
  return text;
}

std::string object_key(std::string_view name_space, std::string_view name) {
  return name_space.empty() ? std::string(name) : std::string(name_space) + "/" + std::string(name);
}

std::pair<std::string, std::string> split_object_key(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

}  // namespace shima
