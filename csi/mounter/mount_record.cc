#include "csi/mounter/mount_record.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "csi/host/absolute_path.h"

namespace shima {
namespace {

constexpr int kVersion = 1;

Status wrong(const std::string& what) { return {Code::kCorrupt, "a mount's record: " + what}; }

// Types are checked before get<>, which throws otherwise.
bool take(const nlohmann::json& from, const char* key, std::string& to) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_string()) return false;
  to = found->get<std::string>();
  return true;
}

template <typename Number>
bool take_number(const nlohmann::json& from, const char* key, Number& to) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_number_integer()) return false;
  to = found->get<Number>();
  return true;
}

}  // namespace

std::string mount_id(std::string_view path) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  std::array<char, 17> text{};
  snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  return text.data();
}

std::string to_json(const MountRecord& record) {
  const nlohmann::ordered_json json = {{"magic", "shima-mount"},
                                       {"version", kVersion},
                                       {"path", record.path},
                                       {"volume", record.volume},
                                       {"read_only", record.read_only},
                                       {"node", record.node},
                                       {"publication", record.publication},
                                       {"pid", record.process.pid},
                                       {"start_ticks", record.process.start_ticks},
                                       {"boot_id", record.process.boot_id},
                                       {"connection", record.connection},
                                       {"since_ms", record.since_ms}};
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<MountRecord> mount_record_from_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return wrong("no JSON object");
  std::string magic;
  int version = 0;
  if (!take(json, "magic", magic) || magic != "shima-mount") return wrong("found no magic \"shima-mount\"");
  if (!take_number(json, "version", version) || version != kVersion) return wrong("wanted version 1");
  MountRecord record;
  const auto read_only = json.find("read_only");
  if (read_only == json.end() || !read_only->is_boolean()) return wrong("read_only is missing");
  record.read_only = read_only->get<bool>();
  if (!take(json, "path", record.path) || !take(json, "volume", record.volume) ||
      !take(json, "node", record.node) || !take(json, "boot_id", record.process.boot_id)) {
    return wrong("path, volume, node or boot_id is missing");
  }
  if (!take_number(json, "publication", record.publication) ||
      !take_number(json, "pid", record.process.pid) ||
      !take_number(json, "start_ticks", record.process.start_ticks) ||
      !take_number(json, "connection", record.connection) ||
      !take_number(json, "since_ms", record.since_ms)) {
    return wrong("publication, pid, start_ticks, connection or since_ms is missing");
  }
  SHIMA_RETURN_IF_ERROR(check_normalized_path("path", record.path));
  return record;
}

}  // namespace shima
