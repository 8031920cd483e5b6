#include "accessserver/nfs/nfs3_attributes.h"

#include <algorithm>

namespace shima {
namespace {

using metadata::v1::Attributes;
using metadata::v1::FileType;

constexpr int64_t kSecond = 1'000'000'000;

enum SetTime : uint32_t { kDoNotChange = 0, kServerTime = 1, kClientTime = 2 };

}  // namespace

// ftype3: NF3REG 1, NF3DIR 2, NF3BLK 3, NF3CHR 4, NF3LNK 5, NF3SOCK 6, NF3FIFO 7.
uint32_t ftype3_of(FileType type) {
  switch (type) {
    case metadata::v1::FILE_TYPE_DIRECTORY:
      return 2;
    case metadata::v1::FILE_TYPE_BLOCK_DEVICE:
      return 3;
    case metadata::v1::FILE_TYPE_CHARACTER_DEVICE:
      return 4;
    case metadata::v1::FILE_TYPE_SYMLINK:
      return 5;
    case metadata::v1::FILE_TYPE_SOCKET:
      return 6;
    case metadata::v1::FILE_TYPE_FIFO:
      return 7;
    default:
      return 1;
  }
}

void put_nfstime3(XdrWriter& out, int64_t time_ns) {
  int64_t last = int64_t{UINT32_MAX} * kSecond + (kSecond - 1);
  time_ns = std::clamp<int64_t>(time_ns, 0, last);
  out.u32(static_cast<uint32_t>(time_ns / kSecond));
  out.u32(static_cast<uint32_t>(time_ns % kSecond));
}

bool take_nfstime3(XdrReader& in, int64_t& time_ns) {
  int64_t seconds = in.u32(), nanoseconds = in.u32();
  time_ns = seconds * kSecond + nanoseconds;
  return nanoseconds < kSecond;
}

void put_fattr3(XdrWriter& out, uint64_t volume, const Attributes& a) {
  out.u32(ftype3_of(a.type()));
  out.u32(a.mode() & 07777);
  out.u32(a.nlink());
  out.u32(a.uid());
  out.u32(a.gid());
  out.u64(a.size());
  out.u64(a.used_bytes());
  out.u32(a.rdev_major());
  out.u32(a.rdev_minor());
  out.u64(volume);
  out.u64(a.inode());
  put_nfstime3(out, a.atime_ns());
  put_nfstime3(out, a.mtime_ns());
  put_nfstime3(out, a.ctime_ns());
}

void put_post_op(XdrWriter& out, uint64_t volume, const Attributes* attributes) {
  out.boolean(attributes != nullptr);
  if (attributes) put_fattr3(out, volume, *attributes);
}

void put_wcc(XdrWriter& out, uint64_t volume, const Attributes* before, const Attributes* after) {
  out.boolean(before != nullptr);
  if (before) {
    out.u64(before->size());
    put_nfstime3(out, before->mtime_ns());
    put_nfstime3(out, before->ctime_ns());
  }
  put_post_op(out, volume, after);
}

bool take_sattr3(XdrReader& in, metadata::v1::NewAttributes& set) {
  if (in.boolean()) set.set_mode(in.u32() & 07777);
  if (in.boolean()) set.set_uid(in.u32());
  if (in.boolean()) set.set_gid(in.u32());
  if (in.boolean()) set.set_size(in.u64());
  bool valid = true;
  int64_t time_ns = 0;
  uint32_t how = in.choice(kClientTime);
  if (how == kServerTime) set.set_atime_now(true);
  if (how == kClientTime) {
    valid &= take_nfstime3(in, time_ns);
    set.set_atime_ns(time_ns);
  }
  how = in.choice(kClientTime);
  if (how == kServerTime) set.set_mtime_now(true);
  if (how == kClientTime) {
    valid &= take_nfstime3(in, time_ns);
    set.set_mtime_ns(time_ns);
  }
  return valid;
}

}  // namespace shima
