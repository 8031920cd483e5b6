#include "operator/core_view/core_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/observe/log.h"
#include "operator/core_view/core_answers.h"
#include "operator/core_view/core_servers.h"
#include "operator/core_view/volume_rounds.h"

namespace shima {
namespace {

constexpr size_t kMaxRemembered = 4096;  // fencing results that nobody has taken
constexpr uint64_t kFencingRetryMs = 1000;

}  // namespace

struct CoreWatch::Impl {
  Connect connect;
  CoreWatchOptions options;
  const Clock& clock;
  MayFence may_fence;
  std::function<void()> on_look;

  mutable std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // under mutex, as all of these
  bool soon = false;
  bool new_endpoints = false;
  std::vector<std::string> endpoints;
  std::vector<std::string> out_of_service;
  std::vector<FencingResult> fenced;
  std::shared_ptr<const CoreSnapshot> newest;
  std::thread thread;

  // Of the thread alone.
  std::unique_ptr<CoreServers> servers;
  VolumeRounds rounds;
  std::map<std::string, KnownCopies> copies;                   // by volume
  std::map<std::string, std::vector<std::string>> full_disks;  // ServerReplication's, by server
  std::vector<volume::v1::VolumeSummary> list;
  uint64_t listed_ms = 0;
  uint64_t looks = 0;
  uint64_t told_ms = 0;          // CoreSnapshot::told_ms
  std::set<std::string> silent;  // endpoints that did not answer in time in this look: not asked again
  bool fencing = false;          // the last look found something to take away

  void run() {
    while (true) {
      look();
      on_look();
      std::unique_lock lock(mutex);
      const uint64_t pause_ms =
          fencing ? std::min(kFencingRetryMs, options.interval_ms) : options.interval_ms;
      changed.wait_for(lock, std::chrono::milliseconds(pause_ms),
                       [this] { return stopping || soon || new_endpoints; });
      soon = false;
      if (stopping) return;
    }
  }

  bool is_stopping() {
    std::lock_guard lock(mutex);
    return stopping;
  }

  void connect_if_new() {
    std::vector<std::string> wanted;
    {
      std::lock_guard lock(mutex);
      if (!new_endpoints) return;
      new_endpoints = false;
      wanted = endpoints;
    }
    servers = wanted.empty() ? nullptr : connect(wanted);
  }

  void look() {
    connect_if_new();
    auto next = std::make_shared<CoreSnapshot>();
    next->number = ++looks;
    next->taken_ms = clock.now_ms();
    if (!servers) {
      next->health.error = "no core server has been made yet";
    } else {
      ask(*next);
    }
    if (next->health.answered && next->health.etcd_reachable) told_ms = next->taken_ms;
    next->told_ms = told_ms;
    std::lock_guard lock(mutex);
    newest = std::move(next);
  }

  void ask(CoreSnapshot& next) {
    const auto status = servers->get_status();
    next.health = health_from(status);
    next.health.replication_error = "they were not asked to the end";
    if (!status || is_stopping()) return;
    next.volumes_known = refresh_list(*status) && next.health.etcd_reachable;
    next.listed_ms = listed_ms;
    next.volumes = volumes_from(list, *status, copies);
    if (next.volumes_known) fence(next.volumes);
    if (is_stopping()) return;
    const auto registered = servers->list_servers();
    ask_replication(registered, next.health);
    ask_details(*status, registered ? *registered : std::vector<cluster::v1::ServerState>(), next);
  }

  // Whether `list` is what the servers have now, or had a moment ago where there are many.
  bool refresh_list(const cluster::v1::GetStatusReply& status) {
    const uint64_t now = clock.now_ms();
    const bool recent = listed_ms != 0 && now < listed_ms + options.full_list_ms;
    const bool same = static_cast<size_t>(status.volumes_size()) == list.size();
    if (list.size() >= options.many_volumes && recent && same && !someone_is_out_of_service()) return true;
    auto answer = servers->list_volumes();
    if (!answer) {
      listed_ms = 0;
      return false;
    }
    list = std::move(answer).value();
    listed_ms = now;
    return true;
  }

  bool someone_is_out_of_service() {
    std::lock_guard lock(mutex);
    return !out_of_service.empty();
  }

  void fence(const std::vector<VolumeView>& volumes) {
    fencing = false;
    std::vector<std::string> nodes;
    {
      std::lock_guard lock(mutex);
      nodes = out_of_service;
    }
    for (const auto& [volume, node] : publications_to_take(volumes, nodes)) {
      if (is_stopping()) return;
      if (!may_fence(node)) continue;
      const Status status = servers->unpublish(volume, node);
      log(status ? LogLevel::kInfo : LogLevel::kWarning, "operator",
          "fencing of node " + node + ", out of service, from volume " + volume + ": " +
              (status ? "done" : status.to_string()));
      std::lock_guard lock(mutex);
      if (fenced.size() < kMaxRemembered) fenced.push_back({node, volume, status});
      fencing = true;  // until a look finds none left
    }
  }

  void ask_replication(const Result<std::vector<cluster::v1::ServerState>>& registered, HealthView& health) {
    if (!registered) {
      health.replication_error = registered.status().message();
      for (const auto& [name, full] : full_disks)  // as below
        if (!full.empty())
          health.replication.push_back(
              {.server = name, .error = health.replication_error, .full_disks = full});
      return;
    }
    std::map<std::string, std::string> versions;
    for (const ServerVersion& each : health.versions) versions[each.server] = each.version;
    std::map<std::string, std::vector<std::string>> now_full;
    const uint64_t deadline = clock.now_ms() + options.replication_ms;
    for (const auto& server : *registered) {
      const std::string& name = server.record().name();
      if (!server.alive()) continue;  // GetStatus names it
      if (is_stopping()) return;
      const std::string endpoint = control_endpoint(server);
      const bool in_time = clock.now_ms() < deadline;
      Result<stats::v1::GetStatsReply> stats =
          in_time ? Status(Code::kUnavailable, "it has told no address")
                  : Status(Code::kUnavailable, "others took too long, and it was not asked");
      if (in_time && !endpoint.empty()) stats = servers->get_stats(endpoint);
      health.replication.push_back(replication_from(name, versions[name], stats));
      // A full disk does not get room by its server being slow to answer.
      auto& full = health.replication.back().full_disks;
      if (!stats) full = full_disks[name];
      now_full[name] = full;
    }
    full_disks = std::move(now_full);
    health.replication_error.clear();
  }

  void ask_details(const cluster::v1::GetStatusReply& status,
                   const std::vector<cluster::v1::ServerState>& registered, CoreSnapshot& next) {
    forget_those_that_are_gone(next.volumes);
    std::vector<std::string> names;
    for (const VolumeView& volume : next.volumes)
      if (!volume.deleting) names.push_back(volume.name);
    if (names.empty() || is_stopping()) return;
    silent.clear();
    std::map<std::string, std::vector<std::string>> endpoints_of;  // by site
    std::map<std::string, const volume::v1::VolumeSummary*> summary_of;
    for (const auto& volume : list) {
      const auto [home, is_new] = endpoints_of.try_emplace(volume.home());
      if (is_new) home->second = control_endpoints(registered, volume.home());
      if (home->second.empty()) nobody_tells(volume.name());  // also of those whose turn has not come
      summary_of[volume.name()] = &volume;
    }
    const uint64_t deadline = clock.now_ms() + options.details_ms;
    for (const std::string& name : rounds.next(names, options.volumes_a_look)) {
      if (is_stopping() || clock.now_ms() >= deadline) break;
      ask_about(*summary_of[name], endpoints_of[summary_of[name]->home()]);
      rounds.go_on_after(name);
    }
    next.volumes = volumes_from(list, status, copies);
  }

  // What is known of a volume stays unless all of its groups are told: half of them would tell half a lag.
  void ask_about(const volume::v1::VolumeSummary& volume, const std::vector<std::string>& endpoints_of_home) {
    VolumeCopies found{.told_ms = clock.now_ms()};
    std::set<uint32_t> told;
    for (const std::string& endpoint : endpoints_of_home) {
      if (silent.contains(endpoint)) continue;
      const auto reply = servers->show_groups(endpoint, volume.name());
      if (reply) add_groups(*reply, found, told);
      const Code code = reply ? Code::kOk : reply.status().code();
      if (code == Code::kUnavailable || code == Code::kDeadlineExceeded) silent.insert(endpoint);
    }
    if (!are_all_groups(told, volume)) return nobody_tells(volume.name());
    copies[volume.name()] = {.last = std::move(found)};
  }

  void nobody_tells(const std::string& volume) {
    KnownCopies& known = copies[volume];
    const uint64_t now = clock.now_ms();
    if (known.silent_since_ms == 0) known.silent_since_ms = now;
    known.old = !known.last || now >= known.silent_since_ms + options.details_old_ms;
  }

  void forget_those_that_are_gone(const std::vector<VolumeView>& volumes) {
    std::map<std::string, KnownCopies> kept;
    for (const VolumeView& volume : volumes)
      if (auto found = copies.find(volume.name); found != copies.end()) kept.insert(copies.extract(found));
    copies = std::move(kept);
  }
};

CoreWatch::CoreWatch(Connect connect, CoreWatchOptions options, const Clock& clock, MayFence may_fence,
                     std::function<void()> on_look)
    : impl_(new Impl{std::move(connect), options, clock, std::move(may_fence), std::move(on_look)}) {
  auto first = std::make_shared<CoreSnapshot>();
  first->health.error = "the core servers have not been asked yet";
  impl_->newest = std::move(first);
}

CoreWatch::~CoreWatch() { stop(); }

void CoreWatch::start() {
  impl_->thread = std::thread([this] { impl_->run(); });
}

void CoreWatch::stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void CoreWatch::set_endpoints(const std::vector<std::string>& endpoints) {
  std::lock_guard lock(impl_->mutex);
  if (endpoints == impl_->endpoints) return;
  impl_->endpoints = endpoints;
  impl_->new_endpoints = true;
  impl_->changed.notify_all();
}

void CoreWatch::set_out_of_service(const std::vector<std::string>& nodes) {
  std::lock_guard lock(impl_->mutex);
  if (nodes == impl_->out_of_service) return;
  impl_->out_of_service = nodes;
  impl_->soon = true;
  impl_->changed.notify_all();
}

void CoreWatch::look_soon() {
  std::lock_guard lock(impl_->mutex);
  impl_->soon = true;
  impl_->changed.notify_all();
}

std::shared_ptr<const CoreSnapshot> CoreWatch::snapshot() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->newest;
}

std::vector<FencingResult> CoreWatch::take_fenced() {
  std::lock_guard lock(impl_->mutex);
  return std::exchange(impl_->fenced, {});
}

}  // namespace shima
