#include "operator/desired/etcd_record.h"

#include "operator/desired/object_labels.h"
#include "operator/spec/label_syntax.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kMembersKey[] = "members";
constexpr uint64_t kMostMembers = 9;  // etcd advises 7 at most; more than we ever choose
constexpr size_t kMostBytes = 4096;
constexpr size_t kShownBytes = 200;

Status unreadable(const std::string& found) {
  return {Code::kInvalidArgument,
          std::string("ConfigMap ") + kEtcdRecordName + ": data." + kMembersKey +
              ": wanted where etcd's members are, as in " +
              R"({"site-a":1,"site-b":1,"":1} ("": the witness), found )" +
              (found.empty() ? "nothing" : found.substr(0, kShownBytes)) +
              "; nothing is changed until it is right: delete it and make it anew with what the StatefulSets "
              "of etcd say"};
}

std::string members_text(const Json& object) {
  const Json::json_pointer where(std::string("/data/") + kMembersKey);
  return object.contains(where) && object.at(where).is_string() ? object.at(where).get<std::string>() : "";
}

}  // namespace

Json etcd_record(const ClusterIdentity& cluster, const EtcdMembers& members) {
  Json object = lasting_object(cluster, {"v1", "ConfigMap"}, kEtcdRecordName, {kEtcdComponent, ""});
  object["metadata"]["labels"][kKeepLabel] = kKeepValue;
  object["immutable"] = true;
  object["data"] = {{kMembersKey, Json(members).dump()}};
  return object;
}

Result<EtcdMembers> read_etcd_record(const Json& object) {
  const std::string text = members_text(object);
  const Json list = text.size() > kMostBytes ? Json() : Json::parse(text, nullptr, false);
  if (!list.is_object() || list.empty()) return unreadable(text);
  EtcdMembers members;
  uint64_t all = 0;
  for (const auto& [site, count] : list.items()) {
    if (!valid_label_value(site) || !count.is_number_unsigned()) return unreadable(text);
    const uint64_t number = count.get<uint64_t>();
    if (number < 1 || number > kMostMembers || (all += number) > kMostMembers) return unreadable(text);
    members[site] = static_cast<uint32_t>(number);
  }
  return members;
}

}  // namespace shima
