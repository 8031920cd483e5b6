#include "accessserver/nfs/nfs_server.h"

#include <algorithm>

#include "accessserver/nfs/mount_program.h"
#include "accessserver/nfs/nfs3_program.h"
#include "accessserver/nfs/portmap_program.h"
#include "accessserver/nfs/rpc/rpc_server.h"

namespace shima {
namespace {

constexpr const char* kNfsNames[kNfs3Procedures] = {
    "NULL",    "GETATTR",     "SETATTR", "LOOKUP", "ACCESS",   "READLINK", "READ",   "WRITE",
    "CREATE",  "MKDIR",       "SYMLINK", "MKNOD",  "REMOVE",   "RMDIR",    "RENAME", "LINK",
    "READDIR", "READDIRPLUS", "FSSTAT",  "FSINFO", "PATHCONF", "COMMIT"};
constexpr const char* kMountNames[kMountProcedures] = {"MOUNT_NULL", "MOUNT_MNT",     "MOUNT_DUMP",
                                                       "MOUNT_UMNT", "MOUNT_UMNTALL", "MOUNT_EXPORT"};

class TcpNfsServer final : public NfsServer {
 public:
  TcpNfsServer(Exports& exports, size_t remembered_replies) : programs_(remembered_replies) {
    programs_.add(std::make_unique<Nfs3Program>(exports, nfs_counters_));
    programs_.add(std::make_unique<MountProgram>(3, exports, mounts_, mount_counters_));
    programs_.add(std::make_unique<MountProgram>(1, exports, mounts_, mount_counters_));
  }

  Status listen(const std::vector<EventLoop*>& loops, const NfsServerOptions& options) {
    RpcServerOptions rpc;
    rpc.address = options.address;
    rpc.port = options.port;
    rpc.max_connections = options.max_connections;
    rpc.max_connection_bytes = options.max_connection_bytes;
    rpc.max_total_bytes = options.max_total_bytes;
    Result<std::unique_ptr<RpcServer>> opened = RpcServer::open(loops, rpc, programs_);
    if (!opened) return opened.status();
    server_ = std::move(*opened);
    return options.portmapper_port == 0 ? Status() : listen_portmapper(loops, rpc, options.portmapper_port);
  }

  uint16_t port() const override { return server_->port(); }

  NfsStatistics statistics() const override {
    NfsStatistics s;
    for (uint32_t i = 0; i < kNfs3Procedures; i++) {
      s.procedures[kNfsNames[i]] = {nfs_counters_.requests[i], nfs_counters_.errors[i]};
    }
    for (uint32_t i = 0; i < kMountProcedures; i++) {
      s.procedures[kMountNames[i]].requests = mount_counters_.requests[i];
    }
    s.procedures["MOUNT_MNT"].errors = mount_counters_.refused;
    const RpcCounters& rpc = programs_.counters();
    s.calls = rpc.calls;
    s.refused_calls = rpc.refused;
    s.repeated_calls = rpc.repetitions;
    const RpcServerCounters& tcp = server_->counters();
    s.malformed = tcp.malformed;
    s.connections_accepted = tcp.accepted;
    s.connections_refused = tcp.refused;
    s.connections_open = tcp.open;
    s.bytes_in = tcp.bytes_in;
    s.bytes_out = tcp.bytes_out;
    s.reading_paused = tcp.pauses;
    s.bound_bytes = tcp.bound_bytes;
    return s;
  }

 private:
  // Few ask, seldom, and little.
  Status listen_portmapper(const std::vector<EventLoop*>& loops, RpcServerOptions rpc, uint16_t port) {
    rpc.port = port;
    rpc.max_connections = std::min<uint32_t>(rpc.max_connections, 256);
    rpc.max_record_bytes = 4096;
    rpc.max_connection_bytes = rpc.max_total_bytes = 1u << 20;
    std::vector<PortmapProgram::Mapping> mappings = {
        {kNfsProgram, 3}, {kMountProgram, 3}, {kMountProgram, 1}};
    portmap_programs_.add(std::make_unique<PortmapProgram>(std::move(mappings), server_->port()));
    Result<std::unique_ptr<RpcServer>> opened = RpcServer::open({loops[0]}, rpc, portmap_programs_);
    if (!opened) return opened.status().with_context("the portmapper");
    portmapper_ = std::move(*opened);
    return {};
  }

  Nfs3Counters nfs_counters_;
  MountCounters mount_counters_;
  MountList mounts_;
  RpcPrograms programs_, portmap_programs_{0};
  std::unique_ptr<RpcServer> server_, portmapper_;  // last: they go first, and wait for the calls in work
};

}  // namespace

Result<std::unique_ptr<NfsServer>> NfsServer::open(const std::vector<EventLoop*>& loops,
                                                   const NfsServerOptions& options, Exports& exports) {
  auto server = std::make_unique<TcpNfsServer>(exports, options.remembered_replies);
  SHIMA_RETURN_IF_ERROR(server->listen(loops, options));
  return std::unique_ptr<NfsServer>(std::move(server));
}

}  // namespace shima
