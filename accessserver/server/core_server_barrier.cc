#include "accessserver/server/core_server_barrier.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "common/runtime/worker_pool.h"
#include "coreserver/cluster/cluster_view.h"
#include "coreserver/rpc/control_client.h"

namespace shima {
namespace {

constexpr uint32_t kViewTimeoutMs = 1000;
constexpr int kAskTimeoutMs = 1000, kConnectTimeoutMs = 500;
constexpr unsigned kAskedAtATime = 16;

using Run = std::pair<uint64_t, uint64_t>;  // server, incarnation

Result<std::vector<AliveCoreServer>> alive_in(const ClusterView& view, EtcdRevision revision) {
  SHIMA_RETURN_IF_ERROR(view.wait_for(revision, kViewTimeoutMs));
  std::vector<AliveCoreServer> alive;
  for (const auto& [id, server] : view.snapshot()->servers) {
    if (!server.alive) continue;
    alive.push_back({id.value, server.incarnation.value, server.name, to_string(server.networks.control)});
  }
  return alive;
}

Status ask_one(const AliveCoreServer& server, EtcdRevision revision) {
  auto reply = wait_for_revision(server.endpoint, revision.value, kAskTimeoutMs, kConnectTimeoutMs);
  if (!reply) return reply.status();
  if (reply->server_id() == server.id && reply->revision() >= revision.value) return Status::ok();
  return {Code::kUnavailable, "wanted server " + std::to_string(server.id) + " at revision " +
                                  std::to_string(revision.value) + ", found server " +
                                  std::to_string(reply->server_id()) + " at revision " +
                                  std::to_string(reply->revision())};
}

// Asks all of them; adds those that said yes. The reason of one that did not.
std::string ask_all(const std::vector<AliveCoreServer>& servers, EtcdRevision revision,
                    const CoreServerBarrier::Ask& ask, std::set<Run>& heard) {
  std::mutex mutex;
  std::string reason;
  WorkerPool pool("barrier", static_cast<unsigned>(std::clamp<size_t>(servers.size(), 1, kAskedAtATime)));
  for (const AliveCoreServer& server : servers) {
    pool.post([&, server] {
      const Status answer = ask(server, revision);
      std::lock_guard lock(mutex);
      if (answer.is_ok()) {
        heard.insert({server.id, server.incarnation});
      } else {
        reason = server.name + ": " + answer.to_string();
      }
    });
  }
  pool.stop();
  return reason;
}

}  // namespace

CoreServerBarrier::CoreServerBarrier(Alive alive, Ask ask, uint32_t pause_ms)
    : alive_(std::move(alive)), ask_(std::move(ask)), pause_ms_(pause_ms) {}

CoreServerBarrier::CoreServerBarrier(const ClusterView& view)
    : CoreServerBarrier([&view](EtcdRevision revision) { return alive_in(view, revision); }, ask_one) {}

Status CoreServerBarrier::wait(EtcdRevision revision, const std::function<bool()>& wanted) const {
  const uint64_t began_ms = real_clock().now_ms();
  LogLimit progress(2'000);
  std::set<Run> heard;
  std::string reason;
  for (;;) {
    Result<std::vector<AliveCoreServer>> alive = alive_(revision);
    if (alive) {
      // A server that has come up since is asked as well: it may have read etcd before.
      std::vector<AliveCoreServer> missing;
      std::ranges::copy_if(*alive, std::back_inserter(missing), [&](const AliveCoreServer& server) {
        return !heard.contains({server.id, server.incarnation});
      });
      if (missing.empty()) break;
      reason = ask_all(missing, revision, ask_, heard);
      if (reason.empty()) continue;
    } else {
      reason = alive.status().to_string();
    }
    uint64_t suppressed = 0;
    if (progress.allow("barrier", real_clock().now_ms(), suppressed))
      log(LogLevel::kInfo, "address", "waiting for core servers to know of the taking: " + reason);
    if (!wanted()) return {Code::kUnavailable, "not wanted any more; last: " + reason};
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms_));
  }
  log(LogLevel::kInfo, "address",
      std::to_string(heard.size()) + " core servers know of the taking after " +
          std::to_string(real_clock().now_ms() - began_ms) + " ms");
  return Status::ok();
}

}  // namespace shima
