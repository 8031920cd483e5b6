// Paths of the Kubernetes API.
#include "common/kubernetes/resource_path.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

const ResourceKind kPod{"v1", "Pod", "pods"};
const ResourceKind kNode{"v1", "Node", "nodes", false};
const ResourceKind kCluster{"shima.io/v1alpha1", "ShimaCluster", "shimaclusters"};

TEST(ResourcePath, CoreKindsAreUnderApiAndOthersUnderApis) {
  EXPECT_EQ(*collection_path(kPod, "storage"), "/api/v1/namespaces/storage/pods");
  EXPECT_EQ(*collection_path(kCluster, "storage"),
            "/apis/shima.io/v1alpha1/namespaces/storage/shimaclusters");
  EXPECT_EQ(*collection_path(kCluster, ""), "/apis/shima.io/v1alpha1/shimaclusters");
  EXPECT_EQ(*group_path("v1"), "/api/v1");
  EXPECT_EQ(*group_path("apps/v1"), "/apis/apps/v1");
}

TEST(ResourcePath, KindsWithoutNamespacesIgnoreOne) {
  EXPECT_EQ(*collection_path(kNode, "storage"), "/api/v1/nodes");
  EXPECT_EQ(*object_path(kNode, "storage", "worker-1"), "/api/v1/nodes/worker-1");
}

TEST(ResourcePath, ASubresourceFollowsTheName) {
  EXPECT_EQ(*object_path(kCluster, "storage", "main", "status"),
            "/apis/shima.io/v1alpha1/namespaces/storage/shimaclusters/main/status");
}

TEST(ResourcePath, AnObjectOfANamespacedKindNeedsANamespace) {
  EXPECT_EQ(object_path(kPod, "", "one").status().code(), Code::kInvalidArgument);
}

TEST(ResourcePath, NamesThatWouldLeaveTheirPlaceAreRefused) {
  for (const char* name : {"", ".", "..", "a/b", "../secrets", "a%2fb", "a\\b", "a\nb", "a\x7f"})
    EXPECT_EQ(object_path(kPod, "storage", name).status().code(), Code::kInvalidArgument) << name;
  EXPECT_EQ(object_path(kPod, "storage/../kube-system", "one").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(object_path(kPod, "storage", std::string(254, 'a')).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(object_path({"v1/../..", "Pod", "pods"}, "storage", "one").status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(object_path({"v1", "Pod", "pods/x"}, "storage", "one").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(object_path(kPod, "storage", "one", "..").status().code(), Code::kInvalidArgument);
}

TEST(ResourcePath, TheRefusalSaysWhichPartAndHidesControlCharacters) {
  const std::string words = object_path(kPod, "storage", "a\nb").status().message();
  EXPECT_NE(words.find("the name"), std::string::npos) << words;
  EXPECT_NE(words.find("a?b"), std::string::npos) << words;
}

TEST(ResourcePath, WhatIsNotPlainIsPercentEncoded) {
  EXPECT_EQ(*object_path({"rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false}, "",
                         "system:node?x y"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode%3Fx%20y");
  EXPECT_EQ(query_text({{"labelSelector", "a=b,c in (d,e)"}, {"limit", "5"}}),
            "?labelSelector=a%3Db%2Cc%20in%20%28d%2Ce%29&limit=5");
  EXPECT_EQ(query_text({}), "");
}

TEST(ResourcePath, KeysSplitIntoWhatTheyWereMadeOf) {
  EXPECT_EQ(object_key("storage", "one"), "storage/one");
  EXPECT_EQ(object_key("", "worker-1"), "worker-1");
  EXPECT_EQ(split_object_key("storage/one"), (std::pair<std::string, std::string>("storage", "one")));
  EXPECT_EQ(split_object_key("worker-1"), (std::pair<std::string, std::string>("", "worker-1")));
}

}  // namespace
}  // namespace shima
