#include "coreserver/journal/journal_recovery.h"

#include <algorithm>
#include <filesystem>

#include "coreserver/journal/journal_scan.h"

namespace shima {
namespace {

constexpr uint64_t kZeroStepBytes = 1ull << 20;

struct FoundSegment {
  SegmentFilePtr file;
  SegmentHeader header;
  SegmentScan scan;
};

class Recovery {
 public:
  Recovery(Disk& disk, const std::string& directory, uint64_t disk_id, const JournalOptions& options,
           JournalIndex& index)
      : disk_(disk), directory_(directory), disk_id_(disk_id), options_(options), index_(index) {}

  Result<RecoveredJournal> run() {
    SHIMA_RETURN_IF_ERROR(find_files());
    SHIMA_RETURN_IF_ERROR(set_prepared_apart());
    SHIMA_RETURN_IF_ERROR(scan_segments());
    load_groups();
    SHIMA_RETURN_IF_ERROR(continue_last_segment());
    return std::move(out_);
  }

 private:
  Status find_files() {
    SHIMA_RETURN_IF_ERROR(disk_.make_directories(directory_));
    auto parent = std::filesystem::path(directory_).lexically_normal().parent_path();
    if (!parent.empty()) SHIMA_RETURN_IF_ERROR(disk_.sync_directory(parent.string()));
    auto names = disk_.list(directory_);
    if (!names) return names.status();
    for (const std::string& name : *names) {
      std::string path = directory_ + "/" + name;
      if (name.ends_with(".shj.new")) SHIMA_RETURN_IF_ERROR(disk_.remove(path));
      if (name.ends_with(".shj.free")) SHIMA_RETURN_IF_ERROR(find_free_file(path));
      if (segment_number(name) != 0) SHIMA_RETURN_IF_ERROR(find_segment(path, segment_number(name)));
    }
    return Status::ok();
  }

  Status find_free_file(const std::string& path) {
    auto file = disk_.open(path, Disk::Mode::kRead);
    if (!file) return file.status();
    auto size = (*file)->size();
    if (!size) return size.status();
    if (*size != options_.segment_bytes) return disk_.remove(path);
    out_.free_files.push_back(path);
    return Status::ok();
  }

  Status find_segment(const std::string& path, uint64_t number) {
    auto file = disk_.open(path, Disk::Mode::kReadWrite);
    if (!file) return file.status();
    auto header = read_segment_header(**file);
    if (!header) return header.status().with_context(path);
    if (header->number != number) {
      return {Code::kCorrupt, path + ": wanted segment " + std::to_string(number) +
                                  " as its name says, found " + std::to_string(header->number) +
                                  "; was the file renamed or copied?"};
    }
    if (header->disk_id != disk_id_) {
      return {Code::kCorrupt, path + ": wanted disk id " + std::to_string(disk_id_) + ", found " +
                                  std::to_string(header->disk_id) + ": this journal belongs to another disk"};
    }
    auto segment = std::make_shared<SegmentFile>();
    segment->number = static_cast<uint32_t>(number);
    segment->bytes = header->bytes;
    segment->path = path;
    segment->file = std::move(*file);
    segments_.push_back({std::move(segment), *header, {}});
    return Status::ok();
  }

  // The newest segments may be prepared and still without an entry: they are no successors to anything. One
  // that a torn first batch has left pieces in goes: behind new entries they would be taken for later ones.
  Status set_prepared_apart() {
    if (!segments_.empty()) out_.next_segment = segments_.back().file->number + 1;
    while (!segments_.empty()) {
      FoundSegment& newest = segments_.back();
      auto scan = scan_segment(*newest.file->file, newest.header, false, {});
      if (!scan) return scan.status().with_context(newest.file->path);
      if (scan->entries > 0) break;
      if (newest.header.bytes == options_.segment_bytes && !scan->torn) {
        out_.ready.push_front(newest.file);
      } else {
        SHIMA_RETURN_IF_ERROR(disk_.remove(newest.file->path));
        SHIMA_RETURN_IF_ERROR(disk_.sync_directory(directory_));  // it must not be back before a later one
      }
      segments_.pop_back();
    }
    return Status::ok();
  }

  Status scan_segments() {
    for (size_t i = 0; i < segments_.size(); ++i) {
      FoundSegment& s = segments_[i];
      uint32_t number = s.file->number;
      bool has_successor = i + 1 < segments_.size();
      std::set<GroupId> controls;
      auto scan = scan_segment(*s.file->file, s.header, has_successor, [&](const ScannedEntry& e) {
        replay_.feed(number, e);
        bool control = e.entry.type != EntryType::kRecord && e.entry.type != EntryType::kSeal;
        if (control) controls.insert(e.control.group);
      });
      if (!scan) return scan.status().with_context(s.file->path);
      s.scan = *scan;
      // Rot at the front may hide the first entries, which keeps older truncations needed.
      bool exact = scan->rot.empty() && scan->first_number != 0;
      index_.add_segment(s.file, exact ? scan->first_number : out_.next_number);
      for (GroupId group : controls) index_.note_control(group, number);
      if (scan->sealed || has_successor) index_.seal_segment(number, scan->end);
      note_rot(s);
      out_.next_number = std::max(out_.next_number, scan->last_number + 1);
    }
    return Status::ok();
  }

  void note_rot(const FoundSegment& s) {
    for (const BadRange& bad : s.scan.rot) {
      if (bad.header_readable) continue;
      rotten_.insert(s.file->number);
      if (!out_.damage.empty()) out_.damage += "; ";
      out_.damage += s.file->path + ": unreadable from byte " + std::to_string(bad.begin) + " to " +
                     std::to_string(bad.end);
    }
  }

  void load_groups() {
    std::map<GroupId, Sequence> unrepaired;
    for (auto& [id, group] : replay_.groups()) {
      std::string cut = cut_before_damage(id, group);
      index_.load(id, group);
      if (group.life == 0) continue;
      RecoveredLog& log = out_.logs[id];
      log.released = group.released;
      log.damaged = !cut.empty() || !out_.damage.empty();
      log.damage = cut.empty() ? out_.damage : cut;
      log.records.reserve(group.records.size());
      for (auto& [sequence, record] : group.records) log.records.push_back(std::move(record.header));
      Sequence last = log.records.empty() ? group.released.next() : log.records.back().position.sequence;
      if (log.damaged) unrepaired[id] = last;
    }
    if (!unrepaired.empty()) index_.hold_damaged(rotten_, std::move(unrepaired));
  }

  // Keeps the records before the first gap or bad payload. Says what is wrong, or nothing.
  std::string cut_before_damage(GroupId id, ReplayedGroup& group) {
    auto it = group.records.begin();
    std::string found;
    for (Sequence wanted = it == group.records.end() ? Sequence(1) : it->first; it != group.records.end();
         ++it) {
      const auto& [sequence, record] = *it;
      if (sequence != wanted) {
        found = "wanted record " + std::to_string(wanted.value) + " of group " + to_string(id) + ", found " +
                std::to_string(sequence.value) + " next";
        break;
      }
      if (!record.payload_ok) {
        rotten_.insert(record.segment);
        found = "the payload of record " + to_string(record.header.position) + " of group " + to_string(id) +
                " in segment " + std::to_string(record.segment) + " at byte " +
                std::to_string(record.offset) + " does not match its checksums";
        break;
      }
      wanted = wanted.next();
    }
    if (found.empty()) return found;
    Sequence after = it == group.records.begin() ? it->first.prev() : std::prev(it)->first;
    group.records.erase(it, group.records.end());
    // Otherwise what lies behind the gap would come back once the gap is filled.
    out_.to_write.push_back({EntryType::kTruncate, id, after, out_.next_number});
    return found;
  }

  // Only the process may have died, with the last batch in the page cache: what is recovered becomes durable
  // here.
  Status continue_last_segment() {
    if (segments_.empty()) return Status::ok();
    FoundSegment& last = segments_.back();
    if (!last.scan.sealed) {
      SHIMA_RETURN_IF_ERROR(zero_rest(last));
      out_.active = last.file;
      out_.active_end = last.scan.end;
    }
    return last.file->file->sync();
  }

  // Bytes behind the last valid entry must never be taken for entries later.
  Status zero_rest(const FoundSegment& segment) {
    std::vector<uint8_t> bytes(kZeroStepBytes);
    const std::vector<uint8_t> zeros(kZeroStepBytes);
    FileHandle& file = *segment.file->file;
    for (uint64_t at = segment.scan.end; at < segment.header.bytes; at += kZeroStepBytes) {
      std::span<uint8_t> step(bytes.data(), std::min(kZeroStepBytes, segment.header.bytes - at));
      SHIMA_RETURN_IF_ERROR(file.read_at(at, step));
      if (std::equal(step.begin(), step.end(), zeros.begin())) continue;
      std::span<const uint8_t> piece(zeros.data(), step.size());
      SHIMA_RETURN_IF_ERROR(file.write_at(at, std::span(&piece, 1)));
    }
    return Status::ok();
  }

  Disk& disk_;
  const std::string directory_;
  const uint64_t disk_id_;
  const JournalOptions& options_;
  JournalIndex& index_;
  std::vector<FoundSegment> segments_;  // ascending
  JournalReplay replay_;
  std::set<uint32_t> rotten_;
  RecoveredJournal out_;
};

}  // namespace

Result<RecoveredJournal> recover_journal(Disk& disk, const std::string& directory, uint64_t disk_id,
                                         const JournalOptions& options, JournalIndex& index) {
  return Recovery(disk, directory, disk_id, options, index).run();
}

}  // namespace shima
