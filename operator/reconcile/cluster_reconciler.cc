#include "operator/reconcile/cluster_reconciler.h"

#include <utility>

#include "common/kubernetes/leader_lease.h"
#include "operator/desired/inputs_reading.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/claims.h"
#include "operator/reconcile/component_order.h"
#include "operator/reconcile/lost_nodes.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

constexpr uint64_t kNotSyncedMs = 1'000;
constexpr uint64_t kDeletionMs = 10'000;
// A start takes a moment, and an API server that is away for a moment is no news.
constexpr uint64_t kNoNewsMs = 10'000;

std::vector<ObjectPointer> of_cluster(const ObjectMap& all, const ClusterIdentity& cluster) {
  std::vector<ObjectPointer> own;
  const std::string prefix = cluster.name_space + "/";
  for (auto each = all.lower_bound(prefix); each != all.end() && each->first.starts_with(prefix); ++each)
    if (belongs_to(*each->second, cluster)) own.push_back(each->second);
  return own;
}

// Of a ShimaCluster's servers.
std::vector<std::string> sites_of(const json& cluster, const ObjectMap& stateful_sets) {
  std::vector<std::string> sites;
  for (const ObjectPointer& set : of_cluster(
           stateful_sets, {namespace_of(cluster), name_of(cluster), text_at(cluster, "/metadata/uid")}))
    if (std::string site = label_of(*set, kSiteLabel); !site.empty()) sites.push_back(std::move(site));
  return sites;
}

std::vector<json> workloads(const FoundObjects& found) {
  std::vector<json> list;
  for (const auto* objects : {&found.stateful_sets, &found.daemon_sets})
    for (const ObjectPointer& object : *objects)
      if (!is_ending(*object)) list.push_back(*object);
  return list;
}

}  // namespace

ClusterReconciler::ClusterReconciler(ObjectCalls& calls, const ObjectView& view,
                                     std::function<std::set<std::string>()> api_kinds,
                                     CoreWatch::Connect connect, ReconcilerOptions options,
                                     ReconcilerClocks clocks, std::function<void(const std::string&)> wake)
    : calls_(calls),
      view_(view),
      api_kinds_(std::move(api_kinds)),
      connect_(std::move(connect)),
      options_(std::move(options)),
      clocks_(std::move(clocks)),
      wake_(std::move(wake)) {}

std::set<std::string> ClusterReconciler::keys() const {
  std::set<std::string> keys;
  for (const auto& [key, object] : view_.all(shima_cluster_kind()))
    if (options_.namespaces.empty() || options_.namespaces.contains(namespace_of(*object))) keys.insert(key);
  return keys;
}

ReconcileResult ClusterReconciler::reconcile(const std::string& key) {
  const ObjectPointer object = view_.get(shima_cluster_kind(), key);
  if (!object || !keys().contains(key)) {
    states_.erase(key);
    return {};
  }
  ClusterState& state = state_of(key);
  // The watch has not heard of it yet; whoever acted on it now would make its objects again.
  if (state.deleted_uid == text_at(*object, "/metadata/uid")) return {};
  ClusterPass pass{.calls = calls_,
                   .view = view_,
                   .state = state,
                   .now_ms = clocks_.clock.now_ms(),
                   .wall_us = clocks_.wall_us()};
  pass.connect_etcd = options_.connect_etcd;
  if (!pass.connect_etcd)
    pass.connect_etcd = [](const std::vector<std::string>& endpoints) {
      return EtcdMembership::connect(endpoints);
    };
  pass.object = object;
  look(pass);
  if (knows_enough(pass)) {
    check_claims(pass);
    watch_core_servers(pass, key);
    look_at_deletion(pass);
    const bool may_go =
        pass.status.deletion.asked && pass.status.deletion.known && pass.status.deletion.volumes.empty();
    if (may_go && finish_deletion(pass)) {
      state.deleted_uid = pass.identity.uid;
      state.watch.reset();
      return {};
    }
    if (!may_go) bring_about(pass);
    if (pass.status.deletion.asked) pass.look_again_after(kDeletionMs);
  }
  tell(pass);
  return {.failed = pass.api_is_away, .again_after_ms = pass.again_after_ms};
}

ClusterState& ClusterReconciler::state_of(const std::string& key) {
  auto& state = states_[key];
  if (!state) state = std::make_unique<ClusterState>(options_.settle_ms);
  return *state;
}

void ClusterReconciler::look(ClusterPass& pass) const {
  const json& object = *pass.object;
  pass.identity = {namespace_of(object), name_of(object), text_at(object, "/metadata/uid")};
  pass.status.generation = number_at(object, "/metadata/generation");
  pass.status.now = whole_seconds(pass.wall_us);
  pass.status.sites = pass.state.sites;
  const json* endpoints = value_at(object, "/spec/etcd/endpoints");
  pass.status.external_etcd = endpoints && endpoints->is_array() && !endpoints->empty();
  find_objects(pass);
  pass.status.workloads = workload_views(pass.found);
  static const auto nobody = [] {
    auto none = std::make_shared<CoreSnapshot>();
    none->health.error = "there are no core servers yet";
    return std::shared_ptr<const CoreSnapshot>(none);
  }();
  pass.snapshot = pass.state.watch ? pass.state.watch->snapshot() : nobody;
  pass.status.health = told_health(*pass.snapshot, pass.now_ms);
}

void ClusterReconciler::find_objects(ClusterPass& pass) const {
  for (const auto& [name, node] : view_.all(node_kind())) pass.nodes.push_back(read_node(*node));
  pass.found = {.stateful_sets = of_cluster(view_.all(stateful_set_kind()), pass.identity),
                .deployments = of_cluster(view_.all(deployment_kind()), pass.identity),
                .daemon_sets = of_cluster(view_.all(daemon_set_kind()), pass.identity),
                .pods = of_cluster(view_.all(pod_kind()), pass.identity)};
}

// Whoever decides without having seen what is there would undo it.
bool ClusterReconciler::knows_enough(ClusterPass& pass) const {
  const auto look_at = [&](const ResourceKind& kind, bool needed) {
    const Status trouble = view_.trouble(kind);
    const bool denied = trouble.code() == Code::kPermissionDenied;
    if (denied) pass.failed({{"kind", kind.plural}}, "list and watch", trouble);
    if (!needed || view_.watched(kind)) return;
    pass.status.knows_enough = false;
    if (!denied)
      pass.status.apply_errors.push_back("waiting for the list of " + kind.plural +
                                         (trouble ? "" : ": " + trouble.message()));
  };
  for (const ResourceKind* kind : {&node_kind(), &pod_kind(), &stateful_set_kind(), &deployment_kind(),
                                   &daemon_set_kind(), &shima_volume_kind()})
    look_at(*kind, true);
  for (const ResourceKind& kind : owned_kinds())
    if (&kind != &stateful_set_kind()) look_at(kind, false);
  if (!pass.status.knows_enough) pass.look_again_after(kNotSyncedMs);
  return pass.status.knows_enough;
}

void ClusterReconciler::check_claims(ClusterPass& pass) {
  std::vector<Claimant> all;
  for (const auto& [key, cluster] : view_.all(shima_cluster_kind()))
    all.push_back(
        claims_.claimant_of(*cluster, pass.nodes, sites_of(*cluster, view_.all(stateful_set_kind()))));
  std::set<std::string> there;
  for (const Claimant& each : all) there.insert(each.uid);
  claims_.keep_only(there);
  const auto own_sites = sites_of(*pass.object, view_.all(stateful_set_kind()));
  const Claimant own = claims_.claimant_of(*pass.object, pass.nodes, own_sites);
  pass.status.claimed_by_others = claimed_by_others(own, all);
  pass.nodes_of_others = nodes_of_others(own, all);
}

void ClusterReconciler::bring_about(ClusterPass& pass) {
  auto spec = read_cluster_spec(pass.object->value("spec", json::object()));
  if (!spec) {
    pass.status.spec_error = spec.status().message();
    return;
  }
  // Before anything is made: what it makes is deleted with it.
  if (pass.status.claimed_by_others.empty() && !pass.status.deletion.asked && !hold_finalizer(pass) &&
      pass.found.stateful_sets.empty())
    return;
  ObservedCluster observed = read_observed(pass.identity, workloads(pass.found), api_kinds_());
  observed.operator_image = options_.image;
  observed.operator_namespace = options_.name_space;
  observed.labels_have_settled = labels_have_settled(pass);
  observed.draining_site = pass.state.drains.open_site;
  if (!settle_etcd_members(pass, *spec, observed) || !settle_access_addresses(pass, observed)) return;
  const std::string csi_stays = csi_in_use(pass, *spec);
  spec->csi.enabled = spec->csi.enabled || !csi_stays.empty();
  pass.desired = desired_objects(pass.identity, *spec, pass.nodes, observed);
  pass.status.sites = pass.state.sites = pass.desired.sites;
  pass.status.refused = pass.desired.refused;
  if (!csi_stays.empty()) pass.status.refused.push_back(csi_stays);
  pass.status.csi_wanted = spec->csi.enabled;
  if (!observed.daemons_by_topology_label.empty())
    pass.look_again_after(kNotSyncedMs);  // until labels settled
  if (!pass.status.claimed_by_others.empty()) return;
  for (WorkloadView& missing : missing_workloads(pass.desired.objects, pass.status.workloads))
    pass.status.workloads.push_back(std::move(missing));
  move_nodes(pass, spec->topology.removed_sites);
  pass.status.image = spec->image;
  const bool without_waiting = annotation_of(*pass.object, kWithoutWaiting) == spec->image;
  if (!without_waiting)
    pass.status.held_images =
        hold_later_components(pass.desired.objects, pass.found, pass.desired.removed_sites);
  keep_etcd_members(pass, observed.etcd_members_of_site);
  apply_objects(pass);
  remove_unwanted(pass);
  keep_disks(pass);
  restart_servers(pass, !without_waiting);
  pass.status.planned = true;
  write_volumes(pass);
}

void ClusterReconciler::watch_core_servers(ClusterPass& pass, const std::string& key) {
  const auto endpoints = core_endpoints(pass.found, pass.identity.name_space);
  auto& watch = pass.state.watch;
  if (!watch && endpoints.empty()) return;
  if (!watch) {
    const auto may_fence = [this](const std::string& node) {
      return (!options_.may_act || options_.may_act()) && is_lost_now(view_, node);
    };
    watch = std::make_unique<CoreWatch>(connect_, options_.core_watch, clocks_.clock, may_fence,
                                        [wake = wake_, key] { wake(key); });
    watch->start();
  }
  watch->set_endpoints(endpoints);
  watch->set_out_of_service(lost_nodes(pass.nodes));
  for (ClusterEvent& event : events_of_ready_nodes_with_taint(pass.nodes, pass.snapshot->volumes))
    pass.events.push_back(std::move(event));
  for (const FencingResult& each : watch->take_fenced())
    pass.events.push_back(
        {.warning = !each.status,
         .reason = each.status ? "NodeFenced" : "NodeNotFencedYet",
         .action = "Unpublish",
         .note = "node " + each.node + " is out of service; volume " + each.volume + ": " +
                 (each.status ? "nothing of it is taken any more" : each.status.message())});
}

void ClusterReconciler::tell(ClusterPass& pass) {
  const bool hindered = pass.api_is_away || !pass.status.knows_enough;
  uint64_t& since = pass.state.hindered_since_ms;
  if (!hindered) since = 0;
  if (hindered && since == 0) since = pass.now_ms;
  if (hindered && pass.now_ms < since + kNoNewsMs) return;
  // Whoever does not answer for one object, as behind a webhook that hangs, may do so for the status.
  const bool was_away = std::exchange(pass.api_is_away, false);
  write_status(pass);
  write_events(pass, {options_.instance, micro_time(clocks_.wall_us())});
  pass.api_is_away = pass.api_is_away || was_away;
}

}  // namespace shima
