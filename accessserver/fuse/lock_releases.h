// LockReleases: RELEASEs that are being carried out and take locks with them.
//
// close(2) does not wait for RELEASE, so that OFD and flock locks go a moment after it. A request about locks
// of the file that follows the close must not see them any more: it waits for the releases of that inode that
// have begun before it (no longer than the volume's deadline, within which each ends), and one that has found
// a lock in its way asks again if a release has begun meanwhile or is to come (OpenFiles::may_be_closing).
// Threads: any; tasks run on the thread that calls, or on that of end().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

namespace shima {

class LockReleases {
 public:
  // Returns the release's number: they count upwards.
  uint64_t begin(uint64_t inode);
  void end(uint64_t inode, uint64_t release);
  // Runs the task when the inode's releases that have begun so far have ended; at once if there are none.
  void after(uint64_t inode, std::function<void()> task);
  // The number of the newest release, of whatever inode; 0: there was none.
  uint64_t newest() const;

 private:
  struct Inode {
    std::set<uint64_t> releases;                             // under way
    std::multimap<uint64_t, std::function<void()>> waiting;  // by the newest release to be waited for
  };

  mutable std::mutex mutex_;
  uint64_t newest_ = 0;
  std::unordered_map<uint64_t, Inode> inodes_;
};

}  // namespace shima
