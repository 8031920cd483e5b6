// Histogram: counts values (latencies in microseconds, sizes) in buckets that are at most 3.2 % wide, from 0
// to 2^64.
//
// 32 buckets for each power of two; values below 64 are exact. record() is a few instructions.
// Threads: one at a time; copies are snapshots. Two histograms add up with merge().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace shima {

class Histogram {
 public:
  void record(uint64_t value);
  void merge(const Histogram& other);
  void clear() { *this = Histogram(); }

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  double mean() const { return count_ ? static_cast<double>(sum_) / static_cast<double>(count_) : 0; }
  // The value that a share (0 to 1) of all values does not exceed: its bucket's upper end, never above max();
  // 0 if there are no values.
  uint64_t quantile(double share) const;

 private:
  static constexpr int kBits = 5;  // 2^5 buckets a power of two
  static constexpr size_t kBuckets = (64 - kBits + 1) << kBits;
  static size_t bucket_of(uint64_t value);
  static uint64_t upper_end(size_t bucket);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace shima
