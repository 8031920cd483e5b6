// BusyVolumes: at most one call at a time on a volume; others are answered ABORTED (CSI 1.12, "Concurrency").
//
// Threads: any.
#pragma once

#include <mutex>
#include <set>
#include <string>

namespace shima {

class BusyVolumes {
 public:
  // Holds a volume until destroyed, unless another one does. `all` must outlive it.
  class Hold {
   public:
    Hold(BusyVolumes& all, const std::string& volume) : all_(all), volume_(volume) {
      std::lock_guard lock(all_.mutex_);
      held_ = all_.held_.insert(volume_).second;
    }
    ~Hold() {
      if (!held_) return;
      std::lock_guard lock(all_.mutex_);
      all_.held_.erase(volume_);
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    bool held() const { return held_; }

   private:
    BusyVolumes& all_;
    const std::string volume_;
    bool held_ = false;
  };

 private:
  std::mutex mutex_;
  std::set<std::string> held_;
};

}  // namespace shima
