#include <atomic>
#include <map>
#include <thread>

#include "tests/unit/csi/controller/controller_fixture.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

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

TEST_F(ControllerTest, ValidationHoldsTheRequestAgainstWhatTheVolumeWasMadeWith) {
  v1::CreateVolumeRequest nfs = creation("pvc-1");
  (*nfs.mutable_parameters())["protocol"] = "nfs";
  ASSERT_EQ(create(nfs), StatusCode::OK);
  const auto why_not = [&](const std::map<std::string, std::string>& context,
                           const std::map<std::string, std::string>& parameters) -> std::string {
    v1::ValidateVolumeCapabilitiesRequest request;
    v1::ValidateVolumeCapabilitiesResponse response;
    request.set_volume_id("pvc-1");
    *request.add_volume_capabilities() = many();
    for (const auto& [key, value] : context) (*request.mutable_volume_context())[key] = value;
    for (const auto& [key, value] : parameters) (*request.mutable_parameters())[key] = value;
    const grpc::Status status = service_->ValidateVolumeCapabilities(nullptr, &request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.has_confirmed(), response.message().empty());
    return response.message();
  };
  EXPECT_EQ(why_not({}, {}), "");
  EXPECT_EQ(why_not({{"protocol", "nfs"}, {"storage.kubernetes.io/csiProvisionerIdentity", "x"}},
                    {{"protocol", "nfs"}}),
            "");
  EXPECT_NE(why_not({{"protocol", "fuse"}}, {}).find("made with nfs"), std::string::npos);
  EXPECT_NE(why_not({}, {{"protocol", "fuse"}}).find("has protocol nfs, not fuse"), std::string::npos);
  EXPECT_NE(why_not({}, {{"protocol", "nfs"}, {"ack", "all"}}).find("ack"), std::string::npos);
  EXPECT_NE(why_not({}, {{"bogus", "1"}}).find("bogus"), std::string::npos);
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
