#include "tests/unit/common/kubernetes/api_server_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace shima {
namespace {

void run(const std::string& command) {
  ASSERT_EQ(std::system((command + " 2>/dev/null").c_str()), 0)
      << command << ": openssl is needed (hack/deps)";
}

constexpr char kRequest[] =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 ";

}  // namespace

std::string* ApiServerFixture::folder_ = nullptr;
pid_t ApiServerFixture::server_ = 0;
int ApiServerFixture::input_ = -1;
int ApiServerFixture::port_ = 0;

void ApiServerFixture::SetUpTestSuite() {
  char name[] = "/tmp/shima-api-server.XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  folder_ = new std::string(name);
  run(std::string(kRequest) +
      "-subj /CN=stand-in -addext subjectAltName=IP:127.0.0.1,DNS:kubernetes.test -keyout " +
      file("key.pem") + " -out " + file("cert.pem"));
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
  std::string port;
  for (char c = 0; c != '\n'; port += c)  // the whole line, or its writer is told that nobody listens
    ASSERT_EQ(read(out[0], &c, 1), 1) << "the server did not start";
  close(out[0]);
  port_ = std::atoi(port.c_str());
  write("token", "right\n");
}

void ApiServerFixture::TearDownTestSuite() {
  close(input_);
  waitpid(server_, nullptr, 0);
  std::filesystem::remove_all(*folder_);
  delete folder_;
}

void ApiServerFixture::make_certificate(const std::string& name, bool by_server) {
  const std::string authority = by_server ? " -CA " + file("cert.pem") + " -CAkey " + file("key.pem") : "";
  run(std::string(kRequest) + "-subj /O=shima/CN=" + name + authority +
      " -addext extendedKeyUsage=clientAuth -keyout " + file(name + ".key") + " -out " + file(name + ".crt"));
}

ApiAccess ApiServerFixture::access() {
  ApiAccess access;
  access.url = "https://127.0.0.1:" + std::to_string(port_);
  access.ca_file = file("cert.pem");
  access.token_file = file("token");
  access.timeout_ms = 60'000;  // no stall of a machine is so long
  return access;
}

void ApiServerFixture::write(const std::string& name, const std::string& text) {
  std::ofstream(file(name)) << text;
}

}  // namespace shima
