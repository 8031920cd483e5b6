#include "accessserver/fuse/open_files.h"

#include <sys/stat.h>

#include <utility>

namespace shima {

uint64_t OpenFiles::open(uint64_t inode) {
  std::lock_guard lock(mutex_);
  const uint64_t handle = ++last_handle_;
  opens_[handle].inode = inode;
  ++inodes_[inode].opens;
  return handle;
}

void OpenFiles::grant(uint64_t handle) {
  std::lock_guard lock(mutex_);
  const auto found = opens_.find(handle);
  if (found == opens_.end() || std::exchange(found->second.granted, true)) return;
  ++inodes_[found->second.inode].granted;
}

size_t OpenFiles::opens_of(uint64_t inode) const {
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(inode);
  return found == inodes_.end() ? 0 : found->second.granted;
}

void OpenFiles::lock_asked(uint64_t handle, uint64_t owner) {
  std::lock_guard lock(mutex_);
  const auto found = opens_.find(handle);
  if (found == opens_.end()) return;
  note_locks(handle, found->second);
  inodes_[found->second.inode].owners[owner].insert(handle);
}

void OpenFiles::flock_asked(uint64_t handle, uint64_t owner) {
  std::lock_guard lock(mutex_);
  const auto found = opens_.find(handle);
  if (found == opens_.end()) return;
  note_locks(handle, found->second);
  found->second.flock_owner = owner;
}

void OpenFiles::note_locks(uint64_t handle, Open& open) {
  open.asked_locks = true;
  inodes_[open.inode].closing.erase(handle);
}

std::optional<uint64_t> OpenFiles::inode_with_locks(uint64_t handle) const {
  std::lock_guard lock(mutex_);
  const auto found = opens_.find(handle);
  if (found == opens_.end() || !found->second.asked_locks) return std::nullopt;
  return found->second.inode;
}

void OpenFiles::descriptor_closed(uint64_t handle) {
  std::lock_guard lock(mutex_);
  const auto found = opens_.find(handle);
  if (found == opens_.end() || !found->second.asked_locks) return;
  inodes_[found->second.inode].closing[handle] = clock_();
}

bool OpenFiles::may_be_closing(uint64_t inode) {
  const auto long_ago = clock_() - kReleaseComes;
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(inode);
  if (found == inodes_.end()) return false;
  std::erase_if(found->second.closing, [&](const auto& closed) { return closed.second < long_ago; });
  return !found->second.closing.empty();
}

bool OpenFiles::owner_closed(uint64_t inode, uint64_t owner) {
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(inode);
  return found != inodes_.end() && found->second.owners.erase(owner) > 0;
}

void OpenFiles::note_mode(uint64_t inode, uint32_t mode) {
  if ((mode & (S_ISUID | S_ISGID)) == 0) return;
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(inode);
  if (found != inodes_.end()) found->second.may_have_set_id = true;
}

bool OpenFiles::take_set_id_note(uint64_t inode) {
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(inode);
  return found != inodes_.end() && std::exchange(found->second.may_have_set_id, false);
}

OpenFiles::Closed OpenFiles::close(uint64_t handle) {
  std::lock_guard lock(mutex_);
  Closed closed;
  const auto found = opens_.find(handle);
  if (found == opens_.end()) return closed;
  closed.known = true;
  closed.inode = found->second.inode;
  closed.flock_owner = found->second.flock_owner;
  Inode& inode = inodes_[closed.inode];
  if (found->second.granted) --inode.granted;
  inode.closing.erase(handle);
  opens_.erase(found);
  for (auto owner = inode.owners.begin(); owner != inode.owners.end();) {
    if (owner->second.erase(handle) > 0 && owner->second.empty()) {
      closed.owners.push_back(owner->first);
      owner = inode.owners.erase(owner);
    } else {
      ++owner;
    }
  }
  if (--inode.opens == 0) inodes_.erase(closed.inode);
  return closed;
}

std::vector<uint64_t> OpenFiles::handles() const {
  std::lock_guard lock(mutex_);
  std::vector<uint64_t> handles;
  handles.reserve(opens_.size());
  for (const auto& [handle, open] : opens_) handles.push_back(handle);
  return handles;
}

}  // namespace shima
