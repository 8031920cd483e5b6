#include "accessserver/volume/operation.h"

#include <utility>

namespace shima {
namespace {

Buffer take_bytes(Operation& operation) {
  if (!operation.error.is_ok()) return {};
  if (operation.assembled) return Buffer::adopt(std::move(operation.assembled), operation.length);
  return std::move(operation.whole);
}

// One overload for each kind of callback.
struct Answer {
  Operation& operation;

  void operator()(const Operation::ReadDone& done) const { done(operation.error, take_bytes(operation)); }
  void operator()(const VolumeAccess::BytesDone& done) const {
    done(operation.error, take_bytes(operation), operation.fence);
  }
  void operator()(const VolumeAccess::Done& done) const { done(operation.error); }
  void operator()(const VolumeAccess::JobDone& done) const {
    if (!operation.error.is_ok() || !operation.job_reply) return done(operation.error, {});
    done({}, std::move(*operation.job_reply));
  }
  void operator()(const VolumeAccess::InodeDone& done) const {
    done(operation.error, operation.error.is_ok() ? operation.inode_data : InodeData());
  }
  void operator()(const VolumeAccess::SeekDone& done) const {
    bool inside = operation.error.is_ok() && operation.found && *operation.found < operation.end;
    done(operation.error, inside ? operation.found : std::nullopt);
  }
};

}  // namespace

void call_back(Operation& operation) {
  // Out of the operation first: what the callback holds goes when it returns, not when the last piece goes.
  Operation::Callback done = std::exchange(operation.done, {});
  std::visit(Answer{operation}, done);
}

}  // namespace shima
