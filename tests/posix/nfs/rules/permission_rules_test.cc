// Who may do what: POSIX.1-2017 section 4.5 (file access permissions), chmod(2), chown(2), RFC 1813 section
// 4.4 (permission issues).
#include "tests/posix/nfs/rules/nfs_rules_fixture.h"

namespace shima {
namespace {

using PermissionRules = NfsRules;

TEST_F(PermissionRules, TheFirstClassThatFitsDecides) {
  const std::string file = make_file("f", 0047, 1001, 1002);
  EXPECT_EQ(as(1001, 1002).access(file, 0x3f).word, 0u) << "the owner has less than others";
  EXPECT_EQ(as(5, 1002).read(file, 0, 1).status, NFS3_OK) << "the group may read";
  EXPECT_EQ(write(as(5, 1002), file, 0, "x"), NFS3ERR_ACCES) << "but not write, as others may";
  EXPECT_EQ(write(as(5, 5), file, 0, "x"), NFS3_OK);
  EXPECT_EQ(as(0, 0).read(file, 0, 1).status, NFS3_OK) << "root may";
}

TEST_F(PermissionRules, SupplementaryGroupsCount) {
  const std::string file = make_file("f", 0060, 0, 77);
  EXPECT_EQ(as(5, 5).read(file, 0, 1).status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 5, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 77}).read(file, 0, 1).status,
            NFS3_OK);
  EXPECT_EQ(write(as(5, 5, {77}), file, 0, "x"), NFS3_OK);
}

TEST_F(PermissionRules, TheOwnerMayReadAndWriteWhateverTheModeSays) {
  const std::string file = make_file("f", 0000, 1001, 1001);
  EXPECT_EQ(write(as(1001, 1001), file, 0, "mine"), NFS3_OK) << "RFC 1813 section 4.4: it may be open";
  EXPECT_EQ(as(1001, 1001).read(file, 0, 4).bytes, "mine");
  EXPECT_EQ(as(1001, 1001).access(file, 0x3f).word, 0u) << "but ACCESS tells what the mode says";
  EXPECT_EQ(write(as(1002, 1001), file, 0, "x"), NFS3ERR_ACCES);
}

TEST_F(PermissionRules, WhoMayExecuteMayReadForPaging) {
  const std::string file = make_file("f", 0111);
  EXPECT_EQ(as(5, 5).read(file, 0, 1).status, NFS3_OK) << "RFC 1813 section 4.4";
}

TEST_F(PermissionRules, NamesTakeSearchAndWriteInTheDirectory) {
  const std::string directory = make_directory("d", 0754);
  make_file_in(directory, "f", 0666);
  const std::string other = make_file("other", 0666);
  EXPECT_EQ(as(5, 5).lookup(directory, "f").status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 5).lookup(directory, "missing").status, NFS3ERR_ACCES)
      << "nor is it told what is not there";
  EXPECT_EQ(as(5, 5).readdir(directory, false, 4096).status, NFS3_OK) << "r alone lists";
  EXPECT_EQ(as(5, 0).lookup(directory, "f").status, NFS3_OK);
  EXPECT_EQ(as(5, 0).create(directory, "g", GUARDED, {.mode = 0644}).status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 0).mkdir(directory, "g", {.mode = 0755}).status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 0).symlink(directory, "g", "x").status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 0).remove(directory, "f").status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 0).rename(directory, "f", directory_, "f").status, NFS3ERR_ACCES);
  EXPECT_EQ(as(5, 0).link(other, directory, "g").status, NFS3ERR_ACCES);
}

TEST_F(PermissionRules, InAStickyDirectoryOnlyOwnersRemoveAndRename) {
  const std::string directory = make_directory("d", 01777, 1003);
  make_file_in(directory, "f", 0666, 1001, 1001);
  make_file_in(directory, "g", 0666, 1002, 1002);
  EXPECT_EQ(as(1002, 1002).remove(directory, "f").status, NFS3ERR_PERM);
  EXPECT_EQ(as(1002, 1002).rename(directory, "f", directory, "h").status, NFS3ERR_PERM);
  EXPECT_EQ(as(1002, 1002).rename(directory, "g", directory, "f").status, NFS3ERR_PERM) << "it would go";
  EXPECT_EQ(as(1001, 1001).rename(directory, "f", directory, "h").status, NFS3_OK);
  EXPECT_EQ(as(1003, 1003).remove(directory, "h").status, NFS3_OK) << "the directory's owner may";
  EXPECT_EQ(as(1002, 1002).remove(directory, "g").status, NFS3_OK);
}

TEST_F(PermissionRules, OnlyTheOwnerChangesTheMode) {
  const std::string file = make_file("f", 0666, 1001, 1001);
  EXPECT_EQ(as(1002, 1001).setattr(file, {.mode = 0600}).status, NFS3ERR_PERM);
  EXPECT_EQ(as(1001, 5).setattr(file, {.mode = 0600}).status, NFS3_OK);
  EXPECT_EQ(attributes(file).mode, 0600u);
}

TEST_F(PermissionRules, NobodyButRootGivesFilesAway) {
  const std::string file = make_file("f", 0644, 1001, 1001);
  EXPECT_EQ(as(1001, 1001).setattr(file, {.uid = 1002}).status, NFS3ERR_PERM);
  EXPECT_EQ(as(1001, 1001).setattr(file, {.gid = 1002}).status, NFS3ERR_PERM) << "not a group of the owner's";
  EXPECT_EQ(as(1001, 1001, {1002}).setattr(file, {.gid = 1002}).status, NFS3_OK);
  EXPECT_EQ(as(1001, 1001, {1002}).setattr(file, {.uid = 1001}).status, NFS3_OK) << "to himself";
  EXPECT_EQ(root().setattr(file, {.uid = 1002, .gid = 7}).status, NFS3_OK);
  EXPECT_EQ(attributes(file).uid, 1002u);
  EXPECT_EQ(attributes(file).gid, 7u);
}

TEST_F(PermissionRules, ChownTakesTheSetIdBitsAway) {
  const std::string file = make_file("f", 06755, 1001, 1001);
  EXPECT_EQ(as(1001, 1001, {1002}).setattr(file, {.gid = 1002}).status, NFS3_OK);
  EXPECT_EQ(attributes(file).mode, 0755u);
  const std::string other = make_file("g", 06755, 1001, 1001);
  EXPECT_EQ(root().setattr(other, {.uid = 1002}).status, NFS3_OK);
  EXPECT_EQ(attributes(other).mode, 0755u) << "also when root does it, as Linux";
  const std::string directory = make_directory("d", 02755, 1001, 1001);
  EXPECT_EQ(root().setattr(directory, {.uid = 1002}).status, NFS3_OK);
  EXPECT_EQ(attributes(directory).mode, 02755u) << "directories keep them";
}

TEST_F(PermissionRules, WritingTakesTheSetIdBitsAway) {
  const std::string file = make_file("f", 06777, 1001, 1001);
  EXPECT_EQ(write(as(1002, 1002), file, 0, "x"), NFS3_OK);
  EXPECT_EQ(attributes(file).mode, 0777u);
  const std::string shortened = make_file("g", 06777, 1001, 1001);
  EXPECT_EQ(write(root(), shortened, 0, "xx"), NFS3_OK);
  EXPECT_EQ(attributes(shortened).mode, 06777u) << "root's write leaves them";
  EXPECT_EQ(as(1002, 1002).setattr(shortened, {.size = 1}).status, NFS3_OK);
  EXPECT_EQ(attributes(shortened).mode, 0777u);
}

TEST_F(PermissionRules, SetGidNeedsTheGroup) {
  const std::string file = make_file("f", 0755, 1001, 2000);
  EXPECT_EQ(as(1001, 1001).setattr(file, {.mode = 02755}).status, NFS3_OK);
  EXPECT_EQ(attributes(file).mode, 0755u) << "chmod(2): silently without";
  EXPECT_EQ(as(1001, 1001, {2000}).setattr(file, {.mode = 02755}).status, NFS3_OK);
  EXPECT_EQ(attributes(file).mode, 02755u);
}

TEST_F(PermissionRules, ASetGidDirectoryHandsItsGroupDown) {
  const std::string directory = make_directory("d", 02777, 0, 2000);
  Nfs3Client& client = as(1001, 1001);
  const NfsAnswer file = client.create(directory, "f", GUARDED, {.mode = 0644});
  const NfsAnswer below = client.mkdir(directory, "e", {.mode = 0755});
  ASSERT_EQ(file.status, NFS3_OK);
  ASSERT_EQ(below.status, NFS3_OK);
  EXPECT_EQ(attributes(file.handle).gid, 2000u);
  EXPECT_EQ(attributes(below.handle).gid, 2000u);
  EXPECT_EQ(attributes(below.handle).mode, 02755u);
}

TEST_F(PermissionRules, TimesOfChoiceAreTheOwners) {
  const std::string file = make_file("f", 0666, 1001, 1001);
  EXPECT_EQ(as(1002, 1002).setattr(file, {.atime_ns = 1, .mtime_ns = 1}).status, NFS3ERR_PERM);
  EXPECT_EQ(as(1002, 1002).setattr(file, {.atime_now = true, .mtime_now = true}).status, NFS3_OK);
  EXPECT_EQ(as(1002, 1002).setattr(file, {.mtime_now = true}).status, NFS3ERR_PERM) << "one alone";
  EXPECT_EQ(as(1001, 1001).setattr(file, {.mtime_now = true}).status, NFS3_OK);
  EXPECT_EQ(root().setattr(file, {.mode = 0644}).status, NFS3_OK);
  EXPECT_EQ(as(1002, 1002).setattr(file, {.atime_now = true, .mtime_now = true}).status, NFS3ERR_ACCES);
}

TEST_F(PermissionRules, OnlyRootMakesDevices) {
  EXPECT_EQ(as(1001, 1001).mknod(directory_, "c", NF3CHR, {.mode = 0666}, 1, 3).status, NFS3ERR_PERM);
  EXPECT_EQ(as(1001, 1001).mknod(directory_, "p", NF3FIFO, {.mode = 0666}).status, NFS3_OK);
  const NfsAnswer made = root().mknod(directory_, "c", NF3CHR, {.mode = 0666}, 1, 3);
  ASSERT_EQ(made.status, NFS3_OK);
  EXPECT_EQ(attributes(made.handle).type, NF3CHR);
  EXPECT_EQ(attributes(made.handle).rdev.specdata1, 1u);
  EXPECT_EQ(attributes(made.handle).rdev.specdata2, 3u);
}

TEST_F(PermissionRules, SquashedRootIsNobody) {
  if (memory() == nullptr) GTEST_SKIP() << "a cluster's export rules are not this program's to change";
  const std::string file = make_file("f", 0600), open = make_file("open", 0666);
  memory()->set_access({.allowed = true, .squash = Squash::kRoot, .anonymous_uid = 99, .anonymous_gid = 98});
  EXPECT_EQ(as(0, 0).read(file, 0, 1).status, NFS3ERR_ACCES);
  const NfsAnswer made = as(0, 0).create(directory_, "g", GUARDED, {.mode = 0644});
  ASSERT_EQ(made.status, NFS3_OK);
  EXPECT_EQ(attributes(made.handle).uid, 99u);
  EXPECT_EQ(attributes(made.handle).gid, 98u);
  EXPECT_EQ(as(0, 0).setattr(made.handle, {.uid = 0}).status, NFS3ERR_PERM);
  EXPECT_EQ(attributes(as(5, 6).create(directory_, "h", GUARDED, {.mode = 0644}).handle).uid, 5u);
  memory()->set_access({.allowed = true, .squash = Squash::kAll, .anonymous_uid = 99, .anonymous_gid = 98});
  EXPECT_EQ(attributes(as(5, 6).create(directory_, "i", GUARDED, {.mode = 0644}).handle).uid, 99u);
}

TEST_F(PermissionRules, AReadOnlyExportRefusesEveryChange) {
  if (memory() == nullptr) GTEST_SKIP() << "a cluster's export rules are not this program's to change";
  const std::string file = make_file("f", 0666);
  memory()->set_access({.allowed = true, .read_only = true});
  Nfs3Client& client = root();
  EXPECT_EQ(write(client, file, 0, "x"), NFS3ERR_ROFS);
  EXPECT_EQ(client.setattr(file, {.mode = 0600}).status, NFS3ERR_ROFS);
  EXPECT_EQ(client.setattr(file, {.size = 1}).status, NFS3ERR_ROFS);
  EXPECT_EQ(client.create(directory_, "g", GUARDED, {.mode = 0644}).status, NFS3ERR_ROFS);
  EXPECT_EQ(client.mkdir(directory_, "g", {.mode = 0755}).status, NFS3ERR_ROFS);
  EXPECT_EQ(client.symlink(directory_, "g", "x").status, NFS3ERR_ROFS);
  EXPECT_EQ(client.mknod(directory_, "g", NF3FIFO, {.mode = 0644}).status, NFS3ERR_ROFS);
  EXPECT_EQ(client.remove(directory_, "f").status, NFS3ERR_ROFS);
  EXPECT_EQ(client.rename(directory_, "f", directory_, "g").status, NFS3ERR_ROFS);
  EXPECT_EQ(client.link(file, directory_, "g").status, NFS3ERR_ROFS);
  EXPECT_EQ(client.access(file, 0x3f).word, static_cast<uint32_t>(ACCESS3_READ));
  EXPECT_EQ(client.read(file, 0, 1).status, NFS3_OK);
  memory()->set_access({});
  EXPECT_EQ(client.getattr(file).status, NFS3ERR_ACCES) << "forbidden from now on";
  EXPECT_FALSE(Nfs3Client::mount(server_, "/" + volume_).is_ok());
}

}  // namespace
}  // namespace shima
