#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

struct Rename : testing::Test {
  JobVolume volume;
  const uint64_t a = volume.make_directory(kRootInode, "a");
  const uint64_t b = volume.make_directory(kRootInode, "b");
};

TEST_F(Rename, MovesAFileBetweenDirectories) {
  const uint64_t file = volume.make_file(a, "f");
  const pb::Attributes before = volume.attributes(file);
  const pb::JobReply reply = volume.rename(a, "f", b, "g");
  ASSERT_EQ(reply.error(), 0);
  EXPECT_EQ(reply.attributes().inode(), file);
  EXPECT_GT(reply.attributes().ctime_ns(), before.ctime_ns());
  EXPECT_EQ(reply.attributes().mtime_ns(), before.mtime_ns());
  EXPECT_GT(reply.parent().mtime_ns(), reply.parent_before().mtime_ns());
  EXPECT_GT(reply.from_parent().mtime_ns(), reply.from_parent_before().mtime_ns());
  EXPECT_EQ(volume.lookup(a, "f").error(), ENOENT);
  EXPECT_EQ(volume.lookup(b, "g").attributes().inode(), file);
}

TEST_F(Rename, ADirectoryTakesItsParentsLinkAlong) {
  const uint64_t moved = volume.make_directory(a, "d");
  const pb::JobReply reply = volume.rename(a, "d", b, "e");
  EXPECT_EQ(reply.from_parent().nlink(), 2u);
  EXPECT_EQ(reply.parent().nlink(), 3u);
  EXPECT_EQ(reply.attributes().parent(), b);
  EXPECT_EQ(volume.lookup(moved, "..").attributes().inode(), b);
}

TEST_F(Rename, ReplacesWhatMayBeReplaced) {
  const uint64_t file = volume.make_file(a, "f");
  const uint64_t old_file = volume.make_file(b, "f");
  volume.make_directory(a, "d");
  const uint64_t old_directory = volume.make_directory(b, "d");
  EXPECT_EQ(volume.rename(a, "f", b, "d").error(), EISDIR);
  EXPECT_EQ(volume.rename(a, "d", b, "f").error(), ENOTDIR);
  volume.make_file(old_directory, "inside");
  EXPECT_EQ(volume.rename(a, "d", b, "d").error(), ENOTEMPTY);
  volume.unlink(old_directory, "inside");
  EXPECT_EQ(volume.rename(a, "d", b, "d").error(), 0);
  EXPECT_EQ(volume.attributes(old_directory).nlink(), 0u);
  EXPECT_EQ(volume.attributes(b).nlink(), 3u);
  EXPECT_EQ(volume.rename(a, "f", b, "f").error(), 0);
  EXPECT_EQ(volume.attributes(old_file).nlink(), 0u);
  EXPECT_EQ(volume.lookup(b, "f").attributes().inode(), file);
}

TEST_F(Rename, OfTwoNamesOfOneFileDoesNothing) {
  const uint64_t file = volume.make_file(a, "f");
  volume.link(file, b, "g");
  EXPECT_EQ(volume.rename(a, "f", b, "g").error(), 0);
  EXPECT_TRUE(volume.last_batch.empty());
  EXPECT_EQ(volume.rename(a, "f", a, "f").error(), 0);
  EXPECT_TRUE(volume.last_batch.empty());
  EXPECT_EQ(volume.rename(a, "f", b, "g", true).error(), EEXIST);
  EXPECT_EQ(volume.rename(a, "f", b, "g", false, true).error(), 0);
  EXPECT_EQ(volume.attributes(file).nlink(), 2u);
}

TEST_F(Rename, IntoItselfIsRefused) {
  const uint64_t deep = volume.make_directory(volume.make_directory(a, "x"), "y");
  EXPECT_EQ(volume.rename(kRootInode, "a", deep, "z").error(), EINVAL);
  EXPECT_EQ(volume.rename(kRootInode, "a", a, "z").error(), EINVAL);
  EXPECT_EQ(volume.rename(deep, "gone", kRootInode, "a").error(), ENOENT);
  volume.make_file(deep, "f");
  EXPECT_EQ(volume.rename(deep, "f", kRootInode, "a").error(), ENOTEMPTY) << "the directory that it lies in";
  EXPECT_EQ(volume.rename(deep, "f", kRootInode, "a", false, true).error(), EINVAL);
  EXPECT_EQ(volume.rename(kRootInode, "a", kRootInode, "c").error(), 0);
}

TEST_F(Rename, FlagsAreKept) {
  const uint64_t file = volume.make_file(a, "f");
  const uint64_t directory = volume.make_directory(b, "d");
  EXPECT_EQ(volume.rename(a, "f", b, "d", true).error(), EEXIST);
  EXPECT_EQ(volume.rename(a, "f", b, "x", false, true).error(), ENOENT);
  EXPECT_EQ(volume.rename(a, "f", b, "d", true, true).error(), EINVAL);
  const pb::JobReply reply = volume.rename(a, "f", b, "d", false, true);
  ASSERT_EQ(reply.error(), 0);
  EXPECT_EQ(reply.from_parent().nlink(), 3u);
  EXPECT_EQ(reply.parent().nlink(), 2u);
  EXPECT_EQ(volume.lookup(a, "f").attributes().inode(), directory);
  EXPECT_EQ(volume.lookup(b, "d").attributes().inode(), file);
  EXPECT_EQ(volume.attributes(directory).parent(), a);
  EXPECT_EQ(volume.rename(a, "f", b, "new", true).error(), 0);
}

TEST_F(Rename, DotsAndWrongNamesAreRefused) {
  volume.make_file(a, "f");
  EXPECT_EQ(volume.rename(a, ".", b, "x").error(), EBUSY);
  EXPECT_EQ(volume.rename(a, "f", b, "..").error(), EBUSY);
  EXPECT_EQ(volume.rename(a, "f", b, "..", true).error(), EEXIST);
  EXPECT_EQ(volume.rename(a, "f", b, std::string(256, 'x')).error(), ENAMETOOLONG);
  EXPECT_EQ(volume.rename(a, "f", b, "").error(), EINVAL);
  EXPECT_EQ(volume.rename(a, "f", 999, "x").error(), ESTALE);
}

TEST_F(Rename, NeedsBothDirectoriesAndADirectoryThatGetsANewParent) {
  volume.make_directory(a, "d");
  volume.chown(a, 1, 1);
  volume.chown(b, 1, 1);
  volume.who = user(1, 1);
  EXPECT_EQ(volume.rename(a, "d", b, "d").error(), EACCES) << "root's: its dot-dot cannot be written";
  EXPECT_EQ(volume.rename(a, "d", a, "e").error(), 0) << "in place it need not be";
  volume.who = user(0, 0);
  volume.chmod(b, 01777);
  volume.make_file(b, "roots");
  volume.chown(b, 0, 0);
  volume.who = user(1, 1);
  volume.make_file(a, "mine");
  EXPECT_EQ(volume.rename(a, "mine", b, "roots").error(), EPERM) << "sticky";
  EXPECT_EQ(volume.rename(b, "roots", a, "stolen").error(), EPERM);
  EXPECT_EQ(volume.rename(a, "mine", b, "mine").error(), 0);
  EXPECT_EQ(volume.rename(b, "mine", kRootInode, "mine").error(), EACCES);
}

TEST_F(Rename, WithinADirectoryKeepsTheCookieSoThatReadingEnds) {
  for (int i = 0; i < 50; i++) volume.make_file(a, "f" + std::to_string(i));
  int seen = 0;
  for (uint64_t after = 2;;) {
    const pb::JobReply reply = volume.list(a, after, 1);
    if (reply.entries().empty()) break;
    ASSERT_LE(++seen, 50) << "a renamed file comes again and again";
    after = reply.entries(0).cookie();
    ASSERT_EQ(volume.rename(a, reply.entries(0).name(), a, "x" + reply.entries(0).name()).error(), 0);
  }
  EXPECT_EQ(seen, 50);
}

TEST_F(Rename, OverANameKeepsTheNamesPlaceSoThatItIsNotListedTwice) {
  volume.make_file(a, "target");
  volume.make_file(a, "temporary");
  const uint64_t after = volume.list(a, 2, 1).entries(0).cookie();
  ASSERT_EQ(volume.rename(a, "temporary", a, "target").error(), 0);
  const pb::JobReply rest = volume.list(a, after);
  EXPECT_EQ(rest.entries_size(), 0);
  EXPECT_EQ(volume.names(a), std::vector<std::string>{"target"});
}

}  // namespace
}  // namespace shima
