// Replication messages of the core <-> frames of data.proto.
//
// Payloads are not copied when sending. Receiving checks everything: a frame that is not well-formed is
// kCorrupt, and its connection is closed.
#pragma once

#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/transport/frame.h"
#include "common/transport/protocol_range.h"
#include "coreserver/replication/messages.h"

namespace shima::data::v1 {
class Header;
}

namespace shima {

// What a core server says first on a connection: the header's bytes. `expected` is the server that it means
// to reach; 0: it was the one that was called.
struct ServerGreeting {
  ServerId self;
  Incarnation incarnation;
  ServerId expected;
  std::string software;
  ProtocolRange protocols = kDataProtocols;
};
std::string encode_greeting(const ServerGreeting& greeting);
std::string own_software();  // of this program

inline constexpr size_t kMaxAppendHeader = 200u << 10;  // bytes of encoded record headers in one frame
// From this data protocol on a resync's request window is payload, and its pieces are answered for.
inline constexpr uint32_t kResyncProtocol = 2;
inline constexpr size_t kMaxHeaderWindow = 200u << 10;  // bytes of a request window before that

// Frames for one message; an Append with many small records needs several, and so does a ResyncEnd with a
// large window. One whose window is above kMaxHeaderWindow has no form before kResyncProtocol.
std::vector<Frame> frames_of(GroupId group, const replication::Message& message,
                             uint32_t protocol = kDataProtocols.min);

struct ReceivedMessage {
  GroupId group;
  replication::Message message;
};
// hello, welcome, append, appended, resync begin and end. The payload of an append is checked against its
// checksums.
Result<ReceivedMessage> message_of(const data::v1::Header& header, const Buffer& payload);

}  // namespace shima
