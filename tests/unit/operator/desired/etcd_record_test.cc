#include "operator/desired/etcd_record.h"

#include <gtest/gtest.h>

#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

const ClusterIdentity kCluster{"storage", "shima", "uid-1"};

TEST(EtcdRecord, IsReadBackAsItWasWritten) {
  const EtcdMembers members{{"", 1}, {"site-a", 1}, {"site-b", 3}};
  const auto read = read_etcd_record(etcd_record(kCluster, members));
  ASSERT_TRUE(read.is_ok()) << read.status().to_string();
  EXPECT_EQ(*read, members);
}

TEST(EtcdRecord, IsNeitherChangedNorTakenByOthers) {
  const Json record = etcd_record(kCluster, {{"a", 3}});
  EXPECT_EQ(record["immutable"], true);
  EXPECT_EQ(record["metadata"]["labels"][kKeepLabel], kKeepValue);
  EXPECT_EQ(record["metadata"]["labels"][kClusterLabel], "shima");
  EXPECT_FALSE(record["metadata"].contains("ownerReferences"));
}

TEST(EtcdRecord, OddOnesAreRefusedWithWhatToDo) {
  for (const char* members :
       {"", "3", "[]", "{}", "{", R"({"a":0})", R"({"a":-1})", R"({"a":"1"})", R"({"a":1.5})",
        R"({"a":5,"b":5})", R"({"a":18446744073709551615,"b":2})", R"({"no label":1})"}) {
    const auto read = read_etcd_record({{"data", {{"members", members}}}});
    ASSERT_FALSE(read.is_ok()) << members;
    EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
    EXPECT_NE(read.status().message().find("shima-etcd-members"), std::string::npos);
  }
  for (const char* object : {"null", "[]", R"({"data":3})", R"({"data":{"members":{"a":1}}})"})
    EXPECT_FALSE(read_etcd_record(Json::parse(object)).is_ok()) << object;
  EXPECT_FALSE(read_etcd_record({{"data", {{"members", std::string(5000, '[')}}}}).is_ok());
}

}  // namespace
}  // namespace shima
