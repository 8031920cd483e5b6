#include <map>

#include "tests/unit/csi/controller/controller_fixture.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

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
  EXPECT_EQ(listed_.entries(0).volume().SerializeAsString(), response_.volume().SerializeAsString());
  EXPECT_EQ(listed_.entries(0).volume().volume_context().at("protocol"), "fuse");
  EXPECT_EQ(listed_.entries(0).status().published_node_ids(0), kNode1);
  EXPECT_TRUE(listed_.entries(0).status().volume_condition().abnormal());
  EXPECT_EQ(listed_.entries(0).status().volume_condition().message(), "site-c is away");

  v1::ControllerGetVolumeRequest request;
  v1::ControllerGetVolumeResponse response;
  request.set_volume_id("pvc-1");
  plane_.status_.mutable_volumes(0)->set_healthy(true);
  ASSERT_TRUE(service_->ControllerGetVolume(nullptr, &request, &response).ok());
  EXPECT_EQ(response.volume().SerializeAsString(), response_.volume().SerializeAsString())
      << "what CreateVolume answered";
  EXPECT_EQ(response.status().published_node_ids(0), kNode1);
  EXPECT_FALSE(response.status().volume_condition().abnormal());
  for (const auto& [id, code] : std::map<std::string, StatusCode>{{"", StatusCode::INVALID_ARGUMENT},
                                                                  {"none", StatusCode::NOT_FOUND},
                                                                  {"No", StatusCode::NOT_FOUND}}) {
    request.set_volume_id(id);
    EXPECT_EQ(service_->ControllerGetVolume(nullptr, &request, &response).error_code(), code) << id;
  }
}

}  // namespace
}  // namespace shima
