// PathWalks: which inode each thread has found last, by name: its open(2) of that comes next.
//
// Between LOOKUP and OPEN the name may be removed or replaced by somebody else. A local file system opens the
// file all the same, and a kernel that is told ESTALE walks the path again only once. An OPEN that comes from
// a file handle (open_by_handle_at(2)) has no such right. The numbers of threads are those that the kernel
// gives with a request; 0: in a process-id namespace that does not show here, as those of pods beside the
// mounter's. Such threads cannot be told apart: what one of them has found all of them may open, handles or
// not.
//
// Bounded: threads share kSlots places; one that lost its place only makes its kernel walk again. Threads:
// any.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace shima {

class PathWalks {
 public:
  static constexpr size_t kSlots = 1024;
  // From the answer of the LOOKUP to the OPEN: long enough for the kernel to ask for attributes between.
  static constexpr std::chrono::milliseconds kLongest{500};

  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  explicit PathWalks(Clock clock = &std::chrono::steady_clock::now) : clock_(std::move(clock)) {}

  // The thread has just found the inode by a name.
  void found(uint64_t thread, uint64_t inode);
  // It did something else: removed or moved a name, opened a directory, closed a file, or came by a handle.
  void forget(uint64_t thread);
  // True, once: what the thread found last, kLongest ago at most, is this inode. Thread 0: true as often as
  // it is asked.
  bool take(uint64_t thread, uint64_t inode);

 private:
  struct Walk {
    uint64_t thread = 0, inode = 0;
    std::chrono::steady_clock::time_point at{};
  };

  const Clock clock_;
  std::mutex mutex_;
  std::array<Walk, kSlots> walks_{};        // by thread % kSlots
  std::array<Walk, kSlots> of_thread_0_{};  // by inode % kSlots
};

}  // namespace shima
