#include "common/observe/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace shima {

// Values of one power of two share an exponent; the kBits bits below the leading one choose the bucket.
size_t Histogram::bucket_of(uint64_t value) {
  if (value < (2u << kBits)) return value;
  int exponent = 63 - std::countl_zero(value) - kBits;
  return (static_cast<size_t>(exponent) << kBits) + (value >> exponent);
}

uint64_t Histogram::upper_end(size_t bucket) {
  if (bucket < (2u << kBits)) return bucket;
  int exponent = static_cast<int>(bucket >> kBits) - 1;
  uint64_t leading = (bucket & ((1u << kBits) - 1)) | (1u << kBits);
  return (leading << exponent) + ((uint64_t{1} << exponent) - 1);
}

void Histogram::record(uint64_t value) {
  buckets_[bucket_of(value)]++;
  count_++;
  sum_ += value;
  max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; i++) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::quantile(double share) const {
  if (count_ == 0) return 0;
  auto wanted = static_cast<uint64_t>(std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_)));
  wanted = std::max<uint64_t>(wanted, 1);
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; i++) {
    seen += buckets_[i];
    if (seen >= wanted) return std::min(upper_end(i), max_);
  }
  return max_;
}

}  // namespace shima
