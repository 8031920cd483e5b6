// How a core server follows the cluster's records: joins, claims its incarnation (R4), makes, configures and
// drops groups.
#include <thread>

#include "common/observe/log.h"
#include "coreserver/driver/core_server.h"

namespace shima {

namespace {

replication::ProtocolBugs bugs_of(const std::string& name) {
  replication::ProtocolBugs bugs;
  bugs.ack_before_second_sync = name == "ack-before-second-sync";
  bugs.ship_before_commit = name == "ship-before-commit";
  bugs.trim_before_remote_durable = name == "trim-before-remote-durable";
  bugs.no_term_check = name == "no-term-check";
  bugs.duplicate_executed_twice = name == "duplicate-executed-twice";
  return bugs;
}

uint64_t disk_bytes(const std::vector<std::unique_ptr<ServerDisk>>& disks) {
  uint64_t total = 0;
  for (const auto& disk : disks) {
    auto space = disk->space();
    if (space.is_ok()) total += space->total_bytes;
  }
  return total;
}

}  // namespace

void CoreServer::join_cluster() {
  uint64_t wait_ms = 200;
  while (!stopping_) {
    Status status = try_join();
    if (status.is_ok()) return;
    {
      std::lock_guard lock(join_mutex_);
      if (join_error_ != status.to_string())
        log(LogLevel::kError, "cluster", "cannot join yet, trying on: " + status.to_string());
      join_error_ = status.to_string();
    }
    for (uint64_t waited = 0; waited < wait_ms && !stopping_; waited += 50)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    wait_ms = std::min<uint64_t>(wait_ms * 2, 3000);
  }
}

// A counter that cannot be read keeps volumes from being made, but no server from joining.
Status CoreServer::skip_known_ids() {
  if (logged_.empty()) return Status::ok();
  Status skipped = volumes_->skip_ids_up_to(logged_.rbegin()->first.volume);
  if (skipped.is_ok() || skipped.code() == Code::kUnavailable) return skipped;
  log(LogLevel::kError, "cluster", "the counter of volumes' ids: " + skipped.to_string());
  return Status::ok();
}

Status CoreServer::try_join() {
  SHIMA_RETURN_IF_ERROR(connect_etcd());
  if (!registration_) {
    SHIMA_RETURN_IF_ERROR(admit_software(*etcd_, options_.name, this_software()).status());
    Result<EtcdRevision> recorded = record_disks();
    if (!recorded) return recorded.status();
    SHIMA_RETURN_IF_ERROR(skip_known_ids());
    RegistrationSpec spec;
    spec.name = options_.name;
    spec.site = options_.site;
    spec.failure_domain = options_.failure_domain;
    spec.networks = networks_;
    spec.site_labels = options_.site_labels;
    spec.site_cidrs = options_.site_cidrs;
    spec.disk_total_bytes = disk_bytes(disks_);
    spec.lease_ttl_ms = options_.lease_ttl_ms;
    spec.disks = *recorded;
    auto registration = Registration::start(*etcd_, spec, [](const RegistrationEvent& event) {
      log(LogLevel::kWarning, "cluster", event.why);
      if (event.kind != RegistrationEvent::Kind::kSuperseded) return;
      log(LogLevel::kError, "cluster", "this process is not this server any more; it ends");
      std::_Exit(3);
    });
    if (!registration.is_ok()) return registration.status();
    registration_ = std::move(*registration);
    for (const std::string& w : registration_->warnings()) log(LogLevel::kWarning, "cluster", w);
    incarnation_ = registration_->incarnation().value;
    self_ = registration_->id().value;
    for (size_t i = 0; i < shards_->size(); i++) {
      Shard& shard = (*shards_)[i];
      shard.loop().post(
          [&shard, self = server_id(), incarnation = incarnation()] { shard.identify(self, incarnation); });
    }
    log(LogLevel::kInfo, "cluster",
        "registered as " + options_.name + ", server " + std::to_string(self_) + ", incarnation " +
            std::to_string(incarnation_) + ", control port " + std::to_string(networks_.control.port));
  }
  // R4, before anything is served
  auto claimed = volumes_->claim_restart(server_id(), incarnation(), logged_);
  if (!claimed.is_ok()) return claimed.status();
  if (!view_) {
    auto view =
        ClusterView::start(*etcd_, [this](const ClusterChange& change) { on_cluster_change(change); });
    if (!view.is_ok()) return view.status();
    view_ = std::move(*view);
  }
  control_->post([this] { act_on_all(); });
  joined_ = true;  // from here on others may wait for what this server acts on
  return Status::ok();
}

void CoreServer::on_cluster_change(const ClusterChange& change) {
  control_->post([this, change] {
    if (change.servers_changed || change.access_changed) return act_on_all();
    auto now = newest_state();
    for (const std::string& name : change.volumes) {
      auto it = now->volumes.find(name);
      if (it != now->volumes.end()) reconcile(now, it->second);
    }
    acted_ = std::max(acted_, change.state->revision);
  });
}

// Perhaps newer than the change that is acted on: groups must never be told of an older state after a newer.
std::shared_ptr<const ClusterState> CoreServer::newest_state() {
  auto now = view_->snapshot();
  if (*access_servers_ != now->access) access_servers_ = std::make_shared<const AccessServers>(now->access);
  return now;
}

void CoreServer::act_on_all() {
  auto now = newest_state();
  reconcile_all(now);
  acted_ = std::max(acted_, now->revision);
}

void CoreServer::reconcile_all(const std::shared_ptr<const ClusterState>& state) {
  for (const auto& [name, volume] : state->volumes) reconcile(state, volume);
}

void CoreServer::reconcile(const std::shared_ptr<const ClusterState>& state, const VolumeInfo& volume) {
  if (stopping_ || !volume.has_member(server_id())) return;
  if (volume.deleting) return drop_volume(volume);
  auto access = std::make_shared<const VolumeAdmission>(volume, access_servers_, state->revision);
  bool named = true;
  for (const GroupInfo& group : volume.groups) {
    const MemberInfo* me = group.find(server_id());
    if (!me) continue;
    named = named && me->incarnation == incarnation();
    if (ensure_group(volume, group)) configure_group(state, volume, group, access);
  }
  if (!named) claim(volume.name);
}

ServerDisk* CoreServer::disk_for_new_group() const {
  std::map<ServerDisk*, size_t> groups;
  for (const auto& disk : disks_) groups[disk.get()] = 0;
  for (const auto& [id, place] : places_) groups[place.disk]++;
  for (const auto& [id, r] : recovered_) groups[r.disk]++;
  ServerDisk* best = nullptr;
  for (const auto& disk : disks_) {
    if (disk->full() && disks_.size() > 1) continue;
    if (!best || groups[disk.get()] < groups[best]) best = disk.get();
  }
  return best ? best : disks_.front().get();
}

// True if what was recovered under the group's id is another volume's: it stays as it is.
bool CoreServer::is_strange(const VolumeInfo& volume, const GroupInfo& group) {
  const GroupId id{volume.id, group.index};
  const auto found = recovered_.find(id);
  if (found == recovered_.end()) return false;
  const Status status = check_identity(found->second.checkpoint, volume, group);
  if (status.is_ok()) return false;
  std::lock_guard lock(strange_mutex_);
  if (strange_[id] == status.message()) return true;
  strange_[id] = status.message();
  log(LogLevel::kError, "cluster", "not served: " + status.message());
  return true;
}

// True if the group is here (now).
bool CoreServer::ensure_group(const VolumeInfo& volume, const GroupInfo& group) {
  GroupId id{volume.id, group.index};
  if (places_.contains(id)) return !places_[id].dropping;
  if (is_strange(volume, group)) return false;
  auto found = recovered_.find(id);
  if (found != recovered_.end()) {
    Recovered r = std::move(found->second);
    recovered_.erase(found);
    add_group(volume, id, r.disk, std::move(r.checkpoint), std::move(r.group));
    return true;
  }
  GroupCheckpoint checkpoint;
  checkpoint.volume = volume.name;
  checkpoint.block_size = volume.block_size;
  checkpoint.metadata = group.metadata;
  ServerDisk* disk = disk_for_new_group();
  Status status = disk->blocks().checkpoint(id, encode_checkpoint(checkpoint));  // before its first record
  if (!status.is_ok()) {
    log(LogLevel::kError, "cluster", "cannot begin group " + to_string(id) + ": " + status.to_string());
    return false;
  }
  add_group(volume, id, disk, std::move(checkpoint), {});
  return true;
}

void CoreServer::add_group(const VolumeInfo& volume, GroupId id, ServerDisk* disk, GroupCheckpoint checkpoint,
                           replication::RecoveredGroup recovered) {
  places_[id] = {disk, false};
  Shard& shard = shards_->of(id);
  auto r = std::make_shared<replication::RecoveredGroup>(std::move(recovered));
  shard.loop().post([this, id, disk, &shard, checkpoint = std::move(checkpoint), r,
                     data_groups = volume.data_groups()]() mutable {
    GroupEnvironment environment;
    environment.loop = &shard.loop();
    environment.disk = disk;
    environment.readers = readers_.get();
    environment.links = &shard.links();
    environment.self = server_id();
    environment.incarnation = incarnation();
    environment.unapplied_bytes = options_.unapplied_bytes;
    environment.data_groups = data_groups;
    environment.protocol.lag_budget_bytes = options_.lag_budget_bytes;
    environment.protocol.bugs = bugs_of(options_.protocol_bug);
    environment.propose = [this](GroupId group, Term term, const replication::ProposeMembership& p) {
      propose(group, term, p);
    };
    shard.add(
        std::make_shared<GroupDriver>(std::move(environment), id, std::move(checkpoint), std::move(*r)));
  });
}

void CoreServer::configure_group(const std::shared_ptr<const ClusterState>& state, const VolumeInfo& volume,
                                 const GroupInfo& group, std::shared_ptr<const VolumeAdmission> access) {
  replication::GroupConfig config = group_config_of(volume, group.index);
  std::vector<std::tuple<ServerId, NetworkEndpoint, bool>> peers;
  if (config.role_of(server_id()) == replication::Role::kPrimary) {
    for (const MemberInfo& m : group.members) {
      auto server = state->servers.find(m.server);
      if (m.server == server_id() || server == state->servers.end()) continue;
      bool wan = server->second.site != options_.site;
      peers.emplace_back(m.server, wan ? server->second.networks.wan : server->second.networks.storage, wan);
    }
  }
  GroupId id{volume.id, group.index};
  Shard& shard = shards_->of(id);
  shard.loop().post([id, &shard, config = std::move(config), peers = std::move(peers),
                     max_inodes = volume.max_inodes, access = std::move(access)] {
    for (const auto& [server, endpoint, wan] : peers) shard.links().want(server, endpoint, wan);
    if (auto g = shard.find(id)) g->set_config(config, max_inodes, access);
  });
}

void CoreServer::claim(const std::string& volume) {
  if (!claiming_.insert(volume).second) return;
  etcd_threads_->post([this, volume] {
    auto claimed = volumes_->claim_volume(volume, server_id(), incarnation(), logged_);
    if (!claimed.is_ok())
      log(LogLevel::kWarning, "cluster",
          "volume " + volume + ": cannot name this incarnation yet: " + claimed.status().to_string());
    control_->post([this, volume] { claiming_.erase(volume); });
  });
}

void CoreServer::propose(GroupId group, Term term, const replication::ProposeMembership& proposal) {
  auto now = state();
  const VolumeInfo* volume = now ? now->volume_with(group.volume) : nullptr;
  if (!volume) return;
  log(LogLevel::kWarning, "membership",
      "volume " + volume->name + ", group " + std::to_string(group.index.value) + ": server " +
          std::to_string(proposal.member.value) +
          (proposal.whole ? " is to be whole" : " is to leave the whole set") +
          (proposal.in_sync ? "" : ", not in sync") + ", because " + proposal.reason);
  const bool first = wishes_.add(volume->name, {group.index, term, proposal.based_on, proposal.member,
                                                proposal.whole, proposal.in_sync});
  if (first) membership_threads_->post([this, name = volume->name] { change_memberships(name); });
}

void CoreServer::change_memberships(const std::string& volume) {
  if (stopping_) return;
  auto changed = volumes_->update_memberships(volume, wishes_.take(volume));
  if (!changed.is_ok())
    log(LogLevel::kWarning, "membership", "volume " + volume + ": " + changed.status().to_string());
}

void CoreServer::drop_volume(const VolumeInfo& volume) {
  for (ServerId done : volume.dropped_by) {
    if (done == server_id()) return;
  }
  for (const GroupInfo& group : volume.groups) {
    auto place = places_.find({volume.id, group.index});
    if (place != places_.end() && place->second.dropping) return;  // under way
  }
  struct Countdown {
    std::atomic<size_t> left{1};
    std::atomic<bool> failed{false};
  };
  auto countdown = std::make_shared<Countdown>();
  auto finish = [this, countdown, name = volume.name, id = volume.id] {
    if (--countdown->left > 0 || countdown->failed) return;
    etcd_threads_->post([this, name, id] {
      Status status = volumes_->confirm_dropped(name, id, server_id());
      if (!status.is_ok()) log(LogLevel::kWarning, "cluster", "volume " + name + ": " + status.to_string());
    });
  };
  for (const GroupInfo& group : volume.groups) {
    if (!group.find(server_id())) continue;
    GroupId id{volume.id, group.index};
    if (recovered_.contains(id)) ensure_group(volume, group);
    auto place = places_.find(id);
    if (place == places_.end()) continue;
    place->second.dropping = true;
    countdown->left++;
    Shard& shard = shards_->of(id);
    shard.loop().post([this, id, &shard, countdown, finish] {
      auto g = shard.find(id);
      if (!g) return finish();
      shard.remove(id);
      g->drop([this, id, countdown, finish](Status status) {
        if (!status.is_ok()) countdown->failed = true;
        control_->post([this, id] { places_.erase(id); });
        finish();
      });
    });
  }
  finish();
}

}  // namespace shima
