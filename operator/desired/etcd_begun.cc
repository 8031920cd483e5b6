#include "operator/desired/etcd_begun.h"

namespace shima {
namespace {

using Json = nlohmann::json;
using Phase = MemberMark::Phase;

constexpr size_t kShownBytes = 128;
Status unreadable(const std::string& key, const std::string& found) {
  return {Code::kInvalidArgument,
          std::string("ConfigMap ") + kEtcdBegunName + ": data." + key + ": found \"" +
              found.substr(0, kShownBytes) +
              "\", wanted what the operator has written there; no member of etcd is "
              "replaced until it is right: delete the ConfigMap while all members are "
              "Ready, and the operator makes it anew with their claims"};
}

}  // namespace

MemberMark EtcdBegun::of(const std::string& member) const {
  const auto found = members.find(member);
  return found == members.end() ? MemberMark() : found->second;
}

Json etcd_begun_object(const ClusterIdentity& cluster, const EtcdBegun& begun) {
  Json object = lasting_object(cluster, {"v1", "ConfigMap"}, kEtcdBegunName, {kEtcdComponent, ""});
  object["metadata"]["labels"][kKeepLabel] = kKeepValue;
  object["data"] = {{kEtcdStateKey, begun.existing ? "existing" : "new"}};
  for (const auto& [member, mark] : begun.members)
    if (mark.phase != Phase::kNever) object["data"][member] = mark_text(mark);
  return object;
}

Result<EtcdBegun> read_etcd_begun(const Json& object) {
  const Json data = object.value("data", Json::object());
  if (!data.is_object()) return unreadable("", data.dump());
  EtcdBegun begun;
  bool has_state = false;
  for (const auto& [key, value] : data.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : "";
    if (key == kEtcdStateKey) {
      begun.existing = text == "existing";
      has_state = begun.existing || text == "new";
      continue;
    }
    const Result<MemberMark> mark = mark_from(text);
    if (!mark || mark->phase == Phase::kNever) return unreadable(key, text);
    begun.members[key] = *mark;
  }
  if (!has_state) return unreadable(kEtcdStateKey, "");
  return begun;
}

}  // namespace shima
