// Names: creation, removal, rename, links, symlinks and what paths may look like.
#include <dirent.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

class Names : public PosixRules {
 protected:
  int rename_to(const std::string& from, const std::string& to, unsigned flags = 0) const {
    return error_of(renameat2(AT_FDCWD, path(from).c_str(), AT_FDCWD, path(to).c_str(), flags));
  }
  int remove_directory(const std::string& name) const { return error_of(rmdir(path(name).c_str())); }
  bool is_there(const std::string& name) const {
    struct stat stat {};
    return lstat(path(name).c_str(), &stat) == 0;
  }
};

TEST_F(Names, AreUpTo255BytesLong) {
  const std::string longest(255, 'n'), too_long(256, 'n');
  EXPECT_EQ(error_of(mkdir(path(longest).c_str(), 0755)), 0);
  EXPECT_EQ(error_of(mkdir(path(too_long).c_str(), 0755)), ENAMETOOLONG);
  EXPECT_EQ(File(open(path(too_long).c_str(), O_WRONLY | O_CREAT, 0644)).error(), ENAMETOOLONG);
  struct stat stat {};
  EXPECT_EQ(error_of(lstat(path(too_long).c_str(), &stat)), ENAMETOOLONG);
  EXPECT_EQ(rename_to(longest, too_long), ENAMETOOLONG);
  EXPECT_EQ(names_in(directory_), std::vector{longest});
}

TEST_F(Names, AreBytes) {
  for (const std::string name :
       {"\xff\xfe", "with space", "new\nline", "*?[", "\xc3\xa4", "a\xcc\x88", "A", "a"}) {
    make_file(name, name);
  }
  EXPECT_EQ(names_in(directory_).size(), 8u);
  EXPECT_EQ(content_of(path("\xff\xfe")), "\xff\xfe");
  EXPECT_EQ(content_of(path("A")), "A");
}

TEST_F(Names, ExclusiveCreationFailsOnWhateverIsThere) {
  make_file("file");
  make_directory("directory");
  ASSERT_EQ(symlink("nowhere", path("dangling").c_str()), 0);
  for (const char* name : {"file", "directory", "dangling"}) {
    EXPECT_EQ(File(open(path(name).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644)).error(), EEXIST) << name;
    EXPECT_EQ(error_of(mkdir(path(name).c_str(), 0755)), EEXIST) << name;
    EXPECT_EQ(error_of(mkfifo(path(name).c_str(), 0755)), EEXIST) << name;
    EXPECT_EQ(error_of(symlink("x", path(name).c_str())), EEXIST) << name;
    EXPECT_EQ(error_of(link(path("file").c_str(), path(name).c_str())), EEXIST) << name;
  }
  EXPECT_FALSE(is_there("nowhere"));
}

TEST_F(Names, CreationFollowsADanglingSymlink) {
  ASSERT_EQ(symlink("target", path("link").c_str()), 0);
  EXPECT_EQ(File(open(path("link").c_str(), O_WRONLY | O_CREAT, 0644)).error(), 0);
  EXPECT_TRUE(S_ISREG(stat_of(path("target")).st_mode));
}

TEST_F(Names, NothingIsMadeUnderWhatIsNoDirectory) {
  make_file("file");
  EXPECT_EQ(error_of(mkdir(path("file/x").c_str(), 0755)), ENOTDIR);
  EXPECT_EQ(File(open(path("file/x").c_str(), O_WRONLY | O_CREAT, 0644)).error(), ENOTDIR);
  EXPECT_EQ(error_of(mkdir(path("missing/x").c_str(), 0755)), ENOENT);
  EXPECT_EQ(File(open(path("file").c_str(), O_RDONLY | O_DIRECTORY)).error(), ENOTDIR);
}

TEST_F(Names, DirectoriesAreNotOpenedForWriting) {
  make_directory("directory");
  EXPECT_EQ(File(open(path("directory").c_str(), O_WRONLY)).error(), EISDIR);
  EXPECT_EQ(File(open(path("directory").c_str(), O_RDWR)).error(), EISDIR);
  EXPECT_EQ(File(open(path("directory").c_str(), O_WRONLY | O_CREAT, 0644)).error(), EISDIR);
  EXPECT_EQ(error_of(truncate(path("directory").c_str(), 0)), EISDIR);
}

TEST_F(Names, OnlyEmptyDirectoriesAreRemoved) {
  make_directory("directory");
  make_file("directory/file");
  EXPECT_TRUE(remove_directory("directory") == ENOTEMPTY || errno == EEXIST);
  ASSERT_EQ(unlink(path("directory/file").c_str()), 0);
  EXPECT_EQ(remove_directory("directory"), 0);
  EXPECT_EQ(remove_directory("directory"), ENOENT);
}

TEST_F(Names, RmdirAndUnlinkMindTheType) {
  make_file("file");
  make_directory("directory");
  ASSERT_EQ(symlink("directory", path("link").c_str()), 0);
  EXPECT_EQ(remove_directory("file"), ENOTDIR);
  EXPECT_EQ(remove_directory("link"), ENOTDIR);
  EXPECT_EQ(error_of(unlink(path("directory").c_str())), EISDIR);  // Linux; POSIX: EPERM
  EXPECT_EQ(remove_directory("directory/."), EINVAL);
  EXPECT_EQ(error_of(unlink(path("link").c_str())), 0);
  EXPECT_TRUE(is_there("directory"));
}

TEST_F(Names, DirectoriesCountTheirSubdirectories) {
  make_directory("directory");
  EXPECT_EQ(links_of(path("directory")), 2u);
  make_directory("directory/a");
  make_directory("directory/b");
  make_file("directory/file");
  EXPECT_EQ(links_of(path("directory")), 4u);
  ASSERT_EQ(rename_to("directory/a", "a"), 0);
  EXPECT_EQ(links_of(path("directory")), 3u);
  ASSERT_EQ(remove_directory("directory/b"), 0);
  EXPECT_EQ(links_of(path("directory")), 2u);
}

TEST_F(Names, DotDotFollowsAMovedDirectory) {
  make_directory("a");
  make_directory("b");
  make_directory("a/moved");
  ASSERT_EQ(rename_to("a/moved", "b/moved"), 0);
  EXPECT_EQ(stat_of(path("b/moved/..")).st_ino, stat_of(path("b")).st_ino);
}

TEST_F(Names, RenameReplacesAFile) {
  make_file("from", "new");
  make_file("to", "old");
  ASSERT_EQ(link(path("to").c_str(), path("other").c_str()), 0);
  EXPECT_EQ(rename_to("from", "to"), 0);
  EXPECT_EQ(content_of(path("to")), "new");
  EXPECT_FALSE(is_there("from"));
  EXPECT_EQ(links_of(path("other")), 1u);
  EXPECT_EQ(content_of(path("other")), "old");
}

TEST_F(Names, RenameOfTwoNamesOfOneFileDoesNothing) {
  make_file("a");
  ASSERT_EQ(link(path("a").c_str(), path("b").c_str()), 0);
  EXPECT_EQ(rename_to("a", "b"), 0);
  EXPECT_TRUE(is_there("a"));
  EXPECT_TRUE(is_there("b"));
  EXPECT_EQ(rename_to("a", "a"), 0);
  EXPECT_EQ(links_of(path("a")), 2u);
}

TEST_F(Names, RenameMindsTypes) {
  make_file("file");
  make_directory("directory");
  make_directory("full");
  make_file("full/file");
  make_directory("empty");
  EXPECT_EQ(rename_to("file", "directory"), EISDIR);
  EXPECT_EQ(rename_to("directory", "file"), ENOTDIR);
  const int error = rename_to("directory", "full");
  EXPECT_TRUE(error == ENOTEMPTY || error == EEXIST) << error;
  EXPECT_EQ(rename_to("full", "empty"), 0);
  EXPECT_EQ(names_in(path("empty")), std::vector<std::string>{"file"});
  EXPECT_EQ(rename_to("missing", "file"), ENOENT);
}

TEST_F(Names, DirectoryIsNotMovedIntoItself) {
  make_directory("a");
  make_directory("a/b");
  make_directory("a/b/c");
  EXPECT_EQ(rename_to("a", "a/x"), EINVAL);
  EXPECT_EQ(rename_to("a", "a/b/c/x"), EINVAL);
  EXPECT_EQ(rename_to("a/b", "a/b"), 0);
  const int error = rename_to("a/b/c", "a");
  EXPECT_TRUE(error == ENOTEMPTY || error == EEXIST) << error;
}

TEST_F(Names, RenameOfDotFails) {
  make_directory("a");
  EXPECT_TRUE(rename_to("a/.", "b") == EBUSY || errno == EINVAL);
  EXPECT_TRUE(rename_to("a", "a/..") != 0);
}

TEST_F(Names, RenameWithoutReplacing) {
  make_file("from", "from");
  make_file("to", "to");
  EXPECT_EQ(rename_to("from", "to", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(content_of(path("to")), "to");
  EXPECT_EQ(rename_to("from", "free", RENAME_NOREPLACE), 0);
}

TEST_F(Names, RenameExchanges) {
  make_file("file", "content");
  make_directory("directory");
  make_directory("directory/sub");
  EXPECT_EQ(rename_to("file", "directory", RENAME_EXCHANGE), 0);
  EXPECT_EQ(content_of(path("directory")), "content");
  EXPECT_EQ(names_in(path("file")), std::vector<std::string>{"sub"});
  EXPECT_EQ(rename_to("file", "missing", RENAME_EXCHANGE), ENOENT);
  EXPECT_EQ(rename_to("file", "file/sub", RENAME_EXCHANGE), EINVAL);
  EXPECT_EQ(rename_to("file", "x", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
}

TEST_F(Names, LinksAreEqual) {
  make_file("a", "content");
  ASSERT_EQ(link(path("a").c_str(), path("b").c_str()), 0);
  EXPECT_EQ(stat_of(path("a")).st_ino, stat_of(path("b")).st_ino);
  EXPECT_EQ(links_of(path("a")), 2u);
  ASSERT_EQ(unlink(path("a").c_str()), 0);
  EXPECT_EQ(links_of(path("b")), 1u);
  EXPECT_EQ(content_of(path("b")), "content");
}

TEST_F(Names, DirectoriesHaveOneName) {
  make_directory("directory");
  EXPECT_EQ(error_of(link(path("directory").c_str(), path("other").c_str())), EPERM);
}

TEST_F(Names, LinkNamesTheSymlinkItselfUnlessTold) {
  make_file("file");
  ASSERT_EQ(symlink("file", path("symlink").c_str()), 0);
  ASSERT_EQ(link(path("symlink").c_str(), path("same").c_str()), 0);
  EXPECT_TRUE(S_ISLNK(stat_of(path("same")).st_mode));
  ASSERT_EQ(linkat(AT_FDCWD, path("symlink").c_str(), AT_FDCWD, path("followed").c_str(), AT_SYMLINK_FOLLOW),
            0);
  EXPECT_EQ(stat_of(path("followed")).st_ino, stat_of(path("file")).st_ino);
}

TEST_F(Names, SymlinksKeepTheirTarget) {
  const std::string longest(4095, 't');
  for (const std::string& target : {std::string("x"), std::string("../a/./b//"), longest}) {
    const std::string name = path("link" + std::to_string(target.size()));
    ASSERT_EQ(error_of(symlink(target.c_str(), name.c_str())), 0);
    std::string read(5000, '\0');
    const ssize_t size = readlink(name.c_str(), read.data(), read.size());
    EXPECT_EQ(read.substr(0, static_cast<size_t>(size)), target);
    EXPECT_EQ(stat_of(name).st_size, static_cast<off_t>(target.size()));
  }
  EXPECT_EQ(error_of(symlink("", path("empty").c_str())), ENOENT);
  EXPECT_EQ(error_of(symlink(std::string(4096, 't').c_str(), path("longer").c_str())), ENAMETOOLONG);
  char byte = 0;
  EXPECT_EQ(readlink(path("link10").c_str(), &byte, 1), 1);
  make_file("file");
  EXPECT_EQ(error_of(readlink(path("file").c_str(), &byte, 1)), EINVAL);
}

TEST_F(Names, SymlinkLoopsEnd) {
  ASSERT_EQ(symlink("b", path("a").c_str()), 0);
  ASSERT_EQ(symlink("a", path("b").c_str()), 0);
  ASSERT_EQ(symlink("self", path("self").c_str()), 0);
  struct stat stat {};
  EXPECT_EQ(error_of(::stat(path("a").c_str(), &stat)), ELOOP);
  EXPECT_EQ(error_of(::stat(path("self/x").c_str(), &stat)), ELOOP);
  EXPECT_EQ(File(open(path("self").c_str(), O_WRONLY | O_CREAT, 0644)).error(), ELOOP);
  EXPECT_EQ(File(open(path("a").c_str(), O_RDONLY | O_NOFOLLOW)).error(), ELOOP);
}

TEST_F(Names, TrailingSlashMeansADirectory) {
  make_file("file");
  make_directory("directory");
  ASSERT_EQ(symlink("directory", path("link").c_str()), 0);
  struct stat stat {};
  EXPECT_EQ(error_of(lstat(path("file/").c_str(), &stat)), ENOTDIR);
  ASSERT_EQ(error_of(lstat(path("link/").c_str(), &stat)), 0);
  EXPECT_TRUE(S_ISDIR(stat.st_mode));
  EXPECT_EQ(error_of(unlink(path("link/").c_str())), ENOTDIR);
  EXPECT_EQ(error_of(mkdir(path("new/").c_str(), 0755)), 0);
  EXPECT_EQ(rename_to("directory/", "renamed/"), 0);
}

TEST_F(Names, SpecialFilesKeepTheirTypeAndNumbers) {
  const std::pair<const char*, mode_t> kinds[] = {{"fifo", S_IFIFO},
                                                  {"socket", S_IFSOCK},
                                                  {"character", S_IFCHR},
                                                  {"block", S_IFBLK},
                                                  {"regular", S_IFREG}};
  for (const auto& [name, type] : kinds) {
    const bool device = type == S_IFCHR || type == S_IFBLK;
    ASSERT_EQ(error_of(mknod(path(name).c_str(), type | 0640, device ? makedev(123, 456789) : 0)), 0) << name;
    const struct stat stat = stat_of(path(name));
    EXPECT_EQ(stat.st_mode, type | 0640u) << name;
    if (device) {
      EXPECT_EQ(major(stat.st_rdev), 123u);
      EXPECT_EQ(minor(stat.st_rdev), 456789u);
    }
  }
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(error_of(mknod(path("alices").c_str(), S_IFCHR | 0600, makedev(1, 3))), EPERM);
  EXPECT_EQ(error_of(mkfifo(path("alices").c_str(), 0600)), 0);
}

TEST_F(Names, FifosConnectProcesses) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  const File reader(open(path("fifo").c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_EQ(in_child([&] {
              const File writer(open(path("fifo").c_str(), O_WRONLY));
              return write(writer.get(), "through", 7) == 7 ? 0 : 1;
            }),
            0);
  char bytes[16];
  EXPECT_EQ(read(reader.get(), bytes, sizeof(bytes)), 7);
}

TEST_F(Names, ListingTellsTypesAndInodes) {
  make_file("file");
  make_directory("directory");
  ASSERT_EQ(symlink("x", path("symlink").c_str()), 0);
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0644), 0);
  DIR* directory = opendir(directory_.c_str());
  ASSERT_NE(directory, nullptr);
  std::set<std::string> seen;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    EXPECT_TRUE(seen.insert(name).second) << name << " twice";
    if (name == "..") continue;
    const struct stat stat = stat_of(path(name));
    EXPECT_EQ(entry->d_ino, stat.st_ino) << name;
    EXPECT_EQ(entry->d_type, IFTODT(stat.st_mode)) << name;
  }
  closedir(directory);
  EXPECT_EQ(seen, (std::set<std::string>{".", "..", "file", "directory", "symlink", "fifo"}));
}

TEST_F(Names, ListingWhileDeletingMissesNothingAndRepeatsNothing) {
  constexpr int kFiles = 1000;
  for (int i = 0; i < kFiles; ++i) make_file("f" + std::to_string(i));
  DIR* directory = opendir(directory_.c_str());
  ASSERT_NE(directory, nullptr);
  std::set<std::string> seen;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name[0] != 'f') continue;
    EXPECT_TRUE(seen.insert(name).second) << name << " twice";
    EXPECT_EQ(error_of(unlink(path(name).c_str())), 0) << name;
  }
  closedir(directory);
  EXPECT_EQ(seen.size(), static_cast<size_t>(kFiles));
  EXPECT_TRUE(names_in(directory_).empty());
}

TEST_F(Names, SeekdirGoesBackToAPlace) {
  for (int i = 0; i < 300; ++i) make_file("f" + std::to_string(i));
  DIR* directory = opendir(directory_.c_str());
  ASSERT_NE(directory, nullptr);
  for (int i = 0; i < 100; ++i) ASSERT_NE(readdir(directory), nullptr);
  const long place = telldir(directory);
  std::vector<std::string> first, second;
  while (const dirent* entry = readdir(directory)) first.emplace_back(entry->d_name);
  seekdir(directory, place);
  while (const dirent* entry = readdir(directory)) second.emplace_back(entry->d_name);
  EXPECT_EQ(first.size(), 202u);
  EXPECT_EQ(first, second);
  rewinddir(directory);
  size_t all = 0;
  while (readdir(directory) != nullptr) ++all;
  EXPECT_EQ(all, 302u);
  closedir(directory);
}

TEST_F(Names, RewinddirShowsNewEntries) {
  DIR* directory = opendir(directory_.c_str());
  ASSERT_NE(directory, nullptr);
  while (readdir(directory) != nullptr) {
  }
  make_file("new");
  rewinddir(directory);
  bool seen = false;
  while (const dirent* entry = readdir(directory)) seen |= std::string(entry->d_name) == "new";
  EXPECT_TRUE(seen);
  closedir(directory);
}

TEST_F(Names, RemovedDirectoryIsEmptyForWhoHasItOpen) {
  const std::string name = make_directory("directory");
  const File opened(open(name.c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(rmdir(name.c_str()), 0);
  struct stat stat {};
  ASSERT_EQ(error_of(fstat(opened.get(), &stat)), 0);
  EXPECT_EQ(stat.st_nlink, 0u);
  EXPECT_EQ(error_of(mkdirat(opened.get(), "x", 0755)), ENOENT);
  EXPECT_EQ(File(openat(opened.get(), "x", O_WRONLY | O_CREAT, 0644)).error(), ENOENT);
}

TEST_F(Names, LargeDirectoriesKeepEveryName) {
  constexpr int kFiles = 3000;
  for (int i = 0; i < kFiles; ++i) {
    ASSERT_EQ(error_of(mknod(path("a rather long name for an entry " + std::to_string(i)).c_str(),
                             S_IFREG | 0644, 0)),
              0);
  }
  EXPECT_EQ(names_in(directory_).size(), static_cast<size_t>(kFiles));
}

}  // namespace
}  // namespace shima
