// The version of an index of blocks, as its "format" value (index_db.h). Little endian, 8 bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status/status.h"

namespace shima {

inline constexpr uint64_t kIndexFormatVersion = 2;  // that is written; 1 had neither metadata nor inodes

std::string encode_index_format();
// kCorrupt: too short, or newer than what this program reads.
Result<uint64_t> decode_index_format(std::string_view bytes);

}  // namespace shima
