#include "operator/reconcile/component_order.h"

#include <algorithm>
#include <map>
#include <set>

#include "operator/desired/object_labels.h"
#include "operator/reconcile/object_fields.h"

namespace shima {
namespace {

using nlohmann::json;

// Of the first container: the server's own.
std::string image_of(const json& workload) {
  const json* containers = value_at(workload, "/spec/template/spec/containers");
  if (!containers || !containers->is_array() || containers->empty()) return {};
  return text_at(containers->front(), "/image");
}

bool is_core_set(const json& object) {
  return text_at(object, "/kind") == "StatefulSet" && label_of(object, kComponentLabel) == kCoreComponent;
}

bool comes_later(const json& object) {
  static const std::set<std::string> later{kAccessComponent, kCsiControllerComponent, kCsiNodeComponent,
                                           kCsiMounterComponent};
  static const std::set<std::string> kinds{"StatefulSet", "Deployment", "DaemonSet"};
  return kinds.contains(text_at(object, "/kind")) && later.contains(label_of(object, kComponentLabel));
}

// The image of each core server's StatefulSet that should be, by its name.
std::map<std::string, std::string> wanted_images(const std::vector<json>& objects) {
  std::map<std::string, std::string> images;
  for (const json& object : objects)
    if (is_core_set(object)) images[name_of(object)] = image_of(object);
  return images;
}

// Whether core servers have yet to get their image. A StatefulSet's status lags behind its template; until it
// has seen the newest one, its pods count as old.
bool core_servers_are_older(const std::map<std::string, std::string>& wanted, const FoundObjects& found,
                            const std::set<std::string>& removed_sites) {
  for (const ObjectPointer& set : found.stateful_sets) {
    const auto image = wanted.find(name_of(*set));
    if (image == wanted.end() || !is_core_set(*set)) continue;
    if (image_of(*set) != image->second) return true;
    if (number_at(*set, "/status/observedGeneration", -1) < number_at(*set, "/metadata/generation", 0))
      return true;
  }
  const auto pods = server_pods(found, kCoreComponent);
  return std::any_of(pods.begin(), pods.end(), [&](const CoreServerPod& pod) {
    return !pod.up_to_date && !removed_sites.contains(pod.site);
  });
}

ObjectPointer live(const FoundObjects& found, const json& wanted) {
  for (const auto* list : {&found.stateful_sets, &found.deployments, &found.daemon_sets})
    for (const ObjectPointer& each : *list)
      if (text_at(*each, "/kind") == text_at(wanted, "/kind") && name_of(*each) == name_of(wanted))
        return each;
  return nullptr;
}

// Whether a container that should run one of `images` runs another one now.
bool runs_another(const json& wanted, const json& running, const std::set<std::string>& images) {
  for (const char* at : {"/spec/template/spec/initContainers", "/spec/template/spec/containers"}) {
    const json *should = value_at(wanted, at), *does = value_at(running, at);
    if (!should || !does || !should->is_array() || !does->is_array()) continue;
    for (const json& container : *should) {
      const std::string image = text_at(container, "/image");
      for (const json& now : *does)
        if (images.contains(image) && text_at(now, "/name") == text_at(container, "/name") &&
            !text_at(now, "/image").empty() && text_at(now, "/image") != image)
          return true;
    }
  }
  return false;
}

// As it was applied, with what the API server has put in, which it would put in again.
void keep_template(json& wanted, const json& running) {
  json& pods = wanted["spec"]["template"];
  const json selector = pods["spec"].value("nodeSelector", json());
  pods = running["spec"]["template"];
  if (const auto metadata = pods.find("metadata"); metadata != pods.end() && metadata->is_object())
    metadata->erase("creationTimestamp");  // null
  if (text_at(wanted, "/kind") == "StatefulSet") return;
  pods["spec"].erase("nodeSelector");
  if (!selector.is_null()) pods["spec"]["nodeSelector"] = selector;
}

}  // namespace

std::vector<std::string> hold_later_components(std::vector<json>& objects, const FoundObjects& found,
                                               const std::set<std::string>& removed_sites) {
  const auto wanted = wanted_images(objects);
  std::vector<std::string> held;
  if (!core_servers_are_older(wanted, found, removed_sites)) return held;
  std::set<std::string> images;
  for (const auto& [set, image] : wanted) images.insert(image);
  for (json& object : objects) {
    if (!comes_later(object)) continue;
    const ObjectPointer running = live(found, object);
    if (!running || !runs_another(object, *running, images)) continue;
    keep_template(object, *running);
    held.push_back(name_of(object));
  }
  return held;
}

}  // namespace shima
