// ApiClient against a server that answers as the API server does, well and badly (api_server_stand_in).
#include "common/kubernetes/api_client.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "common/kubernetes/node_label.h"
#include "tests/unit/common/kubernetes/api_server_fixture.h"

namespace shima {
namespace {

using nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

const ResourceKind kPod{"v1", "Pod", "pods"};
constexpr int64_t kSoonMs = 20'000;  // on a busy machine; what is silent here is so for 30 s

int64_t ms_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin).count();
}

class ApiClientTest : public ApiServerFixture {
 protected:
  Result<json> get(const std::string& pod) { return client_.get(kPod, "ns", pod); }
  Code code_of(const std::string& pod) { return get(pod).status().code(); }
  // Names and types of a watch' events; its status in `end_`.
  std::string watch(const std::string& script, size_t wanted = 1000) {
    std::string seen;
    size_t count = 0;
    end_ = client_.watch(kPod, {"ns", script}, "5", [&](const WatchEvent& event) {
      seen += std::to_string(static_cast<int>(event.type)) + event.object["metadata"].value("name", "") + " ";
      return ++count < wanted;
    });
    return seen;
  }
  static size_t pods_listed(ApiClient& client, const std::string& selector, Code expected) {
    Result<ObjectList> list = client.list(kPod, {"ns", selector, 2});
    EXPECT_EQ(list.status().code(), expected) << list.status().to_string();
    return list ? list->items.size() : 0;
  }

  ApiClient client_{access()};
  Status end_;
};

TEST_F(ApiClientTest, ReadsANodesLabel) {
  Result<std::string> site = node_label(client_, "worker-1", "topology.kubernetes.io/zone");
  ASSERT_TRUE(site.is_ok()) << site.status().to_string();
  EXPECT_EQ(*site, "site-a");
}

TEST_F(ApiClientTest, TellsWhichLabelsTheNodeHas) {
  Status status = node_label(client_, "worker-1", "example.org/room").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("kubernetes.io/hostname, topology.kubernetes.io/zone"), std::string::npos)
      << status.message();
  EXPECT_EQ(node_label(client_, "bare", "x").status().code(), Code::kNotFound);
  EXPECT_EQ(node_label(client_, "nobody", "x").status().code(), Code::kNotFound);
}

TEST_F(ApiClientTest, EachErrorHasItsCodeAndTheServersWords) {
  EXPECT_EQ(code_of("error-400"), Code::kInvalidArgument);
  EXPECT_EQ(code_of("error-403-Forbidden"), Code::kPermissionDenied);
  EXPECT_EQ(code_of("error-404"), Code::kNotFound);
  EXPECT_EQ(code_of("error-409-Conflict"), Code::kConflict);
  EXPECT_EQ(code_of("error-409-AlreadyExists"), Code::kAlreadyExists);
  EXPECT_EQ(code_of("error-410"), Code::kRequestTooOld);
  EXPECT_EQ(code_of("error-422"), Code::kInvalidArgument);
  EXPECT_EQ(code_of("error-500"), Code::kInternal);
  EXPECT_EQ(code_of("error-503"), Code::kUnavailable);
  EXPECT_EQ(code_of("garbage"), Code::kCorrupt);
  const std::string words = get("error-403").status().message();
  EXPECT_NE(words.find("words of 403"), std::string::npos) << words;
  EXPECT_NE(words.find("/api/v1/namespaces/ns/pods/error-403"), std::string::npos) << words;
}

TEST_F(ApiClientTest, RetryAfterIsTold) {
  EXPECT_EQ(client_.asked_to_wait_ms(), 0u);
  EXPECT_EQ(code_of("error-429-TooManyRequests-after-200"), Code::kUnavailable);
  EXPECT_GT(client_.asked_to_wait_ms(), 140'000u);
  EXPECT_LE(client_.asked_to_wait_ms(), 200'000u);
  EXPECT_EQ(code_of("error-503-x-after-999999999"), Code::kUnavailable);
  EXPECT_LE(client_.asked_to_wait_ms(), 300'000u) << "bounded";
}

TEST_F(ApiClientTest, AnEvictionThatABudgetForbidsIsUnavailableAndHoldsNothingElseUp) {
  EXPECT_EQ(client_.evict("ns", "one").code(), Code::kUnavailable);
  EXPECT_EQ(client_.asked_to_wait_ms(), 0u);
}

TEST_F(ApiClientTest, TheTokenIsReadForEachCall) {
  EXPECT_TRUE(get("connections").is_ok());
  write("token", "old");
  EXPECT_EQ(code_of("connections"), Code::kPermissionDenied);
  write("token", "right");
  EXPECT_TRUE(get("connections").is_ok());
}

TEST_F(ApiClientTest, AHostileTokenFileGoesIntoNoHeader) {
  for (const std::string& text : {std::string("right\r\nX-Evil: 1"), std::string("a b"),
                                  std::string(70'000, 'a'), std::string("  \n")}) {
    write("odd-token", text);
    ApiAccess odd = access();
    odd.token_file = file("odd-token");
    EXPECT_EQ(ApiClient(odd).get(kPod, "ns", "connections").status().code(), Code::kFailedPrecondition);
  }
}

TEST_F(ApiClientTest, MissingCredentialsAreNamed) {
  ApiAccess none = access();
  none.token_file = "/nonexistent/token";
  Status status = ApiClient(none).get(kPod, "ns", "x").status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition) << status.to_string();
  EXPECT_NE(status.message().find("/nonexistent/token"), std::string::npos);
  none = access();
  none.ca_file = "/nonexistent/ca.crt";
  status = ApiClient(none).get(kPod, "ns", "x").status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition) << status.to_string();
  EXPECT_NE(status.message().find("/nonexistent/ca.crt"), std::string::npos);
  none = access();
  none.client_certificate_file = file("token");
  none.client_key_file = file("token");
  status = ApiClient(none).get(kPod, "ns", "x").status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition) << status.to_string();
}

TEST_F(ApiClientTest, AClientCertificateIsShown) {
  make_certificate("admin", true);
  ApiAccess by_certificate = access();
  by_certificate.token_file.clear();
  EXPECT_EQ(ApiClient(by_certificate).get(kPod, "ns", "whoami").status().code(), Code::kPermissionDenied);
  by_certificate.client_certificate_file = file("admin.crt");
  by_certificate.client_key_file = file("admin.key");
  Result<json> me = ApiClient(by_certificate).get(kPod, "ns", "whoami");
  ASSERT_TRUE(me.is_ok()) << me.status().to_string();
  EXPECT_EQ((*me)["subject"]["commonName"], "admin");
}

TEST_F(ApiClientTest, AnotherAuthoritysCertificateIsNotTrusted) {
  make_certificate("other", false);
  ApiAccess wrong = access();
  wrong.ca_file = file("other.crt");
  Status status = ApiClient(wrong).get(kPod, "ns", "connections").status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("SSL handshake"), std::string::npos) << status.message();
  wrong.ca_file.clear();  // whom this machine trusts: not the stand-in
  EXPECT_EQ(ApiClient(wrong).get(kPod, "ns", "connections").status().code(), Code::kUnavailable);
}

TEST_F(ApiClientTest, ACertificateForAnotherNameIsNotTrusted) {
  ApiAccess named = access();
  named.url = "https://localhost:" + std::to_string(port());
  EXPECT_EQ(ApiClient(named).get(kPod, "ns", "connections").status().code(), Code::kUnavailable);
  named.server_name = "kubernetes.test";
  EXPECT_TRUE(ApiClient(named).get(kPod, "ns", "connections").is_ok());
  named.server_name = "kubernetes.other";
  EXPECT_EQ(ApiClient(named).get(kPod, "ns", "connections").status().code(), Code::kUnavailable);
}

TEST_F(ApiClientTest, ConnectionsAreUsedAgain) {
  const int before = (*get("connections"))["connections"];
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(get("connections").is_ok());
  // One more may be made while the first one is still being put back.
  EXPECT_LE((*get("connections"))["connections"], before + 2);
}

TEST_F(ApiClientTest, NobodyThereIsUnavailable) {
  ApiAccess nobody = access();
  nobody.url = "https://127.0.0.1:1";
  EXPECT_EQ(ApiClient(nobody).get(kPod, "ns", "x").status().code(), Code::kUnavailable);
  nobody.url = "http://127.0.0.1:1";
  EXPECT_EQ(ApiClient(nobody).get(kPod, "ns", "x").status().code(), Code::kInvalidArgument);
}

TEST_F(ApiClientTest, SilentAndSlowServersAreGivenUpAtTheDeadline) {
  ApiAccess impatient = access();
  impatient.timeout_ms = 700;
  ApiClient client(impatient);
  for (const char* pod : {"silent", "slow"}) {
    const int64_t took =
        ms_of([&] { EXPECT_EQ(client.get(kPod, "ns", pod).status().code(), Code::kUnavailable); });
    EXPECT_GE(took, 650) << pod;
    EXPECT_LT(took, 700 + kSoonMs) << pod;
  }
}

TEST_F(ApiClientTest, TruncatedAndHugeAnswersAreErrors) {
  EXPECT_EQ(code_of("truncated"), Code::kUnavailable);
  Status huge = get("huge").status();
  EXPECT_EQ(huge.code(), Code::kInvalidArgument) << huge.to_string();
  EXPECT_NE(huge.message().find("64 MiB"), std::string::npos);
}

TEST_F(ApiClientTest, ARedirectIsNotFollowed) {
  Status status = get("redirect").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << status.to_string();
  EXPECT_NE(status.message().find("307"), std::string::npos);
}

TEST_F(ApiClientTest, AListComesInChunksAndItsItemsKnowTheirKind) {
  Result<ObjectList> list = client_.list(kPod, {"ns", "", 2});
  ASSERT_TRUE(list.is_ok()) << list.status().to_string();
  ASSERT_EQ(list->items.size(), 5u);
  EXPECT_EQ(list->items[4]["metadata"]["name"], "pod-4");
  EXPECT_EQ(list->items[0]["kind"], "Pod");
  EXPECT_EQ(list->items[0]["apiVersion"], "v1");
  EXPECT_EQ(list->resource_version, "77");
}

TEST_F(ApiClientTest, AListThatIsForgottenIsBegunAnewOnce) {
  EXPECT_EQ(pods_listed(client_, "expired-once", Code::kOk), 5u);
  pods_listed(client_, "always-expired", Code::kRequestTooOld);
}

TEST_F(ApiClientTest, ListsThatAreNoneAreCorrupt) {
  pods_listed(client_, "no-items", Code::kCorrupt);
  pods_listed(client_, "no-objects", Code::kCorrupt);
}

TEST_F(ApiClientTest, WritesAskForWhatTheyShould) {
  const json pod{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "one"}, {"namespace", "ns"}}}};
  json seen = (*client_.apply(kPod, pod, "shima-operator"))["seen"];
  EXPECT_EQ(seen["method"], "PATCH");
  EXPECT_EQ(seen["path"], "/api/v1/namespaces/ns/pods/one?fieldManager=shima-operator&force=true");
  EXPECT_EQ(seen["type"], "application/apply-patch+yaml");
  EXPECT_EQ(seen["body"], pod);
  seen = (*client_.apply(kPod, pod, "a&b", false))["seen"];
  EXPECT_EQ(seen["path"], "/api/v1/namespaces/ns/pods/one?fieldManager=a%26b");
  seen = (*client_.apply_status(kPod, pod, "shima-operator"))["seen"];
  EXPECT_EQ(seen["path"], "/api/v1/namespaces/ns/pods/one/status?fieldManager=shima-operator&force=true");
  seen = (*client_.create(kPod, pod))["seen"];
  EXPECT_EQ(seen["method"], "POST");
  EXPECT_EQ(seen["path"], "/api/v1/namespaces/ns/pods");
  seen = (*client_.merge_patch(kPod, "ns", "one", {{"spec", nullptr}}))["seen"];
  EXPECT_EQ(seen["type"], "application/merge-patch+json");
  EXPECT_EQ(seen["body"], json({{"spec", nullptr}}));
  EXPECT_TRUE(client_.remove(kPod, "ns", "one", "uid-1").is_ok());
  EXPECT_TRUE(client_.remove(kPod, "ns", "absent").is_ok());
}

TEST_F(ApiClientTest, ObjectsThatCannotBeSentAreRefusedHere) {
  const json no_version{{"metadata", {{"name", "one"}, {"namespace", "ns"}}}};
  EXPECT_EQ(client_.replace(kPod, no_version).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(client_.create(kPod, {{"metadata", {{"name", "one"}}}}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(
      client_.apply(kPod, {{"metadata", {{"name", "../x"}, {"namespace", "ns"}}}}, "me").status().code(),
      Code::kInvalidArgument);
  EXPECT_EQ(client_.apply(kPod, json::array(), "me").status().code(), Code::kInvalidArgument);
  json no_text = no_version;
  no_text["value"] = "\xff";
  EXPECT_EQ(client_.create(kPod, no_text).status().code(), Code::kInvalidArgument);
}

TEST_F(ApiClientTest, KindsAreDiscovered) {
  EXPECT_TRUE(*client_.knows("monitoring.coreos.com/v1", "ServiceMonitor"));
  EXPECT_FALSE(*client_.knows("monitoring.coreos.com/v1", "PrometheusRule"));
  EXPECT_FALSE(*client_.knows("absent.example.org/v1", "Thing"));
}

TEST_F(ApiClientTest, AWatchAsksForBookmarksAndAnEnd) {
  json asked;
  EXPECT_TRUE(client_
                  .watch(kPod, {"ns", "asked"}, "5",
                         [&](const WatchEvent& event) {
                           asked = event.object["asked"];
                           return true;
                         })
                  .is_ok());
  EXPECT_EQ(asked["allowWatchBookmarks"], "true");
  EXPECT_EQ(asked["resourceVersion"], "5");
  EXPECT_EQ(asked["timeoutSeconds"], "300");
}

TEST_F(ApiClientTest, EventsComeInOrderHoweverTheyAreCut) {
  EXPECT_EQ(watch("pieces"), "0one 1one ");
  EXPECT_TRUE(end_.is_ok()) << end_.to_string();
}

TEST_F(ApiClientTest, AnEventThatIsCutIsNotDelivered) {
  EXPECT_EQ(watch("cut"), "0one 1one ");
  EXPECT_EQ(end_.code(), Code::kUnavailable) << end_.to_string();
  EXPECT_EQ(watch("cut-clean"), "0one 1one ");
  EXPECT_TRUE(end_.is_ok()) << end_.to_string();
}

TEST_F(ApiClientTest, ErrorsOfAWatchAreToldAfterItsEvents) {
  EXPECT_EQ(watch("gone"), "0one 1one ");
  EXPECT_EQ(end_.code(), Code::kRequestTooOld) << end_.to_string();
  EXPECT_EQ(watch("garbage"), "0one 1one ");
  EXPECT_EQ(end_.code(), Code::kCorrupt);
  EXPECT_EQ(watch("endless-line"), "");
  EXPECT_EQ(end_.code(), Code::kCorrupt);
  EXPECT_EQ(watch("refused-403"), "");
  EXPECT_EQ(end_.code(), Code::kPermissionDenied);
  EXPECT_EQ(watch("refused-410"), "");
  EXPECT_EQ(end_.code(), Code::kRequestTooOld);
  EXPECT_EQ(watch("refused-429"), "");
  EXPECT_GT(client_.asked_to_wait_ms(), 10'000u);
}

TEST_F(ApiClientTest, AWatchEndsWhenNoMoreIsWanted) {
  EXPECT_LT(ms_of([&] { EXPECT_EQ(watch("quiet", 1), "0one "); }), kSoonMs);
  EXPECT_TRUE(end_.is_ok()) << end_.to_string();
  EXPECT_TRUE(get("connections").is_ok()) << "the client goes on";
}

TEST_F(ApiClientTest, CancelEndsWatchesAndCallsAndWhatComesLater) {
  std::atomic<int> seen{0};
  std::atomic<bool> ended{false};
  std::chrono::steady_clock::time_point cancelled;
  std::thread canceller([&] {
    while (seen < 2 && !ended) std::this_thread::sleep_for(Milliseconds(5));
    cancelled = std::chrono::steady_clock::now();
    client_.cancel();
  });
  std::thread caller([&] { EXPECT_EQ(code_of("silent"), Code::kUnavailable); });
  const Status end = client_.watch(kPod, {"ns", "quiet"}, "5", [&](const WatchEvent&) {
    ++seen;
    return true;
  });
  ended = true;
  EXPECT_TRUE(end.is_ok()) << end.to_string();
  EXPECT_EQ(seen, 2);
  caller.join();
  canceller.join();
  const auto took = std::chrono::steady_clock::now() - cancelled;
  EXPECT_LT(std::chrono::duration_cast<Milliseconds>(took).count(), kSoonMs);
  EXPECT_EQ(code_of("connections"), Code::kUnavailable);
}

}  // namespace
}  // namespace shima
