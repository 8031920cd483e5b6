#include "operator/desired/cluster_plan.h"

#include <algorithm>
#include <optional>

#include "operator/desired/names.h"
#include "operator/desired/node_labels.h"

namespace shima {
namespace {

using Members = std::map<std::string, uint32_t>;

constexpr uint32_t kOwnEndpoints = 3, kOtherEndpoints = 2;
constexpr char kWitness[] = "";

bool has_labels(const NodeView& node, const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto found = node.labels.find(label.first);
    return found != node.labels.end() && found->second == label.second;
  });
}

const NodeView* find_node(const ClusterPlan& plan, const std::string& name) {
  const auto found = std::find_if(plan.nodes.begin(), plan.nodes.end(),
                                  [&](const NodeView& node) { return node.name == name; });
  return found == plan.nodes.end() ? nullptr : &*found;
}

bool is_in_a_site(const ClusterPlan& plan, const std::string& node) {
  return std::any_of(plan.sites.nodes_of_site.begin(), plan.sites.nodes_of_site.end(), [&](const auto& site) {
    return std::binary_search(site.second.begin(), site.second.end(), node);
  });
}

std::vector<std::string> existing_sites(const ObservedCluster& observed) {
  std::vector<std::string> sites;
  for (const Members* counts : {&observed.core_servers_of_site, &observed.etcd_members_of_site})
    for (const auto& [site, count] : *counts)
      if (!site.empty()) sites.push_back(site);
  return sites;
}

// Those of spec.etcd.sites, or all; none if one that was named is not there.
std::vector<std::string> eligible_sites(ClusterPlan& plan) {
  std::vector<std::string> sites = plan.spec.etcd.sites;
  if (sites.empty())
    for (const auto& [site, nodes] : plan.sites.nodes_of_site) sites.push_back(site);
  for (const std::string& site : plan.spec.etcd.sites) {
    const auto found = plan.sites.nodes_of_site.find(site);
    if (found != plan.sites.nodes_of_site.end() && !found->second.empty()) continue;
    plan.refused.push_back("etcd is not made: spec.etcd.sites names " + site +
                           ", which has no nodes; give it nodes, or correct the list");
    return {};
  }
  return sites;
}

// Three or five, one a site, or one at each site that was named; one site has three, so that one may fail. A
// trial does with one.
Members first_choice(ClusterPlan& plan) {
  const std::vector<std::string> sites = eligible_sites(plan);
  if (sites.empty()) return {};
  if (sites.size() == 1) return {{sites[0], plan.spec.trial ? 1u : 3u}};
  if (sites.size() > 2) {
    Members members;
    const size_t count = !plan.spec.etcd.sites.empty() ? sites.size() : sites.size() >= 5 ? 5 : 3;
    for (size_t i = 0; i < count; ++i) members[sites[i]] = 1;
    return members;
  }
  if (!etcd_nodes(plan, kWitness).empty()) return {{sites[0], 1}, {sites[1], 1}, {kWitness, 1}};
  if (plan.spec.trial) return {{sites[0], 1}};
  plan.refused.push_back(
      "etcd is not made: of two sites neither may hold the majority of its members, and there is no node "
      "elsewhere "
      "for a third one. Add a node outside of sites " +
      sites[0] + " and " + sites[1] +
      ", or name nodes with spec.etcd.witnessSelector, or give the endpoints of an etcd in "
      "spec.etcd.endpoints");
  return {};
}

Members plan_etcd(ClusterPlan& plan) {
  const Members& existing = plan.observed.etcd_members_of_site;
  if (existing.empty()) return plan.spec.etcd.endpoints.empty() ? first_choice(plan) : Members();
  if (!plan.spec.etcd.endpoints.empty())
    plan.refused.push_back(
        "spec.etcd.endpoints is ignored: this cluster has an etcd of its own, with what it knows in it; take "
        "the "
        "endpoints out");
  for (const std::string& site : plan.spec.etcd.sites)
    if (!existing.contains(site))
      plan.refused.push_back(
          "spec.etcd.sites names " + site +
          ", where etcd has no member: where its members are was chosen before, and stays");
  for (const std::string& site : plan.spec.topology.removed_sites)
    if (existing.contains(site))
      plan.refused.push_back("the etcd member of removed site " + site +
                             " stays: the operator cannot move it to another site yet");
  return existing;
}

void plan_core_servers(ClusterPlan& plan) {
  for (const auto& [site, nodes] : plan.sites.nodes_of_site) {
    uint32_t& count = plan.core_servers[site] = plan.spec.core_servers.per_site;
    const auto now = plan.observed.core_servers_of_site.find(site);
    if (now != plan.observed.core_servers_of_site.end() && now->second > count) {
      plan.refused.push_back("site " + site + " keeps its " + std::to_string(now->second) +
                             " core servers though spec.coreServers.perSite is " + std::to_string(count) +
                             ": data cannot be moved off a core server yet; set perSite to at least " +
                             std::to_string(now->second));
      count = now->second;
    }
    const size_t hosts = core_server_nodes(plan, site).size();
    if (!plan.spec.trial && !nodes.empty() && hosts < count)
      plan.sites.problems.push_back("site " + site + " has " + std::to_string(hosts) + " nodes for " +
                                    std::to_string(count) +
                                    " core servers, wanted one for each; the others wait");
  }
}

void add_core_servers(const ClusterPlan& plan, const std::string& site, uint32_t most,
                      std::vector<std::string>& out) {
  const auto found = plan.core_servers.find(site);
  if (found == plan.core_servers.end()) return;
  for (uint32_t i = 0; i < std::min(found->second, most); ++i)
    out.push_back(pod_address(object_name("core", site), i, plan.cluster.name_space) + ":" +
                  std::to_string(kControlPort));
}

void add_etcd_members(const ClusterPlan& plan, const std::string& site, uint32_t count,
                      std::vector<std::string>& out) {
  for (uint32_t i = 0; i < count; ++i)
    out.push_back(pod_address(etcd_name(site), i, plan.cluster.name_space) + ":" +
                  std::to_string(kEtcdClientPort));
}

}  // namespace

std::string etcd_name(const std::string& site) {
  return site.empty() ? kWitnessName : object_name("etcd", site);
}

std::string etcd_peer_url(const std::string& address) {
  return "http://" + address + ":" + std::to_string(kEtcdPeerPort);
}

std::vector<std::string> core_server_nodes(const ClusterPlan& plan, const std::string& site) {
  std::vector<std::string> fitting;
  const auto found = plan.sites.nodes_of_site.find(site);
  if (found == plan.sites.nodes_of_site.end()) return fitting;
  for (const std::string& name : found->second) {
    const NodeView* node = find_node(plan, name);
    if (node && has_labels(*node, plan.spec.core_servers.node_selector)) fitting.push_back(name);
  }
  return fitting;
}

std::vector<std::string> etcd_nodes(const ClusterPlan& plan, const std::string& site) {
  if (site != kWitness) {
    const auto found = plan.sites.nodes_of_site.find(site);
    return found == plan.sites.nodes_of_site.end() ? std::vector<std::string>() : found->second;
  }
  std::vector<std::string> fitting;
  for (const NodeView& node : plan.nodes)
    if (has_labels(node, plan.spec.etcd.witness_selector) && !is_in_a_site(plan, node.name))
      fitting.push_back(node.name);
  std::sort(fitting.begin(), fitting.end());
  return fitting;
}

nlohmann::json site_selector(const ClusterPlan& plan, const std::string& site, const std::string& workload,
                             const std::string& image) {
  const auto made = plan.observed.by_topology_label.find(workload);
  const bool may_change =
      made == plan.observed.by_topology_label.end() || (plan.nodes_are_labelled && made->second != image);
  return {{may_change ? kOwnSiteLabel : plan.sites.label, site}};
}

std::vector<std::string> etcd_endpoints(const ClusterPlan& plan, const std::string& site) {
  if (plan.etcd_members.empty()) return plan.spec.etcd.endpoints;
  std::vector<std::string> endpoints;
  const auto own = plan.etcd_members.find(site);
  if (own != plan.etcd_members.end()) add_etcd_members(plan, site, own->second, endpoints);
  for (const auto& [other, count] : plan.etcd_members)
    if (other != site && !other.empty()) add_etcd_members(plan, other, count, endpoints);
  const auto witness = plan.etcd_members.find(kWitness);
  if (witness != plan.etcd_members.end()) add_etcd_members(plan, kWitness, witness->second, endpoints);
  return endpoints;
}

std::vector<std::string> control_endpoints(const ClusterPlan& plan, const std::string& site) {
  std::vector<std::string> endpoints;
  add_core_servers(plan, site, kOwnEndpoints, endpoints);
  for (const auto& [other, count] : plan.core_servers)
    if (other != site) add_core_servers(plan, other, kOtherEndpoints, endpoints);
  return endpoints;
}

ClusterPlan plan_cluster(const ClusterIdentity& cluster, const ShimaClusterSpec& spec,
                         const std::vector<NodeView>& nodes, const ObservedCluster& observed) {
  ClusterPlan plan{cluster,
                   spec,
                   nodes,
                   observed,
                   map_sites(spec, nodes, existing_sites(observed), observed.daemons_by_topology_label),
                   {},
                   {},
                   {}};
  plan.nodes_are_labelled = observed.labels_have_settled && plan.sites.moves.empty() &&
                            node_label_patches(plan.sites, nodes).empty();
  plan_core_servers(plan);
  plan.etcd_members = plan_etcd(plan);
  return plan;
}

}  // namespace shima
