#include "csi/controller/volume_publication.h"

#include <algorithm>

#include "common/observe/log.h"
#include "csi/controller/capability_check.h"
#include "csi/controller/csi_errors.h"
#include "csi/controller/volume_description.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

using cluster::v1::Publication;
using cluster::v1::VolumeRecord;

grpc::Status not_found(const std::string& text) { return {grpc::StatusCode::NOT_FOUND, text}; }

grpc::Status check_site(ControlPlane& plane, const NodeIdentity& node) {
  auto sites = plane.list_sites();
  if (!sites) return csi_error(sites.status());
  const bool known = std::any_of(sites->begin(), sites->end(), [&](const cluster::v1::SiteRecord& site) {
    return site.name() == node.site;
  });
  if (known) return grpc::Status::OK;
  return not_found(
      "node " + node.node + " says it is at site " + node.site +
      ", which is none of the cluster's; start its node plug-in with the right --site (`shimactl site "
      "list`)");
}

Publication publication_for(const NodeIdentity& node, bool read_only) {
  Publication publication;
  publication.set_node(node.node);
  publication.set_site(node.site);
  publication.set_read_only(read_only);
  for (const std::string& address : node.addresses) publication.add_addresses(address);
  return publication;
}

// Two controllers may have looked before either wrote. Each looks again at what etcd says then, and whoever
// wrote last gives way.
grpc::Status give_way_to_others(ControlPlane& plane, const volume::v1::PublishReply& reply,
                                const ::csi::v1::VolumeCapability& capability) {
  VolumeRecord earlier = reply.record();
  earlier.clear_publications();
  for (const Publication& other : reply.record().publications()) {
    if (other.id() < reply.publication().id()) *earlier.add_publications() = other;
  }
  grpc::Status status =
      check_other_nodes(earlier, reply.publication().node(), reply.publication().read_only(), capability);
  if (status.ok()) return status;
  const Status taken_back = plane.unpublish(earlier.name(), reply.publication().node());
  if (!taken_back) {
    log(LogLevel::kWarning, "csi",
        "volume " + earlier.name() + " stays published at node " + reply.publication().node() +
            " until it is unpublished there: " + taken_back.to_string());
  }
  return status;
}

}  // namespace

grpc::Status check_other_nodes(const VolumeRecord& record, const std::string& node, bool read_only,
                               const ::csi::v1::VolumeCapability& capability) {
  google::protobuf::RepeatedPtrField<Publication> in_the_way;
  const bool one_node = is_single_node(capability);
  const bool one_writer = has_one_writer(capability) && !read_only;
  for (const Publication& other : record.publications()) {
    if (other.node() == node) continue;
    if (one_node || (one_writer && !other.read_only())) *in_the_way.Add() = other;
  }
  if (in_the_way.empty()) return grpc::Status::OK;
  return failed_precondition("volume " + record.name() + " is wanted by one " +
                             (one_node ? "node" : "writer") + " at a time, and is published at " +
                             names_of_nodes(in_the_way) +
                             "; unpublish it there first, or use a multi-node access mode (ReadWriteMany)");
}

grpc::Status publish_volume(ControlPlane& plane, const ::csi::v1::ControllerPublishVolumeRequest& request,
                            ::csi::v1::ControllerPublishVolumeResponse& response) {
  const auto node = parse_node_id(request.node_id());
  if (!node) return not_found(node.status().message());
  const std::string& volume = request.volume_id();
  if (!can_be_volume_name(volume)) return not_found("there is no volume " + quoted(volume));
  auto record = plane.read_volume(volume);
  if (!record) return csi_error(record.status());
  const bool read_only = request.readonly() || is_reader_only(request.volume_capability());
  grpc::Status status = check_site(plane, *node);
  if (status.ok()) status = check_other_nodes(*record, node->node, read_only, request.volume_capability());
  if (!status.ok()) return status;
  auto published = plane.publish(volume, publication_for(*node, read_only));
  if (!published) return csi_error(published.status());
  status = give_way_to_others(plane, *published, request.volume_capability());
  if (!status.ok()) return status;
  auto& context = *response.mutable_publish_context();
  context["publication"] = std::to_string(published->publication().id());
  context["readOnly"] = read_only ? "true" : "false";
  context["site"] = node->site;
  return grpc::Status::OK;
}

grpc::Status unpublish_volume(ControlPlane& plane,
                              const ::csi::v1::ControllerUnpublishVolumeRequest& request) {
  if (!can_be_volume_name(request.volume_id())) return grpc::Status::OK;
  std::string node;
  if (!request.node_id().empty()) {
    const auto identity = parse_node_id(request.node_id());
    if (!identity) return grpc::Status::OK;  // nothing is ever published at such a node
    node = identity->node;
  }
  const Status taken = plane.unpublish(request.volume_id(), node);
  return taken || taken.code() == Code::kNotFound ? grpc::Status::OK : csi_error(taken);
}

}  // namespace shima
