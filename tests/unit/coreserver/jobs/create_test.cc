#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

TEST(Create, ANewFileHasTheCallersOwnersAndTheInstant) {
  JobVolume volume;
  volume.chmod(kRootInode, 0777);
  volume.who = user(7, 8);
  const pb::JobReply reply = volume.create(kRootInode, "f", pb::FILE_TYPE_REGULAR, 0107644);
  ASSERT_EQ(reply.error(), 0);
  EXPECT_TRUE(reply.created());
  const pb::Attributes& a = reply.attributes();
  EXPECT_EQ(a.inode(), 3u);
  EXPECT_EQ(a.mode(), 07644u & ~0u);
  EXPECT_EQ(a.uid(), 7u);
  EXPECT_EQ(a.gid(), 8u);
  EXPECT_EQ(a.nlink(), 1u);
  EXPECT_EQ(a.size(), 0u);
  EXPECT_EQ(a.generation(), 1u);
  EXPECT_EQ(a.atime_ns(), volume.now_ns);
  EXPECT_EQ(a.mtime_ns(), volume.now_ns);
  EXPECT_EQ(a.ctime_ns(), volume.now_ns);
  EXPECT_EQ(volume.inodes_in_use(), 2u);
}

TEST(Create, ChangesTheParentVisibly) {
  JobVolume volume;
  volume.tick_ns = 0;  // even if the clock stands
  volume.make_file(kRootInode, "a");
  const pb::JobReply reply = volume.create(kRootInode, "b", pb::FILE_TYPE_REGULAR, 0644);
  EXPECT_GT(reply.parent().mtime_ns(), reply.parent_before().mtime_ns());
  EXPECT_GT(reply.parent().ctime_ns(), reply.parent_before().ctime_ns());
  EXPECT_GT(reply.parent().change(), reply.parent_before().change());
  EXPECT_EQ(reply.parent().ctime_ns(), reply.parent().mtime_ns());
  EXPECT_EQ(reply.parent().nlink(), 2u);
}

TEST(Create, ADirectoryCountsInItsParentsLinks) {
  JobVolume volume;
  const pb::JobReply reply = volume.create(kRootInode, "d", pb::FILE_TYPE_DIRECTORY, 0755);
  EXPECT_EQ(reply.parent().nlink(), 3u);
  EXPECT_EQ(reply.attributes().nlink(), 2u);
  EXPECT_EQ(reply.attributes().parent(), kRootInode);
  EXPECT_EQ(reply.attributes().size(), 4096u);
}

TEST(Create, RefusesNamesThatAreThereOrNone) {
  JobVolume volume;
  volume.make_file(kRootInode, "f");
  const pb::FileType file = pb::FILE_TYPE_REGULAR, directory = pb::FILE_TYPE_DIRECTORY;
  EXPECT_EQ(volume.create(kRootInode, "f", file, 0644).error(), EEXIST);
  EXPECT_EQ(volume.create(kRootInode, "f", directory, 0644).error(), EEXIST);
  EXPECT_EQ(volume.create(kRootInode, ".", directory, 0644).error(), EEXIST);
  EXPECT_EQ(volume.create(kRootInode, "..", file, 0644).error(), EEXIST);
  EXPECT_EQ(volume.create(kRootInode, "", file, 0644).error(), EINVAL);
  EXPECT_EQ(volume.create(kRootInode, "a/b", file, 0644).error(), EINVAL);
  EXPECT_EQ(volume.create(kRootInode, std::string(256, 'x'), file, 0644).error(), ENAMETOOLONG);
  EXPECT_EQ(volume.create(kRootInode, std::string(255, 'x'), file, 0644).error(), 0);
}

TEST(Create, OfAnExistingNameSaysSoEvenWithoutWritePermission) {
  JobVolume volume;
  volume.make_file(kRootInode, "f");
  volume.who = user(1, 1);
  EXPECT_EQ(volume.create(kRootInode, "f", pb::FILE_TYPE_REGULAR, 0644).error(), EEXIST);
  EXPECT_EQ(volume.create(kRootInode, "g", pb::FILE_TYPE_REGULAR, 0644).error(), EACCES);
}

TEST(Create, UncheckedOpensTheFileThatIsThere) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f", 0600);
  volume.make_directory(kRootInode, "d");
  pb::JobRequest request = JobVolume::creation(kRootInode, "f", pb::FILE_TYPE_REGULAR, 0777);
  request.mutable_create()->set_how(pb::Create::UNCHECKED);
  const pb::JobReply reply = volume.run(request);
  EXPECT_EQ(reply.error(), 0);
  EXPECT_FALSE(reply.created());
  EXPECT_EQ(reply.attributes().inode(), file);
  EXPECT_EQ(reply.attributes().mode(), 0600u);
  EXPECT_TRUE(volume.last_batch.empty());
  request.mutable_create()->set_name("d");
  EXPECT_EQ(volume.run(request).error(), EISDIR);
  request.mutable_create()->set_type(pb::FILE_TYPE_DIRECTORY);
  EXPECT_EQ(volume.run(request).error(), EEXIST);
}

TEST(Create, UncheckedWithASizeTruncatesAsSetAttributesDoes) {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f", 0600);
  ASSERT_EQ(volume.written(file, 5000, 0, volume.now_ns, false).error(), 0);
  pb::JobRequest request = JobVolume::creation(kRootInode, "f", pb::FILE_TYPE_REGULAR, 0777);
  request.mutable_create()->set_how(pb::Create::UNCHECKED);
  request.mutable_create()->mutable_set()->set_size(0);
  volume.who = user(1, 1);
  EXPECT_EQ(volume.run(request).error(), EACCES);
  volume.who = user(0, 0);
  const pb::JobReply reply = volume.run(request);
  EXPECT_TRUE(reply.attributes().truncating());
  EXPECT_EQ(reply.attributes().truncate_sequence(), 1u);
  EXPECT_EQ(reply.attributes().truncating_from(), 5000u);
  const pb::JobReply again = volume.run(request);
  EXPECT_EQ(again.error(), EAGAIN);
  EXPECT_TRUE(again.attributes().truncating()) << "so that the caller can complete it";
}

TEST(Create, ExclusiveFindsItsOwnFileAgain) {
  JobVolume volume;
  pb::JobRequest request = JobVolume::creation(kRootInode, "f", pb::FILE_TYPE_REGULAR, 0);
  request.mutable_create()->clear_set();
  request.mutable_create()->set_how(pb::Create::EXCLUSIVE);
  request.mutable_create()->set_verifier(0xabcdef);
  const pb::JobReply first = volume.run(request);
  ASSERT_EQ(first.error(), 0);
  const pb::JobReply second = volume.run(request);
  EXPECT_EQ(second.error(), 0);
  EXPECT_TRUE(second.created());
  EXPECT_EQ(second.attributes().inode(), first.attributes().inode());
  EXPECT_TRUE(volume.last_batch.empty());
  request.mutable_create()->set_verifier(1);
  EXPECT_EQ(volume.run(request).error(), EEXIST);
  volume.make_file(kRootInode, "g");
  request.mutable_create()->set_name("g");
  request.mutable_create()->set_verifier(0);
  EXPECT_EQ(volume.run(request).error(), EEXIST) << "a file without a verifier is nobody's repetition";
}

TEST(Create, SymlinksHaveTheirTargetsLengthAndMode0777) {
  JobVolume volume;
  pb::JobRequest request = JobVolume::creation(kRootInode, "s", pb::FILE_TYPE_SYMLINK, 0600);
  request.mutable_create()->set_target("");
  EXPECT_EQ(volume.run(request).error(), ENOENT);
  request.mutable_create()->set_target(std::string(4096, 't'));
  EXPECT_EQ(volume.run(request).error(), ENAMETOOLONG);
  request.mutable_create()->set_target(std::string("a\0b", 3));
  EXPECT_EQ(volume.run(request).error(), EINVAL);
  request.mutable_create()->set_target(std::string(4095, 't'));
  const pb::JobReply reply = volume.run(request);
  EXPECT_EQ(reply.error(), 0);
  EXPECT_EQ(reply.attributes().mode(), 0777u);
  EXPECT_EQ(reply.attributes().size(), 4095u);
}

TEST(Create, DevicesAreRootsAlone) {
  JobVolume volume;
  volume.chmod(kRootInode, 0777);
  pb::JobRequest request = JobVolume::creation(kRootInode, "dev", pb::FILE_TYPE_BLOCK_DEVICE, 0600);
  request.mutable_create()->set_rdev_major(8);
  request.mutable_create()->set_rdev_minor(1);
  volume.who = user(1, 1);
  EXPECT_EQ(volume.run(request).error(), EPERM);
  EXPECT_EQ(volume.create(kRootInode, "fifo", pb::FILE_TYPE_FIFO, 0600).error(), 0);
  EXPECT_EQ(volume.create(kRootInode, "socket", pb::FILE_TYPE_SOCKET, 0600).error(), 0);
  volume.who = user(0, 0);
  const pb::JobReply reply = volume.run(request);
  EXPECT_EQ(reply.attributes().rdev_major(), 8u);
  EXPECT_EQ(reply.attributes().rdev_minor(), 1u);
  EXPECT_EQ(volume.create(kRootInode, "u", pb::FILE_TYPE_UNSPECIFIED, 0600).error(), EINVAL);
  EXPECT_EQ(volume.create(kRootInode, "u", static_cast<pb::FileType>(99), 0600).error(), EINVAL);
}

TEST(Create, ASetGidDirectoryHandsItsGroupDown) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d", 0777);
  volume.chown(directory, 0, 500);
  volume.chmod(directory, 02777);
  volume.who = user(1, 1);
  const pb::JobReply sub = volume.create(directory, "sub", pb::FILE_TYPE_DIRECTORY, 0700);
  EXPECT_EQ(sub.attributes().gid(), 500u);
  EXPECT_EQ(sub.attributes().mode(), 02700u);
  const pb::JobReply file = volume.create(directory, "f", pb::FILE_TYPE_REGULAR, 02755);
  EXPECT_EQ(file.attributes().gid(), 500u);
  EXPECT_EQ(file.attributes().mode(), 0755u) << "no set-gid program for a group that is not the caller's";
  volume.who = user(1, 1, {500});
  EXPECT_EQ(volume.create(directory, "g", pb::FILE_TYPE_REGULAR, 02755).attributes().mode(), 02755u);
}

TEST(Create, OnlyRootMakesFilesOfOthers) {
  JobVolume volume;
  volume.chmod(kRootInode, 0777);
  pb::JobRequest request = JobVolume::creation(kRootInode, "f", pb::FILE_TYPE_REGULAR, 0600);
  request.mutable_create()->mutable_set()->set_uid(107);
  request.mutable_create()->mutable_set()->set_gid(107);
  volume.who = user(1, 1);
  EXPECT_EQ(volume.run(request).error(), EPERM);
  request.mutable_create()->mutable_set()->set_uid(1);
  EXPECT_EQ(volume.run(request).error(), EPERM) << "nor of foreign groups";
  volume.who = user(0, 0);
  EXPECT_EQ(volume.run(request).attributes().gid(), 107u);
}

TEST(Create, StopsAtTheQuotaOfInodes) {
  JobVolume volume;
  volume.max_inodes = 2;
  volume.make_file(kRootInode, "a");
  EXPECT_EQ(volume.create(kRootInode, "b", pb::FILE_TYPE_REGULAR, 0644).error(), EDQUOT);
  EXPECT_EQ(volume.unlink(kRootInode, "a").error(), 0);
  EXPECT_EQ(volume.create(kRootInode, "b", pb::FILE_TYPE_REGULAR, 0644).error(), EDQUOT)
      << "an orphan counts";
  EXPECT_EQ(volume.orphan_dropped(3).error(), 0);
  const uint64_t next = volume.make_file(kRootInode, "b");
  EXPECT_EQ(next, 4u) << "numbers are never given twice";
}

TEST(Create, InARemovedDirectoryIsRefused) {
  JobVolume volume;
  const uint64_t directory = volume.make_directory(kRootInode, "d");
  ASSERT_EQ(volume.rmdir(kRootInode, "d").error(), 0);
  EXPECT_EQ(volume.create(directory, "f", pb::FILE_TYPE_REGULAR, 0644).error(), ENOENT);
  EXPECT_EQ(volume.link(volume.make_file(kRootInode, "g"), directory, "g").error(), ENOENT);
  EXPECT_EQ(volume.list(directory).error(), ENOENT);
  EXPECT_EQ(volume.lookup(directory, "..").error(), ENOENT);
}

TEST(Create, SubdirectoriesStopAtTheMostLinks) {
  JobVolume volume;
  volume.tick_ns = 1;
  for (uint32_t i = 2; i < kMaxLinks; i++) volume.make_directory(kRootInode, std::to_string(i));
  EXPECT_EQ(volume.attributes(kRootInode).nlink(), kMaxLinks);
  EXPECT_EQ(volume.create(kRootInode, "more", pb::FILE_TYPE_DIRECTORY, 0755).error(), EMLINK);
  EXPECT_EQ(volume.create(kRootInode, "file", pb::FILE_TYPE_REGULAR, 0755).error(), 0);
  const uint64_t sub = volume.lookup(kRootInode, "2").attributes().inode();
  volume.make_directory(sub, "deep");
  volume.make_file(sub, "file");
  EXPECT_EQ(volume.rename(sub, "deep", kRootInode, "deep").error(), EMLINK);
  EXPECT_EQ(volume.rename(sub, "deep", kRootInode, "file", false, true).error(), EMLINK);
  EXPECT_EQ(volume.rename(sub, "deep", kRootInode, "3").error(), 0) << "one comes, one goes";
}

}  // namespace
}  // namespace shima
