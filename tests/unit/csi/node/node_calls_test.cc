// The calls of the node plug-in, with requests that must be refused before anything of the machine is
// touched.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "csi/node/node_service.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

class NodeCalls : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/shima-node-calls.XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    CsiOptions options;
    options.node = true;
    options.node_name = "node-1";
    options.site = "site-a";
    options.core_endpoints = {"127.0.0.1:1"};  // nobody is there
    options.core_timeout_ms = 500;
    options.state_dir = folder_ + "/state";
    options.publish_root = folder_;
    options.mounter_socket_path = folder_ + "/mounter.sock";
    service_ = make_node_service(options);
  }
  void TearDown() override {
    service_.reset();
    std::filesystem::remove_all(folder_);
  }

  // A request that would be good, of whatever call.
  template <typename Request>
  Request good() const {
    Request request;
    request.set_volume_id("v");
    if constexpr (requires { request.mutable_staging_target_path(); })
      request.set_staging_target_path(folder_ + "/staging");
    if constexpr (requires { request.mutable_target_path(); }) request.set_target_path(folder_ + "/target");
    if constexpr (requires { request.mutable_volume_path(); }) request.set_volume_path(folder_ + "/target");
    if constexpr (requires { request.mutable_volume_capability(); }) {
      request.mutable_volume_capability()->mutable_mount();
      request.mutable_volume_capability()->mutable_access_mode()->set_mode(
          v1::VolumeCapability::AccessMode::MULTI_NODE_MULTI_WRITER);
    }
    return request;
  }

  grpc::Status call(const v1::NodeStageVolumeRequest& r) {
    return answer(&v1::Node::Service::NodeStageVolume, r);
  }
  grpc::Status call(const v1::NodeUnstageVolumeRequest& r) {
    return answer(&v1::Node::Service::NodeUnstageVolume, r);
  }
  grpc::Status call(const v1::NodePublishVolumeRequest& r) {
    return answer(&v1::Node::Service::NodePublishVolume, r);
  }
  grpc::Status call(const v1::NodeUnpublishVolumeRequest& r) {
    return answer(&v1::Node::Service::NodeUnpublishVolume, r);
  }
  grpc::Status call(const v1::NodeGetVolumeStatsRequest& r) {
    return answer(&v1::Node::Service::NodeGetVolumeStats, r);
  }
  grpc::Status call(const v1::NodeExpandVolumeRequest& r) {
    return answer(&v1::Node::Service::NodeExpandVolume, r);
  }

  template <typename Request, typename Response>
  grpc::Status answer(grpc::Status (v1::Node::Service::*method)(grpc::ServerContext*, const Request*,
                                                                Response*),
                      const Request& request) {
    Response response;
    return (service_.get()->*method)(nullptr, &request, &response);
  }

  // Refused, and the message names the field and not what was in it.
  template <typename Request>
  void expect_refused(const Request& request, const std::string& field) {
    const grpc::Status status = call(request);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << field << ": " << status.error_message();
    EXPECT_NE(status.error_message().find(field), std::string::npos) << status.error_message();
    EXPECT_EQ(status.error_message().find("hunter2"), std::string::npos);
    EXPECT_LT(status.error_message().size(), 1000u);
  }

  template <typename Request>
  void expect_bounded_volume_id() {
    Request request = good<Request>();
    request.clear_volume_id();
    expect_refused(request, "volume_id");
    request.set_volume_id(std::string(129, 'v'));
    expect_refused(request, "volume_id");
  }

  template <typename Request>
  void expect_bounded_secrets() {
    Request request = good<Request>();
    std::string secret;
    while (secret.size() <= 4096) secret += "hunter2";
    (*request.mutable_secrets())["key"] = secret;
    expect_refused(request, "secrets");
  }

  std::string folder_;
  std::unique_ptr<v1::Node::Service> service_;
};

TEST_F(NodeCalls, AVolumesIdIsThereAndNotTooLong) {
  expect_bounded_volume_id<v1::NodeStageVolumeRequest>();
  expect_bounded_volume_id<v1::NodeUnstageVolumeRequest>();
  expect_bounded_volume_id<v1::NodePublishVolumeRequest>();
  expect_bounded_volume_id<v1::NodeUnpublishVolumeRequest>();
  expect_bounded_volume_id<v1::NodeGetVolumeStatsRequest>();
  expect_bounded_volume_id<v1::NodeExpandVolumeRequest>();
}

TEST_F(NodeCalls, SecretsAreBoundedAndNeverShown) {
  expect_bounded_secrets<v1::NodeStageVolumeRequest>();
  expect_bounded_secrets<v1::NodePublishVolumeRequest>();
  expect_bounded_secrets<v1::NodeExpandVolumeRequest>();
}

TEST_F(NodeCalls, PathsAreBounded) {
  const std::string longer = folder_ + "/" + std::string(4096, 'p');
  auto stage = good<v1::NodeStageVolumeRequest>();
  stage.set_staging_target_path(longer);
  expect_refused(stage, "staging_target_path");
  auto publish = good<v1::NodePublishVolumeRequest>();
  publish.set_target_path(longer);
  expect_refused(publish, "target_path");
  auto unstage = good<v1::NodeUnstageVolumeRequest>();
  unstage.set_staging_target_path(longer);
  expect_refused(unstage, "staging_target_path");
  auto unpublish = good<v1::NodeUnpublishVolumeRequest>();
  unpublish.set_target_path(longer);
  expect_refused(unpublish, "target_path");
  auto stats = good<v1::NodeGetVolumeStatsRequest>();
  stats.set_volume_path(longer);
  expect_refused(stats, "volume_path");
}

TEST_F(NodeCalls, CapabilitiesAreBounded) {
  auto stage = good<v1::NodeStageVolumeRequest>();
  stage.mutable_volume_capability()->mutable_mount()->add_mount_flags(std::string(4097, 'f'));
  expect_refused(stage, "mount_flags");
  stage.mutable_volume_capability()->mutable_mount()->clear_mount_flags();
  stage.mutable_volume_capability()->mutable_mount()->set_fs_type(std::string(129, 'x'));
  expect_refused(stage, "fs_type");
  auto publish = good<v1::NodePublishVolumeRequest>();
  (*publish.mutable_volume_context())["k"] = std::string(4096, 'x');
  expect_refused(publish, "volume_context");
  publish = good<v1::NodePublishVolumeRequest>();
  publish.clear_volume_capability();
  expect_refused(publish, "volume_capability");
}

TEST_F(NodeCalls, WithoutCoreServersAGoodStageIsTriedLater) {
  const grpc::Status status = call(good<v1::NodeStageVolumeRequest>());
  EXPECT_TRUE(status.error_code() == StatusCode::UNAVAILABLE ||
              status.error_code() == StatusCode::DEADLINE_EXCEEDED)
      << status.error_code() << " " << status.error_message();
}

}  // namespace
}  // namespace shima
