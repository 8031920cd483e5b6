// BusyVolume: one call at a time works on a volume; a second one is told so at once (CSI 1.12, "Concurrency":
// ABORTED), since its caller repeats it anyway. The node plug-in's own look-around is nothing that a caller
// knows of: a call waits for it. Threads: any; the mutex is the sets'.
#pragma once

#include <unistd.h>

#include <mutex>
#include <set>
#include <string>

#include "common/status/status.h"

namespace shima {

class BusyVolume {
 public:
  // While the volume is in `looked_after` too, it is waited for.
  BusyVolume(std::mutex& mutex, std::set<std::string>& busy, const std::string& volume,
             const std::set<std::string>* looked_after = nullptr)
      : mutex_(mutex), busy_(busy), volume_(volume) {
    for (int tries = 0; !try_take(looked_after) && tries < kMostTries; ++tries) usleep(kPauseUs);
  }
  ~BusyVolume() {
    if (!taken_) return;
    std::lock_guard lock(mutex_);
    busy_.erase(volume_);
  }
  BusyVolume(const BusyVolume&) = delete;
  BusyVolume& operator=(const BusyVolume&) = delete;

  // kConflict: another call works on it.
  Status status() const {
    if (taken_) return {};
    return {Code::kConflict, "another call works on volume " + volume_ + "; try again when it is done"};
  }

 private:
  static constexpr useconds_t kPauseUs = 5000;
  static constexpr int kMostTries = 4000;  // 20 s

  // True: there is nothing to wait for.
  bool try_take(const std::set<std::string>* looked_after) {
    std::lock_guard lock(mutex_);
    taken_ = busy_.insert(volume_).second;
    return taken_ || looked_after == nullptr || looked_after->count(volume_) == 0;
  }

  std::mutex& mutex_;
  std::set<std::string>& busy_;
  const std::string volume_;
  bool taken_ = false;
};

}  // namespace shima
