// Replication messages of the core <-> frames of data.proto.
//
// Payloads are not copied when sending. Receiving checks everything: a frame that is not well-formed is
// kCorrupt, and its connection is closed.
#pragma once

#include <vector>

#include "common/status/status.h"
#include "common/transport/frame.h"
#include "coreserver/replication/messages.h"

namespace shima::data::v1 {
class Header;
}

namespace shima {

inline constexpr size_t kMaxAppendHeader = 200u << 10;  // bytes of encoded record headers in one frame

// Frames for one message; an Append with many small records needs several.
std::vector<Frame> frames_of(GroupId group, const replication::Message& message);

struct ReceivedMessage {
  GroupId group;
  replication::Message message;
};
// hello, welcome, append, appended, resync begin and end. The payload of an append is checked against its
// checksums.
Result<ReceivedMessage> message_of(const data::v1::Header& header, const Buffer& payload);

}  // namespace shima
