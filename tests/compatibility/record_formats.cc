#include "coreserver/cluster/disk_store.h"
#include "coreserver/cluster/records.h"
#include "csi/mounter/mount_record.h"
#include "csi/node/stage_record.h"
#include "tests/compatibility/format_samples.h"
#include "tests/unit/coreserver/cluster/sample_cluster.h"

namespace shima {
namespace {

EtcdKeyValue item(const std::string& key, const std::string& value) {
  return {key, value, EtcdRevision(3), {}};
}

VolumeInfo whole_volume() {
  VolumeInfo v = sample_volume();
  v.groups.back().metadata = true;
  v.groups[0].members[2].whole = false;
  v.dropped_by = {ServerId(2)};
  v.max_inodes = 1000;
  v.published_only = true;
  v.publications = {sample_publication("node-1"), sample_publication("node-2", true)};
  v.publications[0].id = 4;
  v.publications[1].id = 2;
  v.labels = {{"csi.shima.io/protocol", "fuse"}, {"note", ""}};
  return v;
}

ServerInfo whole_server() {
  ServerInfo s = sample_server(3, "site-a/core-2");
  s.alive = false;
  s.mod_revision = EtcdRevision(3);
  return s;
}

ServerDisks whole_disks() {
  return {"site-a/core-2",
          {{0xd15c, "/disks/0", 1'700'000'000'000}},
          {{0xdead, 1'700'000'000'001}},
          EtcdRevision(3)};
}

SiteInfo whole_site() { return {"site-a", {{"zone", "z1"}}, {"10.1.0.0/16", "fd00::/64"}, EtcdRevision(3)}; }

// A sample whose record has operator==.
template <typename Info, typename Encode, typename Decode>
FormatSample sample(const std::string& name, const std::string& key, Info (*meant)(), Encode encode,
                    Decode decode) {
  return {name, true, [=] { return encode(meant()); },
          [=](const std::string& text) {
            const auto found = decode(item(key, text));
            return found ? as_meant(*found == meant(), key) : found.status();
          }};
}

FormatSample alive_sample() {
  return {"etcd-alive", true,
          [] {
            return encode_alive({ServerId(3), Incarnation(9)});
          },
          [](const std::string& text) {
            const auto found = decode_alive(item(alive_key("site-a/core-2"), text));
            if (!found) return found.status();
            return as_meant(found->id == ServerId(3) && found->incarnation == Incarnation(9), "alive");
          }};
}

FormatSample access_sample() {
  return {"etcd-access", true,
          [] {
            return encode_access({"site-a/access-0", 8, {}});
          },
          [](const std::string& text) {
            const auto found = decode_access(item(access_key("site-a/access-0"), text));
            return found ? as_meant(found->incarnation == 8, "access") : found.status();
          }};
}

FormatSample counter_sample() {
  return {"etcd-counter", true, [] { return encode_counter(41); },
          [](const std::string& text) {
            const auto found = decode_counter(item(counter_key(kVolumeIdCounter), text));
            return found ? as_meant(*found == 41, "counter") : found.status();
          }};
}

FormatSample software_sample() {
  const SoftwareInfo meant{"site-a/core-2", Incarnation(9), {"0.1.0", 1, 1, 1, 1}};
  return {"etcd-software", true, [=] { return encode_software(meant); },
          [=](const std::string& text) {
            const auto found = decode_software(item(software_key(meant.name), text));
            if (!found) return found.status();
            return as_meant(found->incarnation == meant.incarnation && found->software == meant.software,
                            "software");
          }};
}

FormatSample refusal_sample() {
  const RefusedStart meant{"site-a/core-2", "0.3.0", "too new"};
  return {"etcd-refusal", true, [=] { return encode_refusal(meant); },
          [=](const std::string& text) {
            const auto found = decode_refusal(item(refusal_key(meant.server), text));
            return found ? as_meant(*found == meant, "refusal") : found.status();
          }};
}

FormatSample formats_sample() {
  return {"etcd-formats", true,
          [] {
            return encode_formats({2, "site-a/core-2"});
          },
          [](const std::string& text) {
            const auto found = decode_formats(item(formats_key(), text));
            return found ? as_meant(found->level == 2, "formats") : found.status();
          }};
}

StageRecord staged() {
  StageRecord r;
  r.volume = "pvc-1";
  r.staging_path = "/var/lib/kubelet/plugins/staging";
  r.block = true;
  r.flags = {"noatime"};
  r.mount_group = 107;
  r.publication = 4;
  r.size_bytes = 1 << 30;
  r.phase = StagePhase::kStaged;
  r.loop = 3;
  r.targets = {{"/var/lib/kubelet/pods/1/volume", true, {"noexec"}}};
  return r;
}

FormatSample stage_sample() {
  return {"node-staged", true, [] { return to_json(staged()); },
          [](const std::string& text) {
            const auto found = stage_record_from_json(text);
            if (!found) return found.status();
            const StageRecord meant = staged();
            return as_meant(found->compatible_with(meant) && found->volume == meant.volume &&
                                found->staging_path == meant.staging_path && found->phase == meant.phase &&
                                found->publication == 4 && found->size_bytes == meant.size_bytes &&
                                found->loop == meant.loop && found->targets == meant.targets,
                            "a staged volume");
          }};
}

MountRecord mounted() {
  return {
      "/var/lib/shima/mounts/pvc-1", "pvc-1", true, "node-1", 4, {123, 456, "boot"}, 51, 1'700'000'000'000};
}

FormatSample mount_sample() {
  return {"node-mount", true, [] { return to_json(mounted()); },
          [](const std::string& text) {
            const auto found = mount_record_from_json(text);
            if (!found) return found.status();
            const MountRecord meant = mounted();
            return as_meant(found->same_mount(meant) && found->process == meant.process &&
                                found->connection == meant.connection && found->since_ms == meant.since_ms,
                            "a mount");
          }};
}

}  // namespace

std::vector<FormatSample> record_formats() {
  return {sample("etcd-site", site_key("site-a"), whole_site, encode_site, decode_site),
          sample("etcd-server", server_key("site-a/core-2"), whole_server, encode_server, decode_server),
          sample("etcd-volume", volume_key("db"), whole_volume, encode_volume, decode_volume),
          sample("etcd-disks", disks_key("site-a/core-2"), whole_disks, encode_disks, decode_disks),
          alive_sample(),
          access_sample(),
          counter_sample(),
          software_sample(),
          refusal_sample(),
          formats_sample(),
          stage_sample(),
          mount_sample()};
}

}  // namespace shima
