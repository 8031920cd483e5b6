// Properties of placement over random maps; the seeds are fixed.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "coreserver/placement/placement.h"

namespace shima {
namespace {

using Counts = std::map<ServerId, uint32_t>;

struct RandomCase {
  ClusterMap map;
  VolumePolicy policy;
};

RandomCase random_case(uint64_t seed) {
  std::mt19937_64 random(seed);
  RandomCase out;
  uint64_t id = 0;
  const uint64_t sites = 1 + random() % 5;
  for (uint64_t s = 0; s < sites; s++) {
    PlacementSite site{"s" + std::to_string(s), {}};
    const uint64_t hosts = 1 + random() % 4;
    for (uint64_t n = 1 + random() % 9; n > 0; n--) {
      const std::string host = site.name + "-h" + std::to_string(random() % hosts);
      ++id;
      site.servers.push_back(
          {ServerId(id), site.name + "/core-" + std::to_string(id), host, random() % 8 != 0, random() % 4});
    }
    out.map.sites.push_back(site);
  }
  out.policy = {static_cast<uint32_t>(1 + random() % sites),
                {},
                "s" + std::to_string(random() % sites),
                static_cast<uint32_t>(1 + random() % 40)};
  return out;
}

const PlacementServer& server_of(const ClusterMap& map, ServerId id, std::string* site_name) {
  for (const PlacementSite& site : map.sites) {
    for (const PlacementServer& server : site.servers) {
      if (server.id != id) continue;
      *site_name = site.name;
      return server;
    }
  }
  ADD_FAILURE() << "no server " << id.value;
  return map.sites[0].servers[0];
}

Counts live_counts(const ClusterMap& map, const std::string& site_name) {
  Counts counts;
  for (const PlacementSite& site : map.sites) {
    for (const PlacementServer& server : site.servers) {
      if (site.name == site_name && server.alive) counts[server.id] = 0;
    }
  }
  return counts;
}

uint32_t greatest_difference(const Counts& counts) {
  const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [low, high] = std::minmax_element(counts.begin(), counts.end(), by_count);
  return high->second - low->second;
}

// True if no failure domain has more than half of the live servers, after which even secondaries exist for
// every W that the servers divide.
bool domains_are_balanced(const ClusterMap& map, const std::string& home) {
  std::map<std::string, size_t> domains;
  size_t live = 0;
  for (const PlacementSite& site : map.sites) {
    for (const PlacementServer& server : site.servers) {
      if (site.name != home || !server.alive) continue;
      domains[server.failure_domain]++;
      live++;
    }
  }
  return std::all_of(domains.begin(), domains.end(), [&](const auto& d) { return d.second * 2 <= live; });
}

void check_members(const RandomCase& random, const std::vector<GroupMembers>& members) {
  const VolumePolicy& policy = random.policy;
  ASSERT_EQ(members.size(), policy.groups);
  Counts primaries = live_counts(random.map, policy.home), secondaries = primaries;
  std::map<std::string, Counts> remotes;
  for (const GroupMembers& group : members) {
    std::string site;
    const PlacementServer& primary = server_of(random.map, group.primary, &site);
    EXPECT_EQ(site, policy.home);
    const PlacementServer& secondary = server_of(random.map, group.secondary, &site);
    EXPECT_EQ(site, policy.home);
    EXPECT_TRUE(primary.alive && secondary.alive);
    EXPECT_NE(primary.failure_domain, secondary.failure_domain);
    primaries[group.primary]++;
    secondaries[group.secondary]++;
    ASSERT_EQ(group.remotes.size(), policy.copies - 1);
    for (const RemoteMember& remote : group.remotes) {
      EXPECT_TRUE(server_of(random.map, remote.server, &site).alive);
      EXPECT_EQ(site, remote.site);
      EXPECT_NE(site, policy.home);
      remotes.try_emplace(site, live_counts(random.map, site)).first->second[remote.server]++;
    }
  }
  EXPECT_LE(greatest_difference(primaries), 1u);
  for (const auto& [site, counts] : remotes) EXPECT_LE(greatest_difference(counts), 1u);
  if (domains_are_balanced(random.map, policy.home) && policy.groups % primaries.size() == 0) {
    EXPECT_EQ(greatest_difference(secondaries), 0u);
  }
  if (domains_are_balanced(random.map, policy.home)) {
    EXPECT_LE(greatest_difference(secondaries), 1u);
  }
}

TEST(PlacementProperty, EveryChoiceOverRandomMapsIsValidAndEven) {
  int placed = 0;
  for (uint64_t seed = 1; seed <= 4000; seed++) {
    SCOPED_TRACE(seed);
    const RandomCase random = random_case(seed);
    auto members = choose_members(random.map, random.policy);
    if (!members) {
      EXPECT_EQ(members.status().code(), Code::kFailedPrecondition) << members.status().to_string();
      continue;
    }
    placed++;
    check_members(random, *members);
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(placed, 1000);
}

TEST(PlacementProperty, TheOrderOfSitesAndServersInTheMapDoesNotMatter) {
  for (uint64_t seed = 1; seed <= 500; seed++) {
    RandomCase random = random_case(seed);
    auto members = choose_members(random.map, random.policy);
    std::mt19937_64 shuffler(seed);
    std::shuffle(random.map.sites.begin(), random.map.sites.end(), shuffler);
    for (auto& site : random.map.sites) std::shuffle(site.servers.begin(), site.servers.end(), shuffler);
    auto again = choose_members(random.map, random.policy);
    ASSERT_EQ(members.is_ok(), again.is_ok()) << seed;
    if (members) {
      ASSERT_EQ(*members, *again) << seed;
    }
  }
}

}  // namespace
}  // namespace shima
