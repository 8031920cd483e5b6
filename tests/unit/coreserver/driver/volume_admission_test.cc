#include "coreserver/driver/volume_admission.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

VolumeInfo published_volume() {
  VolumeInfo v;
  v.name = "db";
  v.config_version = ConfigVersion(9);
  v.published_only = true;
  v.publications = {{"node-1", 5, "site-a", false, {}, 0}, {"node-2", 8, "site-b", true, {}, 0}};
  return v;
}

VolumeAdmission access_to(const VolumeInfo& volume) {
  auto servers = std::make_shared<const AccessServers>(AccessServers{{"site-a/access-0", 3}});
  return {volume, servers, EtcdRevision(100)};
}

Code code_of(const VolumeAdmission& access, const SessionIdentity& who, bool changes = true) {
  return access.check(who, changes).code();
}

TEST(VolumeAdmission, AnybodyMayUseAVolumeThatIsNotPublished) {
  VolumeInfo open;
  open.name = "db";
  EXPECT_EQ(code_of(access_to(open), {}), Code::kOk);
  EXPECT_EQ(code_of(access_to(open), {.node = "x", .publication = 4}), Code::kOk);
}

TEST(VolumeAdmission, OnlyPublishedNodesMayUseOneThatIs) {
  const VolumeAdmission access = access_to(published_volume());
  EXPECT_EQ(code_of(access, {}), Code::kFenced);
  EXPECT_EQ(code_of(access, {.publication = 5}), Code::kOk);
  EXPECT_EQ(code_of(access, {.node = "node-1", .publication = 5}), Code::kOk);
  EXPECT_EQ(code_of(access, {.node = "node-2", .publication = 5}), Code::kFenced) << "another node's";
  EXPECT_EQ(code_of(access, {.node = "node-1", .publication = 4}), Code::kFenced) << "an older one";
  EXPECT_EQ(code_of(access, {.node = "node-1"}), Code::kFenced);
}

TEST(VolumeAdmission, APublicationThatIsNewerThanTheRecordIsToComeAgain) {
  const VolumeAdmission access = access_to(published_volume());
  EXPECT_EQ(code_of(access, {.publication = 10}), Code::kUnavailable);
  EXPECT_EQ(code_of(access, {.publication = 9}), Code::kFenced);
}

TEST(VolumeAdmission, AReadOnlyNodeReads) {
  const VolumeAdmission access = access_to(published_volume());
  EXPECT_EQ(code_of(access, {.publication = 8}, false), Code::kOk);
  EXPECT_EQ(code_of(access, {.publication = 8}, true), Code::kPermissionDenied);
}

TEST(VolumeAdmission, ARegisteredAccessServerUsesEveryVolumeAndAnotherIncarnationNone) {
  VolumeInfo open;
  open.name = "open";
  for (const VolumeInfo& volume : {published_volume(), open}) {
    const VolumeAdmission access = access_to(volume);
    SessionIdentity who{.access_server = "site-a/access-0", .access_incarnation = 3, .access_revision = 50};
    EXPECT_EQ(code_of(access, who), Code::kOk);
    who.access_incarnation = 2;
    EXPECT_EQ(code_of(access, who), Code::kFenced);
    who.publication = 5;
    EXPECT_EQ(code_of(access, who), Code::kFenced) << "a publication does not make up for it";
    who = {.access_server = "site-a/access-1", .access_incarnation = 3, .access_revision = 50};
    EXPECT_EQ(code_of(access, who), Code::kFenced);
    who.access_revision = 101;
    EXPECT_EQ(code_of(access, who), Code::kUnavailable) << "registered later than what is known here";
    EXPECT_EQ(code_of(access, {.access_server = "site-a/access-0"}), Code::kFenced) << "not registered";
  }
}

TEST(VolumeAdmission, ASessionIsBoundToWhatItsClientUsesTheVolumeBy) {
  metadata::v1::OpenSession session;
  session.set_publication(8);  // what the client says itself
  session.set_access_incarnation(3);
  const VolumeAdmission access = access_to(published_volume());
  access.bind({.node = "node-1", .publication = 5}, session);
  EXPECT_EQ(session.publication(), 5u);
  EXPECT_EQ(session.access_incarnation(), 0u);
  access.bind({.publication = 5, .access_server = "site-a/access-0", .access_incarnation = 3}, session);
  EXPECT_EQ(session.publication(), 0u);
  EXPECT_EQ(session.access_incarnation(), 3u);
  VolumeInfo open;
  access_to(open).bind({.publication = 5}, session);
  EXPECT_EQ(session.publication(), 0u) << "nobody's publication ends a session of a volume that all may use";
}

TEST(VolumeAdmission, TellsWhoseSessionsMayLiveOn) {
  const auto job = access_to(published_volume()).admitted();
  EXPECT_EQ(job.publications_size(), 2);
  EXPECT_EQ(job.publications(1), 8u);
  ASSERT_EQ(job.access_incarnations_size(), 1);
  EXPECT_EQ(job.access_incarnations(0), 3u);
}

}  // namespace
}  // namespace shima
