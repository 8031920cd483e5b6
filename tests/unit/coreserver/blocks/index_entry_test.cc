#include "coreserver/blocks/index_entry.h"

#include <gtest/gtest.h>

#include <random>

#include "coreserver/blocks/data_files.h"

namespace shima {
namespace {

IndexEntry example_entry() {
  IndexEntry entry = IndexEntry::all_holes(1 << 20);
  entry.slot = {3, 77};
  entry.version = {Term(9), Sequence(123456)};
  for (size_t i = 0; i < entry.chunk_count(); i += 3) entry.set_present(i, static_cast<uint32_t>(i * 7919));
  return entry;
}

TEST(IndexEntry, ChecksumOfZerosIsTheConstant) {
  const std::vector<uint8_t> zeros(kChunkSize, 0);
  EXPECT_EQ(crc32c(zeros), kZeroChunkChecksum);
}

TEST(IndexEntry, SurvivesEncoding) {
  const IndexEntry entry = example_entry();
  auto decoded = decode_index_entry(encode_index_entry(entry));
  ASSERT_TRUE(decoded.is_ok()) << decoded.status().to_string();
  EXPECT_EQ(*decoded, entry);
  EXPECT_EQ(decoded->present_bytes(), 86 * kChunkSize);
}

TEST(IndexEntry, EveryShorterValueIsRefused) {
  const std::string value = encode_index_entry(example_entry());
  for (size_t size = 0; size < value.size(); size++) {
    auto decoded = decode_index_entry(value.substr(0, size));
    ASSERT_FALSE(decoded.is_ok()) << size;
    EXPECT_EQ(decoded.status().code(), Code::kCorrupt);
  }
}

TEST(IndexEntry, EveryFlippedBitIsRefused) {
  const std::string value = encode_index_entry(example_entry());
  for (size_t bit = 0; bit < value.size() * 8; bit++) {
    std::string damaged = value;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_index_entry(damaged).is_ok()) << bit;
  }
}

TEST(IndexEntry, RandomBytesAreRefused) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; i++) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(decode_index_entry(bytes).is_ok());
  }
}

TEST(IndexEntry, KeysSortByGroupThenInodeThenBlock) {
  const GroupId low{VolumeId(1), GroupIndex(300)}, high{VolumeId(2), GroupIndex(0)};
  EXPECT_LT(encode_block_key({low, InodeId(9), BlockIndex(9)}),
            encode_block_key({high, InodeId(0), BlockIndex(0)}));
  EXPECT_LT(encode_block_key({low, InodeId(1), BlockIndex(256)}),
            encode_block_key({low, InodeId(1), BlockIndex(257)}));
  const BlockKey key{low, InodeId(1ull << 40), BlockIndex(7)};
  auto decoded = decode_block_key(encode_block_key(key));
  ASSERT_TRUE(decoded.is_ok());
  EXPECT_EQ(*decoded, key);
  EXPECT_FALSE(decode_block_key("short").is_ok());
}

}  // namespace
}  // namespace shima
