// The file in a volume that is a raw block volume's disk: "disk.img", sparse, as long as the volume's size.
//
// Whichever node is first makes it; all may do so at once: it only ever grows, under a lock that excludes
// across nodes. Threads: any.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

std::string disk_image_path(const std::string& mount_path);

// `size_bytes` is a multiple of 512. With `read_only` it must be there already: kFailedPrecondition.
Status ensure_disk_image(const std::string& mount_path, uint64_t size_bytes, bool read_only,
                         uint32_t deadline_ms);

}  // namespace shima
