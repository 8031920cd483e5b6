// Who may do what: POSIX.1-2017 4.5 (file access permissions) and Linux's rules where POSIX leaves a choice.
//
// Pure functions; errors are errnos (0: allowed). With Credentials.checked the caller's kernel has decided
// already, and everything is allowed.
#pragma once

#include <cstdint>

#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

inline constexpr int kMayRead = 4;
inline constexpr int kMayWrite = 2;
inline constexpr int kMayExecute = 1;  // directories: search

// `rwx_mask`: the bits above that are all asked for. EACCES. Root may read, write and search everything, and
// execute what anybody may execute.
int check_access(const metadata::v1::Attributes& attributes, const metadata::v1::Credentials& credentials,
                 int rwx_mask);

// uid 0, or already checked.
bool is_privileged(const metadata::v1::Credentials& credentials);
bool is_owner(const metadata::v1::Attributes& attributes, const metadata::v1::Credentials& credentials);
bool is_in_group(const metadata::v1::Credentials& credentials, uint32_t gid);

// A sticky directory gives its entries up only to their owner, its owner and root. EPERM.
int check_sticky(const metadata::v1::Attributes& directory, const metadata::v1::Attributes& victim,
                 const metadata::v1::Credentials& credentials);

// The mode that is left when somebody who may not keep set-id bits writes, truncates or (also root) changes
// the owner: no set-uid; no set-gid if the group may execute, or if the caller does not belong to the group.
uint32_t without_set_id(const metadata::v1::Attributes& attributes,
                        const metadata::v1::Credentials& credentials);

}  // namespace shima
