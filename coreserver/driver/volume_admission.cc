#include "coreserver/driver/volume_admission.h"

namespace shima {

VolumeAdmission::VolumeAdmission(const VolumeInfo& volume, std::shared_ptr<const AccessServers> servers,
                                 EtcdRevision revision)
    : name_(volume.name),
      published_only_(volume.published_only),
      version_(volume.config_version),
      servers_(std::move(servers)),
      revision_(revision) {
  for (const PublicationInfo& p : volume.publications) publications_[p.id] = {p.node, p.read_only};
}

Status VolumeAdmission::check(const SessionIdentity& who, bool changes) const {
  if (!who.access_server.empty()) {
    auto known = servers_->find(who.access_server);
    if (known != servers_->end() && known->second == who.access_incarnation) return Status::ok();
    const std::string what = "incarnation " + std::to_string(who.access_incarnation) + " of access server " +
                             who.access_server + " is not registered";
    if (revision_.value < who.access_revision) return {Code::kUnavailable, what + " here yet; retry"};
    return {Code::kFenced, what + " (any more); it must register anew"};
  }
  if (!published_only_) return Status::ok();
  if (who.publication == 0) {
    return {Code::kFenced, "volume " + name_ +
                               " may be used only by nodes that it is published at; this client names no "
                               "publication (shimactl volume publish makes one)"};
  }
  auto known = publications_.find(who.publication);
  if (known == publications_.end() || (!who.node.empty() && who.node != known->second.name)) {
    const std::string what = "publication " + std::to_string(who.publication) + " of volume " + name_ +
                             (who.node.empty() ? "" : " at node " + who.node);
    if (who.publication > version_.value) return {Code::kUnavailable, what + " is not known here yet; retry"};
    return {Code::kFenced, what + " was taken away"};
  }
  if (changes && known->second.read_only) {
    return {Code::kPermissionDenied,
            "volume " + name_ + " is published at node " + known->second.name + " as read-only"};
  }
  return Status::ok();
}

void VolumeAdmission::bind(const SessionIdentity& who, metadata::v1::OpenSession& session) const {
  const bool by_access_server = !who.access_server.empty();
  session.set_access_incarnation(by_access_server ? who.access_incarnation : 0);
  session.set_publication(published_only_ && !by_access_server ? who.publication : 0);
}

metadata::v1::CloseFenced VolumeAdmission::admitted() const {
  metadata::v1::CloseFenced job;
  for (const auto& [id, node] : publications_) job.add_publications(id);
  for (const auto& [name, incarnation] : *servers_) job.add_access_incarnations(incarnation);
  return job;
}

}  // namespace shima
