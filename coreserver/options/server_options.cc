#include "coreserver/options/server_options.h"

#include <unistd.h>

#include <algorithm>
#include <set>

namespace shima {
namespace {

using Type = OptionType;

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] ? name : "localhost";
}

OptionSpec text(std::string name, std::string fallback, std::string help,
                std::vector<std::string> allowed = {}) {
  return {.name = std::move(name),
          .default_value = std::move(fallback),
          .allowed = std::move(allowed),
          .help = std::move(help)};
}
OptionSpec bounded(Type type, std::string name, std::string unit, std::string fallback, uint64_t min,
                   uint64_t max, std::string help) {
  return {.name = std::move(name),
          .type = type,
          .unit = std::move(unit),
          .default_value = std::move(fallback),
          .min = min,
          .max = max,
          .help = std::move(help)};
}
OptionSpec bytes(std::string name, std::string fallback, uint64_t min, uint64_t max, std::string help) {
  return bounded(Type::kBytes, std::move(name), "bytes", std::move(fallback), min, max, std::move(help));
}
OptionSpec port(std::string name, std::string help) {
  return bounded(Type::kInteger, std::move(name), "", "0", 0, 65535, std::move(help));
}

void add_network(std::vector<OptionSpec>& specs, const std::string& name, const std::string& who,
                 const std::string& fallback_address, const std::string& fallback_text) {
  std::string key = "networks." + name + ".";
  specs.push_back(
      text(key + "address", fallback_address,
           "Address to listen on for " + who + ": IPv4, IPv6 or a DNS name" + fallback_text + "."));
  specs.push_back(
      port(key + "port", "TCP port to listen on for " + who + "; 0: any free one" + fallback_text + "."));
  specs.push_back(
      text(key + "advertise", "", "Address that " + who + " connect to, if it is not the one listened on."));
}

std::vector<OptionSpec> identity_specs() {
  OptionSpec name = text("name", "", "Name of this server: SITE/core-N.");
  name.required = true;
  OptionSpec labels{.name = "site_labels",
                    .type = Type::kStringMap,
                    .help = "Labels that mean this site; used when the site's record is made."};
  OptionSpec cidrs{
      .name = "site_cidrs",
      .type = Type::kStringList,
      .max = 64,
      .help = "Subnets whose addresses belong to this site; used when the site's record is made."};
  OptionSpec etcd{.name = "etcd.endpoints",
                  .type = Type::kStringList,
                  .min = 1,
                  .max = 16,
                  .help = "etcd's client addresses, HOST:PORT; the first is preferred.",
                  .required = true};
  return {
      name,
      text("site", "", "Site of this server; the part of `name` before the slash."),
      text("failure_domain", "", "What fails as one with this server; default: the host's name."),
      labels,
      cidrs,
      etcd,
      bounded(Type::kDurationMs, "etcd.timeout_ms", "ms", "5000", 100, 60000, "Limit of one call of etcd.")};
}

std::vector<OptionSpec> make_specs() {
  std::vector<OptionSpec> specs = identity_specs();
  add_network(specs, "client", "volume clients", "127.0.0.1", "");
  add_network(specs, "storage", "servers of the same site", "", "; default: the client network's");
  add_network(specs, "wan", "servers of other sites", "", "; default: the client network's");
  OptionSpec path = text("path", "", "Directory of the disk's file system that Shima has for itself.");
  path.required = true;
  OptionSpec disks{.name = "disks",
                   .type = Type::kSectionList,
                   .min = 1,
                   .max = 64,
                   .help = "The disks of this server.",
                   .required = true,
                   .fields = {path}};
  const uint64_t mib = 1ull << 20, gib = 1ull << 30;
  std::vector<OptionSpec> rest = {
      port("control_port", "TCP port of gRPC on the client network's address; 0: any free one."),
      port("metrics_port", "TCP port of /metrics (Prometheus) on the client network's address; 0: off."),
      disks,
      bounded(Type::kInteger, "shards", "", "1", 1, 256, "Event loops; at most one a CPU core makes sense."),
      bounded(Type::kDurationMs, "lease_ttl_ms", "ms", "6000", 2000, 600000,
              "After so long without a sign of life others take this server for dead; at least three etcd "
              "elections."),
      bytes("journal.segment_bytes", "64MiB", 16 * mib, 4 * gib,
            "Size of one preallocated segment of a disk's journal."),
      bytes("journal.max_bytes", "12GiB", 64 * mib, 1024 * gib,
            "All segments of one disk's journal together; beyond it writes wait."),
      bytes("limits.lag_budget_bytes", "10GiB", mib, 1024 * gib,
            "A remote copy further behind than this is no longer waited for and needs a resync."),
      bytes("limits.unapplied_bytes", "64MiB", 8 * mib, 4 * gib,
            "Committed bytes that a replica group keeps in memory until they are in the block store."),
      bytes("limits.inflight_bytes", "64MiB", 8 * mib, 4 * gib,
            "Bytes of requests not yet answered, a connection."),
      bytes("limits.min_free_bytes", "256MiB", mib, 1024 * gib,
            "With less space on a disk, writes are refused."),
      text("test.disk_layer", "posix", "For tests only: a disk that loses what was not synced.",
           {"posix", "losing", "losing-ignore-sync"}),
      text("test.protocol_bug", "none", "For tests only: a fault of the protocol that checkers must find.",
           {"none", "ack-before-second-sync", "ship-before-commit", "trim-before-remote-durable",
            "no-term-check", "duplicate-executed-twice"}),
      text("log_level", "info", "Least importance of what is logged.",
           {"error", "warning", "info", "debug"})};
  specs.insert(specs.end(), rest.begin(), rest.end());
  return specs;
}

Status refuse(const Config& config, std::string_view key, const std::string& what) {
  return {Code::kInvalidArgument, config.origin(key) + ": " + what};
}

bool is_wildcard(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

Result<NetworkOptions> network_from(const Config& config, const std::string& name,
                                    const NetworkOptions* fallback) {
  std::string key = "networks." + name + ".";
  NetworkOptions n;
  n.address = config.text(key + "address");
  n.port = static_cast<uint16_t>(config.number(key + "port"));
  n.advertise = config.text(key + "advertise");
  bool own_address = config.given(key + "address");
  if (fallback && !own_address) n.address = fallback->address;
  if (fallback && !own_address && !config.given(key + "port")) n.port = fallback->port;
  if (fallback && !own_address && n.advertise.empty()) n.advertise = fallback->advertise;
  if (n.address.empty()) return refuse(config, key + "address", "must not be empty");
  for (std::string* address : {&n.address, &n.advertise}) {
    // Brackets belong to HOST:PORT notation.
    if (address->size() > 2 && address->front() == '[' && address->back() == ']') {
      *address = address->substr(1, address->size() - 2);
    }
  }
  if (n.advertise.empty()) n.advertise = n.address;
  if (is_wildcard(n.advertise)) {
    return refuse(config, key + "address",
                  "found " + n.advertise + ", which others cannot connect to; give " + key + "advertise");
  }
  return n;
}

Status take_identity(const Config& config, ServerOptions& o) {
  o.name = config.text("name");
  size_t slash = o.name.find('/');
  std::string digits = slash == std::string::npos ? "" : o.name.substr(slash + 1);
  bool named = slash != std::string::npos && slash > 0 && digits.starts_with("core-") && digits.size() > 5 &&
               digits.size() <= 15 && digits.find_first_not_of("0123456789", 5) == std::string::npos;
  if (!named)
    return refuse(config, "name", "found \"" + o.name + "\", wanted SITE/core-N, as in site-a/core-0");
  o.site = o.name.substr(0, slash);
  if (config.given("site") && config.text("site") != o.site) {
    return refuse(config, "site",
                  "found \"" + config.text("site") + "\", wanted \"" + o.site +
                      "\", the part of `name` before the slash");
  }
  o.failure_domain = config.text("failure_domain").empty() ? host_name() : config.text("failure_domain");
  o.site_labels = config.map("site_labels");
  o.site_cidrs = config.list("site_cidrs");
  o.etcd_endpoints = config.list("etcd.endpoints");
  o.etcd_timeout_ms = static_cast<uint32_t>(config.number("etcd.timeout_ms"));
  return Status::ok();
}

Status take_disks(const Config& config, ServerOptions& o) {
  std::set<std::string> paths;
  for (const Config& disk : config.sections("disks")) {
    const std::string& path = disk.text("path");
    if (!paths.insert(path).second)
      return refuse(disk, "path", "found " + path + " twice; each disk has its own");
    o.disks.push_back({path});
  }
  return Status::ok();
}

DiskLayer disk_layer_of(const std::string& name) {
  if (name == "losing") return DiskLayer::kLosing;
  return name == "losing-ignore-sync" ? DiskLayer::kLosingIgnoreSync : DiskLayer::kPosix;
}

}  // namespace

const std::vector<OptionSpec>& server_option_specs() {
  static const std::vector<OptionSpec> specs = make_specs();
  return specs;
}

Result<ServerOptions> server_options_from(const Config& config) {
  ServerOptions o;
  SHIMA_RETURN_IF_ERROR(take_identity(config, o));
  Result<NetworkOptions> client = network_from(config, "client", nullptr);
  if (!client) return client.status();
  o.client = *client;
  for (auto [name, network] : {std::pair{"storage", &o.storage}, std::pair{"wan", &o.wan}}) {
    Result<NetworkOptions> n = network_from(config, name, &o.client);
    if (!n) return n.status();
    *network = *n;
  }
  SHIMA_RETURN_IF_ERROR(take_disks(config, o));
  o.control_port = static_cast<uint16_t>(config.number("control_port"));
  o.metrics_port = static_cast<uint16_t>(config.number("metrics_port"));
  o.shards = static_cast<uint32_t>(config.number("shards"));
  o.lease_ttl_ms = static_cast<uint32_t>(config.number("lease_ttl_ms"));
  o.journal_segment_bytes = config.number("journal.segment_bytes");
  o.journal_max_bytes = config.number("journal.max_bytes");
  if (o.journal_max_bytes < 4 * o.journal_segment_bytes) {
    return refuse(config, "journal.max_bytes",
                  "found " + format_bytes(o.journal_max_bytes) +
                      ", wanted at least four times journal.segment_bytes, " +
                      format_bytes(4 * o.journal_segment_bytes));
  }
  o.lag_budget_bytes = config.number("limits.lag_budget_bytes");
  o.unapplied_bytes = config.number("limits.unapplied_bytes");
  o.inflight_bytes = config.number("limits.inflight_bytes");
  o.min_free_bytes = config.number("limits.min_free_bytes");
  o.disk_layer = disk_layer_of(config.text("test.disk_layer"));
  o.protocol_bug = config.text("test.protocol_bug");
  o.log_level = config.text("log_level");
  return o;
}

}  // namespace shima
