#include "csi/options/csi_options.h"

#include <sys/un.h>

#include <algorithm>
#include <cctype>

#include "common/network/cidr.h"
#include "csi/server/node_identity.h"

namespace shima {
namespace {

using Type = OptionType;

constexpr size_t kMaxPathBytes = 4095;

std::vector<OptionSpec> role_specs() {
  return {
      {.name = "endpoint",
       .help = "Where to serve gRPC: unix:///PATH of a socket. An old socket that nobody listens on is "
               "replaced.",
       .required = true},
      {.name = "controller",
       .type = Type::kBool,
       .default_value = "false",
       .help = "Makes, deletes, publishes and expands volumes; one or a few in a Kubernetes cluster."},
      {.name = "node",
       .type = Type::kBool,
       .default_value = "false",
       .help = "Stages and publishes volumes on this node; one a node."},
      {.name = "mounter",
       .type = Type::kBool,
       .default_value = "false",
       .help =
           "Keeps FUSE mounts for the node plug-in of this node, which may restart meanwhile; a process of "
           "its own, without other roles."},
      {.name = "driver-name",
       .default_value = "shima.io",
       .help = "Name of the driver, as StorageClasses say in `provisioner`."},
      {.name = "core",
       .type = Type::kStringList,
       .min = 1,
       .max = 256,
       .help = "Control planes of core servers, HOST:PORT, tried in order: the own site's first.",
       .required = true},
      {.name = "core-timeout-ms",
       .type = Type::kDurationMs,
       .unit = "ms",
       .default_value = "10000",
       .min = 100,
       .max = 60'000,
       .help = "Limit of one call to the control plane."},
      {.name = "topology-key",
       .default_value = "topology.kubernetes.io/zone",
       .help = "Label of nodes whose value is the node's site."}};
}

std::vector<OptionSpec> node_specs() {
  return {
      {.name = "node-name",
       .help = "Name of this node; `node` needs it, and so does `mounter` without `site`."},
      {.name = "site",
       .help =
           "Site of this node; without it the label `topology-key` of Node `node-name` says it, read from "
           "the Kubernetes API as the pod's service account."},
      {.name = "node-addresses",
       .type = Type::kStringList,
       .max = 8,
       .help = "IPv4 and IPv6 addresses that this node's NFS client comes from, as access servers see them: "
               "behind NAT the outer one. Without it: the one that its route to `nfs-server` has. Only with "
               "`node`."},
      {.name = "publish-root",
       .default_value = "/var/lib/kubelet",
       .help = "Staging and target paths must lie below this directory."},
      {.name = "mounter-endpoint",
       .help = "unix:///PATH of this node's mounter; only with `node`, which needs it."},
      {.name = "nfs-server",
       .help =
           "HOST:PORT of the own site's access servers, for volumes of protocol nfs; without it there are "
           "none on this node. Only with `node`."},
      {.name = "state-dir",
       .help =
           "Directory for records of what is staged and mounted; `node` and `mounter` of a node need the "
           "same one, at the same path. What it says of mounts ends with a reboot: one below /run is right."},
      {.name = "accessserver",
       .help = "Absolute path of shima-accessserver; only with `mounter`, which needs it."}};
}

std::vector<OptionSpec> make_specs() {
  std::vector<OptionSpec> specs = role_specs();
  const std::vector<OptionSpec> rest = {{.name = "metrics-address",
                                         .default_value = "127.0.0.1",
                                         .help = "Address of /metrics (Prometheus) and /healthz."},
                                        {.name = "metrics-port",
                                         .type = Type::kInteger,
                                         .default_value = "0",
                                         .max = 65535,
                                         .help = "TCP port of /metrics (Prometheus) and /healthz; 0: off."},
                                        {.name = "log-level",
                                         .default_value = "info",
                                         .allowed = {"error", "warning", "info", "debug"},
                                         .help = "Least importance of what is logged."}};
  for (const auto& part : {node_specs(), rest}) specs.insert(specs.end(), part.begin(), part.end());
  return specs;
}

Status refuse(const Config& config, std::string_view key, const std::string& what) {
  return {Code::kInvalidArgument, config.origin(key) + ": " + what};
}

// A port of 1 to 65535 behind the last colon, and something in front of it.
bool is_endpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
    return false;
  return std::stoul(port) >= 1 && std::stoul(port) <= 65535;
}

// Absolute, not the root, without empty, "." and ".." parts: what is compared with other paths later must
// have one spelling.
bool is_plain_path(const std::string& path) {
  if (path.size() < 2 || path.size() > kMaxPathBytes || path.front() != '/' || path.back() == '/')
    return false;
  if (path.find('\0') != std::string::npos) return false;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

// Alphanumeric at both ends, "-", "_" and "." too between them, at most `limit` characters.
bool is_label_text(const std::string& text, size_t limit) {
  const auto alphanumeric = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  if (text.empty() || text.size() > limit || !alphanumeric(text.front()) || !alphanumeric(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

// A label's key: NAME or PREFIX/NAME (Kubernetes, "Labels and Selectors", syntax).
bool is_label_key(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return is_label_text(text, 63);
  return is_label_text(text.substr(0, slash), 253) && is_label_text(text.substr(slash + 1), 63);
}

Status take_path(const Config& config, const char* key, std::string& out) {
  out = config.text(key);
  if (out.empty() || is_plain_path(out)) return Status::ok();
  return refuse(config, key,
                "found \"" + out + "\", wanted an absolute path without //, /./, /../ or a slash at its end");
}

Status take_socket(const Config& config, const char* key, std::string& out) {
  const std::string text = config.text(key), scheme = "unix://";
  if (text.empty() && !config.given(key)) return Status::ok();
  const std::string path = text.starts_with(scheme) ? text.substr(scheme.size()) : "";
  if (!is_plain_path(path) || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return refuse(config, key,
                  "found \"" + text +
                      "\", wanted unix:///PATH of a socket, as in unix:///csi/csi.sock, of at most " +
                      std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
  }
  out = path;
  return Status::ok();
}

Status take_roles(const Config& config, CsiOptions& o) {
  o.controller = config.boolean("controller");
  o.node = config.boolean("node");
  o.mounter = config.boolean("mounter");
  if (!o.controller && !o.node && !o.mounter) {
    return {Code::kInvalidArgument, "no role is given; wanted --controller, --node, both, or --mounter"};
  }
  if (o.mounter && (o.controller || o.node)) {
    return refuse(
        config, "mounter",
        "is a process of its own, so that mounts outlive the others; leave out --controller and --node");
  }
  SHIMA_RETURN_IF_ERROR(take_socket(config, "endpoint", o.socket_path));
  o.driver_name = config.text("driver-name");
  if (!is_label_text(o.driver_name, 63) || o.driver_name.find('_') != std::string::npos) {
    return refuse(
        config, "driver-name",
        "found \"" + o.driver_name + "\", wanted 1 to 63 characters of a domain name, as in shima.io");
  }
  o.topology_key = config.text("topology-key");
  if (!is_label_key(o.topology_key)) {
    return refuse(
        config, "topology-key",
        "found \"" + o.topology_key + "\", wanted a label's key, as in topology.kubernetes.io/zone");
  }
  return Status::ok();
}

Status take_core(const Config& config, CsiOptions& o) {
  o.core_endpoints = config.list("core");
  for (const std::string& endpoint : o.core_endpoints) {
    if (is_endpoint(endpoint)) continue;
    return refuse(
        config, "core",
        "found \"" + endpoint + "\", wanted HOST:PORT or [IPV6]:PORT of a core server's control plane");
  }
  o.core_timeout_ms = static_cast<uint32_t>(config.number("core-timeout-ms"));
  return Status::ok();
}

// An option that its role needs, or that means nothing without it.
Status check_belongs(const Config& config, const char* key, bool role_is_given, bool needed,
                     const char* role) {
  if (role_is_given && needed && config.text(key).empty()) {
    return {Code::kInvalidArgument,
            "--" + std::string(role) + " needs --" + key + "; see --help for what it means"};
  }
  if (!role_is_given && config.given(key)) {
    return refuse(config, key,
                  "means something only with --" + std::string(role) + "; add that, or leave it out");
  }
  return Status::ok();
}

Status take_node_identity(const Config& config, CsiOptions& o) {
  o.node_name = config.text("node-name");
  o.site = config.text("site");
  o.node_addresses = config.list("node-addresses");
  if (!o.node && config.given("node-addresses")) {
    return refuse(config, "node-addresses", "means something only with --node; add that, or leave it out");
  }
  for (const std::string& address : o.node_addresses) {
    if (!parse_ip(address)) {
      return refuse(config, "node-addresses", "found \"" + address + "\", wanted IPv4 or IPv6 addresses");
    }
  }
  if (!o.node) return Status::ok();
  const std::string site = o.site.empty() ? "told-later" : o.site;
  const auto id = build_node_id({o.node_name, site, o.node_addresses});
  if (!id) return refuse(config, "node-name", id.status().message());
  return Status::ok();
}

Status take_node(const Config& config, CsiOptions& o) {
  SHIMA_RETURN_IF_ERROR(check_belongs(config, "mounter-endpoint", o.node, /*needed=*/true, "node"));
  const bool on_node = o.node || o.mounter;
  const char* role = o.mounter ? "mounter" : "node";
  SHIMA_RETURN_IF_ERROR(check_belongs(config, "site", on_node, /*needed=*/false, role));
  const bool needs_name = o.node || config.text("site").empty();
  SHIMA_RETURN_IF_ERROR(check_belongs(config, "node-name", on_node, needs_name, role));
  SHIMA_RETURN_IF_ERROR(check_belongs(config, "nfs-server", o.node, /*needed=*/false, "node"));
  SHIMA_RETURN_IF_ERROR(take_node_identity(config, o));
  SHIMA_RETURN_IF_ERROR(take_path(config, "publish-root", o.publish_root));
  SHIMA_RETURN_IF_ERROR(take_socket(config, "mounter-endpoint", o.mounter_socket_path));
  o.nfs_server = config.text("nfs-server");
  if (!o.nfs_server.empty() && !is_endpoint(o.nfs_server)) {
    return refuse(config, "nfs-server", "found \"" + o.nfs_server + "\", wanted HOST:PORT or [IPV6]:PORT");
  }
  return Status::ok();
}

Status take_local(const Config& config, CsiOptions& o) {
  SHIMA_RETURN_IF_ERROR(check_belongs(config, "state-dir", o.node || o.mounter, /*needed=*/true,
                                      o.mounter ? "mounter" : "node"));
  SHIMA_RETURN_IF_ERROR(check_belongs(config, "accessserver", o.mounter, /*needed=*/true, "mounter"));
  SHIMA_RETURN_IF_ERROR(take_path(config, "state-dir", o.state_dir));
  return take_path(config, "accessserver", o.accessserver_path);
}

}  // namespace

const std::vector<OptionSpec>& csi_option_specs() {
  static const std::vector<OptionSpec> specs = make_specs();
  return specs;
}

Result<CsiOptions> csi_options_from(const Config& config) {
  CsiOptions o;
  SHIMA_RETURN_IF_ERROR(take_roles(config, o));
  SHIMA_RETURN_IF_ERROR(take_core(config, o));
  SHIMA_RETURN_IF_ERROR(take_node(config, o));
  SHIMA_RETURN_IF_ERROR(take_local(config, o));
  o.metrics_address = config.text("metrics-address");
  o.metrics_port = static_cast<uint16_t>(config.number("metrics-port"));
  if (!parse_ip(o.metrics_address)) {
    return refuse(config, "metrics-address",
                  "found \"" + o.metrics_address + "\", wanted an IPv4 or IPv6 address");
  }
  o.log_level = config.text("log-level");
  return o;
}

}  // namespace shima
