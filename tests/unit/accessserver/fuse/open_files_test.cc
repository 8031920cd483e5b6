#include "accessserver/fuse/open_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace shima {
namespace {

using Owners = std::vector<uint64_t>;

TEST(OpenFiles, CountsOpensOfAnInode) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(7);
  EXPECT_NE(a, 0u);
  EXPECT_NE(a, b);
  EXPECT_EQ(files.opens_of(7), 2u);
  EXPECT_TRUE(files.close(a).known);
  EXPECT_EQ(files.opens_of(7), 1u);
  EXPECT_EQ(files.close(b).inode, 7u);
  EXPECT_EQ(files.opens_of(7), 0u);
}

TEST(OpenFiles, UnknownHandleIsClosedOnceOnly) {
  OpenFiles files;
  const uint64_t handle = files.open(7);
  EXPECT_TRUE(files.close(handle).known);
  EXPECT_FALSE(files.close(handle).known);
  EXPECT_FALSE(files.close(12345).known);
}

TEST(OpenFiles, FlushReleasesOnlyOwnersThatAskedForLocks) {
  OpenFiles files;
  const uint64_t handle = files.open(7);
  EXPECT_FALSE(files.owner_closed(7, 100));
  files.lock_asked(handle, 100);
  EXPECT_FALSE(files.owner_closed(8, 100));
  EXPECT_FALSE(files.owner_closed(7, 101));
  EXPECT_TRUE(files.owner_closed(7, 100));
  EXPECT_FALSE(files.owner_closed(7, 100));
}

TEST(OpenFiles, ClosingAnotherDescriptorReleasesAProcesssLocks) {
  OpenFiles files;
  const uint64_t a = files.open(7);
  files.open(7);
  files.lock_asked(a, 100);
  EXPECT_TRUE(files.owner_closed(7, 100)) << "the FLUSH comes for the second open";
}

TEST(OpenFiles, OfdOwnersGoWithTheirOpen) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(7);
  files.lock_asked(a, 500);
  files.lock_asked(b, 600);
  EXPECT_EQ(files.close(a).owners, Owners{500});
  EXPECT_EQ(files.close(b).owners, Owners{600});
}

TEST(OpenFiles, OwnerOfSeveralOpensGoesWithTheLast) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(7);
  files.lock_asked(a, 100);
  files.lock_asked(b, 100);
  EXPECT_EQ(files.close(a).owners, Owners{});
  EXPECT_EQ(files.close(b).owners, Owners{100});
}

TEST(OpenFiles, OwnerThatCloseAndLocksAnewIsNotReleasedByTheOldOpen) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(7);
  files.lock_asked(a, 100);
  EXPECT_TRUE(files.owner_closed(7, 100));
  files.lock_asked(b, 100);
  EXPECT_EQ(files.close(a).owners, Owners{});
}

TEST(OpenFiles, FlockGoesWithItsOpen) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(7);
  files.flock_asked(a, 900);
  EXPECT_FALSE(files.close(b).flock_owner.has_value());
  EXPECT_EQ(files.close(a).flock_owner, 900u);
}

TEST(OpenFiles, SetIdNoteIsTakenOnceAndOnlyOfOpenInodes) {
  OpenFiles files;
  files.note_mode(7, S_ISUID | 0755);
  EXPECT_FALSE(files.take_set_id_note(7));
  files.open(7);
  files.note_mode(7, 0755);
  EXPECT_FALSE(files.take_set_id_note(7));
  files.note_mode(7, S_ISGID | 0755);
  EXPECT_TRUE(files.take_set_id_note(7));
  EXPECT_FALSE(files.take_set_id_note(7));
}

TEST(OpenFiles, TellsWhatIsLeftAtTheEnd) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(8);
  files.close(a);
  EXPECT_EQ(files.handles(), std::vector<uint64_t>{b});
}

}  // namespace
}  // namespace shima
