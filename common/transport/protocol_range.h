// ProtocolRange: which versions of the data protocol a program speaks. Each side says its own in its Greeting
// (api/shima/data/v1/data.proto), and both go on with the newest that both speak. PURE.
//
// A version stands for all that a reader of the one before could not pass over: another framing, a record
// header of another version, a message without which a request is not understood. The first frame of each
// side is of version 1 of the framing for ever, since it is sent before there is an agreement.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

struct ProtocolRange {
  uint32_t min = 1;
  uint32_t max = 1;
  bool operator==(const ProtocolRange&) const = default;
};

// 2: a resync whose pieces are answered for, with the window of requests as payload (ResyncTaken).
inline constexpr ProtocolRange kDataProtocols{1, 2};  // of this program

// The range that a Greeting says; 0 and 0, from programs that do not say it, is 1 alone. kCorrupt: min is
// above max, or one of them is 0.
Result<ProtocolRange> protocol_range_from(uint32_t min, uint32_t max);

// The newest that both speak. kFailedPrecondition if there is none; `other` is who the other side is, for the
// message: "server 3".
Result<uint32_t> agree_on_protocol(const ProtocolRange& own, const ProtocolRange& others,
                                   const std::string& other);

}  // namespace shima
