#include "coreserver/driver/core_server.h"

#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {

namespace {
constexpr uint64_t kCheckDisksMs = 200;

// Which of the two is the newer one cannot be told: neither may be used in the other's place.
Status on_two_disks(const std::string& volume, GroupId id, const std::string& one, const std::string& other) {
  return {Code::kFailedPrecondition,
          "group " + to_string(id) + " of volume " + volume + " is both on " + one + " and on " + other +
              ", wanted it on one disk. One of them was filled in another life of this server: take that one "
              "out of `disks`, and if it is on record (`shimactl server disks`), forget it"};
}
}  // namespace

CoreServer::CoreServer(const ServerOptions& options)
    : options_(options), started_ms_(real_clock().now_ms()) {}

Result<std::unique_ptr<CoreServer>> CoreServer::start(const ServerOptions& options) {
  std::unique_ptr<CoreServer> server(new CoreServer(options));
  server->readers_ = std::make_unique<WorkerPool>("reader", 4);
  server->control_ = std::make_unique<WorkerPool>("control", 1);
  server->etcd_threads_ = std::make_unique<WorkerPool>("etcd", 4);
  server->membership_threads_ = std::make_unique<WorkerPool>("membership", 4);
  SHIMA_RETURN_IF_ERROR(server->confirm_empty_disks());
  SHIMA_RETURN_IF_ERROR(server->confirm_release());
  SHIMA_RETURN_IF_ERROR(server->open_disks());
  server->shards_ = std::make_unique<ShardSet>(options.shards);
  for (size_t i = 0; i < server->shards_->size(); i++) (*server->shards_)[i].loop().start();
  SHIMA_RETURN_IF_ERROR(server->listen());
  server->control_->post([s = server.get()] { s->join_cluster(); });
  CoreServer* s = server.get();
  (*s->shards_)[0].loop().post([s] { s->check_disks(); });
  return server;
}

CoreServer::~CoreServer() { stop(); }

void CoreServer::stop() {
  if (stopping_.exchange(true)) return;
  // From the outside in: no more calls, then the loops, then what reports to them, then the cluster's view.
  if (control_server_) control_server_->stop();
  metrics_.reset();
  listeners_.clear();
  if (control_) control_->stop();
  if (shards_) {
    for (size_t i = 0; i < shards_->size(); i++) (*shards_)[i].stop();
  }
  if (readers_) readers_->stop();
  for (auto& disk : disks_) disk->close();
  if (etcd_threads_) etcd_threads_->stop();
  if (membership_threads_) membership_threads_->stop();
  view_.reset();
  if (registration_ && !registration_->leave().is_ok()) {
    log(LogLevel::kInfo, "server", "the lease could not be given back and runs out by itself");
  }
  registration_.reset();
}

Status CoreServer::open_disks() {
  for (const DiskOptions& d : options_.disks) {
    auto disk = ServerDisk::open(d.path, options_);
    if (!disk.is_ok()) return disk.status();
    disks_.push_back(std::move(*disk));
    SHIMA_RETURN_IF_ERROR(recover(*disks_.back()));
  }
  return Status::ok();
}

Status CoreServer::recover(ServerDisk& disk) {
  auto checkpoints = disk.blocks().checkpoints();
  if (!checkpoints.is_ok()) return checkpoints.status();
  auto logs = disk.journal().take_recovered();
  for (auto& [id, bytes] : *checkpoints) {
    auto checkpoint = decode_checkpoint(bytes);
    if (!checkpoint.is_ok())
      return checkpoint.status().with_context(disk.path() + ": group " + to_string(id));
    if (const auto other = recovered_.find(id); other != recovered_.end())
      return on_two_disks(checkpoint->volume, id, other->second.disk->path(), disk.path());
    Recovered r;
    r.disk = &disk;
    r.checkpoint = *checkpoint;
    auto found = logs.find(id);
    std::vector<RecordHeader> records;
    std::string damage;
    Sequence released;
    if (found == logs.end())
      damage = disk.journal().damage();  // its records may have been in what cannot be read
    if (found != logs.end()) {
      released = found->second.released;
      records = std::move(found->second.records);
      if (found->second.damaged) damage = found->second.damage;
      logs.erase(found);
    }
    if (checkpoint->resyncing) {  // half of it came
      SHIMA_RETURN_IF_ERROR(checkpoint->metadata ? disk.blocks().kv().delete_group(id)
                                                 : disk.blocks().delete_blocks(id));
    }
    const bool had_records = !records.empty();
    r.group = recovered_group(*checkpoint, std::move(records), damage, released);
    if (had_records && r.group.records.empty() && r.group.damage.empty()) disk.journal().drop_group(id);
    log(r.group.damage.empty() ? LogLevel::kInfo : LogLevel::kError, "recovery",
        "group " + to_string(id) + " of volume " + checkpoint->volume + ": blocks up to " +
            to_string(checkpoint->position) + ", " + std::to_string(r.group.records.size()) +
            " records in the journal" +
            (r.group.damage.empty() ? "" : "; DAMAGED, not used until repaired: " + r.group.damage));
    logged_[id] = newest_term(r.group);
    recovered_[id] = std::move(r);
  }
  for (auto& [id, rest] : logs) disk.journal().drop_group(id);  // its deletion was under way
  return Status::ok();
}

Result<NetworkEndpoint> CoreServer::listen_on(const NetworkOptions& network) {
  std::vector<EventLoop*> loops;
  for (size_t i = 0; i < shards_->size(); i++) loops.push_back(&(*shards_)[i].loop());
  ListenerOptions options;
  options.address = network.address;
  options.port = network.port;
  SessionEnvironment environment;
  environment.shards = shards_.get();
  environment.identity = [this] {
    return std::make_pair(ServerId(self_.load()), Incarnation(incarnation_.load()));
  };
  environment.inflight_bytes = options_.inflight_bytes;
  auto listener = Listener::open(
      loops, options, [environment](ConnectionPtr c) { serve_data_connection(environment, std::move(c)); });
  if (!listener.is_ok()) return listener.status();
  NetworkEndpoint endpoint{network.advertise.empty() ? network.address : network.advertise,
                           (*listener)->port()};
  listeners_.push_back(std::move(*listener));
  return endpoint;
}

Status CoreServer::listen() {
  auto client = listen_on(options_.client);
  if (!client.is_ok()) return client.status().with_context("client network");
  networks_.client = networks_.storage = networks_.wan = *client;
  if (options_.storage != options_.client) {
    auto storage = listen_on(options_.storage);
    if (!storage.is_ok()) return storage.status().with_context("storage network");
    networks_.storage = *storage;
  }
  if (options_.wan == options_.storage) {
    networks_.wan = networks_.storage;
  } else if (options_.wan != options_.client) {
    auto wan = listen_on(options_.wan);
    if (!wan.is_ok()) return wan.status().with_context("WAN network");
    networks_.wan = *wan;
  }
  auto control = ControlServer::start(*this, options_.client.address, options_.control_port);
  if (!control.is_ok()) return control.status().with_context("control port");
  control_server_ = std::move(*control);
  networks_.control = {networks_.client.address, control_server_->port()};
  if (options_.metrics_port) {
    auto metrics = MetricsEndpoint::start(*this, options_.client.address, options_.metrics_port);
    if (!metrics.is_ok()) return metrics.status();
    metrics_ = std::move(*metrics);
  }
  return Status::ok();
}

void CoreServer::check_disks() {
  for (auto& disk : disks_) disk->check_space();
  (*shards_)[0].loop().after(kCheckDisksMs, [this] { check_disks(); });
}

}  // namespace shima
