#include "operator/reconcile/claims.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "operator/desired/site_map.h"
#include "operator/reconcile/object_fields.h"
#include "operator/status/conditions.h"

namespace shima {

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
  for (const auto& [site, names] : map_sites(last->second, nodes, kept).nodes_of_site)
    claimant.nodes.insert(claimant.nodes.end(), names.begin(), names.end());
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
    std::vector<std::string> both;
    std::set_intersection(own.nodes.begin(), own.nodes.end(), other.nodes.begin(), other.nodes.end(),
                          std::back_inserter(both));
    if (!both.empty())
      sentences.push_back(who + " is older and has " + std::to_string(both.size()) +
                          " of this one's nodes: " + told(both) +
                          "; choose others by spec.topology of one of them");
    if (own.csi && other.csi)
      sentences.push_back(who +
                          " is older and has the CSI driver shima.io, of which there can be one only; "
                          "set spec.csi.enabled to false in one of them");
  }
  return sentences;
}

}  // namespace shima
