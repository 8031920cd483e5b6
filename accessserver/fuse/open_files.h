// OpenFiles: which files the kernel has open through this mount, and whose locks go when one is closed.
//
// FUSE tells of closes in two ways: FLUSH, each time that a process closes a descriptor (with the process's
// lock owner: its POSIX locks on the file go, fcntl(2)), and RELEASE, once the last descriptor of an open is
// gone. OFD locks look like POSIX locks of an owner of their own, for whom no FLUSH comes: they go at
// RELEASE. So for each owner it is kept through which opens locks were asked for. flock(2) locks belong to
// the open and go with it. Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace shima {

class OpenFiles {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  explicit OpenFiles(Clock clock = &std::chrono::steady_clock::now) : clock_(std::move(clock)) {}

  // Returns a handle, never 0 and never given twice. The open counts once it is granted.
  uint64_t open(uint64_t inode);
  void grant(uint64_t handle);
  size_t opens_of(uint64_t inode) const;  // that were granted

  // Before a lock is asked for.
  void lock_asked(uint64_t handle, uint64_t owner);
  void flock_asked(uint64_t handle, uint64_t owner);
  // The inode, if locks were asked for through this open.
  std::optional<uint64_t> inode_with_locks(uint64_t handle) const;
  // A descriptor of the open was closed (FLUSH), perhaps the last one. Then RELEASE is to come at once.
  void descriptor_closed(uint64_t handle);
  // Was there such a close, of an open that locks were asked for through, in the last kReleaseComes, and no
  // RELEASE yet? Its locks may be nobody's any more. RELEASE comes late while the kernel has as many
  // asynchronous requests under way as it may, or while the thread that has read it does not run.
  bool may_be_closing(uint64_t inode);
  static constexpr std::chrono::milliseconds kReleaseComes{1000};

  // The owner closed a descriptor of the inode: true if it may have locks there, which are to be released.
  bool owner_closed(uint64_t inode, uint64_t owner);

  // The inode, if it is open, may have set-id bits: whoever writes past the kernel (O_DIRECT) has to look.
  void note_mode(uint64_t inode, uint32_t mode);
  // True once after such a note.
  bool take_set_id_note(uint64_t inode);

  struct Closed {
    bool known = false;
    uint64_t inode = 0;
    std::vector<uint64_t> owners;         // whose POSIX locks are to be released
    std::optional<uint64_t> flock_owner;  // whose flock is
  };
  Closed close(uint64_t handle);
  // Handles that are open: for the end of the mount, when no RELEASE comes any more.
  std::vector<uint64_t> handles() const;

 private:
  struct Inode {
    size_t opens = 0, granted = 0;
    bool may_have_set_id = false;
    std::map<uint64_t, std::chrono::steady_clock::time_point> closing;  // handles, descriptor_closed()
    std::map<uint64_t, std::set<uint64_t>> owners;  // handles through which each asked for locks
  };

  struct Open;
  // Under mutex_.
  void note_locks(uint64_t handle, Open& open);

  const Clock clock_;
  mutable std::mutex mutex_;
  uint64_t last_handle_ = 0;
  struct Open {
    uint64_t inode = 0;
    bool granted = false, asked_locks = false;
    std::optional<uint64_t> flock_owner;
  };
  std::unordered_map<uint64_t, Open> opens_;  // by handle
  std::unordered_map<uint64_t, Inode> inodes_;
};

}  // namespace shima
