#include "operator/desired/csi_parts.h"

namespace shima {

using Json = nlohmann::json;

Json csi_container(const ClusterPlan& plan, const std::vector<std::string>& arguments) {
  return {{"name", "shima-csi"},
          {"image", plan.spec.image},
          {"imagePullPolicy", plan.spec.image_pull_policy},
          {"command", Json::array({"shima-csi"})},
          {"args", arguments}};
}

Json csi_sidecar(const ClusterPlan& plan, const std::string& container, const std::string& image,
                 const std::vector<std::string>& arguments, const Json& mounts) {
  return {{"name", container},
          {"image", plan.spec.csi.sidecar_images.at(image)},
          {"imagePullPolicy", plan.spec.image_pull_policy},
          {"args", arguments},
          {"volumeMounts", mounts}};
}

Json csi_liveness_probe(const Json& where) {
  Json probe = {
      {"initialDelaySeconds", 10}, {"periodSeconds", 10}, {"timeoutSeconds", 5}, {"failureThreshold", 6}};
  probe["httpGet"] = where;
  probe["httpGet"]["path"] = "/healthz";
  return probe;
}

Json csi_readiness_probe() {
  return {{"httpGet", {{"path", "/healthz"}, {"port", "healthz"}}},
          {"periodSeconds", 10},
          {"timeoutSeconds", 5},
          {"failureThreshold", 3}};
}

Json csi_mount(const std::string& name, const std::string& path, bool bidirectional) {
  Json mount = {{"name", name}, {"mountPath", path}};
  if (bidirectional) mount["mountPropagation"] = "Bidirectional";
  return mount;
}

Json csi_host_directory(const std::string& name, const std::string& path, const std::string& type) {
  return {{"name", name}, {"hostPath", {{"path", path}, {"type", type}}}};
}

}  // namespace shima
