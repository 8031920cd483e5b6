#include "operator/spec/server_option_rules.h"

#include <algorithm>
#include <vector>

#include "accessserver/options/access_options.h"
#include "coreserver/options/server_options.h"
#include "csi/controller/class_parameters.h"

namespace shima {
namespace {

using Texts = std::map<std::string, std::string>;

// A name that ends with a dot stands for all options below it.
const std::vector<std::string> kSetForCoreServers = {
    "name",      "site",         "failure_domain", "site_labels", "etcd.endpoints",
    "networks.", "control_port", "metrics_port",   "disks",       "test."};
// Those of FUSE mounts, which CSI's mounter makes, and what a Service does instead.
const std::vector<std::string> kSetForAccessServers = {"name",
                                                       "site",
                                                       "core.endpoints",
                                                       "nfs.address",
                                                       "nfs.port",
                                                       "nfs.portmapper_port",
                                                       "nfs.shared_address",
                                                       "etcd.endpoints",
                                                       "metrics.",
                                                       "mount",
                                                       "volume",
                                                       "node",
                                                       "publication",
                                                       "read_only",
                                                       "fuse."};

bool is_set_by_operator(const std::string& name, const std::vector<std::string>& ours) {
  return std::any_of(ours.begin(), ours.end(), [&](const std::string& own) {
    return own.back() == '.' ? name.starts_with(own) : name == own;
  });
}

Status wrong(const std::string& path, const std::string& name, const std::string& why) {
  return {Code::kInvalidArgument, path + "." + name + ": " + why};
}

Status check_one(const std::vector<OptionSpec>& specs, const std::string& name, const std::string& value,
                 const std::string& path) {
  std::vector<OptionSpec> optional = specs;
  for (OptionSpec& spec : optional) spec.required = false;
  const auto parsed = parse_config(optional, "", "", {"--" + name + "=" + value});
  return parsed ? Status::ok() : wrong(path, name, parsed.status().message());
}

Status check_each(const std::vector<OptionSpec>& specs, const std::vector<std::string>& ours,
                  const Texts& options, const std::string& path) {
  for (const auto& [name, value] : options) {
    if (is_set_by_operator(name, ours)) return wrong(path, name, "is set by the operator; leave it out");
    SHIMA_RETURN_IF_ERROR(check_one(specs, name, value, path));
  }
  return Status::ok();
}

std::vector<OptionSpec> free_of(const std::vector<OptionSpec>& specs, const std::vector<std::string>& ours) {
  std::vector<OptionSpec> free;
  for (const OptionSpec& spec : specs) {
    const bool file_only = spec.type == OptionType::kStringMap || spec.type == OptionType::kSectionList;
    if (!file_only && !is_set_by_operator(spec.name, ours)) free.push_back(spec);
  }
  return free;
}

std::vector<std::string> flags_with(std::vector<std::string> flags, const Texts& options) {
  for (const auto& [name, value] : options) flags.push_back("--" + name + "=" + value);
  return flags;
}

}  // namespace

Status check_core_server_options(const Texts& options, const std::string& path) {
  SHIMA_RETURN_IF_ERROR(check_each(server_option_specs(), kSetForCoreServers, options, path));
  const auto config =
      parse_config(server_option_specs(), "disks: [{path: /disks/0}]", path,
                   flags_with({"--name=site-a/core-0", "--etcd.endpoints=etcd:2379"}, options));
  if (!config) return config.status().with_context(path);
  const auto together = server_options_from(*config);
  return together ? Status::ok() : together.status().with_context(path);
}

Status check_access_server_options(const Texts& options, const std::string& path) {
  SHIMA_RETURN_IF_ERROR(check_each(access_option_specs(), kSetForAccessServers, options, path));
  const auto config = parse_config(
      access_option_specs(), "", path,
      flags_with({"--name=site-a/access-0", "--core.endpoints=core:7000", "--etcd.endpoints=etcd:2379"},
                 options));
  if (!config) return config.status().with_context(path);
  const auto together = access_options_from(*config);
  return together ? Status::ok() : together.status().with_context(path);
}

std::vector<OptionSpec> free_core_server_options() {
  return free_of(server_option_specs(), kSetForCoreServers);
}

std::vector<OptionSpec> free_access_server_options() {
  return free_of(access_option_specs(), kSetForAccessServers);
}

Status check_class_parameters(const Texts& parameters, const std::string& path) {
  google::protobuf::Map<std::string, std::string> given;
  for (const auto& [name, value] : parameters) given[name] = value;
  ClassParameters parsed;
  const grpc::Status status = parse_class_parameters(given, parsed);
  return status.ok() ? Status::ok() : Status(Code::kInvalidArgument, path + ": " + status.error_message());
}

}  // namespace shima
