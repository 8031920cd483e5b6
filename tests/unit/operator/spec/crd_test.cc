// charts/shima-operator/crds/shimaclusters.yaml against read_cluster_spec(): the same fields, the same
// defaults, the same refused options.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "accessserver/options/access_options.h"
#include "coreserver/options/server_options.h"
#include "operator/render/yaml_document.h"
#include "operator/spec/data_places.h"
#include "operator/spec/server_option_rules.h"
#include "operator/spec/shima_cluster_spec.h"

namespace shima {
namespace {

using Json = nlohmann::json;

Json spec_schema() {
  std::ifstream file(SHIMA_CRDS "/shimaclusters.yaml");
  std::stringstream text;
  text << file.rdbuf();
  const auto documents = parse_yaml_documents(text.str(), "shimaclusters.yaml");
  EXPECT_TRUE(documents.is_ok()) << documents.status().to_string();
  return documents->at(0)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
}

// As the API server does it: before anything is read.
void add_defaults(const Json& schema, Json& value) {
  if (value.is_object() && schema.contains("properties")) {
    for (const auto& [name, field] : schema["properties"].items()) {
      if (!value.contains(name) && field.contains("default")) value[name] = field["default"];
      if (value.contains(name)) add_defaults(field, value[name]);
    }
  }
  if (value.is_array() && schema.contains("items"))
    for (Json& item : value) add_defaults(schema["items"], item);
}

// Something in every optional part, so that each part's defaults count.
Json partly_filled() {
  return Json::parse(R"({
    "topology": {"sites": [{"name": "a", "matchLabels": {"x": "y"}}]},
    "coreServers": {"disks": [{"claim": {"size": "1Ti"}}], "resources": {"requests": {}, "limits": {}}, "tolerations": [{"operator": "Exists"}]},
    "accessServers": {"resources": {}},
    "etcd": {"data": {"hostPath": "/srv/etcd"}},
    "csi": {"sidecarImages": {}},
    "storageClasses": [{"name": "shima"}]})");
}

TEST(ClusterDefinition, HasTheDefaultsThatTheOperatorReads) {
  const Json schema = spec_schema();
  for (const Json& given :
       {partly_filled(),
        Json::parse(R"({"coreServers": {"disks": [{"hostPath": "/d"}]}, "etcd": {"endpoints": ["e:1"]}})")}) {
    Json with_defaults = given;
    add_defaults(schema, with_defaults);
    EXPECT_NE(with_defaults, given);
    const auto read = read_cluster_spec(given), read_defaults = read_cluster_spec(with_defaults);
    ASSERT_TRUE(read.is_ok()) << read.status().to_string();
    ASSERT_TRUE(read_defaults.is_ok()) << read_defaults.status().to_string();
    EXPECT_TRUE(*read == *read_defaults) << with_defaults.dump(2);
  }
}

// The names of an object's fields, as the error about one that there is not tells them.
std::set<std::string> known_to_operator(const Json::json_pointer& where) {
  Json spec = partly_filled();
  spec[where]["zzz"] = 1;
  const std::string error = read_cluster_spec(spec).status().message();
  const std::string mark = "known are ";
  const size_t begin = error.find(mark);
  std::set<std::string> names;
  if (begin == std::string::npos) return names;
  std::stringstream rest(error.substr(begin + mark.size()));
  for (std::string name; std::getline(rest, name, ',');)
    names.insert(name.substr(name.find_first_not_of(' ')));
  names.erase("zzz");
  return names;
}

// `where` in a spec; `schema` of what is there.
void compare_fields(const Json& schema, const std::string& where, size_t& objects) {
  if (schema.value("type", "") == "array") return compare_fields(schema["items"], where + "/0", objects);
  if (!schema.contains("properties")) return;
  const Json::json_pointer pointer(where);
  if (!partly_filled().contains(pointer)) return;  // another kind of place: it is compared where it is
  ++objects;
  std::set<std::string> names;
  for (const auto& [name, field] : schema["properties"].items()) names.insert(name);
  EXPECT_EQ(names, known_to_operator(pointer)) << "spec" << where;
  for (const auto& [name, field] : schema["properties"].items())
    compare_fields(field, where + "/" + name, objects);
}

TEST(ClusterDefinition, HasTheFieldsThatTheOperatorReads) {
  size_t objects = 0;
  compare_fields(spec_schema(), "", objects);
  EXPECT_GE(objects, 15u);
}

// The rule's text names an option by itself or by its first part.
bool rule_refuses(const std::string& rule, const std::string& option) {
  if (rule.find("'" + option + "'") != std::string::npos) return true;
  const size_t dot = option.find('.');
  return dot != std::string::npos &&
         rule.find("startsWith('" + option.substr(0, dot + 1) + "')") != std::string::npos;
}

using Check = Status (*)(const std::map<std::string, std::string>&, const std::string&);

void compare_refused(const std::vector<OptionSpec>& specs, Check check, const std::string& part) {
  const std::string rule =
      spec_schema()["properties"][part]["properties"]["options"]["x-kubernetes-validations"][0]["rule"];
  size_t refused = 0;
  for (const OptionSpec& spec : specs) {
    const Status status = check({{spec.name, "x"}}, "options");
    const bool by_operator = status.message().find("set by the operator") != std::string::npos;
    EXPECT_EQ(by_operator, rule_refuses(rule, spec.name)) << part << ": " << spec.name;
    refused += by_operator ? 1 : 0;
  }
  EXPECT_GT(refused, 5u);
}

TEST(ClusterDefinition, RefusesTheOptionsThatTheOperatorSets) {
  compare_refused(server_option_specs(), check_core_server_options, "coreServers");
  compare_refused(access_option_specs(), check_access_server_options, "accessServers");
}

TEST(ClusterDefinition, RefusesTheDirectoriesThatTheOperatorRefuses) {
  const Json rules = spec_schema()["properties"]["coreServers"]["properties"]["disks"]["items"]["properties"]
                                  ["hostPath"]["x-kubernetes-validations"];
  EXPECT_EQ(rules.at(1)["rule"], "!self.matches('" + std::string(kSystemDirectories) + "')");
}

struct HostPath {
  const char* path;
  bool taken;
};

TEST(DataPlaces, AreNotTheSystemsDirectories) {
  for (const HostPath& one : std::initializer_list<HostPath>{{"/srv/shima/disk-0", true},
                                                             {"/data", true},
                                                             {"/var/lib/shima", true},
                                                             {"/mnt/storage/a", true},
                                                             {"/etcd-of-shima", true},
                                                             {"/opt/shima", true},
                                                             {"/library", true},
                                                             {"/etc", false},
                                                             {"/etc/x", false},
                                                             {"/usr/local/x", false},
                                                             {"/lib64", false},
                                                             {"/srv", false},
                                                             {"/var/lib", false},
                                                             {"/opt/cni/bin", false},
                                                             {"/var/lib/kubelet/pods", false},
                                                             {"/var/run/x", false},
                                                             {"/var/lib/etcd", false}}) {
    const auto place = read_data_place({{"hostPath", one.path}}, "place");
    EXPECT_EQ(place.is_ok(), one.taken) << one.path << ": " << place.status().message();
  }
}

TEST(ClusterDefinition, KnowsTheParametersThatTheDriverKnows) {
  const std::string rule = spec_schema()["properties"]["storageClasses"]["items"]["properties"]["parameters"]
                                        ["x-kubernetes-validations"][0]["rule"];
  for (const char* name :
       {"protocol", "ack", "copies", "sites", "home", "blockSize", "groups", "maxInodes"}) {
    EXPECT_NE(rule.find("'" + std::string(name) + "'"), std::string::npos) << name;
    const std::string error = check_class_parameters({{name, "\n"}}, "p").message();
    EXPECT_NE(error.find("found"), std::string::npos) << error;  // and not: there is no such parameter
  }
}

}  // namespace
}  // namespace shima
