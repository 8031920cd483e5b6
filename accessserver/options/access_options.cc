#include "accessserver/options/access_options.h"

#include <algorithm>
#include <cctype>

namespace shima {
namespace {

using Type = OptionType;

constexpr const char* kNfsAddress = "0.0.0.0";

std::vector<OptionSpec> identity_specs() {
  return {
      {.name = "name", .help = "Name of this server: SITE/NAME, as in site-a/access-0.", .required = true},
      {.name = "site", .help = "Site of this server; the part of `name` before the slash."},
      {.name = "core.endpoints",
       .type = Type::kStringList,
       .min = 1,
       .max = 256,
       .help = "Control planes of core servers, HOST:PORT, tried in order: the own site's first.",
       .required = true},
      {.name = "core.timeout_ms",
       .type = Type::kDurationMs,
       .unit = "ms",
       .default_value = "5000",
       .min = 100,
       .max = 60000,
       .help = "Limit of one call to the control plane."}};
}

std::vector<OptionSpec> nfs_specs() {
  return {
      {.name = "nfs.address",
       .default_value = kNfsAddress,
       .help = "Address to serve NFS on: IPv4 or IPv6; :: is both."},
      {.name = "nfs.port",
       .type = Type::kInteger,
       .default_value = "2049",
       .max = 65535,
       .help = "TCP port of NFS and MOUNT; 0: any free one."},
      {.name = "nfs.exports",
       .type = Type::kStringList,
       .max = 256,
       .help =
           "Who may use volumes: CIDR:MODE:SQUASH, with MODE rw or ro, and SQUASH no_root_squash, "
           "root_squash or "
           "all_squash; the first that fits decides, who fits none is refused. Without it: everybody, rw, "
           "no_root_squash."},
      {.name = "nfs.anonymous_uid",
       .type = Type::kInteger,
       .default_value = "65534",
       .max = UINT32_MAX,
       .help = "User that squashed requests are done as."},
      {.name = "nfs.anonymous_gid",
       .type = Type::kInteger,
       .default_value = "65534",
       .max = UINT32_MAX,
       .help = "Group that squashed requests are done as."},
      {.name = "nfs.threads",
       .type = Type::kInteger,
       .default_value = "2",
       .min = 1,
       .max = 64,
       .help = "Event loops that clients' connections are spread over."},
      {.name = "nfs.max_connections",
       .type = Type::kInteger,
       .default_value = "1024",
       .min = 1,
       .max = 65536,
       .help = "More clients than these are not accepted."},
      {.name = "nfs.portmapper_port",
       .type = Type::kInteger,
       .default_value = "0",
       .max = 65535,
       .help = "Also answers the portmapper's questions for NFS and MOUNT, for clients that cannot be told a "
               "port; they "
               "ask at 111. 0: not. Where rpcbind runs, 111 is taken."},
      {.name = "nfs.shared_address",
       .help =
           "ADDRESS/PREFIX@INTERFACE, as in 10.1.0.5/24@eth0: the one address of the site's access servers. "
           "Whoever holds a lease in etcd has it on that interface, and serves NFS there too. Not in "
           "Kubernetes, where a Service does this. Takes CAP_NET_ADMIN and CAP_NET_RAW."},
      {.name = "etcd.endpoints",
       .type = Type::kStringList,
       .max = 64,
       .help = "Members of etcd, HOST:PORT, the own site's first. A server that serves NFS registers there: "
               "needed "
               "for volumes that are for published nodes only, and for nfs.shared_address; its name is then "
               "SITE/access-N."}};
}

std::vector<OptionSpec> mount_specs() {
  return {
      {.name = "mount",
       .help = "Directory to mount `volume` at with FUSE; without it the server serves NFS."},
      {.name = "volume", .help = "Name of the volume to mount; only with `mount`."},
      {.name = "node",
       .help = "Node that the mount is for, as `shimactl volume publish` names it; only with `publication`."},
      {.name = "publication",
       .type = Type::kInteger,
       .default_value = "0",
       .max = INT64_MAX,
       .help =
           "Id of the volume's publication on `node`; when it is taken away, core servers refuse whatever "
           "the mount asks. 0: none, which will do for volumes that are not for published nodes only."},
      {.name = "read_only",
       .type = Type::kBool,
       .default_value = "false",
       .help = "The FUSE mount changes nothing."},
      {.name = "fuse.cache",
       .default_value = "pages",
       .allowed = {"pages", "none"},
       .help =
           "`pages`: the kernel may answer reads from memory after it has compared size and mtime with the "
           "volume's, as shared mmap needs; `none`: every read asks the volume."},
      {.name = "fuse.attribute_timeout_ms",
       .type = Type::kDurationMs,
       .unit = "ms",
       .default_value = "0",
       .max = 60'000,
       .help =
           "How long the kernel may believe names and attributes; more than 0 only for volumes that nobody "
           "else changes, since others' changes are seen so much later."},
      {.name = "fuse.threads",
       .type = Type::kInteger,
       .default_value = "4",
       .min = 1,
       .max = 64,
       .help = "Threads that take requests of the kernel."}};
}

std::vector<OptionSpec> make_specs() {
  std::vector<OptionSpec> specs = identity_specs();
  for (const auto& part : {nfs_specs(), mount_specs()}) specs.insert(specs.end(), part.begin(), part.end());
  const std::vector<OptionSpec> rest = {
      {.name = "metrics.address",
       .default_value = "127.0.0.1",
       .help = "Address of /metrics (Prometheus) and /healthz."},
      {.name = "metrics.port",
       .type = Type::kInteger,
       .default_value = "0",
       .max = 65535,
       .help = "TCP port of /metrics (Prometheus) and /healthz; 0: off."},
      {.name = "limits.deadline_ms",
       .type = Type::kDurationMs,
       .unit = "ms",
       .default_value = "300000",
       .min = 1000,
       .max = 86'400'000,
       .help = "An operation on a volume that its core servers have not answered for so long fails: "
               "ETIMEDOUT for a FUSE "
               "mount; an NFS client is told to ask again."},
      {.name = "limits.inflight_bytes",
       .type = Type::kBytes,
       .unit = "bytes",
       .default_value = "64MiB",
       .min = 8ull << 20,
       .max = 4ull << 30,
       .help = "Bytes sent to core servers and not yet answered, a volume; more wait."},
      {.name = "log_level",
       .default_value = "info",
       .allowed = {"error", "warning", "info", "debug"},
       .help = "Least importance of what is logged."}};
  specs.insert(specs.end(), rest.begin(), rest.end());
  return specs;
}

Status refuse(const Config& config, std::string_view key, const std::string& what) {
  return {Code::kInvalidArgument, config.origin(key) + ": " + what};
}

bool is_part_of_name(const std::string& text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), allowed);
}

// The same rule as for a publication's node (coreserver/cluster/records.cc).
bool is_node_name(const std::string& text) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const auto allowed = [&](char c) { return plain(c) || c == '-' || c == '_' || c == '.' || c == ':'; };
  return !text.empty() && text.size() <= 253 && plain(text[0]) && std::ranges::all_of(text, allowed);
}

bool is_endpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  return colon != std::string::npos && colon > 0 && !port.empty() && port.size() <= 5 &&
         port.find_first_not_of("0123456789") == std::string::npos;
}

Status take_identity(const Config& config, AccessOptions& o) {
  o.name = config.text("name");
  const size_t slash = o.name.find('/');
  if (slash == std::string::npos || !is_part_of_name(o.name.substr(0, slash)) ||
      !is_part_of_name(o.name.substr(slash + 1))) {
    return refuse(config, "name", "found \"" + o.name + "\", wanted SITE/NAME, as in site-a/access-0");
  }
  o.site = o.name.substr(0, slash);
  if (config.given("site") && config.text("site") != o.site) {
    return refuse(config, "site",
                  "found \"" + config.text("site") + "\", wanted \"" + o.site +
                      "\", the part of `name` before the slash");
  }
  o.core_endpoints = config.list("core.endpoints");
  for (const std::string& endpoint : o.core_endpoints) {
    if (is_endpoint(endpoint)) continue;
    return refuse(
        config, "core.endpoints",
        "found \"" + endpoint + "\", wanted HOST:PORT or [IPV6]:PORT of a core server's control plane");
  }
  o.core_timeout_ms = static_cast<uint32_t>(config.number("core.timeout_ms"));
  return Status::ok();
}

Status take_exports(const Config& config, AccessOptions& o) {
  std::vector<std::string> rules = config.list("nfs.exports");
  if (!config.given("nfs.exports")) rules = {"0.0.0.0/0:rw:no_root_squash", "::/0:rw:no_root_squash"};
  for (const std::string& text : rules) {
    Result<ExportRule> rule = parse_export_rule(text);
    if (!rule) return refuse(config, "nfs.exports", rule.status().message());
    rule->access.anonymous_uid = static_cast<uint32_t>(config.number("nfs.anonymous_uid"));
    rule->access.anonymous_gid = static_cast<uint32_t>(config.number("nfs.anonymous_gid"));
    o.export_rules.push_back(*rule);
  }
  return Status::ok();
}

Status take_shared_address(const Config& config, AccessOptions& o) {
  o.etcd_endpoints = config.list("etcd.endpoints");
  if (config.text("nfs.shared_address").empty()) return Status::ok();
  auto address = parse_interface_address(config.text("nfs.shared_address"));
  if (!address) return refuse(config, "nfs.shared_address", address.status().message());
  o.shared_address = *address;
  if (o.etcd_endpoints.empty())
    return refuse(config, "nfs.shared_address",
                  "wanted etcd.endpoints too: a lease in etcd says whose it is");
  return Status::ok();
}

Status take_nfs(const Config& config, AccessOptions& o) {
  o.nfs_address = config.text("nfs.address");
  if (!parse_ip(o.nfs_address)) {
    return refuse(config, "nfs.address", "found \"" + o.nfs_address + "\", wanted an IPv4 or IPv6 address");
  }
  o.nfs_port = static_cast<uint16_t>(config.number("nfs.port"));
  o.portmapper_port = static_cast<uint16_t>(config.number("nfs.portmapper_port"));
  o.nfs_threads = static_cast<uint32_t>(config.number("nfs.threads"));
  o.max_connections = static_cast<uint32_t>(config.number("nfs.max_connections"));
  SHIMA_RETURN_IF_ERROR(take_shared_address(config, o));
  return take_exports(config, o);
}

Status take_mount(const Config& config, AccessOptions& o) {
  o.mount = config.text("mount");
  o.volume = config.text("volume");
  o.node = config.text("node");
  o.publication = config.number("publication");
  o.read_only = config.boolean("read_only");
  o.cache_pages = config.text("fuse.cache") == "pages";
  o.attribute_timeout_ms = static_cast<uint32_t>(config.number("fuse.attribute_timeout_ms"));
  o.fuse_threads = static_cast<uint32_t>(config.number("fuse.threads"));
  if (o.mount.empty()) {
    for (const char* key : {"volume", "node", "publication", "read_only", "fuse.cache",
                            "fuse.attribute_timeout_ms", "fuse.threads"}) {
      if (config.given(key)) {
        return refuse(config, key,
                      "means something only for a FUSE mount; give --mount DIRECTORY too, or leave it out");
      }
    }
    return Status::ok();
  }
  if (o.mount.front() != '/') {
    return refuse(config, "mount", "found \"" + o.mount + "\", wanted an absolute path of a directory");
  }
  if (o.volume.empty())
    return refuse(config, "mount", "wanted the volume to mount there as well: --volume NAME");
  if (o.node.empty() != (o.publication == 0)) {
    return refuse(
        config, o.node.empty() ? "publication" : "node",
        "a node and its publication of the volume go together: wanted --node NODE --publication ID, or "
        "neither");
  }
  if (!o.node.empty() && !is_node_name(o.node)) {
    return refuse(config, "node",
                  "found \"" + o.node +
                      "\", wanted 1 to 253 of letters, digits, '-', '_', '.' and ':', the "
                      "first a letter or a digit");
  }
  return Status::ok();
}

}  // namespace

const std::vector<OptionSpec>& access_option_specs() {
  static const std::vector<OptionSpec> specs = make_specs();
  return specs;
}

Result<AccessOptions> access_options_from(const Config& config) {
  AccessOptions o;
  SHIMA_RETURN_IF_ERROR(take_identity(config, o));
  SHIMA_RETURN_IF_ERROR(take_nfs(config, o));
  SHIMA_RETURN_IF_ERROR(take_mount(config, o));
  o.metrics_address = config.text("metrics.address");
  o.metrics_port = static_cast<uint16_t>(config.number("metrics.port"));
  o.deadline_ms = static_cast<uint32_t>(config.number("limits.deadline_ms"));
  o.inflight_bytes = config.number("limits.inflight_bytes");
  o.log_level = config.text("log_level");
  return o;
}

}  // namespace shima
