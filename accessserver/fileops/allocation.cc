#include "accessserver/fileops/allocation.h"

#include <algorithm>
#include <cerrno>

#include "accessserver/fileops/file_access.h"

namespace shima {

namespace {

constexpr uint64_t kPunchStep = 64u << 20;  // bytes

}  // namespace

void Allocation::allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length, bool keep_size,
                          metadata::v1::Credentials credentials, FileContext::ErrorDone done) {
  if (length == 0) return done(EINVAL);
  if (int error = check_range(offset, length)) return done(error);
  auto run = std::make_shared<Run>();
  *run = {.inode = inode,
          .offset = offset,
          .end = offset + length,
          .extend = kind != AllocateKind::kPunchHole && !keep_size,
          .credentials = std::move(credentials),
          .done = std::move(done)};
  attributes_.get(inode, [this, run, kind](int error, const FileAttributes& attributes) {
    if (error == 0) error = check_may_write(attributes, run->credentials);
    if (error != 0) return run->done(error);
    if (kind == AllocateKind::kPunchHole) return begin(run, kind);
    quota_.admit_allocation(run->inode, run->offset, run->end - run->offset, [this, run, kind](int refused) {
      if (refused != 0) return run->done(refused);
      begin(run, kind);
    });
  });
}

void Allocation::begin(const RunPtr& run, AllocateKind kind) {
  if (kind == AllocateKind::kAllocate) return extend(run);
  punch_from(run, run->offset);
}

void Allocation::punch_from(const RunPtr& run, uint64_t from) {
  if (from >= run->end) return extend(run);
  context_.seek(run->inode, from, run->end, false,
                [this, run](const Status& status, std::optional<uint64_t> data) {
                  if (!status.is_ok()) return run->done(context_.errno_of(status));
                  if (!data) return extend(run);
                  punch_step(run, *data);
                });
}

void Allocation::punch_step(const RunPtr& run, uint64_t from) {
  FileChange punch;
  punch.kind = ChangeKind::kPunch;
  punch.inode = run->inode;
  punch.offset = from;
  punch.length = std::min(run->end - from, kPunchStep);
  punch.credentials = run->credentials;
  changer_.change(std::move(punch), [this, run, next = from + punch.length](const FileWritten& punched) {
    if (punched.error != 0) return run->done(punched.error);
    punch_from(run, next);
  });
}

void Allocation::extend(const RunPtr& run) {
  if (!run->extend) return run->done(0);
  FileChange extension;
  extension.kind = ChangeKind::kExtend;
  extension.inode = run->inode;
  extension.offset = run->offset;
  extension.length = run->end - run->offset;
  extension.credentials = run->credentials;
  changer_.change(std::move(extension), [run](const FileWritten& extended) { run->done(extended.error); });
}

void Allocation::seek(uint64_t inode, uint64_t offset, bool hole,
                      std::function<void(int error, uint64_t offset)> done) {
  attributes_.get(inode, [this, inode, offset, hole, done = std::move(done)](
                             int error, const FileAttributes& attributes) {
    uint64_t size = attributes.size();
    bool regular = attributes.type() == metadata::v1::FILE_TYPE_REGULAR;
    if (error == 0 && !regular) error = EINVAL;
    if (error == 0 && offset >= size) error = ENXIO;
    if (error != 0) return done(error, 0);
    context_.seek(inode, offset, size, hole, [=, this](const Status& status, std::optional<uint64_t> found) {
      if (!status.is_ok()) return done(context_.errno_of(status), 0);
      if (!found && !hole) return done(ENXIO, 0);
      done(0, std::min(found.value_or(size), size));
    });
  });
}

}  // namespace shima
