// EtcdMembership against a real etcd. Changes of three members: tests/e2e/kube_etcd_member_test.py.
#include "common/etcd/etcd_members.h"

#include <gtest/gtest.h>

#include "tests/unit/common/etcd/etcd_fixture.h"

namespace shima {
namespace {

TEST(EtcdMembership, ListsRefusesAndAdds) {
  EtcdServer server;
  auto etcd = EtcdMembership::connect({server.endpoint()}, patient_etcd());
  ASSERT_TRUE(etcd) << etcd.status().to_string();
  const auto before = (*etcd)->list();
  ASSERT_TRUE(before) << before.status().to_string();
  ASSERT_EQ(before->size(), 1u);
  EXPECT_NE(before->front().id, 0u);
  EXPECT_FALSE(before->front().name.empty());
  EXPECT_EQ(before->front().peer_urls.size(), 1u);
  EXPECT_EQ((*etcd)->remove(42).code(), Code::kNotFound);
  EXPECT_FALSE((*etcd)->add(before->front().peer_urls.front())) << "the URL is taken";
  const auto added = (*etcd)->add("http://127.0.0.1:1");
  ASSERT_TRUE(added) << added.status().to_string();
  EXPECT_TRUE(added->name.empty()) << "it has not started";
  EXPECT_EQ(added->peer_urls, std::vector<std::string>{"http://127.0.0.1:1"});
}

TEST(EtcdMembership, WithoutEtcdItSaysSo) {
  EtcdOptions hasty;
  hasty.call_timeout_ms = 500;
  auto etcd = EtcdMembership::connect({"127.0.0.1:1"}, hasty);
  ASSERT_TRUE(etcd);
  EXPECT_EQ((*etcd)->list().status().code(), Code::kUnavailable);
  EXPECT_EQ(EtcdMembership::connect({}).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace shima
