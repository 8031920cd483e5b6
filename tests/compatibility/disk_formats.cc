#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "coreserver/blocks/data_files.h"
#include "coreserver/blocks/index_entry.h"
#include "coreserver/blocks/index_format.h"
#include "coreserver/blocks/inode_states.h"
#include "coreserver/driver/group_checkpoint.h"
#include "coreserver/driver/server_disk.h"
#include "coreserver/jobs/kv_view.h"
#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/stored_inode.h"
#include "coreserver/jobs/stored_session.h"
#include "coreserver/journal/segment_format.h"
#include "coreserver/replication/request_window.h"
#include "tests/compatibility/format_samples.h"

namespace shima {
namespace {

std::span<const uint8_t> span_of(const std::string& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

Status unreadable(const std::string& what) { return {Code::kCorrupt, what + " cannot be read"}; }

std::string superblock() {
  const Buffer bytes = superblock_bytes(0xd15c, "site-a/core-0");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status reads_superblock(const std::string& bytes) {
  std::string folder = std::filesystem::temp_directory_path() / "shima-format-XXXXXX";
  if (!mkdtemp(folder.data()))
    return {Code::kInternal, "cannot make a folder in the folder of temporary files"};
  std::ofstream(folder + "/superblock", std::ios::binary) << bytes;
  ServerOptions options;
  options.name = "site-a/core-0";
  const Result<uint64_t> id = ServerDisk::probe(folder, options);
  std::filesystem::remove_all(folder);
  return id ? as_meant(*id == 0xd15c, "a superblock") : id.status();
}

// ---- journal

constexpr EntryPlace kPlace{.disk_id = 0xd15c, .segment = 42, .offset = 8192};

Control sample_control() { return {EntryType::kTruncate, {VolumeId(11), GroupIndex(3)}, Sequence(900), 17}; }

std::string segment_header() {
  return encode_segment_header({.number = 42, .disk_id = 0xd15c, .bytes = 64u << 20});
}

Status reads_segment_header(const std::string& bytes) {
  SegmentHeader found;
  SHIMA_RETURN_IF_ERROR(decode_segment_header(span_of(bytes), found));
  return as_meant(found.number == 42 && found.disk_id == 0xd15c && found.bytes == 64u << 20,
                  "a segment's header");
}

std::string entry() {
  const std::string body = encode_control(sample_control());
  EntryHeader header{.type = EntryType::kTruncate, .moved = true, .number = 7, .batch_start = 4096};
  header.total_length = static_cast<uint32_t>(round_up(kEntryHeaderBytes + body.size(), kEntryAlignment));
  header.body_length = static_cast<uint32_t>(body.size());
  header.life = 5;
  return encode_entry_header(header, kPlace, span_of(body)) + body;
}

Status reads_entry(const std::string& bytes) {
  EntryHeader h;
  Control c;
  const auto span = span_of(bytes);
  if (bytes.size() < kEntryHeaderBytes || !parse_entry_header(span.first(kEntryHeaderBytes), kPlace, h) ||
      !entry_crc_matches(span, kPlace, h) || !decode_control(h.type, span.subspan(kEntryHeaderBytes), c)) {
    return unreadable("a journal's entry");
  }
  const Control meant = sample_control();
  return as_meant(h.type == EntryType::kTruncate && h.moved && h.number == 7 && h.life == 5 &&
                      h.batch_start == 4096 && c.group == meant.group && c.sequence == meant.sequence &&
                      c.before == meant.before,
                  "a journal's entry");
}

// ---- blocks and index

IndexEntry sample_index_entry() {
  IndexEntry entry = IndexEntry::all_holes(64 << 10);
  entry.slot = {7, 9};
  entry.version = {Term(5), Sequence(900)};
  entry.set_present(0, 0x11111111);
  entry.set_present(15, 0x22222222);
  return entry;
}

DataFileHeader sample_data_file() {
  return {.number = 7, .disk_id = 0xd15c, .slot_size = 1 << 20, .slots = 64};
}

InodeState sample_inode_state() {
  return {.fence = 2,
          .mtime_ns = 1'700'000'000'000'000'001,
          .changes = 5,
          .used_bytes = 8192,
          .truncated_fence = 1,
          .truncated_at = Sequence(800),
          .newest = Sequence(900)};
}

replication::RequestWindow sample_window() {
  replication::RequestWindow window;
  RecordHeader record;
  record.client = ClientId(0xc11e47);
  record.kind = RecordKind::kPunch;
  for (const uint64_t request : {70, 71, 77}) {
    record.request = RequestId(request);
    record.settled_below = RequestId(70);
    record.position = {Term(5), Sequence(800 + request)};
    window.executed(record);
  }
  return window;
}

std::string window() { return sample_window().save(Sequence(900)); }

Status reads_window(const std::string& bytes) {
  const auto found = replication::RequestWindow::load(bytes);
  return found ? as_meant(*found == sample_window(), "a request window") : found.status();
}

GroupCheckpoint sample_checkpoint() {
  GroupCheckpoint c;
  c.volume = "db";
  c.block_size = 1 << 20;
  c.position = {Term(5), Sequence(900)};
  c.history = {{Term(1), Sequence(1)}, {Term(5), Sequence(700)}};
  c.window = window();
  c.folded = Sequence(650);
  c.resyncing = true;
  c.metadata = true;
  return c;
}

Status reads_checkpoint(const std::string& bytes) {
  const auto c = decode_checkpoint(bytes);
  if (!c) return c.status();
  const GroupCheckpoint meant = sample_checkpoint();
  return as_meant(c->volume == meant.volume && c->block_size == meant.block_size &&
                      c->position == meant.position && c->history.size() == 2 &&
                      c->history[1].first == Sequence(700) && c->window == meant.window &&
                      c->folded == meant.folded && c->resyncing && c->metadata,
                  "a checkpoint");
}

// ---- metadata

KvBatch sample_batch() { return {{"i\1", "value"}, {"gone", std::nullopt}}; }

StoredInode sample_inode() {
  StoredInode inode = initial_root();
  inode.attributes.set_mode(0750);
  inode.attributes.set_uid(107);
  inode.next_cookie = 9;
  inode.entries = 4;
  inode.has_verifier = true;
  inode.verifier = 0x1234;
  inode.xattr_name_bytes = 10;
  inode.xattr_bytes = 30;
  inode.mtime_was_set = true;
  inode.update_directory_size();
  return inode;
}

// What is not told by the decoded members shows when they are written again.
Status reads_inode(const std::string& bytes) {
  const auto found = decode_inode(sample_inode().attributes.inode(), bytes);
  if (!found) return unreadable("an inode");
  return as_meant(encode_inode(*found) == encode_inode(sample_inode()), "an inode");
}

StoredEntry sample_entry() { return {12, metadata::v1::FILE_TYPE_REGULAR, 9}; }

Status reads_directory_entry(const std::string& bytes) {
  const auto found = decode_entry(bytes);
  if (!found) return unreadable("a directory's entry");
  return as_meant(found->inode == 12 && found->type == metadata::v1::FILE_TYPE_REGULAR && found->cookie == 9,
                  "a directory's entry");
}

Status reads_cookie_entry(const std::string& bytes) {
  std::string name;
  const auto found = decode_cookie_entry(9, bytes, name);
  if (!found) return unreadable("a directory's entry by cookie");
  return as_meant(found->inode == 12 && name == "disk.img", "a directory's entry by cookie");
}

Counters sample_counters() { return {.next_inode = 20, .inodes = 8, .orphans_so_far = 3}; }

Status reads_session(const std::string& bytes, uint64_t publication) {
  const auto found = decode_session(bytes);
  if (!found) return unreadable("a session");
  return as_meant(found->orphans_at_opening == 3 && found->closing && found->publication == publication &&
                      found->name == "site-a/access-0",
                  "a session");
}

LockTable sample_locks() {
  LockTable table;
  Lock lock{.kind = metadata::v1::LOCK_KIND_POSIX,
            .type = metadata::v1::LOCK_TYPE_WRITE,
            .start = 0,
            .end = 99,
            .session = 5,
            .owner = 6,
            .pid = 7};
  table.set(lock);
  lock.start = 200;
  lock.end = kLastByte;
  lock.type = metadata::v1::LOCK_TYPE_READ;
  table.set(lock);
  return table;
}

Status reads_locks(const std::string& bytes) {
  const auto found = LockTable::decode(bytes);
  return found ? as_meant(found->encode() == sample_locks().encode(), "a lock table")
               : unreadable("a lock table");
}

template <typename T>
Status same(const std::optional<T>& found, const T& meant, const std::string& what) {
  return found ? as_meant(*found == meant, what) : unreadable(what);
}
template <typename T>
Status same(const Result<T>& found, const T& meant, const std::string& what) {
  return found ? as_meant(*found == meant, what) : found.status();
}

std::vector<FormatSample> metadata_formats() {
  return {
      {"metadata-batch", false, [] { return encode_kv_batch(sample_batch()); },
       [](const std::string& b) { return same(decode_kv_batch(b), sample_batch(), "a batch"); }},
      {"metadata-inode", false, [] { return encode_inode(sample_inode()); }, reads_inode},
      {"metadata-entry", false, [] { return encode_entry(sample_entry()); }, reads_directory_entry},
      {"metadata-cookie-entry", false, [] { return encode_cookie_entry(sample_entry(), "disk.img"); },
       reads_cookie_entry},
      {"metadata-symlink", false, [] { return encode_symlink("../target"); },
       [](const std::string& b) {
         return same(decode_symlink(b), std::string("../target"), "a symbolic link");
       }},
      {"metadata-counters", false, [] { return encode_counters(sample_counters()); },
       [](const std::string& b) { return same(decode_counters(b), sample_counters(), "counters"); }},
      {"metadata-session", false,
       [] {
         return encode_session({3, true, 0, 0, "site-a/access-0"});
       },
       [](const std::string& b) { return reads_session(b, 0); }},
      {"metadata-bound-session", false,
       [] {
         return encode_session({3, true, 4, 8, "site-a/access-0"});
       },
       [](const std::string& b) { return reads_session(b, 4); }},
      {"metadata-locks", false, [] { return sample_locks().encode(); }, reads_locks},
  };
}

}  // namespace

std::vector<FormatSample> disk_formats() {
  std::vector<FormatSample> all = {
      {"superblock", false, superblock, reads_superblock},
      {"journal-segment-header", false, segment_header, reads_segment_header},
      {"journal-entry", false, entry, reads_entry},
      {"data-file-header", false, [] { return encode_data_file_header(sample_data_file()); },
       [](const std::string& b) {
         return same(decode_data_file_header(b), sample_data_file(), "a data file's header");
       }},
      {"index-version", false, encode_index_format,
       [](const std::string& b) {
         return same(decode_index_format(b), kIndexFormatVersion, "an index's version");
       }},
      {"index-entry", false, [] { return encode_index_entry(sample_index_entry()); },
       [](const std::string& b) {
         return same(decode_index_entry(b), sample_index_entry(), "an index entry");
       }},
      {"inode-state", false, [] { return encode_inode_state(sample_inode_state()); },
       [](const std::string& b) {
         return same(decode_inode_state(b), sample_inode_state(), "an inode's state");
       }},
      {"request-window", false, window, reads_window},
      {"checkpoint", false, [] { return encode_checkpoint(sample_checkpoint()); }, reads_checkpoint},
  };
  for (auto& more : metadata_formats()) all.push_back(std::move(more));
  return all;
}

}  // namespace shima
