// What people and the control plane may ask of a core server.
#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <optional>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "coreserver/driver/core_server.h"
#include "coreserver/driver/file_system_identity.h"
#include "coreserver/driver/replication_totals.h"

namespace shima {

namespace {
constexpr uint32_t kSeeOwnChangeMs = 5000;

Statistic counter(const std::string& name, uint64_t value) {
  return {name, "count", static_cast<double>(value)};
}
Statistic bytes(const std::string& name, uint64_t value) {
  return {name, "bytes", static_cast<double>(value)};
}

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

DiskStatistics disk_statistics(ServerDisk& disk) {
  DiskStatistics d;
  d.path = disk.path();
  if (auto space = disk.space(); space.is_ok()) {
    d.total_bytes = space->total_bytes;
    d.free_bytes = space->free_bytes;
  }
  if (auto identity = file_system_identity(disk.path()); identity.is_ok()) d.file_system = *identity;
  JournalStats j = disk.journal().stats();
  BlockStoreStats b = disk.blocks().stats();
  d.values = {counter("journal_appended_entries", j.appended_entries),
              bytes("journal_appended_bytes", j.appended_bytes),
              counter("journal_batches", j.batches),
              counter("journal_syncs", j.syncs),
              {"journal_sync_time", "us", static_cast<double>(j.sync_micros)},
              counter("journal_segments", j.segments),
              bytes("journal_live_bytes", j.live_bytes),
              counter("journal_moved_records", j.moved_records),
              counter("journal_recycled_segments", j.recycled_segments),
              counter("blocks", b.blocks),
              counter("block_slots", b.slots),
              counter("block_free_slots", b.free_slots),
              bytes("block_present_bytes", b.present_bytes),
              counter("block_checksum_errors", b.checksum_errors),
              counter("full", disk.full() ? 1 : 0),
              bytes("unapplied_bytes", static_cast<uint64_t>(std::max<int64_t>(0, disk.backlog_bytes())))};
  return d;
}

// What is wrong with a volume, as far as the records tell.
std::vector<std::string> complaints(const ClusterState& state, const VolumeInfo& volume) {
  std::vector<std::string> reasons;
  if (volume.deleting) reasons.push_back("is being deleted");
  for (ServerId id : volume.member_servers()) {
    auto server = state.servers.find(id);
    if (server == state.servers.end()) {
      reasons.push_back("server " + std::to_string(id.value) + " has no record");
    } else if (!server->second.alive) {
      reasons.push_back("server " + server->second.name + " is away");
    }
  }
  size_t not_whole = 0, not_in_sync = 0;
  for (const GroupInfo& g : volume.groups) {
    for (const MemberInfo& m : g.members) {
      not_whole += !m.whole;
      not_in_sync += volume.ack == replication::AckMode::kAll && !m.in_sync;
    }
  }
  if (not_whole) reasons.push_back(std::to_string(not_whole) + " remote members are not whole");
  if (not_in_sync) reasons.push_back(std::to_string(not_in_sync) + " remote members are not in sync");
  return reasons;
}

}  // namespace

std::string CoreServer::why_strange(GroupId id) const {
  std::lock_guard lock(strange_mutex_);
  const auto found = strange_.find(id);
  return found == strange_.end() ? "" : found->second;
}

std::shared_ptr<const ClusterState> CoreServer::state() const {
  return joined_ ? view_->snapshot() : nullptr;
}

Status CoreServer::ready() const {
  if (joined_) return Status::ok();
  std::lock_guard lock(join_mutex_);
  return {Code::kUnavailable, "server " + options_.name + " has not joined the cluster yet" +
                                  (join_error_.empty() ? std::string() : ": " + join_error_) +
                                  "; retry when etcd answers"};
}

uint64_t CoreServer::stale_ms() { return joined_ ? view_->stale_ms() : real_clock().now_ms() - started_ms_; }

void CoreServer::see_own_change(const Result<VolumeInfo>& changed) const {
  if (changed.is_ok() && !view_->wait_for(changed->mod_revision, kSeeOwnChangeMs).is_ok())
    log(LogLevel::kInfo, "cluster", "the view is slow");
}

Result<VolumeInfo> CoreServer::create_volume(const VolumeSpec& wanted) {
  SHIMA_RETURN_IF_ERROR(ready());
  VolumeSpec spec = wanted;
  bool home_possible = spec.sites.empty() ||
                       std::find(spec.sites.begin(), spec.sites.end(), options_.site) != spec.sites.end();
  if (spec.home.empty() && home_possible) spec.home = options_.site;
  auto created = volumes_->create_volume(spec);
  see_own_change(created);
  return created;
}

Status CoreServer::delete_volume(const std::string& name, bool force) {
  SHIMA_RETURN_IF_ERROR(ready());
  auto marked = volumes_->mark_deleting(name, force);
  see_own_change(marked);
  return marked.is_ok() ? Status::ok() : marked.status();
}

Result<VolumeDetails> CoreServer::get_volume(const std::string& name) {
  SHIMA_RETURN_IF_ERROR(ready());
  auto now = state();
  auto it = now->volumes.find(name);
  if (it == now->volumes.end()) {
    return Status(Code::kNotFound,
                  "there is no volume " + name + "; `shimactl volume list` shows those that are");
  }
  VolumeDetails details;
  details.volume = it->second;
  for (ServerId id : it->second.member_servers()) {
    auto server = now->servers.find(id);
    if (server != now->servers.end()) details.servers.push_back(server->second);
  }
  return details;
}

Result<std::vector<VolumeInfo>> CoreServer::list_volumes() {
  SHIMA_RETURN_IF_ERROR(ready());
  std::vector<VolumeInfo> all;
  auto now = state();
  for (const auto& [name, volume] : now->volumes) all.push_back(volume);
  return all;
}

Result<VolumeInfo> CoreServer::set_quotas(const std::string& name, uint64_t size_bytes,
                                          std::optional<uint64_t> max_inodes) {
  SHIMA_RETURN_IF_ERROR(ready());
  auto changed = volumes_->set_quotas(name, size_bytes, max_inodes);
  see_own_change(changed);
  return changed;
}

Result<std::vector<SiteInfo>> CoreServer::list_sites() {
  SHIMA_RETURN_IF_ERROR(ready());
  std::vector<SiteInfo> all;
  auto now = state();
  for (const auto& [name, site] : now->sites) all.push_back(site);
  return all;
}

Result<SiteInfo> CoreServer::add_site(const SiteInfo& site) {
  SHIMA_RETURN_IF_ERROR(ready());
  SHIMA_RETURN_IF_ERROR(create_site(*etcd_, site));
  return site;
}

Result<std::vector<ServerInfo>> CoreServer::list_servers() {
  SHIMA_RETURN_IF_ERROR(ready());
  std::vector<ServerInfo> all;
  auto now = state();
  for (const auto& [id, server] : now->servers) all.push_back(server);
  return all;
}

Result<ClusterStatus> CoreServer::status() {
  ClusterStatus s;
  s.stale_ms = stale_ms();
  if (Status r = ready(); !r.is_ok()) {
    s.etcd_error = r.message();
    return s;
  }
  auto now = state();
  s.etcd_reachable = s.stale_ms < 10000;
  if (!s.etcd_reachable)
    s.etcd_error = "nothing was heard of etcd for 10 s and longer; what is shown is as old";
  s.sites = static_cast<uint32_t>(now->sites.size());
  s.servers = static_cast<uint32_t>(now->servers.size());
  for (const auto& [id, server] : now->servers) {
    if (!server.alive) s.servers_away.push_back(server.name);
    s.software.push_back(server);
  }
  std::sort(s.software.begin(), s.software.end(),
            [](const ServerInfo& a, const ServerInfo& b) { return a.name < b.name; });
  s.formats_level = now->formats_level;
  for (const auto& [name, refused] : now->refused) s.refused.push_back(refused);
  for (const auto& [name, volume] : now->volumes) {
    std::vector<std::string> reasons = complaints(*now, volume);
    for (const GroupInfo& group : volume.groups)
      if (const std::string why = why_strange({volume.id, group.index}); !why.empty())
        reasons.push_back("group " + std::to_string(group.index.value) + " is not served here: " + why);
    s.volumes.push_back({name, std::move(reasons)});
  }
  for (const auto& [key, why] : now->unreadable)
    s.volumes.push_back({key, {"its record cannot be read: " + why}});
  return s;
}

Result<std::vector<GroupReport>> CoreServer::show_groups(const std::string& name) {
  auto details = get_volume(name);
  if (!details.is_ok()) return details.status();
  auto now = state();
  std::vector<GroupReport> reports;
  for (const GroupInfo& group : details->volume.groups) {
    if (!group.find(server_id())) continue;
    GroupId id{details->volume.id, group.index};
    if (const std::string why = why_strange(id); !why.empty()) {
      GroupReport r;
      r.index = group.index;
      r.role = group.find(server_id())->role;
      r.state = "not served: " + why;
      reports.push_back(std::move(r));
      continue;
    }
    struct Answer {
      GroupSnapshot snapshot;
      ServerDisk* disk = nullptr;
    };
    auto promise = std::make_shared<std::promise<std::optional<Answer>>>();
    auto future = promise->get_future();
    shards_->with_group(id, [promise](GroupDriver* g) {
      promise->set_value(g ? std::optional(Answer{g->snapshot(), g->disk()}) : std::nullopt);
    });
    if (future.wait_for(std::chrono::seconds(2)) != std::future_status::ready) {
      return Status(Code::kUnavailable,
                    "group " + to_string(id) + " does not answer; the server is overloaded");
    }
    auto answer = future.get();
    if (!answer) continue;
    const GroupSnapshot& s = answer->snapshot;
    GroupReport r;
    r.index = group.index;
    r.role = s.role;
    r.term = s.term;
    r.serving = s.serving;
    r.state = s.state;
    r.last = s.last;
    r.committed = s.committed;
    r.durable = s.durable;
    r.applied = s.applied;
    r.trimmed = s.trimmed;
    r.journal_bytes = s.journal_bytes;
    if (auto present = answer->disk->blocks().present_bytes(id); present.is_ok()) r.block_bytes = *present;
    for (size_t i = 0; i < s.peers.size(); i++) {
      const auto& p = s.peers[i];
      auto server = now->servers.find(p.server);
      MemberReport m;
      m.server = p.server;
      m.site = server == now->servers.end() ? "" : server->second.site;
      m.role = p.role;
      m.connected = p.connected && p.synced;
      m.whole = p.whole;
      m.in_sync = p.in_sync;
      m.durable = s.peer_durable[i];
      m.lag_bytes = p.lag_bytes;
      m.lag_seconds = static_cast<double>(p.lag_ms) / 1000;
      r.members.push_back(std::move(m));
    }
    reports.push_back(std::move(r));
  }
  return reports;
}

Result<ServerStatistics> CoreServer::stats() {
  ServerStatistics s;
  s.uptime_ms = real_clock().now_ms() - started_ms_;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  SessionCounters& c = session_counters();
  TransportCounters& t = transport_counters();
  s.values = {{"cpu_user", "us", seconds_of(usage.ru_utime) * 1e6},
              {"cpu_system", "us", seconds_of(usage.ru_stime) * 1e6},
              bytes("max_resident", static_cast<uint64_t>(usage.ru_maxrss) * 1024),
              counter("reads", c.reads),
              bytes("read_bytes", c.read_bytes),
              counter("writes", c.writes),
              bytes("write_bytes", c.write_bytes),
              counter("jobs", c.jobs),
              counter("requests_refused", c.refused),
              counter("malformed_frames", t.malformed),
              counter("malformed_requests", c.malformed),
              counter("dead_peers", t.dead_peers),
              counter("connections_accepted", t.accepted),
              counter("connections_refused", t.refused),
              counter("connections_open", t.open),
              bytes("lag_budget_bytes", options_.lag_budget_bytes)};
  if (const auto totals = collect_replication_totals(*shards_))
    for (Statistic& told : totals->statistics()) s.values.push_back(std::move(told));
  for (auto& disk : disks_) s.disks.push_back(disk_statistics(*disk));
  return s;
}

}  // namespace shima
