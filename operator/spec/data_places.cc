#include "operator/spec/data_places.h"

#include <algorithm>
#include <regex>

#include "operator/spec/field_reader.h"
#include "operator/spec/label_syntax.h"
#include "operator/spec/quantity.h"

namespace shima {
namespace {

constexpr size_t kMaxPathBytes = 1024;
constexpr uint64_t kMinClaimBytes = 1ull << 30;  // less than a journal is no disk

Status read_claim(const nlohmann::json& object, const std::string& path, DataPlace& out) {
  std::string size;
  FieldReader fields(object, path);
  fields.text("storageClass", out.storage_class);
  if (!out.storage_class.empty() && !valid_object_name(out.storage_class))
    fields.refuse("storageClass",
                  "found " + shown(out.storage_class) + ", wanted the name of a StorageClass");
  fields.text("size", size);
  const auto bytes = quantity_bytes(size);
  if (!bytes) {
    fields.refuse("size", bytes.status().message());
  } else if (*bytes < kMinClaimBytes) {
    fields.refuse("size", "found " + size + ", wanted at least 1Gi");
  } else {
    out.size_bytes = *bytes;
  }
  return fields.finish();
}

bool is_inside(const std::string& path, const std::string& other) {
  return path == other || path.starts_with(other + "/");
}

}  // namespace

bool is_plain_path(const std::string& path) {
  if (path.size() < 2 || path.size() > kMaxPathBytes || path.front() != '/' || path.back() == '/')
    return false;
  // Kubernetes refuses a colon in a mount's path; the others would need care in every tool.
  if (path.find_first_of(std::string(":\n\r\t\0", 5)) != std::string::npos) return false;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

Result<DataPlace> read_data_place(const nlohmann::json& object, const std::string& path) {
  DataPlace place;
  FieldReader fields(object, path);
  fields.text("hostPath", place.host_path, kMaxPathBytes);
  const nlohmann::json* claim = fields.section("claim");
  SHIMA_RETURN_IF_ERROR(fields.finish());
  if (place.host_path.empty() == (claim == nullptr))
    return {Code::kInvalidArgument,
            path + ": found " + (claim ? "both" : "neither") + ", wanted exactly one of hostPath and claim"};
  if (claim) {
    SHIMA_RETURN_IF_ERROR(read_claim(*claim, path + ".claim", place));
  } else if (!is_plain_path(place.host_path)) {
    return {Code::kInvalidArgument,
            path + ".hostPath: found " + shown(place.host_path) + ", wanted " + kPlainPathWanted};
  } else if (std::regex_search(place.host_path, std::regex(kSystemDirectories))) {
    return {Code::kInvalidArgument,
            path + ".hostPath: found " + shown(place.host_path) +
                ", a directory of the host's system, whose owner would change; wanted one that nothing else "
                "uses, as in /srv/shima/disk-0"};
  }
  return place;
}

std::optional<std::pair<std::string, std::string>> overlapping_directories(
    const std::vector<DataPlace>& places) {
  for (size_t i = 0; i < places.size(); ++i) {
    for (size_t j = i + 1; j < places.size(); ++j) {
      const std::string &a = places[i].host_path, &b = places[j].host_path;
      if (!a.empty() && !b.empty() && (is_inside(a, b) || is_inside(b, a))) return std::pair{a, b};
    }
  }
  return std::nullopt;
}

}  // namespace shima
