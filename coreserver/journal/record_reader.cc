#include "coreserver/journal/record_reader.h"

#include "coreserver/journal/journal_scan.h"

namespace shima {
namespace {

constexpr uint64_t kMaxRunBytes = 4ull << 20;  // one read

// How many of `locations` from `begin` on lie side by side (but for a batch's padding) and can be read at
// once.
size_t run_end(const std::vector<Location>& locations, size_t begin) {
  const Location& head = locations[begin];
  size_t end = begin + 1;
  for (; end < locations.size(); ++end) {
    const Location& before = locations[end - 1];
    const Location& next = locations[end];
    uint64_t stop = uint64_t{before.offset} + before.length;
    if (next.segment != head.segment || next.offset < stop || next.offset - stop >= kBatchAlignment) break;
    if (next.offset + next.length - head.offset > kMaxRunBytes) break;
  }
  return end;
}

}  // namespace

Result<std::vector<RecordPtr>> read_records(const JournalIndex& index, uint64_t disk_id, GroupId group,
                                            Sequence first, const std::vector<Location>& locations) {
  std::vector<RecordPtr> out;
  out.reserve(locations.size());
  for (size_t begin = 0; begin < locations.size();) {
    size_t end = run_end(locations, begin);
    const Location head = locations[begin];
    SegmentFilePtr file = index.file(head.segment);
    if (!file) return Status(Code::kCorrupt, "the segment was recycled while it was read");
    uint64_t bytes = locations[end - 1].offset + locations[end - 1].length - head.offset;
    Status status;
    Buffer run = Buffer::make(bytes, [&](uint8_t* to) {
      status = file->file->read_at(head.offset, {to, bytes});
    });
    SHIMA_RETURN_IF_ERROR(status);
    for (; begin < end; ++begin) {
      const Location& l = locations[begin];
      ScannedEntry e;
      bool good = parse_entry(run.span().subspan(l.offset - head.offset, l.length),
                              {disk_id, l.segment, l.offset}, e);
      Sequence wanted(first.value + out.size());
      good = good && e.payload_ok && e.entry.type == EntryType::kRecord && e.record.group == group &&
             e.record.position.sequence == wanted;
      if (!good) {
        return Status(Code::kCorrupt, file->path + ": wanted record " + std::to_string(wanted.value) +
                                          " of group " + to_string(group) + " at byte " +
                                          std::to_string(l.offset) +
                                          ", found damaged bytes; this member needs repair from another");
      }
      Buffer payload;
      if (!e.payload.empty())
        payload = run.slice(static_cast<size_t>(e.payload.data() - run.data()), e.payload.size());
      out.push_back(std::make_shared<const Record>(Record{std::move(e.record), std::move(payload)}));
    }
  }
  return out;
}

}  // namespace shima
