// Which replica group of its volume a block belongs to.
//
// A stored contract: blocks lie where this function put them, so it never changes for volumes that exist.
// Pure. The mix is the finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators", 2014), applied once a field, so that neighbouring blocks fall on different groups at random.
#pragma once

#include <cstdint>

#include "common/types/ids.h"

namespace shima {

constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// `groups` is the volume's number of data groups (W), at least 1.
constexpr GroupIndex group_of_block(VolumeId volume, InodeId inode, BlockIndex block, uint32_t groups) {
  uint64_t hash = mix64(mix64(mix64(volume.value) ^ inode.value) ^ block.value);
  return GroupIndex(static_cast<uint32_t>(hash % groups));
}

}  // namespace shima
