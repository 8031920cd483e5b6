// PURE: a volume's size from what CSI asks for (CSI 1.12, CapacityRange): required_bytes and limit_bytes.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>

#include "csi/v1/csi.pb.h"

namespace shima {

inline constexpr uint64_t kSizeStepBytes = 4096;
inline constexpr uint64_t kMinVolumeBytes = 1ull << 20;
inline constexpr uint64_t kDefaultVolumeBytes = 10ull << 30;
inline constexpr uint64_t kMaxVolumeBytes = 16ull << 40;

// required_bytes, rounded up to kSizeStepBytes and kMinVolumeBytes; without it the default, or limit_bytes
// rounded down if that is less. INVALID_ARGUMENT: negative, or the limit is below what is required;
// OUT_OF_RANGE: no size that we have lies between the two.
grpc::Status choose_size(const ::csi::v1::CapacityRange& range, uint64_t& bytes);

// Whether a volume that is there fits; the range is one that choose_size() takes.
bool fits_range(const ::csi::v1::CapacityRange& range, uint64_t bytes);

}  // namespace shima
