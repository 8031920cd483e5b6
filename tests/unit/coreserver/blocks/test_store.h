// What the tests of the block store share: a directory of their own, and records made from a seed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/runtime/disk.h"
#include "common/types/crc32c.h"
#include "coreserver/blocks/block_store.h"

namespace shima {

inline constexpr uint64_t kTestDisk = 77;
inline constexpr uint32_t kTestBlock = 64 << 10;  // bytes
inline constexpr GroupId kTestGroup{VolumeId(5), GroupIndex(2)};

class TestDirectory {
 public:
  TestDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "shima-blocks-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Buffer bytes_of_seed(uint64_t seed, size_t size) {
  return Buffer::make(size, [&](uint8_t* out) {
    std::mt19937_64 random(seed);
    for (size_t i = 0; i < size; i += 8) {
      const uint64_t word = random();
      std::memcpy(out + i, &word, 8);
    }
  });
}

inline RecordPtr make_write(uint64_t sequence, uint64_t block, uint32_t offset, Buffer bytes,
                            GroupId group = kTestGroup) {
  auto record = std::make_shared<Record>();
  record->header.group = group;
  record->header.position = {Term(1), Sequence(sequence)};
  record->header.kind = RecordKind::kWrite;
  record->header.inode = InodeId(1);
  record->header.block = BlockIndex(block);
  record->header.offset = offset;
  record->header.length = static_cast<uint32_t>(bytes.size());
  record->header.checksums = chunk_checksums(bytes.span());
  record->payload = std::move(bytes);
  return record;
}

inline RecordPtr make_punch(uint64_t sequence, uint64_t block, uint32_t offset, uint32_t length,
                            GroupId group = kTestGroup) {
  auto record = std::make_shared<Record>();
  record->header.group = group;
  record->header.position = {Term(1), Sequence(sequence)};
  record->header.kind = RecordKind::kPunch;
  record->header.inode = InodeId(1);
  record->header.block = BlockIndex(block);
  record->header.offset = offset;
  record->header.length = length;
  return record;
}

// The file's bytes at and beyond `offset` of `block` go; `chunk`, if any, replaces the 4 KiB before it.
inline RecordPtr make_truncate(uint64_t sequence, uint64_t fence, uint64_t block, uint32_t offset,
                               Buffer chunk = Buffer(), GroupId group = kTestGroup) {
  const auto length = static_cast<uint32_t>(chunk.size());
  auto record =
      std::make_shared<Record>(*make_write(sequence, block, offset - length, std::move(chunk), group));
  record->header.kind = RecordKind::kTruncate;
  record->header.fence = fence;
  return record;
}

inline RecordPtr make_removal(uint64_t sequence, GroupId group = kTestGroup) {
  return make_truncate(sequence, kRemovedFence, 0, 0, Buffer(), group);
}

inline BlockKey key_of(uint64_t block, GroupId group = kTestGroup) {
  return {group, InodeId(1), BlockIndex(block)};
}

// Record `sequence` of an endless log that depends on nothing but the seed: writes and punches of a few
// blocks.
inline RecordPtr random_record(uint64_t seed, uint64_t sequence, uint64_t blocks) {
  std::mt19937_64 random(seed * 1000003 + sequence);
  const uint32_t chunks = kTestBlock / kChunkSize;
  const uint32_t first = static_cast<uint32_t>(random() % chunks);
  const uint32_t count = 1 + static_cast<uint32_t>(random() % (chunks - first));
  const uint64_t block = random() % blocks;
  const uint64_t dice = random() % 10;
  if (dice == 0) return make_punch(sequence, block, 0, kTestBlock);
  if (dice < 3) return make_punch(sequence, block, first * kChunkSize, count * kChunkSize);
  return make_write(sequence, block, first * kChunkSize, bytes_of_seed(random(), count * kChunkSize));
}

// The same with times, and with truncations, each of which has its sequence as fence.
inline RecordPtr random_file_record(uint64_t seed, uint64_t sequence, uint64_t blocks) {
  std::mt19937_64 random(seed * 7000003 + sequence);
  const uint32_t chunks = kTestBlock / kChunkSize;
  const auto time_ns = static_cast<int64_t>(sequence * 1000 + random() % 3000);
  auto timed = [&](const RecordPtr& record) {
    auto copy = std::make_shared<Record>(*record);
    copy->header.time_ns = time_ns;
    return RecordPtr(copy);
  };
  if (random() % 6 != 0) return timed(random_record(seed, sequence, blocks));
  const uint64_t block = random() % blocks;
  const uint32_t end = static_cast<uint32_t>(random() % (chunks + 1)) * kChunkSize;
  const bool with_chunk = end > 0 && random() % 2 == 0;
  return timed(make_truncate(sequence, sequence, block, end,
                             with_chunk ? bytes_of_seed(random(), kChunkSize) : Buffer()));
}

// What the blocks must hold: the plain truth to compare with.
class ModelBlocks {
 public:
  void apply(const Record& record) {
    if (record.header.kind == RecordKind::kTruncate) return truncate(record);
    auto& bytes = blocks_.try_emplace(record.header.block.value, kTestBlock, uint8_t{0}).first->second;
    auto* out = bytes.data() + record.header.offset;
    if (record.header.kind == RecordKind::kWrite) {
      std::memcpy(out, record.payload.data(), record.payload.size());
    } else {
      std::memset(out, 0, record.header.length);
    }
  }
  void expect_same(BlockStore& store, uint64_t blocks) {
    for (uint64_t block = 0; block < blocks; block++) {
      auto piece = store.read(key_of(block), 0, kTestBlock);
      ASSERT_TRUE(piece.is_ok()) << piece.status().to_string();
      const auto& expected = blocks_.try_emplace(block, kTestBlock, uint8_t{0}).first->second;
      ASSERT_EQ(std::memcmp(piece->bytes.data(), expected.data(), kTestBlock), 0) << "block " << block;
      ASSERT_TRUE(chunks_match(piece->bytes.span(), piece->checksums)) << "block " << block;
    }
  }

 private:
  void truncate(const Record& record) {
    const RecordHeader& h = record.header;
    if (!record.payload.empty()) {
      auto& bytes = blocks_.try_emplace(h.block.value, kTestBlock, uint8_t{0}).first->second;
      std::memcpy(bytes.data() + h.offset, record.payload.data(), record.payload.size());
    }
    for (auto& [block, bytes] : blocks_) {
      const uint32_t from = block > h.block.value    ? 0
                            : block == h.block.value ? h.offset + h.length
                                                     : kTestBlock;
      std::fill(bytes.begin() + from, bytes.end(), uint8_t{0});
    }
  }

  std::map<uint64_t, std::vector<uint8_t>> blocks_;
};

inline std::unique_ptr<BlockStore> open_store(Disk& disk, const std::string& path,
                                              bool through_disk = false) {
  BlockStoreOptions options;
  options.slots_per_file = 8;
  options.index_through_disk = through_disk;
  auto store = BlockStore::open(disk, path, kTestDisk, options);
  EXPECT_TRUE(store.is_ok()) << store.status().to_string();
  return store ? std::move(*store) : nullptr;
}

}  // namespace shima
