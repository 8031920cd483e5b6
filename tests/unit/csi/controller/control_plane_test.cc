// What is asked of a cluster, over a real gRPC server on the loopback and a fake core server behind it.
#include "csi/controller/control_plane.h"

#include <gtest/gtest.h>

#include "coreserver/rpc/control_server.h"
#include "tests/unit/coreserver/rpc/fake_facade.h"

namespace shima {
namespace {

constexpr int kTimeoutMs = 60'000;

class ControlPlaneCalls : public testing::Test {
 protected:
  ControlPlaneCalls() : server_(std::move(ControlServer::start(facade_, "127.0.0.1", 0)).value()) {}

  std::unique_ptr<ControlPlane> plane(int patience_ms) {
    return make_control_plane({{"127.0.0.1:" + std::to_string(server_->port())}, kTimeoutMs, patience_ms});
  }
  void fail(Code code, int times) {
    facade_.failure = {code, "etcd changes its leader"};
    facade_.failures = times;
  }
  static volume::v1::CreateVolumeRequest creation() {
    volume::v1::CreateVolumeRequest request;
    request.set_name("db");
    return request;
  }

  FakeFacade facade_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlPlaneCalls, WhatFailsForTheMomentIsAskedAgain) {
  fail(Code::kUnavailable, 3);
  const auto made = plane(kTimeoutMs)->create_volume(creation());
  ASSERT_TRUE(made) << made.status().to_string();
  EXPECT_EQ(facade_.calls, 4);
}

TEST_F(ControlPlaneCalls, AnOutcomeThatNobodyKnowsIsAskedFor) {
  fail(Code::kDeadlineExceeded, 2);
  const auto volumes = plane(kTimeoutMs)->list_volumes();
  ASSERT_TRUE(volumes) << volumes.status().to_string();
  EXPECT_EQ(facade_.calls, 3);
}

TEST_F(ControlPlaneCalls, WithoutPatienceTheFirstAnswerIsTheLast) {
  fail(Code::kUnavailable, 0);
  const auto volumes = plane(0)->list_volumes();
  EXPECT_EQ(volumes.status().code(), Code::kUnavailable);
  EXPECT_EQ(facade_.calls, 1);
}

TEST_F(ControlPlaneCalls, WhatIsRefusedIsNotAskedAgain) {
  fail(Code::kFailedPrecondition, 0);
  const auto made = plane(kTimeoutMs)->create_volume(creation());
  EXPECT_EQ(made.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(facade_.calls, 1);
}

}  // namespace
}  // namespace shima
