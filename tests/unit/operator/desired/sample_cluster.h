// A spec, nodes and the objects that are made of them, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "operator/desired/desired_objects.h"

namespace shima {

inline NodeView sample_node(const std::string& name, std::map<std::string, std::string> labels) {
  labels["kubernetes.io/hostname"] = name;
  return {.name = name, .labels = std::move(labels), .ready = true};
}

struct SampleCluster {
  ClusterIdentity cluster{"storage", "shima", "uid-1"};
  ShimaClusterSpec spec;
  std::vector<NodeView> nodes;
  ObservedCluster observed;

  // Two nodes in each site.
  explicit SampleCluster(const std::vector<std::string>& sites) {
    spec.core_servers.disks = {{.size_bytes = 1ull << 40}};
    spec.etcd.data = {.size_bytes = 1ull << 30};
    spec.storage_classes = {{.name = "shima", .parameters = {{"ack", "all"}}}};
    for (const std::string& site : sites)
      for (const char* number : {"1", "2"}) add_node(site + "-" + number, site);
  }
  void add_node(const std::string& name, const std::string& site) {
    nodes.push_back(sample_node(name, {{"topology.kubernetes.io/zone", site}}));
  }
  DesiredCluster desired() const { return desired_objects(cluster, spec, nodes, observed); }
};

// Null if there is none.
inline nlohmann::json find_object(const DesiredCluster& desired, const std::string& kind,
                                  const std::string& name) {
  for (const nlohmann::json& object : desired.objects)
    if (object["kind"] == kind && object["metadata"]["name"] == name) return object;
  return nullptr;
}

inline nlohmann::json object_of(const DesiredCluster& desired, const std::string& kind,
                                const std::string& name) {
  const nlohmann::json found = find_object(desired, kind, name);
  EXPECT_FALSE(found.is_null()) << kind << " " << name;
  return found;
}

inline std::vector<std::string> names_of(const DesiredCluster& desired, const std::string& kind) {
  std::vector<std::string> names;
  for (const nlohmann::json& object : desired.objects)
    if (object["kind"] == kind) names.push_back(object["metadata"]["name"]);
  return names;
}

inline const nlohmann::json& pod_of(const nlohmann::json& workload) {
  return workload.at("spec").at("template").at("spec");
}

inline bool has_argument(const nlohmann::json& container, const std::string& argument) {
  const nlohmann::json& args = container.at("args");
  return std::find(args.begin(), args.end(), argument) != args.end();
}

}  // namespace shima
