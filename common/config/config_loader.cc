#include "common/config/config_loader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "common/config/nearest_name.h"
#include "common/config/option_values.h"

namespace shima {
namespace {

Status invalid(const std::string& where, const std::string& what) {
  return {Code::kInvalidArgument, where + ": " + what};
}

std::string kind_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "\"" + node.Scalar() + "\"";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a section";
    default:
      return "nothing";
  }
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return {Code::kNotFound, "--config: cannot open " + path + ": " + std::strerror(errno)};
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) return {Code::kIo, "--config: cannot read " + path + ": " + std::strerror(errno)};
  return text.str();
}

}  // namespace

ConfigLoader::ConfigLoader(const std::vector<OptionSpec>& specs, std::string file_name, std::string path)
    : specs_(specs), file_name_(std::move(file_name)), path_(std::move(path)) {}

const OptionSpec* ConfigLoader::find(const std::string& name) const {
  auto it = std::find_if(specs_.begin(), specs_.end(), [&](const OptionSpec& s) { return s.name == name; });
  return it == specs_.end() ? nullptr : &*it;
}

bool ConfigLoader::is_section(const std::string& name) const {
  return std::any_of(specs_.begin(), specs_.end(),
                     [&](const OptionSpec& s) { return s.name.starts_with(name + "."); });
}

std::string ConfigLoader::at(const YAML::Node& node, const std::string& name) const {
  return file_name_ + ":" + std::to_string(node.Mark().line + 1) + ": " + path_ + name;
}

Status ConfigLoader::unknown(const std::string& where, const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& s : specs_) names.push_back(s.name);
  std::string near = nearest_name(name, names);
  return invalid(where, "there is no such option" + (near.empty() ? "; --help lists them all"
                                                                  : "; did you mean " + path_ + near + "?"));
}

Status ConfigLoader::load_yaml(const std::string& yaml) try {
  return load_node(YAML::Load(yaml));
} catch (const YAML::Exception& e) {
  int line = e.mark.is_null() ? 1 : e.mark.line + 1;
  return {Code::kInvalidArgument, file_name_ + ":" + std::to_string(line) + ": this is not YAML: " + e.msg};
}

Status ConfigLoader::load_node(const YAML::Node& section) {
  if (section.IsNull()) return Status::ok();
  if (!section.IsMap()) {
    return invalid(file_name_ + ":" + std::to_string(section.Mark().line + 1),
                   "found " + kind_of(section) + ", wanted lines of \"key: value\"");
  }
  return walk(section, "");
}

Status ConfigLoader::walk(const YAML::Node& section, const std::string& prefix) {
  std::set<std::string> seen;
  for (const auto& pair : section) {
    if (!pair.first.IsScalar())
      return invalid(at(pair.first, prefix), "found " + kind_of(pair.first) + " as a key");
    std::string name = prefix + pair.first.Scalar();
    std::string where = at(pair.first, name);
    if (!seen.insert(name).second) return invalid(where, "this key is here twice");
    if (const OptionSpec* spec = find(name)) {
      SHIMA_RETURN_IF_ERROR(take_node(*spec, pair.second));
    } else if (!is_section(name)) {
      return unknown(where, name);
    } else if (pair.second.IsMap()) {
      SHIMA_RETURN_IF_ERROR(walk(pair.second, name + "."));
    } else if (!pair.second.IsNull()) {
      return invalid(where, "found " + kind_of(pair.second) + ", wanted a section with keys of its own");
    }
  }
  return Status::ok();
}

Status ConfigLoader::take_node(const OptionSpec& spec, const YAML::Node& node) {
  std::string where = at(node, spec.name);
  auto mismatch = [&] { return invalid(where, "found " + kind_of(node) + ", wanted " + wanted_text(spec)); };
  Config::Value value;
  value.type = spec.type;
  value.given = true;
  value.origin = where;
  if (is_scalar(spec.type)) {
    if (!node.IsScalar()) return mismatch();
    SHIMA_RETURN_IF_ERROR(take_text(spec, node.Scalar(), where, value));
  } else if (spec.type == OptionType::kStringMap) {
    if (!node.IsMap()) return mismatch();
    for (const auto& pair : node) {
      if (!pair.first.IsScalar() || !pair.second.IsScalar()) return mismatch();
      value.map[pair.first.Scalar()] = pair.second.Scalar();
    }
    SHIMA_RETURN_IF_ERROR(check_count(spec, value.map.size(), where));
  } else if (!node.IsSequence()) {
    return mismatch();
  } else if (spec.type == OptionType::kSectionList) {
    SHIMA_RETURN_IF_ERROR(take_sections(spec, node, value));
  } else {
    for (const auto& item : node) {
      if (!item.IsScalar())
        return invalid(at(item, spec.name), "found " + kind_of(item) + ", wanted a string");
      value.list.push_back(item.Scalar());
    }
    SHIMA_RETURN_IF_ERROR(check_count(spec, value.list.size(), where));
  }
  config_.values_[spec.name] = std::move(value);
  return Status::ok();
}

Status ConfigLoader::take_sections(const OptionSpec& spec, const YAML::Node& node, Config::Value& value) {
  for (const auto& item : node) {
    std::string path = path_ + spec.name + "[" + std::to_string(value.sections.size()) + "].";
    ConfigLoader loader(spec.fields, file_name_, path);
    SHIMA_RETURN_IF_ERROR(loader.load_node(item));
    Result<Config> section = loader.finish();
    if (!section) return section.status();
    value.sections.push_back(std::move(*section));
  }
  return check_count(spec, value.sections.size(), at(node, spec.name));
}

Status ConfigLoader::take_text(const OptionSpec& spec, const std::string& text, const std::string& where,
                               Config::Value& value) {
  if (spec.type == OptionType::kStringList) {
    value.list = split_at_commas(text);
    return check_count(spec, value.list.size(), where);
  }
  Result<ScalarValue> scalar = parse_scalar(spec, text);
  if (!scalar) return scalar.status().with_context(where);
  if (spec.required && spec.type == OptionType::kString && text.empty())
    return invalid(where, "must not be empty");
  value.text = text;
  value.number = scalar->number;
  value.boolean = scalar->boolean;
  return Status::ok();
}

Status ConfigLoader::check_count(const OptionSpec& spec, size_t count, const std::string& where) const {
  if (count >= spec.min && count <= spec.max) return Status::ok();
  std::string allowed = spec.max == UINT64_MAX ? "at least " + std::to_string(spec.min)
                                               : std::to_string(spec.min) + " to " + std::to_string(spec.max);
  return invalid(where, "found " + std::to_string(count) + " items, wanted " + allowed);
}

Status ConfigLoader::load_flags(const std::vector<std::string>& flags) {
  for (size_t i = 0; i < flags.size(); ++i) {
    const std::string& flag = flags[i];
    if (!flag.starts_with("--") || flag.size() == 2) {
      return invalid(flag, "is not a flag; wanted --KEY=VALUE (--help lists the keys)");
    }
    size_t equals = flag.find('=');
    if (equals != std::string::npos) {
      std::string text = flag.substr(equals + 1);
      SHIMA_RETURN_IF_ERROR(take_flag(flag.substr(2, equals - 2), &text));
      continue;
    }
    bool value_follows = i + 1 < flags.size() && !flags[i + 1].starts_with("--");
    SHIMA_RETURN_IF_ERROR(take_flag(flag.substr(2), value_follows ? &flags[i + 1] : nullptr));
    if (value_follows) ++i;
  }
  return Status::ok();
}

Status ConfigLoader::take_flag(const std::string& name, const std::string* text) {
  std::string where = "--" + name;
  const OptionSpec* spec = find(name);
  if (!spec) return unknown(where, name);
  if (spec->type == OptionType::kStringMap || spec->type == OptionType::kSectionList) {
    return invalid(where, "is a " + type_name(spec->type) + ", which only the configuration file can give");
  }
  if (std::find(flags_seen_.begin(), flags_seen_.end(), name) != flags_seen_.end()) {
    return invalid(where, "is given twice");
  }
  flags_seen_.push_back(name);
  if (!text && spec->type != OptionType::kBool)
    return invalid(where, "has no value; wanted " + wanted_text(*spec));
  Config::Value value;
  value.type = spec->type;
  value.given = true;
  value.origin = where;
  SHIMA_RETURN_IF_ERROR(take_text(*spec, text ? *text : "true", where, value));
  config_.values_[name] = std::move(value);
  return Status::ok();
}

Result<Config> ConfigLoader::finish() {
  for (const OptionSpec& spec : specs_) {
    if (config_.values_.count(spec.name)) continue;
    std::string where = file_name_ + ": " + path_ + spec.name;
    if (spec.required) return invalid(where, "is missing: " + spec.help + "; wanted " + wanted_text(spec));
    Config::Value value;
    value.type = spec.type;
    value.origin = "default of " + path_ + spec.name;
    bool has_text = is_scalar(spec.type) || spec.type == OptionType::kStringList;
    if (has_text && !(spec.default_value.empty() && spec.type != OptionType::kString)) {
      Status s = take_text(spec, spec.default_value, where, value);
      SHIMA_CHECK(s.is_ok(), "a declared default is not allowed: " + s.message());
    }
    config_.values_[spec.name] = std::move(value);
  }
  return std::move(config_);
}

Result<Config> parse_config(const std::vector<OptionSpec>& specs, const std::string& yaml,
                            const std::string& file_name, const std::vector<std::string>& flags) {
  ConfigLoader loader(specs, file_name);
  SHIMA_RETURN_IF_ERROR(loader.load_yaml(yaml));
  SHIMA_RETURN_IF_ERROR(loader.load_flags(flags));
  return loader.finish();
}

Result<CommandLine> load_command_line(const std::vector<OptionSpec>& specs, int argc,
                                      const char* const* argv) {
  CommandLine line;
  std::string path;
  std::vector<std::string> flags;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    if (arg == "--help" || arg == "-h" || arg == "--print-reference") {
      line.wanted = arg == "--print-reference" ? CommandLine::Wanted::kReference : CommandLine::Wanted::kHelp;
      return line;
    }
    if (arg == "--config" && i + 1 < argc) {
      path = argv[++i];
    } else if (arg.starts_with("--config=")) {
      path = arg.substr(std::strlen("--config="));
    } else if (arg == "--config") {
      return invalid("--config", "has no value; wanted the path of a YAML file");
    } else {
      flags.push_back(arg);
    }
  }
  std::string yaml;
  if (!path.empty()) {
    Result<std::string> text = read_file(path);
    if (!text) return text.status();
    yaml = std::move(*text);
  }
  Result<Config> config = parse_config(specs, yaml, path.empty() ? "command line" : path, flags);
  if (!config) return config.status();
  line.config = std::move(*config);
  return line;
}

}  // namespace shima
