#include "accessserver/server/published_volumes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace shima {
namespace {

PublicationInfo publication(const std::string& node, std::vector<std::string> addresses,
                            bool read_only = false) {
  PublicationInfo p;
  p.node = node;
  p.addresses = std::move(addresses);
  p.read_only = read_only;
  return p;
}

class PublishedVolumesTest : public testing::Test {
 protected:
  VolumeInfo& volume(const std::string& name) { return state_.volumes[name]; }

  std::atomic<uint64_t> silent_ms_{0};
  PublishedVolumes published_{[this] { return silent_ms_.load(); }, 2000};
  ClusterState state_;
};

TEST_F(PublishedVolumesTest, OnlyTheAddressesOfPublicationsAreLetIn) {
  volume("free");
  volume("closed").published_only = true;
  volume("closed").publications = {publication("one", {"10.1.0.1", "fd00::1"}),
                                   publication("two", {"10.1.0.2"}, true), publication("three", {})};
  published_.update(state_);
  EXPECT_EQ(published_.access("free", "10.9.9.9"), PublishedAccess::kReadWrite);
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kReadWrite);
  EXPECT_EQ(published_.access("closed", "::ffff:10.1.0.1"), PublishedAccess::kReadWrite);
  EXPECT_EQ(published_.access("closed", "fd00:0::1"), PublishedAccess::kReadWrite);
  EXPECT_EQ(published_.access("closed", "10.1.0.2"), PublishedAccess::kReadOnly);
  EXPECT_EQ(published_.access("closed", "10.1.0.3"), PublishedAccess::kNone);
  EXPECT_EQ(published_.access("closed", "10.1.0.10"), PublishedAccess::kNone);
  EXPECT_EQ(published_.access("closed", "nonsense"), PublishedAccess::kNone);
}

TEST_F(PublishedVolumesTest, AnUnpublishedNodeIsOutWithTheNextUpdate) {
  volume("closed").published_only = true;
  volume("closed").publications = {publication("one", {"10.1.0.1"})};
  published_.begin(state_);
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kReadWrite);
  volume("closed").publications.clear();
  published_.update(state_);
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kNone);
  volume("closed").publications = {publication("one", {"10.1.0.1"})};
  published_.begin(state_);  // the list was older than the update
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kNone);
}

TEST_F(PublishedVolumesTest, WithoutNewsOfEtcdNobodyIsLetInWhoNeedsAPublication) {
  volume("free");
  volume("closed").published_only = true;
  volume("closed").publications = {publication("one", {"10.1.0.1"})};
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kUnknown);  // nothing is known yet
  published_.begin(state_);
  silent_ms_ = 2001;
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kUnknown);
  EXPECT_EQ(published_.access("free", "10.1.0.1"), PublishedAccess::kReadWrite);
  silent_ms_ = 1500;
  EXPECT_EQ(published_.access("closed", "10.1.0.1"), PublishedAccess::kReadWrite);
}

TEST_F(PublishedVolumesTest, OneCanWaitForARecord) {
  EXPECT_FALSE(published_.wait_for("new", ConfigVersion(1), 20));
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    volume("new").config_version = ConfigVersion(3);
    published_.update(state_);
  });
  EXPECT_TRUE(published_.wait_for("new", ConfigVersion(3), 10'000));
  later.join();
  EXPECT_FALSE(published_.wait_for("new", ConfigVersion(4), 20));
}

}  // namespace
}  // namespace shima
