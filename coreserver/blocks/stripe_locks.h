// A lock for each block, by hash: shared for a read, exclusive from an apply's first data write until its
// index write.
#pragma once

#include <algorithm>
#include <array>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "coreserver/blocks/index_cache.h"

namespace shima {

class StripeLocks {
 public:
  std::shared_mutex& of(const BlockKey& key) { return stripes_[number(key)]; }

  // Locks all the keys' stripes, always in ascending order, so that two callers cannot wait for each other.
  std::vector<std::unique_lock<std::shared_mutex>> lock_all(const std::vector<BlockKey>& keys) {
    std::vector<size_t> numbers;
    for (const BlockKey& key : keys) numbers.push_back(number(key));
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    std::vector<std::unique_lock<std::shared_mutex>> locks;
    for (size_t n : numbers) locks.emplace_back(stripes_[n]);
    return locks;
  }

 private:
  static constexpr size_t kStripes = 1024;
  static size_t number(const BlockKey& key) { return BlockKeyHash()(key) % kStripes; }
  std::array<std::shared_mutex, kStripes> stripes_;
};

}  // namespace shima
