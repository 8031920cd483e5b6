// FieldReader: takes the fields of one JSON object, each checked, and says what is wrong by the field's path.
//
// PURE. A field that is absent or null leaves the variable as it is (its default). After the first error
// nothing more is read; finish() returns that error, or names a field that nobody asked for. One that says
// nothing (null, false, 0, empty, or made of such) is passed over: a newer definition's default. Errors:
// kInvalidArgument as "spec.coreServers.perSite: found 99, wanted a number from 1 to 64".
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

class FieldReader {
 public:
  // `object` outlives the reader.
  FieldReader(const nlohmann::json& object, std::string path);

  void text(const std::string& name, std::string& out, size_t max_bytes = 253);
  void choice(const std::string& name, std::string& out, const std::vector<std::string>& allowed);
  void boolean(const std::string& name, bool& out);
  void number(const std::string& name, uint32_t& out, uint32_t min, uint32_t max);
  void texts(const std::string& name, std::vector<std::string>& out, size_t max_items);
  void text_map(const std::string& name, std::map<std::string, std::string>& out, size_t max_items);
  // Labels of nodes: keys and values as Kubernetes has them.
  void labels(const std::string& name, std::map<std::string, std::string>& out, size_t max_items);
  // Null if it is not there (or wrong, which finish() tells).
  const nlohmann::json* section(const std::string& name);                  // an object
  const nlohmann::json* items(const std::string& name, size_t max_items);  // an array

  std::string path_of(const std::string& name) const { return path_ + "." + name; }
  void refuse(const std::string& name, const std::string& why);
  void take(Status status);  // an error of what was read elsewhere
  bool failed() const { return !status_.is_ok(); }
  Status finish();

 private:
  const nlohmann::json* find(const std::string& name);
  void wrong_type(const std::string& name, const nlohmann::json& found, const std::string& wanted);

  const nlohmann::json& object_;
  const std::string path_;
  std::set<std::string> known_;
  Status status_;
};

// What was found, for an error text: as JSON, shortened.
std::string shown(const nlohmann::json& value);

}  // namespace shima
