// Where an API server is and as whom it is asked: pods and kubeconfig files.
#include "common/kubernetes/api_access.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace shima {
namespace {

// "-----BEGIN CERTIFICATE-----\n" in base64, as `kubectl config view --raw` has it.
const std::string kPem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==";

class KubeconfigTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/shima-kubeconfig.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/config"; }
  Result<ApiAccess> load(const std::string& text, const std::string& context = "") const {
    std::ofstream(path()) << text;
    return access_from_kubeconfig(path(), context);
  }
  // A file of one cluster, one user, one context with these keys.
  static std::string file_of(const std::string& cluster, const std::string& user) {
    return "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
           "contexts: [{name: here, context: {cluster: c, user: u, namespace: storage}}]\n"
           "clusters: [{name: c, cluster: {" +
           cluster +
           "}}]\n"
           "users: [{name: u, user: {" +
           user + "}}]\n";
  }
  // The words with which the file is refused.
  std::string refusal(const std::string& text, const std::string& context = "") const {
    const Status status = load(text, context).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << status.to_string();
    EXPECT_NE(status.message().find(path()), std::string::npos) << status.message();
    return status.message();
  }
  static bool has(const std::string& words, const std::string& wanted) {
    return words.find(wanted) != std::string::npos;
  }

  const std::string server_ = "server: 'https://10.0.0.1:6443'";
  std::string folder_;
};

TEST_F(KubeconfigTest, DataInTheFileIsDecoded) {
  Result<ApiAccess> access =
      load(file_of(server_ + ", tls-server-name: api.test, certificate-authority-data: " + kPem,
                   "client-certificate-data: " + kPem + ", client-key-data: " + kPem + ", token: abc"));
  ASSERT_TRUE(access.is_ok()) << access.status().to_string();
  EXPECT_EQ(access->url, "https://10.0.0.1:6443");
  EXPECT_EQ(access->server_name, "api.test");
  EXPECT_EQ(access->ca_pem, "-----BEGIN CERTIFICATE-----\n");
  EXPECT_EQ(access->client_certificate_pem, access->ca_pem);
  EXPECT_EQ(access->client_key_pem, access->ca_pem);
  EXPECT_EQ(access->token, "abc");
  EXPECT_EQ(access->name_space, "storage");
}

TEST_F(KubeconfigTest, FileNamesAreRelativeToItsFolder) {
  Result<ApiAccess> access =
      load(file_of(server_ + ", certificate-authority: pki/ca.crt",
                   "client-certificate: a.crt, client-key: /abs/a.key, tokenFile: token, token: x"));
  ASSERT_TRUE(access.is_ok()) << access.status().to_string();
  EXPECT_EQ(access->ca_file, folder_ + "/pki/ca.crt");
  EXPECT_EQ(access->client_certificate_file, folder_ + "/a.crt");
  EXPECT_EQ(access->client_key_file, "/abs/a.key");
  EXPECT_EQ(access->token_file, folder_ + "/token");
  EXPECT_EQ(access->token, "") << "the file wins";
}

TEST_F(KubeconfigTest, AnotherContextCanBeAskedFor) {
  const std::string two =
      "current-context: a\n"
      "contexts: [{name: a, context: {cluster: a}}, {name: b, context: {cluster: b, user: ''}}]\n"
      "clusters: [{name: a, cluster: {server: 'https://a'}}, {name: b, cluster: {server: 'https://b/'}}]\n";
  EXPECT_EQ(load(two)->url, "https://a");
  EXPECT_EQ(load(two, "b")->url, "https://b");
  EXPECT_TRUE(has(refusal(two, "c"), "contexts: wanted one of the name \"c\", found a, b"));
}

TEST_F(KubeconfigTest, WhatWouldGiveCredentialsAwayIsRefusedWithWords) {
  EXPECT_TRUE(
      has(refusal(file_of(server_ + ", insecure-skip-tls-verify: true", "")), "insecure-skip-tls-verify"));
  EXPECT_TRUE(
      has(refusal(file_of(server_ + ", insecure-skip-tls-verify: [x]", "")), "insecure-skip-tls-verify"));
  EXPECT_TRUE(load(file_of(server_ + ", insecure-skip-tls-verify: false", "token: a")).is_ok());
  EXPECT_TRUE(has(refusal(file_of("server: 'http://10.0.0.1'", "")), "https://HOST:PORT"));
  EXPECT_TRUE(has(refusal(file_of("server: 'https://a@b'", "")), "https://HOST:PORT"));
  EXPECT_TRUE(has(refusal(file_of("server: 'https://'", "")), "https://HOST:PORT"));
  EXPECT_TRUE(has(refusal(file_of("server: 'https://[::1]:6443'", "")), "IPv6"));
  EXPECT_TRUE(has(refusal(file_of("", "")), "clusters[c].cluster"));
  EXPECT_TRUE(has(refusal(file_of(server_ + ", proxy-url: 'http://p'", "")), "proxy-url"));
}

TEST_F(KubeconfigTest, PlugInsPasswordsAndImpersonationAreRefusedWithWords) {
  EXPECT_TRUE(has(refusal(file_of(server_, "exec: {command: aws}")), "users[u].user.exec: plug-ins"));
  EXPECT_TRUE(has(refusal(file_of(server_, "auth-provider: {name: gcp}")), "auth-provider: plug-ins"));
  EXPECT_TRUE(has(refusal(file_of(server_, "as: root")), "impersonation"));
  EXPECT_TRUE(has(refusal(file_of(server_, "username: a, password: b")), "passwords"));
}

TEST_F(KubeconfigTest, HalfAPairAndBadDataAreRefused) {
  EXPECT_TRUE(has(refusal(file_of(server_, "client-key-data: " + kPem)),
                  "client-certificate: wanted certificate and key"));
  EXPECT_TRUE(
      has(refusal(file_of(server_, "client-certificate: a.crt")), "client-key: wanted certificate and key"));
  EXPECT_TRUE(has(refusal(file_of(server_ + ", certificate-authority-data: '!!!'", "")),
                  "certificate-authority-data"));
  EXPECT_TRUE(has(refusal(file_of(server_ + ", certificate-authority-data: aGVsbG8=", "")), "wanted PEM"));
  EXPECT_TRUE(has(refusal(file_of(server_ + ", certificate-authority-data: {a: b}", "")),
                  "wanted a text, found a map"));
  EXPECT_TRUE(has(refusal(file_of(server_, "token: \"a\\r\\nX-Evil: 1\"")), "users[u].user.token"));
}

TEST_F(KubeconfigTest, FilesThatAreNoneAreRefused) {
  EXPECT_TRUE(has(refusal("{"), "no YAML"));
  EXPECT_TRUE(has(refusal("[]"), "a list"));
  EXPECT_TRUE(has(refusal("just words"), "just words"));
  EXPECT_TRUE(has(refusal("a: b"), "current-context"));
  EXPECT_TRUE(has(refusal("current-context: [a]"), "current-context"));
  EXPECT_TRUE(has(refusal("current-context: a"), "contexts: wanted a list"));
  EXPECT_TRUE(has(refusal("current-context: a\ncontexts: [7]"), "contexts: wanted entries with a name"));
  EXPECT_TRUE(has(refusal("current-context: a\ncontexts: [{name: a}]"), "contexts[a].context: wanted a map"));
  EXPECT_TRUE(has(refusal(""), "nothing"));
  EXPECT_TRUE(has(refusal(std::string(2 << 20, '#')), "more than"));
  EXPECT_TRUE(has(refusal(std::string(300'000, '[')), "no YAML"));
}

TEST_F(KubeconfigTest, AFileThatIsNotThereIsNamed) {
  const Status status = access_from_kubeconfig("/nonexistent/config").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(has(status.message(), "/nonexistent/config"));
  EXPECT_EQ(access_from_kubeconfig(folder_).status().code(), Code::kInvalidArgument) << "a folder";
}

TEST(AccessFromPodTest, NeedsWhatKubernetesSets) {
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(access_from_pod().status().code(), Code::kFailedPrecondition);
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  ASSERT_TRUE(access_from_pod().is_ok());
  EXPECT_EQ(access_from_pod()->url, "https://kubernetes.default.svc:443")
      << "cpprestsdk cannot ask [fd00::1]";
  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  EXPECT_EQ(access_from_pod()->url, "https://10.96.0.1:443");
}

}  // namespace
}  // namespace shima
