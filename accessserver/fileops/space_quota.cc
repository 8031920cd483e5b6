#include "accessserver/fileops/space_quota.h"

#include <algorithm>
#include <cerrno>

namespace shima {

namespace {

constexpr uint64_t kRefreshMs = 1000;
constexpr uint64_t kAllocation = 4096;  // bytes

// Whole chunks that a write may need.
uint64_t allocation_of(uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  return (offset + length + kAllocation - 1) / kAllocation * kAllocation - offset / kAllocation * kAllocation;
}

}  // namespace

bool SpaceQuota::fits(uint64_t bytes, uint64_t quota) const {
  return used_bytes_ + let_through_ + bytes <= quota;
}

void SpaceQuota::admit(const FileAttributes& attributes, uint64_t offset, uint64_t length,
                       FileContext::ErrorDone done) {
  uint64_t quota = context_.quota_bytes();
  if (quota == 0 || length == 0) return done(0);
  uint64_t bytes = allocation_of(offset, length);
  if (known_ && fits(bytes, quota) && context_.now_ms() - known_since_ms_ < kRefreshMs) {
    let_through_ += bytes;
    return done(0);
  }
  refresh(attributes.inode(), [=, this, done = std::move(done)](int error) {
    if (error != 0) return done(error);
    if (!fits(bytes, quota)) return admit_if_grown(attributes, offset, length, done);
    let_through_ += bytes;
    done(0);
  });
}

void SpaceQuota::admit_if_grown(const FileAttributes& attributes, uint64_t offset, uint64_t length,
                                FileContext::ErrorDone done) {
  context_.look_at_quota([=, this, done = std::move(done)] {
    const uint64_t quota = context_.quota_bytes(), bytes = allocation_of(offset, length);
    if (quota != 0 && !fits(bytes, quota)) return admit_if_allocated(attributes, offset, length, done);
    let_through_ += bytes;
    done(0);
  });
}

void SpaceQuota::admit_if_allocated(const FileAttributes& attributes, uint64_t offset, uint64_t length,
                                    FileContext::ErrorDone done) {
  if (offset + length > attributes.size()) return done(EDQUOT);
  context_.seek(attributes.inode(), offset, offset + length, true,
                [this, done = std::move(done)](const Status& status, std::optional<uint64_t> hole) {
                  if (!status.is_ok()) return done(context_.errno_of(status));
                  done(hole ? EDQUOT : 0);
                });
}

void SpaceQuota::admit_allocation(uint64_t inode, uint64_t offset, uint64_t length,
                                  FileContext::ErrorDone done) {
  const uint64_t quota = context_.quota_bytes(), bytes = allocation_of(offset, length);
  if (quota == 0) return done(0);
  if (known_ && fits(bytes, quota) && context_.now_ms() - known_since_ms_ < kRefreshMs) return done(0);
  context_.inode_data(inode, [=, this, done = std::move(done)](const Status& status, const InodeData& data) {
    if (!status.is_ok()) return done(context_.errno_of(status));
    const uint64_t more = bytes - std::min(bytes, data.used_bytes);
    const uint64_t wanted = data.volume_used_bytes + more;
    if (more == 0 || wanted <= quota) return done(0);
    context_.look_at_quota([this, wanted, done] {
      const uint64_t grown = context_.quota_bytes();
      done(grown == 0 || wanted <= grown ? 0 : EDQUOT);
    });
  });
}

void SpaceQuota::refresh(uint64_t inode, FileContext::ErrorDone done) {
  waiting_.push_back(std::move(done));
  if (!asking_) ask(inode);
}

// Those who come while the groups are asked wait for the next answer: this one may not know of space that
// they have just freed.
void SpaceQuota::ask(uint64_t inode) {
  asking_ = true;
  // What is let through from now on may not be in the answer.
  uint64_t let_through_before = let_through_;
  context_.inode_data(inode, [this, inode, let_through_before, served = std::exchange(waiting_, {})](
                                 const Status& status, const InodeData& data) {
    asking_ = false;
    if (status.is_ok()) {
      known_ = true;
      used_bytes_ = data.volume_used_bytes;
      let_through_ -= let_through_before;
      known_since_ms_ = context_.now_ms();
    }
    for (const auto& done : served) done(context_.errno_of(status));
    if (!asking_ && !waiting_.empty()) ask(inode);
  });
}

}  // namespace shima
