#include <algorithm>

#include "coreserver/cluster/record_protobuf.h"
#include "coreserver/rpc/services.h"
#include "shima/cluster/v1/cluster.grpc.pb.h"

namespace shima {
namespace {

using namespace cluster::v1;  // NOLINT: the messages of this service

constexpr uint32_t kWaitTimeoutMs = 5000;
constexpr uint32_t kMaxWaitTimeoutMs = 30000;

void fill(const ServerInfo& server, cluster::v1::ServerSoftware& out) {
  out.set_server(server.name);
  out.set_alive(server.alive);
  out.set_software(server.software.version);
  out.set_release(server.software.release);
  out.set_formats_level(server.software.formats_level);
  out.set_protocol_min(server.software.protocol_min);
  out.set_protocol_max(server.software.protocol_max);
}

void encode_software(const ClusterStatus& status, GetStatusReply& reply) {
  for (const ServerInfo& server : status.software) fill(server, *reply.add_software());
  reply.set_formats_level(status.formats_level);
  for (const shima::RefusedStart& refused : status.refused) {
    auto& out = *reply.add_refused();
    out.set_server(refused.server);
    out.set_software(refused.version);
    out.set_reason(refused.reason);
  }
}

void encode_status(const ClusterStatus& status, GetStatusReply& reply) {
  reply.set_etcd_reachable(status.etcd_reachable);
  reply.set_etcd_error(status.etcd_error);
  reply.set_stale_ms(status.stale_ms);
  reply.set_sites(status.sites);
  reply.set_servers(status.servers);
  reply.set_servers_alive(status.servers - static_cast<uint32_t>(status.servers_away.size()));
  for (const std::string& name : status.servers_away) reply.add_servers_away(name);
  for (const shima::VolumeHealth& volume : status.volumes) {
    auto& out = *reply.add_volumes();
    out.set_name(volume.name);
    out.set_healthy(volume.reasons.empty());
    for (const std::string& reason : volume.reasons) out.add_reasons(reason);
  }
}

class ClusterServiceImpl final : public ClusterService::Service {
 public:
  explicit ClusterServiceImpl(ServerFacade& facade) : facade_(facade) {}

  grpc::Status GetStatus(grpc::ServerContext* context, const GetStatusRequest*,
                         GetStatusReply* reply) override {
    auto status = facade_.status();
    if (!status) return refuse(context, status.status());
    reply->set_server(facade_.server_name());
    reply->set_incarnation(facade_.incarnation().value);
    encode_status(*status, *reply);
    encode_software(*status, *reply);
    return grpc::Status::OK;
  }

  grpc::Status ListSites(grpc::ServerContext* context, const ListSitesRequest*,
                         ListSitesReply* reply) override {
    auto sites = facade_.list_sites();
    if (!sites) return refuse(context, sites.status());
    for (const SiteInfo& site : *sites) *reply->add_sites() = to_record(site);
    reply->set_stale_ms(facade_.stale_ms());
    return grpc::Status::OK;
  }

  grpc::Status AddSite(grpc::ServerContext* context, const AddSiteRequest* request,
                       AddSiteReply* reply) override {
    SiteInfo site;
    site.name = request->name();
    site.labels.insert(request->labels().begin(), request->labels().end());
    site.cidrs.assign(request->cidrs().begin(), request->cidrs().end());
    auto added = facade_.add_site(site);
    if (!added) return refuse(context, added.status());
    *reply->mutable_site() = to_record(*added);
    return grpc::Status::OK;
  }

  grpc::Status ListServers(grpc::ServerContext* context, const ListServersRequest*,
                           ListServersReply* reply) override {
    auto servers = facade_.list_servers();
    if (!servers) return refuse(context, servers.status());
    std::sort(servers->begin(), servers->end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const ServerInfo& server : *servers) {
      auto& out = *reply->add_servers();
      *out.mutable_record() = to_record(server);
      out.set_alive(server.alive);
      fill(server, *out.mutable_software());
    }
    reply->set_stale_ms(facade_.stale_ms());
    return grpc::Status::OK;
  }

  grpc::Status WaitForRevision(grpc::ServerContext* context, const WaitForRevisionRequest* request,
                               WaitForRevisionReply* reply) override {
    const uint32_t timeout_ms = request->timeout_ms() ? request->timeout_ms() : kWaitTimeoutMs;
    auto reached =
        facade_.wait_for_revision(EtcdRevision(request->revision()), VolumeId(request->committed_volume()),
                                  std::min(timeout_ms, kMaxWaitTimeoutMs));
    if (!reached) return refuse(context, reached.status());
    reply->set_revision(reached->value);
    reply->set_server_id(facade_.server_id().value);
    reply->set_incarnation(facade_.incarnation().value);
    return grpc::Status::OK;
  }

 private:
  ServerFacade& facade_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_cluster_service(ServerFacade& facade) {
  return std::make_unique<ClusterServiceImpl>(facade);
}

}  // namespace shima
