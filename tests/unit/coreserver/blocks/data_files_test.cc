#include "coreserver/blocks/data_files.h"

#include <fstream>
#include <set>

#include "tests/unit/coreserver/blocks/test_store.h"

namespace shima {
namespace {

std::unique_ptr<DataFiles> open_files(Disk& disk, const std::string& path, uint64_t disk_id = kTestDisk) {
  auto files = DataFiles::open(disk, path, disk_id, 4);
  EXPECT_TRUE(files.is_ok()) << files.status().to_string();
  return files ? std::move(*files) : nullptr;
}

TEST(DataFiles, SlotsAreUniqueAndEachFileHasOneSlotSize) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  auto files = open_files(*disk, directory.path());
  std::set<SlotId> small, large;
  for (int i = 0; i < 6; i++) {
    small.insert(*files->allocate(64 << 10));
    large.insert(*files->allocate(1 << 20));
  }
  EXPECT_EQ(small.size(), 6u);
  EXPECT_EQ(large.size(), 6u);
  for (SlotId s : small) {
    for (SlotId l : large) EXPECT_NE(s.file, l.file);
  }
  EXPECT_EQ(files->slot_count(), 16u);
  EXPECT_EQ(files->free_slot_count(), 4u);
}

TEST(DataFiles, QuarantinedSlotsAreUsedOnlyAfterTheirRelease) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  auto files = open_files(*disk, directory.path());
  const SlotId first = *files->allocate(64 << 10);
  files->quarantine(first);
  for (int i = 0; i < 7; i++) EXPECT_NE(*files->allocate(64 << 10), first);
  files->release(files->take_quarantined());
  EXPECT_EQ(*files->allocate(64 << 10), first);
}

TEST(DataFiles, ReopeningFindsTheFilesAndFreesWhatIsNotClaimed) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  SlotId kept;
  {
    auto files = open_files(*disk, directory.path());
    kept = *files->allocate(64 << 10);
  }
  std::ofstream(directory.path() + "/data-0001.shb.new") << "an unfinished file";
  auto files = open_files(*disk, directory.path());
  EXPECT_TRUE(files->claim(kept, 64 << 10).is_ok());
  EXPECT_EQ(files->claim(kept, 64 << 10).code(), Code::kCorrupt);
  EXPECT_EQ(files->claim({kept.file, 99}, 64 << 10).code(), Code::kCorrupt);
  EXPECT_EQ(files->claim({7, 0}, 64 << 10).code(), Code::kCorrupt);
  EXPECT_EQ(files->claim({kept.file, 1}, 1 << 20).code(), Code::kCorrupt);
  files->finish_claims();
  EXPECT_EQ(files->free_slot_count(), 3u);
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/data-0001.shb.new"));
}

TEST(DataFiles, AnotherDisksFileIsRefused) {
  TestDirectory directory;
  auto disk = make_posix_disk();
  static_cast<void>(open_files(*disk, directory.path())->allocate(64 << 10));
  auto opened = DataFiles::open(*disk, directory.path(), kTestDisk + 1, 4);
  ASSERT_FALSE(opened.is_ok());
  EXPECT_EQ(opened.status().code(), Code::kCorrupt);
  EXPECT_NE(opened.status().message().find("belongs to disk 77"), std::string::npos)
      << opened.status().message();
}

TEST(DataFiles, DamagedHeadersAreRefused) {
  const DataFileHeader header{3, 9, 1 << 20, 1024};
  const std::string page = encode_data_file_header(header);
  ASSERT_EQ(page.size(), kDataFileHeaderBytes);
  EXPECT_EQ(*decode_data_file_header(page), header);
  for (size_t i = 0; i < 36; i++) {
    std::string damaged = page;
    damaged[i] ^= 1;
    EXPECT_FALSE(decode_data_file_header(damaged).is_ok()) << i;
    EXPECT_FALSE(decode_data_file_header(page.substr(0, i)).is_ok()) << i;
  }
}

}  // namespace
}  // namespace shima
