// VOLUME_MOUNT_GROUP: a volume's files for a group, as Kubernetes' fsGroup with OnRootMismatch wants it.
//
// The root directory gets the group, rwx for it, and set-gid, so that what is made in it is the group's too.
// What is in it is changed only while the root does not have all that, and the root last: so an interrupted
// call is taken up again by its repetition, and a volume that has it costs one look. Threads: any.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

// "107". PURE. kInvalidArgument.
Result<uint32_t> parse_group(const std::string& text);

// kDeadlineExceeded: not all of it is done; a repetition goes on.
Status give_volume_to_group(const std::string& root, uint32_t group, uint32_t deadline_ms);

}  // namespace shima
