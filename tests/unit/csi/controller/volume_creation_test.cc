#include <map>

#include "tests/unit/csi/controller/controller_fixture.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

TEST_F(ControllerTest, AVolumeIsMadeForPublishedNodesOnly) {
  v1::CreateVolumeRequest request = creation("pvc-1");
  (*request.mutable_parameters())["protocol"] = "nfs";
  (*request.mutable_parameters())["maxInodes"] = "500";
  (*request.mutable_accessibility_requirements()->add_preferred()->mutable_segments())[kKey] = "site-b";
  ASSERT_EQ(create(request), StatusCode::OK) << error_;
  const v1::Volume& volume = response_.volume();
  EXPECT_EQ(volume.volume_id(), "pvc-1");
  EXPECT_EQ(volume.capacity_bytes(), 1 << 30);
  EXPECT_EQ(volume.volume_context().at("protocol"), "nfs");
  ASSERT_EQ(volume.accessible_topology_size(), 3);
  EXPECT_EQ(volume.accessible_topology(0).segments().at(kKey), "site-b");
  ASSERT_EQ(plane_.creations_.size(), 1u);
  EXPECT_TRUE(plane_.creations_[0].published_only());
  EXPECT_EQ(plane_.creations_[0].home(), "site-b");
  EXPECT_EQ(plane_.creations_[0].max_inodes(), 500u);
}

TEST_F(ControllerTest, TheSameAgainIsTheSameVolume) {
  const v1::CreateVolumeRequest request = creation("pvc-1");
  ASSERT_EQ(create(request), StatusCode::OK);
  const std::string first = response_.SerializeAsString();
  plane_.servers_.clear();  // what there is now does not matter for a volume that is there
  EXPECT_EQ(create(request), StatusCode::OK) << error_;
  EXPECT_EQ(response_.SerializeAsString(), first);
  EXPECT_EQ(plane_.creations_.size(), 1u);
}

TEST_F(ControllerTest, TheRecordRemembersWhoseVolumeItIs) {
  v1::CreateVolumeRequest request = creation("pvc-1");
  auto& parameters = *request.mutable_parameters();
  parameters["csi.storage.k8s.io/pvc/name"] = "data";
  parameters["csi.storage.k8s.io/pvc/namespace"] = "shop";
  parameters["csi.storage.k8s.io/pv/name"] = "pvc-1";
  ASSERT_EQ(create(request), StatusCode::OK) << error_;
  std::map<std::string, std::string> labels;
  for (const auto& label : plane_.volumes_["pvc-1"].labels()) labels[label.key()] = label.value();
  EXPECT_EQ(labels["csi.storage.k8s.io/pvc/name"], "data");
  EXPECT_EQ(labels["csi.storage.k8s.io/pvc/namespace"], "shop");
  EXPECT_EQ(labels["csi.storage.k8s.io/pv/name"], "pvc-1");
  EXPECT_EQ(labels["csi.shima.io/protocol"], "fuse");
  parameters["csi.storage.k8s.io/pvc/name"] = "renamed";
  EXPECT_EQ(create(request), StatusCode::OK) << "whose it is decides nothing: " << error_;
}

TEST_F(ControllerTest, TheSameAgainIsTheSameVolumeAfterItsQuotasChanged) {
  v1::CreateVolumeRequest request = creation("pvc-1");
  (*request.mutable_parameters())["maxInodes"] = "500";
  ASSERT_EQ(create(request), StatusCode::OK);
  plane_.volumes_["pvc-1"].set_max_inodes(9000);  // shimactl volume set-quota
  EXPECT_EQ(create(request), StatusCode::OK) << error_;
}

TEST_F(ControllerTest, TheSameNameWithOtherWishesExists) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  v1::CreateVolumeRequest bigger = creation("pvc-1");
  bigger.mutable_capacity_range()->set_required_bytes(2ll << 30);
  EXPECT_EQ(create(bigger), StatusCode::ALREADY_EXISTS);
  v1::CreateVolumeRequest smaller = creation("pvc-1");
  smaller.mutable_capacity_range()->set_required_bytes(1 << 20);
  EXPECT_EQ(create(smaller), StatusCode::OK) << "it is at least as big as required";
  smaller.mutable_capacity_range()->set_limit_bytes(1 << 21);
  EXPECT_EQ(create(smaller), StatusCode::ALREADY_EXISTS);
  for (const auto& [key, value] : std::map<std::string, std::string>{{"ack", "all"},
                                                                     {"copies", "2"},
                                                                     {"sites", "site-a,site-b"},
                                                                     {"home", "site-c"},
                                                                     {"blockSize", "65536"},
                                                                     {"groups", "3"},
                                                                     {"maxInodes", "7"},
                                                                     {"protocol", "nfs"}}) {
    v1::CreateVolumeRequest other = creation("pvc-1");
    (*other.mutable_parameters())[key] = value;
    EXPECT_EQ(create(other), StatusCode::ALREADY_EXISTS) << key;
    EXPECT_TRUE(error_says("has " + key) && error_says("not " + value)) << error_;
  }
  v1::CreateVolumeRequest elsewhere = creation("pvc-1");
  (*elsewhere.mutable_accessibility_requirements()->add_requisite()->mutable_segments())[kKey] = "site-d";
  EXPECT_EQ(create(elsewhere), StatusCode::ALREADY_EXISTS);
}

TEST_F(ControllerTest, AVolumeOfSomebodyElseIsLeftAlone) {
  plane_.volumes_["by-hand"].set_name("by-hand");
  EXPECT_EQ(create(creation("by-hand")), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(remove("by-hand"), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(plane_.volumes_.contains("by-hand"));
  EXPECT_EQ(list(0, ""), StatusCode::OK);
  EXPECT_TRUE(names_listed().empty());
}

TEST_F(ControllerTest, ANameThatIsGoingIsTriedLater) {
  plane_.volumes_["pvc-1"].set_deleting(true);
  EXPECT_EQ(create(creation("pvc-1")), StatusCode::ABORTED);
}

TEST_F(ControllerTest, WhatCannotBePlacedIsExhausted) {
  plane_.fail_next_ = Status(Code::kFailedPrecondition, "too few failure domains");
  EXPECT_EQ(create(creation("pvc-1")), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(error_says("too few failure domains"));
  plane_.fail_next_ = Status(Code::kUnavailable, "away");
  EXPECT_EQ(create(creation("pvc-1")), StatusCode::UNAVAILABLE);
  plane_.fail_next_ = Status(Code::kDeadlineExceeded, "unknown");
  EXPECT_EQ(create(creation("pvc-1")), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(create(creation("pvc-1")), StatusCode::OK);
}

TEST_F(ControllerTest, CreationsThatSayNonsenseAreInvalid) {
  const auto invalid = [&](auto change) {
    v1::CreateVolumeRequest request = creation("pvc-1");
    change(request);
    const StatusCode code = create(request);
    EXPECT_FALSE(code == StatusCode::INVALID_ARGUMENT && error_.empty());
    return code;
  };
  EXPECT_EQ(invalid([](auto& r) { r.clear_name(); }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.set_name(std::string(129, 'a')); }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.set_name("a\x01"); }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.clear_volume_capabilities(); }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.add_volume_capabilities(); }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { (*r.mutable_parameters())["x"] = "y"; }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { (*r.mutable_mutable_parameters())["x"] = "y"; }),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.mutable_volume_content_source(); }), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(
      invalid([](auto& r) { r.mutable_volume_content_source()->mutable_snapshot()->set_snapshot_id("s"); }),
      StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.mutable_accessibility_requirements()->add_requisite(); }),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.mutable_capacity_range()->set_limit_bytes(5); }),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid([](auto& r) { r.mutable_capacity_range()->set_required_bytes(INT64_MAX); }),
            StatusCode::OUT_OF_RANGE);
  EXPECT_TRUE(plane_.creations_.empty());
}

TEST_F(ControllerTest, DeletingIsRepeatable) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  EXPECT_EQ(remove(""), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(remove(std::string(129, 'a')), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(remove("pvc-1"), StatusCode::OK);
  EXPECT_EQ(remove("pvc-1"), StatusCode::OK);
  EXPECT_EQ(remove("No Volume's Name"), StatusCode::OK);
  EXPECT_TRUE(plane_.volumes_.empty());
}

}  // namespace
}  // namespace shima
