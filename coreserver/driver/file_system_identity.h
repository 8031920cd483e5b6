// Which file system a directory is on, told so that servers can be compared with each other.
//
// Several core servers of a host may have their directories on one file system, and then share its free
// bytes: whoever adds up must count them once. The text is the running kernel's boot id
// (/proc/sys/kernel/random/boot_id, proc(5)) and the device number (st_dev, stat(2)), which all containers of
// a host see alike. It means nothing after a restart of the host. Subvolumes of one btrfs have device numbers
// of their own and look like several file systems. Threads: any.
#pragma once

#include <string>

#include "common/status/status.h"

namespace shima {

// kIo: the directory or the kernel's boot id cannot be read.
Result<std::string> file_system_identity(const std::string& directory);

}  // namespace shima
