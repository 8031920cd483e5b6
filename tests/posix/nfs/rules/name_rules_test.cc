// Names: creating, linking, renaming, removing, listing. rename(2), link(2), unlink(2), RFC 1813 sections
// 3.3.8 to 3.3.17.
#include <set>

#include "tests/posix/nfs/rules/nfs_rules_fixture.h"

namespace shima {
namespace {

using NameRules = NfsRules;

TEST_F(NameRules, AGuardedCreateWantsANewName) {
  const std::string file = make_file("f");
  EXPECT_EQ(root().create(directory_, "f", GUARDED, {.mode = 0600}).status, NFS3ERR_EXIST);
  EXPECT_EQ(attributes(file).mode, 0644u);
  EXPECT_EQ(root().mkdir(directory_, "f", {.mode = 0755}).status, NFS3ERR_EXIST);
  EXPECT_EQ(root().symlink(directory_, "f", "x").status, NFS3ERR_EXIST);
  EXPECT_EQ(root().mknod(directory_, "f", NF3SOCK, {.mode = 0600}).status, NFS3ERR_EXIST);
}

TEST_F(NameRules, AnUncheckedCreateFindsWhatIsThereAndMayEmptyIt) {
  const std::string file = make_file("f");
  ASSERT_EQ(write(root(), file, 0, "bytes"), NFS3_OK);
  NfsAnswer found = root().create(directory_, "f", UNCHECKED, {.mode = 0600});
  EXPECT_EQ(found.status, NFS3_OK);
  EXPECT_EQ(found.handle, file);
  EXPECT_EQ(content(file), "bytes");
  found = root().create(directory_, "f", UNCHECKED, {.size = 0});
  EXPECT_EQ(found.status, NFS3_OK);
  EXPECT_EQ(content(file), "");
  make_directory("d");
  EXPECT_NE(root().create(directory_, "d", UNCHECKED, {.mode = 0600}).status, NFS3_OK);
}

TEST_F(NameRules, AnExclusiveCreateIsDoneOnceForEachVerifier) {
  const NfsAnswer made = root().create(directory_, "f", EXCLUSIVE, {}, 0x1122334455667788);
  ASSERT_EQ(made.status, NFS3_OK);
  const NfsAnswer again = root().create(directory_, "f", EXCLUSIVE, {}, 0x1122334455667788);
  EXPECT_EQ(again.status, NFS3_OK) << "its answer was lost";
  EXPECT_EQ(again.handle, made.handle);
  EXPECT_EQ(root().create(directory_, "f", EXCLUSIVE, {}, 1).status, NFS3ERR_EXIST);
  EXPECT_EQ(attributes(made.handle).mode & 0777u, 0u) << "until the client says";
  make_file("g");
  EXPECT_EQ(root().create(directory_, "g", EXCLUSIVE, {}, 0).status, NFS3ERR_EXIST);
}

TEST_F(NameRules, NamesHave255BytesAtMost) {
  const std::string longest(255, 'n'), too_long(256, 'n');
  const std::string file = make_file(longest);
  EXPECT_EQ(root().lookup(directory_, longest).handle, file);
  EXPECT_EQ(root().lookup(directory_, too_long).status, NFS3ERR_NAMETOOLONG);
  EXPECT_EQ(root().create(directory_, too_long, GUARDED, {.mode = 0644}).status, NFS3ERR_NAMETOOLONG);
  EXPECT_EQ(root().mkdir(directory_, too_long, {.mode = 0755}).status, NFS3ERR_NAMETOOLONG);
  EXPECT_EQ(root().rename(directory_, longest, directory_, too_long).status, NFS3ERR_NAMETOOLONG);
  EXPECT_EQ(root().link(file, directory_, too_long).status, NFS3ERR_NAMETOOLONG);
  EXPECT_EQ(root().remove(directory_, too_long).status, NFS3ERR_NAMETOOLONG);
}

TEST_F(NameRules, NamesAreBytesAndNotPaths) {
  const std::string odd = "\xff\xfe new\nline ";
  const std::string file = make_file(odd);
  EXPECT_EQ(root().lookup(directory_, odd).handle, file);
  for (const char* name : {"", "a/b", "/"}) {
    EXPECT_EQ(root().lookup(directory_, name).status, NFS3ERR_ACCES) << "RFC 1813 section 3.2: " << name;
    EXPECT_EQ(root().create(directory_, name, GUARDED, {.mode = 0644}).status, NFS3ERR_ACCES) << name;
    EXPECT_EQ(root().rename(directory_, odd, directory_, name).status, NFS3ERR_ACCES) << name;
  }
}

TEST_F(NameRules, DotAndDotDotAreThereToStay) {
  const std::string directory = make_directory("d");
  EXPECT_EQ(root().lookup(directory, ".").handle, directory);
  EXPECT_EQ(root().lookup(directory, "..").handle, directory_);
  EXPECT_EQ(root().mkdir(directory, ".", {.mode = 0755}).status, NFS3ERR_EXIST);
  EXPECT_EQ(root().create(directory, "..", GUARDED, {.mode = 0644}).status, NFS3ERR_EXIST);
  EXPECT_EQ(root().rmdir(directory, ".").status, NFS3ERR_INVAL);
  EXPECT_EQ(root().rmdir(directory, "..").status, NFS3ERR_EXIST);
  EXPECT_EQ(root().rename(directory, ".", directory_, "e").status, NFS3ERR_INVAL);
  EXPECT_EQ(root().lookup(root().root(), "..").handle, root().root()) << "above the root is the root";
}

TEST_F(NameRules, WhatIsNoDirectoryHasNoNames) {
  const std::string file = make_file("f");
  EXPECT_EQ(root().lookup(file, "x").status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().create(file, "x", GUARDED, {.mode = 0644}).status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().mkdir(file, "x", {.mode = 0755}).status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().remove(file, "x").status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().rename(directory_, "f", file, "x").status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().link(file, file, "x").status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().readdir(file, false, 4096).status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().readdir(file, true, 4096).status, NFS3ERR_NOTDIR);
}

TEST_F(NameRules, RemoveIsForFilesAndRmdirForEmptyDirectories) {
  const std::string directory = make_directory("d");
  make_file_in(directory, "f");
  EXPECT_EQ(root().remove(directory_, "d").status, NFS3ERR_ISDIR);
  EXPECT_EQ(root().rmdir(directory, "f").status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().rmdir(directory_, "d").status, NFS3ERR_NOTEMPTY);
  EXPECT_EQ(root().remove(directory, "f").status, NFS3_OK);
  EXPECT_EQ(root().remove(directory, "f").status, NFS3ERR_NOENT);
  EXPECT_EQ(root().rmdir(directory_, "d").status, NFS3_OK);
  EXPECT_EQ(root().rmdir(directory_, "d").status, NFS3ERR_NOENT);
  EXPECT_EQ(root().getattr(directory).status, NFS3ERR_STALE);
  EXPECT_EQ(root().create(directory, "g", GUARDED, {.mode = 0644}).status, NFS3ERR_STALE);
}

TEST_F(NameRules, RenameReplacesOnlyItsLike) {
  const std::string file = make_file("f"), old = make_file("g"), directory = make_directory("d");
  make_file_in(make_directory("full"), "x");
  make_directory("empty");
  EXPECT_EQ(root().rename(directory_, "f", directory_, "d").status, NFS3ERR_ISDIR);
  EXPECT_EQ(root().rename(directory_, "d", directory_, "f").status, NFS3ERR_NOTDIR);
  EXPECT_EQ(root().rename(directory_, "d", directory_, "full").status, NFS3ERR_NOTEMPTY);
  EXPECT_EQ(root().rename(directory_, "d", directory_, "empty").status, NFS3_OK);
  EXPECT_EQ(root().lookup(directory_, "empty").handle, directory);
  EXPECT_EQ(root().rename(directory_, "f", directory_, "g").status, NFS3_OK);
  EXPECT_EQ(root().lookup(directory_, "g").handle, file);
  EXPECT_EQ(root().getattr(old).status, NFS3ERR_STALE);
  EXPECT_EQ(root().rename(directory_, "missing", directory_, "g").status, NFS3ERR_NOENT);
}

TEST_F(NameRules, ADirectoryDoesNotGoIntoItself) {
  const std::string directory = make_directory("d");
  const NfsAnswer below = root().mkdir(directory, "e", {.mode = 0755});
  ASSERT_EQ(below.status, NFS3_OK);
  EXPECT_EQ(root().rename(directory_, "d", directory, "x").status, NFS3ERR_INVAL);
  EXPECT_EQ(root().rename(directory_, "d", below.handle, "x").status, NFS3ERR_INVAL);
  EXPECT_EQ(root().rename(directory, "e", directory_, "d").status, NFS3ERR_NOTEMPTY) << "onto its parent";
}

TEST_F(NameRules, RenameOntoAnotherNameOfTheSameFileDoesNothing) {
  const std::string file = make_file("f");
  ASSERT_EQ(root().link(file, directory_, "g").status, NFS3_OK);
  EXPECT_EQ(root().rename(directory_, "f", directory_, "g").status, NFS3_OK);
  EXPECT_EQ(root().lookup(directory_, "f").handle, file);
  EXPECT_EQ(attributes(file).nlink, 2u);
  EXPECT_EQ(root().rename(directory_, "f", directory_, "f").status, NFS3_OK);
  EXPECT_EQ(root().lookup(directory_, "f").handle, file);
}

TEST_F(NameRules, MovedDirectoriesChangeTheLinksOfBothParents) {
  const std::string one = make_directory("one"), two = make_directory("two");
  const NfsAnswer moved = root().mkdir(one, "d", {.mode = 0755});
  EXPECT_EQ(attributes(one).nlink, 3u);
  ASSERT_EQ(root().rename(one, "d", two, "d").status, NFS3_OK);
  EXPECT_EQ(attributes(one).nlink, 2u);
  EXPECT_EQ(attributes(two).nlink, 3u);
  EXPECT_EQ(root().lookup(moved.handle, "..").handle, two);
}

TEST_F(NameRules, HardLinksAreOneFile) {
  const std::string file = make_file("f");
  const fattr3 before = attributes(file);
  ASSERT_EQ(root().link(file, directory_, "g").status, NFS3_OK);
  const fattr3 after = attributes(file);
  EXPECT_EQ(after.nlink, 2u);
  EXPECT_GT(nanoseconds(after.ctime), nanoseconds(before.ctime));
  EXPECT_EQ(nanoseconds(after.mtime), nanoseconds(before.mtime));
  EXPECT_EQ(root().lookup(directory_, "g").handle, file);
  EXPECT_EQ(root().link(file, directory_, "g").status, NFS3ERR_EXIST);
  ASSERT_EQ(write(root(), file, 0, "bytes"), NFS3_OK);
  ASSERT_EQ(root().remove(directory_, "f").status, NFS3_OK);
  EXPECT_EQ(content(file), "bytes") << "the other name is there";
  EXPECT_EQ(attributes(file).nlink, 1u);
}

TEST_F(NameRules, DirectoriesHaveOneName) {
  const std::string directory = make_directory("d");
  const int status = root().link(directory, directory_, "e").status;
  EXPECT_TRUE(status == NFS3ERR_PERM || status == NFS3ERR_ISDIR || status == NFS3ERR_INVAL) << status;
  EXPECT_EQ(root().lookup(directory_, "e").status, NFS3ERR_NOENT);
}

TEST_F(NameRules, SymlinksHoldAnyTargetAndMayBeLinked) {
  const std::string target = "no/such/../thing//" + std::string(3000, 't');
  const NfsAnswer made = as(1001, 1001).symlink(directory_, "l", target);
  ASSERT_EQ(made.status, NFS3_OK);
  EXPECT_EQ(as(5, 5).readlink(made.handle).bytes, target) << "whoever finds it may read it";
  EXPECT_EQ(attributes(made.handle).mode, 0777u);
  EXPECT_EQ(attributes(made.handle).size, target.size());
  EXPECT_EQ(attributes(made.handle).uid, 1001u);
  EXPECT_EQ(root().link(made.handle, directory_, "m").status, NFS3_OK);
  EXPECT_EQ(root().lookup(directory_, "m").attributes->type, NF3LNK);
  EXPECT_EQ(root().readlink(make_file("f")).status, NFS3ERR_INVAL);
  EXPECT_EQ(root().lookup(made.handle, "x").status, NFS3ERR_NOTDIR) << "the server follows none";
}

TEST_F(NameRules, ARemovedFileIsStaleForEverything) {
  const std::string file = make_file("f");
  ASSERT_EQ(write(root(), file, 0, "bytes"), NFS3_OK);
  ASSERT_EQ(root().remove(directory_, "f").status, NFS3_OK);
  Nfs3Client& client = root();
  EXPECT_EQ(client.getattr(file).status, NFS3ERR_STALE);
  EXPECT_EQ(client.setattr(file, {.mode = 0600}).status, NFS3ERR_STALE);
  EXPECT_EQ(client.setattr(file, {.size = 0}).status, NFS3ERR_STALE);
  EXPECT_EQ(client.access(file, 1).status, NFS3ERR_STALE);
  EXPECT_EQ(client.read(file, 0, 5).status, NFS3ERR_STALE);
  EXPECT_EQ(write(client, file, 0, "x"), NFS3ERR_STALE);
  EXPECT_EQ(client.commit(file, 0, 0).status, NFS3ERR_STALE);
  EXPECT_EQ(client.link(file, directory_, "g").status, NFS3ERR_STALE);
  EXPECT_NE(make_file("f"), file) << "handles are not given again";
}

TEST_F(NameRules, AListingShowsWhatStaysWhileOthersGo) {
  const std::string directory = make_directory("d");
  std::set<std::string> stay, seen;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "entry-" + std::to_string(i);
    make_file_in(directory, name);
    if (i % 3 == 0) stay.insert(name);
  }
  uint64_t cookie = 0;
  std::string verifier;
  size_t next = 0;
  for (int page = 0; page < 1000; ++page) {
    const NfsListing listing = root().readdir(directory, page % 2 == 0, 2048, cookie, verifier);
    ASSERT_EQ(listing.status, NFS3_OK);
    for (const NfsEntry& entry : listing.entries) {
      EXPECT_TRUE(seen.insert(entry.name).second) << "twice: " << entry.name;
      cookie = entry.cookie;
    }
    verifier = listing.verifier;
    if (listing.end) break;
    for (int removed = 0; removed < 20 && next < 300; ++next) {  // some already listed, some not
      const std::string name = "entry-" + std::to_string(next);
      if (stay.contains(name)) continue;
      EXPECT_EQ(root().remove(directory, name).status, NFS3_OK);
      ++removed;
    }
  }
  for (const std::string& name : stay) EXPECT_TRUE(seen.contains(name)) << name;
  EXPECT_TRUE(seen.contains(".") && seen.contains(".."));
}

TEST_F(NameRules, AListingMayBeginAtACookieThatIsGone) {
  const std::string directory = make_directory("d");
  for (int i = 0; i < 20; ++i) make_file_in(directory, "entry-" + std::to_string(i));
  const NfsListing all = root().list(directory, false, 32768);
  ASSERT_EQ(all.entries.size(), 22u);
  ASSERT_EQ(root().remove(directory, all.entries[10].name).status, NFS3_OK);
  const NfsListing rest = root().readdir(directory, false, 32768, all.entries[10].cookie, all.verifier);
  ASSERT_EQ(rest.status, NFS3_OK);
  ASSERT_EQ(rest.entries.size(), 11u);
  EXPECT_EQ(rest.entries[0].name, all.entries[11].name);
  EXPECT_EQ(root().readdir(directory, false, 20).status, NFS3ERR_TOOSMALL);
  EXPECT_EQ(root().readdir(directory, false, 4096, all.entries[3].cookie, "12345678").status,
            NFS3ERR_BAD_COOKIE);
}

}  // namespace
}  // namespace shima
