// The manifests in charts/csi against the program: what they tell shima-csi is what it understands.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <map>

#include "csi/controller/class_parameters.h"
#include "csi/options/csi_options.h"

namespace shima {
namespace {

struct Object {
  std::string file;
  YAML::Node node;
  std::string kind() const { return node["kind"].as<std::string>(""); }
};

std::vector<Object> all_objects() {
  std::vector<Object> objects;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SHIMA_MANIFESTS)) {
    if (entry.path().extension() != ".yaml") continue;
    for (const YAML::Node& node : YAML::LoadAllFromFile(entry.path()))
      objects.push_back({entry.path().filename(), node});
  }
  return objects;
}

std::vector<Object> objects_of(const std::string& kind) {
  std::vector<Object> found;
  for (Object& object : all_objects()) {
    if (object.kind() == kind) found.push_back(std::move(object));
  }
  return found;
}

// As Kubernetes would start it: $(NAME) is replaced by the environment's value.
std::string expanded(std::string argument) {
  const std::map<std::string, std::string> environment = {
      {"$(SHIMA_CORE)", "core-0:7000,core-1:7000"}, {"$(NODE_NAME)", "worker-1"}, {"$(HOST_IP)", "10.0.0.7"}};
  for (const auto& [name, value] : environment) {
    if (const size_t at = argument.find(name); at != std::string::npos)
      argument.replace(at, name.size(), value);
  }
  return argument;
}

Result<CsiOptions> options_of(const YAML::Node& container) {
  std::vector<std::string> arguments = {"shima-csi"};
  for (const YAML::Node& argument : container["args"])
    arguments.push_back(expanded(argument.as<std::string>()));
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  auto line = load_command_line(csi_option_specs(), static_cast<int>(argv.size()), argv.data());
  if (!line) return line.status();
  return csi_options_from(line->config);
}

// Name of the workload -> what its shima-csi is told.
std::map<std::string, CsiOptions> programs() {
  std::map<std::string, CsiOptions> found;
  for (const char* kind : {"Deployment", "DaemonSet"}) {
    for (const Object& object : objects_of(kind)) {
      for (const YAML::Node& container : object.node["spec"]["template"]["spec"]["containers"]) {
        if (container["name"].as<std::string>() != "shima-csi") continue;
        auto options = options_of(container);
        EXPECT_TRUE(options.is_ok()) << object.file << ": " << options.status().to_string();
        if (options) found[object.node["metadata"]["name"].as<std::string>()] = *options;
      }
    }
  }
  return found;
}

TEST(CsiManifests, TellShimaCsiWhatItUnderstands) {
  const auto found = programs();
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found.at("shima-csi-controller").controller);
  EXPECT_TRUE(found.at("shima-csi-node").node);
  EXPECT_TRUE(found.at("shima-csi-mounter").mounter);
}

TEST(CsiManifests, AgreeWithEachOther) {
  const auto found = programs();
  const CsiOptions& node = found.at("shima-csi-node");
  const CsiOptions& mounter = found.at("shima-csi-mounter");
  const CsiOptions& controller = found.at("shima-csi-controller");
  EXPECT_EQ(node.mounter_socket_path, mounter.socket_path);
  EXPECT_EQ(node.publish_root, mounter.publish_root);
  EXPECT_EQ(node.state_dir, mounter.state_dir);
  EXPECT_EQ(node.topology_key, controller.topology_key);
  EXPECT_EQ(node.topology_key, mounter.topology_key);
  for (const Object& driver : objects_of("CSIDriver"))
    EXPECT_EQ(driver.node["metadata"]["name"].as<std::string>(), controller.driver_name);
}

TEST(CsiManifests, StorageClassesHaveParametersThatTheDriverKnows) {
  const auto classes = objects_of("StorageClass");
  ASSERT_GE(classes.size(), 2u);
  for (const Object& object : classes) {
    EXPECT_EQ(object.node["provisioner"].as<std::string>(), CsiOptions().driver_name);
    google::protobuf::Map<std::string, std::string> given;
    for (const auto& item : object.node["parameters"])
      given[item.first.as<std::string>()] = item.second.as<std::string>();
    ClassParameters parameters;
    const grpc::Status parsed = parse_class_parameters(given, parameters);
    EXPECT_TRUE(parsed.ok()) << object.file << ": " << parsed.error_message();
  }
}

TEST(CsiManifests, VolumesMadeByHandNameTheDriver) {
  const auto volumes = objects_of("PersistentVolume");
  ASSERT_FALSE(volumes.empty());
  for (const Object& object : volumes)
    EXPECT_EQ(object.node["spec"]["csi"]["driver"].as<std::string>(), CsiOptions().driver_name);
}

// What a sidecar is told beside the socket is its own business; that it has the driver's socket is ours.
TEST(CsiManifests, SidecarsSpeakToTheDriversSocket) {
  size_t sidecars = 0;
  for (const char* kind : {"Deployment", "DaemonSet"}) {
    for (const Object& object : objects_of(kind)) {
      for (const YAML::Node& container : object.node["spec"]["template"]["spec"]["containers"]) {
        if (container["name"].as<std::string>() == "shima-csi") continue;
        ++sidecars;
        bool has_socket = false;
        for (const YAML::Node& argument : container["args"])
          has_socket = has_socket || argument.as<std::string>() == "--csi-address=/csi/csi.sock";
        EXPECT_TRUE(has_socket) << object.file << ": " << container["name"].as<std::string>();
      }
    }
  }
  EXPECT_EQ(sidecars, 6u);
}

}  // namespace
}  // namespace shima
