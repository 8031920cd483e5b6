// What a data group knows of inodes: fences of truncation (R18), newest mtimes and change counts (R19), where
// data and holes are.
#include <algorithm>

#include "common/types/block_routing.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"

namespace shima {

using namespace replication;

namespace {
constexpr size_t kMaxFences = 65536;  // remembered; others are read from the index
constexpr uint64_t kSeekAgainMs = 2;
}  // namespace

GroupDriver::Fences& GroupDriver::fences_of(InodeId inode) {
  auto known = fences_.find(inode);
  if (known != fences_.end()) return known->second;
  auto stored = env_.disk->blocks().inode_state(id(), inode);
  // An index that cannot be read says so again at the read or the apply that follows.
  Fences fences;
  if (stored.is_ok()) fences = {stored->fence, stored->truncated_fence};
  for (const RecordPtr& record : overlay_.of_inode(inode, core_.log().last())) {
    const RecordHeader& h = record->header;
    fences.seen = std::max(fences.seen, h.fence);
    if (h.kind == RecordKind::kTruncate) fences.truncated = std::max(fences.truncated, h.fence);
  }
  if (fences_.size() >= kMaxFences) fences_.clear();
  return fences_[inode] = fences;
}

// A request that was executed already keeps its result, whatever was truncated since.
bool GroupDriver::stale_fence(const ClientWrite& w) {
  uint64_t known = fences_of(w.inode).seen;
  if (w.fence >= known) return false;
  return core_.window().find(w.client, w.request, w.known_sequence).verdict == RequestWindow::Verdict::kNew;
}

void GroupDriver::after_commit(std::function<void(bool)> task) {
  Sequence last = core_.log().last();
  if (last <= core_.visible()) return task(true);
  after_commit_.emplace(last, std::move(task));
}

void GroupDriver::when_committed(std::function<void(bool)> done) {
  if (dropped_ || core_.role() != Role::kPrimary) return done(false);
  after_commit(std::move(done));
}

void GroupDriver::give_up_after_commit() {
  auto tasks = std::move(after_commit_);
  after_commit_.clear();
  for (auto& [sequence, task] : tasks) task(false);
}

void GroupDriver::inode(const SessionIdentity& who, InodeId inode,
                        std::function<void(Result<InodeAnswer>)> done) {
  if (metadata_) return done(Status(Code::kInvalidArgument, "the metadata group has no blocks"));
  if (Status why = refusal_to_read(); !why.is_ok()) return done(why);
  if (Status why = refusal_of(who, false); !why.is_ok()) return done(why);
  auto stored = env_.disk->blocks().inode_state(id(), inode);
  if (!stored.is_ok()) return done(stored.status());
  InodeAnswer answer;
  answer.state = overlay_.merged(inode, *stored, core_.visible());
  if (auto used = env_.disk->blocks().present_bytes(id()); used.is_ok()) answer.group_used_bytes = *used;
  done(answer);
}

// Looks in the block store only: what is committed of the inode but not yet applied is applied first.
void GroupDriver::seek(SeekCall call) {
  if (metadata_) return call.done(Status(Code::kInvalidArgument, "the metadata group has no blocks"));
  if (Status why = refusal_to_read(); !why.is_ok()) return call.done(why);
  if (Status why = refusal_of(*call.who, false); !why.is_ok()) return call.done(why);
  if (call.offset >= block_size_)
    return call.done(Status(Code::kInvalidArgument, "an offset beyond the block's end"));
  if (!overlay_.of_inode(call.inode, core_.visible()).empty()) {
    if (env_.loop->now_ms() > call.deadline_ms)
      return call.done(Status(Code::kUnavailable, "the group is behind with applying; retry"));
    pump_apply(true);
    env_.loop->after(kSeekAgainMs, [self = shared_from_this(), call = std::move(call)]() mutable {
      self->seek(std::move(call));
    });
    return;
  }
  env_.readers->post([self = shared_from_this(), call = std::move(call)]() mutable {
    using Found = std::optional<std::pair<BlockIndex, uint32_t>>;
    BlockStore& blocks = self->env_.disk->blocks();
    Result<Found> found = Found();
    if (call.hole) {
      auto at = blocks.next_hole({self->id(), call.inode, call.block}, call.offset, self->block_size_);
      if (!at.is_ok()) {
        found = at.status();
      } else if (*at < self->block_size_) {
        found = Found(std::make_pair(call.block, std::max(*at, call.offset)));
      }
    } else {
      found = blocks.next_present(self->id(), call.inode, call.block, call.offset);
      if (found.is_ok() && *found && (*found)->first == call.block)
        (*found)->second = std::max((*found)->second, call.offset);
    }
    self->env_.loop->post([call = std::move(call), found = std::move(found)] { call.done(found); });
  });
}

}  // namespace shima
