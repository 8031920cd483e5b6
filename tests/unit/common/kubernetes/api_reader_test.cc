// ApiReader against an HTTPS server that answers as the API server does, well and badly (api_server_stand_in:
// a real API server has no part in what is tested here: TLS, the token, status codes, labels).
#include "common/kubernetes/api_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace shima {
namespace {

class ApiReaderTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/shima-api-reader.XXXXXX";
    folder_ = new std::string(mkdtemp(name));
    make_certificate(*folder_);
    int in[2], out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    server_ = fork();
    if (server_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      execl(SHIMA_STAND_IN, SHIMA_STAND_IN, folder_->c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    char port[16] = {};
    ASSERT_GT(read(out[0], port, sizeof port - 1), 0) << "the server did not start";
    close(out[0]);
    port_ = std::atoi(port);
    std::ofstream(*folder_ + "/token") << "right\n";
  }
  static void TearDownTestSuite() {
    close(input_);
    waitpid(server_, nullptr, 0);
    std::filesystem::remove_all(*folder_);
    delete folder_;
  }

  static void make_certificate(const std::string& folder) {
    const std::string command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext "
        "subjectAltName=IP:127.0.0.1 -keyout " +
        folder + "/key.pem -out " + folder + "/cert.pem 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << "openssl is needed (hack/deps)";
  }

  ApiAccess access() const {
    ApiAccess access;
    access.url = "https://127.0.0.1:" + std::to_string(port_);
    access.ca_file = *folder_ + "/cert.pem";
    access.token_file = *folder_ + "/token";
    return access;
  }
  Code code_of_node(const std::string& node) const {
    return ApiReader(access()).get("/api/v1/nodes/" + node).status().code();
  }

  static std::string* folder_;
  static pid_t server_;
  static int input_, port_;
};
std::string* ApiReaderTest::folder_ = nullptr;
pid_t ApiReaderTest::server_ = 0;
int ApiReaderTest::input_ = -1;
int ApiReaderTest::port_ = 0;

TEST_F(ApiReaderTest, ReadsANodesLabel) {
  Result<std::string> site = ApiReader(access()).node_label("worker-1", "topology.kubernetes.io/zone");
  ASSERT_TRUE(site.is_ok()) << site.status().to_string();
  EXPECT_EQ(*site, "site-a");
}

TEST_F(ApiReaderTest, TellsWhichLabelsTheNodeHas) {
  Status status = ApiReader(access()).node_label("worker-1", "example.org/room").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("kubernetes.io/hostname, topology.kubernetes.io/zone"), std::string::npos)
      << status.message();
  EXPECT_EQ(ApiReader(access()).node_label("bare", "x").status().code(), Code::kNotFound);
}

TEST_F(ApiReaderTest, TheTokenIsReadForEachCall) {
  ApiReader reader(access());
  EXPECT_TRUE(reader.get("/api/v1/nodes/worker-1").is_ok());
  std::ofstream(*folder_ + "/token") << "old";
  EXPECT_EQ(reader.get("/api/v1/nodes/worker-1").status().code(), Code::kPermissionDenied);
  std::ofstream(*folder_ + "/token") << "right";
  EXPECT_TRUE(reader.get("/api/v1/nodes/worker-1").is_ok());
}

TEST_F(ApiReaderTest, EachErrorHasItsCodeAndTheServersWords) {
  EXPECT_EQ(code_of_node("nobody"), Code::kNotFound);
  EXPECT_EQ(code_of_node("busy"), Code::kUnavailable);
  EXPECT_EQ(code_of_node("garbage"), Code::kCorrupt);
  Status forbidden = ApiReader(access()).get("/api/v1/nodes/forbidden").status();
  EXPECT_EQ(forbidden.code(), Code::kPermissionDenied);
  EXPECT_NE(forbidden.message().find("cannot get resource \"nodes\""), std::string::npos);
}

TEST_F(ApiReaderTest, ASilentServerIsGivenUp) {
  ApiAccess impatient = access();
  impatient.timeout_ms = 1000;
  EXPECT_EQ(ApiReader(impatient).get("/api/v1/nodes/silent").status().code(), Code::kUnavailable);
}

TEST_F(ApiReaderTest, AnotherAuthoritysCertificateIsNotTrusted) {
  const std::string other = *folder_ + "/other";
  std::filesystem::create_directory(other);
  make_certificate(other);
  ApiAccess wrong = access();
  wrong.ca_file = other + "/cert.pem";
  Status status = ApiReader(wrong).get("/api/v1/nodes/worker-1").status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("SSL handshake"), std::string::npos) << status.message();
}

TEST_F(ApiReaderTest, MissingCredentialsAreNamed) {
  ApiAccess none = access();
  none.token_file = "/nonexistent/token";
  Status status = ApiReader(none).get("/api/v1/nodes/worker-1").status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("/nonexistent/token"), std::string::npos);
}

TEST(AccessFromPodTest, NeedsWhatKubernetesSets) {
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(access_from_pod().status().code(), Code::kFailedPrecondition);
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  ASSERT_TRUE(access_from_pod().is_ok());
  EXPECT_EQ(access_from_pod()->url, "https://[fd00::1]:443");
}

}  // namespace
}  // namespace shima
