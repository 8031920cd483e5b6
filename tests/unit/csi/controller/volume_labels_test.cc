#include "csi/controller/volume_labels.h"

#include <gtest/gtest.h>

#include <map>

namespace shima {
namespace {

using Map = google::protobuf::Map<std::string, std::string>;

ClassParameters parameters(const std::map<std::string, std::string>& given) {
  ClassParameters parsed;
  const grpc::Status status = parse_class_parameters(Map(given.begin(), given.end()), parsed);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return parsed;
}

std::map<std::string, std::string> as_map(const VolumeLabels& labels) {
  std::map<std::string, std::string> found;
  for (const auto& label : labels) found[label.key()] = label.value();
  return found;
}

cluster::v1::VolumeRecord made_with(const ClassParameters& p) {
  cluster::v1::VolumeRecord record;
  for (const std::string& site : {"site-a", "site-b", "site-c"}) record.add_sites(site);
  record.set_home(p.home.empty() ? "site-a" : p.home);
  record.set_ack(p.ack_all ? cluster::v1::ACK_MODE_ALL : cluster::v1::ACK_MODE_LOCAL);
  record.set_block_size(p.block_size);
  record.set_max_inodes(p.max_inodes);
  for (uint32_t i = 0; i <= p.groups; i++) record.add_groups()->set_metadata(i == p.groups);
  *record.mutable_labels() = labels_for(p);
  return record;
}

TEST(VolumeLabels, SayWhatItWasMadeWithAndForWhom) {
  const VolumeLabels plain = labels_for(parameters({}));
  EXPECT_EQ(as_map(plain), (std::map<std::string, std::string>{{"csi.shima.io/ack", "local"},
                                                               {"csi.shima.io/max-inodes", "0"},
                                                               {"csi.shima.io/protocol", "fuse"}}));
  const VolumeLabels full = labels_for(parameters({{"protocol", "nfs"},
                                                   {"ack", "all"},
                                                   {"home", "site-b"},
                                                   {"copies", "2"},
                                                   {"maxInodes", "7"},
                                                   {"csi.storage.k8s.io/pvc/name", "data-db-0"},
                                                   {"csi.storage.k8s.io/pvc/namespace", "shop"},
                                                   {"csi.storage.k8s.io/pv/name", "pvc-0f3c"},
                                                   {"csi.storage.k8s.io/other", "not kept"}}));
  EXPECT_EQ(as_map(full), (std::map<std::string, std::string>{{"csi.shima.io/protocol", "nfs"},
                                                              {"csi.shima.io/ack", "all"},
                                                              {"csi.shima.io/home", "site-b"},
                                                              {"csi.shima.io/copies", "2"},
                                                              {"csi.shima.io/max-inodes", "7"},
                                                              {"csi.storage.k8s.io/pvc/name", "data-db-0"},
                                                              {"csi.storage.k8s.io/pvc/namespace", "shop"},
                                                              {"csi.storage.k8s.io/pv/name", "pvc-0f3c"}}));
}

TEST(VolumeLabels, AClaimsNamesAreChecked) {
  for (const std::string& value : {std::string(), std::string("a b"), std::string("a\n"),
                                   std::string("\xc3\xbc"), std::string(254, 'a')}) {
    ClassParameters parsed;
    Map given;
    given["csi.storage.k8s.io/pv/name"] = value;
    const grpc::Status status = parse_class_parameters(given, parsed);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << value;
    EXPECT_NE(status.error_message().find("pv/name"), std::string::npos) << status.error_message();
  }
  EXPECT_EQ(parameters({{"csi.storage.k8s.io/pv/name", std::string(253, 'a')}}).claim.size(), 1u);
}

TEST(VolumeLabels, TellNodesTheProtocol) {
  Map context;
  fill_volume_context(labels_for(parameters({{"protocol", "nfs"}})), context);
  EXPECT_EQ(context.at("protocol"), "nfs");
  context.clear();
  fill_volume_context({}, context);
  EXPECT_TRUE(context.empty()) << "nothing is made up for a volume that was made by hand";
  VolumeLabels strange;
  strange.Add()->set_key("csi.shima.io/protocol");
  strange.Mutable(0)->set_value("smb");
  EXPECT_EQ(protocol_of(strange), "");
}

TEST(VolumeLabels, TheFirstDifferenceIsNamed) {
  const auto record = made_with(parameters({{"protocol", "nfs"}, {"home", "site-b"}, {"maxInodes", "7"}}));
  const auto why = [&](std::map<std::string, std::string> other) {
    std::map<std::string, std::string> all = {{"protocol", "nfs"}, {"home", "site-b"}, {"maxInodes", "7"}};
    for (const auto& [key, value] : other) all[key] = value;
    return why_other_parameters(record, parameters(all));
  };
  EXPECT_EQ(why({}), "");
  EXPECT_EQ(why({{"protocol", "fuse"}}), "has protocol nfs, not fuse");
  EXPECT_EQ(why({{"ack", "all"}}), "has ack local, not all");
  EXPECT_EQ(why({{"home", "site-a"}}), "has home site-b, not site-a");
  EXPECT_EQ(why({{"maxInodes", "8"}}), "has maxInodes 7, not 8");
  EXPECT_EQ(why({{"copies", "2"}}), "has copies 3, not 2");
  EXPECT_EQ(why({{"blockSize", "64KiB"}}), "has blockSize 1048576, not 65536");
  EXPECT_EQ(why({{"groups", "3"}}), "has groups 8, not 3");
  EXPECT_EQ(why({{"sites", "site-b,site-a"}}), "has sites site-a,site-b,site-c, not site-a,site-b");
  EXPECT_EQ(why({{"sites", "site-c,site-b,site-a"}}), "") << "in whatever order";
}

TEST(VolumeLabels, WhatChangedSinceIsNoDifference) {
  const ClassParameters p = parameters({{"home", "site-b"}, {"maxInodes", "7"}, {"copies", "3"}});
  auto record = made_with(p);
  record.set_max_inodes(100);
  record.set_home("site-c");
  record.set_ack(cluster::v1::ACK_MODE_ALL);
  EXPECT_EQ(why_other_parameters(record, p), "");
  record.clear_labels();  // made by hand: what it is now counts, and any protocol will do
  EXPECT_EQ(why_other_parameters(record, p), "has ack all, not local");
}

}  // namespace
}  // namespace shima
