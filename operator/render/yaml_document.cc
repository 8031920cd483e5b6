#include "operator/render/yaml_document.h"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <optional>

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxValues = 100'000, kMaxDepth = 100;

template <typename Number>
std::optional<Json> number_of(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Json(number);
}

Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return text;  // quoted
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  if (text.find_first_not_of("0123456789+-.eE") != std::string::npos) return text;
  if (const auto whole = number_of<int64_t>(text)) return *whole;
  if (const auto broken = number_of<double>(text)) return *broken;
  return text;
}

class Converter {
 public:
  Result<Json> convert(const YAML::Node& node, size_t depth) {
    if (++values_ > kMaxValues || depth > kMaxDepth)
      return {Code::kInvalidArgument,
              "found more than 100000 values, or 100 levels; wanted an object that people write"};
    if (node.IsMap()) return convert_map(node, depth);
    if (node.IsSequence()) return convert_list(node, depth);
    return node.IsScalar() ? scalar(node) : Json(nullptr);
  }

 private:
  Result<Json> convert_map(const YAML::Node& node, size_t depth) {
    Json object = Json::object();
    for (const auto& item : node) {
      if (!item.first.IsScalar())
        return {Code::kInvalidArgument,
                "line " + std::to_string(item.first.Mark().line + 1) + ": found a key that is no text"};
      Result<Json> value = convert(item.second, depth + 1);
      if (!value) return value;
      if (!object.emplace(item.first.Scalar(), std::move(*value)).second)
        return {Code::kInvalidArgument, "line " + std::to_string(item.first.Mark().line + 1) + ": found \"" +
                                            item.first.Scalar() + "\" twice, wanted each key once"};
    }
    return object;
  }

  Result<Json> convert_list(const YAML::Node& node, size_t depth) {
    Json list = Json::array();
    for (const YAML::Node& item : node) {
      Result<Json> value = convert(item, depth + 1);
      if (!value) return value;
      list.push_back(std::move(*value));
    }
    return list;
  }

  size_t values_ = 0;
};

}  // namespace

Result<std::vector<Json>> parse_yaml_documents(const std::string& text, const std::string& file_name) {
  std::vector<Json> documents;
  try {
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      if (node.IsNull()) continue;
      Result<Json> document = Converter().convert(node, 0);
      if (!document) return document.status().with_context(file_name);
      documents.push_back(std::move(*document));
    }
  } catch (const YAML::Exception& error) {
    return {Code::kInvalidArgument, file_name + ":" + std::to_string(error.mark.line + 1) + ":" +
                                        std::to_string(error.mark.column + 1) + ": " + error.msg};
  }
  return documents;
}

}  // namespace shima
