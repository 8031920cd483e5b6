#include "operator/desired/access_addresses.h"
#include "operator/desired/cluster_plan.h"
#include "operator/desired/etcd_begun.h"
#include "operator/desired/etcd_record.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

json record_pointer(const ClusterPass& pass, const char* name = kEtcdRecordName) {
  return {{"kind", "ConfigMap"}, {"metadata", {{"namespace", pass.identity.name_space}, {"name", name}}}};
}

// A cluster that has been in use is not given an etcd that knows nothing.
Result<EtcdMembers> choose(const ClusterPass& pass, const ShimaClusterSpec& spec, ObservedCluster observed) {
  const bool used = was_used(pass);
  if (used && !observed.etcd_members_of_site.empty()) return observed.etcd_members_of_site;
  observed.etcd_members_of_site.clear();
  EtcdMembers members = plan_cluster(pass.identity, spec, pass.nodes, observed).etcd_members;
  if (used && !members.empty())
    return Status(
        Code::kFailedPrecondition,
        std::string("etcd is not made: this cluster has been in use, and neither ConfigMap ") +
            kEtcdRecordName +
            " nor StatefulSets of its etcd are there; a new etcd would know nothing of its volumes. "
            "Give the endpoints in spec.etcd.endpoints, or make the ConfigMap anew, with where the "
            R"(members were in data.members, as in {"site-a":1,"site-b":1,"":1} ("": the witness))");
  return members;
}

// False: it is not there, and nothing that depends on it may be made.
bool make_record(ClusterPass& pass, const EtcdMembers& members) {
  if (pass.api_is_away) return false;
  const json record = etcd_record(pass.identity, members);
  const auto made = pass.calls.create(config_map_kind(), record);
  if (made) {
    log(LogLevel::kInfo, "operator", told_object(record) + ": made: " + text_at(record, "/data/members"));
    return true;
  }
  pass.look_again_after(1'000);
  // Somebody was faster: the next look reads what he wrote.
  if (made.status().code() != Code::kAlreadyExists) pass.failed(record, "create", made.status());
  return false;
}

bool choose_and_record(ClusterPass& pass, const ShimaClusterSpec& spec, ObservedCluster& observed) {
  const auto members = choose(pass, spec, observed);
  if (!members) {
    pass.status.refused = {members.status().message()};
    return false;
  }
  observed.etcd_members_of_site = *members;
  const bool nothing_is_made = members->empty() || !pass.status.claimed_by_others.empty();
  return nothing_is_made || make_record(pass, *members);
}

}  // namespace

Result<json> find_record(ClusterPass& pass, const char* name) {
  const std::string& name_space = pass.identity.name_space;
  if (const ObjectPointer seen = pass.view.get(config_map_kind(), object_key(name_space, name))) return *seen;
  return pass.calls.get(config_map_kind(), name_space, name);
}

bool was_used(const ClusterPass& pass) {
  const json& written = pass.state.status_answer;  // the watch may not have shown it yet
  if (true_at(*pass.object, "/status/wasReady")) return true;
  if (true_at(written, "/status/wasReady") && text_at(written, "/metadata/uid") == pass.identity.uid)
    return true;
  for (const auto& [key, volume] : pass.view.all(shima_volume_kind()))
    if (belongs_to(*volume, pass.identity)) return true;
  return false;
}

bool settle_etcd_members(ClusterPass& pass, const ShimaClusterSpec& spec, ObservedCluster& observed) {
  // Somebody else's etcd has no record; one look for an own one's, which a watch does not show if it lost its
  // labels, is enough.
  const bool of_others = !spec.etcd.endpoints.empty() && observed.etcd_members_of_site.empty();
  if (of_others && pass.state.has_no_etcd_record) return true;
  const auto record = find_record(pass, kEtcdRecordName);
  pass.state.has_no_etcd_record = !record && record.status().code() == Code::kNotFound;
  if (pass.state.has_no_etcd_record) return choose_and_record(pass, spec, observed);
  if (!record) {
    pass.failed(record_pointer(pass), "read", record.status());
    pass.look_again_after(1'000);
    return false;
  }
  const auto members = read_etcd_record(*record);
  if (!members) {
    pass.status.refused = {members.status().message()};
    return false;
  }
  observed.etcd_members_of_site = *members;
  return true;
}

bool remove_records(ClusterPass& pass) {
  for (const char* name : {kAccessAddressesName, kEtcdBegunName, kEtcdRecordName}) {
    const auto record = find_record(pass, name);
    Status done = record.status();
    if (record && label_of(*record, kClusterLabel) == pass.identity.name)
      done = pass.calls.remove(config_map_kind(), pass.identity.name_space, name,
                               text_at(*record, "/metadata/uid"));
    if (done || done.code() == Code::kNotFound) continue;
    pass.failed(record_pointer(pass, name), "delete", done);
    return false;
  }
  return true;
}

}  // namespace shima
