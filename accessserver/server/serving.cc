#include "accessserver/server/serving.h"

#include <unistd.h>

#include <atomic>
#include <cctype>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "accessserver/fuse/fuse_mount.h"
#include "accessserver/nfs/nfs_server.h"
#include "accessserver/server/access_metrics.h"
#include "accessserver/server/cluster_volumes.h"
#include "accessserver/server/shared_address.h"
#include "accessserver/server/volume_registry.h"
#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "common/runtime/event_loop.h"

namespace shima {
namespace {

void wait_for_ending_signal() {
  const sigset_t ends = ending_signals();
  int number = 0;
  sigwait(&ends, &number);
  log(LogLevel::kInfo, "server", "stopping");
}

// A volume whose core servers do not answer must not keep the process from ending.
class StopLimit {
 public:
  StopLimit()
      : thread_([this] {
          const uint64_t limit_ms = real_clock().now_ms() + kStopSeconds * 1000;
          while (!stopped_ && real_clock().now_ms() < limit_ms) usleep(20'000);
          if (stopped_) return;
          log(LogLevel::kWarning, "server",
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

// Null, if metrics are off. `server` may be null.
Result<std::unique_ptr<AccessMetrics>> start_metrics(const AccessOptions& options, ClusterVolumes& volumes,
                                                     const NfsServer* server) {
  if (options.metrics_port == 0) return std::unique_ptr<AccessMetrics>();
  const uint64_t started_ms = real_clock().now_ms();
  return AccessMetrics::start(options.metrics_address, options.metrics_port, options.name, [=, &volumes] {
    std::vector<MetricSample> samples;
    samples.push_back({"access_uptime_ms", static_cast<double>(real_clock().now_ms() - started_ms), ""});
    const std::vector<NamedVolumeStats> open = volumes.stats();
    samples.push_back({"access_open_volumes", static_cast<double>(open.size()), ""});
    for (const NamedVolumeStats& volume : open) add_samples(samples, volume);
    if (server) add_samples(samples, server->statistics());
    return samples;
  });
}

// The event loops of NFS connections, started and stopped together.
class NfsLoops {
 public:
  explicit NfsLoops(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
      loops_.push_back(std::make_unique<EventLoop>("nfs-" + std::to_string(i)));
      loops_.back()->start();
    }
  }
  ~NfsLoops() { stop(); }
  void stop() {
    for (auto& loop : loops_) loop->stop();
  }
  std::vector<EventLoop*> all() const {
    std::vector<EventLoop*> pointers;
    for (const auto& loop : loops_) pointers.push_back(loop.get());
    return pointers;
  }

 private:
  std::vector<std::unique_ptr<EventLoop>> loops_;
};

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
    log(LogLevel::kInfo, "server", "ended before volume " + name + " was open");
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

// NFS on the site's shared address while it is here.
class SharedService {
 public:
  // Nothing to do without the option.
  Status start(const AccessOptions& options, const NfsServerOptions& nfs, uint16_t port, NfsLoops& loops,
               Exports& exports) {
    if (!options.shared_address) return Status::ok();
    auto etcd = EtcdClient::create(options.etcd_endpoints);
    if (!etcd.is_ok()) return etcd.status();
    etcd_ = std::move(*etcd);
    NfsServerOptions there = nfs;
    there.address = options.shared_address->address;
    there.port = port;
    SharedAddress::Handlers handlers;
    bool everywhere = nfs.address == "0.0.0.0" || nfs.address == "::";  // then it is served there already
    handlers.taken = [this, there, everywhere, &loops, &exports] {
      if (everywhere) return Status::ok();
      auto server = NfsServer::open(loops.all(), there, exports);
      if (server.is_ok()) server_ = std::move(*server);
      return server.status();
    };
    handlers.lost = [this] { server_.reset(); };
    address_ = std::make_unique<SharedAddress>(
        *etcd_, SharedAddressOptions{*options.shared_address, options.name}, std::move(handlers));
    return Status::ok();
  }
  void stop() {
    address_.reset();
    etcd_.reset();
  }

 private:
  std::unique_ptr<EtcdClient> etcd_;
  std::unique_ptr<NfsServer> server_;  // the address' thread's own
  std::unique_ptr<SharedAddress> address_;
};

}  // namespace

sigset_t ending_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  return ends;
}

Status serve_nfs(const AccessOptions& options) {
  ClusterVolumes volumes(options);
  VolumeRegistry registry(volumes, options.export_rules);
  volumes.set_on_gone([&registry](uint64_t volume_id) { registry.forget(volume_id); });
  NfsLoops loops(options.nfs_threads);
  NfsServerOptions nfs;
  nfs.address = options.nfs_address;
  nfs.port = options.nfs_port;
  nfs.max_connections = options.max_connections;
  nfs.portmapper_port = options.portmapper_port;
  auto server = NfsServer::open(loops.all(), nfs, registry);
  if (!server.is_ok()) return server.status();
  auto metrics = start_metrics(options, volumes, server->get());
  if (!metrics.is_ok()) return metrics.status();
  SharedService shared;
  SHIMA_RETURN_IF_ERROR(shared.start(options, nfs, (*server)->port(), loops, registry));
  log(LogLevel::kInfo, "server",
      options.name + " serves NFS on " + options.nfs_address + " port " + std::to_string((*server)->port()));
  wait_for_ending_signal();
  StopLimit limit;
  metrics->reset();
  shared.stop();
  server->reset();
  loops.stop();
  registry.stop();
  volumes.stop();
  return Status::ok();
}

Status serve_mount(const AccessOptions& options) {
  ClusterVolumes volumes(options);
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
