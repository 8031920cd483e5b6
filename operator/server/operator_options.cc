#include "operator/server/operator_options.h"

#include <unistd.h>

#include "common/network/cidr.h"

namespace shima {
namespace {

using Type = OptionType;

std::vector<OptionSpec> make_specs() {
  return {
      {.name = "kubeconfig",
       .help = "Kubeconfig file that says where the API server is and as whom to ask it; without it: the "
               "service account of the pod that this program runs in."},
      {.name = "context", .help = "Context of the kubeconfig file; without it: its current one."},
      {.name = "namespaces",
       .type = Type::kStringList,
       .max = 256,
       .help = "Namespaces whose ShimaClusters are looked after; without it: all."},
      {.name = "leader-election",
       .type = Type::kBool,
       .default_value = "true",
       .help = "Act only while holding the Lease, so that several may run and one takes over; false is for "
               "one process alone."},
      {.name = "lease-name",
       .default_value = "shima-operator",
       .help = "Name of the Lease; operators that look after the same ShimaClusters need the same one."},
      {.name = "lease-namespace",
       .help = "Namespace of the Lease; without it: that of the credentials, and shima-system if they say "
               "none."},
      {.name = "image",
       .help =
           "Image that this program runs from, of which etcd's pods take shima-etcd-guard; without it: that "
           "of the ShimaCluster, which then must not be older than this program."},
      {.name = "identity",
       .help = "Name of this process in the Lease and in Events; without it: the host's name, which in a "
               "pod is the pod's."},
      {.name = "health-interval",
       .type = Type::kDurationMs,
       .unit = "ms",
       .default_value = "10s",
       .min = 1'000,
       .max = 300'000,
       .help = "Between two looks at the core servers of a ShimaCluster."},
      {.name = "upgrade-settle",
       .type = Type::kDurationMs,
       .unit = "ms",
       .default_value = "10s",
       .min = 1'000,
       .max = 600'000,
       .help = "In a rolling upgrade, after the last change of a pod: how long to wait before the core "
               "servers' word counts that all copies are whole; more than their lease_ttl_ms."},
      {.name = "metrics-address",
       .default_value = "0.0.0.0",
       .help = "Address of /metrics (Prometheus), /healthz and /readyz."},
      {.name = "metrics-port",
       .type = Type::kInteger,
       .default_value = "8080",
       .max = 65535,
       .help = "TCP port of /metrics (Prometheus), /healthz and /readyz; 0: off."},
      {.name = "log-level",
       .default_value = "info",
       .allowed = {"error", "warning", "info", "debug"},
       .help = "Least importance of what is logged."}};
}

Status refuse(const Config& config, const char* key, const std::string& what) {
  return {Code::kInvalidArgument, config.origin(key) + ": " + what};
}

bool is_dns_label(const std::string& text) {
  constexpr char kAllowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !text.empty() && text.size() <= 63 && text.find_first_not_of(kAllowed) == std::string::npos &&
         text.front() != '-' && text.back() != '-';
}

std::string own_host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] ? name : "shima-operator";
}

Status take_lease(const Config& config, OperatorOptions& o) {
  o.leader_election = config.boolean("leader-election");
  o.lease_name = config.text("lease-name");
  if (!is_dns_label(o.lease_name))
    return refuse(
        config, "lease-name",
        "found \"" + o.lease_name + "\", wanted 1 to 63 characters [a-z0-9-], as in shima-operator");
  o.lease_namespace = config.text("lease-namespace");
  if (!o.lease_namespace.empty() && !is_dns_label(o.lease_namespace))
    return refuse(config, "lease-namespace",
                  "found \"" + o.lease_namespace + "\", wanted a namespace's name");
  o.identity = config.text("identity").empty() ? own_host_name() : config.text("identity");
  if (o.identity.size() > 128)
    return refuse(config, "identity",
                  "has " + std::to_string(o.identity.size()) + " characters, wanted at most 128");
  return Status::ok();
}

Status take_image(const Config& config, OperatorOptions& o) {
  o.image = config.text("image");
  constexpr size_t kMostBytes = 512;
  if (o.image.size() <= kMostBytes && o.image.find_first_of(" \t\r\n") == std::string::npos)
    return Status::ok();
  return refuse(config, "image",
                "found \"" + o.image.substr(0, 64) +
                    "\", wanted an image of at most 512 characters without blanks, as in shima/shima:0.1.0");
}

}  // namespace

const std::vector<OptionSpec>& operator_option_specs() {
  static const std::vector<OptionSpec> specs = make_specs();
  return specs;
}

Result<OperatorOptions> operator_options_from(const Config& config) {
  OperatorOptions o;
  o.kubeconfig = config.text("kubeconfig");
  o.context = config.text("context");
  if (o.kubeconfig.empty() && !o.context.empty())
    return refuse(config, "context", "means something only with --kubeconfig; add that, or leave it out");
  for (const std::string& name : config.list("namespaces")) {
    if (!is_dns_label(name))
      return refuse(config, "namespaces", "found \"" + name + "\", wanted names of namespaces");
    o.namespaces.insert(name);
  }
  SHIMA_RETURN_IF_ERROR(take_lease(config, o));
  SHIMA_RETURN_IF_ERROR(take_image(config, o));
  o.health_interval_ms = config.number("health-interval");
  o.settle_ms = config.number("upgrade-settle");
  o.metrics_address = config.text("metrics-address");
  if (!parse_ip(o.metrics_address))
    return refuse(config, "metrics-address",
                  "found \"" + o.metrics_address + "\", wanted an IPv4 or IPv6 address");
  o.metrics_port = static_cast<uint16_t>(config.number("metrics-port"));
  o.log_level = config.text("log-level");
  return o;
}

}  // namespace shima
