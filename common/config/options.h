// Options as declared data: what a program may be told, and Config: what it was told.
//
// Purpose: one list of OptionSpecs a program; its YAML file, its flags, --help and the reference page follow
// from it.
// Threads: none; a Config is read-only once it is made.
// Errors: kInvalidArgument as "FILE:LINE: KEY: found ..., wanted ..." (flags: "--KEY: ..."); kNotFound for a
// missing file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"

namespace shima {

enum class OptionType {
  kString,
  kInteger,
  kBytes,        // a number with or without KiB, MiB, GiB, TiB
  kDurationMs,   // a number of milliseconds, or with ms, s, min, h
  kBool,         // true or false
  kStringList,   // YAML list; as a flag: values with commas between
  kStringMap,    // YAML map of strings; no flag
  kSectionList,  // YAML list of sections, each with OptionSpec::fields; no flag
};

struct OptionSpec {
  std::string name;  // dots are sections of the YAML file: journal.segment_bytes
  OptionType type = OptionType::kString;
  std::string unit;           // for people: "ms", "bytes", ""
  std::string default_value;  // as one would write it; a list: commas between; "" for none
  uint64_t min = 0;           // bounds of numbers; least and greatest count of a list's items
  uint64_t max = UINT64_MAX;
  std::vector<std::string> allowed;  // strings: the only values; empty: any
  std::string help;                  // one sentence
  bool required = false;             // must be given in the file or as a flag
  std::vector<OptionSpec> fields;    // kSectionList: what each item may hold
};

// The values of all declared options. Asking for an option that is not declared, or as another type, is our
// own mistake and ends the process (SHIMA_CHECK).
class Config {
 public:
  bool given(std::string_view name) const;               // by file or flag; false: it has its default
  const std::string& text(std::string_view name) const;  // kString
  uint64_t number(std::string_view name) const;          // kInteger, kBytes, kDurationMs
  bool boolean(std::string_view name) const;             // kBool
  const std::vector<std::string>& list(std::string_view name) const;           // kStringList
  const std::map<std::string, std::string>& map(std::string_view name) const;  // kStringMap
  const std::vector<Config>& sections(std::string_view name) const;            // kSectionList
  // Where the value comes from, for error texts: "shima.yaml:12: journal.max_bytes" or "--journal.max_bytes".
  std::string origin(std::string_view name) const;

 private:
  friend class ConfigLoader;
  struct Value {
    OptionType type = OptionType::kString;
    std::string text;
    uint64_t number = 0;
    bool boolean = false;
    bool given = false;
    std::string origin;
    std::vector<std::string> list;
    std::map<std::string, std::string> map;
    std::vector<Config> sections;
  };
  const Value& value(std::string_view name, std::initializer_list<OptionType> types) const;
  std::map<std::string, Value, std::less<>> values_;
};

// Parses `yaml` (called `file_name` in errors) and lays `flags` ("--key=value", "--key value", "--bool-key")
// over it.
Result<Config> parse_config(const std::vector<OptionSpec>& specs, const std::string& yaml,
                            const std::string& file_name, const std::vector<std::string>& flags);

// A program's command line: --help, --print-reference, --config FILE and the flags of `specs`.
struct CommandLine {
  enum class Wanted { kRun, kHelp, kReference };
  Wanted wanted = Wanted::kRun;
  Config config;  // kRun only
};
Result<CommandLine> load_command_line(const std::vector<OptionSpec>& specs, int argc,
                                      const char* const* argv);

// The text of --help.
std::string help_text(const std::vector<OptionSpec>& specs, const std::string& program,
                      const std::string& summary);
// A markdown page's table: option, type, default, allowed, meaning.
std::string reference_table(const std::vector<OptionSpec>& specs);

// "64MiB" -> 67108864; a number alone is bytes. kInvalidArgument says what is allowed.
Result<uint64_t> parse_bytes(std::string_view text);
// "6s" -> 6000; a number alone is milliseconds.
Result<uint64_t> parse_duration_ms(std::string_view text);
// 67108864 -> "64MiB": the greatest suffix that divides it.
std::string format_bytes(uint64_t bytes);

}  // namespace shima
