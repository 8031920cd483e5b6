#include "coreserver/driver/group_checkpoint.h"

#include <cstring>

#include "common/types/byte_order.h"

namespace shima {

namespace {
constexpr char kMagic[4] = {'S', 'H', 'M', 'C'};
constexpr uint8_t kVersion = 1;
constexpr uint64_t kResyncing = 1, kMetadata = 2;  // flags

void put(std::string& out, const std::string& s) {
  append_little_endian<uint64_t>(out, s.size());
  out += s;
}

struct Reader {
  std::string_view in;
  bool good = true;
  uint64_t number() {
    uint64_t v = 0;
    if (good) good = take_little_endian(in, v);
    return good ? v : 0;
  }
  std::string text() {
    uint64_t size = number();
    if (!good || in.size() < size) return good = false, "";
    std::string s(in.substr(0, size));
    in.remove_prefix(size);
    return s;
  }
};
}  // namespace

std::string encode_checkpoint(const GroupCheckpoint& c) {
  std::string out(kMagic, sizeof kMagic);
  out.push_back(static_cast<char>(kVersion));
  put(out, c.volume);
  append_little_endian<uint64_t>(out, c.block_size);
  append_little_endian<uint64_t>(out, c.position.term.value);
  append_little_endian<uint64_t>(out, c.position.sequence.value);
  append_little_endian<uint64_t>(out, c.folded.value);
  append_little_endian<uint64_t>(out, (c.resyncing ? kResyncing : 0) | (c.metadata ? kMetadata : 0));
  put(out, c.window);
  append_little_endian<uint64_t>(out, c.history.size());
  for (const replication::TermStart& t : c.history) {
    append_little_endian<uint64_t>(out, t.term.value);
    append_little_endian<uint64_t>(out, t.first.value);
  }
  return out;
}

Result<GroupCheckpoint> decode_checkpoint(const std::string& bytes) {
  if (bytes.size() < 5 || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    return Status(Code::kCorrupt, "a group's checkpoint has a wrong magic: wanted SHMC");
  }
  if (static_cast<uint8_t>(bytes[4]) != kVersion) {
    return Status(Code::kCorrupt,
                  "a group's checkpoint has version " + std::to_string(bytes[4]) +
                      "; this program reads version 1: run the program that wrote it, or a newer one");
  }
  Reader in{std::string_view(bytes).substr(5)};
  GroupCheckpoint c;
  c.volume = in.text();
  c.block_size = static_cast<uint32_t>(in.number());
  c.position.term = Term(in.number());
  c.position.sequence = Sequence(in.number());
  c.folded = Sequence(in.number());
  uint64_t flags = in.number();
  c.resyncing = flags & kResyncing;
  c.metadata = flags & kMetadata;
  c.window = in.text();
  uint64_t terms = in.number();
  for (uint64_t i = 0; i < terms && in.good; i++) {
    Term term(in.number());
    c.history.push_back({term, Sequence(in.number())});
  }
  if (!in.good || !in.in.empty())
    return Status(Code::kCorrupt, "a group's checkpoint is cut short or too long");
  return c;
}

Status check_identity(const GroupCheckpoint& found, const VolumeInfo& volume, const GroupInfo& group) {
  if (found.volume == volume.name && found.block_size == volume.block_size &&
      found.metadata == group.metadata)
    return Status::ok();
  const auto told = [](const std::string& name, uint32_t block_size, bool metadata) {
    return std::string(metadata ? "the metadata" : "data") + " of volume " + name + " (blocks of " +
           std::to_string(block_size >> 10) + " KiB)";
  };
  return {Code::kFailedPrecondition,
          "found " + told(found.volume, found.block_size, found.metadata) + " under id " +
              to_string(GroupId{volume.id, group.index}) + ", wanted " +
              told(volume.name, volume.block_size, group.metadata) +
              ": etcd was set back, and has given the id again. What was found is left alone and not served; "
              "make the new volume anew, under another id"};
}

Term newest_term(const replication::RecoveredGroup& recovered) {
  Term newest = recovered.base.term;
  if (!recovered.history.empty()) newest = std::max(newest, recovered.history.back().term);
  if (!recovered.records.empty()) newest = std::max(newest, recovered.records.back().position.term);
  return newest;
}

namespace {
// What is wrong with the order of terms, in words; empty if nothing is.
std::string fallen_term(const std::vector<replication::TermStart>& history,
                        const std::vector<RecordHeader>& records) {
  Position before;
  for (const replication::TermStart& start : history) {
    if (start.first < records.front().position.sequence && start.term > before.term)
      before = {start.term, start.first};
  }
  for (const RecordHeader& record : records) {
    if (record.position.term < before.term) {
      return "the journal has record " + to_string(record.position) + " behind " + to_string(before) +
             ", but terms of a log never fall: one of the two is of another log";
    }
    before = record.position;
  }
  return "";
}
}  // namespace

replication::RecoveredGroup recovered_group(const GroupCheckpoint& checkpoint,
                                            std::vector<RecordHeader> records,
                                            const std::string& journal_damage, Sequence released) {
  replication::RecoveredGroup r;
  r.damage = journal_damage;
  r.checkpointed = checkpoint.position.sequence;
  r.history = checkpoint.history;
  r.folded = checkpoint.folded;
  r.resyncing = checkpoint.resyncing;
  r.base = checkpoint.position;
  if (checkpoint.resyncing) {  // what the journal still has, or has lost, is from before: it is forgotten
    r.damage.clear();
    return r;
  }
  if (auto window = replication::RequestWindow::load(checkpoint.window); window.is_ok()) {
    r.window = std::move(*window);
  } else if (!checkpoint.window.empty()) {
    r.damage = window.status().message();
  }
  if (released > checkpoint.position.sequence) {
    r.damage = "the journal gave back the records up to " + std::to_string(released.value) +
               ", which it does only when blocks hold them for good, but blocks end at " +
               to_string(checkpoint.position) + ": the index has lost its newest writes";
    return r;
  }
  // Left over from before a resync or a trim: all of it lies at or before the checkpoint and ends there or
  // earlier.
  if (!records.empty() && records.back().position.sequence < checkpoint.position.sequence) records.clear();
  if (records.empty()) return r;
  const RecordHeader& first = records.front();
  if (first.position.sequence.value > checkpoint.position.sequence.value + 1) {
    r.damage = "the journal begins at " + to_string(first.position) + " but blocks end at " +
               to_string(checkpoint.position) + ": records between them are lost";
    return r;
  }
  if (std::string fallen = fallen_term(checkpoint.history, records); !fallen.empty()) {
    r.damage = std::move(fallen);
    return r;
  }
  r.base = {first.previous_term, first.position.sequence.prev()};
  r.records = std::move(records);
  return r;
}

}  // namespace shima
