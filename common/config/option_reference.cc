#include <algorithm>

#include "common/config/option_values.h"
#include "common/config/options.h"

namespace shima {
namespace {

std::string default_text(const OptionSpec& spec) {
  if (spec.required) return "required";
  return spec.default_value.empty() ? "none" : spec.default_value;
}

std::string allowed_text(const OptionSpec& spec) {
  if (!spec.allowed.empty()) {
    std::string all;
    for (const auto& a : spec.allowed) all += (all.empty() ? "" : ", ") + a;
    return all;
  }
  bool bounded = spec.min != 0 || spec.max != UINT64_MAX;
  if (spec.type == OptionType::kString || spec.type == OptionType::kBool || !bounded) return "any";
  std::string least = format_number(spec, spec.min);
  std::string text =
      spec.max == UINT64_MAX ? "at least " + least : least + " to " + format_number(spec, spec.max);
  return is_scalar(spec.type) ? text : text + " items";
}

void add_rows(const std::vector<OptionSpec>& specs, const std::string& prefix, std::string& out) {
  for (const OptionSpec& spec : specs) {
    std::string type = type_name(spec.type) + (spec.unit.empty() ? "" : ", " + spec.unit);
    out += "| `" + prefix + spec.name + "` | " + type + " | " + default_text(spec) + " | " +
           allowed_text(spec) + " | " + spec.help + " |\n";
    if (!spec.fields.empty()) add_rows(spec.fields, prefix + spec.name + "[].", out);
  }
}

}  // namespace

std::string reference_table(const std::vector<OptionSpec>& specs) {
  std::string out = "| option | type | default | allowed | meaning |\n|---|---|---|---|---|\n";
  add_rows(specs, "", out);
  return out;
}

std::string help_text(const std::vector<OptionSpec>& specs, const std::string& program,
                      const std::string& summary) {
  std::string out =
      program + ": " + summary + "\n\nUsage: " + program +
      " [--config FILE] [--KEY=VALUE ...]\n"
      "Flags win over the YAML file, where the dots of a key are sections. --print-reference prints\n"
      "all keys as a markdown table, --version the version.\n\n";
  for (const OptionSpec& spec : specs) {
    bool file_only = spec.type == OptionType::kStringMap || spec.type == OptionType::kSectionList;
    out += "  " + (file_only ? spec.name + " (file only)" : "--" + spec.name + "=" + type_name(spec.type)) +
           "\n";
    out +=
        "      " + spec.help + " Default: " + default_text(spec) + ". Allowed: " + allowed_text(spec) + ".\n";
  }
  return out;
}

}  // namespace shima
