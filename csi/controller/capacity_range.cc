#include "csi/controller/capacity_range.h"

#include <algorithm>
#include <string>

#include "csi/controller/csi_errors.h"

namespace shima {
namespace {

grpc::Status out_of_range(const std::string& what) {
  return {grpc::StatusCode::OUT_OF_RANGE, what + "; volumes have " + std::to_string(kMinVolumeBytes) +
                                              " (1 MiB) to " + std::to_string(kMaxVolumeBytes) +
                                              " (16 TiB) bytes in steps of " +
                                              std::to_string(kSizeStepBytes)};
}

uint64_t rounded_up(uint64_t bytes) { return (bytes + kSizeStepBytes - 1) / kSizeStepBytes * kSizeStepBytes; }
uint64_t rounded_down(uint64_t bytes) { return bytes / kSizeStepBytes * kSizeStepBytes; }

}  // namespace

grpc::Status choose_size(const ::csi::v1::CapacityRange& range, uint64_t& bytes) {
  if (range.required_bytes() < 0 || range.limit_bytes() < 0)
    return invalid_argument("capacity_range has a negative number; give bytes, or 0 for whatever");
  const auto required = static_cast<uint64_t>(range.required_bytes());
  const auto limit = static_cast<uint64_t>(range.limit_bytes());
  if (limit != 0 && limit < required) {
    return invalid_argument("capacity_range: limit_bytes " + std::to_string(limit) +
                            " is below required_bytes " + std::to_string(required) +
                            "; raise it, or leave it out");
  }
  if (required > kMaxVolumeBytes) return out_of_range("required_bytes is " + std::to_string(required));
  uint64_t size = std::max(rounded_up(required), kMinVolumeBytes);
  if (required == 0) {
    size = kDefaultVolumeBytes;
    if (limit != 0 && limit < size) size = std::max(rounded_down(limit), kMinVolumeBytes);
  }
  if (limit != 0 && size > limit) {
    return out_of_range("no size lies between required_bytes " + std::to_string(required) +
                        " and limit_bytes " + std::to_string(limit));
  }
  bytes = size;
  return grpc::Status::OK;
}

bool fits_range(const ::csi::v1::CapacityRange& range, uint64_t bytes) {
  const auto required = static_cast<uint64_t>(range.required_bytes());
  const auto limit = static_cast<uint64_t>(range.limit_bytes());
  return bytes >= required && (limit == 0 || bytes <= limit);
}

}  // namespace shima
