#include "csi/server/serving.h"

#include <memory>
#include <vector>

#include "accessserver/server/access_metrics.h"
#include "common/observe/log.h"
#include "common/program/ending_signals.h"
#include "csi/controller/control_plane.h"
#include "csi/controller/controller_service.h"
#include "csi/identity/identity_service.h"
#include "csi/identity/readiness.h"
#include "csi/node/node_service.h"
#include "csi/server/call_records.h"
#include "csi/server/csi_server.h"

namespace shima {
namespace {

constexpr int kProbeMs = 3000;  // sidecars give a probe some seconds

// Null, if metrics are off.
Result<std::unique_ptr<AccessMetrics>> start_metrics(const CsiOptions& options, const CallRecords& records) {
  if (options.metrics_port == 0) return std::unique_ptr<AccessMetrics>();
  const std::string name = options.node ? options.node_name : "controller";
  return AccessMetrics::start(options.metrics_address, options.metrics_port, name,
                              [&records] { return records.samples(); });
}

std::string roles_of(const CsiOptions& options) {
  return options.controller && options.node ? "controller and node plug-in"
         : options.controller               ? "controller"
                                            : "node plug-in of " + options.node_name;
}

}  // namespace

Status serve_csi(const CsiOptions& options) {
  SHIMA_RETURN_IF_ERROR(
      make_room_for_socket(options.socket_path));  // before anything is repaired at the node
  CallRecords records;
  auto metrics = start_metrics(options, records);
  if (!metrics) return metrics.status();
  const int timeout_ms = static_cast<int>(options.core_timeout_ms);
  const std::unique_ptr<ControlPlane> plane =
      make_control_plane({options.core_endpoints, timeout_ms, 2 * timeout_ms});
  const std::unique_ptr<ControlPlane> probed = make_control_plane({options.core_endpoints, kProbeMs});
  Readiness readiness(*probed, options, [&options] { return probe_mounter(options, kProbeMs); });
  const auto identity = make_identity_service(options, readiness);
  std::vector<grpc::Service*> services{identity.get()};
  std::unique_ptr<::csi::v1::Controller::Service> controller;
  std::unique_ptr<::csi::v1::Node::Service> node;
  if (options.controller) {
    controller = make_controller_service(*plane, options.topology_key);
    services.push_back(controller.get());
  }
  if (options.node) {
    node = make_node_service(options);
    services.push_back(node.get());
  }
  auto server = CsiServer::start(options.socket_path, services, records, options.log_level == "debug");
  if (!server) return server.status();
  log(LogLevel::kInfo, "csi",
      options.driver_name + " serves as " + roles_of(options) + " at " + options.socket_path);
  wait_for_ending_signal();
  return Status::ok();
}

}  // namespace shima
