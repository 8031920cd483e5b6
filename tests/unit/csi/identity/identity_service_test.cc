#include "csi/identity/identity_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/unit/csi/controller/fake_control_plane.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

class IdentityTest : public testing::Test {
 protected:
  void be(bool controller, bool node) {
    options_.controller = controller;
    options_.node = node;
    plane_.status_.set_etcd_reachable(true);
    readiness_ = std::make_unique<Readiness>(plane_, options_, [this] { return mounter_; });
    service_ = make_identity_service(options_, *readiness_);
  }

  // "ready", "not ready", or the error.
  std::string probe() {
    v1::ProbeRequest request;
    v1::ProbeResponse response;
    const grpc::Status status = service_->Probe(nullptr, &request, &response);
    if (status.error_code() == StatusCode::FAILED_PRECONDITION) return status.error_message();
    EXPECT_TRUE(status.ok());
    EXPECT_TRUE(response.has_ready());
    return response.ready().value() ? "ready" : "not ready";
  }

  std::set<int> services_offered() {
    v1::GetPluginCapabilitiesRequest request;
    v1::GetPluginCapabilitiesResponse response;
    EXPECT_TRUE(service_->GetPluginCapabilities(nullptr, &request, &response).ok());
    std::set<int> types;
    for (const auto& capability : response.capabilities())
      if (capability.has_service()) types.insert(capability.service().type());
    return types;
  }

  FakeControlPlane plane_;
  CsiOptions options_;
  Status mounter_;
  std::unique_ptr<Readiness> readiness_;
  std::unique_ptr<v1::Identity::Service> service_;
};

TEST_F(IdentityTest, SaysWhoItIs) {
  options_.driver_name = "disks.example.org";
  be(true, false);
  v1::GetPluginInfoRequest request;
  v1::GetPluginInfoResponse response;
  ASSERT_TRUE(service_->GetPluginInfo(nullptr, &request, &response).ok());
  EXPECT_EQ(response.name(), "disks.example.org");
  EXPECT_EQ(std::count(response.vendor_version().begin(), response.vendor_version().end(), '.'), 2);
}

TEST_F(IdentityTest, OnlyAControllerOffersTheControllerService) {
  using Service = v1::PluginCapability::Service;
  be(true, true);
  EXPECT_EQ(services_offered(),
            (std::set<int>{Service::CONTROLLER_SERVICE, Service::VOLUME_ACCESSIBILITY_CONSTRAINTS}));
  be(false, true);
  EXPECT_EQ(services_offered(), (std::set<int>{Service::VOLUME_ACCESSIBILITY_CONSTRAINTS}));
}

TEST_F(IdentityTest, AControllerNeedsACoreServerAndEtcd) {
  be(true, false);
  mounter_ = Status(Code::kUnavailable, "no mounter");  // nothing to a controller
  plane_.reachable_ = false;
  EXPECT_EQ(probe(), "not ready");
  plane_.reachable_ = true;
  plane_.status_.set_etcd_reachable(false);
  EXPECT_EQ(probe(), "not ready");
  plane_.status_.set_etcd_reachable(true);
  EXPECT_EQ(probe(), "ready");
  plane_.status_.set_etcd_reachable(false);
  plane_.status_.set_etcd_error("no quorum");
  EXPECT_NE(probe().find("no quorum"), std::string::npos);
  plane_.reachable_ = false;
  EXPECT_NE(probe().find("no core server answered"), std::string::npos);
}

TEST_F(IdentityTest, ANodeNeedsACoreServerAndItsMounter) {
  be(false, true);
  mounter_ = Status(Code::kUnavailable, "no mounter");
  EXPECT_EQ(probe(), "not ready");
  mounter_ = Status::ok();
  plane_.status_.set_etcd_reachable(false);  // mounted volumes go on without it
  EXPECT_EQ(probe(), "ready");
  mounter_ = Status(Code::kUnavailable, "no mounter");
  EXPECT_NE(probe().find("no mounter"), std::string::npos);
}

}  // namespace
}  // namespace shima
