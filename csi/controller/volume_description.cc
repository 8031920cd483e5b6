#include "csi/controller/volume_description.h"

#include <algorithm>

#include "csi/server/field_sizes.h"

namespace shima {
namespace {

constexpr int kMaxNamesShown = 5;

}  // namespace

std::string node_id_of(const cluster::v1::Publication& publication) {
  const auto id = build_node_id({publication.node(),
                                 publication.site(),
                                 {publication.addresses().begin(), publication.addresses().end()}});
  return id ? *id : publication.node();
}

void describe_condition(const cluster::v1::VolumeHealth& health, ::csi::v1::VolumeCondition& out) {
  std::string message;
  for (const std::string& reason : health.reasons()) message += (message.empty() ? "" : "; ") + reason;
  if (message.empty()) message = health.healthy() ? "all copies are alive and whole" : "no reason is known";
  if (message.size() > kMaxTextBytes) message = message.substr(0, kMaxTextBytes - 3) + "...";
  out.set_abnormal(!health.healthy());
  out.set_message(message);
}

std::string names_of_nodes(const google::protobuf::RepeatedPtrField<cluster::v1::Publication>& publications) {
  std::string text;
  for (int i = 0; i < std::min(publications.size(), kMaxNamesShown); i++)
    text += (i == 0 ? "" : ", ") + publications[i].node();
  if (publications.size() > kMaxNamesShown)
    text += " and " + std::to_string(publications.size() - kMaxNamesShown) + " others";
  return text;
}

}  // namespace shima
