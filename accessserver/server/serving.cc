#include "accessserver/server/serving.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "accessserver/fuse/fuse_mount.h"
#include "accessserver/server/access_membership.h"
#include "accessserver/server/access_metrics.h"
#include "accessserver/server/cluster_volumes.h"
#include "accessserver/server/nfs_service.h"
#include "accessserver/server/volume_registry.h"
#include "common/observe/log.h"
#include "common/program/ending_signals.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

// The process ends next, even if stderr is a full pipe that nobody reads: unlike log() this never waits.
void log_last_words(LogLevel level, const std::string& text) {
  pollfd error{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&error, 1, 0) == 1 && (error.revents & POLLOUT) != 0) log(level, "server", text);
}

// A volume whose core servers do not answer must not keep the process from ending.
class StopLimit {
 public:
  StopLimit()
      : thread_([this] {
          const uint64_t limit_ms = real_clock().now_ms() + kStopSeconds * 1000;
          while (!stopped_ && real_clock().now_ms() < limit_ms) usleep(20'000);
          if (stopped_) return;
          log_last_words(LogLevel::kWarning,
                         "core servers do not answer; the sessions are left to end by themselves");
          _exit(0);
        }) {}
  ~StopLimit() {
    stopped_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

void add_samples(std::vector<MetricSample>& samples, const NamedVolumeStats& volume) {
  const VolumeClientStats& s = volume.stats;
  const auto add = [&](const char* name, uint64_t value) {
    samples.push_back({name, static_cast<double>(value), volume.volume});
  };
  add("volume_reads", s.reads);
  add("volume_writes", s.writes);
  add("volume_jobs", s.jobs);
  add("volume_failed", s.failed);
  add("volume_read_bytes", s.read_bytes);
  add("volume_written_bytes", s.written_bytes);
  add("volume_pieces_sent", s.pieces_sent);
  add("volume_pieces_sent_again", s.pieces_sent_again);
  add("volume_connections_lost", s.connections_lost);
  add("volume_replica_reads", s.replica_reads);
  add("volume_replica_fallbacks", s.replica_fallbacks);
  add("volume_replica_bytes", s.replica_bytes);
  add("volume_read_p50_us", s.read_us.quantile(0.5));
  add("volume_read_p99_us", s.read_us.quantile(0.99));
  add("volume_write_p50_us", s.write_us.quantile(0.5));
  add("volume_write_p99_us", s.write_us.quantile(0.99));
  add("volume_job_p50_us", s.job_us.quantile(0.5));
  add("volume_job_p99_us", s.job_us.quantile(0.99));
}

void add_samples(std::vector<MetricSample>& samples, const NfsStatistics& s) {
  const auto add = [&](const std::string& name, uint64_t value) {
    samples.push_back({name, static_cast<double>(value), ""});
  };
  for (const auto& [name, procedure] : s.procedures) {
    std::string lower;
    for (const char c : name) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    add("nfs_" + lower + "_requests", procedure.requests);
    add("nfs_" + lower + "_errors", procedure.errors);
  }
  add("nfs_calls", s.calls);
  add("nfs_refused_calls", s.refused_calls);
  add("nfs_repeated_calls", s.repeated_calls);
  add("nfs_malformed", s.malformed);
  add("nfs_connections_open", s.connections_open);
  add("nfs_connections_accepted", s.connections_accepted);
  add("nfs_connections_refused", s.connections_refused);
  add("nfs_in_bytes", s.bytes_in);
  add("nfs_out_bytes", s.bytes_out);
  add("nfs_reading_paused", s.reading_paused);
  add("nfs_bound_bytes", s.bound_bytes);
}

// Null, if metrics are off. `nfs` may be null.
Result<std::unique_ptr<AccessMetrics>> start_metrics(const AccessOptions& options, ClusterVolumes& volumes,
                                                     const NfsService* nfs) {
  if (options.metrics_port == 0) return std::unique_ptr<AccessMetrics>();
  const uint64_t started_ms = real_clock().now_ms();
  return AccessMetrics::start(options.metrics_address, options.metrics_port, options.name, [=, &volumes] {
    std::vector<MetricSample> samples;
    samples.push_back({"access_uptime_ms", static_cast<double>(real_clock().now_ms() - started_ms), ""});
    const std::vector<NamedVolumeStats> open = volumes.stats();
    samples.push_back({"access_open_volumes", static_cast<double>(open.size()), ""});
    for (const NamedVolumeStats& volume : open) add_samples(samples, volume);
    if (nfs) add_samples(samples, nfs->statistics());
    return samples;
  });
}

FuseOptions fuse_options(const AccessOptions& options) {
  FuseOptions fuse;
  fuse.mount_point = options.mount;
  fuse.threads = options.fuse_threads;
  fuse.read_only = options.read_only;
  fuse.cache = options.cache_pages ? FuseCache::kPages : FuseCache::kNone;
  fuse.attribute_timeout_ms = options.attribute_timeout_ms;
  fuse.ended = [] { kill(getpid(), SIGTERM); };  // somebody unmounted it: there is nothing left to serve
  return fuse;
}

// A cluster that does not answer must not keep a signal from ending the process.
Result<std::shared_ptr<FileSystem>> open_unless_ended(ClusterVolumes& volumes, const std::string& name) {
  auto opening = std::async(std::launch::async, [&] { return volumes.open(name); });
  const sigset_t ends = ending_signals();
  const timespec pause{0, 20'000'000};
  while (opening.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (sigtimedwait(&ends, nullptr, &pause) < 0) continue;
    log_last_words(LogLevel::kInfo, "ended before volume " + name + " was open");
    _exit(0);  // there is nothing to unmount, and no thread to wait for
  }
  return opening.get();
}

void unmount(FuseMount& mount, const std::string& path) {
  if (!mount.mounted()) return;
  Status status = mount.unmount();
  if (status.is_ok()) return;
  log(LogLevel::kWarning, "server", path + " is taken away from who uses it: " + status.to_string());
  status = mount.force_unmount();
  if (!status.is_ok()) log(LogLevel::kError, "server", "cannot unmount " + path + ": " + status.to_string());
}

bool end_is_wanted() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

NfsServerOptions nfs_options(const AccessOptions& options) {
  NfsServerOptions nfs;
  nfs.address = options.nfs_address;
  nfs.port = options.nfs_port;
  nfs.max_connections = options.max_connections;
  nfs.portmapper_port = options.portmapper_port;
  return nfs;
}

// Core servers would refuse each request of such a mount; its user had better be told at once.
Status admit_mount(const VolumeLayout& layout, const ClientIdentity& identity) {
  if (!layout.published_only || std::ranges::count(layout.publications, identity.publication))
    return Status::ok();
  // This layout may be older than the publication.
  if (identity.publication != 0 && layout.config_version.value < identity.publication) return Status::ok();
  const std::string found = identity.publication == 0
                                ? "this mount has no publication"
                                : "publication " + std::to_string(identity.publication) + " of node " +
                                      identity.node + " is not one of them (any more)";
  return {Code::kPermissionDenied, "volume " + layout.name + " is for published nodes only, and " + found +
                                       ": publish it with `shimactl volume publish " + layout.name +
                                       " NODE`, and give --node NODE --publication ID"};
}

// Whoever asks about a client or a volume ends before the membership that is asked.
void stop_serving_nfs(NfsService& nfs, VolumeRegistry& registry, ClusterVolumes& volumes,
                      AccessMembership& membership) {
  nfs.stop();
  registry.stop();
  volumes.stop();
  membership.leave();
}

}  // namespace

Status serve_nfs(const AccessOptions& options) {
  ClusterVolumes volumes(options);
  VolumeRegistry registry(volumes, options.export_rules);
  volumes.set_on_gone([&registry](uint64_t volume_id) { registry.forget(volume_id); });
  NfsService nfs(volumes, registry, nfs_options(options), options.nfs_threads);
  AccessMembership membership(options, volumes, registry, nfs);
  if (Status started = membership.start(end_is_wanted); !started.is_ok()) {
    if (!end_is_wanted()) return started;
    log(LogLevel::kInfo, "server", "ended before it was registered");
    return Status::ok();
  }
  auto metrics = start_metrics(options, volumes, &nfs);
  // Last, so that an error finds no client's call under way.
  Status opened = metrics.is_ok() ? nfs.open() : metrics.status();
  if (!opened.is_ok()) {
    stop_serving_nfs(nfs, registry, volumes, membership);
    return opened;
  }
  membership.serve();
  log(LogLevel::kInfo, "server",
      options.name + " serves NFS on " + options.nfs_address + " port " + std::to_string(nfs.port()));
  wait_for_ending_signal();
  StopLimit limit;
  nfs.begin_stop();
  metrics->reset();
  membership.stop_serving();
  stop_serving_nfs(nfs, registry, volumes, membership);
  return Status::ok();
}

Status serve_mount(const AccessOptions& options) {
  ClusterVolumes volumes(options);
  volumes.set_admission(admit_mount);
  volumes.resume({.node = options.node, .publication = options.publication});
  volumes.set_on_fenced([&options](const ClientIdentity&, const Status& why) {
    log(LogLevel::kError, "server",
        "this node's publication was taken away: unmount " + options.mount +
            ", which can only give errors: " + why.to_string());
  });
  volumes.set_on_gone([&options](uint64_t) {
    log(LogLevel::kError, "server",
        "volume " + options.volume + " was deleted; unmount " + options.mount +
            ", which can only give errors");
  });
  auto metrics = start_metrics(options, volumes, nullptr);
  if (!metrics.is_ok()) return metrics.status();
  auto files = open_unless_ended(volumes, options.volume);
  if (!files.is_ok()) return files.status().with_context("volume " + options.volume);
  auto mount = FuseMount::mount(**files, fuse_options(options));
  if (!mount.is_ok()) return mount.status();
  log(LogLevel::kInfo, "server",
      options.name + " has mounted volume " + options.volume + " at " + options.mount);
  wait_for_ending_signal();
  StopLimit limit;
  metrics->reset();
  unmount(**mount, options.mount);
  mount->reset();
  files->reset();
  volumes.stop();
  return Status::ok();
}

}  // namespace shima
