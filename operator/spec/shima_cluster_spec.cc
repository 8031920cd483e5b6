#include "operator/spec/shima_cluster_spec.h"

#include <algorithm>
#include <set>

#include "operator/spec/data_places.h"
#include "operator/spec/field_reader.h"
#include "operator/spec/label_syntax.h"
#include "operator/spec/quantity.h"
#include "operator/spec/server_option_rules.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxSites = 64;
constexpr size_t kMaxDisks = 16;
constexpr size_t kMaxEtcdEndpoints = 16;
constexpr size_t kMaxEtcdSites = 7;
constexpr size_t kMaxClasses = 32;
constexpr size_t kMaxPullSecrets = 16;
constexpr size_t kMaxLabels = 16;
constexpr size_t kMaxTolerations = 32;
constexpr size_t kMaxOptions = 64;
constexpr uint32_t kMinCoreServers = 2;  // each write is on two of the home
constexpr uint32_t kMaxServersPerSite = 64;
constexpr size_t kMaxImageBytes = 512;

std::string at(const std::string& path, size_t index) { return path + "[" + std::to_string(index) + "]"; }

void take_image(FieldReader& fields, const std::string& name, std::string& out) {
  fields.text(name, out, kMaxImageBytes);
  if (out.empty() || out.find_first_of(" \t\r\n") != std::string::npos)
    fields.refuse(name, "found " + shown(out) + ", wanted an image, as in registry.example/shima:0.1.0");
}

Result<SiteEntry> read_site(const Json& object, const std::string& path) {
  SiteEntry site;
  FieldReader fields(object, path);
  fields.text("name", site.name);
  if (!valid_site_name(site.name))
    fields.refuse("name", "found " + shown(site.name) + ", wanted " + kSiteNameWanted);
  fields.labels("matchLabels", site.match_labels, kMaxLabels);
  if (site.match_labels.empty())
    fields.refuse("matchLabels",
                  "found none, wanted the labels of this site's nodes; without any, every node would fit");
  SHIMA_RETURN_IF_ERROR(fields.finish());
  return site;
}

void read_sites(FieldReader& fields, TopologySpec& out) {
  const Json* sites = fields.items("sites", kMaxSites);
  std::set<std::string> names;
  for (size_t i = 0; sites && i < sites->size(); ++i) {
    const std::string path = at(fields.path_of("sites"), i);
    auto site = read_site((*sites)[i], path);
    if (!site) return fields.take(site.status());
    if (!names.insert(site->name).second)
      return fields.refuse("sites", "found " + site->name + " twice, wanted each once");
    out.sites.push_back(*site);
  }
}

Status read_topology(const Json& object, const std::string& path, TopologySpec& out) {
  FieldReader fields(object, path);
  fields.text("label", out.label, 317);
  if (!valid_label_key(out.label))
    fields.refuse("label", "found " + shown(out.label) + ", wanted " + kLabelKeyWanted);
  read_sites(fields, out);
  fields.texts("removedSites", out.removed_sites, kMaxSites);
  for (const std::string& site : out.removed_sites) {
    if (!valid_site_name(site))
      fields.refuse("removedSites", "found " + shown(site) + ", wanted " + kSiteNameWanted);
    for (const SiteEntry& entry : out.sites)
      if (entry.name == site)
        fields.refuse("removedSites", site + " is in `sites` too; take it out of one of the two");
  }
  return fields.finish();
}

void take_quantity(FieldReader& fields, const std::string& name, std::string& out) {
  fields.text(name, out);
  if (!out.empty() && !valid_quantity(out))
    fields.refuse(name, "found " + shown(out) + ", wanted a quantity, as in 500m or 4Gi");
}

Status read_amounts(const Json& object, const std::string& path, std::string& cpu, std::string& memory) {
  FieldReader fields(object, path);
  take_quantity(fields, "cpu", cpu);
  take_quantity(fields, "memory", memory);
  return fields.finish();
}

void read_resources(FieldReader& parent, PodResources& out) {
  const Json* object = parent.section("resources");
  if (!object) return;
  FieldReader fields(*object, parent.path_of("resources"));
  if (const Json* requests = fields.section("requests"))
    fields.take(read_amounts(*requests, fields.path_of("requests"), out.cpu_request, out.memory_request));
  if (const Json* limits = fields.section("limits"))
    fields.take(read_amounts(*limits, fields.path_of("limits"), out.cpu_limit, out.memory_limit));
  parent.take(fields.finish());
}

// core/v1 Toleration; the API server checks the rest when the pods are made.
Result<Json> read_toleration(const Json& object, const std::string& path) {
  std::string key, op, value, effect;
  uint32_t seconds = UINT32_MAX;
  FieldReader fields(object, path);
  fields.text("key", key, 317);
  fields.choice("operator", op, {"Exists", "Equal"});
  fields.text("value", value, 63);
  fields.choice("effect", effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
  fields.number("tolerationSeconds", seconds, 0, UINT32_MAX - 1);
  if (key.empty() && op != "Exists")
    fields.refuse("key", "found none, wanted a taint's key, or operator Exists");
  SHIMA_RETURN_IF_ERROR(fields.finish());
  return object;
}

void read_tolerations(FieldReader& fields, Json& out) {
  const Json* items = fields.items("tolerations", kMaxTolerations);
  for (size_t i = 0; items && i < items->size(); ++i) {
    auto toleration = read_toleration((*items)[i], at(fields.path_of("tolerations"), i));
    if (!toleration) return fields.take(toleration.status());
    out.push_back(*toleration);
  }
}

void read_disks(FieldReader& fields, std::vector<DataPlace>& out) {
  const Json* disks = fields.items("disks", kMaxDisks);
  for (size_t i = 0; disks && i < disks->size(); ++i) {
    auto place = read_data_place((*disks)[i], at(fields.path_of("disks"), i));
    if (!place) return fields.take(place.status());
    out.push_back(*place);
  }
  if (out.empty()) fields.refuse("disks", "found none, wanted 1 to 16: each with hostPath, or with claim");
}

Status read_core_servers(const Json& object, const std::string& path, CoreServersSpec& out) {
  FieldReader fields(object, path);
  fields.number("perSite", out.per_site, kMinCoreServers, kMaxServersPerSite);
  read_disks(fields, out.disks);
  read_resources(fields, out.resources);
  fields.labels("nodeSelector", out.node_selector, kMaxLabels);
  read_tolerations(fields, out.tolerations);
  fields.text_map("options", out.options, kMaxOptions);
  if (!fields.failed()) fields.take(check_core_server_options(out.options, fields.path_of("options")));
  return fields.finish();
}

Status read_access_servers(const Json& object, const std::string& path, AccessServersSpec& out) {
  FieldReader fields(object, path);
  fields.number("perSite", out.per_site, 0, kMaxServersPerSite);
  read_resources(fields, out.resources);
  fields.text_map("options", out.options, kMaxOptions);
  if (!fields.failed()) fields.take(check_access_server_options(out.options, fields.path_of("options")));
  return fields.finish();
}

// HOST:PORT or [IPV6]:PORT.
bool is_endpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || text.size() > 260) return false;
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
    return false;
  if (text.find_first_of(" \t\r\n/,") != std::string::npos) return false;
  return std::stoul(port) >= 1 && std::stoul(port) <= 65535;
}

void read_etcd_sites(FieldReader& fields, EtcdSpec& out) {
  fields.texts("sites", out.sites, kMaxEtcdSites);
  if (!out.sites.empty() && !out.endpoints.empty())
    fields.refuse("sites", "has no meaning with `endpoints`; leave one of the two out");
  for (const std::string& site : out.sites)
    if (site.empty() || !valid_label_value(site))
      fields.refuse("sites", "found " + shown(site) + ", wanted names of sites");
  if (std::set<std::string>(out.sites.begin(), out.sites.end()).size() != out.sites.size())
    fields.refuse("sites", "found a site twice, wanted each once");
}

Status read_etcd(const Json& object, const std::string& path, EtcdSpec& out) {
  FieldReader fields(object, path);
  fields.texts("endpoints", out.endpoints, kMaxEtcdEndpoints);
  for (const std::string& endpoint : out.endpoints)
    if (!is_endpoint(endpoint))
      fields.refuse("endpoints", "found " + shown(endpoint) + ", wanted HOST:PORT, without http://");
  take_image(fields, "image", out.image);
  const Json* data = fields.section("data");
  if (data && !out.endpoints.empty())
    fields.refuse("data", "has no meaning with `endpoints`; leave one of the two out");
  if (!data && out.endpoints.empty())
    fields.refuse("data",
                  "found none, wanted where an own etcd keeps its data (hostPath or claim), or `endpoints` "
                  "of one that exists");
  if (data && !fields.failed()) {
    auto place = read_data_place(*data, fields.path_of("data"));
    if (place) out.data = *place;
    fields.take(place.status());
  }
  fields.labels("witnessSelector", out.witness_selector, kMaxLabels);
  read_etcd_sites(fields, out);
  return fields.finish();
}

Status read_csi(const Json& object, const std::string& path, CsiSpec& out) {
  FieldReader fields(object, path);
  fields.boolean("enabled", out.enabled);
  fields.text("kubeletDirectory", out.kubelet_directory, 1024);
  if (!is_plain_path(out.kubelet_directory))
    fields.refuse("kubeletDirectory",
                  "found " + shown(out.kubelet_directory) + ", wanted " + kPlainPathWanted);
  if (const Json* images = fields.section("sidecarImages")) {
    FieldReader sidecars(*images, fields.path_of("sidecarImages"));
    for (auto& [name, image] : out.sidecar_images) take_image(sidecars, name, image);
    fields.take(sidecars.finish());
  }
  return fields.finish();
}

Result<StorageClassSpec> read_class(const Json& object, const std::string& path) {
  StorageClassSpec out;
  FieldReader fields(object, path);
  fields.text("name", out.name);
  if (!valid_object_name(out.name))
    fields.refuse("name", "found " + shown(out.name) +
                              ", wanted a StorageClass's name: parts of [a-z0-9-] with dots between");
  fields.boolean("isDefault", out.is_default);
  fields.choice("reclaimPolicy", out.reclaim_policy, {"Delete", "Retain"});
  fields.text_map("parameters", out.parameters, kMaxOptions);
  if (!fields.failed()) fields.take(check_class_parameters(out.parameters, fields.path_of("parameters")));
  SHIMA_RETURN_IF_ERROR(fields.finish());
  return out;
}

void read_classes(FieldReader& fields, std::vector<StorageClassSpec>& out) {
  const Json* classes = fields.items("storageClasses", kMaxClasses);
  std::set<std::string> names;
  size_t defaults = 0;
  for (size_t i = 0; classes && i < classes->size(); ++i) {
    auto one = read_class((*classes)[i], at(fields.path_of("storageClasses"), i));
    if (!one) return fields.take(one.status());
    if (!names.insert(one->name).second)
      return fields.refuse("storageClasses", "found " + one->name + " twice, wanted each once");
    defaults += one->is_default ? 1 : 0;
    out.push_back(*one);
  }
  if (defaults > 1)
    fields.refuse("storageClasses",
                  "found " + std::to_string(defaults) + " with isDefault, wanted at most one");
}

// Directories of one host may be neither the same nor one inside another.
void check_directories(FieldReader& fields, const ShimaClusterSpec& spec) {
  std::vector<DataPlace> places = spec.core_servers.disks;
  if (!spec.etcd.data.host_path.empty()) places.push_back(spec.etcd.data);
  if (const auto overlap = overlapping_directories(places))
    fields.refuse("coreServers.disks",
                  overlap->first + " and " + overlap->second +
                      " overlap; each disk, and etcd's data, needs a directory of its own");
}

// Objects with a name each, as in a pod.
void read_pull_secrets(FieldReader& fields, std::vector<std::string>& out) {
  const Json* secrets = fields.items("imagePullSecrets", kMaxPullSecrets);
  for (size_t i = 0; secrets && i < secrets->size(); ++i) {
    std::string name;
    FieldReader secret((*secrets)[i], at(fields.path_of("imagePullSecrets"), i));
    secret.text("name", name);
    if (!valid_object_name(name))
      secret.refuse("name", "found " + shown(name) + ", wanted the name of a Secret");
    fields.take(secret.finish());
    out.push_back(name);
  }
}

const Json& section_or_empty(FieldReader& fields, const std::string& name) {
  static const Json empty = Json::object();
  const Json* found = fields.section(name);
  return found ? *found : empty;
}

}  // namespace

Result<ShimaClusterSpec> read_cluster_spec(const Json& object) {
  ShimaClusterSpec spec;
  FieldReader fields(object, "spec");
  take_image(fields, "image", spec.image);
  fields.choice("imagePullPolicy", spec.image_pull_policy, {"Always", "IfNotPresent", "Never"});
  read_pull_secrets(fields, spec.image_pull_secrets);
  fields.boolean("trial", spec.trial);
  const auto read = [&](const char* name, auto function) {
    const Json& section = section_or_empty(fields, name);
    if (!fields.failed()) fields.take(function(section, fields.path_of(name)));
  };
  read("topology",
       [&](const Json& o, const std::string& path) { return read_topology(o, path, spec.topology); });
  read("coreServers",
       [&](const Json& o, const std::string& path) { return read_core_servers(o, path, spec.core_servers); });
  read("accessServers", [&](const Json& o, const std::string& path) {
    return read_access_servers(o, path, spec.access_servers);
  });
  read("etcd", [&](const Json& o, const std::string& path) { return read_etcd(o, path, spec.etcd); });
  read("csi", [&](const Json& o, const std::string& path) { return read_csi(o, path, spec.csi); });
  read_classes(fields, spec.storage_classes);
  check_directories(fields, spec);
  SHIMA_RETURN_IF_ERROR(fields.finish());
  return spec;
}

}  // namespace shima
