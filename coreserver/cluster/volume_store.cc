#include "coreserver/cluster/volume_store.h"

#include <algorithm>

#include "coreserver/cluster/cluster_state_builder.h"
#include "coreserver/cluster/counter.h"
#include "coreserver/cluster/records.h"
#include "coreserver/cluster/retry_deadline.h"
#include "coreserver/cluster/volume_changes.h"
#include "coreserver/cluster/volume_planning.h"

namespace shima {
namespace {

bool passes_by_itself(const Status& s) {
  return s.code() == Code::kUnavailable || s.code() == Code::kDeadlineExceeded || s.code() == Code::kConflict;
}

Status no_such_volume(const std::string& name) {
  return {Code::kNotFound, "there is no volume " + name + "; shimactl volume list shows those that are"};
}

// What an operation answers when its time is over. A change whose outcome is unknown is never called undone.
Status out_of_time(const Status& last, bool unresolved) {
  return {unresolved ? Code::kDeadlineExceeded : Code::kUnavailable, last.message()};
}

}  // namespace

Result<VolumeInfo> VolumeStore::get(const std::string& name) {
  Result<EtcdKeyValue> item = etcd_.get(volume_key(name));
  if (!item && item.status().code() == Code::kNotFound) return no_such_volume(name);
  if (!item) return item.status();
  return decode_volume(*item);
}

Result<std::vector<VolumeInfo>> VolumeStore::list() {
  Result<EtcdRange> range = etcd_.list(volume_key(""));
  if (!range) return range.status();
  std::vector<VolumeInfo> volumes;
  for (const EtcdKeyValue& item : range->items) {
    Result<VolumeInfo> volume = decode_volume(item);
    if (volume) volumes.push_back(std::move(*volume));  // of the others, the view tells
  }
  return volumes;
}

Result<VolumeInfo> VolumeStore::create_volume(const VolumeSpec& spec) {
  Result<EtcdRange> range = etcd_.list(std::string(kClusterPrefix));
  if (!range) return range.status();
  EtcdWatchBatch all{EtcdWatchBatch::Kind::kFullList, range->revision, {}};
  for (auto& item : range->items) all.changes.push_back({false, std::move(item)});
  ClusterStateBuilder builder;
  builder.apply(all);
  if (builder.state().volumes.count(spec.name)) {
    return {Code::kAlreadyExists,
            "volume " + spec.name + " exists already; choose another name or delete it first"};
  }
  if (auto bad = builder.state().unreadable.find(volume_key(spec.name));
      bad != builder.state().unreadable.end()) {
    return {Code::kAlreadyExists,
            "volume " + spec.name + " has a record that cannot be read: " + bad->second};
  }
  Result<VolumeInfo> planned = plan_volume(builder.state(), spec);
  if (!planned) return planned;
  Result<uint64_t> id = next_number(etcd_, kVolumeIdCounter, timeout_ms_);
  if (!id) return id.status();
  planned->id = VolumeId(*id);
  return insert(std::move(*planned));
}

Result<VolumeInfo> VolumeStore::insert(VolumeInfo volume) {
  RetryDeadline deadline(timeout_ms_);
  bool unresolved = false;
  for (;;) {
    Result<EtcdRevision> won =
        etcd_.compare_and_swap(volume_key(volume.name), EtcdRevision(), encode_volume(volume));
    if (won) {
      volume.mod_revision = *won;
      return volume;
    }
    Status status = won.status();
    if (!passes_by_itself(status)) return status;
    unresolved |= status.code() == Code::kDeadlineExceeded;
    if (status.code() == Code::kConflict) {
      Result<VolumeInfo> there = get(volume.name);
      if (there && there->id == volume.id) return there;  // an earlier try of ours was made after all
      if (there || there.status().code() == Code::kCorrupt) {
        return {Code::kAlreadyExists,
                "volume " + volume.name + " exists already; it was just created by another request"};
      }
      status = there.status();
    }
    if (deadline.is_over()) return out_of_time(status, unresolved);
    deadline.pause();
  }
}

// All changes of volume_changes.h find nothing left to do once they are made: that is how a try whose outcome
// was unknown shows itself. If it is not yet made, the same is written again against the same revision, so
// that at most one of the two is ever made.
Result<VolumeInfo> VolumeStore::change(const std::string& name, const Change& make) {
  RetryDeadline deadline(timeout_ms_);
  bool unresolved = false;
  EtcdRevision tried_against;
  for (;;) {
    Result<VolumeInfo> current = get(name);
    Status status = current.status();
    if (current) {
      if (unresolved && current->mod_revision != tried_against) unresolved = false;
      Result<VolumeInfo> next = make(*current);
      if (!next) return next;
      if (next->config_version == current->config_version) return current;
      Result<EtcdRevision> won =
          etcd_.compare_and_swap(volume_key(name), current->mod_revision, encode_volume(*next));
      if (won) {
        next->mod_revision = *won;
        return next;
      }
      status = won.status();
      if (status.code() == Code::kDeadlineExceeded) unresolved = true;
      tried_against = current->mod_revision;
    }
    if (!passes_by_itself(status)) return status;
    if (deadline.is_over()) return out_of_time(status, unresolved);
    deadline.pause();
  }
}

Result<VolumeInfo> VolumeStore::set_quotas(const std::string& name, uint64_t size_bytes,
                                           std::optional<uint64_t> max_inodes) {
  return change(name, [&](const VolumeInfo& v) { return with_quotas(v, size_bytes, max_inodes); });
}

Result<VolumeInfo> VolumeStore::publish(const std::string& name, const PublicationInfo& wanted) {
  return change(name, [&](const VolumeInfo& v) { return with_publication(v, wanted); });
}

Result<VolumeInfo> VolumeStore::unpublish(const std::string& name, const std::string& node) {
  return change(name, [&](const VolumeInfo& v) { return without_publication(v, node); });
}

Result<VolumeInfo> VolumeStore::mark_deleting(const std::string& name, bool force) {
  return change(name, [force](const VolumeInfo& v) { return with_deleting(v, force); });
}

Status VolumeStore::confirm_dropped(const std::string& name, VolumeId id, ServerId server) {
  Result<VolumeInfo> volume = change(name, [&](const VolumeInfo& v) -> Result<VolumeInfo> {
    return v.id == id ? with_dropped(v, server) : v;  // another volume of the same name: nothing to confirm
  });
  if (!volume && volume.status().code() == Code::kNotFound) return Status::ok();
  if (!volume) return volume.status();
  return volume->id == id && everyone_dropped(*volume) ? remove(*volume) : Status::ok();
}

// A conflict: somebody else removed the record, or a member that restarted has still named itself in it.
Status VolumeStore::remove(VolumeInfo volume) {
  RetryDeadline deadline(timeout_ms_);
  bool unresolved = false;
  for (;;) {
    Result<EtcdRevision> gone = etcd_.compare_and_remove(volume_key(volume.name), volume.mod_revision);
    if (gone) return Status::ok();
    Status status = gone.status();
    if (!passes_by_itself(status)) return status;
    unresolved |= status.code() == Code::kDeadlineExceeded;
    if (status.code() == Code::kConflict) {
      Result<VolumeInfo> there = get(volume.name);
      if (there.status().code() == Code::kNotFound || (there && there->id != volume.id)) return Status::ok();
      if (there)
        volume = std::move(*there);
      else
        status = there.status();
    }
    if (deadline.is_over()) return out_of_time(status, unresolved);
    deadline.pause();
  }
}

Status VolumeStore::skip_ids_up_to(VolumeId id) {
  return skip_numbers_up_to(etcd_, kVolumeIdCounter, id.value, timeout_ms_);
}

Result<VolumeInfo> VolumeStore::claim_volume(const std::string& name, ServerId server,
                                             Incarnation incarnation, const LoggedTerms& logged) {
  return change(name, [&](const VolumeInfo& v) { return with_restart(v, server, incarnation, logged); });
}

Result<std::vector<VolumeInfo>> VolumeStore::claim_restart(ServerId server, Incarnation incarnation,
                                                           const LoggedTerms& logged) {
  Result<std::vector<VolumeInfo>> all = list();
  if (!all) return all;
  std::vector<VolumeInfo> claimed;
  for (const VolumeInfo& volume : *all) {
    if (!volume.has_member(server)) continue;
    Result<VolumeInfo> now = claim_volume(volume.name, server, incarnation, logged);
    if (!now && now.status().code() == Code::kNotFound) continue;  // deleted meanwhile
    if (!now) return now.status();
    claimed.push_back(std::move(*now));
  }
  return claimed;
}

Result<VolumeInfo> VolumeStore::update_memberships(const std::string& name,
                                                   const std::vector<MembershipChange>& changes) {
  return change(name, [&](const VolumeInfo& v) { return with_memberships(v, changes); });
}

}  // namespace shima
