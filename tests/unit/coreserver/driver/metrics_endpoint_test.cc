#include "coreserver/driver/metrics_endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/coreserver/rpc/fake_facade.h"

namespace shima {
namespace {

int bound_socket(uint16_t& port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 1) != 0)
    ADD_FAILURE() << "bind";
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

std::string get(uint16_t port, const std::string& path) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

TEST(MetricsEndpoint, ServesWhatTheServerCountsWithItsNameAndDisk) {
  FakeFacade facade;
  uint16_t port = 0;
  close(bound_socket(port));
  auto endpoint = MetricsEndpoint::start(facade, "127.0.0.1", port);
  for (int i = 0; i < 20 && !endpoint.is_ok(); ++i) {  // somebody else was given the port meanwhile
    port = 0;
    close(bound_socket(port));
    endpoint = MetricsEndpoint::start(facade, "127.0.0.1", port);
  }
  ASSERT_TRUE(endpoint.is_ok()) << endpoint.status().to_string();
  std::string answer = get(port, "/metrics");
  EXPECT_NE(answer.find("200 OK"), std::string::npos) << answer;
  EXPECT_NE(answer.find("shima_writes_committed{server=\"" + facade.server_name() + "\"} 12"),
            std::string::npos)
      << answer;
  EXPECT_NE(answer.find("shima_uptime_ms{"), std::string::npos) << answer;
  EXPECT_NE(answer.find("disk=\"/disk-0\"} 4096"), std::string::npos) << answer;
}

TEST(MetricsEndpoint, APortInUseIsRefusedWithItsNumber) {
  FakeFacade facade;
  uint16_t port = 0;
  int fd = bound_socket(port);
  auto endpoint = MetricsEndpoint::start(facade, "127.0.0.1", port);
  ASSERT_FALSE(endpoint.is_ok());
  EXPECT_NE(endpoint.status().message().find(std::to_string(port)), std::string::npos);
  close(fd);
}

}  // namespace
}  // namespace shima
