// A core server for tests of the control plane: a small cluster in memory, and errors on request.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "coreserver/cluster/volume_changes.h"
#include "coreserver/rpc/server_facade.h"

namespace shima {

class FakeFacade : public ServerFacade {
 public:
  FakeFacade() {
    for (const char* site : {"site-a", "site-b", "site-c"}) {
      sites.push_back({.name = site, .labels = {{"zone", site}}, .cidrs = {"10.0.0.0/24"}});
      for (int i = 0; i < 2; ++i) {
        ServerInfo server;
        server.id = ServerId(servers.size() + 1);
        server.name = std::string(site) + "/core-" + std::to_string(i);
        server.site = site;
        server.failure_domain = "host-" + std::to_string(i);
        server.incarnation = Incarnation(3);
        server.networks.client = {"127.0.0.1", 7001};
        server.alive = true;
        servers.push_back(server);
      }
    }
  }

  // Every method answers with this while it is an error; where `failures` is set, only so often.
  Status failure;
  int failures = 0;
  std::vector<SiteInfo> sites;
  std::vector<ServerInfo> servers;
  std::map<std::string, VolumeInfo> volumes;
  std::vector<GroupReport> groups;
  ServerDisks disks{"site-a/core-1", {{0xabc, "/disk-0", 1'700'000'000'000}}, {}, {}};
  VolumeSpec last_spec;
  EtcdRevision revision = EtcdRevision(70);  // that it acts on
  uint32_t last_timeout_ms = 0;
  VolumeId last_committed;
  int calls = 0;

  std::string server_name() const override { return "site-a/core-0"; }
  std::string site_name() const override { return "site-a"; }
  ServerId server_id() const override { return ServerId(1); }
  Incarnation incarnation() const override { return Incarnation(3); }
  uint64_t stale_ms() override { return 7; }

  Result<VolumeInfo> create_volume(const VolumeSpec& wanted) override {
    auto lock = count_call();
    last_spec = wanted;
    SHIMA_RETURN_IF_ERROR(failure);
    if (volumes.contains(wanted.name))
      return {Code::kAlreadyExists, "there is a volume " + wanted.name + " already"};
    VolumeInfo volume;
    volume.name = wanted.name;
    volume.id = VolumeId(volumes.size() + 1);
    volume.home = wanted.home;
    volume.sites =
        wanted.sites.empty() ? std::vector<std::string>{"site-a", "site-b", "site-c"} : wanted.sites;
    volume.ack = wanted.ack;
    volume.block_size = wanted.block_size;
    volume.size_bytes = wanted.size_bytes;
    volume.max_inodes = wanted.max_inodes;
    volume.published_only = wanted.published_only;
    volume.labels = wanted.labels;
    volume.config_version = ConfigVersion(1);
    for (uint32_t i = 0; i < wanted.groups; ++i) volume.groups.push_back(group(i));
    volumes[wanted.name] = volume;
    return volume;
  }
  Status delete_volume(const std::string& name, bool force) override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    const auto found = volumes.find(name);
    if (found == volumes.end()) return no_volume(name);
    if (auto deleting = with_deleting(found->second, force); !deleting) return deleting.status();
    volumes.erase(found);
    return Status::ok();
  }
  Result<VolumeDetails> get_volume(const std::string& name) override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    auto found = volumes.find(name);
    if (found == volumes.end()) return no_volume(name);
    return VolumeDetails{found->second, {servers[0], servers[1], servers[2], servers[4]}};
  }
  Result<std::vector<VolumeInfo>> list_volumes() override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    std::vector<VolumeInfo> all;
    for (const auto& [name, volume] : volumes) all.push_back(volume);
    return all;
  }
  Result<VolumeInfo> set_quotas(const std::string& name, uint64_t size_bytes,
                                std::optional<uint64_t> max_inodes) override {
    return change(name, [&](const VolumeInfo& v) { return with_quotas(v, size_bytes, max_inodes); });
  }
  Result<VolumeInfo> publish(const std::string& name, const PublicationInfo& wanted) override {
    return change(name, [&](const VolumeInfo& v) { return with_publication(v, wanted); });
  }
  Result<VolumeInfo> unpublish(const std::string& name, const std::string& node,
                               uint32_t timeout_ms) override {
    last_timeout_ms = timeout_ms;
    return change(name, [&](const VolumeInfo& v) { return without_publication(v, node); });
  }
  Result<EtcdRevision> wait_for_revision(EtcdRevision revision, VolumeId committed,
                                         uint32_t timeout_ms) override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    last_timeout_ms = timeout_ms;
    last_committed = committed;
    if (this->revision >= revision) return this->revision;
    return {Code::kDeadlineExceeded, "that revision was not seen"};
  }
  Result<std::vector<SiteInfo>> list_sites() override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    return sites;
  }
  Result<SiteInfo> add_site(const SiteInfo& site) override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    sites.push_back(site);
    return site;
  }
  Result<std::vector<ServerInfo>> list_servers() override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    return servers;
  }
  Result<ClusterStatus> status() override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    ClusterStatus status;
    status.etcd_reachable = true;
    status.sites = static_cast<uint32_t>(sites.size());
    status.servers = static_cast<uint32_t>(servers.size());
    status.servers_away = {"site-c/core-1"};
    status.volumes = {{"db", {}}, {"web", {"group 3: site-c/core-1 is away"}}};
    status.software = servers;
    status.formats_level = 2;
    status.refused = {{"site-c/core-0", "0.3.0", "too new"}};
    return status;
  }
  Result<std::vector<GroupReport>> show_groups(const std::string& volume) override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    if (!volumes.contains(volume)) return no_volume(volume);
    return groups;
  }
  Result<ServerStatistics> stats() override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    ServerStatistics stats;
    stats.uptime_ms = 61'000;
    stats.values = {{"writes_committed", "count", 12}, {"writes_bytes", "bytes", 3 << 20}};
    stats.disks = {
        {"/disk-0", 10ull << 30, 4ull << 30, "boot-1:8:1", {{"journal_live_bytes", "bytes", 4096}}}};
    return stats;
  }
  Result<std::vector<ServerDisks>> list_disks() override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    return std::vector<ServerDisks>{disks};
  }
  Result<ForgetResult> forget_disk(const std::string& server, uint64_t disk) override {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    const size_t before = disks.forgotten.size();
    auto next = without_disk(server, {.record = disks, .has_started_before = true}, disk, 1'700'000'000'000);
    if (!next) return next.status();
    disks = *next;
    return ForgetResult{disks, disks.forgotten.size() == before};
  }

  static GroupInfo group(uint32_t index) {
    GroupInfo group;
    group.index = GroupIndex(index);
    group.term = Term(2);
    group.members = {
        {ServerId(1), Incarnation(3), replication::Role::kPrimary, true, true, "site-a"},
        {ServerId(2), Incarnation(3), replication::Role::kSecondary, true, true, "site-a"},
        {ServerId(3), Incarnation(3), replication::Role::kRemote, true, true, "site-b"},
        {ServerId(5), Incarnation(3), replication::Role::kRemote, true, true, "site-c"},
    };
    return group;
  }

 private:
  std::unique_lock<std::mutex> count_call() {
    std::unique_lock lock(mutex_);
    ++calls;
    if (failures > 0 && calls > failures) failure = Status::ok();
    return lock;
  }
  template <typename Change>
  Result<VolumeInfo> change(const std::string& name, Change make) {
    auto lock = count_call();
    SHIMA_RETURN_IF_ERROR(failure);
    auto found = volumes.find(name);
    if (found == volumes.end()) return no_volume(name);
    Result<VolumeInfo> next = make(found->second);
    if (next) found->second = *next;
    return next;
  }
  static Status no_volume(const std::string& name) {
    return {Code::kNotFound, "there is no volume " + name + "; shimactl volume list shows those that are"};
  }

  std::mutex mutex_;
};

}  // namespace shima
