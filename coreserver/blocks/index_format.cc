#include "coreserver/blocks/index_format.h"

#include "common/types/byte_order.h"

namespace shima {

std::string encode_index_format() {
  std::string bytes;
  append_little_endian(bytes, kIndexFormatVersion);
  return bytes;
}

Result<uint64_t> decode_index_format(std::string_view bytes) {
  uint64_t version = 0;
  if (!take_little_endian(bytes, version)) return Status(Code::kCorrupt, "its format version is too short");
  if (version == 0 || version > kIndexFormatVersion)
    return Status(Code::kCorrupt,
                  "its format version is " + std::to_string(version) + ", this program knows those up to " +
                      std::to_string(kIndexFormatVersion) + "; use the program that wrote it");
  return version;
}

}  // namespace shima
