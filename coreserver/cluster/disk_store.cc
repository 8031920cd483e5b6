#include "coreserver/cluster/disk_store.h"

#include <chrono>

#include "coreserver/cluster/cluster_state_builder.h"
#include "coreserver/cluster/record_json.h"
#include "coreserver/cluster/record_protobuf.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

using cluster::v1::DisksRecord;

constexpr char kMagic[] = "shima-disks";
constexpr int kTries = 5;
constexpr size_t kMostNameBytes = 128;  // more than any server's name has
const std::string kPrefix = std::string(kClusterPrefix) + "disks/";

// For people: nothing is decided by it.
int64_t wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

Status check_content(const EtcdKeyValue& item, const DisksRecord& r) {
  if (r.name().empty() || disks_key(r.name()) != item.key)
    return corrupt_record(item, "names itself \"" + r.name() + "\"");
  if (static_cast<size_t>(r.disks_size()) > kMaxDisks ||
      static_cast<size_t>(r.forgotten_size()) > kMaxForgottenDisks)
    return corrupt_record(item, "has " + std::to_string(r.disks_size()) + " disks and " +
                                    std::to_string(r.forgotten_size()) + " forgotten ones, wanted at most " +
                                    std::to_string(kMaxDisks) + " and " + std::to_string(kMaxForgottenDisks));
  for (const auto& disk : r.disks())
    if (disk.disk_id() == 0 || disk.path().size() > kMaxDiskPathBytes)
      return corrupt_record(item, "has a disk without an id, or with a path that is too long");
  return Status::ok();
}

// A name from outside, of any length.
Status check_asked_name(const std::string& server) {
  const std::string shown = server.substr(0, kMostNameBytes);
  return check_server_name(shown, shown.substr(0, shown.find('/')));
}

bool same_content(ServerDisks a, const ServerDisks& b) {
  a.mod_revision = b.mod_revision;
  return a == b;
}

}  // namespace

std::string disks_key(std::string_view server_name) { return kPrefix + std::string(server_name); }

std::string encode_disks(const ServerDisks& disks) {
  DisksRecord r = to_record(disks);
  r.set_magic(kMagic);
  r.set_version(kRecordVersion);
  return with_unknown_fields(to_json(r), disks.unknown_fields);
}

Result<ServerDisks> decode_disks(const EtcdKeyValue& item) {
  ServerDisks disks;
  Result<DisksRecord> r = from_json<DisksRecord>(item, kMagic, disks.unknown_fields);
  if (!r) return r.status();
  SHIMA_RETURN_IF_ERROR(check_content(item, *r));
  disks.name = r->name();
  for (const auto& disk : r->disks()) disks.disks.push_back({disk.disk_id(), disk.path(), disk.since_ms()});
  for (const auto& disk : r->forgotten()) disks.forgotten.push_back({disk.disk_id(), disk.forgotten_ms()});
  disks.mod_revision = item.mod_revision;
  return disks;
}

Result<DiskHistory> DiskStore::history_of(const std::string& server) {
  DiskHistory history;
  Result<EtcdKeyValue> known = etcd_.get(server_key(server));
  if (!known && known.status().code() != Code::kNotFound) return known.status();
  history.has_started_before = known.is_ok();
  Result<EtcdKeyValue> item = etcd_.get(disks_key(server));
  if (!item && item.status().code() != Code::kNotFound) return item.status();
  if (!item) return history;
  Result<ServerDisks> record = decode_disks(*item);
  if (!record) return record.status();
  history.record = std::move(*record);
  return history;
}

Result<EtcdRevision> DiskStore::write(const ServerDisks& record, ServerFence also) {
  also.compares.push_back({disks_key(record.name), record.mod_revision});
  also.operations.push_back(EtcdOperation::put(disks_key(record.name), encode_disks(record)));
  return etcd_.transact(also.compares, also.operations);
}

Status DiskStore::check(const std::string& server, const std::vector<FoundDisk>& found) {
  Result<DiskHistory> history = history_of(server);
  if (!history) return history.status();
  return accept_disks(server, *history, found, wall_ms()).status();
}

Result<EtcdRevision> DiskStore::enter(const std::string& server, const std::vector<FoundDisk>& found) {
  Result<DiskHistory> history = history_of(server);
  if (!history) return history.status();
  Result<ServerDisks> record = accept_disks(server, *history, found, wall_ms());
  if (!record) return record.status();
  if (history->record && same_content(*record, *history->record)) return record->mod_revision;
  return write(*record);
}

Result<std::vector<ServerDisks>> DiskStore::list() {
  Result<EtcdRange> range = etcd_.list(kPrefix);
  if (!range) return range.status();
  std::vector<ServerDisks> all;
  for (const EtcdKeyValue& item : range->items) {
    Result<ServerDisks> disks = decode_disks(item);
    if (!disks) return disks.status();
    all.push_back(std::move(*disks));
  }
  return all;
}

Status DiskStore::may_lose(const std::string& server) {
  Result<EtcdRange> range = etcd_.list(std::string(kClusterPrefix));
  if (!range) return range.status();
  EtcdWatchBatch all{EtcdWatchBatch::Kind::kFullList, range->revision, {}};
  for (auto& item : range->items) all.changes.push_back({false, std::move(item)});
  ClusterStateBuilder builder;
  builder.apply(all);
  const ServerInfo* found = builder.state().server_named(server);
  return found ? may_lose_disks(builder.state(), *found) : Status::ok();
}

Result<ForgetResult> DiskStore::forget(const std::string& server, uint64_t disk) {
  SHIMA_RETURN_IF_ERROR(check_asked_name(server));
  Status last;
  for (int i = 0; i < kTries; ++i) {
    Result<DiskHistory> history = history_of(server);
    if (!history) return history.status();
    Result<ServerDisks> next = without_disk(server, *history, disk, wall_ms());
    if (!next) return next.status();
    if (history->record && same_content(*next, *history->record)) return ForgetResult{*next, true};
    // Before the look at the cluster: so a server that came back since then, with its disks, is noticed.
    Result<ServerFence> fence = make_server_fence(etcd_, server);
    if (!fence) return fence.status();
    SHIMA_RETURN_IF_ERROR(may_lose(server));
    Result<EtcdRevision> won = write(*next, std::move(*fence));
    if (won) {
      next->mod_revision = *won;
      return ForgetResult{*next, false};
    }
    last = won.status();
    if (last.code() != Code::kConflict) return last;
  }
  return last;
}

}  // namespace shima
