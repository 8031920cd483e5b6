// Reads of a whole volume's file, in order: into a sparse file, or into a checksum.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/volume_io.h"

namespace shima {

// Reads [0, size) with many pieces in flight and gives them to `consume` in order, on this thread, until it
// fails. `tick` is called several times a second.
Status read_in_order(const ReadOperation& read, uint64_t size, const TransferLimits& limits,
                     const std::function<Status(uint64_t offset, const Buffer&)>& consume,
                     const std::function<void()>& tick);

struct ExportSummary {
  uint64_t image_bytes = 0;
  uint64_t written_bytes = 0;  // the rest are holes
};

// Writes the file under a temporary name (PATH.partial), syncs it and renames it: PATH is whole or not there.
// Two exports to one PATH at a time: the second is refused.
Result<ExportSummary> export_image(const ReadOperation& read, uint64_t size, const std::string& path,
                                   const TransferLimits& limits,
                                   const std::function<void(uint64_t)>& progress);

// sha256 of [0, size), in hexadecimal.
Result<std::string> checksum_image(const ReadOperation& read, uint64_t size, const TransferLimits& limits,
                                   const std::function<void(uint64_t)>& progress);

}  // namespace shima
