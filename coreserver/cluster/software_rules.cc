#include "coreserver/cluster/software_rules.h"

#include <algorithm>

#include "common/release/release.h"
#include "common/transport/protocol_range.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

constexpr uint32_t kRefusalTtlMs = 120'000;  // a refused server tries again every few seconds

std::string told(const ServerSoftware& software) {
  const std::string version = software.version.empty() ? "a version that it does not say" : software.version;
  return version + " (release " + std::to_string(software.release) + ")";
}

// A record of formats; level 1 and revision 0: there is none.
struct Formats {
  uint32_t level = 1;
  std::string raised_by;
  EtcdRevision revision;
};

// The cluster as it stands; server `name` is not among the others.
struct Seen {
  Formats formats, gate;
  std::map<std::string, OtherServer> others;
  std::optional<ServerSoftware> before;  // what `name` ran last
};

Status read_formats(EtcdClient& etcd, const std::string& key, Formats& formats) {
  Result<EtcdKeyValue> item = etcd.get(key);
  if (item.status().code() == Code::kNotFound) return Status::ok();
  if (!item) return item.status();
  Result<FormatsInfo> info = decode_formats(*item);
  if (!info) return info.status();
  formats = {info->level, info->raised_by, item->mod_revision};
  return Status::ok();
}

Status read_servers(EtcdClient& etcd, const std::string& name, Seen& seen) {
  Result<EtcdRange> servers = etcd.list(server_key(""));
  if (!servers) return servers.status();
  Result<EtcdRange> alive = etcd.list(alive_key(""));
  if (!alive) return alive.status();
  Result<EtcdRange> software = etcd.list(software_key(""));
  if (!software) return software.status();
  std::map<std::string, Incarnation> incarnations;
  std::map<std::string, OtherServer> all;
  for (const EtcdKeyValue& item : servers->items) {
    const std::string other = parse_key(item.key).name;
    all[other] = {};  // so counts one whose records cannot be read, too
    if (Result<ServerInfo> server = decode_server(item); server) incarnations[other] = server->incarnation;
  }
  for (const EtcdKeyValue& item : alive->items) {
    const auto found = all.find(parse_key(item.key).name);
    if (found != all.end()) found->second.alive = true;
  }
  for (const EtcdKeyValue& item : software->items) {
    Result<SoftwareInfo> info = decode_software(item);
    if (!info) continue;
    const auto found = incarnations.find(info->name);
    if (found != incarnations.end() && found->second == info->incarnation)
      all[info->name].software = info->software;
  }
  if (const auto own = all.extract(name); own) seen.before = own.mapped().software;
  seen.others = std::move(all);
  return Status::ok();
}

Result<Seen> look_at_cluster(EtcdClient& etcd, const std::string& name) {
  Seen seen;
  SHIMA_RETURN_IF_ERROR(read_formats(etcd, formats_gate_key(), seen.gate));
  SHIMA_RETURN_IF_ERROR(read_formats(etcd, formats_key(), seen.formats));
  SHIMA_RETURN_IF_ERROR(read_servers(etcd, name, seen));
  return seen;
}

// Best effort: a refusal that cannot be written is still one, and the server's log has it. Written anew each
// time, under a new lease, so that it does not end between two tries; the lease of the last time then holds
// nothing, and goes.
void tell_refusal(EtcdClient& etcd, const RefusedStart& refused) {
  const std::string key = refusal_key(refused.server);
  const Result<EtcdKeyValue> there = etcd.get(key);
  const Result<EtcdLease> lease = etcd.grant_lease(kRefusalTtlMs);
  if (!lease || !etcd.put(key, encode_refusal(refused), *lease)) return;
  if (there && there->lease) (void)etcd.revoke_lease(there->lease);
}

bool are_neighbours(const ServerSoftware& a, const ServerSoftware& b) {
  return std::max(a.release, b.release) - std::min(a.release, b.release) <= 1;
}

// The release that lies between `own` and `other`, seen from `other`.
std::string next_release(const ServerSoftware& own, const ServerSoftware& other) {
  return "release " + std::to_string(own.release > other.release ? other.release + 1 : other.release - 1);
}

Status too_far(const ServerSoftware& own, const std::string& what_else) {
  return {Code::kFailedPrecondition, "this program is " + told(own) + ", but " + what_else};
}

// A gate above what all servers read keeps programs out for nothing. Its raiser lowers it itself, unless it
// died; one that is still about to raise the formats finds a gate that is not its own, and does not.
Status lower_left_gate(EtcdClient& etcd, const std::string& name, uint32_t level, Seen& seen) {
  if (seen.gate.level <= level) return Status::ok();
  const auto raiser = seen.others.find(seen.gate.raised_by);
  if (raiser != seen.others.end() && raiser->second.alive) return Status::ok();
  Result<EtcdRevision> lowered =
      etcd.compare_and_swap(formats_gate_key(), seen.gate.revision, encode_formats({level, name}));
  if (!lowered) return lowered.status();
  seen.gate = {level, name, *lowered};
  return Status::ok();
}

}  // namespace

ServerSoftware this_software() {
  return {software_version(), kRelease, kFormatsLevel, kDataProtocols.min, kDataProtocols.max};
}

Status check_may_join(const ServerSoftware& own, uint32_t formats_level,
                      const std::map<std::string, OtherServer>& others,
                      const std::optional<ServerSoftware>& before) {
  if (own.formats_level < formats_level) {
    return {Code::kFailedPrecondition,
            "this program is " + told(own) + " and reads formats up to level " +
                std::to_string(own.formats_level) + ", but the cluster's were raised to level " +
                std::to_string(formats_level) +
                ": there is no way back behind that; run the release that the other servers run"};
  }
  const std::string rule = ", and only neighbouring minor releases ";
  if (before && !are_neighbours(own, *before))
    return too_far(own, "this server ran " + told(*before) + " before" + rule +
                            "read each other's disks: run " + next_release(own, *before) + " here first");
  for (const auto& [name, other] : others) {
    if (are_neighbours(own, other.software)) continue;
    const std::string first =
        rule + "run together: bring all core servers to " + next_release(own, other.software) + " first";
    if (other.alive) return too_far(own, name + " runs " + told(other.software) + first);
    return too_far(own, name + ", which is away, ran " + told(other.software) + first +
                            "; if it is lost for ever, take its records away (upgrades.md, \"Levels\")");
  }
  return Status::ok();
}

uint32_t formats_level_of_all(const ServerSoftware& own, const std::map<std::string, OtherServer>& others) {
  uint32_t level = own.formats_level;
  for (const auto& [name, other] : others) level = std::min(level, other.software.formats_level);
  return level;
}

Result<EtcdRevision> admit_software(EtcdClient& etcd, const std::string& name, const ServerSoftware& own) {
  Result<Seen> seen = look_at_cluster(etcd, name);
  if (!seen) return seen.status();
  const uint32_t level = std::max(seen->formats.level, seen->gate.level);
  const Status allowed = check_may_join(own, level, seen->others, seen->before);
  if (allowed) return seen->gate.revision;
  tell_refusal(etcd, {name, own.version, allowed.message()});
  return allowed;
}

Status raise_formats(EtcdClient& etcd, const std::string& name, const ServerSoftware& own) {
  if (own.formats_level <= 1) return Status::ok();
  Result<Seen> before = look_at_cluster(etcd, name);
  if (!before) return before.status();
  const uint32_t level = std::max(before->formats.level, formats_level_of_all(own, before->others));
  SHIMA_RETURN_IF_ERROR(lower_left_gate(etcd, name, level, *before));
  if (level == before->formats.level) return Status::ok();
  EtcdRevision gate = before->gate.revision;
  const std::string record = encode_formats({level, name});
  if (before->gate.level < level) {
    Result<EtcdRevision> raised = etcd.compare_and_swap(formats_gate_key(), gate, record);
    if (!raised) return raised.status();
    gate = *raised;
  }
  Result<Seen> after = look_at_cluster(etcd, name);
  if (!after) return after.status();
  if (formats_level_of_all(own, after->others) < level) {
    const std::string back = encode_formats({after->formats.level, name});
    return etcd.compare_and_swap(formats_gate_key(), gate, back).status();
  }
  return etcd
      .transact({{formats_gate_key(), gate}, {formats_key(), after->formats.revision}},
                {EtcdOperation::put(formats_key(), record)})
      .status();
}

}  // namespace shima
