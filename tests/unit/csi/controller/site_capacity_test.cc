#include "csi/controller/site_capacity.h"

#include "tests/unit/csi/controller/controller_fixture.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

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

TEST_F(ControllerTest, AFileSystemThatServersShareIsCountedOnce) {
  v1::GetCapacityRequest request;
  const auto capacity = [&] {
    v1::GetCapacityResponse response;
    EXPECT_TRUE(service_->GetCapacity(nullptr, &request, &response).ok());
    clock_.now_us_ += 10'000'000;
    return response.available_capacity();
  };
  // All first disks on one file system of one host; the second disks do not say.
  for (const char* server : {"site-a:7000", "site-a:7001", "site-b:7000", "site-b:7001"})
    plane_.file_systems_[std::string(server) + "/0"] = "boot-1:8:1";
  EXPECT_EQ(capacity(), 1000 + 4 * 1 + 2 * 1001);
  (*request.mutable_accessible_topology()->mutable_segments())[kKey] = "site-a";
  EXPECT_EQ(capacity(), 1000 + 2 * 1);
  plane_.file_systems_["site-a:7001/0"] = "boot-2:8:1";  // the same device number of another host
  EXPECT_EQ(capacity(), 2 * 1001);
}

TEST(SiteCapacity, OfASharedFileSystemTheLeastCounts) {
  const auto all = [](const std::string&) { return true; };
  EXPECT_EQ(
      free_bytes_of({{"a", "x", 500}, {"a", "x", 400}, {"a", "", 7}, {"b", "", 7}, {"b", "y", 20}}, all),
      434u);
  EXPECT_EQ(free_bytes_of({{"a", "x", 500}, {"b", "x", 400}}, [](const auto& site) { return site == "a"; }),
            500u);
  EXPECT_EQ(free_bytes_of({}, all), 0u);
}

}  // namespace
}  // namespace shima
