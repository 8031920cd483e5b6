// InodeStore: inodes, directory entries and counters of one job, loaded from the view once and written back
// together.
//
// Two names for the same inode within a job are the same StoredInode, so changes never overwrite each other.
// What is damaged reads as "not there" and is remembered: rotten(); run_job() then answers EIO whatever else
// the job thought.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "coreserver/jobs/job_writes.h"
#include "coreserver/jobs/stored_inode.h"

namespace shima {

class InodeStore {
 public:
  explicit InodeStore(const KvView& view) : writes_(view) {}

  // Null: there is no such inode. The pointer stays good as long as the store, also past forget().
  StoredInode* find(uint64_t inode);
  // A new inode under the next number. Counts it; does not check the quota.
  StoredInode& add();
  // The inode's record is to be written; call it before or after changing what find() returned.
  void changed(const StoredInode& inode);
  // The inode's record goes, and the number of inodes with it.
  void forget(const StoredInode& inode);

  // A name in a directory; nullopt: there is none.
  std::optional<StoredEntry> entry(uint64_t parent, std::string_view name);
  // Both keys of a name. An entry of the same name must be gone, or have the same cookie.
  void put_entry(uint64_t parent, std::string_view name, const StoredEntry& entry);
  void erase_entry(uint64_t parent, std::string_view name, const StoredEntry& entry);

  Counters& counters();
  JobWrites& writes() { return writes_; }
  const KvView& before() const { return writes_.before(); }

  void found_rot() { rotten_ = true; }
  bool rotten() const { return rotten_; }
  // Everything that was changed. Once, at the end.
  KvBatch batch();

 private:
  struct Loaded {
    std::optional<StoredInode> inode;
    bool changed = false;
    bool forgotten = false;
  };

  std::optional<StoredInode> load(uint64_t inode);

  JobWrites writes_;
  std::map<uint64_t, Loaded> inodes_;
  std::optional<Counters> counters_before_, counters_;
  bool rotten_ = false;
};

}  // namespace shima
