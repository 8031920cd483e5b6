#include "csi/controller/controller_service.h"

#include <algorithm>

#include "csi/controller/busy_volumes.h"
#include "csi/controller/capability_check.h"
#include "csi/controller/capacity_range.h"
#include "csi/controller/csi_errors.h"
#include "csi/controller/site_capacity.h"
#include "csi/controller/volume_creation.h"
#include "csi/controller/volume_description.h"
#include "csi/controller/volume_labels.h"
#include "csi/controller/volume_listing.h"
#include "csi/controller/volume_publication.h"
#include "csi/server/field_sizes.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;

using Context = google::protobuf::Map<std::string, std::string>;

// What every call on a volume has.
template <typename Request>
grpc::Status check_volume_call(const Request& request) {
  if (request.volume_id().empty())
    return invalid_argument("volume_id is missing; give what CreateVolume answered");
  return check_field_sizes(request);
}

grpc::Status no_such_volume(const std::string& volume) {
  return {grpc::StatusCode::NOT_FOUND,
          "there is no volume " + quoted(volume) + "; `shimactl volume list` shows all"};
}

// A volume_context of ours; one that was written by hand may be empty.
grpc::Status read_protocol(const Context& context, std::string& protocol) {
  const auto found = context.find(kProtocolKey);
  if (found == context.end()) return grpc::Status::OK;
  protocol = found->second;
  if (is_protocol(protocol)) return grpc::Status::OK;
  return invalid_argument("volume_context: protocol is " + quoted(protocol) + ", wanted fuse or nfs");
}

// A volume_context that agrees with what the volume was made with.
grpc::Status check_context(const Context& context, const cluster::v1::VolumeRecord& record,
                           std::string& protocol) {
  const std::string made_with = protocol_of(record.labels());
  protocol = made_with.empty() ? "fuse" : made_with;
  grpc::Status status = read_protocol(context, protocol);
  if (!status.ok() || made_with.empty() || protocol == made_with) return status;
  return invalid_argument("volume_context: protocol is " + protocol + ", but the volume was made with " +
                          made_with);
}

// Whether the volume is what the request takes it for, and can be used so.
grpc::Status check_use(const v1::ValidateVolumeCapabilitiesRequest& request,
                       const cluster::v1::VolumeRecord& record) {
  if (!record.published_only())
    return invalid_argument("every client may use the volume: it was not made by this driver");
  if (!request.mutable_parameters().empty())
    return invalid_argument("mutable_parameters: this driver knows none");
  std::string protocol;
  ClassParameters parameters;
  grpc::Status status = check_context(request.volume_context(), record, protocol);
  if (status.ok()) status = check_capabilities(request.volume_capabilities(), protocol);
  if (status.ok()) status = parse_class_parameters(request.parameters(), parameters);
  if (!status.ok() || request.parameters().empty()) return status;
  const std::string why = why_other_parameters(record, parameters);
  return why.empty() ? status : invalid_argument("parameters: the volume " + why);
}

class ControllerService final : public v1::Controller::Service {
 public:
  ControllerService(ControlPlane& plane, std::string topology_key, const Clock& clock)
      : plane_(plane), topology_key_(std::move(topology_key)), capacity_(plane, clock) {}

  grpc::Status CreateVolume(grpc::ServerContext*, const v1::CreateVolumeRequest* request,
                            v1::CreateVolumeResponse* response) override {
    grpc::Status status = check_field_sizes(*request);
    WantedVolume wanted;
    if (status.ok()) status = read_creation(*request, topology_key_, wanted);
    if (!status.ok()) return status;
    const BusyVolumes::Hold hold(busy_, wanted.name);
    if (!hold.held()) return aborted_by_other_call(wanted.name);
    cluster::v1::VolumeRecord record;
    status = make_volume(plane_, wanted, record);
    if (!status.ok()) return status;
    describe_volume(record, topology_key_, *response->mutable_volume());
    // A volume that was made by hand does not say.
    (*response->mutable_volume()->mutable_volume_context())[kProtocolKey] = wanted.parameters.protocol;
    return grpc::Status::OK;
  }

  grpc::Status DeleteVolume(grpc::ServerContext*, const v1::DeleteVolumeRequest* request,
                            v1::DeleteVolumeResponse*) override {
    grpc::Status status = check_volume_call(*request);
    if (!status.ok()) return status;
    if (!can_be_volume_name(request->volume_id())) return grpc::Status::OK;  // so it is not there
    const BusyVolumes::Hold hold(busy_, request->volume_id());
    if (!hold.held()) return aborted_by_other_call(request->volume_id());
    return delete_volume(request->volume_id());
  }

  grpc::Status ControllerPublishVolume(grpc::ServerContext*,
                                       const v1::ControllerPublishVolumeRequest* request,
                                       v1::ControllerPublishVolumeResponse* response) override {
    std::string protocol = "fuse";
    grpc::Status status = check_volume_call(*request);
    if (status.ok() && request->node_id().empty())
      status = invalid_argument("node_id is missing; give what NodeGetInfo answered");
    if (status.ok() && !request->has_volume_capability())
      status = invalid_argument("volume_capability is missing; say how the volume will be used");
    if (status.ok()) status = read_protocol(request->volume_context(), protocol);
    if (status.ok()) status = check_capability(request->volume_capability(), protocol);
    if (!status.ok()) return status;
    const BusyVolumes::Hold hold(busy_, request->volume_id());
    if (!hold.held()) return aborted_by_other_call(request->volume_id());
    return publish_volume(plane_, *request, *response);
  }

  grpc::Status ControllerUnpublishVolume(grpc::ServerContext*,
                                         const v1::ControllerUnpublishVolumeRequest* request,
                                         v1::ControllerUnpublishVolumeResponse*) override {
    grpc::Status status = check_volume_call(*request);
    if (!status.ok()) return status;
    const BusyVolumes::Hold hold(busy_, request->volume_id());
    if (!hold.held()) return aborted_by_other_call(request->volume_id());
    return unpublish_volume(plane_, *request);
  }

  grpc::Status ValidateVolumeCapabilities(grpc::ServerContext*,
                                          const v1::ValidateVolumeCapabilitiesRequest* request,
                                          v1::ValidateVolumeCapabilitiesResponse* response) override;

  grpc::Status ListVolumes(grpc::ServerContext*, const v1::ListVolumesRequest* request,
                           v1::ListVolumesResponse* response) override {
    grpc::Status status = check_field_sizes(*request);
    return status.ok() ? list_volumes(plane_, topology_key_, *request, *response) : status;
  }

  grpc::Status ControllerGetVolume(grpc::ServerContext*, const v1::ControllerGetVolumeRequest* request,
                                   v1::ControllerGetVolumeResponse* response) override {
    grpc::Status status = check_volume_call(*request);
    if (!status.ok()) return status;
    if (!can_be_volume_name(request->volume_id())) return no_such_volume(request->volume_id());
    return describe_one_volume(plane_, topology_key_, request->volume_id(), *response);
  }

  grpc::Status GetCapacity(grpc::ServerContext*, const v1::GetCapacityRequest* request,
                           v1::GetCapacityResponse* response) override;

  grpc::Status ControllerExpandVolume(grpc::ServerContext*, const v1::ControllerExpandVolumeRequest* request,
                                      v1::ControllerExpandVolumeResponse* response) override;

  grpc::Status ControllerGetCapabilities(grpc::ServerContext*, const v1::ControllerGetCapabilitiesRequest*,
                                         v1::ControllerGetCapabilitiesResponse* response) override {
    using Rpc = v1::ControllerServiceCapability::RPC;
    for (const Rpc::Type type :
         {Rpc::CREATE_DELETE_VOLUME, Rpc::PUBLISH_UNPUBLISH_VOLUME, Rpc::LIST_VOLUMES, Rpc::GET_CAPACITY,
          Rpc::PUBLISH_READONLY, Rpc::EXPAND_VOLUME, Rpc::LIST_VOLUMES_PUBLISHED_NODES, Rpc::VOLUME_CONDITION,
          Rpc::GET_VOLUME, Rpc::SINGLE_NODE_MULTI_WRITER}) {
      response->add_capabilities()->mutable_rpc()->set_type(type);
    }
    return grpc::Status::OK;
  }

 private:
  grpc::Status delete_volume(const std::string& volume);
  grpc::Status expand(const v1::ControllerExpandVolumeRequest& request, uint64_t wanted_bytes,
                      uint64_t& bytes);

  ControlPlane& plane_;
  const std::string topology_key_;
  SiteCapacity capacity_;
  BusyVolumes busy_;
};

grpc::Status ControllerService::delete_volume(const std::string& volume) {
  auto record = plane_.read_volume(volume);
  if (!record && record.status().code() == Code::kNotFound) return grpc::Status::OK;
  if (!record) return csi_error(record.status());
  if (!record->published_only()) {
    return failed_precondition(
        "volume " + volume +
        " was not made by this driver: every client may use it; delete it with `shimactl "
        "volume delete`");
  }
  if (!record->publications().empty()) {
    return failed_precondition("volume " + volume + " is published at " +
                               names_of_nodes(record->publications()) + "; unpublish it there first");
  }
  const Status deleted = plane_.delete_volume(volume);
  return deleted || deleted.code() == Code::kNotFound ? grpc::Status::OK : csi_error(deleted);
}

grpc::Status ControllerService::ValidateVolumeCapabilities(
    grpc::ServerContext*, const v1::ValidateVolumeCapabilitiesRequest* request,
    v1::ValidateVolumeCapabilitiesResponse* response) {
  grpc::Status status = check_volume_call(*request);
  if (status.ok() && request->volume_capabilities().empty())
    status = invalid_argument("volume_capabilities are missing; say how the volume is to be used");
  if (!status.ok()) return status;
  if (!can_be_volume_name(request->volume_id())) return no_such_volume(request->volume_id());
  auto record = plane_.read_volume(request->volume_id());
  if (!record) return csi_error(record.status());
  status = check_use(*request, *record);  // a "no" is an answer, not an error
  if (!status.ok()) {
    response->set_message(status.error_message());
    return grpc::Status::OK;
  }
  auto& confirmed = *response->mutable_confirmed();
  *confirmed.mutable_volume_context() = request->volume_context();
  *confirmed.mutable_volume_capabilities() = request->volume_capabilities();
  *confirmed.mutable_parameters() = request->parameters();
  return grpc::Status::OK;
}

grpc::Status ControllerService::GetCapacity(grpc::ServerContext*, const v1::GetCapacityRequest* request,
                                            v1::GetCapacityResponse* response) {
  ClassParameters parameters;
  std::string wanted_site;
  grpc::Status status = check_field_sizes(*request);
  if (status.ok()) status = parse_class_parameters(request->parameters(), parameters);
  if (status.ok() && !request->volume_capabilities().empty())
    status = check_capabilities(request->volume_capabilities(), parameters.protocol);
  if (status.ok() && request->has_accessible_topology()) {
    status = read_topology(request->accessible_topology(), topology_key_, "accessible_topology", wanted_site);
  }
  if (!status.ok()) return status;
  const auto bytes = capacity_.free_bytes([&, &sites = parameters.sites](const std::string& site) {
    const bool among = sites.empty() || std::find(sites.begin(), sites.end(), site) != sites.end();
    return among && (wanted_site.empty() || site == wanted_site);
  });
  if (!bytes) return csi_error(bytes.status());
  response->set_available_capacity(static_cast<int64_t>(std::min<uint64_t>(*bytes, INT64_MAX)));
  response->mutable_maximum_volume_size()->set_value(static_cast<int64_t>(kMaxVolumeBytes));
  response->mutable_minimum_volume_size()->set_value(static_cast<int64_t>(kMinVolumeBytes));
  return grpc::Status::OK;
}

grpc::Status ControllerService::expand(const v1::ControllerExpandVolumeRequest& request,
                                       uint64_t wanted_bytes, uint64_t& bytes) {
  auto record = plane_.read_volume(request.volume_id());
  if (!record) return csi_error(record.status());
  bytes = record->size_bytes();
  if (fits_range(request.capacity_range(), bytes)) return grpc::Status::OK;
  if (bytes > wanted_bytes) {
    return {grpc::StatusCode::OUT_OF_RANGE,
            "volume " + record->name() + " has " + std::to_string(bytes) +
                " bytes already, more than limit_bytes, and cannot shrink; raise limit_bytes"};
  }
  auto grown = plane_.set_size(request.volume_id(), wanted_bytes);
  if (!grown) return csi_error(grown.status());
  bytes = grown->size_bytes();
  return grpc::Status::OK;
}

grpc::Status ControllerService::ControllerExpandVolume(grpc::ServerContext*,
                                                       const v1::ControllerExpandVolumeRequest* request,
                                                       v1::ControllerExpandVolumeResponse* response) {
  const v1::CapacityRange& range = request->capacity_range();
  grpc::Status status = check_volume_call(*request);
  if (status.ok() && range.required_bytes() == 0 && range.limit_bytes() == 0)
    status = invalid_argument("capacity_range is missing; give required_bytes");
  uint64_t wanted_bytes = 0, bytes = 0;
  if (status.ok()) status = choose_size(range, wanted_bytes);
  if (status.ok() && request->has_volume_capability())
    status = check_capability(request->volume_capability(), "nfs");  // whose flags are a superset of FUSE's
  if (!status.ok()) return status;
  if (!can_be_volume_name(request->volume_id())) return no_such_volume(request->volume_id());
  const BusyVolumes::Hold hold(busy_, request->volume_id());
  if (!hold.held()) return aborted_by_other_call(request->volume_id());
  status = expand(*request, wanted_bytes, bytes);
  if (!status.ok()) return status;
  response->set_capacity_bytes(static_cast<int64_t>(bytes));
  // A block device's file is made to the volume's size by the node; without a word on the use it may be one.
  response->set_node_expansion_required(!request->volume_capability().has_mount());
  return grpc::Status::OK;
}

}  // namespace

std::unique_ptr<v1::Controller::Service> make_controller_service(ControlPlane& plane,
                                                                 const std::string& topology_key,
                                                                 const Clock& clock) {
  return std::make_unique<ControllerService>(plane, topology_key, clock);
}

}  // namespace shima
