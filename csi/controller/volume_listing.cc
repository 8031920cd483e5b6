#include "csi/controller/volume_listing.h"

#include <map>

#include "csi/controller/csi_errors.h"
#include "csi/controller/volume_description.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

constexpr std::string_view kTokenPrefix = "after:";

using Health = std::map<std::string, cluster::v1::VolumeHealth>;

grpc::Status read_health(ControlPlane& plane, Health& health) {
  auto status = plane.get_status();
  if (!status) return csi_error(status.status());
  for (const cluster::v1::VolumeHealth& volume : status->volumes()) health[volume.name()] = volume;
  return grpc::Status::OK;
}

// `Record`: VolumeRecord or VolumeSummary; `Out`: the VolumeStatus of either response.
template <typename Record, typename Out>
void describe_status(const Record& record, const Health& health, Out& out) {
  for (const auto& publication : record.publications()) out.add_published_node_ids(node_id_of(publication));
  const auto found = health.find(record.name());
  if (found != health.end()) return describe_condition(found->second, *out.mutable_volume_condition());
  out.mutable_volume_condition()->set_abnormal(true);
  out.mutable_volume_condition()->set_message("the core server that was asked does not know the volume yet");
}

grpc::Status read_token(const std::string& token, std::string& after) {
  if (token.empty()) return grpc::Status::OK;
  if (token.starts_with(kTokenPrefix)) after = token.substr(kTokenPrefix.size());
  if (can_be_volume_name(after)) return grpc::Status::OK;
  return {grpc::StatusCode::ABORTED,
          "starting_token " + quoted(token) + " is none that a listing gave; begin again without it"};
}

}  // namespace

grpc::Status list_volumes(ControlPlane& plane, const std::string& topology_key,
                          const ::csi::v1::ListVolumesRequest& request,
                          ::csi::v1::ListVolumesResponse& response) {
  if (request.max_entries() < 0)
    return invalid_argument("max_entries is negative; give how many at most, or 0 for all");
  std::string after;
  Health health;
  grpc::Status status = read_token(request.starting_token(), after);
  if (status.ok()) status = read_health(plane, health);
  if (!status.ok()) return status;
  auto volumes = plane.list_volumes();
  if (!volumes) return csi_error(volumes.status());
  for (const volume::v1::VolumeSummary& volume : *volumes) {
    if (!volume.published_only() || volume.deleting() || volume.name() <= after) continue;
    if (request.max_entries() != 0 && response.entries_size() == request.max_entries()) {
      response.set_next_token(std::string(kTokenPrefix) + response.entries().rbegin()->volume().volume_id());
      break;
    }
    auto& entry = *response.add_entries();
    describe_volume(volume, topology_key, *entry.mutable_volume());
    describe_status(volume, health, *entry.mutable_status());
  }
  return grpc::Status::OK;
}

grpc::Status describe_one_volume(ControlPlane& plane, const std::string& topology_key,
                                 const std::string& volume_id,
                                 ::csi::v1::ControllerGetVolumeResponse& response) {
  auto record = plane.read_volume(volume_id);
  if (!record) return csi_error(record.status());
  Health health;
  grpc::Status status = read_health(plane, health);
  if (!status.ok()) return status;
  describe_volume(*record, topology_key, *response.mutable_volume());
  describe_status(*record, health, *response.mutable_status());
  return grpc::Status::OK;
}

}  // namespace shima
