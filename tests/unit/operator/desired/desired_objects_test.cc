#include "operator/desired/desired_objects.h"

#include <gtest/gtest.h>

#include <set>

#include "accessserver/options/access_options.h"
#include "coreserver/options/server_options.h"
#include "csi/options/csi_options.h"
#include "operator/desired/object_labels.h"
#include "tests/unit/operator/desired/sample_cluster.h"

namespace shima {
namespace {

using Json = nlohmann::json;

// As Kubernetes starts a container: $(NAME) is its environment's value, $$ a dollar.
std::vector<std::string> started_with(const Json& container) {
  const std::map<std::string, std::string> environment = {{"POD_NAME", "shima-core-a-1"},
                                                          {"POD_INDEX", "1"},
                                                          {"POD_IP", "10.0.0.7"},
                                                          {"NODE_NAME", "a-2"},
                                                          {"HOST_IP", "10.0.0.8"}};
  std::vector<std::string> arguments;
  for (const Json& argument : container.at("args")) {
    std::string text = argument;
    for (const auto& [name, value] : environment)
      for (size_t at; (at = text.find("$(" + name + ")")) != std::string::npos;)
        text.replace(at, name.size() + 3, value);
    EXPECT_EQ(text.find("$("), std::string::npos) << text;
    arguments.push_back(text);
  }
  return arguments;
}

template <typename Options>
Result<Options> options_of(const Json& container, const std::vector<OptionSpec>& specs,
                           const std::string& yaml, Result<Options> (*from)(const Config&)) {
  std::vector<std::string> flags = started_with(container);
  std::erase_if(flags, [](const std::string& flag) { return flag.starts_with("--config="); });
  const auto config = parse_config(specs, yaml, "server.yaml", flags);
  if (!config) return config.status();
  return from(*config);
}

TEST(DesiredObjects, AreTheSameForTheSameInputs) {
  const SampleCluster sample({"a", "b", "c"});
  EXPECT_EQ(sample.desired().objects, sample.desired().objects);
  SampleCluster shuffled = sample;
  std::reverse(shuffled.nodes.begin(), shuffled.nodes.end());
  EXPECT_EQ(sample.desired().objects, shuffled.desired().objects) << "the order of nodes says nothing";
}

TEST(DesiredObjects, EachIsThereOnce) {
  SampleCluster sample({"a", "b", "c"});
  sample.spec.core_servers.disks = {{.host_path = "/srv/0"}, {.host_path = "/srv/1"}};
  std::set<std::string> seen;
  for (const Json& object : sample.desired().objects)
    EXPECT_TRUE(
        seen.insert(object["kind"].get<std::string>() + "/" + object["metadata"]["name"].get<std::string>())
            .second)
        << object["kind"] << object["metadata"]["name"];
}

TEST(DesiredObjects, BearWhoseTheyAre) {
  SampleCluster sample({"a"});
  sample.spec.core_servers.disks = {{.host_path = "/srv/0"}};
  const std::set<std::string> cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CSIDriver",
                                              "StorageClass", "PersistentVolume"};
  for (const Json& object : sample.desired().objects) {
    const Json& meta = object["metadata"];
    EXPECT_EQ(meta["labels"][kClusterLabel], "shima") << object;
    EXPECT_EQ(meta["labels"][kClusterNamespaceLabel], "storage") << object;
    EXPECT_EQ(meta["labels"][kManagedByLabel], "shima-operator") << object;
    const bool has_namespace = !cluster_wide.contains(object["kind"]);
    EXPECT_EQ(meta.contains("namespace"), has_namespace) << object;
    const std::string kind = object["kind"];
    const bool is_owned = kind == "ServiceMonitor" || kind == "PrometheusRule";  // no volume lives by these
    EXPECT_EQ(meta.contains("ownerReferences"), is_owned)
        << "a foreground deletion takes what is owned before any finalizer is asked: " << object;
    if (is_owned) {
      EXPECT_EQ(meta["ownerReferences"][0]["uid"], "uid-1");
    }
  }
}

TEST(DesiredObjects, WithoutASiteAreOnlyAccounts) {
  const DesiredCluster desired = SampleCluster({}).desired();
  EXPECT_TRUE(names_of(desired, "StatefulSet").empty());
  EXPECT_TRUE(names_of(desired, "DaemonSet").empty());
  EXPECT_TRUE(names_of(desired, "Deployment").empty());
}

TEST(DesiredObjects, WithoutEtcdHaveNoServers) {
  const DesiredCluster desired = SampleCluster({"a", "b"}).desired();  // no place for a witness
  EXPECT_TRUE(names_of(desired, "StatefulSet").empty());
  EXPECT_FALSE(desired.refused.empty());
}

TEST(CoreServerObjects, GiveTheServerOptionsThatItTakes) {
  SampleCluster sample({"a", "b", "c"});
  sample.spec.core_servers.options = {{"shards", "2"}, {"limits.lag_budget_bytes", "20GiB"}};
  sample.spec.core_servers.disks = {{.size_bytes = 1ull << 40}, {.size_bytes = 1ull << 40}};
  const DesiredCluster desired = sample.desired();
  const Json container = pod_of(object_of(desired, "StatefulSet", "shima-core-a"))["containers"][0];
  const std::string yaml = object_of(desired, "ConfigMap", "shima-core-a")["data"]["server.yaml"];
  const auto options = options_of<ServerOptions>(container, server_option_specs(), yaml, server_options_from);
  ASSERT_TRUE(options.is_ok()) << options.status().to_string();
  EXPECT_EQ(options->name, "a/core-1");
  EXPECT_EQ(options->failure_domain, "a-2");
  EXPECT_EQ(options->client.address, "10.0.0.7");
  const std::string advertised = "shima-core-a-1.shima-core-a.storage.svc";
  EXPECT_EQ(options->client.advertise, advertised);
  EXPECT_EQ(options->storage.advertise, advertised);
  EXPECT_EQ(options->wan.advertise, advertised);
  EXPECT_EQ(options->client.port, 7001);
  EXPECT_EQ(options->storage.port, 7002);
  EXPECT_EQ(options->wan.port, 7003);
  EXPECT_EQ(options->control_port, 7000);
  EXPECT_EQ(options->disks.size(), 2u);
  EXPECT_EQ(options->shards, 2u);
  EXPECT_EQ(options->lag_budget_bytes, 20ull << 30);
  EXPECT_EQ(options->etcd_endpoints.size(), 3u);
  EXPECT_EQ(options->site_labels.at("topology.kubernetes.io/zone"), "a");
}

TEST(CoreServerObjects, KeepServersOnHostsOfTheirOwn) {
  SampleCluster sample({"a"});
  const Json affinity =
      pod_of(object_of(sample.desired(), "StatefulSet", "shima-core-a"))["affinity"]["podAntiAffinity"];
  const Json term = affinity["requiredDuringSchedulingIgnoredDuringExecution"][0];
  EXPECT_EQ(term["topologyKey"], "kubernetes.io/hostname");
  EXPECT_FALSE(term["labelSelector"]["matchLabels"].contains(kSiteLabel))
      << "a node whose site changed must not get a second server";
  sample.spec.trial = true;
  const DesiredCluster trial = sample.desired();
  const Json pod = pod_of(object_of(trial, "StatefulSet", "shima-core-a"));
  EXPECT_TRUE(pod["affinity"]["podAntiAffinity"].contains("preferredDuringSchedulingIgnoredDuringExecution"));
  EXPECT_TRUE(has_argument(pod["containers"][0], "--failure_domain=$(POD_NAME)"))
      << "or two servers of a host would not do for a volume";
}

TEST(CoreServerObjects, AreInTheirSiteAndWhereTheyAreTold) {
  SampleCluster sample({"a"});
  sample.spec.core_servers.node_selector = {{"disk", "fast"}};
  sample.spec.core_servers.tolerations = Json::array({{{"key", "storage"}, {"operator", "Exists"}}});
  for (NodeView& node : sample.nodes) node.labels["disk"] = "fast";
  const Json pod = pod_of(object_of(sample.desired(), "StatefulSet", "shima-core-a"));
  EXPECT_EQ(pod["nodeSelector"], Json::parse(R"({"topology.shima.io/site":"a","disk":"fast"})"));
  EXPECT_EQ(pod["tolerations"].size(), 1u);
}

TEST(Accounts, HaveTheSecretsThatImagesArePulledWith) {
  for (const bool given : {false, true}) {
    SampleCluster sample({"a"});
    if (given) sample.spec.image_pull_secrets = {"one", "two"};
    size_t accounts = 0;
    for (const Json& object : sample.desired().objects) {
      if (object["kind"] != "ServiceAccount") continue;
      ++accounts;
      EXPECT_EQ(object.value("imagePullSecrets", Json()),
                given ? Json::parse(R"([{"name":"one"},{"name":"two"}])") : Json())
          << object["metadata"]["name"] << ": without secrets, what others set stays";
    }
    EXPECT_EQ(accounts, 3u);
  }
}

TEST(CoreServerObjects, HaveNoRightsTheyDoNotNeed) {
  for (const bool on_host : {false, true}) {
    SampleCluster sample({"a"});
    if (on_host) sample.spec.core_servers.disks = {{.host_path = "/srv/0"}};
    const Json pod = pod_of(object_of(sample.desired(), "StatefulSet", "shima-core-a"));
    EXPECT_EQ(pod["automountServiceAccountToken"], false);
    EXPECT_EQ(pod["securityContext"]["runAsNonRoot"], true);
    EXPECT_EQ(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    EXPECT_EQ(pod["containers"][0]["securityContext"]["capabilities"]["drop"], Json::array({"ALL"}));
    EXPECT_EQ(pod.contains("initContainers"), on_host);
    if (on_host) {
      EXPECT_EQ(pod["initContainers"][0]["command"], Json::array({"chown", "10700:10700", "/disks/0"}));
    }
  }
}

TEST(CoreServerObjects, AreRestartedByTheOperatorAlone) {
  const DesiredCluster desired = SampleCluster({"a"}).desired();
  EXPECT_EQ(object_of(desired, "StatefulSet", "shima-core-a")["spec"]["updateStrategy"]["type"], "OnDelete");
  EXPECT_EQ(object_of(desired, "StatefulSet", "shima-etcd-a")["spec"]["updateStrategy"]["type"], "OnDelete");
}

TEST(CoreServerObjects, AChangedConfigurationIsANewVersion) {
  SampleCluster sample({"a"});
  const auto version = [&] {
    return object_of(sample.desired(), "StatefulSet",
                     "shima-core-a")["spec"]["template"]["metadata"]["annotations"]["shima.io/configuration"]
        .get<std::string>();
  };
  const std::string before = version();
  sample.spec.core_servers.per_site = 3;
  EXPECT_EQ(version(), before) << "one more server restarts nobody";
  sample.spec.core_servers.disks.push_back({.size_bytes = 1ull << 40});
  EXPECT_NE(version(), before);
}

TEST(CoreServerObjects, DollarsOfOptionsAreNotExpanded) {
  SampleCluster sample({"a"});
  sample.spec.core_servers.options = {{"log_level", "$(HOME)"}};
  EXPECT_TRUE(
      has_argument(pod_of(object_of(sample.desired(), "StatefulSet", "shima-core-a"))["containers"][0],
                   "--log_level=$$(HOME)"));
}

TEST(HostDirectories, AreVolumesThatStayOnTheirNode) {
  SampleCluster sample({"a"});
  sample.spec.core_servers.disks = {{.host_path = "/srv/0"}, {.host_path = "/srv/1"}};
  const DesiredCluster desired = sample.desired();
  EXPECT_EQ(names_of(desired, "PersistentVolume"),
            (std::vector<std::string>{"shima-storage-core-0-a-1", "shima-storage-core-0-a-2",
                                      "shima-storage-core-1-a-1", "shima-storage-core-1-a-2"}));
  const Json volume = object_of(desired, "PersistentVolume", "shima-storage-core-1-a-2");
  EXPECT_EQ(volume["spec"]["hostPath"]["path"], "/srv/1");
  EXPECT_EQ(
      volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"],
      Json::array({"a-2"}));
  EXPECT_EQ(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
  EXPECT_EQ(volume["metadata"]["labels"][kKeepLabel], "data");
  const Json claim = object_of(desired, "StatefulSet", "shima-core-a")["spec"]["volumeClaimTemplates"][1];
  for (const auto& [key, value] : claim["spec"]["selector"]["matchLabels"].items())
    EXPECT_EQ(volume["metadata"]["labels"][key], value) << key;
  EXPECT_EQ(claim["spec"]["storageClassName"], volume["spec"]["storageClassName"]);
  EXPECT_EQ(object_of(desired, "StorageClass", "shima-host-directories-storage")["volumeBindingMode"],
            "WaitForFirstConsumer");
}

TEST(HostDirectories, OfATrialHaveRoomForAllServersOnOneNode) {
  SampleCluster sample({});
  sample.add_node("only", "home");
  sample.spec.trial = true;
  sample.spec.core_servers.disks = {{.host_path = "/srv/0"}};
  std::set<std::string> paths;
  for (const Json& object : sample.desired().objects)
    if (object["kind"] == "PersistentVolume") paths.insert(object["spec"]["hostPath"]["path"]);
  EXPECT_EQ(paths, (std::set<std::string>{"/srv/0/0", "/srv/0/1"}));
}

TEST(HostDirectories, AreOnlyOnNodesThatServersMayUse) {
  SampleCluster sample({"a"});
  sample.spec.core_servers.disks = {{.host_path = "/srv/0"}};
  sample.spec.core_servers.node_selector = {{"disk", "fast"}};
  sample.nodes[0].labels["disk"] = "fast";
  EXPECT_EQ(names_of(sample.desired(), "PersistentVolume"),
            std::vector<std::string>{"shima-storage-core-0-a-1"});
}

TEST(HostDirectories, AreNotMadeForClaims) {
  const DesiredCluster desired = SampleCluster({"a"}).desired();
  EXPECT_TRUE(names_of(desired, "PersistentVolume").empty());
  EXPECT_EQ(names_of(desired, "StorageClass"), std::vector<std::string>{"shima"});
}

TEST(AccessServerObjects, GiveTheServerOptionsThatItTakes) {
  SampleCluster sample({"a", "b", "c"});
  sample.spec.access_servers.options = {
      {"nfs.exports", "10.0.0.0/8:rw:no_root_squash,10.1.0.0/16:ro:all_squash"}};
  const DesiredCluster desired = sample.desired();
  const Json container = pod_of(object_of(desired, "StatefulSet", "shima-access-b"))["containers"][0];
  const auto options = options_of<AccessOptions>(container, access_option_specs(), "", access_options_from);
  ASSERT_TRUE(options.is_ok()) << options.status().to_string();
  EXPECT_EQ(options->name, "b/access-1");
  EXPECT_EQ(options->core_endpoints.front(), "shima-core-b-0.shima-core-b.storage.svc:7000");
  EXPECT_EQ(options->etcd_endpoints.size(), 3u);
  EXPECT_EQ(options->export_rules.size(), 2u);
  EXPECT_EQ(options->nfs_port, 2049);
  EXPECT_EQ(object_of(desired, "Service", "shima-access-b")["spec"]["ports"][0]["port"], 2049);
}

TEST(AccessServerObjects, AreNotMadeIfNoneAreWanted) {
  SampleCluster sample({"a"});
  sample.spec.access_servers.per_site = 0;
  const DesiredCluster desired = sample.desired();
  EXPECT_TRUE(find_object(desired, "StatefulSet", "shima-access-a").is_null());
  EXPECT_TRUE(find_object(desired, "PodDisruptionBudget", "shima-access-a").is_null());
  const auto options =
      options_of<CsiOptions>(pod_of(object_of(desired, "DaemonSet", "shima-csi-node-a"))["containers"][0],
                             csi_option_specs(), "", csi_options_from);
  ASSERT_TRUE(options.is_ok()) << options.status().to_string();
  EXPECT_TRUE(options->nfs_server.empty());
}

TEST(EtcdObjects, KnowEachOtherByTheSameNamesForEver) {
  SampleCluster sample({"a", "b", "c"});
  const auto initial = [&](const std::string& site) {
    const Json set = object_of(sample.desired(), "StatefulSet", "shima-etcd-" + site);
    for (const Json& argument : pod_of(set)["containers"][0]["args"])
      if (argument.get<std::string>().starts_with("--initial-cluster=")) return argument.get<std::string>();
    return std::string();
  };
  const std::string first = initial("a");
  EXPECT_NE(first.find("shima-etcd-b-0=http://shima-etcd-b-0.shima-etcd-b.storage.svc:2380"),
            std::string::npos)
      << first;
  EXPECT_EQ(initial("c"), first);
  sample.observed.etcd_members_of_site = {{"a", 1}, {"b", 1}, {"c", 1}};
  sample.add_node("d-1", "d");
  EXPECT_EQ(initial("b"), first) << "a new site changes nothing";
}

// All members say the same of an alarm, and all would be restarted again and again.
TEST(EtcdObjects, NoAlarmRestartsMembers) {
  const Json set = object_of(SampleCluster({"a"}).desired(), "StatefulSet", "shima-etcd-a");
  const Json& etcd = set["spec"]["template"]["spec"]["containers"][0];
  for (const char* probe : {"startupProbe", "livenessProbe"})
    EXPECT_EQ(etcd[probe]["httpGet"]["path"], "/health?serializable=true&exclude=NOSPACE&exclude=CORRUPT");
  EXPECT_EQ(etcd["readinessProbe"]["httpGet"]["path"], "/health") << "it is to be seen";
}

TEST(EtcdObjects, TheWitnessIsInNeitherSite) {
  SampleCluster sample({"a", "b"});
  sample.nodes.push_back(sample_node("far", {{"role", "witness"}}));
  sample.spec.etcd.witness_selector = {{"role", "witness"}};
  const Json set = object_of(sample.desired(), "StatefulSet", "shima-witness");
  EXPECT_EQ(pod_of(set)["nodeSelector"], Json::parse(R"({"role":"witness"})"));
  const Json rule = pod_of(set)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                               ["nodeSelectorTerms"][0]["matchExpressions"][0];
  EXPECT_EQ(rule["operator"], "NotIn");
  EXPECT_EQ(rule["values"], Json::array({"a", "b"}));
  EXPECT_NE(set["spec"]["selector"],
            object_of(sample.desired(), "StatefulSet", "shima-etcd-a")["spec"]["selector"]);
}

TEST(Policies, NoCoreServerMayBeEvictedButOneOfTheSiteThatIsDrained) {
  SampleCluster sample({"a", "b", "c"});
  const auto budget = [&](const std::string& site) {
    const Json object = object_of(sample.desired(), "PodDisruptionBudget", "shima-core-" + site);
    EXPECT_EQ(object["spec"]["selector"]["matchLabels"][kSiteLabel], site);
    EXPECT_EQ(object["spec"]["selector"]["matchLabels"][kComponentLabel], kCoreComponent);
    return object["spec"]["maxUnavailable"].get<int>();
  };
  for (const char* site : {"a", "b", "c"}) EXPECT_EQ(budget(site), 0);
  sample.observed.draining_site = "b";
  EXPECT_EQ(budget("a"), 0);
  EXPECT_EQ(budget("b"), 1);
  EXPECT_EQ(budget("c"), 0);
}

TEST(Policies, AMemberOfARemovedSiteDoesNotUseEtcdsBudgetUpWhereAMajorityStays) {
  const auto budget = [](std::vector<std::string> sites, const std::vector<std::string>& removed) {
    SampleCluster sample(sites);
    for (const std::string& site : sites) sample.observed.etcd_members_of_site[site] = 1;
    std::erase_if(sample.nodes, [&](const NodeView& node) {
      return std::find(removed.begin(), removed.end(), node.name.substr(0, 1)) != removed.end();
    });
    sample.spec.topology.removed_sites = removed;
    return object_of(sample.desired(), "PodDisruptionBudget", "shima-etcd")["spec"]["maxUnavailable"]
        .get<int>();
  };
  EXPECT_EQ(budget({"a", "b", "c", "d", "e"}, {}), 1);
  EXPECT_EQ(budget({"a", "b", "c", "d", "e"}, {"e"}), 2);
  EXPECT_EQ(budget({"a", "b", "c", "d", "e"}, {"d", "e"}), 2) << "three of five stay";
  EXPECT_EQ(budget({"a", "b", "c"}, {"c"}), 1);
  EXPECT_EQ(budget({"a"}, {}), 1) << "a trial's one may go";
}

TEST(HostDirectories, TellAutoscalersToLeaveTheirNodesAlone) {
  SampleCluster sample({"a"});
  const auto annotations = [&](const char* name) {
    return object_of(sample.desired(), "StatefulSet", name)["spec"]["template"]["metadata"].value(
        "annotations", Json::object());
  };
  const auto is_kept = [](const Json& found) {
    return found.value("cluster-autoscaler.kubernetes.io/safe-to-evict", "") == "false" &&
           found.value("karpenter.sh/do-not-disrupt", "") == "true";
  };
  EXPECT_EQ(annotations("shima-core-a").size(), 1u) << "a claim may outlive its node";
  EXPECT_TRUE(annotations("shima-etcd-a").empty());
  sample.spec.core_servers.disks.push_back({.host_path = "/srv/shima"});
  sample.spec.etcd.data = {.host_path = "/srv/etcd"};
  EXPECT_TRUE(is_kept(annotations("shima-core-a"))) << annotations("shima-core-a");
  EXPECT_TRUE(annotations("shima-core-a").contains("shima.io/configuration"));
  EXPECT_TRUE(is_kept(annotations("shima-etcd-a"))) << annotations("shima-etcd-a");
}

TEST(EtcdMembers, RunTheGuardOfTheOperatorsOwnImage) {
  SampleCluster sample({"a"});
  sample.spec.etcd.data = {.host_path = "/srv/etcd"};
  sample.spec.image = "shima/shima:older";
  const auto images = [&] {
    std::set<std::string> found;
    const Json set = object_of(sample.desired(), "StatefulSet", "shima-etcd-a");
    for (const Json& each : pod_of(set)["initContainers"]) found.insert(each["image"]);
    return found;
  };
  EXPECT_EQ(images(), std::set<std::string>{"shima/shima:older"}) << "nobody told it its own";
  sample.observed.operator_image = "shima/shima:newer";
  EXPECT_EQ(images(), std::set<std::string>{"shima/shima:newer"});
  const Json before = object_of(sample.desired(), "StatefulSet", "shima-etcd-a");
  sample.spec.image = "shima/shima:oldest";
  EXPECT_EQ(object_of(sample.desired(), "StatefulSet", "shima-etcd-a"), before)
      << "members do not restart for it";
}

TEST(Policies, OnlyServersReachEtcdAndTheServersPorts) {
  const DesiredCluster desired = SampleCluster({"a"}).desired();
  const Json etcd = object_of(desired, "NetworkPolicy", "shima-etcd");
  ASSERT_GE(etcd["spec"]["ingress"].size(), 2u);
  for (const Json& rule : etcd["spec"]["ingress"])
    for (const Json& port : rule["ports"]) EXPECT_EQ(rule.contains("from"), port["port"] != 2381) << rule;
  const Json core = object_of(desired, "NetworkPolicy", "shima-core");
  ASSERT_GE(core["spec"]["ingress"].size(), 2u);
  for (const Json& rule : core["spec"]["ingress"])
    for (const Json& port : rule["ports"])
      EXPECT_EQ(rule.contains("from"), port["port"] == 7002 || port["port"] == 7003) << rule;
}

TEST(Policies, OfAllPodsThatCallThemselvesOperatorsOnlyTheOwnNamespacesReachEtcd) {
  SampleCluster sample({"a"});
  const auto name_space_let_in = [&] {
    const Json policy = object_of(sample.desired(), "NetworkPolicy", "shima-etcd");
    for (const Json& rule : policy["spec"]["ingress"])
      for (const Json& peer : rule.contains("from") ? rule["from"] : Json::array())
        if (peer.contains("namespaceSelector")) return peer["namespaceSelector"];
    return Json();
  };
  const char* label = "kubernetes.io/metadata.name";
  EXPECT_EQ(name_space_let_in(), (Json{{"matchLabels", {{label, "storage"}}}})) << "the cluster's own";
  sample.observed.operator_namespace = "operators";
  EXPECT_EQ(name_space_let_in(), (Json{{"matchLabels", {{label, "operators"}}}}));
}

TEST(StorageClasses, AreMadeAsAsked) {
  SampleCluster sample({"a"});
  sample.spec.storage_classes[0].is_default = true;
  const Json object = object_of(sample.desired(), "StorageClass", "shima");
  EXPECT_EQ(object["parameters"], Json::parse(R"({"ack":"all"})"));
  EXPECT_EQ(object["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"], "true");
}

TEST(Csi, IsLeftOutIfItIsNotWanted) {
  SampleCluster sample({"a"});
  sample.spec.csi.enabled = false;
  const DesiredCluster desired = sample.desired();
  for (const char* kind : {"CSIDriver", "DaemonSet", "Deployment", "ClusterRole", "StorageClass"})
    EXPECT_TRUE(names_of(desired, kind).empty()) << kind;
}

TEST(Csi, NodesAreToldTheirSite) {
  const SampleCluster sample({"a", "b", "c"});
  const Json set = object_of(sample.desired(), "DaemonSet", "shima-csi-node-b");
  EXPECT_EQ(pod_of(set)["nodeSelector"], Json::parse(R"({"topology.shima.io/site":"b"})"));
  const auto options =
      options_of<CsiOptions>(pod_of(set)["containers"][0], csi_option_specs(), "", csi_options_from);
  ASSERT_TRUE(options.is_ok()) << options.status().to_string();
  EXPECT_EQ(options->site, "b");
  EXPECT_EQ(options->core_endpoints.front(), "shima-core-b-0.shima-core-b.storage.svc:7000");
  EXPECT_EQ(options->nfs_server, "shima-access-b.storage.svc:2049");
}

TEST(Csi, NodesPodsAreRootThoughTheImageIsNot) {
  const DesiredCluster desired = SampleCluster({"a"}).desired();
  for (const char* name : {"shima-csi-node-a", "shima-csi-mounter-a"}) {
    const Json security = pod_of(object_of(desired, "DaemonSet", name))["containers"][0]["securityContext"];
    EXPECT_EQ(security["privileged"], true) << name;
    EXPECT_EQ(security["runAsUser"], 0) << name;
  }
}

TEST(Csi, ItsControllerHasNothingToGain) {
  const Json pod = pod_of(object_of(SampleCluster({"a"}).desired(), "Deployment", "shima-csi-controller"));
  EXPECT_EQ(pod["securityContext"]["runAsNonRoot"], true);
  for (const Json& container : pod["containers"])
    EXPECT_EQ(container["securityContext"]["readOnlyRootFilesystem"], true) << container["name"];
}

TEST(Csi, TheLabelOfListedSitesIsItsTopology) {
  SampleCluster sample({});
  sample.spec.topology.sites = {{"x", {{"row", "x"}}}};
  sample.nodes = {sample_node("n", {{"row", "x"}})};
  const DesiredCluster desired = sample.desired();
  EXPECT_TRUE(has_argument(pod_of(object_of(desired, "DaemonSet", "shima-csi-node-x"))["containers"][0],
                           "--topology-key=topology.shima.io/site"));
  EXPECT_TRUE(has_argument(pod_of(object_of(desired, "Deployment", "shima-csi-controller"))["containers"][0],
                           "--topology-key=topology.shima.io/site"));
  EXPECT_EQ(desired.node_patches.size(), 1u);
}

TEST(Monitoring, IsMadeOnlyWhereItsKindsAreKnown) {
  SampleCluster sample({"a"});
  EXPECT_TRUE(names_of(sample.desired(), "ServiceMonitor").empty());
  sample.observed.api_kinds = {"monitoring.coreos.com/v1/ServiceMonitor"};
  EXPECT_EQ(names_of(sample.desired(), "ServiceMonitor").size(), 1u);
  EXPECT_TRUE(names_of(sample.desired(), "PrometheusRule").empty());
}

}  // namespace
}  // namespace shima
