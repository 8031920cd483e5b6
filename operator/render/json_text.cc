#include "operator/render/json_text.h"

namespace shima {
namespace {

using Json = nlohmann::json;

void append(const Json& value, size_t indent, size_t used, size_t width, std::string& out) {
  const std::string line = value.dump();
  if (!value.is_structured() || value.empty() || used + line.size() <= width) {
    out += line;
    return;
  }
  const std::string margin(indent + 2, ' ');
  out += value.is_object() ? "{\n" : "[\n";
  bool first = true;
  for (const auto& [key, item] : value.items()) {
    out += (first ? "" : ",\n") + margin;
    first = false;
    const std::string name = value.is_object() ? Json(key).dump() + ": " : "";
    out += name;
    append(item, indent + 2, margin.size() + name.size() + 1, width, out);
  }
  out += "\n" + std::string(indent, ' ') + (value.is_object() ? "}" : "]");
}

}  // namespace

std::string json_text(const Json& value, size_t width) {
  std::string out;
  append(value, 0, 0, width, out);
  return out;
}

}  // namespace shima
