#include "operator/render/declared_options.h"

#include <string>
#include <vector>

#include "common/config/options.h"
#include "operator/server/operator_options.h"
#include "operator/spec/server_option_rules.h"

namespace shima {
namespace {

using Json = nlohmann::json;

const char* type_name(OptionType type) {
  switch (type) {
    case OptionType::kString:
      return "string";
    case OptionType::kInteger:
      return "integer";
    case OptionType::kBytes:
      return "bytes";
    case OptionType::kDurationMs:
      return "duration";
    case OptionType::kBool:
      return "bool";
    case OptionType::kStringList:
      return "list";
    case OptionType::kStringMap:
    case OptionType::kSectionList:
      break;
  }
  return "file only";
}

Json told(const std::vector<OptionSpec>& specs) {
  Json list = Json::array();
  for (const OptionSpec& spec : specs)
    list.push_back({{"name", spec.name},
                    {"type", type_name(spec.type)},
                    {"unit", spec.unit},
                    {"default", spec.default_value},
                    {"min", spec.min},
                    {"max", spec.max},
                    {"allowed", spec.allowed},
                    {"help", spec.help}});
  return list;
}

}  // namespace

Json declared_options() {
  return {{"operator", told(operator_option_specs())},
          {"coreServers", told(free_core_server_options())},
          {"accessServers", told(free_access_server_options())}};
}

}  // namespace shima
