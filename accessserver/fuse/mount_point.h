// The directory that a volume is mounted on, and what mount(8), umount(8) and sysfs do for it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "accessserver/fuse/fuse_mount.h"
#include "common/status/status.h"

namespace shima {

// Absolute path of an existing directory that can be mounted on; takes a FUSE mount off whose server has
// died. kInvalidArgument otherwise.
Result<std::string> prepare_mount_point(const std::string& path);

// What follows -o, for fuse_session_new. `volume` may hold anything: what would end an option is replaced.
// Set-id bits and devices work, as on a local disk: libfuse's defaults are for users who mount.
std::string mount_options(const FuseOptions& options, const std::string& volume, uint32_t transfer_bytes);

// kFailedPrecondition: in use. No error if nothing is mounted there (any more).
Status unmount_point(const std::string& path, bool force);

// The device number of what is mounted at `path`, without asking the server behind it; none if there is no
// such path.
std::optional<dev_t> device_at(const std::string& path);

// Ends the connection of the FUSE file system with this device number, wherever it is still mounted (another
// mount namespace, a lazy unmount with open files): its server reads ENODEV, its users get ENOTCONN. No error
// if there is no such connection (any more). kIo: the kernel refuses (it takes CAP_SYS_ADMIN). Source:
// Linux, Documentation/filesystems/fuse.rst, "Control filesystem".
Status abort_connection(dev_t device);

// Lets the kernel read so far ahead in the FUSE file system with this device number, once INIT is over, in
// which it goes down to its default: 128 KiB, a fraction of a block. Where sysfs is read-only it stays there.
// Does not ask the server behind it: a server that waits for itself cannot even be killed.
void set_readahead(dev_t device, uint32_t bytes);

}  // namespace shima
