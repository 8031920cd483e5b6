#include <gtest/gtest.h>

#include "common/types/buffer.h"
#include "common/types/crc32c.h"
#include "common/types/ids.h"

namespace shima {
namespace {

TEST(Crc32c, MatchesThePublishedVectors) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c(Buffer::zeros(32).span()), 0x8a9136aau);
  EXPECT_EQ(crc32c(Buffer::copy_of("123456789").span()), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, MayBeContinued) {
  Buffer all = Buffer::copy_of("one replica at each site");
  EXPECT_EQ(crc32c(all.slice(5, all.size() - 5).span(), crc32c(all.slice(0, 5).span())), crc32c(all.span()));
}

TEST(ChunkChecksums, NoticeAFlippedBit) {
  Buffer bytes = Buffer::zeros(3 * kChunkSize);
  auto crcs = chunk_checksums(bytes.span());
  ASSERT_EQ(crcs.size(), 3u);
  EXPECT_TRUE(chunks_match(bytes.span(), crcs));
  crcs[2] ^= 1;
  EXPECT_FALSE(chunks_match(bytes.span(), crcs));
  EXPECT_FALSE(chunks_match(bytes.slice(0, kChunkSize).span(), crcs));
}

TEST(ChunkChecksums, TheLastChunkMayBeShorter) {
  EXPECT_TRUE(chunk_checksums({}).empty());
  EXPECT_TRUE(chunks_match({}, {}));
  Buffer bytes = Buffer::make(kChunkSize + 3, [](uint8_t* p) { std::memset(p, 'x', kChunkSize + 3); });
  auto crcs = chunk_checksums(bytes.span());
  ASSERT_EQ(crcs.size(), 2u);
  EXPECT_EQ(crcs[1], crc32c(bytes.slice(kChunkSize, 3).span()));
  EXPECT_TRUE(chunks_match(bytes.span(), crcs));
  EXPECT_FALSE(chunks_match(bytes.slice(0, kChunkSize + 2).span(), crcs)) << "a byte is missing";
  EXPECT_FALSE(chunks_match(bytes.slice(0, kChunkSize).span(), crcs));
  crcs.pop_back();
  EXPECT_FALSE(chunks_match(bytes.span(), crcs));
}

TEST(Buffer, ASliceSharesMemoryAndOutlivesItsParent) {
  Buffer slice;
  const uint8_t* where = nullptr;
  {
    Buffer whole = Buffer::copy_of("abcdef");
    slice = whole.slice(2, 3);
    where = whole.data();
  }
  EXPECT_EQ(slice.data(), where + 2);
  EXPECT_EQ(slice, Buffer::copy_of("cde"));
}

TEST(Position, ComparesByTermFirst) {
  EXPECT_LT((Position{Term(1), Sequence(9)}), (Position{Term(2), Sequence(1)}));
  EXPECT_LT((Position{Term(2), Sequence(1)}), (Position{Term(2), Sequence(2)}));
}

}  // namespace
}  // namespace shima
