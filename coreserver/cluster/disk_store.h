// DiskStore: the records of core servers' disks in etcd, /shima/v1/disks/SITE/core-N (server_disks.h
// decides).
//
// Threads: all methods block and may be called from any thread.
// Errors: those of server_disks.h; kUnavailable, kDeadlineExceeded (etcd): call again, all may be repeated;
// kConflict: somebody else changed it just now, call again; kCorrupt (a record that cannot be read).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"
#include "coreserver/cluster/server_disks.h"
#include "coreserver/cluster/server_fence.h"

namespace shima {

std::string disks_key(std::string_view server_name);
std::string encode_disks(const ServerDisks& disks);
// Checked; the name must be the key's. mod_revision comes from the item.
Result<ServerDisks> decode_disks(const EtcdKeyValue& item);

struct ForgetResult {
  ServerDisks record;  // as it stands
  bool was_forgotten = false;
};

class DiskStore {
 public:
  explicit DiskStore(EtcdClient& etcd) : etcd_(etcd) {}  // must outlive the store

  // Whether the server may start with what was found; writes nothing.
  Status check(const std::string& server, const std::vector<FoundDisk>& found);
  // The same, and puts on record what was found; every disk has an id by then. The revision of the record, to
  // be compared when the server registers: a disk may be forgotten in between.
  Result<EtcdRevision> enter(const std::string& server, const std::vector<FoundDisk>& found);
  Result<std::vector<ServerDisks>> list();  // by name
  // A person says that `disk` (0: those from before there was a record) is lost; refused while that would
  // lose acknowledged data, as may_lose_disks() says. Whatever still runs of that server, unseen by etcd,
  // ends itself when it reaches etcd again (server_fence.h).
  Result<ForgetResult> forget(const std::string& server, uint64_t disk);

 private:
  Result<DiskHistory> history_of(const std::string& server);
  Result<EtcdRevision> write(const ServerDisks& record, ServerFence also = {});
  Status may_lose(const std::string& server);

  EtcdClient& etcd_;
};

}  // namespace shima
