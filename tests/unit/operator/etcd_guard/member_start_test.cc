#include "operator/etcd_guard/member_start.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

MemberStart empty(const std::string& mark, const std::string& state) {
  return {.member = "shima-etcd-a-0", .mark = mark, .state = state};
}

std::string why_not(const MemberStart& start) {
  const Status status = may_start(start);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  return status.message();
}

TEST(MemberStart, EmptyForTheFirstTime) { EXPECT_TRUE(may_start(empty("", "new"))); }

TEST(MemberStart, NotEmptyOnceItHasBegun) {
  for (const char* state : {"new", "existing"}) {
    const std::string why = why_not(empty("begun uid-1", state));
    EXPECT_NE(why.find("has begun on claim uid-1. Is the right disk mounted"), std::string::npos) << why;
    EXPECT_NE(why.find("delete the claim and this pod"), std::string::npos) << why;
  }
}

TEST(MemberStart, EmptyOnceItWasAddedAnew) {
  EXPECT_TRUE(may_start(empty("joining uid-2", "existing")));
  EXPECT_FALSE(may_start(empty("joining uid-2", "new")));
  EXPECT_FALSE(may_start(empty("leaving uid-2", "existing")));
  EXPECT_FALSE(may_start(empty("adding uid-2", "existing")));
}

TEST(MemberStart, NotEmptyAndUnknownWhereEtcdExists) { why_not(empty("", "existing")); }

TEST(MemberStart, WithItsData) {
  for (const char* mark : {"", "begun uid-1"}) {
    MemberStart start = empty(mark, "existing");
    start.has_data = true;
    for (const char* claim : {"", " uid-1", " uid-0"}) {
      EXPECT_TRUE(may_start(start)) << mark;
      start.marker = start.member + claim;
    }
  }
}

TEST(MemberStart, NotWithDataOfBeforeItWasReplaced) {
  for (const char* mark : {"leaving uid-2", "adding uid-2"}) {
    MemberStart start = empty(mark, "existing");
    start.has_data = true;
    EXPECT_NE(why_not(start).find("is being replaced"), std::string::npos) << mark;
  }
  MemberStart start = empty("joining uid-2", "existing");
  start.has_data = true;
  for (const char* marker : {"", "shima-etcd-a-0", "shima-etcd-a-0 uid-1"}) {
    start.marker = marker;
    EXPECT_NE(why_not(start).find("wipe the directory"), std::string::npos) << marker;
  }
  start.marker = "shima-etcd-a-0 uid-2";
  EXPECT_TRUE(may_start(start)) << "it began to join, and restarts";
}

TEST(MemberStart, WritesWhoseDirectoryItIs) {
  EXPECT_EQ(member_marker(empty("", "new")), "shima-etcd-a-0");
  EXPECT_EQ(member_marker(empty("joining uid-2", "existing")), "shima-etcd-a-0 uid-2");
}

TEST(MemberStart, NotWithAnothersData) {
  MemberStart start = empty("begun uid-1", "existing");
  start.has_data = true;
  for (const char* marker : {"shima-etcd-a-1", "shima-etcd-a-1 uid-1"}) {
    start.marker = marker;
    EXPECT_NE(why_not(start).find("is that of member shima-etcd-a-1;"), std::string::npos);
  }
}

TEST(MemberStart, NotWithoutTheOperatorsWord) {
  MemberStart start = empty("", "");
  start.has_data = true;
  EXPECT_NE(why_not(start).find("initial-cluster-state"), std::string::npos);
  EXPECT_NE(why_not(empty("nonsense", "new")).find("shima-etcd-begun"), std::string::npos);
}

}  // namespace
}  // namespace shima
