// Who may read and write bytes of a file, and how far: the checks before data moves. Pure; errors are errnos.
#pragma once

#include <cstdint>

#include "accessserver/fileops/file_system.h"

namespace shima {

inline constexpr uint32_t kMaxTransferBytes = 16u << 20;  // of one read or write

// EISDIR, EINVAL (not a regular file), EACCES. Without Credentials.checked as RFC 1813 4.4 says: the owner
// always may, since a file stays readable to whom has it open whatever chmod(2) does; and whoever may execute
// a file may read it, since a server cannot tell the two apart.
int check_may_read(const FileAttributes& attributes, const metadata::v1::Credentials& credentials);
int check_may_write(const FileAttributes& attributes, const metadata::v1::Credentials& credentials);
// EFBIG: [offset, offset + length) passes the greatest size of a file.
int check_range(uint64_t offset, uint64_t length);
// True if a write by the caller takes set-user-id and set-group-id away (POSIX.1-2017, write()).
bool clears_set_id(const FileAttributes& attributes, const metadata::v1::Credentials& credentials);

}  // namespace shima
