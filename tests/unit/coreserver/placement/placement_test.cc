#include "coreserver/placement/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace shima {
namespace {

// Three sites; servers 1.. on hosts of their own, all alive, with equal space.
ClusterMap three_sites(int servers_a, int servers_b, int servers_c) {
  ClusterMap map;
  uint64_t id = 0;
  const std::pair<const char*, int> sites[] = {
      {"site-a", servers_a}, {"site-b", servers_b}, {"site-c", servers_c}};
  for (const auto& [name, count] : sites) {
    PlacementSite site{name, {}};
    for (int i = 0; i < count; i++) {
      ++id;
      const std::string number = std::to_string(i);
      site.servers.push_back(
          {ServerId(id), site.name + "/core-" + number, site.name + "-host-" + number, true, 1000});
    }
    map.sites.push_back(site);
  }
  return map;
}

VolumePolicy policy(uint32_t copies, std::vector<std::string> sites, std::string home, uint32_t groups = 8) {
  return {copies, std::move(sites), std::move(home), groups};
}

void expect_refused(const ClusterMap& map, const VolumePolicy& policy, Code code, const std::string& words) {
  auto members = choose_members(map, policy);
  ASSERT_FALSE(members.is_ok());
  EXPECT_EQ(members.status().code(), code);
  EXPECT_NE(members.status().message().find(words), std::string::npos) << members.status().message();
}

TEST(Placement, TwoServersASiteShareAllRoles) {
  auto members = choose_members(three_sites(2, 2, 2), policy(3, {}, "site-a"));
  ASSERT_TRUE(members.is_ok()) << members.status().to_string();
  ASSERT_EQ(members->size(), 8u);
  std::map<ServerId, int> primaries, remotes;
  for (const GroupMembers& group : *members) {
    EXPECT_NE(group.primary, group.secondary);
    EXPECT_LE(std::max(group.primary, group.secondary), ServerId(2));
    primaries[group.primary]++;
    ASSERT_EQ(group.remotes.size(), 2u);
    EXPECT_EQ(group.remotes[0].site, "site-b");
    EXPECT_EQ(group.remotes[1].site, "site-c");
    for (const RemoteMember& remote : group.remotes) remotes[remote.server]++;
  }
  for (uint64_t s : {1, 2}) EXPECT_EQ(primaries[ServerId(s)], 4);
  for (uint64_t s : {3, 4, 5, 6}) EXPECT_EQ(remotes[ServerId(s)], 4);
}

TEST(Placement, OneCopyHasNoRemotes) {
  auto members = choose_members(three_sites(2, 1, 1), policy(1, {}, "site-a"));
  ASSERT_TRUE(members.is_ok());
  EXPECT_TRUE(members->front().remotes.empty());
}

TEST(Placement, SitesNotNamedAreTheHomeAndThenTheFirstByName) {
  EXPECT_EQ(*choose_sites(three_sites(2, 2, 2), policy(2, {}, "site-c")),
            (std::vector<std::string>{"site-c", "site-a"}));
  ClusterMap a_is_down = three_sites(2, 2, 2);
  for (auto& server : a_is_down.sites[0].servers) server.alive = false;
  EXPECT_EQ(*choose_sites(a_is_down, policy(2, {}, "site-c")),
            (std::vector<std::string>{"site-c", "site-b"}));
}

TEST(Placement, NamedSitesKeepTheirOrderBehindTheHome) {
  EXPECT_EQ(*choose_sites(three_sites(2, 2, 2), policy(3, {"site-c", "site-b", "site-a"}, "site-b")),
            (std::vector<std::string>{"site-b", "site-c", "site-a"}));
}

TEST(Placement, DeadServersGetNothing) {
  ClusterMap map = three_sites(3, 2, 2);
  map.sites[0].servers[1].alive = false;
  map.sites[1].servers[0].alive = false;
  auto members = choose_members(map, policy(3, {}, "site-a"));
  ASSERT_TRUE(members.is_ok());
  for (const GroupMembers& group : *members) {
    EXPECT_NE(group.primary, ServerId(2));
    EXPECT_NE(group.secondary, ServerId(2));
    EXPECT_EQ(group.remotes[0].server, ServerId(5));
  }
}

TEST(Placement, PrimaryAndSecondaryNeverShareAHost) {
  ClusterMap map = three_sites(4, 1, 1);
  auto& servers = map.sites[0].servers;
  servers[1].failure_domain = servers[0].failure_domain;
  servers[3].failure_domain = servers[2].failure_domain;
  auto members = choose_members(map, policy(1, {}, "site-a", 64));
  ASSERT_TRUE(members.is_ok());
  for (const GroupMembers& group : *members) {
    EXPECT_NE(group.primary.value <= 2, group.secondary.value <= 2);
  }
}

TEST(Placement, FreeSpaceBreaksTies) {
  ClusterMap map = three_sites(3, 1, 1);
  map.sites[0].servers[2].free_bytes = 5000;
  auto members = choose_members(map, policy(1, {}, "site-a", 1));
  ASSERT_TRUE(members.is_ok());
  EXPECT_EQ(members->front().primary, ServerId(3));
}

TEST(Placement, AServerAloneOnItsHostTakesTheExtraPrimary) {
  ClusterMap map = three_sites(3, 1, 1);
  map.sites[0].servers[1].failure_domain = map.sites[0].servers[0].failure_domain;
  auto members = choose_members(map, policy(1, {}, "site-a", 4));
  ASSERT_TRUE(members.is_ok());
  std::map<ServerId, int> primaries, secondaries;
  for (const GroupMembers& group : *members) {
    primaries[group.primary]++;
    secondaries[group.secondary]++;
  }
  EXPECT_EQ(primaries, (std::map<ServerId, int>{{ServerId(1), 1}, {ServerId(2), 1}, {ServerId(3), 2}}));
  EXPECT_EQ(secondaries, primaries);
}

TEST(Placement, AnUnknownHomeIsRefused) {
  expect_refused(three_sites(2, 2, 2), policy(2, {}, "mars"), Code::kInvalidArgument,
                 "there is no site \"mars\" for the home; of sites there are 3 (site-a, site-b, site-c)");
}

TEST(Placement, AnUnknownSiteIsRefused) {
  expect_refused(three_sites(2, 2, 2), policy(2, {"site-a", "mars"}, "site-a"), Code::kInvalidArgument,
                 "there is no site \"mars\"");
}

TEST(Placement, MoreCopiesThanSitesAreRefused) {
  expect_refused(three_sites(2, 2, 2), policy(4, {}, "site-a"), Code::kInvalidArgument, "wanted 4 copies");
  expect_refused(three_sites(2, 2, 2), policy(4, {}, "site-a"), Code::kInvalidArgument, "there are 3");
  expect_refused(three_sites(2, 2, 2), policy(0, {}, "site-a"), Code::kInvalidArgument, "copies is 0");
  expect_refused(three_sites(2, 2, 2), policy(3, {"site-a", "site-b"}, "site-a"), Code::kInvalidArgument,
                 "2 sites are named");
}

TEST(Placement, ASiteNamedTwiceIsRefused) {
  expect_refused(three_sites(2, 2, 2), policy(2, {"site-a", "site-a"}, "site-a"), Code::kInvalidArgument,
                 "named twice");
}

TEST(Placement, AHomeOutsideItsSitesIsRefused) {
  expect_refused(three_sites(2, 2, 2), policy(2, {"site-b", "site-c"}, "site-a"), Code::kInvalidArgument,
                 "the home \"site-a\" is not among the sites");
}

TEST(Placement, AHomeWithOneHostIsRefusedByName) {
  ClusterMap map = three_sites(2, 2, 2);
  map.sites[0].servers[1].failure_domain = "site-a-host-0";
  expect_refused(map, policy(3, {}, "site-a"), Code::kFailedPrecondition,
                 "site-a-host-0 (site-a/core-0, site-a/core-1)");
}

TEST(Placement, ASiteWithoutLiveServersIsRefused) {
  ClusterMap map = three_sites(2, 2, 2);
  map.sites[1].servers.clear();
  expect_refused(map, policy(2, {"site-a", "site-b"}, "site-a"), Code::kFailedPrecondition,
                 "site site-b has no live core server");
  expect_refused(map, policy(3, {}, "site-a"), Code::kFailedPrecondition,
                 "without a live core server: site-b");
  for (auto& server : map.sites[0].servers) server.alive = false;
  expect_refused(map, policy(1, {}, "site-a"), Code::kFailedPrecondition,
                 "site site-a has no live core server");
}

TEST(Placement, GroupCountsOutOfBoundsAreRefused) {
  expect_refused(three_sites(2, 2, 2), policy(1, {}, "site-a", 0), Code::kInvalidArgument,
                 "allowed are 1 to 1024");
  expect_refused(three_sites(2, 2, 2), policy(1, {}, "site-a", 1026), Code::kInvalidArgument, "is 1026");
  EXPECT_TRUE(choose_members(three_sites(2, 2, 2), policy(1, {}, "site-a", 1024)).is_ok());
}

}  // namespace
}  // namespace shima
