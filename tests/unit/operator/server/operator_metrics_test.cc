#include "operator/server/operator_metrics.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shima {
namespace {

uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

std::string get(uint16_t port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;)
    answer.append(buffer, static_cast<size_t>(got));
  close(fd);
  return answer;
}

TEST(OperatorMetrics, ServesSamplesAndIsReadyOnlyWhenItIsSaid) {
  const uint16_t port = free_port();
  auto metrics = OperatorMetrics::start("127.0.0.1", port, [] {
    return std::vector<OperatorSample>{
        {.name = "api_calls_total", .value = 3, .labels = {{"verb", "apply"}}, .counter = true},
        {.name = "queue_length", .value = 2}};
  });
  ASSERT_TRUE(metrics) << metrics.status().message();
  const std::string text = get(port, "/metrics");
  EXPECT_NE(text.find("shima_operator_api_calls_total{verb=\"apply\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("shima_operator_queue_length 2"), std::string::npos) << text;
  EXPECT_NE(get(port, "/healthz").find(" 200 "), std::string::npos);
  EXPECT_NE(get(port, "/readyz").find(" 404 "), std::string::npos) << get(port, "/readyz");
  (*metrics)->set_ready();
  EXPECT_NE(get(port, "/readyz").find(" 200 "), std::string::npos);
}

TEST(OperatorMetrics, AnAddressThatIsTakenIsToldWithWords) {
  const uint16_t port = free_port();
  const auto none = [] { return std::vector<OperatorSample>(); };
  const auto first = OperatorMetrics::start("127.0.0.1", port, none);
  ASSERT_TRUE(first);
  const auto second = OperatorMetrics::start("127.0.0.1", port, none);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_NE(second.status().message().find("metrics-port"), std::string::npos) << second.status().message();
}

}  // namespace
}  // namespace shima
