// ApiClient's calls against a real API server: what it answers to each, good and bad.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/integration/kubernetes/real_api_server.h"

namespace shima {
namespace {

using nlohmann::json;

TEST_F(RealApiServer, ObjectsAreMadeReadReplacedAndRemoved) {
  json made = must(client_.create(kConfigMap, config_map("plain", "1")));
  EXPECT_EQ(client_.create(kConfigMap, config_map("plain", "1")).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(must(client_.get(kConfigMap, kSpace, "plain"))["data"]["value"], "1");
  json newer = made;
  newer["data"]["value"] = "2";
  must(client_.replace(kConfigMap, newer));
  EXPECT_EQ(client_.replace(kConfigMap, newer).status().code(), Code::kConflict)
      << "it is not the newest any more";
  EXPECT_EQ(must(client_.merge_patch(kConfigMap, kSpace, "plain",
                                     {{"data", {{"value", nullptr}, {"b", "3"}}}}))["data"],
            json({{"b", "3"}}));
  EXPECT_EQ(client_.remove(kConfigMap, kSpace, "plain", "00000000-0000-0000-0000-000000000000").code(),
            Code::kConflict);
  EXPECT_TRUE(client_.remove(kConfigMap, kSpace, "plain", made["metadata"]["uid"]).is_ok());
  EXPECT_TRUE(client_.remove(kConfigMap, kSpace, "plain").is_ok()) << "it was not there";
  EXPECT_EQ(client_.get(kConfigMap, kSpace, "plain").status().code(), Code::kNotFound);
}

TEST_F(RealApiServer, WhatItRefusesItSaysInWords) {
  Status status = client_.create(kConfigMap, config_map("Not A Name", "1")).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << status.to_string();
  EXPECT_NE(status.message().find("RFC 1123"), std::string::npos) << status.message();
  status = client_.apply(kConfigMap, {{"metadata", {{"name", "x"}, {"namespace", kSpace}}}}, "me").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << status.to_string();
  EXPECT_EQ(client_.list({"absent.example.org/v1", "Thing", "things"}, {}).status().code(), Code::kNotFound);
}

TEST_F(RealApiServer, AppliedFieldsBelongToTheirManager) {
  must(client_.apply(kConfigMap, config_map("applied", "1"), "first"));
  EXPECT_EQ(must(client_.apply(kConfigMap, config_map("applied", "1"), "first"))["data"]["value"], "1");
  Status status = client_.apply(kConfigMap, config_map("applied", "2"), "second", false).status();
  EXPECT_EQ(status.code(), Code::kConflict) << status.to_string();
  EXPECT_NE(status.message().find("first"), std::string::npos) << status.message();
  EXPECT_EQ(must(client_.apply(kConfigMap, config_map("applied", "2"), "second"))["data"]["value"], "2");
}

TEST_F(RealApiServer, StatusIsAppliedOnItsOwn) {
  const ResourceKind claim{"v1", "PersistentVolumeClaim", "persistentvolumeclaims"};
  const json metadata{{"name", "claim"}, {"namespace", kSpace}};
  must(client_.apply(claim,
                     {{"apiVersion", "v1"},
                      {"kind", "PersistentVolumeClaim"},
                      {"metadata", metadata},
                      {"spec",
                       {{"accessModes", {"ReadWriteOnce"}},
                        {"storageClassName", "none"},
                        {"resources", {{"requests", {{"storage", "1Gi"}}}}}}}},
                     "me"));
  const json with_status = must(client_.apply_status(claim,
                                                     {{"apiVersion", "v1"},
                                                      {"kind", "PersistentVolumeClaim"},
                                                      {"metadata", metadata},
                                                      {"status", {{"phase", "Lost"}}}},
                                                     "me"));
  EXPECT_EQ(with_status["status"]["phase"], "Lost");
  EXPECT_EQ(with_status["spec"]["storageClassName"], "none");
}

TEST_F(RealApiServer, ListsComeInChunksAndBySelector) {
  for (int i = 0; i < 23; ++i)
    must(client_.apply(kConfigMap,
                       config_map("many-" + std::to_string(i), "1", {{"odd", i % 2 ? "yes" : "no"}}), "me"));
  Result<ObjectList> all = client_.list(kConfigMap, {kSpace, "odd", 5});
  ASSERT_TRUE(all.is_ok()) << all.status().to_string();
  EXPECT_EQ(all->items.size(), 23u);
  EXPECT_EQ(all->items[0]["kind"], "ConfigMap");
  Result<ObjectList> odd = client_.list(kConfigMap, {"", "odd=yes", 5});
  ASSERT_TRUE(odd.is_ok()) << odd.status().to_string();
  EXPECT_EQ(odd->items.size(), 11u);
  EXPECT_EQ(client_.list(kConfigMap, {kSpace, "odd=(", 5}).status().code(), Code::kInvalidArgument);
}

TEST_F(RealApiServer, AWatchGoesOnFromAList) {
  Result<ObjectList> list = client_.list(kConfigMap, {kSpace, "watched"});
  ASSERT_TRUE(list.is_ok()) << list.status().to_string();
  const json labels{{"watched", "yes"}};
  must(client_.apply(kConfigMap, config_map("watched", "1", labels), "me"));
  must(client_.apply(kConfigMap, config_map("watched", "2", labels), "me"));
  ASSERT_TRUE(client_.remove(kConfigMap, kSpace, "watched").is_ok());
  std::string seen;
  const Status end =
      client_.watch(kConfigMap, {kSpace, "watched"}, list->resource_version, [&](const WatchEvent& event) {
        if (event.type != WatchEvent::Type::kBookmark) seen += std::to_string(static_cast<int>(event.type));
        return event.type != WatchEvent::Type::kDeleted;
      });
  EXPECT_TRUE(end.is_ok()) << end.to_string();
  EXPECT_EQ(seen, "012");
  // It says 500 to that, and means that we should not have asked.
  EXPECT_FALSE(
      client_.watch(kConfigMap, {kSpace}, "nonsense", [](const WatchEvent&) { return false; }).is_ok());
}

TEST_F(RealApiServer, TheServerEndsAWatchAndSendsBookmarks) {
  ApiAccess brief = access_from();
  brief.watch_s = 5;
  ApiClient client(brief);
  Result<ObjectList> list = client.list(kConfigMap, {kSpace});
  ASSERT_TRUE(list.is_ok());
  std::atomic<bool> ended{false};
  std::thread others([&] {
    json elsewhere = config_map("elsewhere", "0");
    elsewhere["metadata"]["namespace"] = "default";
    for (int i = 0; !ended; ++i) {
      elsewhere["data"]["value"] = std::to_string(i);
      EXPECT_TRUE(client_.apply(kConfigMap, elsewhere, "me").is_ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  });
  int bookmarks = 0;
  // The bookmark comes 2 s before the end: a server that stands still meanwhile sends none.
  for (int watches = 0; bookmarks == 0 && watches < 5; ++watches) {
    const Status end =
        client.watch(kConfigMap, {kSpace}, list->resource_version, [&](const WatchEvent& event) {
          bookmarks += event.type == WatchEvent::Type::kBookmark;
          return true;
        });
    EXPECT_TRUE(end.is_ok()) << end.to_string();
  }
  ended = true;
  others.join();
  EXPECT_GT(bookmarks, 0) << "where we look nothing happens, but elsewhere";
}

TEST_F(RealApiServer, KindsAreDiscovered) {
  Result<bool> known = client_.knows("apps/v1", "StatefulSet");
  ASSERT_TRUE(known.is_ok()) << known.status().to_string();
  EXPECT_TRUE(*known);
  EXPECT_FALSE(*client_.knows("apps/v1", "ShimaCluster"));
  EXPECT_FALSE(*client_.knows("monitoring.coreos.com/v1", "ServiceMonitor"));
}

TEST_F(RealApiServer, AnEvictionHeedsADisruptionBudget) {
  const ResourceKind budget{"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"};
  const Status account = client_
                             .create({"v1", "ServiceAccount", "serviceaccounts"},
                                     {{"metadata", {{"name", "default"}, {"namespace", kSpace}}}})
                             .status();
  ASSERT_TRUE(account.is_ok() || account.code() == Code::kAlreadyExists) << account.to_string();
  must(client_.apply(budget,
                     {{"apiVersion", "policy/v1"},
                      {"kind", "PodDisruptionBudget"},
                      {"metadata", {{"name", "all"}, {"namespace", kSpace}}},
                      {"spec", {{"minAvailable", 1}, {"selector", {{"matchLabels", {{"evicted", "yes"}}}}}}}},
                     "me"));
  const json metadata{{"name", "evicted"}, {"namespace", kSpace}, {"labels", {{"evicted", "yes"}}}};
  must(client_.apply(kPod,
                     {{"apiVersion", "v1"},
                      {"kind", "Pod"},
                      {"metadata", metadata},
                      {"spec", {{"containers", {{{"name", "a"}, {"image", "b"}}}}}}},
                     "me"));
  must(client_.apply_status(
      kPod,
      {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", metadata}, {"status", {{"phase", "Running"}}}},
      "kubelet"));
  const Status refused = client_.evict(kSpace, "evicted");
  EXPECT_EQ(refused.code(), Code::kUnavailable) << refused.to_string();
  EXPECT_EQ(client_.asked_to_wait_ms(), 0u) << "that was about this pod only";
  ASSERT_TRUE(client_.remove(budget, kSpace, "all").is_ok());
  EXPECT_TRUE(soon([&] { return client_.evict(kSpace, "evicted").is_ok(); }))
      << client_.evict(kSpace, "evicted").to_string();
  EXPECT_EQ(client_.get(kPod, kSpace, "evicted").status().code(), Code::kNotFound);
}

TEST_F(RealApiServer, WhoMayNotIsToldWhat) {
  ApiClient limited(access_from("SHIMA_LIMITED_KUBECONFIG"));
  const Status status = limited.list(kNode, {}).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied) << status.to_string();
  EXPECT_NE(status.message().find("cannot list resource \"nodes\""), std::string::npos) << status.message();
  EXPECT_EQ(limited.watch(kNode, {}, "1", [](const WatchEvent&) { return false; }).code(),
            Code::kPermissionDenied);
  ApiAccess nobody = access_from("SHIMA_LIMITED_KUBECONFIG");
  nobody.token = "nonsense";
  EXPECT_EQ(ApiClient(nobody).list(kNode, {}).status().code(), Code::kPermissionDenied) << "401";
}

}  // namespace
}  // namespace shima
