#include "common/transport/protocol_range.h"

#include <algorithm>

namespace shima {
namespace {

std::string text_of(const ProtocolRange& range) {
  if (range.min == range.max) return std::to_string(range.min);
  return std::to_string(range.min) + " to " + std::to_string(range.max);
}

}  // namespace

Result<ProtocolRange> protocol_range_from(uint32_t min, uint32_t max) {
  if (min == 0 && max == 0) return ProtocolRange{1, 1};
  if (min != 0 && min <= max) return ProtocolRange{min, max};
  return Status(Code::kCorrupt, "a Greeting says data protocols " + std::to_string(min) + " to " +
                                    std::to_string(max) + ", wanted 1 or more, the lower one first");
}

Result<uint32_t> agree_on_protocol(const ProtocolRange& own, const ProtocolRange& others,
                                   const std::string& other) {
  const uint32_t newest = std::min(own.max, others.max);
  if (newest >= std::max(own.min, others.min)) return newest;
  return Status(Code::kFailedPrecondition, other + " speaks data protocol " + text_of(others) +
                                               ", this program " + text_of(own) + ": upgrade " +
                                               (own.max < others.min ? "this program" : other) +
                                               ", one minor release at a time");
}

}  // namespace shima
