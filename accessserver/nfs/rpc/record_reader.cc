#include "accessserver/nfs/rpc/record_reader.h"

#include <algorithm>
#include <cstring>

namespace shima {
namespace {

constexpr uint32_t kLastFragment = 1u << 31;

}  // namespace

bool RecordReader::filled(size_t size, Buffer& record) {
  SHIMA_CHECK(size <= fragment_left_, "more bytes were read than belong to the fragment");
  size_ += size;
  fragment_left_ -= size;
  return finish(record);
}

Result<bool> RecordReader::take(std::span<const uint8_t>& bytes, Buffer& record) {
  while (!bytes.empty()) {
    if (mark_filled_ < sizeof mark_) {
      mark_[mark_filled_++] = bytes.front();
      bytes = bytes.subspan(1);
      if (mark_filled_ < sizeof mark_) continue;
      SHIMA_RETURN_IF_ERROR(begin_fragment());
    }
    size_t part = std::min(bytes.size(), fragment_left_);
    if (part > 0) std::memcpy(record_.get() + size_, bytes.data(), part);
    bytes = bytes.subspan(part);
    if (filled(part, record)) return true;
  }
  return false;
}

Status RecordReader::begin_fragment() {
  uint32_t mark = uint32_t{mark_[0]} << 24 | uint32_t{mark_[1]} << 16 | uint32_t{mark_[2]} << 8 | mark_[3];
  last_ = (mark & kLastFragment) != 0;
  fragment_left_ = mark & ~kLastFragment;
  if (fragment_left_ > max_record_ - size_) {
    std::string found = std::to_string(size_ + fragment_left_);
    fragment_left_ = 0;
    return {Code::kCorrupt, "a record of at least " + found + " bytes; " + std::to_string(max_record_) +
                                " are allowed: is the other side an NFS client?"};
  }
  if (++fragments_ > kMaxFragments) {
    fragment_left_ = 0;
    return {Code::kCorrupt, "a record of more than " + std::to_string(kMaxFragments) + " fragments"};
  }
  make_room(size_ + fragment_left_);
  return {};
}

void RecordReader::make_room(size_t size) {
  if (size <= capacity_) return;
  // One fragment a record is what clients send: exactly its size. Who sends many pays for few copies only.
  size_t capacity = capacity_ == 0 ? size : std::min(max_record_, std::max(size, 2 * capacity_));
  auto larger = std::make_shared_for_overwrite<uint8_t[]>(capacity);
  if (size_ > 0) std::memcpy(larger.get(), record_.get(), size_);
  record_ = std::move(larger);
  capacity_ = capacity;
}

bool RecordReader::finish(Buffer& record) {
  if (mark_filled_ < sizeof mark_ || fragment_left_ > 0) return false;
  mark_filled_ = 0;
  if (!last_) return false;
  record = Buffer::adopt(std::move(record_), size_);
  record_ = nullptr;
  capacity_ = size_ = 0;
  fragments_ = 0;
  return true;
}

}  // namespace shima
