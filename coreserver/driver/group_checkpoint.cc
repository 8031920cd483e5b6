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

replication::RecoveredGroup recovered_group(const GroupCheckpoint& checkpoint,
                                            std::vector<RecordHeader> records,
                                            const std::string& journal_damage) {
  replication::RecoveredGroup r;
  r.damage = journal_damage;
  r.checkpointed = checkpoint.position.sequence;
  r.history = checkpoint.history;
  r.folded = checkpoint.folded;
  r.resyncing = checkpoint.resyncing;
  r.base = checkpoint.position;
  if (auto window = replication::RequestWindow::load(checkpoint.window); window.is_ok()) {
    r.window = std::move(*window);
  } else if (!checkpoint.window.empty()) {
    r.damage = window.status().message();
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
  r.base = {first.previous_term, first.position.sequence.prev()};
  r.records = std::move(records);
  return r;
}

}  // namespace shima
