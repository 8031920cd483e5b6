// Loop devices on a volume's disk image: loop(4), with direct I/O, 512-byte logical blocks.
//
// Direct, so that what a VM wrote is in no page cache of this node when the same volume is written at another
// one (live migration). The device has a page cache all the same, for whoever reads it without O_DIRECT
// (udev, blkid, a copy): nobody tells it of another node's writes, and it stays as long as anybody has the
// device open. Calls that look into the backing file's server have deadlines. The name of the backing file
// comes from sysfs, which asks no server. Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct LoopDevice {
  uint32_t number = 0;
  std::string backing_file;  // its path as the kernel has it; of a mount that is gone: the path in that mount
};

std::string loop_path(uint32_t number);  // "/dev/loop3"

// PURE. Is the device on this file, perhaps of a mount that was taken away meanwhile ("/disk.img")?
bool is_backed_by(const LoopDevice& device, const std::string& file);

// All that have a backing file.
Result<std::vector<LoopDevice>> loop_devices();
// kNotFound: it has no backing file.
Result<LoopDevice> find_loop_device(uint32_t number);

// Sets a free device up. `intent` is called with its number before, so that a crash in between leaves a
// trace; an error of it ends the try. kFailedPrecondition: no direct I/O, or the kernel has no loop devices.
Result<uint32_t> attach_loop_device(const std::string& file, bool read_only,
                                    const std::function<Status(uint32_t)>& intent, uint32_t deadline_ms);

// Frees the device if it is on `file`; one that is in use is freed by the kernel at its last close. Ok if it
// is on something else or on nothing. `sync` writes first what the kernel holds of it.
Status detach_loop_device(uint32_t number, const std::string& file, bool sync, uint32_t deadline_ms);

// The device takes the file's new size.
Status grow_loop_device(uint32_t number, uint32_t deadline_ms);

// What is read from now on is what the file has now: pages that were read before are dropped (BLKFLSBUF).
Status drop_cached_pages(uint32_t number, uint32_t deadline_ms);

Result<uint64_t> loop_device_bytes(uint32_t number, uint32_t deadline_ms);

}  // namespace shima
