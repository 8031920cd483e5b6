// What the tests of the controller's calls share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "csi/controller/controller_service.h"
#include "tests/unit/csi/controller/fake_control_plane.h"

namespace shima {

inline constexpr const char* kKey = "topology.kubernetes.io/zone";
inline constexpr const char* kNode1 = "node-1|site-a|10.1.0.1";
inline constexpr const char* kNode2 = "node-2|site-b|10.2.0.1";

class ManualClock final : public Clock {
 public:
  uint64_t now_us() const override { return now_us_; }
  uint64_t now_us_ = 1'000'000;
};

// The service over a cluster in memory; a call keeps its response, and what its error said in error_.
class ControllerTest : public testing::Test {
 protected:
  static ::csi::v1::VolumeCapability capability(::csi::v1::VolumeCapability::AccessMode::Mode mode) {
    ::csi::v1::VolumeCapability c;
    c.mutable_access_mode()->set_mode(mode);
    c.mutable_mount();
    return c;
  }
  static ::csi::v1::VolumeCapability many() {
    return capability(::csi::v1::VolumeCapability::AccessMode::MULTI_NODE_MULTI_WRITER);
  }
  static ::csi::v1::VolumeCapability one() {
    return capability(::csi::v1::VolumeCapability::AccessMode::SINGLE_NODE_WRITER);
  }

  static ::csi::v1::CreateVolumeRequest creation(const std::string& name) {
    ::csi::v1::CreateVolumeRequest request;
    request.set_name(name);
    *request.add_volume_capabilities() = many();
    request.mutable_capacity_range()->set_required_bytes(1 << 30);
    return request;
  }

  grpc::StatusCode create(const ::csi::v1::CreateVolumeRequest& request) {
    response_.Clear();
    const grpc::Status status = service_->CreateVolume(nullptr, &request, &response_);
    error_ = status.error_message();
    return status.error_code();
  }
  grpc::StatusCode remove(const std::string& id) {
    ::csi::v1::DeleteVolumeRequest request;
    request.set_volume_id(id);
    ::csi::v1::DeleteVolumeResponse response;
    const grpc::Status status = service_->DeleteVolume(nullptr, &request, &response);
    error_ = status.error_message();
    return status.error_code();
  }
  grpc::StatusCode publish(const std::string& id, const std::string& node,
                           const ::csi::v1::VolumeCapability& use, bool read_only = false) {
    ::csi::v1::ControllerPublishVolumeRequest request;
    request.set_volume_id(id);
    request.set_node_id(node);
    *request.mutable_volume_capability() = use;
    request.set_readonly(read_only);
    published_.Clear();
    const grpc::Status status = service_->ControllerPublishVolume(nullptr, &request, &published_);
    error_ = status.error_message();
    return status.error_code();
  }
  grpc::StatusCode unpublish(const std::string& id, const std::string& node) {
    ::csi::v1::ControllerUnpublishVolumeRequest request;
    request.set_volume_id(id);
    request.set_node_id(node);
    ::csi::v1::ControllerUnpublishVolumeResponse response;
    const grpc::Status status = service_->ControllerUnpublishVolume(nullptr, &request, &response);
    error_ = status.error_message();
    return status.error_code();
  }
  grpc::StatusCode expand(const std::string& id, int64_t required, int64_t limit) {
    ::csi::v1::ControllerExpandVolumeRequest request;
    request.set_volume_id(id);
    request.mutable_capacity_range()->set_required_bytes(required);
    request.mutable_capacity_range()->set_limit_bytes(limit);
    *request.mutable_volume_capability() = use_of_expansion_;
    expanded_.Clear();
    const grpc::Status status = service_->ControllerExpandVolume(nullptr, &request, &expanded_);
    error_ = status.error_message();
    return status.error_code();
  }
  grpc::StatusCode list(int max, const std::string& token) {
    ::csi::v1::ListVolumesRequest request;
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
  std::unique_ptr<::csi::v1::Controller::Service> service_ = make_controller_service(plane_, kKey, clock_);
  ::csi::v1::CreateVolumeResponse response_;
  ::csi::v1::ControllerPublishVolumeResponse published_;
  ::csi::v1::ControllerExpandVolumeResponse expanded_;
  ::csi::v1::VolumeCapability use_of_expansion_ = many();
  ::csi::v1::ListVolumesResponse listed_;
  std::string error_;
};

}  // namespace shima
