// RecordReader: cuts a TCP stream into the records of RFC 5531 section 11 (record marking).
//
// A record is one or more fragments, each behind a mark of four bytes: the highest bit says that it is the
// record's last, the others its size. Each record comes in memory of its own, exactly as large as it is, and
// the larger part of a large one is read straight into it:
//
//   n = readv(fd, {reader.rest_of_fragment(), scratch});
//   reader.filled(what went to the first, record); while (reader.take(rest of scratch, record)) use(record);
//
// Bounds: a record of more than max_record bytes or more than kMaxFragments fragments is an error, known as
// soon as its mark is. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "common/status/status.h"
#include "common/types/buffer.h"

namespace shima {

class RecordReader {
 public:
  static constexpr uint32_t kMaxFragments = 1024;

  explicit RecordReader(size_t max_record) : max_record_(max_record) {}

  // Where the next bytes of the stream belong; empty between fragments.
  std::span<uint8_t> rest_of_fragment() { return {record_.get() + size_, fragment_left_}; }
  // `size` bytes were written to rest_of_fragment(). True: `record` is complete.
  bool filled(size_t size, Buffer& record);

  // Takes bytes off the front of `bytes`. True: `record` is complete, and there may be more in `bytes`.
  // False: all were taken. kCorrupt: the stream is not ours; nothing more can be read from it.
  Result<bool> take(std::span<const uint8_t>& bytes, Buffer& record);

  size_t held_bytes() const { return capacity_; }  // memory of a record that is not complete yet

 private:
  Status begin_fragment();  // from mark_
  void make_room(size_t size);
  bool finish(Buffer& record);

  const size_t max_record_;
  uint8_t mark_[4] = {};
  size_t mark_filled_ = 0;  // 4: in a fragment
  bool last_ = false;
  uint32_t fragments_ = 0;  // of this record
  std::shared_ptr<uint8_t[]> record_;
  size_t capacity_ = 0, size_ = 0, fragment_left_ = 0;
};

}  // namespace shima
