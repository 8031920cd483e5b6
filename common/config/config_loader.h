// ConfigLoader: fills a Config from YAML and flags. Internal to common/config.
//
// Use: load_yaml() or load_node(), then load_flags(), then finish().
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <vector>

#include "common/config/options.h"

namespace shima {

class ConfigLoader {
 public:
  // `path` is put before option names in errors: "disks[0]." for an item of a list of sections.
  ConfigLoader(const std::vector<OptionSpec>& specs, std::string file_name, std::string path = "");

  Status load_yaml(const std::string& yaml);
  Status load_node(const YAML::Node& section);
  Status load_flags(const std::vector<std::string>& flags);
  Result<Config> finish();  // fills in defaults; an option that is required and absent is an error

 private:
  const OptionSpec* find(const std::string& name) const;
  bool is_section(const std::string& name) const;
  std::string at(const YAML::Node& node, const std::string& name) const;
  Status unknown(const std::string& where, const std::string& name) const;
  Status walk(const YAML::Node& section, const std::string& prefix);
  Status take_node(const OptionSpec& spec, const YAML::Node& node);
  Status take_sections(const OptionSpec& spec, const YAML::Node& node, Config::Value& value);
  Status take_text(const OptionSpec& spec, const std::string& text, const std::string& where,
                   Config::Value& value);
  Status check_count(const OptionSpec& spec, size_t count, const std::string& where) const;
  Status take_flag(const std::string& name, const std::string* text);

  const std::vector<OptionSpec>& specs_;
  std::string file_name_;
  std::string path_;
  Config config_;
  std::vector<std::string> flags_seen_;
};

}  // namespace shima
