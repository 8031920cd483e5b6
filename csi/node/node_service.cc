#include "csi/node/node_service.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/observe/log.h"
#include "coreserver/rpc/status_codes.h"
#include "csi/controller/control_plane.h"
#include "csi/mounter/mounter_client.h"
#include "csi/node/capability_rules.h"
#include "csi/node/nfs_route.h"
#include "csi/node/node_volumes.h"
#include "csi/server/field_sizes.h"
#include "csi/server/node_identity.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;

constexpr int64_t kMostVolumes = 256;  // of one node: each is a process
constexpr auto kLookAfterEvery = std::chrono::seconds(10);

// As CSI wants it: what a system call said is INTERNAL there, not UNKNOWN.
grpc::Status csi_status(const Status& status) {
  if (status.code() == Code::kIo || status.code() == Code::kCorrupt) {
    return {grpc::StatusCode::INTERNAL, status.message()};
  }
  return to_grpc_status(status);
}

// As they stand in etcd: the publication and the size are those that the controller has made a moment ago.
Result<VolumeFacts> ask_for_facts(ControlPlane& control, const std::string& node, const std::string& volume) {
  auto found = control.read_volume(volume);
  if (!found) return found.status();
  const cluster::v1::VolumeRecord& record = *found;
  VolumeFacts facts;
  facts.size_bytes = record.size_bytes();
  facts.published_only = record.published_only();
  for (const cluster::v1::Publication& publication : record.publications()) {
    if (publication.node() != node) continue;
    facts.publication = publication.id();
    facts.read_only = publication.read_only();
  }
  return facts;
}

class NodeService final : public v1::Node::Service {
 public:
  NodeService(const CsiOptions& options, std::shared_ptr<ControlPlane> control,
              std::unique_ptr<NodeVolumes> volumes)
      : options_(options), control_(std::move(control)), volumes_(std::move(volumes)) {
    volumes_->look_after(true);
    thread_ = std::thread([this] { look_after(); });
  }
  ~NodeService() override {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  grpc::Status NodeStageVolume(grpc::ServerContext*, const v1::NodeStageVolumeRequest* request,
                               v1::NodeStageVolumeResponse*) override {
    if (grpc::Status sizes = check_field_sizes(*request); !sizes.ok()) return sizes;
    auto wanted = stage_request(*request);
    return csi_status(wanted ? volumes_->stage(std::move(*wanted)) : wanted.status());
  }

  grpc::Status NodeUnstageVolume(grpc::ServerContext*, const v1::NodeUnstageVolumeRequest* request,
                                 v1::NodeUnstageVolumeResponse*) override {
    if (grpc::Status sizes = check_field_sizes(*request); !sizes.ok()) return sizes;
    const Status id = check_volume_id(request->volume_id());
    return csi_status(id.is_ok() ? volumes_->unstage(request->volume_id(), request->staging_target_path())
                                 : id);
  }

  grpc::Status NodePublishVolume(grpc::ServerContext*, const v1::NodePublishVolumeRequest* request,
                                 v1::NodePublishVolumeResponse*) override {
    if (grpc::Status sizes = check_field_sizes(*request); !sizes.ok()) return sizes;
    auto wanted = publish_request(*request);
    return csi_status(wanted ? volumes_->publish(*wanted) : wanted.status());
  }

  grpc::Status NodeUnpublishVolume(grpc::ServerContext*, const v1::NodeUnpublishVolumeRequest* request,
                                   v1::NodeUnpublishVolumeResponse*) override {
    if (grpc::Status sizes = check_field_sizes(*request); !sizes.ok()) return sizes;
    const Status id = check_volume_id(request->volume_id());
    return csi_status(id.is_ok() ? volumes_->unpublish(request->volume_id(), request->target_path()) : id);
  }

  grpc::Status NodeGetVolumeStats(grpc::ServerContext* context, const v1::NodeGetVolumeStatsRequest* request,
                                  v1::NodeGetVolumeStatsResponse* response) override;
  grpc::Status NodeExpandVolume(grpc::ServerContext* context, const v1::NodeExpandVolumeRequest* request,
                                v1::NodeExpandVolumeResponse* response) override;
  grpc::Status NodeGetCapabilities(grpc::ServerContext* context,
                                   const v1::NodeGetCapabilitiesRequest* request,
                                   v1::NodeGetCapabilitiesResponse* response) override;
  grpc::Status NodeGetInfo(grpc::ServerContext* context, const v1::NodeGetInfoRequest* request,
                           v1::NodeGetInfoResponse* response) override;

 private:
  void look_after() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kLookAfterEvery, [this] { return ending_; })) {
      lock.unlock();
      volumes_->look_after(false);
      lock.lock();
    }
  }

  const CsiOptions options_;
  const std::shared_ptr<ControlPlane> control_;  // of the volumes' facts
  const std::unique_ptr<NodeVolumes> volumes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::thread thread_;
};

void add_usage(v1::NodeGetVolumeStatsResponse& response, v1::VolumeUsage::Unit unit, uint64_t total,
               uint64_t used, uint64_t available) {
  v1::VolumeUsage& usage = *response.add_usage();
  usage.set_unit(unit);
  usage.set_total(static_cast<int64_t>(total));
  usage.set_used(static_cast<int64_t>(used));
  usage.set_available(static_cast<int64_t>(available));
}

grpc::Status NodeService::NodeGetVolumeStats(grpc::ServerContext*,
                                             const v1::NodeGetVolumeStatsRequest* request,
                                             v1::NodeGetVolumeStatsResponse* response) {
  if (grpc::Status sizes = check_field_sizes(*request); !sizes.ok()) return sizes;
  if (const Status id = check_volume_id(request->volume_id()); !id.is_ok()) return csi_status(id);
  auto found = volumes_->usage(request->volume_id(), request->volume_path(), request->staging_target_path());
  if (!found) return csi_status(found.status());
  response->mutable_volume_condition()->set_abnormal(found->abnormal);
  response->mutable_volume_condition()->set_message(found->condition);
  if (found->block || !found->usage) {  // of a device, and of a mount that does not answer, the size is known
    add_usage(*response, v1::VolumeUsage::BYTES, found->size_bytes, 0, 0);
    return grpc::Status::OK;
  }
  const FileSystemUsage& usage = *found->usage;
  add_usage(*response, v1::VolumeUsage::BYTES, usage.total_bytes, usage.used_bytes, usage.available_bytes);
  add_usage(*response, v1::VolumeUsage::INODES, usage.total_inodes, usage.used_inodes,
            usage.available_inodes);
  return grpc::Status::OK;
}

grpc::Status NodeService::NodeExpandVolume(grpc::ServerContext*, const v1::NodeExpandVolumeRequest* request,
                                           v1::NodeExpandVolumeResponse* response) {
  if (grpc::Status sizes = check_field_sizes(*request); !sizes.ok()) return sizes;
  if (const Status id = check_volume_id(request->volume_id()); !id.is_ok()) return csi_status(id);
  const v1::CapacityRange& range = request->capacity_range();
  if (range.required_bytes() < 0 || range.limit_bytes() < 0 ||
      (range.limit_bytes() > 0 && range.limit_bytes() < range.required_bytes())) {
    return {grpc::StatusCode::OUT_OF_RANGE, "capacity_range: wanted 0 <= required_bytes <= limit_bytes"};
  }
  auto bytes = volumes_->expand(request->volume_id(), request->volume_path(),
                                static_cast<uint64_t>(range.required_bytes()));
  if (!bytes) return csi_status(bytes.status());
  response->set_capacity_bytes(static_cast<int64_t>(*bytes));
  return grpc::Status::OK;
}

grpc::Status NodeService::NodeGetCapabilities(grpc::ServerContext*, const v1::NodeGetCapabilitiesRequest*,
                                              v1::NodeGetCapabilitiesResponse* response) {
  using Rpc = v1::NodeServiceCapability::RPC;
  for (const auto type : {Rpc::STAGE_UNSTAGE_VOLUME, Rpc::GET_VOLUME_STATS, Rpc::VOLUME_CONDITION,
                          Rpc::EXPAND_VOLUME, Rpc::VOLUME_MOUNT_GROUP, Rpc::SINGLE_NODE_MULTI_WRITER}) {
    response->add_capabilities()->mutable_rpc()->set_type(type);
  }
  return grpc::Status::OK;
}

grpc::Status NodeService::NodeGetInfo(grpc::ServerContext*, const v1::NodeGetInfoRequest*,
                                      v1::NodeGetInfoResponse* response) {
  const auto addresses = nfs_client_addresses(options_.node_addresses, options_.nfs_server);
  if (!addresses) return csi_status(addresses.status());
  auto id = build_node_id({options_.node_name, options_.site, *addresses});
  if (!id) return csi_status(id.status());
  response->set_node_id(*id);
  response->set_max_volumes_per_node(kMostVolumes);
  (*response->mutable_accessible_topology()->mutable_segments())[options_.topology_key] = options_.site;
  return grpc::Status::OK;
}

// Answers every call with what is in the way, so that the orchestrator's events say it.
class BrokenNodeService final : public v1::Node::Service {
 public:
  explicit BrokenNodeService(Status why) : why_(std::move(why)) {}
  grpc::Status NodeStageVolume(grpc::ServerContext*, const v1::NodeStageVolumeRequest*,
                               v1::NodeStageVolumeResponse*) override {
    return csi_status(why_);
  }
  grpc::Status NodeUnstageVolume(grpc::ServerContext*, const v1::NodeUnstageVolumeRequest*,
                                 v1::NodeUnstageVolumeResponse*) override {
    return csi_status(why_);
  }
  grpc::Status NodePublishVolume(grpc::ServerContext*, const v1::NodePublishVolumeRequest*,
                                 v1::NodePublishVolumeResponse*) override {
    return csi_status(why_);
  }
  grpc::Status NodeUnpublishVolume(grpc::ServerContext*, const v1::NodeUnpublishVolumeRequest*,
                                   v1::NodeUnpublishVolumeResponse*) override {
    return csi_status(why_);
  }

 private:
  const Status why_;
};

}  // namespace

std::unique_ptr<::csi::v1::Node::Service> make_node_service(const CsiOptions& options) {
  const int timeout_ms = static_cast<int>(options.core_timeout_ms);
  std::shared_ptr<ControlPlane> control =
      make_control_plane({options.core_endpoints, timeout_ms, 2 * timeout_ms});
  NodeVolumesOptions volumes;
  volumes.node = options.node_name;
  volumes.publish_root = options.publish_root;
  volumes.state_dir = options.state_dir;
  volumes.mounter_socket_path = options.mounter_socket_path;
  volumes.nfs_server = options.nfs_server;
  volumes.facts = [control, node = options.node_name](const std::string& volume) {
    return ask_for_facts(*control, node, volume);
  };
  auto opened = NodeVolumes::open(std::move(volumes));
  if (!opened) {
    log(LogLevel::kError, "node", "cannot serve: " + opened.status().to_string());
    return std::make_unique<BrokenNodeService>(opened.status());
  }
  return std::make_unique<NodeService>(options, std::move(control), std::move(*opened));
}

Status probe_mounter(const CsiOptions& options, int timeout_ms) {
  const Status status = MounterClient(options.mounter_socket_path).ping(timeout_ms);
  if (status.is_ok()) return status;
  return {Code::kUnavailable, status.message() + "; is shima-csi --mounter running on this node?"};
}

}  // namespace shima
