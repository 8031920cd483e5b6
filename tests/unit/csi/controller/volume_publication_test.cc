#include "tests/unit/csi/controller/controller_fixture.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

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

}  // namespace
}  // namespace shima
