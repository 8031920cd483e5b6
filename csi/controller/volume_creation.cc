#include "csi/controller/volume_creation.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "common/runtime/clock.h"
#include "csi/controller/capability_check.h"
#include "csi/controller/capacity_range.h"
#include "csi/controller/csi_errors.h"
#include "csi/controller/volume_labels.h"
#include "csi/controller/volume_names.h"

namespace shima {
namespace {

using cluster::v1::VolumeRecord;

constexpr uint64_t kReturnMs = 10'000;  // of a server that has restarted, or lost its lease for a moment
constexpr useconds_t kPauseUs = 500'000;

grpc::Status check_unsupported(const ::csi::v1::CreateVolumeRequest& request) {
  if (request.has_volume_content_source()) {
    return invalid_argument(
        "volume_content_source: this driver makes empty volumes only, neither from snapshots nor from "
        "volumes; leave dataSource of the PersistentVolumeClaim out");
  }
  if (!request.mutable_parameters().empty()) {
    return invalid_argument(
        "mutable_parameters: this driver knows none; leave volumeAttributesClassName out");
  }
  return grpc::Status::OK;
}

grpc::Status sites_with_servers(ControlPlane& plane, std::vector<std::string>& sites) {
  auto servers = plane.list_servers();
  if (!servers) return csi_error(servers.status());
  std::set<std::string> names;
  for (const cluster::v1::ServerState& server : *servers) names.insert(server.record().site());
  sites.assign(names.begin(), names.end());
  return grpc::Status::OK;
}

volume::v1::CreateVolumeRequest creation_request(const WantedVolume& wanted, const VolumeSites& sites) {
  volume::v1::CreateVolumeRequest request;
  request.set_name(wanted.name);
  request.set_copies(static_cast<uint32_t>(sites.sites.size()));
  for (const std::string& site : sites.sites) request.add_sites(site);
  request.set_home(sites.home);
  request.set_ack(wanted.parameters.ack_all ? cluster::v1::ACK_MODE_ALL : cluster::v1::ACK_MODE_LOCAL);
  request.set_size_bytes(wanted.size_bytes);
  request.set_block_size(wanted.parameters.block_size);
  request.set_groups(wanted.parameters.groups);
  request.set_max_inodes(wanted.parameters.max_inodes);
  request.set_published_only(true);
  *request.mutable_labels() = labels_for(wanted.parameters);
  return request;
}

// Where one of their servers is away, it may come back: elsewhere the volume would be for good.
Result<VolumeRecord> create_when_possible(ControlPlane& plane,
                                          const volume::v1::CreateVolumeRequest& request) {
  const auto lacks_server = [&] {
    const auto servers = plane.list_servers();
    return servers &&
           std::any_of(servers->begin(), servers->end(), [&](const cluster::v1::ServerState& server) {
             const auto& sites = request.sites();
             return !server.alive() &&
                    std::find(sites.begin(), sites.end(), server.record().site()) != sites.end();
           });
  };
  const uint64_t until = real_clock().now_ms() + kReturnMs;
  for (;;) {
    auto made = plane.create_volume(request);
    const bool may_help = made.status().code() == Code::kFailedPrecondition && real_clock().now_ms() < until;
    if (!may_help || !lacks_server()) return made;
    usleep(kPauseUs);
  }
}

grpc::Status answer_with(const VolumeRecord& found, const WantedVolume& wanted, VolumeRecord& record) {
  const std::string why = why_another(found, wanted);
  if (!why.empty()) {
    return {grpc::StatusCode::ALREADY_EXISTS, "volume " + wanted.name + " is there already, but " + why +
                                                  "; choose another name, or delete it first"};
  }
  record = found;
  return grpc::Status::OK;
}

// Somebody has the name, though a moment ago nobody had.
grpc::Status answer_after_race(ControlPlane& plane, const WantedVolume& wanted, VolumeRecord& record) {
  auto found = plane.read_volume(wanted.name);
  if (found) return answer_with(*found, wanted, record);
  if (found.status().code() != Code::kNotFound) return csi_error(found.status());
  return {grpc::StatusCode::ABORTED,
          "a volume " + wanted.name + " is being deleted; try again when it is gone"};
}

}  // namespace

grpc::Status read_creation(const ::csi::v1::CreateVolumeRequest& request, const std::string& topology_key,
                           WantedVolume& wanted) {
  grpc::Status status = check_csi_name(request.name());
  if (status.ok()) status = check_unsupported(request);
  if (status.ok()) status = parse_class_parameters(request.parameters(), wanted.parameters);
  if (status.ok()) status = check_capabilities(request.volume_capabilities(), wanted.parameters.protocol);
  if (status.ok())
    status = read_requirement(request.accessibility_requirements(), topology_key, wanted.sites);
  if (status.ok()) status = choose_size(request.capacity_range(), wanted.size_bytes);
  if (!status.ok()) return status;
  wanted.name = volume_name_for(request.name());
  wanted.range = request.capacity_range();
  return grpc::Status::OK;
}

std::string why_another(const VolumeRecord& found, const WantedVolume& wanted) {
  if (!found.published_only()) return "every client may use it: it was not made by this driver";
  if (!fits_range(wanted.range, found.size_bytes()))
    return "has " + std::to_string(found.size_bytes()) + " bytes, which is not within capacity_range";
  const std::string why = why_other_parameters(found, wanted.parameters);
  if (!why.empty()) return why;
  if (!is_accessible(wanted.sites, {found.sites().begin(), found.sites().end()}))
    return "has no copy at any requisite site";
  return "";
}

grpc::Status make_volume(ControlPlane& plane, const WantedVolume& wanted, VolumeRecord& record) {
  auto found = plane.read_volume(wanted.name);
  if (found) return answer_with(*found, wanted, record);
  if (found.status().code() != Code::kNotFound) return csi_error(found.status());
  std::vector<std::string> with_servers;
  VolumeSites sites;
  grpc::Status status = sites_with_servers(plane, with_servers);
  if (status.ok()) status = choose_volume_sites(wanted.sites, wanted.parameters, with_servers, sites);
  if (!status.ok()) return status;
  auto made = create_when_possible(plane, creation_request(wanted, sites));
  if (made) {
    record = *made;
    return grpc::Status::OK;
  }
  switch (made.status().code()) {
    case Code::kAlreadyExists:
      return answer_after_race(plane, wanted, record);
    case Code::kFailedPrecondition:
    case Code::kNotFound:  // a site that went meanwhile
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, made.status().message()};
    default:
      return csi_error(made.status());
  }
}

}  // namespace shima
