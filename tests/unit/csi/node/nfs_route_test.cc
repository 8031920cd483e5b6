#include "csi/node/nfs_route.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(NfsRoute, LiteralsAreTheirOwnAddress) {
  EXPECT_EQ(*address_of("10.1.0.200"), "10.1.0.200");
  EXPECT_EQ(*address_of("fd00:0::1"), "fd00::1");
}

TEST(NfsClientAddresses, AreThoseThatWereTold) {
  EXPECT_EQ(*nfs_client_addresses({"10.1.0.7", "fd00::7"}, "127.0.0.1:2049"),
            (std::vector<std::string>{"10.1.0.7", "fd00::7"}));
}

TEST(NfsClientAddresses, AreOtherwiseWhereTheRouteToTheServerBegins) {
  // All of 127.0.0.0/8 is this machine, and the route there has 127.0.0.1 as its source.
  EXPECT_EQ(*nfs_client_addresses({}, "127.0.0.9:2049"), std::vector<std::string>{"127.0.0.1"});
}

TEST(NfsClientAddresses, AreNoneWithoutNfs) { EXPECT_TRUE(nfs_client_addresses({}, "")->empty()); }

TEST(NfsClientAddresses, NoAddressIsGuessedWhereThereIsNoRoute) {
  EXPECT_EQ(nfs_client_addresses({}, "nonsense").status().code(), Code::kInvalidArgument);
  // A broadcast address: no socket may connect to it that has not asked for that.
  const Status status = nfs_client_addresses({}, "255.255.255.255:2049").status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("--node-addresses"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace shima
