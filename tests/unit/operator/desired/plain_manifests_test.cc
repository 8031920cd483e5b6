// What the operator makes for CSI against charts/csi, which a person applies by hand: the same containers,
// arguments, rights and mounts, but for what is listed here.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "operator/render/yaml_document.h"
#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Json = nlohmann::json;

std::vector<Json> plain_manifests() {
  std::vector<Json> objects;
  for (const auto& entry : std::filesystem::directory_iterator(SHIMA_MANIFESTS)) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const auto documents = parse_yaml_documents(text.str(), entry.path().filename());
    EXPECT_TRUE(documents.is_ok()) << documents.status().to_string();
    if (documents) objects.insert(objects.end(), documents->begin(), documents->end());
  }
  return objects;
}

Json plain_object(const std::string& kind, const std::string& name) {
  for (const Json& object : plain_manifests())
    if (object["kind"] == kind && object["metadata"]["name"] == name) return object;
  ADD_FAILURE() << "charts/csi has no " << kind << " " << name;
  return nullptr;
}

// By name.
std::map<std::string, Json> containers_of(const Json& workload) {
  std::map<std::string, Json> containers;
  for (const Json& container : pod_of(workload)["containers"]) containers[container["name"]] = container;
  return containers;
}

std::string option_name(const std::string& argument) { return argument.substr(0, argument.find('=')); }

// Options whose values, or which themselves, differ on purpose: endpoints are listed instead of read from a
// ConfigMap, and a DaemonSet a site tells the site instead of letting it be looked up.
const std::set<std::string> kOwnValue = {"--core",       "--topology-key", "--site",
                                         "--nfs-server", "--publish-root", "--kubelet-registration-path"};

std::multiset<std::string> arguments_of(const Json& container) {
  std::multiset<std::string> arguments;
  for (const Json& argument : container["args"]) {
    const std::string text = argument;
    if (!kOwnValue.contains(option_name(text))) arguments.insert(text);
  }
  return arguments;
}

std::multiset<std::string> items_of(const Json& list) {
  std::multiset<std::string> items;
  for (Json item : list) {
    item.erase("protocol");  // what the API server fills in
    items.insert(item.dump());
  }
  return items;
}

void compare_workloads(const Json& plain, const Json& desired) {
  const auto theirs = containers_of(plain), ours = containers_of(desired);
  ASSERT_EQ(theirs.size(), ours.size());
  for (const auto& [name, container] : theirs) {
    ASSERT_TRUE(ours.contains(name)) << name;
    const Json& own = ours.at(name);
    EXPECT_EQ(arguments_of(container), arguments_of(own)) << name;
    for (const char* list : {"volumeMounts", "ports", "env"})
      EXPECT_EQ(items_of(container.value(list, Json::array())), items_of(own.value(list, Json::array())))
          << name << " " << list;
    for (const char* field : {"securityContext", "livenessProbe", "readinessProbe", "command"})
      EXPECT_EQ(container.value(field, Json()), own.value(field, Json())) << name << " " << field;
    if (name != "shima-csi") {
      EXPECT_EQ(container["image"], own["image"]) << name;
    }
  }
  EXPECT_EQ(items_of(pod_of(plain)["volumes"]), items_of(pod_of(desired)["volumes"]));
  for (const char* field :
       {"hostNetwork", "dnsPolicy", "priorityClassName", "terminationGracePeriodSeconds", "securityContext"})
    EXPECT_EQ(pod_of(plain).value(field, Json()), pod_of(desired).value(field, Json())) << field;
}

DesiredCluster desired_cluster() {
  SampleCluster sample({"a"});
  return sample.desired();
}

TEST(CsiObjects, HaveTheContainersOfThePlainManifests) {
  const DesiredCluster desired = desired_cluster();
  compare_workloads(plain_object("Deployment", "shima-csi-controller"),
                    object_of(desired, "Deployment", "shima-csi-controller"));
  compare_workloads(plain_object("DaemonSet", "shima-csi-node"),
                    object_of(desired, "DaemonSet", "shima-csi-node-a"));
  compare_workloads(plain_object("DaemonSet", "shima-csi-mounter"),
                    object_of(desired, "DaemonSet", "shima-csi-mounter-a"));
}

// Port "healthz" is the livenessprobe sidecar's: CSI's Probe, which fails while core servers are away.
TEST(CsiObjects, AreReadyByProbeAndLiveByTheProcessItself) {
  const DesiredCluster desired = desired_cluster();
  for (const auto& [kind, name] :
       {std::pair{"Deployment", "shima-csi-controller"}, std::pair{"DaemonSet", "shima-csi-node-a"}}) {
    const Json driver = containers_of(object_of(desired, kind, name)).at("shima-csi");
    EXPECT_EQ(driver["readinessProbe"]["httpGet"]["port"], "healthz") << name;
    EXPECT_NE(driver["livenessProbe"]["httpGet"]["port"], "healthz") << name;
  }
}

TEST(CsiObjects, RestartAsThePlainManifestsSay) {
  const DesiredCluster desired = desired_cluster();
  for (const char* name : {"shima-csi-node", "shima-csi-mounter"})
    EXPECT_EQ(plain_object("DaemonSet", name)["spec"]["updateStrategy"],
              object_of(desired, "DaemonSet", std::string(name) + "-a")["spec"]["updateStrategy"]);
}

TEST(CsiObjects, HaveTheRightsOfThePlainManifests) {
  const DesiredCluster desired = desired_cluster();
  EXPECT_EQ(plain_object("ClusterRole", "shima-csi-controller")["rules"],
            object_of(desired, "ClusterRole", "shima:storage:csi-controller")["rules"]);
  EXPECT_EQ(plain_object("Role", "shima-csi-controller")["rules"],
            object_of(desired, "Role", "shima-csi-controller")["rules"]);
}

TEST(CsiObjects, DescribeTheDriverAsThePlainManifestsDo) {
  EXPECT_EQ(plain_object("CSIDriver", "shima.io")["spec"],
            object_of(desired_cluster(), "CSIDriver", "shima.io")["spec"]);
  Json theirs = plain_object("StorageClass", "shima-nfs"),
       ours = object_of(desired_cluster(), "StorageClass", "shima");
  for (const char* field : {"provisioner", "volumeBindingMode", "allowVolumeExpansion", "reclaimPolicy"})
    EXPECT_EQ(theirs[field], ours[field]) << field;
}

}  // namespace
}  // namespace shima
