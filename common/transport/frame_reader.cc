#include "common/transport/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "common/types/crc32c.h"

namespace shima {
namespace {

constexpr size_t kInboxSize = 64u << 10;

}  // namespace

FrameReader::FrameReader() : inbox_(new uint8_t[kInboxSize]), capacity_(kInboxSize) {}

std::array<std::span<uint8_t>, 2> FrameReader::space() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (capacity_ - end_ < kInboxSize / 4) make_room(end_ - begin_ + 1);  // no reads of a few bytes
  std::span<uint8_t> rest;
  if (in_payload_) rest = {payload_.get() + payload_filled_, payload_size_ - payload_filled_};
  return {rest, std::span<uint8_t>(inbox_.get() + end_, capacity_ - end_)};
}

void FrameReader::filled(size_t size) {
  if (in_payload_) {
    size_t part = std::min(size, payload_size_ - payload_filled_);
    payload_filled_ += part;
    size -= part;
  }
  end_ += size;
  SHIMA_CHECK(end_ <= capacity_, "more bytes were read than there was space");
}

Result<bool> FrameReader::next(Frame& frame) {
  if (!in_payload_) {
    Result<bool> taken = take_header();
    if (!taken || !*taken) return taken;
  }
  take_payload();
  if (payload_filled_ < payload_size_) return false;
  if (payload_size_ > 0) current_.payload = Buffer::adopt(std::move(payload_), payload_size_);
  frame = std::move(current_);
  current_ = Frame();
  payload_size_ = payload_filled_ = 0;
  in_payload_ = false;
  return true;
}

Result<bool> FrameReader::take_header() {
  if (end_ - begin_ < kFramePrefixSize) return false;
  auto bytes = std::span<const uint8_t, kFramePrefixSize>(inbox_.get() + begin_, kFramePrefixSize);
  Result<FramePrefix> prefix = decode_frame_prefix(bytes);
  if (!prefix) return prefix.status();
  size_t whole = kFramePrefixSize + prefix->header_size;
  if (end_ - begin_ < whole) {
    make_room(whole);
    return false;
  }
  std::span<const uint8_t> header(inbox_.get() + begin_ + kFramePrefixSize, prefix->header_size);
  if (crc32c(header) != prefix->header_crc) {
    return Status(Code::kCorrupt, "the checksum of a frame's header is wrong");
  }
  current_.id = prefix->id;
  current_.header.assign(reinterpret_cast<const char*>(header.data()), header.size());
  begin_ += whole;
  payload_size_ = prefix->payload_size;
  payload_filled_ = 0;
  if (payload_size_ > 0) payload_ = std::make_shared_for_overwrite<uint8_t[]>(payload_size_);
  in_payload_ = true;
  return true;
}

void FrameReader::take_payload() {
  size_t part = std::min(end_ - begin_, payload_size_ - payload_filled_);
  if (part == 0) return;
  std::memcpy(payload_.get() + payload_filled_, inbox_.get() + begin_, part);
  payload_filled_ += part;
  begin_ += part;
}

void FrameReader::make_room(size_t wanted) {
  size_t held = end_ - begin_;
  if (wanted > capacity_) {
    size_t capacity = std::max(wanted, 2 * capacity_);
    std::unique_ptr<uint8_t[]> larger(new uint8_t[capacity]);
    std::memcpy(larger.get(), inbox_.get() + begin_, held);
    inbox_ = std::move(larger);
    capacity_ = capacity;
  } else if (begin_ > 0) {
    std::memmove(inbox_.get(), inbox_.get() + begin_, held);
  } else {
    return;
  }
  begin_ = 0;
  end_ = held;
}

}  // namespace shima
