#include "common/types/block_routing.h"

#include <gtest/gtest.h>

#include <iterator>
#include <vector>

namespace shima {
namespace {

// Vectors of the published generator (SplitMix64 from state 0), so that the mix is what it says it is.
TEST(BlockRouting, TheMixIsSplitMix64) {
  EXPECT_EQ(mix64(0), 0xe220a8397b1dcdafull);
  EXPECT_EQ(mix64(0x9e3779b97f4a7c15ull), 0x6e789e6aa1b965f4ull);
  EXPECT_EQ(mix64(2 * 0x9e3779b97f4a7c15ull), 0x06c45d188009454full);
}

struct Vector {
  uint64_t volume, inode;
  uint32_t groups;
  std::vector<uint32_t> expected;  // of blocks 0 to 7, 1,000,000 and 2^64 - 1
};

// Blocks of volumes that exist lie where these say: a change here loses data.
TEST(BlockRouting, BlocksLieWhereTheyAlwaysLay) {
  const Vector vectors[] = {{1, 1, 8, {1, 4, 5, 6, 0, 5, 6, 6, 0, 2}},
                            {2, 1, 8, {3, 0, 4, 2, 1, 5, 7, 1, 4, 2}},
                            {77, 3, 5, {0, 1, 2, 3, 2, 0, 2, 3, 3, 2}},
                            {123456, 1, 1024, {528, 740, 904, 98, 766, 38, 506, 299, 326, 175}}};
  const uint64_t blocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 1'000'000, ~uint64_t{0}};
  for (const Vector& vector : vectors) {
    for (size_t i = 0; i < std::size(blocks); i++) {
      GroupIndex group = group_of_block(VolumeId(vector.volume), InodeId(vector.inode), BlockIndex(blocks[i]),
                                        vector.groups);
      EXPECT_EQ(group.value, vector.expected[i]) << "volume " << vector.volume << " block " << blocks[i];
    }
  }
}

TEST(BlockRouting, EveryGroupGetsItsShareOfNeighbouringBlocks) {
  std::vector<int> blocks(8);
  for (uint64_t i = 0; i < 8'000; i++)
    blocks[group_of_block(VolumeId(1), InodeId(1), BlockIndex(i), 8).value]++;
  for (int n : blocks) EXPECT_NEAR(n, 1'000, 120);
}

}  // namespace
}  // namespace shima
