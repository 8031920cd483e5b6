// A FUSE connection of the kernel, by its number below /sys/fs/fuse/connections (the mount's device number):
// Documentation/filesystems/fuse.rst, "Control filesystem". Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/status/status.h"

namespace shima {

// Every request under way and every later one gets ECONNABORTED or ENOTCONN at once. Mounts fusectl where it
// is not mounted. Ok if there is no such connection (any more).
Status abort_fuse_connection(uint32_t connection);

// Requests that wait for the server's answer; none: no such connection.
std::optional<uint64_t> waiting_fuse_requests(uint32_t connection);

}  // namespace shima
