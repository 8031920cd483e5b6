// DataFiles: the files of slots under blocks/, and which slots are free.
//
// data-NNNN.shb: a header page of 4096 bytes (magic "SHIMABLK", format version, number, disk id, slot size,
// slots, crc32c; little-endian), then `slots` slots of `slot size` bytes. All slots of a file have one size.
// Slots are sparse: a chunk that the index does not call present may hold anything and is never read.
//
// Reuse: a slot that is freed is quarantined; only checkpoint(), after it has made the freeing durable, takes
// what was quarantined before and gives it back for reuse. So an index that a crash sets back never names a
// slot of another block. Threads: all methods from any thread; open, claim and finish_claims before all
// others.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "common/runtime/disk.h"
#include "common/status/status.h"
#include "coreserver/blocks/index_entry.h"

namespace shima {

inline constexpr uint32_t kDataFileHeaderBytes = 4096;

struct DataFileHeader {
  uint32_t number = 0;
  uint64_t disk_id = 0;
  uint32_t slot_size = 0;  // bytes
  uint32_t slots = 0;
  bool operator==(const DataFileHeader&) const = default;
};

std::string encode_data_file_header(const DataFileHeader& header);  // one page
Result<DataFileHeader> decode_data_file_header(std::string_view page);

std::string data_file_name(uint32_t number);  // "data-0007.shb"
bool parse_data_file_name(const std::string& name, uint32_t& number);

class DataFiles {
 public:
  // Opens all files there are. A file with a wrong header or of another disk is kCorrupt.
  static Result<std::unique_ptr<DataFiles>> open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                                 uint64_t slots_per_file);
  // For looking only: changes nothing, so it may be used beside a running server. Only read() is allowed
  // then.
  static Result<std::unique_ptr<DataFiles>> open_to_look(Disk& disk, const std::string& directory,
                                                         uint64_t disk_id);

  // Opening: the index names this slot. kCorrupt if there is none of that size, or it was claimed before.
  Status claim(SlotId slot, uint32_t block_size);
  void finish_claims();  // whatever was not claimed is free

  // A free slot; makes another file when there is none. kNoSpace when the disk is full.
  Result<SlotId> allocate(uint32_t slot_size);
  // A slot from allocate() that no index entry was ever written for: may be used again at once.
  void give_back_unused(SlotId slot);
  void quarantine(SlotId slot);
  std::vector<SlotId> take_quarantined();
  void release(
      const std::vector<SlotId>& slots);  // gives their space back to the file system, and them for reuse

  // `offset` is in bytes from the start of the slot.
  Status write(SlotId slot, uint32_t offset, std::span<const std::span<const uint8_t>> pieces);
  Status read(SlotId slot, uint32_t offset, std::span<uint8_t> out) const;
  // Gives space back; failing only leaves it used until the slot is free, so there is nothing to report.
  void punch(SlotId slot, uint32_t offset, uint32_t length);
  // Makes durable all writes that returned before. Ends the process when that fails (R22).
  void sync_dirty();

  bool has(SlotId slot, uint32_t block_size) const;
  uint64_t slot_count() const;
  uint64_t free_slot_count() const;  // quarantined ones included
  bool empty() const;

 private:
  struct File {
    DataFileHeader header;
    std::unique_ptr<FileHandle> handle;
    std::atomic<bool> dirty{true};  // at first: a process before this one may have left unsynced writes
    std::vector<bool> claimed;      // only while opening
  };

  DataFiles(Disk& disk, std::string directory, uint64_t disk_id, uint64_t slots_per_file)
      : disk_(disk), directory_(std::move(directory)), disk_id_(disk_id), slots_per_file_(slots_per_file) {}
  Status open_file(uint32_t number, Disk::Mode mode);
  Status make_file(uint32_t slot_size);
  File* find(SlotId slot) const;
  static uint64_t position(const File& file, SlotId slot, uint32_t offset) {
    return kDataFileHeaderBytes + uint64_t{slot.number} * file.header.slot_size + offset;
  }

  Disk& disk_;
  const std::string directory_;
  const uint64_t disk_id_;
  const uint64_t slots_per_file_;

  mutable std::shared_mutex files_mutex_;  // files_; a File lives as long as this
  std::map<uint32_t, std::unique_ptr<File>> files_;

  mutable std::mutex slots_mutex_;                // taken before files_mutex_
  std::map<uint32_t, std::vector<SlotId>> free_;  // by slot size; the last is used next
  std::vector<SlotId> quarantined_;
};

}  // namespace shima
