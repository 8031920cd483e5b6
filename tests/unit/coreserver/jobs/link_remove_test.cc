#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

TEST(Link, AddsANameAndChangesTheCtimeOnly) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "a");
  const pb::Attributes before = volume.attributes(file);
  const pb::JobReply reply = volume.link(file, kRootInode, "b");
  ASSERT_EQ(reply.error(), 0);
  EXPECT_EQ(reply.attributes().nlink(), 2u);
  EXPECT_GT(reply.attributes().ctime_ns(), before.ctime_ns());
  EXPECT_EQ(reply.attributes().mtime_ns(), before.mtime_ns());
  EXPECT_GT(reply.parent().mtime_ns(), reply.parent_before().mtime_ns());
  EXPECT_EQ(volume.lookup(kRootInode, "b").attributes().inode(), file);
}

TEST(Link, RefusesDirectoriesRemovedFilesAndTakenNames) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "a");
  const uint64_t directory = volume.make_directory(kRootInode, "d");
  EXPECT_EQ(volume.link(directory, kRootInode, "e").error(), EPERM);
  EXPECT_EQ(volume.link(file, kRootInode, "d").error(), EEXIST);
  EXPECT_EQ(volume.link(file, kRootInode, ".").error(), EEXIST);
  EXPECT_EQ(volume.link(file, file, "x").error(), ENOTDIR);
  EXPECT_EQ(volume.link(999, kRootInode, "x").error(), ESTALE);
  volume.unlink(kRootInode, "a");
  EXPECT_EQ(volume.link(file, kRootInode, "x").error(), ENOENT);
  const uint64_t symlink = volume.make(kRootInode, "s", pb::FILE_TYPE_SYMLINK, 0);
  EXPECT_EQ(volume.link(symlink, kRootInode, "t").error(), 0);
}

TEST(Link, StopsAtTheMostLinks) {
  JobVolume volume;
  volume.tick_ns = 1;
  const uint64_t file = volume.make_file(kRootInode, "1");
  for (uint32_t i = 2; i <= kMaxLinks; i++)
    ASSERT_EQ(volume.link(file, kRootInode, std::to_string(i)).error(), 0);
  EXPECT_EQ(volume.link(file, kRootInode, "more").error(), EMLINK);
  EXPECT_EQ(volume.attributes(file).nlink(), kMaxLinks);
}

TEST(Remove, TheLastNameMakesAnOrphanThatIsStillThere) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "a");
  volume.link(file, kRootInode, "b");
  const pb::JobReply first = volume.unlink(kRootInode, "a");
  EXPECT_EQ(first.before().nlink(), 2u);
  EXPECT_EQ(first.attributes().nlink(), 1u);
  EXPECT_EQ(volume.list_orphans().orphans_size(), 0);
  const pb::JobReply last = volume.unlink(kRootInode, "b");
  EXPECT_EQ(last.attributes().nlink(), 0u);
  EXPECT_GT(last.attributes().ctime_ns(), last.before().ctime_ns());
  EXPECT_EQ(volume.attributes(file).nlink(), 0u);
  EXPECT_EQ(volume.list_orphans().orphans_size(), 1);
  EXPECT_EQ(volume.chmod(file, 0600).error(), 0) << "an open file that was unlinked goes on";
}

TEST(Remove, TellsDirectoriesAndOthersApart) {
  JobVolume volume;
  volume.make_file(kRootInode, "f");
  const uint64_t directory = volume.make_directory(kRootInode, "d");
  EXPECT_EQ(volume.unlink(kRootInode, "d").error(), EISDIR);
  EXPECT_EQ(volume.rmdir(kRootInode, "f").error(), ENOTDIR);
  EXPECT_EQ(volume.unlink(kRootInode, "x").error(), ENOENT);
  EXPECT_EQ(volume.rmdir(kRootInode, "x").error(), ENOENT);
  EXPECT_EQ(volume.rmdir(kRootInode, ".").error(), EINVAL);
  EXPECT_EQ(volume.rmdir(directory, "..").error(), ENOTEMPTY);
  EXPECT_EQ(volume.unlink(kRootInode, ".").error(), EISDIR);
  volume.make_file(directory, "f");
  EXPECT_EQ(volume.rmdir(kRootInode, "d").error(), ENOTEMPTY);
  volume.unlink(directory, "f");
  const pb::JobReply reply = volume.rmdir(kRootInode, "d");
  EXPECT_EQ(reply.error(), 0);
  EXPECT_EQ(reply.parent().nlink(), 2u);
  EXPECT_EQ(reply.attributes().nlink(), 0u);
}

TEST(Remove, PermissionsAreTheDirectorysAndTheStickyBits) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d", 01777);
  volume.chmod(directory, 01777);
  volume.who = user(1, 1);
  volume.make_file(directory, "mine");
  volume.who = user(2, 2);
  EXPECT_EQ(volume.unlink(directory, "mine").error(), EPERM);
  volume.who = checked_by_kernel(2, 2);
  EXPECT_EQ(volume.unlink(directory, "mine").error(), 0);
  volume.who = user(0, 0);
  volume.make_file(directory, "f");
  volume.chmod(directory, 0755);
  volume.who = user(2, 2);
  EXPECT_EQ(volume.unlink(directory, "f").error(), EACCES);
  EXPECT_EQ(volume.unlink(directory, "g").error(), ENOENT) << "searching is allowed";
}

TEST(Remove, ThatFailsShowsTheAttributesAsTheyAre) {
  JobVolume volume;
  volume.make_directory(kRootInode, "d");
  const pb::Attributes root = volume.attributes(kRootInode);
  const pb::JobReply reply = volume.unlink(kRootInode, "d");
  EXPECT_EQ(reply.parent().SerializeAsString(), root.SerializeAsString());
}

}  // namespace
}  // namespace shima
