#include "csi/controller/site_capacity.h"

#include <future>
#include <vector>

#include "common/observe/log.h"

namespace shima {
namespace {

std::string endpoint_of(const cluster::v1::Endpoint& endpoint) {
  const bool v6 = endpoint.address().find(':') != std::string::npos;
  const std::string host = v6 ? "[" + endpoint.address() + "]" : endpoint.address();
  return host + ":" + std::to_string(endpoint.port());
}

uint64_t free_bytes_of(ControlPlane& plane, const cluster::v1::ServerRecord& server) {
  auto stats = plane.get_stats_of(endpoint_of(server.networks().control()));
  if (!stats) {
    log(LogLevel::kWarning, "csi",
        "the free space of " + server.name() + " is not counted: " + stats.status().to_string());
    return 0;
  }
  uint64_t bytes = 0;
  for (const stats::v1::DiskStats& disk : stats->disks()) bytes += disk.free_bytes();
  return bytes;
}

}  // namespace

Result<std::map<std::string, uint64_t>> SiteCapacity::free_bytes() {
  std::lock_guard lock(mutex_);
  const uint64_t now_ms = clock_.now_ms();
  if (asked_ && now_ms - asked_ms_ < kKeepMs) return free_bytes_;
  auto answer = ask();
  if (!answer) return answer;
  free_bytes_ = *answer;
  asked_ = true;
  asked_ms_ = now_ms;
  return free_bytes_;
}

Result<std::map<std::string, uint64_t>> SiteCapacity::ask() {
  auto servers = plane_.list_servers();
  if (!servers) return servers.status();
  std::map<std::string, uint64_t> by_site;
  std::vector<std::pair<std::string, std::future<uint64_t>>> answers;
  for (const cluster::v1::ServerState& server : *servers) {
    by_site[server.record().site()];
    if (!server.alive()) continue;
    answers.emplace_back(server.record().site(), std::async(std::launch::async, [this, &server] {
                           return free_bytes_of(plane_, server.record());
                         }));
  }
  for (auto& [site, answer] : answers) by_site[site] += answer.get();
  return by_site;
}

}  // namespace shima
