#include "coreserver/driver/overlay.h"

#include <gtest/gtest.h>

#include "common/types/crc32c.h"

namespace shima {
namespace {

RecordPtr record(uint64_t sequence, uint64_t block, uint32_t offset, uint32_t length, uint8_t fill,
                 RecordKind kind = RecordKind::kWrite) {
  auto r = std::make_shared<Record>();
  r->header.position = {Term(1), Sequence(sequence)};
  r->header.kind = kind;
  r->header.inode = InodeId(1);
  r->header.block = BlockIndex(block);
  r->header.offset = offset;
  r->header.length = length;
  if (kind == RecordKind::kWrite) {
    r->payload = Buffer::make(length, [&](uint8_t* p) { std::memset(p, fill, length); });
    r->header.checksums = chunk_checksums(r->payload.span());
  }
  return r;
}

BlockPiece base(uint64_t sequence, uint32_t length, uint8_t fill) {
  BlockPiece piece;
  piece.version = {Term(1), Sequence(sequence)};
  piece.bytes = Buffer::make(length, [&](uint8_t* p) { std::memset(p, fill, length); });
  piece.checksums = chunk_checksums(piece.bytes.span());
  return piece;
}

TEST(Overlay, FindsWhatTouchesARangeAndIsVisible) {
  Overlay overlay;
  overlay.add(record(1, 7, 0, 4096, 'a'));
  overlay.add(record(2, 8, 0, 4096, 'b'));
  overlay.add(record(3, 7, 4096, 8192, 'c'));
  EXPECT_EQ(overlay.touching(InodeId(1), BlockIndex(7), 0, 4096, Sequence(9)).size(), 1u);
  EXPECT_EQ(overlay.touching(InodeId(1), BlockIndex(7), 0, 8192, Sequence(9)).size(), 2u);
  EXPECT_EQ(overlay.touching(InodeId(1), BlockIndex(7), 0, 8192, Sequence(2)).size(), 1u)
      << "3 is not committed";
  EXPECT_TRUE(overlay.touching(InodeId(1), BlockIndex(9), 0, 8192, Sequence(9)).empty());
}

TEST(Overlay, ForgetsFromBothEndsAndCountsBytes) {
  Overlay overlay;
  for (uint64_t s = 1; s <= 4; s++) overlay.add(record(s, s % 2, 0, 4096, 'x'));
  uint64_t full = overlay.bytes();
  overlay.applied(Sequence(1));
  overlay.truncate(Sequence(3));
  EXPECT_EQ(overlay.bytes(), full / 2);
  EXPECT_EQ(overlay.first(), Sequence(2));
  auto next = overlay.next_to_apply(Sequence(1), Sequence(9), 1 << 20);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next.back()->header.position.sequence, Sequence(3));
  EXPECT_EQ(overlay.next_to_apply(Sequence(1), Sequence(9), 1).size(), 1u) << "at least one";
  EXPECT_EQ(overlay.next_to_apply(Sequence(1), Sequence(2), 1 << 20).size(), 1u);
  overlay.applied(Sequence(9));
  EXPECT_TRUE(overlay.empty());
  EXPECT_EQ(overlay.bytes(), 0u);
}

TEST(LaidOver, NewerRecordsCoverTheBaseInOrder) {
  auto piece =
      laid_over(base(5, 12288, '.'), 4096,
                {record(6, 0, 0, 8192, 'a'), record(7, 0, 12288, 4096, 'b'), record(8, 0, 4096, 4096, 'c')});
  std::string text(piece.bytes.span().begin(), piece.bytes.span().end());
  EXPECT_EQ(text, std::string(4096, 'c') + std::string(4096, '.') + std::string(4096, 'b'));
  EXPECT_EQ(piece.checksums, chunk_checksums(piece.bytes.span()));
  EXPECT_EQ(piece.version.sequence, Sequence(8));
}

TEST(LaidOver, RecordsThatTheBaseAlreadyHasAreLeftOut) {
  auto piece = laid_over(base(9, 4096, 'n'), 0, {record(7, 0, 0, 4096, 'o'), record(8, 0, 0, 4096, 'p')});
  EXPECT_EQ(piece.bytes.data()[0], 'n');
  EXPECT_EQ(piece.version.sequence, Sequence(9));
}

TEST(LaidOver, APunchReadsAsZerosWithTheirChecksum) {
  auto piece = laid_over(base(1, 8192, 'x'), 0, {record(2, 0, 4096, 4096, 0, RecordKind::kPunch)});
  EXPECT_EQ(piece.bytes.data()[4095], 'x');
  EXPECT_EQ(piece.bytes.data()[4096], 0);
  EXPECT_EQ(piece.checksums, chunk_checksums(piece.bytes.span()));
}

}  // namespace
}  // namespace shima
