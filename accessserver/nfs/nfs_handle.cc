#include "accessserver/nfs/nfs_handle.h"

#include "common/types/byte_order.h"

namespace shima {
namespace {

constexpr std::string_view kMagic("SNH\x01", 4);  // with the version

}  // namespace

std::string NfsHandle::encode() const {
  std::string bytes(kMagic);
  bytes.reserve(kBytes);
  append_big_endian(bytes, volume);
  append_big_endian(bytes, inode);
  append_big_endian(bytes, generation);
  append_big_endian(bytes, life);
  return bytes;
}

std::optional<NfsHandle> NfsHandle::decode(std::span<const uint8_t> bytes) {
  std::string_view in(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (in.size() != kBytes || !in.starts_with(kMagic)) return std::nullopt;
  in.remove_prefix(kMagic.size());
  NfsHandle handle;
  bool taken = take_big_endian(in, handle.volume) && take_big_endian(in, handle.inode) &&
               take_big_endian(in, handle.generation) && take_big_endian(in, handle.life);
  if (!taken || handle.volume == 0 || handle.inode == 0 || handle.life == 0) return std::nullopt;
  return handle;
}

}  // namespace shima
