// LayoutFetcher: asks a LayoutSource on a thread of its own, since the answer may take seconds.
//
// Threads: request() from any; `done` is called on the fetcher's thread, once a request, in order. The
// destructor waits for the fetch in progress; requests not begun are dropped.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "accessserver/volume/volume_layout.h"

namespace shima {

class LayoutFetcher {
 public:
  using Done = std::function<void(Result<VolumeLayout>)>;

  LayoutFetcher(LayoutSource& source, std::string volume)
      : source_(source), volume_(std::move(volume)), thread_([this] { run(); }) {}
  ~LayoutFetcher() { stop(); }

  void request(Done done) {
    std::lock_guard lock(mutex_);
    requests_.push_back(std::move(done));
    changed_.notify_one();
  }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !requests_.empty(); });
      if (stopping_) return;
      Done done = std::move(requests_.front());
      requests_.pop_front();
      lock.unlock();
      done(source_.fetch(volume_));
      lock.lock();
    }
  }

  LayoutSource& source_;
  const std::string volume_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Done> requests_;  // under mutex_
  bool stopping_ = false;      // under mutex_
  std::thread thread_;         // last: it uses all of the above
};

}  // namespace shima
