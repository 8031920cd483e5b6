#include "accessserver/server/access_metrics.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shima {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// A socket that listens on a port of the kernel's choice.
int occupy_port(uint16_t& port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(fd, 1), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

std::string get(uint16_t port, const std::string& path) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

TEST(AccessMetrics, ServesSamplesWithServerAndVolumeAndItsHealth) {
  uint16_t port = 0;
  const auto start = [&port] {
    close(occupy_port(port));
    return AccessMetrics::start("127.0.0.1", port, "site-a/access-0", [] {
      return std::vector<MetricSample>{{"access_open_volumes_count", 2, ""},
                                       {"volume_written_bytes", 7, "vm1"}};
    });
  };
  auto endpoint = start();
  for (int i = 0; i < 20 && !endpoint.is_ok(); ++i) endpoint = start();  // somebody else was given the port
  ASSERT_TRUE(endpoint.is_ok()) << endpoint.status().to_string();
  const std::string answer = get(port, "/metrics");
  EXPECT_NE(answer.find("shima_access_open_volumes_count{server=\"site-a/access-0\"} 2"), std::string::npos)
      << answer;
  EXPECT_NE(answer.find("shima_volume_written_bytes{server=\"site-a/access-0\",volume=\"vm1\"} 7"),
            std::string::npos)
      << answer;
  EXPECT_NE(get(port, "/healthz").find("200 OK"), std::string::npos);
}

TEST(AccessMetrics, APortInUseIsRefusedWithItsNumber) {
  uint16_t port = 0;
  const int fd = occupy_port(port);
  auto endpoint =
      AccessMetrics::start("127.0.0.1", port, "a/access-0", [] { return std::vector<MetricSample>(); });
  ASSERT_FALSE(endpoint.is_ok());
  EXPECT_NE(endpoint.status().message().find(std::to_string(port)), std::string::npos);
  close(fd);
}

}  // namespace
}  // namespace shima
