#include "operator/reconcile/claims.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <tuple>

#include "operator/desired/site_map.h"
#include "operator/reconcile/object_fields.h"
#include "operator/status/conditions.h"

namespace shima {
namespace {

void take_end(std::string& text, const std::string& end) {
  if (text.ends_with(end)) text.resize(text.size() - end.size());
}

std::string comparable_host(std::string host, const std::string& name_space) {
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  in6_addr address;
  char text[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, host.c_str(), &address) == 1)
    return inet_ntop(AF_INET6, &address, text, sizeof(text));
  take_end(host, ".");
  take_end(host, ".cluster.local");
  take_end(host, ".svc");
  return host.find('.') == std::string::npos ? host + "." + name_space : host;
}

// HOST:PORT, the same however a Service or an address is written. `name_space`: whose pods look the name up.
std::string comparable_endpoint(const std::string& endpoint, const std::string& name_space) {
  const size_t colon = endpoint.rfind(':');
  return comparable_host(endpoint.substr(0, colon), name_space) + ":" +
         std::to_string(std::stoul(endpoint.substr(colon + 1)));
}

// Of those of `asking`, which are also `other`'s: named by it, or its own etcd's.
std::vector<std::string> common_endpoints(const Claimant& asking, const Claimant& other) {
  std::vector<std::string> common;
  for (const std::string& endpoint : asking.etcd) {
    const std::string host = endpoint.substr(0, endpoint.rfind(':'));
    const size_t dot = host.rfind('.'), name = host.find_last_of('.', dot - 1) + 1;
    const bool own_of_other = other.etcd.empty() && dot != std::string::npos &&
                              host.substr(dot + 1) == other.name_space &&
                              host.substr(name).starts_with("shima-etcd");
    if (own_of_other || std::binary_search(other.etcd.begin(), other.etcd.end(), endpoint))
      common.push_back(endpoint);
  }
  return common;
}

}  // namespace

bool Claimant::is_older_than(const Claimant& other) const {
  return std::tie(created, uid) < std::tie(other.created, other.uid);
}

Claimant ClaimReader::claimant_of(const nlohmann::json& cluster, const std::vector<NodeView>& nodes,
                                  const std::vector<std::string>& kept) {
  Claimant claimant{.name_space = namespace_of(cluster),
                    .name = name_of(cluster),
                    .uid = text_at(cluster, "/metadata/uid"),
                    .created = text_at(cluster, "/metadata/creationTimestamp")};
  if (auto spec = read_cluster_spec(cluster.value("spec", nlohmann::json::object())))
    readable_[claimant.uid] = std::move(spec).value();
  const auto last = readable_.find(claimant.uid);
  claimant.claims_all = last == readable_.end();
  if (claimant.claims_all) return claimant;
  claimant.csi = last->second.csi.enabled;
  for (const std::string& endpoint : last->second.etcd.endpoints)
    claimant.etcd.push_back(comparable_endpoint(endpoint, claimant.name_space));
  std::sort(claimant.etcd.begin(), claimant.etcd.end());
  for (const auto& [site, names] : map_sites(last->second, nodes, kept).nodes_of_site) {
    claimant.sites.push_back(site);
    claimant.nodes.insert(claimant.nodes.end(), names.begin(), names.end());
  }
  std::sort(claimant.nodes.begin(), claimant.nodes.end());
  return claimant;
}

void ClaimReader::keep_only(const std::set<std::string>& uids) {
  std::erase_if(readable_, [&](const auto& each) { return !uids.contains(each.first); });
}

std::vector<std::string> claimed_by_others(const Claimant& own, const std::vector<Claimant>& all) {
  std::vector<std::string> sentences;
  for (const Claimant& other : all) {
    if (other.uid == own.uid || !other.is_older_than(own)) continue;
    const std::string who = "ShimaCluster " + other.name_space + "/" + other.name;
    if (other.name_space == own.name_space) {
      sentences.push_back(who +
                          " is older and in the same namespace, where there can be one only; delete "
                          "one of them, or make this one in another namespace");
      continue;
    }
    if (other.claims_all) {
      sentences.push_back(who +
                          " is older, and its spec cannot be read, so that nobody knows which nodes it has; "
                          "correct its spec (its condition SpecAccepted says what is wrong), or delete it");
      continue;
    }
    std::vector<std::string> both, same_sites;
    std::set_intersection(own.nodes.begin(), own.nodes.end(), other.nodes.begin(), other.nodes.end(),
                          std::back_inserter(both));
    if (!both.empty())
      sentences.push_back(who + " is older and has " + std::to_string(both.size()) +
                          " of this one's nodes: " + told(both) +
                          "; choose others by spec.topology of one of them");
    std::set_intersection(own.sites.begin(), own.sites.end(), other.sites.begin(), other.sites.end(),
                          std::back_inserter(same_sites));
    if (!same_sites.empty())
      sentences.push_back(who + " is older and has a site of the same name, " + told(same_sites) +
                          ", which the label topology.shima.io/site of nodes can say for one of them only; "
                          "choose other names for the sites of this one");
    std::vector<std::string> same_etcd = common_endpoints(own, other);
    if (same_etcd.empty()) same_etcd = common_endpoints(other, own);
    if (!same_etcd.empty())
      sentences.push_back(who + " is older and has its records in the same etcd, " + told(same_etcd) +
                          ", which can have those of one cluster only; delete this one, and make it anew "
                          "with another etcd");
    if (own.csi && other.csi)
      sentences.push_back(who +
                          " is older and has the CSI driver shima.io, of which there can be one only; "
                          "set spec.csi.enabled to false in one of them");
  }
  return sentences;
}

std::set<std::string> nodes_of_others(const Claimant& own, const std::vector<Claimant>& all) {
  std::set<std::string> nodes;
  for (const Claimant& other : all)
    if (other.uid != own.uid && other.is_older_than(own) && claimed_by_others(other, all).empty())
      nodes.insert(other.nodes.begin(), other.nodes.end());
  return nodes;
}

}  // namespace shima
