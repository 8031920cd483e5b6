#include "coreserver/journal/journal_scan.h"

#include <algorithm>

#include "common/types/crc32c.h"
#include "coreserver/journal/record_codec.h"

namespace shima {
namespace {

constexpr uint64_t kWindowBytes = 8ull << 20;  // more than the largest entry

// A part of the file in memory, loaded where it is asked for.
class Window {
 public:
  Window(const FileHandle& file, uint64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}

  // The bytes at [offset, offset + length), cut off at the end of the file. Empty after a read error, see
  // status().
  std::span<const uint8_t> at(uint64_t offset, uint64_t length) {
    if (offset >= file_bytes_) return {};
    length = std::min(length, file_bytes_ - offset);
    if (offset < begin_ || offset + length > begin_ + bytes_.size()) {
      begin_ = offset;
      bytes_.resize(std::min(std::max(length, kWindowBytes), file_bytes_ - offset));
      if (Status s = file_.read_at(begin_, bytes_); !s) {
        status_ = s;
        bytes_.clear();
        return {};
      }
    }
    return std::span<const uint8_t>(bytes_).subspan(offset - begin_, length);
  }
  const Status& status() const { return status_; }

 private:
  const FileHandle& file_;
  const uint64_t file_bytes_;
  uint64_t begin_ = 0;
  std::vector<uint8_t> bytes_;
  Status status_;
};

class SegmentScanner {
 public:
  SegmentScanner(const FileHandle& file, const SegmentHeader& header, bool has_successor,
                 const std::function<void(const ScannedEntry&)>& visit)
      : window_(file, header.bytes), header_(header), has_successor_(has_successor), visit_(visit) {}

  Result<SegmentScan> run() {
    uint64_t at = kSegmentHeaderBytes;
    scan_.end = at;
    while (!scan_.sealed && at + kEntryHeaderBytes <= header_.bytes) {
      ScannedEntry e;
      if (!valid_header(at, e)) {
        if (!skip_rot(at)) break;
        continue;
      }
      if (!e.payload_ok) {
        uint64_t next = at + e.entry.total_length;
        if (!has_successor_ && !resume_point(next, at)) break;
        scan_.rot.push_back({at, next, true});
      }
      take(e);
      at = scan_.end;
    }
    if (!window_.status()) return window_.status();
    finish_tail();
    return std::move(scan_);
  }

 private:
  bool valid_header(uint64_t at, ScannedEntry& e) {
    EntryPlace place{header_.disk_id, header_.number, at};
    auto head = window_.at(at, kEntryHeaderBytes);
    if (head.size() < kEntryHeaderBytes || !parse_entry_header(head, place, e.entry)) return false;
    if (at + e.entry.total_length > header_.bytes || e.entry.number <= scan_.last_number) return false;
    return parse_entry(window_.at(at, e.entry.total_length), place, e);
  }

  void take(const ScannedEntry& e) {
    if (visit_) visit_(e);
    ++scan_.entries;
    if (scan_.first_number == 0) scan_.first_number = e.entry.number;
    scan_.last_number = e.entry.number;
    scan_.end = e.offset + e.entry.total_length;
    scan_.sealed = e.entry.type == EntryType::kSeal;
  }

  // Where valid entries go on at or after `from`, if what lies at `bad` was durable once; else 0.
  uint64_t resume_point(uint64_t from, uint64_t bad) {
    uint64_t first_valid = 0;
    for (uint64_t at = round_up(from, kEntryAlignment); at + kEntryHeaderBytes <= header_.bytes;) {
      ScannedEntry e;
      if (!valid_header(at, e)) {
        at += kEntryAlignment;
        continue;
      }
      if (first_valid == 0) first_valid = at;
      if (has_successor_ || e.entry.batch_start > bad) return first_valid;
      at += e.entry.total_length;
    }
    scan_.torn = scan_.torn || first_valid != 0;
    return 0;
  }

  bool skip_rot(uint64_t& at) {
    uint64_t next = resume_point(at + kEntryAlignment, at);
    if (next == 0) return false;
    scan_.rot.push_back({at, next, false});
    at = next;
    return true;
  }

  // Says what the bytes after the last valid entry are. Stale entries of an earlier life of the file are
  // nothing.
  void finish_tail() {
    if (scan_.sealed) return;
    if (has_successor_) {
      scan_.rot.push_back({scan_.end, header_.bytes, false});
      return;
    }
    auto head = window_.at(scan_.end, kEntryHeaderBytes);
    EntryHeader e;
    scan_.torn = scan_.torn || (head.size() == kEntryHeaderBytes &&
                                parse_entry_header(head, {header_.disk_id, header_.number, scan_.end}, e) &&
                                e.number > scan_.last_number);
  }

  Window window_;
  const SegmentHeader header_;
  const bool has_successor_;
  const std::function<void(const ScannedEntry&)>& visit_;
  SegmentScan scan_;
};

}  // namespace

Result<SegmentHeader> read_segment_header(const FileHandle& file) {
  auto size = file.size();
  if (!size) return size.status();
  if (*size < kSegmentHeaderBytes) {
    return Status(Code::kCorrupt,
                  "the file has " + std::to_string(*size) + " bytes: too short for a journal segment");
  }
  std::vector<uint8_t> bytes(kSegmentHeaderBytes);
  SHIMA_RETURN_IF_ERROR(file.read_at(0, bytes));
  SegmentHeader header;
  SHIMA_RETURN_IF_ERROR(decode_segment_header(bytes, header));
  if (header.bytes != *size) {
    return Status(Code::kCorrupt, "wanted a segment of " + std::to_string(header.bytes) +
                                      " bytes as its header says, "
                                      "found " +
                                      std::to_string(*size));
  }
  return header;
}

bool parse_entry(std::span<const uint8_t> bytes, const EntryPlace& place, ScannedEntry& out) {
  if (bytes.size() < kEntryHeaderBytes || !parse_entry_header(bytes, place, out.entry)) return false;
  if (bytes.size() < kEntryHeaderBytes + out.entry.body_length + out.entry.payload_length) return false;
  if (!entry_crc_matches(bytes, place, out.entry)) return false;
  out.offset = place.offset;
  auto body = bytes.subspan(kEntryHeaderBytes, out.entry.body_length);
  out.payload = bytes.subspan(kEntryHeaderBytes + out.entry.body_length, out.entry.payload_length);
  switch (out.entry.type) {
    case EntryType::kRecord:
      if (!decode_record_header(body, out.record)) return false;
      if (payload_bytes(out.record) != out.payload.size()) return false;
      out.payload_ok = chunks_match(out.payload, out.record.checksums);
      return true;
    case EntryType::kSeal:
      return true;
    default:
      return decode_control(out.entry.type, body, out.control);
  }
}

Result<SegmentScan> scan_segment(const FileHandle& file, const SegmentHeader& header, bool has_successor,
                                 const std::function<void(const ScannedEntry&)>& visit) {
  return SegmentScanner(file, header, has_successor, visit).run();
}

}  // namespace shima
