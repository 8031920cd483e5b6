#include "coreserver/cluster/unknown_fields.h"

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>

namespace shima {

using nlohmann::ordered_json;

Result<SplitRecord> split_unknown_fields(const google::protobuf::Descriptor& message,
                                         const std::string& json) {
  const ordered_json record = ordered_json::parse(json, nullptr, false);
  if (!record.is_object()) return Status(Code::kCorrupt, "is no JSON object");
  ordered_json known = ordered_json::object();
  SplitRecord split;
  for (const auto& [key, value] : record.items()) {
    if (message.FindFieldByName(key) || message.FindFieldByCamelcaseName(key)) {
      known[key] = value;
    } else {
      split.unknown += (split.unknown.empty() ? "" : ",") + ordered_json(key).dump() + ":" + value.dump();
    }
  }
  split.known = known.dump();
  return split;
}

std::string with_unknown_fields(std::string json, const std::string& unknown) {
  const size_t end = json.rfind('}');
  if (!unknown.empty() && end != std::string::npos) json.insert(end, "," + unknown);
  return json;
}

}  // namespace shima
