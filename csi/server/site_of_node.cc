#include "csi/server/site_of_node.h"

#include <signal.h>

#include <chrono>

#include "common/kubernetes/api_client.h"
#include "common/kubernetes/node_label.h"
#include "common/observe/log.h"
#include "common/program/ending_signals.h"
#include "csi/server/node_identity.h"

namespace shima {
namespace {

constexpr timespec kRetry{2, 0};

// True: the process is to end.
bool pause() {
  const sigset_t ends = ending_signals();
  return sigtimedwait(&ends, nullptr, &kRetry) > 0;
}

}  // namespace

Result<CsiOptions> with_site(CsiOptions options) {
  if (!options.site.empty() || !(options.node || options.mounter)) return options;
  Result<ApiAccess> access = access_from_pod();
  if (!access)
    return access.status().with_context("--site is not given, and the label of node " + options.node_name +
                                        " cannot be read");
  ApiClient api(*access);
  Result<std::string> site = node_label(api, options.node_name, options.topology_key);
  while (!site && (site.status().code() == Code::kUnavailable || site.status().code() == Code::kInternal)) {
    log(LogLevel::kWarning, "csi", "waiting for the API server: " + site.status().to_string());
    if (pause()) return Status(Code::kUnavailable, "ended while waiting for the API server");
    site = node_label(api, options.node_name, options.topology_key);
  }
  if (!site) return site.status();
  const auto id = build_node_id({options.node_name, *site, options.node_addresses});
  if (!id) return id.status().with_context("label " + options.topology_key + " of node " + options.node_name);
  options.site = *site;
  log(LogLevel::kInfo, "csi",
      "node " + options.node_name + " is at site " + options.site + ", as its label says");
  return options;
}

}  // namespace shima
