// Who the pods are, and what CSI's controller may do: the least that each sidecar needs, as in
// charts/csi/rbac.yaml.
#include "operator/desired/components.h"
#include "operator/desired/names.h"
#include "operator/desired/object_labels.h"

namespace shima {
namespace {

using Json = nlohmann::json;

constexpr char kRbac[] = "rbac.authorization.k8s.io";
constexpr char kRbacVersion[] = "rbac.authorization.k8s.io/v1";
const Part kController{kCsiControllerComponent, ""};

Json rule(const char* group, std::vector<std::string> resources, std::vector<std::string> verbs) {
  return {
      {"apiGroups", Json::array({group})}, {"resources", std::move(resources)}, {"verbs", std::move(verbs)}};
}

// Without secrets the field is left to whoever sets it.
Json account(const ClusterPlan& plan, const char* name, const Part& part) {
  Json object = lasting_object(plan.cluster, {"v1", "ServiceAccount"}, name, part);
  for (const std::string& secret : plan.spec.image_pull_secrets)
    object["imagePullSecrets"].push_back({{"name", secret}});
  return object;
}

Json controller_cluster_role(const ClusterPlan& plan, const std::string& name) {
  Json object = cluster_wide_object(plan.cluster, {kRbacVersion, "ClusterRole"}, name, kController);
  object["rules"] =
      Json::array({// external-provisioner
                   rule("", {"persistentvolumes"}, {"get", "list", "watch", "create", "patch", "delete"}),
                   rule("", {"persistentvolumeclaims"}, {"get", "list", "watch", "update"}),
                   rule("storage.k8s.io", {"storageclasses", "csinodes"}, {"get", "list", "watch"}),
                   rule("", {"nodes"}, {"get", "list", "watch"}),
                   rule("", {"events"}, {"get", "list", "watch", "create", "update", "patch"}),
                   // external-attacher
                   rule("storage.k8s.io", {"volumeattachments"}, {"get", "list", "watch", "patch"}),
                   rule("storage.k8s.io", {"volumeattachments/status"}, {"patch"}),
                   // external-resizer
                   rule("", {"persistentvolumeclaims/status"}, {"patch"})});
  return object;
}

// Leader election, and the owner of CSIStorageCapacity objects.
Json controller_role(const ClusterPlan& plan) {
  Json object = lasting_object(plan.cluster, {kRbacVersion, "Role"}, kCsiControllerAccount, kController);
  const std::vector<std::string> all = {"get", "list", "watch", "create", "update", "patch", "delete"};
  object["rules"] = Json::array({rule("coordination.k8s.io", {"leases"}, all),
                                 rule("storage.k8s.io", {"csistoragecapacities"}, all),
                                 rule("", {"pods"}, {"get"}), rule("apps", {"replicasets"}, {"get"})});
  return object;
}

void grant(const ClusterPlan& plan, Json& binding, const char* role_kind, const std::string& role) {
  binding["roleRef"] = {{"apiGroup", kRbac}, {"kind", role_kind}, {"name", role}};
  binding["subjects"] = Json::array({{{"kind", "ServiceAccount"},
                                      {"name", kCsiControllerAccount},
                                      {"namespace", plan.cluster.name_space}}});
}

}  // namespace

Objects account_objects(const ClusterPlan& plan) {
  Objects objects = {account(plan, kServerAccount, {})};
  objects.front()["automountServiceAccountToken"] = false;
  if (!plan.spec.csi.enabled) return objects;
  const std::string name = cluster_wide_name(plan.cluster.name_space, "csi-controller");
  Json cluster_binding =
      cluster_wide_object(plan.cluster, {kRbacVersion, "ClusterRoleBinding"}, name, kController);
  grant(plan, cluster_binding, "ClusterRole", name);
  Json binding =
      lasting_object(plan.cluster, {kRbacVersion, "RoleBinding"}, kCsiControllerAccount, kController);
  grant(plan, binding, "Role", kCsiControllerAccount);
  Json node_account = account(plan, kCsiNodeAccount, {kCsiNodeComponent, ""});
  node_account["automountServiceAccountToken"] = false;
  for (Json& object :
       Objects{account(plan, kCsiControllerAccount, kController), node_account,
               controller_cluster_role(plan, name), cluster_binding, controller_role(plan), binding})
    objects.push_back(object);
  return objects;
}

}  // namespace shima
