// FrameReader: cuts the bytes that arrive on a stream into frames. No socket, no thread: bytes in, frames
// out.
//
// Small frames lie together in an inbox of 64 KiB, filled by one read; of a large payload only what came into
// the inbox by chance is copied: the rest is read straight into the payload's own memory.
//
//   for (;;) { n = readv(reader.space()); reader.filled(n); while (reader.next(frame) is true) use(frame); }
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "common/status/status.h"
#include "common/transport/frame.h"

namespace shima {

class FrameReader {
 public:
  FrameReader();

  // Where the next bytes of the stream belong: first the rest of a payload (may be empty), then the inbox.
  // Valid until filled() or next().
  std::array<std::span<uint8_t>, 2> space();
  // `size` bytes were written to space(), front to back.
  void filled(size_t size);

  // True: `frame` is the next one. False: more bytes are needed. kCorrupt: the stream is not ours, or broken;
  // nothing more can be read from it.
  Result<bool> next(Frame& frame);

 private:
  void make_room(size_t wanted);  // the inbox can then hold `wanted` bytes from begin_
  Result<bool> take_header();     // true: current_ has its header, and its payload's memory
  void take_payload();            // moves what the inbox has of it

  std::unique_ptr<uint8_t[]> inbox_;
  size_t capacity_;
  size_t begin_ = 0, end_ = 0;  // bytes of the inbox that are not taken yet

  bool in_payload_ = false;
  Frame current_;
  std::shared_ptr<uint8_t[]> payload_;
  size_t payload_size_ = 0, payload_filled_ = 0;
};

}  // namespace shima
