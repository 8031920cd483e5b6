#include "tests/support/memory_volume/memory_groups.h"

#include <algorithm>

#include "common/types/block_routing.h"

namespace shima {

MemoryGroups::MemoryGroups(VolumeId volume, uint32_t groups, uint32_t block_size)
    : volume_(volume), block_size_(block_size), groups_(groups) {}

uint32_t MemoryGroups::group_of(InodeId inode, uint64_t block) const {
  return group_of_block(volume_, inode, BlockIndex(block), count()).value;
}

MemoryGroups::Inode& MemoryGroups::open(InodeId inode, uint64_t offset) {
  return groups_[group_of(inode, offset / block_size_)].inodes[inode.value];
}

const MemoryGroups::Inode* MemoryGroups::find(uint32_t group, InodeId inode) const {
  auto it = groups_[group].inodes.find(inode.value);
  return it == groups_[group].inodes.end() ? nullptr : &it->second;
}

uint64_t MemoryGroups::read(InodeId inode, uint64_t offset, std::span<uint8_t> out) const {
  std::fill(out.begin(), out.end(), 0);
  const Inode* file = find(group_of(inode, offset / block_size_), inode);
  if (file == nullptr) return 0;
  for (auto it = file->chunks.lower_bound(offset / kChunk); it != file->chunks.end(); ++it) {
    uint64_t start = it->first * kChunk;
    if (start >= offset + out.size()) break;
    uint64_t from = std::max(start, offset), to = std::min(start + kChunk, offset + out.size());
    std::copy_n(it->second.begin() + (from - start), to - from, out.begin() + (from - offset));
  }
  return file->fence;
}

void MemoryGroups::note_change(Inode& inode, WriteTags tags) {
  inode.fence = std::max(inode.fence, tags.fence);
  inode.mtime_ns = std::max(inode.mtime_ns, tags.time_ns);
  inode.changes++;
}

Status MemoryGroups::write(InodeId inode, uint64_t offset, std::span<const uint8_t> bytes, WriteTags tags) {
  Inode& file = open(inode, offset);
  if (tags.fence < file.fence) return Status(Code::kStaleFence, "the file was truncated since");
  uint64_t missing = 0;
  for (uint64_t chunk = offset / kChunk; chunk * kChunk < offset + bytes.size(); chunk++) {
    missing += !file.chunks.contains(chunk);
  }
  if (capacity_bytes_ != 0 && missing != 0 && used_bytes() + missing * kChunk > capacity_bytes_) {
    return Status(Code::kNoSpace, "the memory volume is full");
  }
  for (uint64_t at = offset; at < offset + bytes.size();) {
    auto [it, fresh] = file.chunks.try_emplace(at / kChunk);
    if (fresh) it->second.fill(0);
    uint64_t inside = at % kChunk, length = std::min(kChunk - inside, offset + bytes.size() - at);
    std::copy_n(bytes.begin() + (at - offset), length, it->second.begin() + inside);
    at += length;
  }
  note_change(file, tags);
  return Status::ok();
}

void MemoryGroups::zero(Inode& inode, uint64_t from, uint64_t to) {
  for (auto it = inode.chunks.lower_bound(from / kChunk); it != inode.chunks.end();) {
    uint64_t start = it->first * kChunk, end = start + kChunk;
    if (start >= to) break;
    if (from <= start && end <= to) {
      it = inode.chunks.erase(it);
      continue;
    }
    uint64_t a = std::max(start, from), b = std::min(end, to);
    std::fill(it->second.begin() + (a - start), it->second.begin() + (b - start), 0);
    ++it;
  }
}

Status MemoryGroups::punch(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags) {
  Inode& file = open(inode, offset);
  if (tags.fence < file.fence) return Status(Code::kStaleFence, "the file was truncated since");
  zero(file, offset, offset + length);
  note_change(file, tags);
  return Status::ok();
}

void MemoryGroups::truncate(uint32_t group, InodeId inode, uint64_t from, uint64_t fence) {
  Inode& file = groups_[group].inodes[inode.value];
  if (fence <= file.truncated_fence) return;
  file.truncated_fence = fence;
  file.fence = std::max(file.fence, fence);
  zero(file, from, ~0ull);
}

InodeData MemoryGroups::inode_data(uint32_t group, InodeId inode) const {
  InodeData data;
  for (const auto& [id, file] : groups_[group].inodes) data.volume_used_bytes += file.chunks.size() * kChunk;
  if (const Inode* file = find(group, inode)) {
    data.fence = file->fence;
    data.mtime_ns = file->mtime_ns;
    data.changes = file->changes;
    data.used_bytes = file->chunks.size() * kChunk;
  }
  return data;
}

std::optional<uint64_t> MemoryGroups::seek_data(InodeId inode, uint64_t offset, uint64_t end) const {
  std::optional<uint64_t> best;
  for (uint32_t group = 0; group < count(); group++) {
    const Inode* file = find(group, inode);
    if (file == nullptr) continue;
    auto it = file->chunks.lower_bound(offset / kChunk);
    if (it == file->chunks.end()) continue;
    uint64_t at = std::max(offset, it->first * kChunk);
    if (at < end && (!best || at < *best)) best = at;
  }
  return best;
}

std::optional<uint64_t> MemoryGroups::seek_hole(InodeId inode, uint64_t offset, uint64_t end) const {
  for (uint64_t at = offset; at < end; at = (at / kChunk + 1) * kChunk) {
    const Inode* file = find(group_of(inode, at / block_size_), inode);
    if (file == nullptr || !file->chunks.contains(at / kChunk)) return at;
  }
  return std::nullopt;
}

uint64_t MemoryGroups::used_bytes() const {
  uint64_t used = 0;
  for (uint32_t group = 0; group < count(); group++) used += inode_data(group, InodeId(0)).volume_used_bytes;
  return used;
}

}  // namespace shima
