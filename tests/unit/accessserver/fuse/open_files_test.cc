#include "accessserver/fuse/open_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>

namespace shima {
namespace {

using Owners = std::vector<uint64_t>;

TEST(OpenFiles, CountsOpensOfAnInode) {
  OpenFiles files;
  const uint64_t a = files.open(7), b = files.open(7);
  EXPECT_NE(a, 0u);
  EXPECT_NE(a, b);
  EXPECT_EQ(files.opens_of(7), 0u) << "none is granted yet";
  files.grant(a);
  files.grant(a);
  EXPECT_EQ(files.opens_of(7), 1u);
  files.grant(b);
  files.grant(12345);
  EXPECT_EQ(files.opens_of(7), 2u);
  EXPECT_TRUE(files.close(a).known);
  EXPECT_EQ(files.opens_of(7), 1u);
  EXPECT_EQ(files.close(b).inode, 7u);
  EXPECT_EQ(files.opens_of(7), 0u);
}

TEST(OpenFiles, AnOpenThatWasNotGrantedTakesNoneAway) {
  OpenFiles files;
  const uint64_t granted = files.open(7), refused = files.open(7);
  files.grant(granted);
  EXPECT_TRUE(files.close(refused).known);
  EXPECT_EQ(files.opens_of(7), 1u);
}

TEST(OpenFiles, AnOpenWithLocksMayBeClosingAfterADescriptorWasClosed) {
  std::chrono::steady_clock::time_point now;
  OpenFiles files([&] { return now; });
  const uint64_t plain = files.open(7), locked = files.open(7), other = files.open(8);
  EXPECT_FALSE(files.inode_with_locks(locked));
  files.lock_asked(locked, 100);
  files.flock_asked(other, 101);
  EXPECT_EQ(files.inode_with_locks(locked), 7u);
  EXPECT_EQ(files.inode_with_locks(other), 8u);
  EXPECT_FALSE(files.inode_with_locks(plain));
  EXPECT_FALSE(files.inode_with_locks(12345));
  files.descriptor_closed(plain);
  files.descriptor_closed(12345);
  EXPECT_FALSE(files.may_be_closing(7)) << "it has no locks";
  files.descriptor_closed(locked);
  EXPECT_TRUE(files.may_be_closing(7));
  EXPECT_FALSE(files.may_be_closing(8));
  files.close(locked);
  EXPECT_FALSE(files.may_be_closing(7)) << "RELEASE has come";
  files.descriptor_closed(other);
  files.flock_asked(other, 101);
  EXPECT_FALSE(files.may_be_closing(8)) << "it is in use";
  files.descriptor_closed(other);
  EXPECT_TRUE(files.may_be_closing(8));
  now += OpenFiles::kReleaseComes + std::chrono::milliseconds(5);
  EXPECT_FALSE(files.may_be_closing(8)) << "RELEASE would have come: another descriptor is open";
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
