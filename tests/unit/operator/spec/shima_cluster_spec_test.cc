#include "operator/spec/shima_cluster_spec.h"

#include <gtest/gtest.h>

#include "operator/render/yaml_document.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// What is given over what will do.
Json spec_with(const std::string& yaml) {
  Json spec = {{"coreServers", {{"disks", Json::array({{{"hostPath", "/srv/shima"}}})}}},
               {"etcd", {{"endpoints", Json::array({"etcd-0:2379"})}}}};
  const auto documents = parse_yaml_documents(yaml, "test");
  EXPECT_TRUE(documents.is_ok()) << documents.status().to_string();
  if (documents && !documents->empty()) spec.merge_patch(documents->front());
  return spec;
}

std::string error_of(const std::string& yaml) {
  const auto read = read_cluster_spec(spec_with(yaml));
  EXPECT_FALSE(read.is_ok()) << yaml;
  EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
  return read.status().message();
}

TEST(ClusterSpec, DisksAndEtcdAreEnough) {
  const auto spec = read_cluster_spec(spec_with(""));
  ASSERT_TRUE(spec.is_ok()) << spec.status().to_string();
  EXPECT_EQ(spec->core_servers.per_site, 2u);
  EXPECT_EQ(spec->access_servers.per_site, 2u);
  EXPECT_EQ(spec->topology.label, "topology.kubernetes.io/zone");
  EXPECT_TRUE(spec->csi.enabled);
  EXPECT_EQ(spec->csi.sidecar_images.size(), 5u);
}

TEST(ClusterSpec, EveryFieldIsRead) {
  const auto spec = read_cluster_spec(spec_with(R"(
image: registry.example/shima:2
imagePullPolicy: Always
imagePullSecrets: [{name: of-the-registry}]
trial: true
topology: {sites: [{name: a, matchLabels: {row: a}}], removedSites: [b]}
coreServers:
  perSite: 2
  disks: [{claim: {storageClass: fast, size: 1.5Ti}}, {hostPath: /srv/x}]
  resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: "2", memory: 2Gi}}
  nodeSelector: {storage: "yes"}
  tolerations: [{key: storage, operator: Exists, effect: NoSchedule}]
  options: {shards: "2", limits.lag_budget_bytes: 20GiB}
accessServers: {perSite: 3, options: {nfs.exports: "10.0.0.0/8:rw:no_root_squash,10.1.0.0/16:ro:all_squash"}}
etcd: {endpoints: null, image: "etcd:4", data: {hostPath: /srv/etcd}, witnessSelector: {role: witness}, sites: [b, a]}
csi: {enabled: false, kubeletDirectory: /data/kubelet, sidecarImages: {resizer: "resizer:1"}}
storageClasses: [{name: shima, isDefault: true, reclaimPolicy: Retain, parameters: {ack: all}}]
)"));
  ASSERT_TRUE(spec.is_ok()) << spec.status().to_string();
  EXPECT_EQ(spec->image, "registry.example/shima:2");
  EXPECT_EQ(spec->image_pull_secrets, std::vector<std::string>{"of-the-registry"});
  EXPECT_TRUE(spec->trial);
  EXPECT_EQ(spec->topology.sites.at(0).match_labels.at("row"), "a");
  EXPECT_EQ(spec->core_servers.disks.at(0).size_bytes, 3ull << 39);
  EXPECT_EQ(spec->core_servers.disks.at(1).host_path, "/srv/x");
  EXPECT_EQ(spec->core_servers.resources.cpu_limit, "2");
  EXPECT_EQ(spec->core_servers.tolerations.size(), 1u);
  EXPECT_EQ(spec->etcd.witness_selector.at("role"), "witness");
  EXPECT_EQ(spec->etcd.sites, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(spec->csi.sidecar_images.at("resizer"), "resizer:1");
  EXPECT_EQ(spec->storage_classes.at(0).reclaim_policy, "Retain");
}

// As the API server adds them when definitions are upgraded before the operator.
TEST(ClusterSpec, DefaultsOfANewerDefinitionArePassedOver) {
  const auto read = read_cluster_spec(
      spec_with("x: []\ny: {a: false, b: {c: '', d: 0, e: 0.0, f: null}}\ntopology: {w: [], v: 0}"));
  ASSERT_TRUE(read.is_ok()) << read.status().to_string();
  EXPECT_TRUE(*read == *read_cluster_spec(spec_with("")));
}

TEST(ClusterSpec, UnknownFieldsThatSaySomethingAreRefused) {
  for (const char* yaml : {"x: 0.5", "x: 1", "x: [0.5]", "x: {y: true}"})
    EXPECT_FALSE(read_cluster_spec(spec_with(yaml)).is_ok()) << yaml;
}

struct Wrong {
  const char* what;
  const char* yaml;
  const char* begin;  // of the error
  const char* words;  // in it
};

class WrongSpec : public testing::TestWithParam<Wrong> {};

TEST_P(WrongSpec, IsRefusedWithTheFieldsPath) {
  const std::string error = error_of(GetParam().yaml);
  EXPECT_TRUE(error.starts_with(GetParam().begin)) << error;
  EXPECT_NE(error.find(GetParam().words), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongSpec,
    testing::Values(
        Wrong{"UnknownField", "colour: blue", "spec.colour: ", "known are"},
        Wrong{"UnknownNestedField", "coreServers: {persite: 3}", "spec.coreServers.persite: ", "perSite"},
        Wrong{"UnknownFieldWithin", "colours: {first: [{blue: true}]}", "spec.colours: ", "known are"},
        Wrong{"NotAnObject", "topology: 3", "spec.topology: ", "wanted an object"},
        Wrong{"ImageWithSpace", "image: a b", "spec.image: ", "wanted an image"},
        Wrong{"NoImage", "image: ''", "spec.image: ", "wanted an image"},
        Wrong{"PullPolicy", "imagePullPolicy: Sometimes",
              "spec.imagePullPolicy: ", "Always or IfNotPresent or Never"},
        Wrong{"TrialAsText", "trial: 'yes'", "spec.trial: ", "true or false"},
        Wrong{"OneServer", "coreServers: {perSite: 1}", "spec.coreServers.perSite: ", "from 2 to 64"},
        Wrong{"NoServer", "coreServers: {perSite: 0}", "spec.coreServers.perSite: ", "from 2 to 64"},
        Wrong{"NegativeServers", "coreServers: {perSite: -1}", "spec.coreServers.perSite: ", "from 2 to 64"},
        Wrong{"FractionOfServers", "coreServers: {perSite: 2.5}",
              "spec.coreServers.perSite: ", "from 2 to 64"},
        Wrong{"TooManyServers", "coreServers: {perSite: 65}", "spec.coreServers.perSite: ", "from 2 to 64"},
        Wrong{"EtcdSiteTwice", "etcd: {endpoints: null, data: {hostPath: /e}, sites: [a, a]}",
              "spec.etcd.sites: ", "twice"},
        Wrong{"EtcdSiteNoName", "etcd: {endpoints: null, data: {hostPath: /e}, sites: ['a b']}",
              "spec.etcd.sites: ", "names of sites"},
        Wrong{"EightEtcdSites",
              "etcd: {endpoints: null, data: {hostPath: /e}, sites: [a, b, c, d, e, f, g, h]}",
              "spec.etcd.sites: ", "7"},
        Wrong{"SitesOfAnothersEtcd", "etcd: {endpoints: ['e:1'], sites: [a]}",
              "spec.etcd.sites: ", "no meaning with"},
        Wrong{"NoDisk", "coreServers: {disks: []}", "spec.coreServers.disks: ", "wanted 1 to 16"},
        Wrong{"DisksNoList", "coreServers: {disks: {}}", "spec.coreServers.disks: ", "a list"},
        Wrong{"DiskNowhere", "coreServers: {disks: [{}]}", "spec.coreServers.disks[0]: ", "found neither"},
        Wrong{"DiskTwice", "coreServers: {disks: [{hostPath: /a, claim: {size: 1Ti}}]}",
              "spec.coreServers.disks[0]: ", "found both"},
        Wrong{"RelativePath", "coreServers: {disks: [{hostPath: a}]}",
              "spec.coreServers.disks[0].hostPath: ", "absolute"},
        Wrong{"PathWithDots", "coreServers: {disks: [{hostPath: /a/../b}]}",
              "spec.coreServers.disks[0].hostPath: ", "absolute"},
        Wrong{"RootAsDisk", "coreServers: {disks: [{hostPath: /}]}",
              "spec.coreServers.disks[0].hostPath: ", "not the root"},
        Wrong{"DiskInEtc", "coreServers: {disks: [{hostPath: /etc/shima}]}",
              "spec.coreServers.disks[0].hostPath: ", "of the host's system"},
        Wrong{"PullSecretNoName", "imagePullSecrets: [{name: 'A b'}]",
              "spec.imagePullSecrets[0].name: ", "the name of a Secret"},
        Wrong{"SameDirectory", "coreServers: {disks: [{hostPath: /a}, {hostPath: /a}]}",
              "spec.coreServers.disks: ", "overlap"},
        Wrong{"DirectoryInside", "coreServers: {disks: [{hostPath: /a}, {hostPath: /a/b}]}",
              "spec.coreServers.disks: ", "overlap"},
        Wrong{"EtcdOnADisk", "etcd: {endpoints: null, data: {hostPath: /srv/shima/etcd}}",
              "spec.coreServers.disks: ", "overlap"},
        Wrong{"SmallClaim", "coreServers: {disks: [{claim: {size: 1Mi}}]}",
              "spec.coreServers.disks[0].claim.size: ", "at least 1Gi"},
        Wrong{"NoSize", "coreServers: {disks: [{claim: {}}]}",
              "spec.coreServers.disks[0].claim.size: ", "number of bytes"},
        Wrong{"OddSize", "coreServers: {disks: [{claim: {size: 1.2.3Gi}}]}",
              "spec.coreServers.disks[0].claim.size: ", "as in 100Gi"},
        Wrong{"HugeSize", "coreServers: {disks: [{claim: {size: '1e99'}}]}",
              "spec.coreServers.disks[0].claim.size: ", "as in 100Gi"},
        Wrong{"OddClass", "coreServers: {disks: [{claim: {storageClass: A_B, size: 1Ti}}]}",
              "spec.coreServers.disks[0].claim.storageClass: ", "StorageClass"},
        Wrong{"OddRequest", "coreServers: {resources: {requests: {cpu: lots}}}",
              "spec.coreServers.resources.requests.cpu: ", "quantity"},
        Wrong{"UnknownResource", "coreServers: {resources: {requests: {disk: '1'}}}",
              "spec.coreServers.resources.requests.disk: ", "known are"},
        Wrong{"OddSelector", "coreServers: {nodeSelector: {'a b': c}}",
              "spec.coreServers.nodeSelector: ", "a label's key"},
        Wrong{"OddSelectorValue", "coreServers: {nodeSelector: {a: 'b c'}}",
              "spec.coreServers.nodeSelector.a: ", "a label's value"},
        Wrong{"TolerationOfNothing", "coreServers: {tolerations: [{effect: NoSchedule}]}",
              "spec.coreServers.tolerations[0].key: ", "Exists"},
        Wrong{"OddEffect", "coreServers: {tolerations: [{key: a, effect: Never}]}",
              "spec.coreServers.tolerations[0].effect: ", "NoSchedule"},
        Wrong{"NumberAsOption", "coreServers: {options: {shards: 2}}",
              "spec.coreServers.options.shards: ", "numbers in quotes"},
        Wrong{"UnknownOption", "coreServers: {options: {shard: '2'}}",
              "spec.coreServers.options.shard: ", "shards"},
        Wrong{"OptionOutOfBounds", "coreServers: {options: {shards: '1000'}}",
              "spec.coreServers.options.shards: ", "256"},
        Wrong{"OptionsThatDisagree",
              "coreServers: {options: {journal.segment_bytes: 4GiB, journal.max_bytes: 4GiB}}",
              "spec.coreServers.options: ", "four times"},
        Wrong{"OwnOption", "coreServers: {options: {control_port: '1'}}",
              "spec.coreServers.options.control_port: ", "set by the operator"},
        Wrong{"OwnNetwork", "coreServers: {options: {networks.wan.advertise: x}}",
              "spec.coreServers.options.networks.wan.advertise: ", "set by the operator"},
        Wrong{"LosingDisk", "coreServers: {options: {test.disk_layer: losing}}",
              "spec.coreServers.options.test.disk_layer: ", "set by the operator"},
        Wrong{"MountAsOption", "accessServers: {options: {mount: /mnt}}",
              "spec.accessServers.options.mount: ", "set by the operator"},
        Wrong{"OddExports", "accessServers: {options: {nfs.exports: all}}",
              "spec.accessServers.options: ", "nfs.exports"},
        Wrong{"NoEtcd", "etcd: {endpoints: []}", "spec.etcd.data: ", "wanted where an own etcd"},
        Wrong{"TwoEtcds", "etcd: {data: {hostPath: /e}}", "spec.etcd.data: ", "endpoints"},
        Wrong{"EndpointWithScheme", "etcd: {endpoints: ['http://a:1']}",
              "spec.etcd.endpoints: ", "HOST:PORT"},
        Wrong{"EndpointWithoutPort", "etcd: {endpoints: [a]}", "spec.etcd.endpoints: ", "HOST:PORT"},
        Wrong{"EndpointTwice", "etcd: {endpoints: ['a:1', 'a:1']}", "spec.etcd.endpoints: ", "twice"},
        Wrong{"OddLabel", "topology: {label: 'a b'}", "spec.topology.label: ", "a label's key"},
        Wrong{"SiteInCapitals", "topology: {sites: [{name: A, matchLabels: {a: b}}]}",
              "spec.topology.sites[0].name: ", "a site's name"},
        Wrong{"SiteOfAllNodes", "topology: {sites: [{name: a}]}",
              "spec.topology.sites[0].matchLabels: ", "every node would fit"},
        Wrong{"SiteTwice",
              "topology: {sites: [{name: a, matchLabels: {x: y}}, {name: a, matchLabels: {x: z}}]}",
              "spec.topology.sites: ", "twice"},
        Wrong{"RemovedAndThere", "topology: {sites: [{name: a, matchLabels: {x: y}}], removedSites: [a]}",
              "spec.topology.removedSites: ", "one of the two"},
        Wrong{"OddRemoved", "topology: {removedSites: ['a/b']}",
              "spec.topology.removedSites: ", "a site's name"},
        Wrong{"OddKubelet", "csi: {kubeletDirectory: /var/../x}", "spec.csi.kubeletDirectory: ", "absolute"},
        Wrong{"UnknownSidecar", "csi: {sidecarImages: {snapshotter: a}}",
              "spec.csi.sidecarImages.snapshotter: ", "known are"},
        Wrong{"OddClassName", "storageClasses: [{name: A}]", "spec.storageClasses[0].name: ", "StorageClass"},
        Wrong{"ClassTwice", "storageClasses: [{name: a}, {name: a}]", "spec.storageClasses: ", "twice"},
        Wrong{"TwoDefaults", "storageClasses: [{name: a, isDefault: true}, {name: b, isDefault: true}]",
              "spec.storageClasses: ", "at most one"},
        Wrong{"OddReclaim", "storageClasses: [{name: a, reclaimPolicy: Recycle}]",
              "spec.storageClasses[0].reclaimPolicy: ", "Delete or Retain"},
        Wrong{"UnknownParameter", "storageClasses: [{name: a, parameters: {colour: blue}}]",
              "spec.storageClasses[0].parameters: ", "known are"},
        Wrong{"OddParameter", "storageClasses: [{name: a, parameters: {ack: some}}]",
              "spec.storageClasses[0].parameters: ", "local or all"}),
    [](const auto& test) { return test.param.what; });

TEST(ClusterSpec, WhatIsNoObjectAtAllIsRefused) {
  for (const Json& spec : {Json(nullptr), Json(3), Json::array(), Json("text")})
    EXPECT_FALSE(read_cluster_spec(spec).is_ok()) << spec.dump();
}

TEST(ClusterSpec, LongValuesAreShortenedInErrors) {
  const auto read = read_cluster_spec(spec_with("imagePullPolicy: " + std::string(5000, 'x')));
  EXPECT_LT(read.status().message().size(), 300u);
}

}  // namespace
}  // namespace shima
