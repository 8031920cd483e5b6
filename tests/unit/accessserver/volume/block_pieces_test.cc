#include "accessserver/volume/block_pieces.h"

#include <gtest/gtest.h>

#include "accessserver/volume/backoff.h"
#include "accessserver/volume/request_window.h"

namespace shima {
namespace {

constexpr uint32_t kBlock = 1 << 20;

TEST(BlockPieces, ARangeInsideABlockIsOnePiece) {
  auto pieces = cut_at_blocks(3 * uint64_t{kBlock} + 100, 50, kBlock);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0], (BlockPiece{BlockIndex(3), 100, 50, 0}));
}

TEST(BlockPieces, ARangeOverBordersIsCutThere) {
  auto pieces = cut_at_blocks(kBlock - 1, 1 + uint64_t{kBlock} + 2, kBlock);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0], (BlockPiece{BlockIndex(0), kBlock - 1, 1, 0}));
  EXPECT_EQ(pieces[1], (BlockPiece{BlockIndex(1), 0, kBlock, 1}));
  EXPECT_EQ(pieces[2], (BlockPiece{BlockIndex(2), 0, 2, 1 + uint64_t{kBlock}}));
}

TEST(BlockPieces, AnEmptyRangeHasNone) { EXPECT_TRUE(cut_at_blocks(5, 0, kBlock).empty()); }

TEST(BlockPieces, WholeChunksCoverThePiece) {
  EXPECT_EQ(whole_chunks({BlockIndex(1), 4095, 2, 7}), (BlockPiece{BlockIndex(1), 0, 8192, 0}));
  EXPECT_EQ(whole_chunks({BlockIndex(1), 4096, 4096, 7}), (BlockPiece{BlockIndex(1), 4096, 4096, 0}));
  EXPECT_EQ(whole_chunks({BlockIndex(1), kBlock - 1, 1, 7}),
            (BlockPiece{BlockIndex(1), kBlock - 4096, 4096, 0}));
}

TEST(RequestWindow, SettledBelowIsTheLowestThatIsNotSettled) {
  RequestWindow window;
  EXPECT_EQ(window.settled_below(), RequestId(1));
  RequestId a = window.begin(), b = window.begin(), c = window.begin();
  EXPECT_EQ(a, RequestId(1));
  EXPECT_EQ(window.settled_below(), a);
  window.settle(b);
  EXPECT_EQ(window.settled_below(), a);
  window.settle(a);
  EXPECT_EQ(window.settled_below(), c);
  window.settle(c);
  EXPECT_EQ(window.settled_below(), RequestId(4));
}

TEST(Backoff, DoublesUpToItsLimitWithJitter) {
  Backoff backoff{50, 1'000};
  EXPECT_EQ(backoff.delay_ms(1, 0), 25u);
  EXPECT_EQ(backoff.delay_ms(1, 25), 50u);
  EXPECT_EQ(backoff.delay_ms(2, 50), 100u);
  for (uint32_t failures = 6; failures < 100; failures++) {
    EXPECT_GE(backoff.delay_ms(failures, failures * 7919), 500u);
    EXPECT_LE(backoff.delay_ms(failures, failures * 7919), 1'000u);
  }
}

}  // namespace
}  // namespace shima
