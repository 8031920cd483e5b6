#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

TEST(Root, IsThereBeforeAnyJob) {
  JobVolume volume;
  const pb::Attributes root = volume.attributes(kRootInode);
  EXPECT_EQ(root.type(), pb::FILE_TYPE_DIRECTORY);
  EXPECT_EQ(root.mode(), 0755u);
  EXPECT_EQ(root.nlink(), 2u);
  EXPECT_EQ(root.size(), 4096u);
  EXPECT_EQ(root.generation(), 1u);
  EXPECT_TRUE(volume.kv.entries().empty());
  EXPECT_EQ(volume.inodes_in_use(), 1u);
}

TEST(Lookup, FindsNamesAndDots) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d");
  const uint64_t file = volume.make_file(directory, "f");
  EXPECT_EQ(volume.lookup(directory, "f").attributes().inode(), file);
  EXPECT_EQ(volume.lookup(directory, "f").parent().inode(), directory);
  EXPECT_EQ(volume.lookup(directory, ".").attributes().inode(), directory);
  EXPECT_EQ(volume.lookup(directory, "..").attributes().inode(), kRootInode);
  EXPECT_EQ(volume.lookup(kRootInode, "..").attributes().inode(), kRootInode);
}

TEST(Lookup, RefusesWhatIsNotThereOrNoName) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f");
  EXPECT_EQ(volume.lookup(kRootInode, "g").error(), ENOENT);
  EXPECT_EQ(volume.lookup(kRootInode, "g").parent().inode(), kRootInode) << "attributes come with errors too";
  EXPECT_EQ(volume.lookup(file, "f").error(), ENOTDIR);
  EXPECT_EQ(volume.lookup(999, "f").error(), ESTALE);
  EXPECT_EQ(volume.lookup(kRootInode, std::string(256, 'n')).error(), ENAMETOOLONG);
  EXPECT_EQ(volume.lookup(kRootInode, std::string(255, 'n')).error(), ENOENT);
  EXPECT_EQ(volume.lookup(kRootInode, "a/b").error(), EINVAL);
  EXPECT_EQ(volume.lookup(kRootInode, std::string("a\0b", 3)).error(), EINVAL);
  EXPECT_EQ(volume.lookup(kRootInode, "").error(), EINVAL);
}

TEST(Lookup, NeedsTheSearchPermissionUnlessTheKernelHasLooked) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d", 0600);
  volume.make_file(directory, "f");
  volume.who = user(1, 1);
  EXPECT_EQ(volume.lookup(directory, "f").error(), EACCES);
  volume.who = checked_by_kernel(1, 1);
  EXPECT_EQ(volume.lookup(directory, "f").error(), 0);
}

TEST(GetAttributes, OfAnInodeThatNeverWasIsStale) {
  JobVolume volume;
  EXPECT_EQ(volume.attributes_reply(3).error(), ESTALE);
  EXPECT_EQ(volume.attributes_reply(~0ull).error(), ESTALE);
}

TEST(ReadLink, GivesTheTargetAndRefusesOtherTypes) {
  JobVolume volume;
  const uint64_t symlink = volume.make(kRootInode, "s", pb::FILE_TYPE_SYMLINK, 0);
  pb::JobRequest request;
  request.mutable_read_link()->set_inode(symlink);
  EXPECT_EQ(volume.run(request).data(), "target");
  request.mutable_read_link()->set_inode(kRootInode);
  EXPECT_EQ(volume.run(request).error(), EINVAL);
}

TEST(Jobs, ThatNobodyKnowsAreRefused) {
  JobVolume volume;
  EXPECT_EQ(volume.run({}).error(), ENOSYS);
  EXPECT_FALSE(job_changes({}));
}

TEST(Jobs, AViewThatCannotBeReadGivesAnInputOutputErrorAndNoBatch) {
  JobVolume volume;
  volume.make_file(kRootInode, "f");
  volume.kv.fail_reads();
  EXPECT_EQ(volume.lookup(kRootInode, "f").error(), EIO);
  EXPECT_EQ(volume.create(kRootInode, "g", pb::FILE_TYPE_REGULAR, 0644).error(), EIO);
  EXPECT_EQ(volume.keep_alive(1).error(), EIO) << "not: the session is gone";
  EXPECT_TRUE(end_session(volume.kv, 1).empty());
  volume.kv.heal();
  EXPECT_EQ(volume.lookup(kRootInode, "f").error(), 0);
}

TEST(Jobs, DamagedValuesGiveAnInputOutputError) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f");
  const auto entries = volume.kv.entries();
  for (const auto& [key, value] : entries) {
    volume.kv.apply({{key, "\xffrot"}});
    const bool counters = key == "u";
    const bool listing = key[0] == 'c';
    EXPECT_EQ(volume.lookup(kRootInode, "f").error(), counters || listing ? 0 : EIO) << key[0];
    EXPECT_EQ(volume.list(kRootInode, 0, 0, true).error(), counters || key[0] == 'e' ? 0 : EIO) << key[0];
    if (counters) {
      EXPECT_EQ(volume.create(kRootInode, "g", pb::FILE_TYPE_REGULAR, 0644).error(), EIO);
    }
    volume.kv.apply({{key, value}});
  }
  std::string missing = "i";
  for (int shift = 56; shift >= 0; shift -= 8) missing.push_back(static_cast<char>(file >> shift));
  volume.kv.apply({{missing, std::nullopt}});
  EXPECT_EQ(volume.lookup(kRootInode, "f").error(), EIO) << "a name without an inode";
}

TEST(Jobs, AreDeterministic) {
  std::string bytes[2];
  for (std::string& each : bytes) {
    JobVolume volume;
    volume.make_directory(kRootInode, "d");
    each += encode_kv_batch(volume.last_batch);
    volume.rename(kRootInode, "d", kRootInode, "e");
    each += encode_kv_batch(volume.last_batch);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

}  // namespace
}  // namespace shima
