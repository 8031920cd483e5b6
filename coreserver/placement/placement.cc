#include "coreserver/placement/placement.h"

#include <algorithm>
#include <map>
#include <set>

#include "coreserver/placement/even_spread.h"

namespace shima {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

std::vector<std::string> site_names(const ClusterMap& map) {
  std::vector<std::string> names;
  for (const PlacementSite& site : map.sites) names.push_back(site.name);
  std::sort(names.begin(), names.end());
  return names;
}

const PlacementSite* find_site(const ClusterMap& map, const std::string& name) {
  for (const PlacementSite& site : map.sites) {
    if (site.name == name) return &site;
  }
  return nullptr;
}

std::vector<PlacementServer> live_servers(const PlacementSite& site) {
  std::vector<PlacementServer> live;
  for (const PlacementServer& server : site.servers) {
    if (server.alive) live.push_back(server);
  }
  return live;
}

std::string sites_there_are(const ClusterMap& map) {
  return "there are " + std::to_string(map.sites.size()) + " (" + join(site_names(map)) + ")";
}

Status check_policy(const ClusterMap& map, const VolumePolicy& policy) {
  if (policy.copies == 0) return {Code::kInvalidArgument, "copies is 0; a volume needs at least one copy"};
  if (policy.copies > map.sites.size()) {
    return {Code::kInvalidArgument, "wanted " + std::to_string(policy.copies) +
                                        " copies, each in a site of its own; of sites " +
                                        sites_there_are(map) + ": ask for fewer copies or add a site"};
  }
  if (find_site(map, policy.home) == nullptr) {
    return {Code::kInvalidArgument,
            "there is no site \"" + policy.home + "\" for the home; of sites " + sites_there_are(map)};
  }
  return Status::ok();
}

Status check_named_sites(const ClusterMap& map, const VolumePolicy& policy) {
  std::set<std::string> seen;
  for (const std::string& name : policy.sites) {
    if (find_site(map, name) == nullptr) {
      return {Code::kInvalidArgument, "there is no site \"" + name + "\"; of sites " + sites_there_are(map)};
    }
    if (!seen.insert(name).second) {
      return {Code::kInvalidArgument, "site \"" + name + "\" is named twice; name each site once"};
    }
  }
  if (!seen.contains(policy.home)) {
    return {Code::kInvalidArgument, "the home \"" + policy.home +
                                        "\" is not among the sites of the volume (" + join(policy.sites) +
                                        "); add it there or choose one of them as home"};
  }
  if (policy.sites.size() != policy.copies) {
    return {Code::kInvalidArgument, "wanted " + std::to_string(policy.copies) + " copies, but " +
                                        std::to_string(policy.sites.size()) + " sites are named (" +
                                        join(policy.sites) + "); name one site a copy"};
  }
  return Status::ok();
}

std::vector<std::string> home_first(const VolumePolicy& policy) {
  std::vector<std::string> chosen{policy.home};
  for (const std::string& name : policy.sites) {
    if (name != policy.home) chosen.push_back(name);
  }
  return chosen;
}

Status no_live_server(const std::string& site) {
  return {Code::kFailedPrecondition,
          "site " + site + " has no live core server; start one there, or leave the site out of the volume"};
}

// The live servers of the home, in at least two failure domains.
Result<std::vector<PlacementServer>> home_servers(const PlacementSite& home) {
  std::vector<PlacementServer> live = live_servers(home);
  if (live.empty()) return no_live_server(home.name);
  std::map<std::string, std::vector<std::string>> by_domain;
  for (const PlacementServer& server : live) by_domain[server.failure_domain].push_back(server.name);
  if (by_domain.size() >= 2) return live;
  const auto& [domain, names] = *by_domain.begin();
  return Status(
      Code::kFailedPrecondition,
      "home site " + home.name + " has live core servers on one host only: " + domain + " (" + join(names) +
          "); a write needs two on different hosts: start one on another host, or choose another home");
}

}  // namespace

Result<std::vector<std::string>> choose_sites(const ClusterMap& map, const VolumePolicy& policy) {
  SHIMA_RETURN_IF_ERROR(check_policy(map, policy));
  if (!policy.sites.empty()) {
    SHIMA_RETURN_IF_ERROR(check_named_sites(map, policy));
    return home_first(policy);
  }
  std::vector<std::string> chosen{policy.home}, without_servers;
  for (const std::string& name : site_names(map)) {
    if (name == policy.home) continue;
    if (live_servers(*find_site(map, name)).empty()) {
      without_servers.push_back(name);
    } else if (chosen.size() < policy.copies) {
      chosen.push_back(name);
    }
  }
  if (chosen.size() == policy.copies) return chosen;
  return Status(Code::kFailedPrecondition,
                "wanted " + std::to_string(policy.copies) + " copies, but only " +
                    std::to_string(chosen.size()) + " sites can hold one; without a live core server: " +
                    join(without_servers) + "; start core servers there or ask for fewer copies");
}

Result<std::vector<GroupMembers>> choose_members(const ClusterMap& map, const VolumePolicy& policy) {
  if (policy.groups == 0 || policy.groups > kMaxGroups + 1) {
    return Status(Code::kInvalidArgument, "the number of groups is " + std::to_string(policy.groups) +
                                              "; allowed are 1 to " + std::to_string(kMaxGroups));
  }
  auto sites = choose_sites(map, policy);
  if (!sites) return sites.status();
  auto at_home = home_servers(*find_site(map, policy.home));
  if (!at_home) return at_home.status();
  std::vector<GroupMembers> members;
  for (const Pair& pair : spread_pairs_evenly(std::move(*at_home), policy.groups)) {
    members.push_back({pair.primary, pair.secondary, {}});
  }
  for (const std::string& name : *sites) {
    if (name == policy.home) continue;
    std::vector<PlacementServer> live = live_servers(*find_site(map, name));
    if (live.empty()) return no_live_server(name);
    const std::vector<ServerId> remotes = spread_evenly(std::move(live), policy.groups);
    for (size_t group = 0; group < members.size(); group++)
      members[group].remotes.push_back({name, remotes[group]});
  }
  return members;
}

}  // namespace shima
