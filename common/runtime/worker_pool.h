// WorkerPool: threads for work that blocks (disks, etcd), so that event loops never do.
//
// One thread: tasks run in the order of their posts. Several: in no order.
// Threads: post() from any. stop() runs what was posted, then joins; a task posted later is dropped.
#pragma once

#include <memory>
#include <string>

#include "common/runtime/task.h"

namespace shima {

class WorkerPool {
 public:
  WorkerPool(std::string name, unsigned threads);
  ~WorkerPool();  // stop()
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void post(Task task);
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
