// Lays out one batch of entries for one gathering write: headers and bodies in a string, payloads where they
// are.
//
// Threads: one. Invariant: pieces() holds exactly size() bytes; after finish() the batch ends at a multiple
// of kBatchAlignment.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coreserver/journal/segment_format.h"

namespace shima {

class BatchBuilder {
 public:
  // The batch goes to `start` of the segment; its entries are numbered from `first_number`.
  BatchBuilder(uint64_t disk_id, uint64_t segment, uint64_t start, uint64_t first_number)
      : place_{disk_id, segment, start}, start_(start), next_number_(first_number) {}

  struct Added {
    uint32_t offset = 0;  // in the segment
    uint32_t length = 0;  // without the padding that finish() may add
    uint64_t number = 0;
  };

  // Size of the batch on disk with one more entry of these sizes.
  uint64_t size_with(size_t body, size_t payload) const {
    return padded(size_ + round_up(kEntryHeaderBytes + body + payload, kEntryAlignment));
  }
  // The payload's bytes must stay where they are until the batch is written.
  Added add(EntryType type, bool moved, uint64_t life, std::span<const uint8_t> body,
            std::span<const uint8_t> payload);
  uint64_t next_number() const { return next_number_; }
  bool empty() const { return size_ == 0; }
  uint64_t size() const { return size_; }

  // Pads the last entry to the batch alignment. Nothing may be added afterwards.
  void finish();
  std::vector<std::span<const uint8_t>> pieces() const;

 private:
  struct Piece {
    size_t meta_begin = 0;  // in meta_, where `payload` is empty
    size_t meta_end = 0;
    std::span<const uint8_t> payload;
  };
  // Up to the next place where a batch may begin. `start_` itself need not be one: after a torn tail.
  uint64_t padded(uint64_t size) const { return round_up(start_ + size, kBatchAlignment) - start_; }
  void add_meta(std::span<const uint8_t> bytes);
  void add_padding(size_t bytes);

  EntryPlace place_;  // of the next entry
  const uint64_t start_;
  uint64_t next_number_;
  uint64_t size_ = 0;
  std::string meta_;
  std::vector<Piece> pieces_;
  EntryHeader last_;
  EntryPlace last_place_;
  size_t last_meta_ = 0;  // where the last entry's header lies in meta_
};

}  // namespace shima
