#include "coreserver/cluster/server_disks.h"

#include <algorithm>
#include <map>
#include <set>

namespace shima {
namespace {

constexpr size_t kNamedVolumes = 10;

Status refused(const std::string& why) { return {Code::kFailedPrecondition, why}; }

std::string forget_command(const std::string& server, const std::string& disk) {
  return "shimactl server forget-disk " + server + " " + disk;
}

// "2026-11-23", UTC; civil from days, after Howard Hinnant's description of the proleptic calendar.
std::string day_of(int64_t ms) {
  const int64_t z = std::max<int64_t>(ms, 0) / 86'400'000 + 719'468;
  const int64_t era = z / 146'097, in_era = z - era * 146'097;
  const int64_t year_of_era = (in_era - in_era / 1460 + in_era / 36'524 - in_era / 146'096) / 365;
  const int64_t day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1,
                month = shifted < 10 ? shifted + 3 : shifted - 9;
  const auto two = [](int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return std::to_string(year_of_era + era * 400 + (month <= 2 ? 1 : 0)) + "-" + two(month) + "-" + two(day);
}

std::string listed(const std::vector<std::string>& all) {
  std::string text;
  for (size_t i = 0; i < std::min(all.size(), kNamedVolumes); ++i) text += (i ? ", " : "") + all[i];
  if (all.size() > kNamedVolumes) text += " and " + std::to_string(all.size() - kNamedVolumes) + " more";
  return text;
}

const FoundDisk* at_path(const std::vector<FoundDisk>& found, const std::string& path) {
  auto it = std::find_if(found.begin(), found.end(), [&](const FoundDisk& f) { return f.path == path; });
  return it == found.end() ? nullptr : &*it;
}

Status missing(const std::string& server, const KnownDisk& disk, const std::vector<FoundDisk>& found) {
  const std::string id = disk_id_text(disk.id);
  const FoundDisk* there = at_path(found, disk.path);
  std::string what = "is in none of the server's directories";
  if (there && there->id == 0) what = "is not there: " + disk.path + " has no superblock";
  if (there && there->id != 0) what = "is not there: " + disk.path + " has disk " + disk_id_text(there->id);
  return refused("disk " + id + " of " + server + ", at " + disk.path + " since " + day_of(disk.since_ms) +
                 ", " + what +
                 ". Is it mounted, and in the configuration? Nothing was written. If that disk is lost for "
                 "ever: " +
                 forget_command(server, id) + ", which says first whether data would be lost with it");
}

Status check_found(const std::string& server, const std::vector<ForgottenDiskInfo>& forgotten,
                   const std::vector<FoundDisk>& found) {
  std::map<uint64_t, std::string> paths;
  for (const FoundDisk& f : found) {
    if (f.id == 0) continue;
    auto [before, is_new] = paths.emplace(f.id, f.path);
    if (!is_new)
      return refused("found disk " + disk_id_text(f.id) + " of " + server + " both at " + before->second +
                     " and at " + f.path +
                     ", wanted a disk of its own at each; take the copy out of the configuration");
    for (const ForgottenDiskInfo& gone : forgotten) {
      if (gone.id != f.id) continue;
      return refused(
          "found disk " + disk_id_text(f.id) + " of " + server + " at " + f.path +
          ", which was forgotten as lost on " + day_of(gone.when_ms) +
          "; what is on it is out of date. Empty that directory, or take it out of the configuration");
    }
  }
  return Status::ok();
}

Status check_unrecorded(const std::string& server, const std::vector<FoundDisk>& found) {
  for (const FoundDisk& f : found) {
    if (f.id != 0) continue;
    return refused(f.path + " has no superblock, but " + server +
                   " has started before, with disks that no record names. Is the disk mounted? Nothing was "
                   "written. Start it once with all its disks and without new ones, so that they are put on "
                   "record. If those are lost for ever: " +
                   forget_command(server, kUnrecordedDisk) +
                   ", which says first whether data would be lost with them");
  }
  return Status::ok();
}

// Volumes' ids count from 1 in each etcd: this data would come up as other volumes', or be dropped with them.
// A first start that ended before it was on record has no groups yet.
Status check_unknown(const std::string& server, const std::vector<FoundDisk>& found) {
  for (const FoundDisk& f : found) {
    if (f.volumes.empty()) continue;
    return refused("found data of " + listed(f.volumes) + " on disk " + disk_id_text(f.id) + " at " + f.path +
                   ", but this etcd knows neither " + server +
                   " nor its disks: it is another cluster's, or was made anew, or is older than they are. "
                   "Nothing was served. Point the server at the etcd that knows these volumes, or restore "
                   "its snapshot (docs/howto/etcd-backup.md); to begin with nothing, give the server an "
                   "empty disk");
  }
  return Status::ok();
}

Status is_primary(const ServerInfo& server, const std::vector<std::string>& volumes) {
  return refused(
      server.name + " is the primary of groups of " + listed(volumes) +
      ": it would answer with zeros where it had acknowledged data, and no other member can take "
      "its place in this version. Bring the disk back. Else, what another site has of an image can be "
      "saved (shimactl volume export NAME FILE --site SITE), and the volumes be deleted; then "
      "this works");
}

}  // namespace

Result<ServerDisks> accept_disks(const std::string& server, const DiskHistory& history,
                                 const std::vector<FoundDisk>& found, int64_t now_ms) {
  ServerDisks record = history.record.value_or(ServerDisks{});
  record.name = server;
  SHIMA_RETURN_IF_ERROR(check_found(server, record.forgotten, found));
  if (!history.record)
    SHIMA_RETURN_IF_ERROR(history.has_started_before ? check_unrecorded(server, found)
                                                     : check_unknown(server, found));
  for (KnownDisk& disk : record.disks) {
    auto it = std::find_if(found.begin(), found.end(), [&](const FoundDisk& f) { return f.id == disk.id; });
    if (it == found.end()) return missing(server, disk, found);
    disk.path = it->path;
  }
  for (const FoundDisk& f : found) {
    const bool known = std::any_of(record.disks.begin(), record.disks.end(),
                                   [&](const KnownDisk& disk) { return disk.id == f.id; });
    if (f.id != 0 && !known) record.disks.push_back({f.id, f.path, now_ms});
  }
  return record;
}

Status may_lose_disks(const ClusterState& state, const ServerInfo& server) {
  if (server.alive)
    return refused(server.name +
                   " runs, or did a moment ago, so its disks are there; stop it first, and ask " +
                   "again when `shimactl server list` says that it is not alive");
  for (const auto& [key, why] : state.unreadable)
    if (key.find("/volumes/") != std::string::npos)
      return refused("whose primary " + server.name +
                     " is cannot be told, since a volume's record cannot be read: " + why);
  std::vector<std::string> led, waiting;
  std::set<std::string> away;
  for (const auto& [name, volume] : state.volumes) {
    if (volume.deleting) continue;
    bool leads = false, waits = false;
    for (const GroupInfo& group : volume.groups) {
      const MemberInfo* member = group.find(server.id);
      if (!member) continue;
      leads = leads || member->role == replication::Role::kPrimary;
      for (const MemberInfo& other : group.members) {
        if (other.role != replication::Role::kPrimary || other.server == server.id) continue;
        const auto primary = state.servers.find(other.server);
        if (primary != state.servers.end() && primary->second.alive) continue;
        waits = true;
        away.insert(primary == state.servers.end() ? "server " + std::to_string(other.server.value)
                                                   : primary->second.name);
      }
    }
    if (leads) led.push_back("volume " + name);
    if (waits) waiting.push_back("volume " + name);
  }
  if (!led.empty()) return is_primary(server, led);
  if (waiting.empty()) return Status::ok();
  return refused(server.name + " may have the last copy of acknowledged data of " + listed(waiting) +
                 ", since " + listed({away.begin(), away.end()}) +
                 ", the primary of its groups, is away; start that first");
}

Result<ServerDisks> without_disk(const std::string& server, const DiskHistory& history, uint64_t disk,
                                 int64_t now_ms) {
  if (!history.has_started_before && !history.record)
    return Status(Code::kNotFound,
                  "there is no core server " + server + "; shimactl server list shows those that are");
  ServerDisks record = history.record.value_or(ServerDisks{});
  record.name = server;
  if (disk == 0) {
    if (!history.record) return record;
    if (record.disks.empty()) return record;  // said before
    return Status(Code::kFailedPrecondition,
                  "the disks of " + server +
                      " are on record: name the one that is lost; `shimactl server "
                      "disks` shows them");
  }
  const auto is_it = [disk](const auto& each) { return each.id == disk; };
  if (std::any_of(record.forgotten.begin(), record.forgotten.end(), is_it)) return record;
  if (std::erase_if(record.disks, is_it) == 0)
    return Status(Code::kNotFound, server + " has no disk " + disk_id_text(disk) +
                                       " on record; `shimactl server disks` shows those that it has");
  record.forgotten.push_back({disk, now_ms});
  if (record.forgotten.size() > kMaxForgottenDisks) record.forgotten.erase(record.forgotten.begin());
  return record;
}

}  // namespace shima
