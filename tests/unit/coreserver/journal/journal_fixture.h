// What all tests of the journal need: a directory, records with recognizable contents, waiting for the
// answer.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>

#include "common/types/crc32c.h"
#include "coreserver/journal/journal.h"
#include "coreserver/journal/journal_scan.h"

namespace shima {

inline constexpr uint64_t kTestDiskId = 0x5111a;

inline GroupId group_of(uint64_t volume, uint32_t index = 0) { return {VolumeId(volume), GroupIndex(index)}; }

// A write of `bytes` whose contents follow from its position; bytes = 0: a noop.
inline RecordPtr make_record(GroupId group, uint64_t sequence, uint64_t term = 1,
                             uint32_t bytes = kChunkSize) {
  auto record = std::make_shared<Record>();
  RecordHeader& h = record->header;
  h.group = group;
  h.position = {Term(term), Sequence(sequence)};
  h.committed = Sequence(sequence - 1);
  h.inode = InodeId(1);
  h.block = BlockIndex(sequence % 17);
  if (bytes > 0) {
    h.kind = RecordKind::kWrite;
    h.length = bytes;
    std::mt19937_64 random(group.volume.value * 1000003 + group.index.value * 101 + sequence * 7919 + term);
    record->payload = Buffer::make(bytes, [&](uint8_t* to) {
      for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t v = random();
        std::memcpy(to + i, &v, 8);
      }
    });
    h.checksums = chunk_checksums(record->payload.span());
  }
  return record;
}

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    char name[] = "/tmp/shima-journal-XXXXXX";
    root_ = ::mkdtemp(name);
    directory_ = root_ + "/journal";
    options_.segment_bytes = 256 << 10;
    options_.max_bytes = 64 << 20;
  }
  ~JournalTest() override {
    journal_.reset();
    std::filesystem::remove_all(root_);
  }

  // Opens (again) and takes what was recovered.
  void open() {
    journal_.reset();
    auto journal = Journal::open(*disk_, directory_, kTestDiskId, options_);
    ASSERT_TRUE(journal.is_ok()) << journal.status().to_string();
    journal_ = std::move(*journal);
    recovered_ = journal_->take_recovered();
  }
  Status try_open() {
    journal_.reset();
    return Journal::open(*disk_, directory_, kTestDiskId, options_).status();
  }

  Status append(RecordPtr record) {
    return wait([&](Journal::Done done) { journal_->append(std::move(record), std::move(done)); });
  }
  Status append(GroupId group, uint64_t sequence, uint64_t term = 1, uint32_t bytes = kChunkSize) {
    return append(make_record(group, sequence, term, bytes));
  }
  Status truncate(GroupId group, uint64_t after) {
    return wait([&](Journal::Done done) { journal_->truncate(group, Sequence(after), std::move(done)); });
  }
  template <typename Start>
  static Status wait(Start start) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Status> answer;
    start([&](Status s) {
      std::lock_guard lock(mutex);
      answer = std::move(s);
      changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return answer.has_value(); });
    return *answer;
  }
  // Appends [first, last] without waiting for each.
  void append_all(GroupId group, uint64_t first, uint64_t last, uint64_t term = 1,
                  uint32_t bytes = kChunkSize) {
    for (uint64_t s = first; s < last; ++s)
      journal_->append(make_record(group, s, term, bytes), [](Status) {});
    Status status = append(group, last, term, bytes);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }

  std::vector<uint64_t> recovered_sequences(GroupId group) {
    std::vector<uint64_t> out;
    for (auto& h : recovered_[group].records) out.push_back(h.position.sequence.value);
    return out;
  }
  static std::vector<uint64_t> range(uint64_t first, uint64_t last) {
    std::vector<uint64_t> out;
    for (uint64_t i = first; i <= last; ++i) out.push_back(i);
    return out;
  }
  void expect_record(GroupId group, uint64_t sequence, uint64_t term = 1, uint32_t bytes = kChunkSize) {
    auto records = journal_->read(group, Sequence(sequence), Sequence(sequence), 1);
    ASSERT_TRUE(records.is_ok()) << records.status().to_string();
    ASSERT_EQ(records->size(), 1u);
    EXPECT_EQ(*records->front(), *make_record(group, sequence, term, bytes));
  }

  std::vector<std::string> segment_paths() const {
    std::vector<std::string> out;
    for (auto& e : std::filesystem::directory_iterator(directory_)) {
      if (segment_number(e.path().filename().string()) != 0) out.push_back(e.path().string());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  std::string path_of(uint64_t number) const { return directory_ + "/" + segment_file_name(number); }
  static std::string load(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void store(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  // What the kernel has now. Starts over if files come or go meanwhile, as a power cut happens at one
  // instant.
  void copy_files(const std::string& to) const {
    auto names = [&] { return *make_posix_disk()->list(directory_); };
    for (bool whole = false; !whole;) {
      std::filesystem::remove_all(to);
      std::filesystem::create_directories(to);
      auto before = names();
      std::error_code gone;
      for (auto& name : before) std::filesystem::copy_file(directory_ + "/" + name, to + "/" + name, gone);
      whole = !gone && names() == before;
    }
  }
  void flip_bit(const std::string& path, uint64_t at) {
    std::string bytes = load(path);
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    store(path, bytes);
  }
  // The entries of a segment file, without payloads.
  std::vector<ScannedEntry> entries(const std::string& path) {
    auto file = disk_->open(path, Disk::Mode::kRead);
    auto header = read_segment_header(**file);
    EXPECT_TRUE(header.is_ok()) << header.status().to_string();
    std::vector<ScannedEntry> out;
    auto scan = scan_segment(**file, *header, false, [&](const ScannedEntry& e) {
      out.push_back(e);
      out.back().payload = {};
    });
    EXPECT_TRUE(scan.is_ok());
    return out;
  }

  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string root_;
  std::string directory_;
  JournalOptions options_;
  std::unique_ptr<Journal> journal_;
  std::map<GroupId, RecoveredLog> recovered_;
};

}  // namespace shima
