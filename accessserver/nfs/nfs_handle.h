// NfsHandle: what a client holds of a file: the same at every access server of every site (R13).
//
// 32 bytes: "SNH", version, volume id (8), inode (8), generation (4), life (8), all big-endian. 32 is also
// what MOUNT version 1 can carry.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace shima {

struct NfsHandle {
  static constexpr size_t kBytes = 32;
  static constexpr uint32_t kGeneration = 1;  // inode numbers are never given twice

  uint64_t volume = 0;
  uint64_t inode = 0;
  uint32_t generation = kGeneration;
  uint64_t life = 0;

  bool operator==(const NfsHandle&) const = default;
  std::string encode() const;
  // Nothing: not one of ours (NFS3ERR_BADHANDLE).
  static std::optional<NfsHandle> decode(std::span<const uint8_t> bytes);
};

}  // namespace shima
