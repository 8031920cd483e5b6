#include "operator/desired/etcd_begun.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using Phase = MemberMark::Phase;

const ClusterIdentity kCluster{"storage", "shima", "uid-1"};

TEST(EtcdBegun, IsReadAsItWasWritten) {
  const EtcdBegun begun{true,
                        {{"shima-etcd-a-0", {Phase::kBegun, "u0"}},
                         {"shima-etcd-b-0", {Phase::kLeaving, "u1"}},
                         {"shima-etcd-c-0", {Phase::kAdding, "u2"}},
                         {"shima-witness-0", {Phase::kJoining, "u3"}}}};
  const auto read = read_etcd_begun(etcd_begun_object(kCluster, begun));
  ASSERT_TRUE(read) << read.status().message();
  EXPECT_EQ(*read, begun);
  EXPECT_EQ(*read_etcd_begun(etcd_begun_object(kCluster, {})), EtcdBegun());
}

TEST(EtcdBegun, OutlivesItsClusterAndIsNotSweptAway) {
  const auto object = etcd_begun_object(kCluster, {});
  EXPECT_FALSE(object["metadata"].contains("ownerReferences"));
  EXPECT_EQ(object["metadata"]["labels"]["shima.io/keep"], "data");
  EXPECT_EQ(object["data"]["initial-cluster-state"], "new");
}

TEST(EtcdBegun, WhatSomebodyElseWroteIsRefused) {
  auto object = etcd_begun_object(kCluster, {});
  for (const char* bad : {"", "begun", "begun ", "gone u1", "begun u1 u2", "begunu1"}) {
    object["data"]["shima-etcd-a-0"] = bad;
    const auto read = read_etcd_begun(object);
    ASSERT_FALSE(read) << bad;
    EXPECT_NE(read.status().message().find("data.shima-etcd-a-0"), std::string::npos);
  }
  object["data"] = {{"initial-cluster-state", "old"}};
  EXPECT_FALSE(read_etcd_begun(object));
  object["data"] = 7;
  EXPECT_FALSE(read_etcd_begun(object));
  object.erase("data");
  EXPECT_FALSE(read_etcd_begun(object));
}

}  // namespace
}  // namespace shima
