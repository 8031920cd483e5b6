#include "common/config/options.h"

#include <algorithm>

namespace shima {

const Config::Value& Config::value(std::string_view name, std::initializer_list<OptionType> types) const {
  auto it = values_.find(name);
  SHIMA_CHECK(it != values_.end(), "this option is not declared: " + std::string(name));
  bool type_fits = types.size() == 0 || std::find(types.begin(), types.end(), it->second.type) != types.end();
  SHIMA_CHECK(type_fits, "this option is declared with another type: " + std::string(name));
  return it->second;
}

bool Config::given(std::string_view name) const { return value(name, {}).given; }
std::string Config::origin(std::string_view name) const { return value(name, {}).origin; }
const std::string& Config::text(std::string_view name) const {
  return value(name, {OptionType::kString}).text;
}
uint64_t Config::number(std::string_view name) const {
  return value(name, {OptionType::kInteger, OptionType::kBytes, OptionType::kDurationMs}).number;
}
bool Config::boolean(std::string_view name) const { return value(name, {OptionType::kBool}).boolean; }
const std::vector<std::string>& Config::list(std::string_view name) const {
  return value(name, {OptionType::kStringList}).list;
}
const std::map<std::string, std::string>& Config::map(std::string_view name) const {
  return value(name, {OptionType::kStringMap}).map;
}
const std::vector<Config>& Config::sections(std::string_view name) const {
  return value(name, {OptionType::kSectionList}).sections;
}

}  // namespace shima
