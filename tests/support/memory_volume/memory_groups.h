// MemoryGroups: the data groups of a volume in memory, as the core servers' data groups behave: chunks of 4
// KiB, fences (R18), newest mtimes and change counts (R19).
//
// Each call is about one piece of one block in one group and happens at once; whoever wants an operation over
// several blocks makes one call each, in any order, as a volume client does. Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "accessserver/volume/volume_access.h"

namespace shima {

class MemoryGroups {
 public:
  MemoryGroups(VolumeId volume, uint32_t groups, uint32_t block_size);

  uint32_t count() const { return static_cast<uint32_t>(groups_.size()); }
  uint32_t group_of(InodeId inode, uint64_t block) const;

  // Bytes [offset, offset + out.size()) of the file, inside one block; returns the group's fence.
  uint64_t read(InodeId inode, uint64_t offset, std::span<uint8_t> out) const;
  // kStaleFence, kNoSpace (above capacity_bytes).
  Status write(InodeId inode, uint64_t offset, std::span<const uint8_t> bytes, WriteTags tags);
  Status punch(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags);
  // Drops all that `group` holds of the inode at and beyond `from`, unless it has done so for this fence.
  void truncate(uint32_t group, InodeId inode, uint64_t from, uint64_t fence);
  InodeData inode_data(uint32_t group, InodeId inode) const;  // volume_used_bytes: of this group
  // First byte of data at or after `offset` and below `end`, in any group.
  std::optional<uint64_t> seek_data(InodeId inode, uint64_t offset, uint64_t end) const;
  std::optional<uint64_t> seek_hole(InodeId inode, uint64_t offset, uint64_t end) const;

  uint64_t used_bytes() const;
  void set_capacity_bytes(uint64_t bytes) { capacity_bytes_ = bytes; }  // 0: no end

 private:
  static constexpr uint64_t kChunk = 4096;
  using Chunk = std::array<uint8_t, kChunk>;
  struct Inode {
    std::map<uint64_t, Chunk> chunks;  // by offset / kChunk in the file
    uint64_t fence = 0;                // highest seen
    uint64_t truncated_fence = 0;      // of truncations that were executed
    int64_t mtime_ns = 0;
    uint64_t changes = 0;
  };
  struct Group {
    std::map<uint64_t, Inode> inodes;
  };

  Inode& open(InodeId inode, uint64_t offset);
  const Inode* find(uint32_t group, InodeId inode) const;
  static void zero(Inode& inode, uint64_t from, uint64_t to);
  static void note_change(Inode& inode, WriteTags tags);

  const VolumeId volume_;
  const uint32_t block_size_;
  uint64_t capacity_bytes_ = 0;
  std::vector<Group> groups_;
};

}  // namespace shima
