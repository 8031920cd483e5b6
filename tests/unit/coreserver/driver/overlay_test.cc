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

RecordPtr truncation(uint64_t sequence, uint64_t fence, uint64_t block, uint32_t end, uint8_t chunk = 0) {
  auto r =
      std::make_shared<Record>(*record(sequence, block, chunk ? end - 4096 : end, chunk ? 4096 : 0, chunk));
  r->header.kind = RecordKind::kTruncate;
  r->header.fence = fence;
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
      laid_over(base(5, 12288, '.'), BlockIndex(0), 4096,
                {record(6, 0, 0, 8192, 'a'), record(7, 0, 12288, 4096, 'b'), record(8, 0, 4096, 4096, 'c')});
  std::string text(piece.bytes.span().begin(), piece.bytes.span().end());
  EXPECT_EQ(text, std::string(4096, 'c') + std::string(4096, '.') + std::string(4096, 'b'));
  EXPECT_EQ(piece.checksums, chunk_checksums(piece.bytes.span()));
  EXPECT_EQ(piece.version.sequence, Sequence(8));
}

TEST(LaidOver, RecordsThatTheBaseAlreadyHasAreLeftOut) {
  auto piece = laid_over(base(9, 4096, 'n'), BlockIndex(0), 0,
                         {record(7, 0, 0, 4096, 'o'), record(8, 0, 0, 4096, 'p')});
  EXPECT_EQ(piece.bytes.data()[0], 'n');
  EXPECT_EQ(piece.version.sequence, Sequence(9));
}

TEST(LaidOver, APunchReadsAsZerosWithTheirChecksum) {
  auto piece =
      laid_over(base(1, 8192, 'x'), BlockIndex(0), 0, {record(2, 0, 4096, 4096, 0, RecordKind::kPunch)});
  EXPECT_EQ(piece.bytes.data()[4095], 'x');
  EXPECT_EQ(piece.bytes.data()[4096], 0);
  EXPECT_EQ(piece.checksums, chunk_checksums(piece.bytes.span()));
}

TEST(Overlay, TruncationsTouchWhatIsBehindTheirCut) {
  Overlay overlay;
  overlay.add(record(1, 7, 0, 8192, 'a'));
  overlay.add(truncation(2, 1, 7, 8192, 't'));
  overlay.add(record(3, 7, 4096, 4096, 'b'));
  auto sequences = [&](uint64_t block, uint32_t offset, uint32_t length, uint64_t upto = 9) {
    std::vector<uint64_t> found;
    for (const auto& r : overlay.touching(InodeId(1), BlockIndex(block), offset, length, Sequence(upto)))
      found.push_back(r->header.position.sequence.value);
    return found;
  };
  using Found = std::vector<uint64_t>;
  EXPECT_EQ(sequences(7, 0, 4096), (Found{1})) << "before the chunk that it brings";
  EXPECT_EQ(sequences(7, 4096, 4096), (Found{1, 2, 3}));
  EXPECT_EQ(sequences(7, 8192, 4096), (Found{2}));
  EXPECT_EQ(sequences(8, 0, 4096), (Found{2}));
  EXPECT_EQ(sequences(8, 0, 4096, 1), (Found{}));
  EXPECT_EQ(sequences(6, 0, 1 << 20), (Found{}));
  overlay.add(truncation(4, kRemovedFence, 9, 0));
  EXPECT_EQ(sequences(6, 0, 4096), (Found{4})) << "a removal takes all";
  EXPECT_EQ(overlay.of_inode(InodeId(1), Sequence(3)).size(), 3u);
  EXPECT_TRUE(overlay.of_inode(InodeId(2), Sequence(9)).empty());
  overlay.applied(Sequence(2));
  EXPECT_EQ(sequences(7, 4096, 4096), (Found{3, 4}));
  overlay.truncate(Sequence(3));
  EXPECT_EQ(sequences(8, 0, 4096), (Found{}));
  overlay.applied(Sequence(3));
  EXPECT_TRUE(overlay.of_inode(InodeId(1), Sequence(9)).empty());
  EXPECT_EQ(overlay.bytes(), 0u);
}

TEST(Overlay, MergesWhatTheStoreDoesNotCountYet) {
  auto with = [](const RecordPtr& r, uint64_t fence, int64_t time_ns) {
    auto copy = std::make_shared<Record>(*r);
    copy->header.fence = fence;
    copy->header.time_ns = time_ns;
    return copy;
  };
  Overlay overlay;
  overlay.add(with(record(5, 0, 0, 4096, 'a'), 1, 300));
  overlay.add(with(truncation(6, 2, 0, 0), 2, 0));
  overlay.add(with(record(7, 0, 0, 4096, 0, RecordKind::kPunch), 2, 200));
  InodeState stored;
  stored.changes = 4;
  stored.mtime_ns = 100;
  stored.used_bytes = 8192;
  stored.newest = Sequence(4);
  InodeState now = overlay.merged(InodeId(1), stored, Sequence(7));
  EXPECT_EQ(now.fence, 2u);
  EXPECT_EQ(now.mtime_ns, 300);
  EXPECT_EQ(now.changes, 6u);
  EXPECT_EQ(now.used_bytes, 8192u);
  EXPECT_EQ(overlay.merged(InodeId(1), stored, Sequence(5)).fence, 1u) << "6 and 7 are not committed";
  stored.newest = Sequence(6);
  stored.changes = 5;
  EXPECT_EQ(overlay.merged(InodeId(1), stored, Sequence(7)).changes, 6u) << "5 is applied meanwhile";
  EXPECT_EQ(overlay.merged(InodeId(2), stored, Sequence(7)), stored);
}

TEST(LaidOver, ATruncationReadsAsZerosBehindItsCut) {
  const std::vector<RecordPtr> records{record(2, 3, 0, 4096, 'a'), truncation(3, 1, 3, 8192, 't'),
                                       record(4, 3, 12288, 4096, 'b')};
  auto piece = laid_over(base(1, 16384, '.'), BlockIndex(3), 0, records);
  std::string text(piece.bytes.span().begin(), piece.bytes.span().end());
  EXPECT_EQ(text, std::string(4096, 'a') + std::string(4096, 't') + std::string(4096, '\0') +
                      std::string(4096, 'b'));
  EXPECT_EQ(piece.checksums, chunk_checksums(piece.bytes.span()));
  EXPECT_EQ(piece.version.sequence, Sequence(4));
  auto behind = laid_over(base(1, 8192, '.'), BlockIndex(4), 4096, {records[1]});
  EXPECT_EQ(behind.bytes, Buffer::zeros(8192));
  EXPECT_EQ(behind.checksums, chunk_checksums(behind.bytes.span()));
  auto inside = laid_over(base(1, 4096, '.'), BlockIndex(3), 4096, {records[1]});
  EXPECT_EQ(inside.bytes.data()[0], 't');
  auto removed =
      laid_over(base(1, 4096, '.'), BlockIndex(0), 0, {truncation(3, kRemovedFence, 3, 8192, 't')});
  EXPECT_EQ(removed.bytes, Buffer::zeros(4096));
}

}  // namespace
}  // namespace shima
