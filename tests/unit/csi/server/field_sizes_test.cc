#include "csi/server/field_sizes.h"

#include <gtest/gtest.h>

#include "csi/v1/csi.pb.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

TEST(FieldSizes, LimitsAreThoseOfTheSpecification) {
  v1::ControllerPublishVolumeRequest request;
  request.set_volume_id(std::string(128, 'v'));
  request.set_node_id(std::string(256, 'n'));
  (*request.mutable_volume_context())[std::string(96, 'k')] = std::string(4000, 'x');
  (*request.mutable_secrets())["key"] = std::string(4093, 's');
  EXPECT_TRUE(check_field_sizes(request).ok()) << check_field_sizes(request).error_message();
  auto longer = [&](auto change) {
    v1::ControllerPublishVolumeRequest bad = request;
    change(bad);
    const grpc::Status status = check_field_sizes(bad);
    return status.error_code() == StatusCode::INVALID_ARGUMENT ? status.error_message() : "";
  };
  EXPECT_NE(longer([](auto& r) { r.mutable_volume_id()->push_back('v'); }).find("volume_id"),
            std::string::npos);
  EXPECT_NE(longer([](auto& r) { r.mutable_node_id()->push_back('n'); }).find("node_id"), std::string::npos);
  EXPECT_NE(longer([](auto& r) { (*r.mutable_volume_context())["b"] = ""; }).find("volume_context"),
            std::string::npos);
  const std::string secret = longer([](auto& r) { (*r.mutable_secrets())["b"] = "hunter2"; });
  EXPECT_NE(secret.find("secrets"), std::string::npos);
  EXPECT_EQ(secret.find("hunter2"), std::string::npos);
  EXPECT_NE(longer([](auto& r) {
              r.mutable_volume_capability()->mutable_mount()->add_mount_flags(std::string(4097, 'f'));
            }).find("mount_flags"),
            std::string::npos);
  EXPECT_NE(longer([](auto& r) {
              r.mutable_volume_capability()->mutable_mount()->set_fs_type(std::string(129, 'f'));
            }).find("fs_type"),
            std::string::npos);
}

TEST(FieldSizes, ListsAreBounded) {
  v1::CreateVolumeRequest request;
  for (int i = 0; i < kMaxRepeated; i++) request.add_volume_capabilities();
  EXPECT_TRUE(check_field_sizes(request).ok());
  request.add_volume_capabilities();
  EXPECT_EQ(check_field_sizes(request).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST(FieldSizes, PathsMayBeAsLongAsTheSystemTakesThem) {
  v1::NodePublishVolumeRequest request;
  request.set_staging_target_path(std::string(4096, 's'));
  request.set_target_path(std::string(4096, 't'));
  EXPECT_TRUE(check_field_sizes(request).ok());
  request.mutable_target_path()->push_back('t');
  EXPECT_EQ(check_field_sizes(request).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST(FieldSizes, FieldsOfALaterVersionAreLeftAlone) {
  v1::DeleteVolumeRequest request;
  request.set_volume_id("v");
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(2047, std::string(500, 'x'));
  EXPECT_TRUE(check_field_sizes(request).ok());
}

}  // namespace
}  // namespace shima
