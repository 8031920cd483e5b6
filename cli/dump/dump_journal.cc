#include "cli/dump/dump_journal.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "coreserver/journal/journal_replay.h"
#include "coreserver/journal/journal_scan.h"
#include "coreserver/journal/record_codec.h"

namespace shima {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path;
  std::string group;
  std::string output = "table";
  bool summary_only = false;
};

std::string kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::kNoop:
      return "noop";
    case RecordKind::kWrite:
      return "write";
    case RecordKind::kPunch:
      return "punch";
    case RecordKind::kBatch:
      return "batch";
    case RecordKind::kTruncate:
      return "trunc";
  }
  return "unknown";
}

GroupId group_of(const ScannedEntry& e) {
  return e.entry.type == EntryType::kRecord ? e.record.group : e.control.group;
}

Json entry_json(const ScannedEntry& e) {
  Json j{{"offset", e.offset},
         {"number", e.entry.number},
         {"type", entry_type_name(e.entry.type)},
         {"bytes", e.entry.total_length},
         {"batch_start", e.entry.batch_start}};
  if (e.entry.type == EntryType::kSeal) return j;
  j["group"] = to_string(group_of(e));
  j["life"] = e.entry.life;
  if (e.entry.type != EntryType::kRecord) {
    j["sequence"] = e.control.sequence.value;
    j["before"] = e.control.before;
    return j;
  }
  const RecordHeader& h = e.record;
  j["position"] = to_string(h.position);
  j["kind"] = kind_name(h.kind);
  j["committed"] = h.committed.value;
  j["client"] = h.client.value;
  j["request"] = h.request.value;
  j["inode"] = h.inode.value;
  j["block"] = h.block.value;
  j["block_offset"] = h.offset;
  j["block_length"] = h.length;
  j["fence"] = h.fence;
  j["time_ns"] = h.time_ns;
  j["moved"] = e.entry.moved;
  j["payload_ok"] = e.payload_ok;
  return j;
}

void print_entry(const ScannedEntry& e) {
  std::printf("  %10" PRIu64 " %8u  #%-8" PRIu64 " %-8s", e.offset, e.entry.total_length, e.entry.number,
              std::string(entry_type_name(e.entry.type)).c_str());
  if (e.entry.type == EntryType::kRecord) {
    const RecordHeader& h = e.record;
    std::printf(" %-20s %-12s %-5s inode %" PRIu64 " block %" PRIu64 " [%u, +%u) committed %" PRIu64,
                to_string(h.group).c_str(), to_string(h.position).c_str(), kind_name(h.kind).c_str(),
                h.inode.value, h.block.value, h.offset, h.length, h.committed.value);
    if (h.fence == kRemovedFence) std::printf(" removes");
    if (h.fence != 0 && h.fence != kRemovedFence) std::printf(" fence %" PRIu64, h.fence);
    std::printf("%s%s", e.entry.moved ? " moved" : "", e.payload_ok ? "" : "  BAD PAYLOAD");
  } else if (e.entry.type != EntryType::kSeal) {
    std::printf(" %-20s", to_string(e.control.group).c_str());
    if (e.entry.type == EntryType::kRelease) std::printf(" up to %" PRIu64, e.control.sequence.value);
    if (e.entry.type == EntryType::kTruncate) std::printf(" after %" PRIu64, e.control.sequence.value);
    if (e.control.before != 0) std::printf(" (before #%" PRIu64 ")", e.control.before);
  }
  std::printf("\n");
}

class JournalDump {
 public:
  explicit JournalDump(const Options& options) : options_(options), json_(options.output == "json") {}

  int run() {
    if (Status s = find_segments(); !s) return fail(s);
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (Status s = dump_segment(segments_[i], has_entries_after(i)); !s)
        return fail(s.with_context(segments_[i].path));
    }
    summarize();
    if (json_) std::printf("%s\n", out_.dump(2).c_str());
    return rot_ ? 2 : 0;
  }

 private:
  struct Segment {
    std::string path;
    std::unique_ptr<FileHandle> file;
    SegmentHeader header;
    uint64_t entries = 0;
  };

  static int fail(const Status& status) {
    std::fprintf(stderr, "shima-dump: %s\n", status.to_string().c_str());
    return 1;
  }

  // A server that runs may take files away meanwhile: those are passed over.
  Status find_segments() {
    std::vector<std::string> paths;
    if (std::filesystem::is_directory(options_.path)) {
      auto names = disk_->list(options_.path);
      if (!names) return names.status();
      for (const auto& name : *names) {
        if (segment_number(name) != 0) paths.push_back(options_.path + "/" + name);
      }
      if (paths.empty()) {
        return {Code::kNotFound, options_.path +
                                     ": wanted journal segments (NNNNNNNNNN.shj), found none; give the "
                                     "journal directory of a core server's disk"};
      }
    } else {
      paths.push_back(options_.path);
    }
    for (const auto& path : paths) {
      auto file = disk_->open(path, Disk::Mode::kRead);
      if (!file && file.status().code() == Code::kNotFound && paths.size() > 1) continue;
      if (!file) return file.status();
      auto header = read_segment_header(**file);
      if (!header) return header.status().with_context(path);
      auto scan = scan_segment(**file, *header, false, {});
      if (!scan) return scan.status().with_context(path);
      segments_.push_back({path, std::move(*file), *header, scan->entries});
    }
    return Status::ok();
  }

  bool has_entries_after(size_t i) const {
    return std::any_of(segments_.begin() + static_cast<ptrdiff_t>(i) + 1, segments_.end(),
                       [](const Segment& s) { return s.entries > 0; });
  }

  bool wanted(const ScannedEntry& e) const {
    if (options_.summary_only) return false;
    return options_.group.empty() ||
           (e.entry.type != EntryType::kSeal && to_string(group_of(e)) == options_.group);
  }

  Status dump_segment(const Segment& s, bool has_successor) {
    Json entries = Json::array();
    if (!json_) {
      std::printf("segment %" PRIu64 "  %s  disk %016" PRIx64 "  %" PRIu64 " bytes\n", s.header.number,
                  s.path.c_str(), s.header.disk_id, s.header.bytes);
    }
    auto scan = scan_segment(*s.file, s.header, has_successor, [&](const ScannedEntry& e) {
      replay_.feed(static_cast<uint32_t>(s.header.number), e);
      if (!wanted(e)) return;
      if (json_) {
        entries.push_back(entry_json(e));
      } else {
        print_entry(e);
      }
    });
    if (!scan) return scan.status();
    rot_ = rot_ || !scan->rot.empty();
    const char* state = scan->sealed         ? "sealed"
                        : scan->entries == 0 ? "prepared"
                        : scan->torn         ? "torn tail"
                                             : "open";
    if (!json_) {
      std::printf("  = %" PRIu64 " entries, %" PRIu64 " bytes used, %s\n", scan->entries, scan->end, state);
      for (const BadRange& b : scan->rot)
        std::printf("  ROT from byte %" PRIu64 " to %" PRIu64 "\n", b.begin, b.end);
      return Status::ok();
    }
    Json rot = Json::array();
    for (const BadRange& b : scan->rot) rot.push_back({{"begin", b.begin}, {"end", b.end}});
    out_["segments"].push_back({{"number", s.header.number},
                                {"path", s.path},
                                {"disk_id", s.header.disk_id},
                                {"bytes", s.header.bytes},
                                {"used_bytes", scan->end},
                                {"state", state},
                                {"rot", rot},
                                {"entry_count", scan->entries},
                                {"entries", entries}});
    return Status::ok();
  }

  void summarize() {
    if (!json_) {
      std::printf("\n%-20s %10s %14s %14s %12s %18s\n", "GROUP", "RECORDS", "FIRST", "LAST", "RELEASED",
                  "LIVE PAYLOAD BYTES");
    }
    if (json_) out_["groups"] = Json::array();
    for (const auto& [id, group] : replay_.groups()) {
      if (group.life == 0 || (!options_.group.empty() && to_string(id) != options_.group)) continue;
      uint64_t bytes = 0;
      for (const auto& [sequence, record] : group.records) bytes += payload_bytes(record.header);
      bool empty = group.records.empty();
      std::string first = empty ? "-" : to_string(group.records.begin()->second.header.position);
      std::string last = empty ? "-" : to_string(group.records.rbegin()->second.header.position);
      if (json_) {
        out_["groups"].push_back({{"group", to_string(id)},
                                  {"records", group.records.size()},
                                  {"first", first},
                                  {"last", last},
                                  {"released", group.released.value},
                                  {"live_payload_bytes", bytes}});
      } else {
        std::printf("%-20s %10zu %14s %14s %12" PRIu64 " %18" PRIu64 "\n", to_string(id).c_str(),
                    group.records.size(), first.c_str(), last.c_str(), group.released.value, bytes);
      }
    }
  }

  const Options& options_;
  const bool json_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::vector<Segment> segments_;
  JournalReplay replay_;
  Json out_;
  bool rot_ = false;
};

}  // namespace

void add_journal_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("journal", "Segments and entries of a journal, with a summary of each group");
  command->add_option("path", options->path, "journal directory or one segment file")
      ->required()
      ->check(CLI::ExistingPath);
  command->add_option("--group", options->group, "only this group, as VOLUME/INDEX");
  command->add_option("-o,--output", options->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  command->add_flag("--summary", options->summary_only, "no entries, only segments and groups");
  command->callback([options, &exit_code] { exit_code = JournalDump(*options).run(); });
}

}  // namespace shima
