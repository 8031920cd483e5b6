// A cluster in memory, as the CSI driver sees one: three sites with two core servers each, and what was done
// to it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "csi/controller/control_plane.h"

namespace shima {

class FakeControlPlane : public ControlPlane {
 public:
  FakeControlPlane() {
    for (const char* site : {"site-a", "site-b", "site-c"}) {
      sites_.emplace_back().set_name(site);
      for (int i = 0; i < 2; i++) add_server(site, i);
    }
  }

  void add_server(const std::string& site, int number) {
    cluster::v1::ServerState& server = servers_.emplace_back();
    server.set_alive(true);
    server.mutable_record()->set_name(site + "/core-" + std::to_string(number));
    server.mutable_record()->set_site(site);
    auto& control = *server.mutable_record()->mutable_networks()->mutable_control();
    control.set_address(site);
    control.set_port(static_cast<uint32_t>(7000 + number));
  }

  Result<cluster::v1::VolumeRecord> create_volume(const volume::v1::CreateVolumeRequest& r) override {
    creations_.push_back(r);
    if (!fail_next_.is_ok()) return take_failure();
    if (volumes_.contains(r.name())) return Status(Code::kAlreadyExists, "there");
    cluster::v1::VolumeRecord& record = volumes_[r.name()];
    record.set_name(r.name());
    record.set_home(r.home());
    *record.mutable_sites() = r.sites();
    record.set_ack(r.ack());
    record.set_block_size(r.block_size());
    record.set_size_bytes(r.size_bytes());
    record.set_max_inodes(r.max_inodes());
    record.set_published_only(r.published_only());
    *record.mutable_labels() = r.labels();
    record.set_config_version(1);
    for (uint32_t i = 0; i <= r.groups(); i++) record.add_groups()->set_metadata(i == r.groups());
    return record;
  }

  Status delete_volume(const std::string& name) override {
    if (!fail_next_.is_ok()) return take_failure();
    return volumes_.erase(name) ? Status::ok() : Status(Code::kNotFound, "no volume");
  }

  Result<cluster::v1::VolumeRecord> read_volume(const std::string& name) override {
    if (on_read_) on_read_();
    if (!volumes_.contains(name) || volumes_[name].deleting())
      return Status(Code::kNotFound, "no volume " + name);
    return volumes_[name];
  }

  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    std::vector<volume::v1::VolumeSummary> all;
    for (const auto& [name, record] : volumes_) {
      volume::v1::VolumeSummary& summary = all.emplace_back();
      summary.set_name(name);
      *summary.mutable_sites() = record.sites();
      summary.set_size_bytes(record.size_bytes());
      summary.set_published_only(record.published_only());
      summary.set_deleting(record.deleting());
      *summary.mutable_publications() = record.publications();
      *summary.mutable_labels() = record.labels();
    }
    return all;
  }

  Result<cluster::v1::VolumeRecord> set_size(const std::string& name, uint64_t size_bytes) override {
    if (!fail_next_.is_ok()) return take_failure();
    volumes_[name].set_size_bytes(size_bytes);
    return volumes_[name];
  }

  Result<volume::v1::PublishReply> publish(const std::string& name,
                                           const cluster::v1::Publication& wanted) override {
    if (!fail_next_.is_ok()) return take_failure();
    cluster::v1::VolumeRecord& record = volumes_[name];
    volume::v1::PublishReply reply;
    for (const auto& publication : record.publications()) {
      if (publication.node() != wanted.node()) continue;
      if (publication.read_only() != wanted.read_only())
        return Status(Code::kAlreadyExists, "other read_only");
      *reply.mutable_publication() = publication;
    }
    if (!reply.has_publication()) {
      record.set_config_version(record.config_version() + 1);
      *reply.mutable_publication() = wanted;
      reply.mutable_publication()->set_id(record.config_version());
      *record.add_publications() = reply.publication();
    }
    *reply.mutable_record() = record;
    return reply;
  }

  Status unpublish(const std::string& name, const std::string& node) override {
    if (!fail_next_.is_ok()) return take_failure();
    if (!volumes_.contains(name)) return {Code::kNotFound, "no volume"};
    auto& publications = *volumes_[name].mutable_publications();
    for (int i = publications.size() - 1; i >= 0; i--) {
      if (node.empty() || publications[i].node() == node) publications.DeleteSubrange(i, 1);
    }
    return Status::ok();
  }

  Result<cluster::v1::GetStatusReply> get_status() override {
    if (!reachable_) return Status(Code::kUnavailable, "no core server answered");
    return status_;
  }
  Result<std::vector<cluster::v1::SiteRecord>> list_sites() override { return sites_; }
  Result<std::vector<cluster::v1::ServerState>> list_servers() override { return servers_; }

  Result<stats::v1::GetStatsReply> get_stats_of(const std::string& endpoint) override {
    if (endpoint == silent_) return Status(Code::kUnavailable, "silent");
    stats::v1::GetStatsReply reply;
    reply.add_disks()->set_free_bytes(free_bytes_);
    reply.add_disks()->set_free_bytes(1);
    for (int i = 0; i < reply.disks_size(); i++) {
      const auto found = file_systems_.find(endpoint + "/" + std::to_string(i));
      if (found != file_systems_.end()) reply.mutable_disks(i)->set_file_system(found->second);
    }
    return reply;
  }

  Status take_failure() { return std::exchange(fail_next_, Status::ok()); }

  std::map<std::string, cluster::v1::VolumeRecord> volumes_;
  std::vector<cluster::v1::SiteRecord> sites_;
  std::vector<cluster::v1::ServerState> servers_;
  cluster::v1::GetStatusReply status_;
  std::vector<volume::v1::CreateVolumeRequest> creations_;
  Status fail_next_;               // of the next change
  std::function<void()> on_read_;  // called at the beginning of read_volume()
  bool reachable_ = true;
  uint64_t free_bytes_ = 1000;  // of each server's first disk; its second has 1
  std::map<std::string, std::string>
      file_systems_;    // of disk ENDPOINT/NUMBER; those that are not here do not say
  std::string silent_;  // endpoint that does not answer
};

}  // namespace shima
