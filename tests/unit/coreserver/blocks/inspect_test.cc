#include "coreserver/blocks/inspect.h"

#include <fstream>

#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

TEST(Inspect, SeesAStoreThatIsOpenElsewhere) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  auto store = open_store(*disk, directory.path());
  const std::vector<RecordPtr> records{make_write(1, 0, 0, bytes_of_seed(1, kTestBlock)),
                                       make_write(2, 1, 0, bytes_of_seed(2, kChunkSize))};
  ASSERT_TRUE(store->apply(kTestGroup, kTestBlock, records).is_ok());
  ASSERT_TRUE(store->checkpoint(kTestGroup, "abc").is_ok());
  auto found = inspect_blocks(*disk, directory.path(), {std::nullopt, true});
  ASSERT_TRUE(found.is_ok()) << found.status().to_string();
  EXPECT_EQ(found->disk_id, kTestDisk);
  ASSERT_EQ(found->groups.size(), 1u);
  EXPECT_EQ(found->groups[0].group, kTestGroup);
  EXPECT_EQ(found->groups[0].blocks, 2u);
  EXPECT_EQ(found->groups[0].present_bytes, kTestBlock + kChunkSize);
  EXPECT_EQ(found->groups[0].newest, (Position{Term(1), Sequence(2)}));
  EXPECT_EQ(found->groups[0].checkpoint_bytes, 3u);
  EXPECT_TRUE(found->groups[0].bad_blocks.empty());
  auto none = inspect_blocks(*disk, directory.path(), {GroupId{VolumeId(1), GroupIndex(1)}, false});
  ASSERT_TRUE(none.is_ok());
  EXPECT_TRUE(none->groups.empty());
}

TEST(Inspect, NamesDamagedBlocks) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  auto store = open_store(*disk, directory.path());
  const std::vector<RecordPtr> records{make_write(1, 9, 0, bytes_of_seed(1, kTestBlock))};
  ASSERT_TRUE(store->apply(kTestGroup, kTestBlock, records).is_ok());
  std::fstream file(directory.path() + "/blocks/data-0000.shb",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 100);
  file.put('!');
  file.close();
  auto found = inspect_blocks(*disk, directory.path(), {std::nullopt, true});
  ASSERT_TRUE(found.is_ok());
  ASSERT_EQ(found->groups.at(0).bad_blocks.size(), 1u);
  EXPECT_EQ(found->groups[0].bad_blocks[0], key_of(9));
}

TEST(Inspect, ADirectoryWithoutAnIndexIsNotFound) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  auto found = inspect_blocks(*disk, directory.path(), {});
  ASSERT_FALSE(found.is_ok());
  EXPECT_EQ(found.status().code(), Code::kNotFound);
}

TEST(Inspect, GroupsAreReadFromText) {
  EXPECT_EQ(*parse_group("17/3"), (GroupId{VolumeId(17), GroupIndex(3)}));
  for (const char* bad : {"", "17", "17/", "/3", "17/3x", "-1/3", "a/b", "1/99999999999"}) {
    EXPECT_EQ(parse_group(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace shima
