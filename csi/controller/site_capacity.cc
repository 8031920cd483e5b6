#include "csi/controller/site_capacity.h"

#include <algorithm>
#include <future>
#include <map>

#include "common/observe/log.h"

namespace shima {
namespace {

std::string endpoint_of(const cluster::v1::Endpoint& endpoint) {
  const bool v6 = endpoint.address().find(':') != std::string::npos;
  const std::string host = v6 ? "[" + endpoint.address() + "]" : endpoint.address();
  return host + ":" + std::to_string(endpoint.port());
}

std::vector<DiskSpaceOfSite> disks_of(ControlPlane& plane, const cluster::v1::ServerRecord& server) {
  auto stats = plane.get_stats_of(endpoint_of(server.networks().control()));
  if (!stats) {
    log(LogLevel::kWarning, "csi",
        "the free space of " + server.name() + " is not counted: " + stats.status().to_string());
    return {};
  }
  std::vector<DiskSpaceOfSite> disks;
  for (const stats::v1::DiskStats& disk : stats->disks())
    disks.push_back({server.site(), disk.file_system(), disk.free_bytes()});
  return disks;
}

}  // namespace

uint64_t free_bytes_of(const std::vector<DiskSpaceOfSite>& disks,
                       const std::function<bool(const std::string& site)>& counts) {
  uint64_t bytes = 0;
  std::map<std::string, uint64_t> shared;
  for (const DiskSpaceOfSite& disk : disks) {
    if (!counts(disk.site)) continue;
    if (disk.file_system.empty()) {
      bytes += disk.free_bytes;
      continue;
    }
    auto [place, is_new] = shared.emplace(disk.file_system, disk.free_bytes);
    if (!is_new) place->second = std::min(place->second, disk.free_bytes);
  }
  for (const auto& [file_system, free_bytes] : shared) bytes += free_bytes;
  return bytes;
}

Result<uint64_t> SiteCapacity::free_bytes(const std::function<bool(const std::string& site)>& counts) {
  std::lock_guard lock(mutex_);
  const uint64_t now_ms = clock_.now_ms();
  if (!asked_ || now_ms - asked_ms_ >= kKeepMs) {
    auto answer = ask();
    if (!answer) return answer.status();
    disks_ = std::move(*answer);
    asked_ = true;
    asked_ms_ = now_ms;
  }
  return free_bytes_of(disks_, counts);
}

Result<std::vector<DiskSpaceOfSite>> SiteCapacity::ask() {
  auto servers = plane_.list_servers();
  if (!servers) return servers.status();
  std::vector<std::future<std::vector<DiskSpaceOfSite>>> answers;
  for (const cluster::v1::ServerState& server : *servers) {
    if (!server.alive()) continue;
    answers.push_back(
        std::async(std::launch::async, [this, &server] { return disks_of(plane_, server.record()); }));
  }
  std::vector<DiskSpaceOfSite> disks;
  for (auto& answer : answers) {
    const std::vector<DiskSpaceOfSite> of_server = answer.get();
    disks.insert(disks.end(), of_server.begin(), of_server.end());
  }
  return disks;
}

}  // namespace shima
