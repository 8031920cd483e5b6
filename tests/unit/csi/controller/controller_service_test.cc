#include "csi/controller/controller_service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/unit/csi/controller/fake_control_plane.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

constexpr const char* kKey = "topology.kubernetes.io/zone";
constexpr const char* kNode1 = "node-1|site-a|10.1.0.1";
constexpr const char* kNode2 = "node-2|site-b|10.2.0.1";

class ManualClock final : public Clock {
 public:
  uint64_t now_us() const override { return now_us_; }
  uint64_t now_us_ = 1'000'000;
};

class ControllerTest : public testing::Test {
 protected:
  static v1::VolumeCapability capability(v1::VolumeCapability::AccessMode::Mode mode) {
    v1::VolumeCapability c;
    c.mutable_access_mode()->set_mode(mode);
    c.mutable_mount();
    return c;
  }
  static v1::VolumeCapability many() {
    return capability(v1::VolumeCapability::AccessMode::MULTI_NODE_MULTI_WRITER);
  }
  static v1::VolumeCapability one() {
    return capability(v1::VolumeCapability::AccessMode::SINGLE_NODE_WRITER);
  }

  static v1::CreateVolumeRequest creation(const std::string& name) {
    v1::CreateVolumeRequest request;
    request.set_name(name);
    *request.add_volume_capabilities() = many();
    request.mutable_capacity_range()->set_required_bytes(1 << 30);
    return request;
  }

  StatusCode create(const v1::CreateVolumeRequest& request) {
    response_.Clear();
    const grpc::Status status = service_->CreateVolume(nullptr, &request, &response_);
    error_ = status.error_message();
    return status.error_code();
  }
  StatusCode remove(const std::string& id) {
    v1::DeleteVolumeRequest request;
    request.set_volume_id(id);
    v1::DeleteVolumeResponse response;
    const grpc::Status status = service_->DeleteVolume(nullptr, &request, &response);
    error_ = status.error_message();
    return status.error_code();
  }
  StatusCode publish(const std::string& id, const std::string& node, const v1::VolumeCapability& use,
                     bool read_only = false) {
    v1::ControllerPublishVolumeRequest request;
    request.set_volume_id(id);
    request.set_node_id(node);
    *request.mutable_volume_capability() = use;
    request.set_readonly(read_only);
    published_.Clear();
    const grpc::Status status = service_->ControllerPublishVolume(nullptr, &request, &published_);
    error_ = status.error_message();
    return status.error_code();
  }
  StatusCode unpublish(const std::string& id, const std::string& node) {
    v1::ControllerUnpublishVolumeRequest request;
    request.set_volume_id(id);
    request.set_node_id(node);
    v1::ControllerUnpublishVolumeResponse response;
    const grpc::Status status = service_->ControllerUnpublishVolume(nullptr, &request, &response);
    error_ = status.error_message();
    return status.error_code();
  }
  StatusCode expand(const std::string& id, int64_t required, int64_t limit) {
    v1::ControllerExpandVolumeRequest request;
    request.set_volume_id(id);
    request.mutable_capacity_range()->set_required_bytes(required);
    request.mutable_capacity_range()->set_limit_bytes(limit);
    *request.mutable_volume_capability() = use_of_expansion_;
    expanded_.Clear();
    const grpc::Status status = service_->ControllerExpandVolume(nullptr, &request, &expanded_);
    error_ = status.error_message();
    return status.error_code();
  }
  StatusCode list(int max, const std::string& token) {
    v1::ListVolumesRequest request;
    request.set_max_entries(max);
    request.set_starting_token(token);
    listed_.Clear();
    return service_->ListVolumes(nullptr, &request, &listed_).error_code();
  }
  std::vector<std::string> names_listed() const {
    std::vector<std::string> names;
    for (const auto& entry : listed_.entries()) names.push_back(entry.volume().volume_id());
    return names;
  }
  bool error_says(const std::string& part) const { return error_.find(part) != std::string::npos; }

  FakeControlPlane plane_;
  ManualClock clock_;
  std::unique_ptr<v1::Controller::Service> service_ = make_controller_service(plane_, kKey, clock_);
  v1::CreateVolumeResponse response_;
  v1::ControllerPublishVolumeResponse published_;
  v1::ControllerExpandVolumeResponse expanded_;
  v1::VolumeCapability use_of_expansion_ = many();
  v1::ListVolumesResponse listed_;
  std::string error_;
};

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
                                                                     {"maxInodes", "7"}}) {
    v1::CreateVolumeRequest other = creation("pvc-1");
    (*other.mutable_parameters())[key] = value;
    EXPECT_EQ(create(other), StatusCode::ALREADY_EXISTS) << key;
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

TEST_F(ControllerTest, APublishedVolumeIsNotDeleted) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, many()), StatusCode::OK) << error_;
  EXPECT_EQ(remove("pvc-1"), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(error_says("node-1")) << error_;
  ASSERT_EQ(unpublish("pvc-1", kNode1), StatusCode::OK);
  EXPECT_EQ(remove("pvc-1"), StatusCode::OK);
}

TEST_F(ControllerTest, PublishingTellsTheNodeWhatItNeeds) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, many()), StatusCode::OK) << error_;
  EXPECT_EQ(published_.publish_context().at("publication"), "2");
  EXPECT_EQ(published_.publish_context().at("readOnly"), "false");
  EXPECT_EQ(published_.publish_context().at("site"), "site-a");
  const std::string first = published_.publish_context().at("publication");
  ASSERT_EQ(publish("pvc-1", kNode1, many()), StatusCode::OK);
  EXPECT_EQ(published_.publish_context().at("publication"), first);
  ASSERT_EQ(publish("pvc-1", kNode2, many(), true), StatusCode::OK);
  EXPECT_EQ(published_.publish_context().at("readOnly"), "true");
  EXPECT_EQ(publish("pvc-1", kNode2, many(), false), StatusCode::ALREADY_EXISTS);
  const auto& publications = plane_.volumes_["pvc-1"].publications();
  ASSERT_EQ(publications.size(), 2);
  EXPECT_EQ(publications[0].addresses(0), "10.1.0.1");
}

TEST_F(ControllerTest, ReadersArePublishedReadOnly) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, capability(v1::VolumeCapability::AccessMode::MULTI_NODE_READER_ONLY)),
            StatusCode::OK);
  EXPECT_TRUE(plane_.volumes_["pvc-1"].publications(0).read_only());
}

TEST_F(ControllerTest, OneNodeAtATimeMeansOne) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, one()), StatusCode::OK);
  EXPECT_EQ(publish("pvc-1", kNode1, one()), StatusCode::OK);
  EXPECT_EQ(publish("pvc-1", kNode2, one()), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(error_says("node-1")) << error_;
  EXPECT_EQ(publish("pvc-1", kNode2, many()), StatusCode::OK);
}

TEST_F(ControllerTest, OneWriterAtATimeMeansOne) {
  const auto mode = capability(v1::VolumeCapability::AccessMode::MULTI_NODE_SINGLE_WRITER);
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, mode), StatusCode::OK);
  EXPECT_EQ(publish("pvc-1", kNode2, mode), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(publish("pvc-1", kNode2, mode, true), StatusCode::OK);
}

TEST_F(ControllerTest, WhoPublishedLastGivesWayWhenTwoControllersRace) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  class Racing final : public FakeControlPlane {
   public:
    // Another controller publishes between this one's look and its change.
    Result<volume::v1::PublishReply> publish(const std::string& name,
                                             const cluster::v1::Publication& wanted) override {
      cluster::v1::Publication other;
      other.set_node("node-9");
      (void)FakeControlPlane::publish(name, other).is_ok();
      return FakeControlPlane::publish(name, wanted);
    }
  } racing;
  racing.volumes_ = plane_.volumes_;
  service_ = make_controller_service(racing, kKey, clock_);
  EXPECT_EQ(publish("pvc-1", kNode1, one()), StatusCode::FAILED_PRECONDITION);
  ASSERT_EQ(racing.volumes_["pvc-1"].publications_size(), 1);
  EXPECT_EQ(racing.volumes_["pvc-1"].publications(0).node(), "node-9");
  service_ = make_controller_service(plane_, kKey, clock_);
}

TEST_F(ControllerTest, WhatIsNotThereIsNotPublished) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  EXPECT_EQ(publish("none", kNode1, many()), StatusCode::NOT_FOUND);
  EXPECT_EQ(publish("No Name", kNode1, many()), StatusCode::NOT_FOUND);
  EXPECT_EQ(publish("pvc-1", "some-fake-node-id", many()), StatusCode::NOT_FOUND);
  EXPECT_EQ(publish("pvc-1", "node-1|site-x|", many()), StatusCode::NOT_FOUND);
  EXPECT_TRUE(error_says("site-x")) << error_;
  EXPECT_EQ(publish("", kNode1, many()), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(publish("pvc-1", "", many()), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(publish("pvc-1", std::string(257, 'n'), many()), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(publish("pvc-1", kNode1, {}), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(plane_.volumes_["pvc-1"].publications().empty());
}

TEST_F(ControllerTest, UnpublishingIsRepeatable) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, many()), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode2, many()), StatusCode::OK);
  EXPECT_EQ(unpublish("", kNode1), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(unpublish("pvc-1", kNode1), StatusCode::OK);
  EXPECT_EQ(unpublish("pvc-1", kNode1), StatusCode::OK);
  EXPECT_EQ(plane_.volumes_["pvc-1"].publications_size(), 1);
  EXPECT_EQ(unpublish("pvc-1", "some-fake-node-id"), StatusCode::OK);
  EXPECT_EQ(plane_.volumes_["pvc-1"].publications_size(), 1) << "an unknown node's is not everybody's";
  EXPECT_EQ(unpublish("pvc-1", ""), StatusCode::OK);
  EXPECT_EQ(plane_.volumes_["pvc-1"].publications_size(), 0);
  EXPECT_EQ(unpublish("none", kNode1), StatusCode::OK);
  EXPECT_EQ(unpublish("No Name", kNode1), StatusCode::OK);
}

TEST_F(ControllerTest, AnUnfinishedUnpublishIsNotSuccess) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, many()), StatusCode::OK);
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded}) {
    plane_.fail_next_ = Status(code, "core server site-b/core-1 has not said so yet");
    EXPECT_NE(unpublish("pvc-1", kNode1), StatusCode::OK);
    EXPECT_TRUE(error_says("site-b/core-1"));
  }
}

TEST_F(ControllerTest, ListingsGoOnWhereTheyStopped) {
  for (const char* name : {"v1", "v3", "v5", "v7"}) ASSERT_EQ(create(creation(name)), StatusCode::OK);
  ASSERT_EQ(list(2, ""), StatusCode::OK);
  EXPECT_EQ(names_listed(), (std::vector<std::string>{"v1", "v3"}));
  const std::string token = listed_.next_token();
  ASSERT_FALSE(token.empty());
  ASSERT_EQ(create(creation("v0")), StatusCode::OK);
  ASSERT_EQ(create(creation("v4")), StatusCode::OK);
  ASSERT_EQ(remove("v3"), StatusCode::OK);
  ASSERT_EQ(list(2, token), StatusCode::OK);
  EXPECT_EQ(names_listed(), (std::vector<std::string>{"v4", "v5"}));
  ASSERT_EQ(list(2, listed_.next_token()), StatusCode::OK);
  EXPECT_EQ(names_listed(), (std::vector<std::string>{"v7"}));
  EXPECT_EQ(listed_.next_token(), "");
  ASSERT_EQ(list(0, ""), StatusCode::OK);
  EXPECT_EQ(listed_.entries_size(), 5);
  EXPECT_EQ(list(-1, ""), StatusCode::INVALID_ARGUMENT);
  for (const std::string bad : {"invalid-token", "after:", "after:No", "7"})
    EXPECT_EQ(list(0, bad), StatusCode::ABORTED);
}

TEST_F(ControllerTest, VolumesAreListedWithNodesAndCondition) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(publish("pvc-1", kNode1, many()), StatusCode::OK);
  auto& health = *plane_.status_.add_volumes();
  health.set_name("pvc-1");
  health.set_healthy(false);
  health.add_reasons("site-c is away");
  ASSERT_EQ(list(0, ""), StatusCode::OK);
  ASSERT_EQ(listed_.entries_size(), 1);
  EXPECT_EQ(listed_.entries(0).status().published_node_ids(0), kNode1);
  EXPECT_TRUE(listed_.entries(0).status().volume_condition().abnormal());
  EXPECT_EQ(listed_.entries(0).status().volume_condition().message(), "site-c is away");

  v1::ControllerGetVolumeRequest request;
  v1::ControllerGetVolumeResponse response;
  request.set_volume_id("pvc-1");
  plane_.status_.mutable_volumes(0)->set_healthy(true);
  ASSERT_TRUE(service_->ControllerGetVolume(nullptr, &request, &response).ok());
  EXPECT_EQ(response.volume().capacity_bytes(), 1 << 30);
  EXPECT_EQ(response.status().published_node_ids(0), kNode1);
  EXPECT_FALSE(response.status().volume_condition().abnormal());
  for (const auto& [id, code] : std::map<std::string, StatusCode>{{"", StatusCode::INVALID_ARGUMENT},
                                                                  {"none", StatusCode::NOT_FOUND},
                                                                  {"No", StatusCode::NOT_FOUND}}) {
    request.set_volume_id(id);
    EXPECT_EQ(service_->ControllerGetVolume(nullptr, &request, &response).error_code(), code) << id;
  }
}

TEST_F(ControllerTest, VolumesGrowAndDoNotShrink) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  ASSERT_EQ(expand("pvc-1", (2ll << 30) + 1, 0), StatusCode::OK) << error_;
  EXPECT_EQ(expanded_.capacity_bytes(), (2ll << 30) + 4096);
  EXPECT_FALSE(expanded_.node_expansion_required());
  ASSERT_EQ(expand("pvc-1", 1 << 30, 0), StatusCode::OK) << "already at least that";
  EXPECT_EQ(expanded_.capacity_bytes(), (2ll << 30) + 4096);
  EXPECT_EQ(expand("pvc-1", 1 << 30, 1 << 30), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(expand("pvc-1", 17ll << 40, 0), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(expand("pvc-1", 0, 0), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(expand("pvc-1", -1, 0), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(expand("", 1 << 30, 0), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(expand("none", 1 << 30, 0), StatusCode::NOT_FOUND);
  use_of_expansion_.mutable_block();
  ASSERT_EQ(expand("pvc-1", 3ll << 30, 0), StatusCode::OK);
  EXPECT_TRUE(expanded_.node_expansion_required());
}

TEST_F(ControllerTest, CapacityIsThatOfTheSite) {
  v1::GetCapacityRequest request;
  v1::GetCapacityResponse response;
  const auto capacity = [&] {
    response.Clear();
    const grpc::Status status = service_->GetCapacity(nullptr, &request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.available_capacity();
  };
  EXPECT_EQ(capacity(), 6 * 1001);
  EXPECT_EQ(response.maximum_volume_size().value(), 16ll << 40);
  EXPECT_EQ(response.minimum_volume_size().value(), 1 << 20);
  (*request.mutable_accessible_topology()->mutable_segments())[kKey] = "site-b";
  EXPECT_EQ(capacity(), 2 * 1001);
  plane_.free_bytes_ = 500;
  EXPECT_EQ(capacity(), 2 * 1001) << "remembered";
  clock_.now_us_ += 10'000'000;
  EXPECT_EQ(capacity(), 2 * 501);
  clock_.now_us_ += 10'000'000;
  plane_.silent_ = "site-b:7001";
  EXPECT_EQ(capacity(), 501);
  plane_.servers_[2].set_alive(false);
  clock_.now_us_ += 10'000'000;
  EXPECT_EQ(capacity(), 0);
  (*request.mutable_accessible_topology()->mutable_segments())[kKey] = "site-x";
  EXPECT_EQ(capacity(), 0);
  (*request.mutable_accessible_topology()->mutable_segments())[kKey] = "site-a";
  EXPECT_EQ(capacity(), 2 * 501);
  (*request.mutable_parameters())["sites"] = "site-b,site-c";
  EXPECT_EQ(capacity(), 0) << "the StorageClass puts nothing there";
  (*request.mutable_parameters())["unknown"] = "x";
  EXPECT_EQ(service_->GetCapacity(nullptr, &request, &response).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ControllerTest, ValidationAnswersOrExplains) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  v1::ValidateVolumeCapabilitiesRequest request;
  v1::ValidateVolumeCapabilitiesResponse response;
  const auto validate = [&] {
    response.Clear();
    return service_->ValidateVolumeCapabilities(nullptr, &request, &response).error_code();
  };
  EXPECT_EQ(validate(), StatusCode::INVALID_ARGUMENT);
  request.set_volume_id("pvc-1");
  EXPECT_EQ(validate(), StatusCode::INVALID_ARGUMENT);
  *request.add_volume_capabilities() = one();
  (*request.mutable_volume_context())["protocol"] = "fuse";
  ASSERT_EQ(validate(), StatusCode::OK);
  EXPECT_EQ(response.confirmed().volume_capabilities_size(), 1);
  EXPECT_EQ(response.confirmed().volume_context().at("protocol"), "fuse");
  *request.add_volume_capabilities() = one();
  request.mutable_volume_capabilities(1)->mutable_mount()->set_fs_type("ext4");
  ASSERT_EQ(validate(), StatusCode::OK);
  EXPECT_FALSE(response.has_confirmed());
  EXPECT_NE(response.message().find("ext4"), std::string::npos);
  request.set_volume_id("none");
  EXPECT_EQ(validate(), StatusCode::NOT_FOUND);
}

TEST_F(ControllerTest, ConcurrentCallsOnOneVolumeAreAborted) {
  ASSERT_EQ(create(creation("pvc-1")), StatusCode::OK);
  std::atomic<bool> inside{false}, go_on{false};
  plane_.on_read_ = [&] {
    inside = true;
    while (!go_on) std::this_thread::yield();
  };
  std::atomic<bool> first_ok{false};
  std::thread first([&] {
    v1::ControllerPublishVolumeRequest request;
    request.set_volume_id("pvc-1");
    request.set_node_id(kNode1);
    *request.mutable_volume_capability() = many();
    v1::ControllerPublishVolumeResponse response;
    first_ok = service_->ControllerPublishVolume(nullptr, &request, &response).ok();
  });
  while (!inside) std::this_thread::yield();
  EXPECT_EQ(create(creation("pvc-1")), StatusCode::ABORTED);
  EXPECT_EQ(remove("pvc-1"), StatusCode::ABORTED);
  EXPECT_EQ(publish("pvc-1", kNode2, many()), StatusCode::ABORTED);
  EXPECT_EQ(unpublish("pvc-1", kNode1), StatusCode::ABORTED);
  EXPECT_EQ(expand("pvc-1", 2ll << 30, 0), StatusCode::ABORTED);
  go_on = true;
  first.join();
  EXPECT_TRUE(first_ok);
  EXPECT_EQ(unpublish("pvc-1", kNode1), StatusCode::OK);
}

TEST_F(ControllerTest, WhatIsNotOfferedIsUnimplemented) {
  v1::CreateSnapshotRequest request;
  v1::CreateSnapshotResponse response;
  EXPECT_EQ(service_->CreateSnapshot(nullptr, &request, &response).error_code(), StatusCode::UNIMPLEMENTED);
  v1::ControllerModifyVolumeRequest modify;
  v1::ControllerModifyVolumeResponse modified;
  EXPECT_EQ(service_->ControllerModifyVolume(nullptr, &modify, &modified).error_code(),
            StatusCode::UNIMPLEMENTED);
  v1::ControllerGetCapabilitiesRequest ask;
  v1::ControllerGetCapabilitiesResponse answer;
  ASSERT_TRUE(service_->ControllerGetCapabilities(nullptr, &ask, &answer).ok());
  EXPECT_EQ(answer.capabilities_size(), 10);
  for (const auto& capability : answer.capabilities()) {
    EXPECT_NE(capability.rpc().type(), v1::ControllerServiceCapability::RPC::CREATE_DELETE_SNAPSHOT);
    EXPECT_NE(capability.rpc().type(), v1::ControllerServiceCapability::RPC::MODIFY_VOLUME);
  }
}

}  // namespace
}  // namespace shima
