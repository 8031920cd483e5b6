// Looks at the block store of a disk from outside, for people and tests; also while a server runs on it.
//
// Changes nothing on the disk. What it reports is the index as it was at one instant near the call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/runtime/disk.h"
#include "common/status/status.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/metadata/kv_store.h"

namespace shima {

struct InspectOptions {
  std::optional<GroupId> only;  // this group and no other
  bool verify = false;          // read every block and check it
};

struct GroupContents {
  GroupId group;
  uint64_t blocks = 0;
  uint64_t present_bytes = 0;        // not counting holes
  Position newest;                   // the highest version of its blocks
  uint64_t checkpoint_bytes = 0;     // size of its checkpoint; 0: none
  std::vector<BlockKey> bad_blocks;  // verify: those that do not match their checksums
  KvUsage kv;                        // metadata groups
  // verify: crc32c over all keys and values, each after its 32-bit length: the same at members that have
  // applied the same records.
  uint32_t kv_checksum = 0;
};

struct Inspection {
  uint64_t disk_id = 0;
  bool verified = false;
  std::vector<GroupContents> groups;  // by group; those with blocks or a checkpoint
};

// "VOLUME/GROUP", as to_string(GroupId) writes it.
Result<GroupId> parse_group(std::string_view text);

// `directory` is the one given to BlockStore::open. A block that a running server is changing is looked at
// again before it is called bad.
Result<Inspection> inspect_blocks(Disk& disk, const std::string& directory, const InspectOptions& options);

}  // namespace shima
