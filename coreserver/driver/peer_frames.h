// Frames that another core server sent: decoded, checked and handed to their group.
#pragma once

#include <functional>

#include "common/status/status.h"
#include "common/transport/connection.h"
#include "common/types/ids.h"

namespace shima {

class GroupDriver;

// Runs the given function with the group, or with nullptr if it is not here.
using WithGroup = std::function<void(GroupId, const std::function<void(GroupDriver*)>&)>;

// kCorrupt: the frame is not well-formed, close the connection. `via` is where answers go.
Status deliver_peer_frame(ServerId from, const ConnectionPtr& via, Frame frame, const WithGroup& with_group);

}  // namespace shima
