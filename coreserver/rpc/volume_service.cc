#include <algorithm>

#include "coreserver/cluster/record_protobuf.h"
#include "coreserver/rpc/services.h"
#include "shima/volume/v1/volume.grpc.pb.h"

namespace shima {
namespace {

using namespace volume::v1;  // NOLINT: the messages of this service

constexpr uint32_t kUnpublishTimeoutMs = 10000;
constexpr uint32_t kMaxUnpublishTimeoutMs = 60000;

Result<VolumeSpec> spec_from(const CreateVolumeRequest& request, const std::string& own_site) {
  VolumeSpec spec;
  spec.name = request.name();
  spec.copies = request.copies();
  spec.sites.assign(request.sites().begin(), request.sites().end());
  spec.home = !request.home().empty() ? request.home() : spec.sites.empty() ? own_site : spec.sites.front();
  spec.ack =
      request.ack() == cluster::v1::ACK_MODE_ALL ? replication::AckMode::kAll : replication::AckMode::kLocal;
  spec.size_bytes = request.size_bytes();
  spec.max_inodes = request.max_inodes();
  spec.published_only = request.published_only();
  if (request.block_size() != 0) spec.block_size = request.block_size();
  if (request.groups() != 0) spec.groups = request.groups();
  auto labels = labels_from(request.labels());
  if (!labels) return labels.status();
  spec.labels = std::move(*labels);
  return spec;
}

Status check_enums(const CreateVolumeRequest& request) {
  if (cluster::v1::AckMode_IsValid(request.ack())) return Status::ok();
  return {Code::kInvalidArgument, "ack is " + std::to_string(static_cast<int>(request.ack())) +
                                      ", which this server does not know; use local (1) or all (2)"};
}

void encode_summary(const VolumeInfo& volume, VolumeSummary& out) {
  out.set_name(volume.name);
  out.set_volume_id(volume.id.value);
  out.set_home(volume.home);
  for (const std::string& site : volume.sites) out.add_sites(site);
  out.set_ack(volume.ack == replication::AckMode::kAll ? cluster::v1::ACK_MODE_ALL
                                                       : cluster::v1::ACK_MODE_LOCAL);
  out.set_block_size(volume.block_size);
  out.set_size_bytes(volume.size_bytes);
  out.set_max_inodes(volume.max_inodes);
  out.set_groups(volume.data_groups());
  out.set_all_groups(static_cast<uint32_t>(volume.groups.size()));
  out.set_config_version(volume.config_version.value);
  out.set_deleting(volume.deleting);
  out.set_published_only(volume.published_only);
  for (const PublicationInfo& p : volume.publications) *out.add_publications() = to_record(p);
  add_labels(volume.labels, *out.mutable_labels());
}

class VolumeServiceImpl final : public VolumeService::Service {
 public:
  explicit VolumeServiceImpl(ServerFacade& facade) : facade_(facade) {}

  grpc::Status CreateVolume(grpc::ServerContext* context, const CreateVolumeRequest* request,
                            CreateVolumeReply* reply) override {
    if (Status valid = check_enums(*request); !valid) return refuse(context, valid);
    auto spec = spec_from(*request, facade_.site_name());
    if (!spec) return refuse(context, spec.status());
    auto made = facade_.create_volume(*spec);
    if (!made) return refuse(context, made.status());
    *reply->mutable_record() = to_record(*made);
    return grpc::Status::OK;
  }

  grpc::Status DeleteVolume(grpc::ServerContext* context, const DeleteVolumeRequest* request,
                            DeleteVolumeReply*) override {
    Status status = facade_.delete_volume(request->name(), request->force());
    return status ? grpc::Status::OK : refuse(context, status);
  }

  grpc::Status GetVolume(grpc::ServerContext* context, const GetVolumeRequest* request,
                         GetVolumeReply* reply) override {
    auto found = facade_.get_volume(request->name());
    if (!found) return refuse(context, found.status());
    *reply->mutable_record() = to_record(found->volume);
    for (const ServerInfo& server : found->servers) *reply->add_servers() = to_record(server);
    reply->set_stale_ms(facade_.stale_ms());
    return grpc::Status::OK;
  }

  grpc::Status ListVolumes(grpc::ServerContext* context, const ListVolumesRequest*,
                           ListVolumesReply* reply) override {
    auto volumes = facade_.list_volumes();
    if (!volumes) return refuse(context, volumes.status());
    for (const VolumeInfo& volume : *volumes) encode_summary(volume, *reply->add_volumes());
    reply->set_stale_ms(facade_.stale_ms());
    return grpc::Status::OK;
  }

  grpc::Status SetSize(grpc::ServerContext* context, const SetSizeRequest* request,
                       SetSizeReply* reply) override {
    auto changed =
        facade_.set_quotas(request->name(), request->size_bytes(),
                           request->has_max_inodes() ? std::optional(request->max_inodes()) : std::nullopt);
    if (!changed) return refuse(context, changed.status());
    *reply->mutable_record() = to_record(*changed);
    return grpc::Status::OK;
  }

  grpc::Status Publish(grpc::ServerContext* context, const PublishRequest* request,
                       PublishReply* reply) override {
    auto changed = facade_.publish(request->name(), publication_from(request->publication()));
    if (!changed) return refuse(context, changed.status());
    *reply->mutable_record() = to_record(*changed);
    const PublicationInfo* made = changed->publication_of(request->publication().node());
    if (made) *reply->mutable_publication() = to_record(*made);
    return grpc::Status::OK;
  }

  grpc::Status Unpublish(grpc::ServerContext* context, const UnpublishRequest* request,
                         UnpublishReply* reply) override {
    const uint32_t timeout_ms = request->timeout_ms() ? request->timeout_ms() : kUnpublishTimeoutMs;
    auto changed =
        facade_.unpublish(request->name(), request->node(), std::min(timeout_ms, kMaxUnpublishTimeoutMs));
    if (!changed) return refuse(context, changed.status());
    *reply->mutable_record() = to_record(*changed);
    return grpc::Status::OK;
  }

 private:
  ServerFacade& facade_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_volume_service(ServerFacade& facade) {
  return std::make_unique<VolumeServiceImpl>(facade);
}

}  // namespace shima
