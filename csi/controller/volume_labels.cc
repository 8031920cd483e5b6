#include "csi/controller/volume_labels.h"

#include <algorithm>
#include <map>
#include <set>

namespace shima {
namespace {

constexpr char kProtocolLabel[] = "csi.shima.io/protocol";
constexpr char kAckLabel[] = "csi.shima.io/ack";
constexpr char kHomeLabel[] = "csi.shima.io/home";
constexpr char kCopiesLabel[] = "csi.shima.io/copies";
constexpr char kMaxInodesLabel[] = "csi.shima.io/max-inodes";

// What the label says; what the record shows, of a volume that has no such label.
std::string label_or(const VolumeLabels& labels, const char* key, const std::string& shown) {
  for (const cluster::v1::Label& label : labels) {
    if (label.key() == key) return label.value();
  }
  return shown;
}

std::string ack_of(bool all) { return all ? "all" : "local"; }

std::string joined(const std::set<std::string>& sites) {
  std::string text;
  for (const std::string& site : sites) text += (text.empty() ? "" : ",") + site;
  return text;
}

uint32_t data_groups(const cluster::v1::VolumeRecord& record) {
  return static_cast<uint32_t>(std::count_if(record.groups().begin(), record.groups().end(),
                                             [](const auto& group) { return !group.metadata(); }));
}

}  // namespace

VolumeLabels labels_for(const ClassParameters& p) {
  std::map<std::string, std::string> by_key = p.claim;
  by_key[kProtocolLabel] = p.protocol;
  by_key[kAckLabel] = ack_of(p.ack_all);
  by_key[kMaxInodesLabel] = std::to_string(p.max_inodes);
  if (!p.home.empty()) by_key[kHomeLabel] = p.home;
  if (p.copies != 0) by_key[kCopiesLabel] = std::to_string(p.copies);
  VolumeLabels labels;
  for (const auto& [key, value] : by_key) {
    cluster::v1::Label& label = *labels.Add();
    label.set_key(key);
    label.set_value(value);
  }
  return labels;
}

std::string protocol_of(const VolumeLabels& labels) {
  const std::string protocol = label_or(labels, kProtocolLabel, "");
  return is_protocol(protocol) ? protocol : "";
}

void fill_volume_context(const VolumeLabels& labels,
                         google::protobuf::Map<std::string, std::string>& context) {
  const std::string protocol = protocol_of(labels);
  if (!protocol.empty()) context[kProtocolKey] = protocol;
}

std::string why_other_parameters(const cluster::v1::VolumeRecord& found, const ClassParameters& wanted) {
  const VolumeLabels& labels = found.labels();
  const std::set<std::string> sites(found.sites().begin(), found.sites().end());
  struct {
    const char* name;
    std::string has, wants;  // `wants` empty: anything
  } const compared[] = {{"protocol", label_or(labels, kProtocolLabel, wanted.protocol), wanted.protocol},
                        {"ack", label_or(labels, kAckLabel, ack_of(found.ack() == cluster::v1::ACK_MODE_ALL)),
                         ack_of(wanted.ack_all)},
                        {"blockSize", std::to_string(found.block_size()), std::to_string(wanted.block_size)},
                        {"groups", std::to_string(data_groups(found)), std::to_string(wanted.groups)},
                        {"maxInodes", label_or(labels, kMaxInodesLabel, std::to_string(found.max_inodes())),
                         std::to_string(wanted.max_inodes)},
                        {"copies", label_or(labels, kCopiesLabel, std::to_string(sites.size())),
                         wanted.copies == 0 ? "" : std::to_string(wanted.copies)},
                        {"sites", joined(sites), joined({wanted.sites.begin(), wanted.sites.end()})},
                        {"home", label_or(labels, kHomeLabel, found.home()), wanted.home}};
  for (const auto& [name, has, wants] : compared) {
    if (!wants.empty() && has != wants) return std::string("has ") + name + " " + has + ", not " + wants;
  }
  return "";
}

}  // namespace shima
