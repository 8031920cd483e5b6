// PURE: the id of a core server's disk as people see it: in messages, in logs and on the command line.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

inline constexpr char kUnrecordedDisk[] =
    "unrecorded";  // in the place of an id: disks from before the record

// 16 hexadecimal digits.
std::string disk_id_text(uint64_t id);
// kInvalidArgument: neither that nor kUnrecordedDisk (then 0).
Result<uint64_t> disk_id_from(const std::string& text);

}  // namespace shima
