#include "common/network/interface_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <chrono>
#include <thread>

#include "tests/unit/common/network/own_namespace.h"

namespace shima {
namespace {

bool is_here(const std::string& address) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  bool bound = bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  close(fd);
  return bound;
}

TEST(InterfaceAddress, IsReadFromTextAndRefusedWithWhatWasWanted) {
  InterfaceAddress a = parse_interface_address("10.1.0.5/24@eth0").value();
  EXPECT_EQ(a.address, "10.1.0.5");
  EXPECT_EQ(a.prefix_length, 24);
  EXPECT_EQ(a.interface, "eth0");
  EXPECT_EQ(to_string(a), "10.1.0.5/24@eth0");
  EXPECT_EQ(parse_interface_address("fd00::5/64@br0")->prefix_length, 64);
  for (const char* bad :
       {"", "10.1.0.5", "10.1.0.5/24", "10.1.0.5@eth0", "10.1.0.5/33@eth0", "10.1.0/24@eth0", "10.1.0.5/24@",
        "10.1.0.5/24@aninterfacenamethatistoolong", "10.1.0.5/x@eth0", "10.1.0.5@eth0/24"}) {
    EXPECT_EQ(parse_interface_address(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(InterfaceAddress, IsSetRenewedRemovedAndGoesByItselfWhenNobodyRenewsIt) {
  if (!enter_own_network_namespace()) GTEST_SKIP() << "no permission to make a network namespace";
  InterfaceAddress a{"10.99.0.5", 32, "lo"};
  EXPECT_FALSE(is_here(a.address));
  ASSERT_TRUE(set_address(a, 60).is_ok());
  EXPECT_TRUE(is_here(a.address));
  EXPECT_TRUE(set_address(a, 60).is_ok());
  EXPECT_TRUE(announce_address(a).is_ok());
  EXPECT_TRUE(remove_address(a).is_ok());
  EXPECT_FALSE(is_here(a.address));
  EXPECT_TRUE(remove_address(a).is_ok()) << "it was gone already";
  ASSERT_TRUE(set_address(a, 1).is_ok());
  while (is_here(a.address)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  InterfaceAddress v6{"fd99::5", 128, "lo"};
  EXPECT_TRUE(set_address(v6, 60).is_ok());
  EXPECT_TRUE(remove_address(v6).is_ok());
  InterfaceAddress nowhere{"10.99.0.5", 32, "none0"};
  EXPECT_EQ(set_address(nowhere, 5).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace shima
