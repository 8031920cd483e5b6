#include "csi/node/stage_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "csi/host/absolute_path.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMostTargets = 1024;

const char* phase_name(StagePhase phase) {
  switch (phase) {
    case StagePhase::kStaging:
      return "staging";
    case StagePhase::kStaged:
      return "staged";
    default:
      return "unstaging";
  }
}

// Reads members of an object; the first that is not as it must be is remembered. Types are checked before
// get<>, which throws otherwise.
class Members {
 public:
  explicit Members(const Json& object) : object_(object) {}

  std::string text(const char* key) {
    const Json* found = find(key, Json::value_t::string);
    return found == nullptr ? "" : found->get<std::string>();
  }
  bool boolean(const char* key) {
    const Json* found = find(key, Json::value_t::boolean);
    return found != nullptr && found->get<bool>();
  }
  uint64_t number(const char* key) {
    const Json* found = find(key, Json::value_t::number_unsigned);
    return found == nullptr ? 0 : found->get<uint64_t>();
  }
  std::optional<uint32_t> optional_number(const char* key) {
    if (!object_.contains(key)) return std::nullopt;
    const uint64_t value = number(key);
    if (value > UINT32_MAX) wrong_ = key;
    return static_cast<uint32_t>(value);
  }
  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> all;
    const Json* found = find(key, Json::value_t::array);
    if (found == nullptr) return all;
    for (const Json& item : *found) {
      if (!item.is_string()) wrong_ = key;
      if (item.is_string()) all.push_back(item.get<std::string>());
    }
    return all;
  }
  const Json* find(const char* key, Json::value_t type) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->type() == type) return &*found;
    if (wrong_.empty()) wrong_ = key;
    return nullptr;
  }
  Status status() const {
    if (wrong_.empty()) return {};
    return {Code::kCorrupt, "a staged volume's record: " + wrong_ + " is missing or not as it must be"};
  }
  void refuse(const std::string& key) { wrong_ = key; }

 private:
  const Json& object_;
  std::string wrong_;
};

Result<std::vector<PublishedTarget>> targets_from(const Json& list) {
  std::vector<PublishedTarget> targets;
  if (list.size() > kMostTargets) return Status(Code::kCorrupt, "a staged volume's record: too many targets");
  for (const Json& item : list) {
    if (!item.is_object()) return Status(Code::kCorrupt, "a staged volume's record: a target is no object");
    Members members(item);
    PublishedTarget target{members.text("path"), members.boolean("read_only"), members.texts("flags")};
    SHIMA_RETURN_IF_ERROR(members.status());
    const Status path = check_normalized_path("target", target.path);
    if (!path.is_ok()) return Status(Code::kCorrupt, path.message());
    targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace

PublishedTarget* StageRecord::find_target(std::string_view path) {
  const auto found =
      std::find_if(targets.begin(), targets.end(), [&](const PublishedTarget& t) { return t.path == path; });
  return found == targets.end() ? nullptr : &*found;
}

bool StageRecord::wants_read_only_loop() const {
  return block && (read_only || std::any_of(targets.begin(), targets.end(),
                                            [](const PublishedTarget& t) { return t.read_only; }));
}

bool StageRecord::compatible_with(const StageRecord& wanted) const {
  return block == wanted.block && read_only == wanted.read_only && protocol == wanted.protocol &&
         flags == wanted.flags && mount_group == wanted.mount_group;
}

bool can_name_record(std::string_view volume) {
  return !volume.empty() && volume.size() <= 63 && volume.front() != '.' &&
         std::all_of(volume.begin(), volume.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

std::string to_json(const StageRecord& record) {
  nlohmann::ordered_json json = {{"magic", "shima-staged"},
                                 {"version", kVersion},
                                 {"volume", record.volume},
                                 {"phase", phase_name(record.phase)},
                                 {"staging_path", record.staging_path},
                                 {"block", record.block},
                                 {"read_only", record.read_only},
                                 {"protocol", record.protocol == FileProtocol::kFuse ? "fuse" : "nfs"},
                                 {"flags", record.flags},
                                 {"publication", record.publication},
                                 {"size_bytes", record.size_bytes}};
  if (record.mount_group) json["mount_group"] = *record.mount_group;
  if (record.loop) json["loop"] = *record.loop;
  if (record.read_only_loop) json["read_only_loop"] = *record.read_only_loop;
  json["targets"] = nlohmann::ordered_json::array();
  for (const PublishedTarget& target : record.targets) {
    json["targets"].push_back(
        {{"path", target.path}, {"read_only", target.read_only}, {"flags", target.flags}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<StageRecord> stage_record_from_json(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return Status(Code::kCorrupt, "a staged volume's record: no JSON object");
  Members members(json);
  StageRecord record;
  if (members.text("magic") != "shima-staged") members.refuse("magic");
  if (members.number("version") != kVersion) members.refuse("version");
  record.volume = members.text("volume");
  if (!can_name_record(record.volume)) members.refuse("volume");
  const std::string phase = members.text("phase"), protocol = members.text("protocol");
  if (phase != "staging" && phase != "staged" && phase != "unstaging") members.refuse("phase");
  record.phase = phase == "staged"      ? StagePhase::kStaged
                 : phase == "unstaging" ? StagePhase::kUnstaging
                                        : StagePhase::kStaging;
  if (protocol != "fuse" && protocol != "nfs") members.refuse("protocol");
  record.protocol = protocol == "nfs" ? FileProtocol::kNfs : FileProtocol::kFuse;
  record.staging_path = members.text("staging_path");
  if (!check_normalized_path("staging_path", record.staging_path)) members.refuse("staging_path");
  record.block = members.boolean("block");
  record.read_only = members.boolean("read_only");
  record.flags = members.texts("flags");
  record.publication = members.number("publication");
  record.size_bytes = members.number("size_bytes");
  record.mount_group = members.optional_number("mount_group");
  record.loop = members.optional_number("loop");
  record.read_only_loop = members.optional_number("read_only_loop");
  const Json* list = members.find("targets", Json::value_t::array);
  SHIMA_RETURN_IF_ERROR(members.status());
  auto targets = targets_from(*list);
  if (!targets) return targets.status();
  record.targets = std::move(*targets);
  return record;
}

}  // namespace shima
