// Who may do what: POSIX.1-2017, XBD 4.5 (file access permissions), and the pages of the calls.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

class Permissions : public PosixRules {
 protected:
  static int try_open(const std::string& path, int flags) {
    return File(open(path.c_str(), flags, 0644)).error();
  }
};

TEST_F(Permissions, OwnerGroupAndOthersHaveTheirOwnBits) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, kBob), 0);
  ASSERT_EQ(chmod(file.c_str(), 0421), 0);
  {
    const AsUser alice(kAlice, kAlice);
    EXPECT_EQ(try_open(file, O_RDONLY), 0);
    EXPECT_EQ(try_open(file, O_WRONLY), EACCES);
  }
  {
    const AsUser bob(kBob, kBob);
    EXPECT_EQ(try_open(file, O_RDONLY), EACCES);
    EXPECT_EQ(try_open(file, O_WRONLY), 0);
  }
  {
    const AsUser other(1003, 1003);
    EXPECT_EQ(try_open(file, O_RDONLY), EACCES);
    EXPECT_EQ(try_open(file, O_WRONLY), EACCES);
  }
}

TEST_F(Permissions, OwnerIsNotHelpedByTheGroupsBits) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  ASSERT_EQ(chmod(file.c_str(), 0066), 0);
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(try_open(file, O_RDONLY), EACCES);
}

TEST_F(Permissions, SupplementaryGroupsCount) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), 0, 2000), 0);
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  {
    const AsUser alice(kAlice, kAlice);
    EXPECT_EQ(try_open(file, O_RDONLY), EACCES);
  }
  const AsUser alice(kAlice, kAlice, {3000, 2000});
  EXPECT_EQ(try_open(file, O_RDONLY), 0);
}

TEST_F(Permissions, SearchNeedsExecutionAndListingNeedsReading) {
  const std::string directory = make_directory("directory", 0711);
  make_file("directory/file", "x");
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(try_open(directory + "/file", O_RDONLY), 0);
  EXPECT_EQ(try_open(directory, O_RDONLY | O_DIRECTORY), EACCES);
  struct stat stat {};
  EXPECT_EQ(error_of(lstat((directory + "/file").c_str(), &stat)), 0);
}

TEST_F(Permissions, WithoutSearchNothingInsideIsReached) {
  const std::string directory = make_directory("directory", 0755);
  make_file("directory/file");
  ASSERT_EQ(chmod(directory.c_str(), 0766), 0);
  const AsUser alice(kAlice, kAlice);
  struct stat stat {};
  EXPECT_EQ(error_of(lstat((directory + "/file").c_str(), &stat)), EACCES);
  EXPECT_EQ(error_of(unlink((directory + "/file").c_str())), EACCES);
  EXPECT_EQ(error_of(mkdir((directory + "/new").c_str(), 0777)), EACCES);
}

TEST_F(Permissions, CreatingAndRemovingNeedWritingInTheDirectory) {
  const std::string directory = make_directory("directory", 0755);
  make_file("directory/file");
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(try_open(directory + "/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(error_of(mkdir((directory + "/new").c_str(), 0777)), EACCES);
  EXPECT_EQ(error_of(symlink("x", (directory + "/new").c_str())), EACCES);
  EXPECT_EQ(error_of(mkfifo((directory + "/new").c_str(), 0777)), EACCES);
  const int linked = error_of(link((directory + "/file").c_str(), (directory + "/new").c_str()));
  EXPECT_TRUE(linked == EACCES || linked == EPERM) << linked;  // EPERM: by fs.protected_hardlinks
  EXPECT_EQ(error_of(unlink((directory + "/file").c_str())), EACCES);
  EXPECT_EQ(error_of(rename((directory + "/file").c_str(), path("moved").c_str())), EACCES);
}

TEST_F(Permissions, StickyDirectoryGivesEntriesToTheirOwnersOnly) {
  const std::string directory = make_directory("directory", 01777);
  const std::string file = make_file("directory/alices");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  make_file("directory/roots");
  {
    const AsUser bob(kBob, kBob);
    EXPECT_EQ(error_of(unlink(file.c_str())), EPERM);
    EXPECT_EQ(error_of(rename(file.c_str(), path("moved").c_str())), EPERM);
    ASSERT_EQ(error_of(mkdir((directory + "/bobs").c_str(), 0777)), 0);
  }
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(error_of(rename((directory + "/alices").c_str(), (directory + "/roots").c_str())), EPERM);
  EXPECT_EQ(error_of(rmdir((directory + "/bobs").c_str())), EPERM);
  EXPECT_EQ(error_of(unlink(file.c_str())), 0);
}

TEST_F(Permissions, OwnerOfAStickyDirectoryMayRemoveWhatIsInIt) {
  const std::string directory = make_directory("directory", 01777);
  ASSERT_EQ(chown(directory.c_str(), kBob, kBob), 0);
  const std::string file = make_file("directory/alices");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  const AsUser bob(kBob, kBob);
  EXPECT_EQ(error_of(unlink(file.c_str())), 0);
}

TEST_F(Permissions, OnlyTheOwnerChangesTheMode) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  {
    const AsUser bob(kBob, kBob);
    EXPECT_EQ(error_of(chmod(file.c_str(), 0777)), EPERM);
  }
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(error_of(chmod(file.c_str(), 0777)), 0);
  EXPECT_EQ(mode_of(file), 0777u);
}

TEST_F(Permissions, OnlyRootGivesFilesAway) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  const AsUser alice(kAlice, kAlice, {2000});
  EXPECT_EQ(error_of(chown(file.c_str(), kBob, static_cast<gid_t>(-1))), EPERM);
  EXPECT_EQ(error_of(chown(file.c_str(), static_cast<uid_t>(-1), kBob)), EPERM);
  EXPECT_EQ(error_of(chown(file.c_str(), static_cast<uid_t>(-1), 2000)), 0);
  EXPECT_EQ(stat_of(file).st_gid, 2000u);
}

TEST_F(Permissions, ChownByTheOwnerTakesSetIdBitsAway) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  ASSERT_EQ(chmod(file.c_str(), 06777), 0);
  const AsUser alice(kAlice, kAlice, {2000});
  ASSERT_EQ(error_of(chown(file.c_str(), static_cast<uid_t>(-1), 2000)), 0);
  EXPECT_EQ(mode_of(file), 0777u);
}

TEST_F(Permissions, ChownOfADirectoryLeavesItsSetGidBit) {
  const std::string directory = make_directory("directory", 0755);
  ASSERT_EQ(chmod(directory.c_str(), 02755), 0);
  ASSERT_EQ(chown(directory.c_str(), kAlice, kAlice), 0);
  EXPECT_EQ(mode_of(directory), 02755u);
}

TEST_F(Permissions, WritingWithoutPrivilegeTakesSetIdBitsAway) {
  const std::string file = make_file("file", "x");
  ASSERT_EQ(chmod(file.c_str(), 06777), 0);
  {
    const AsUser alice(kAlice, kAlice);
    const File opened(open(file.c_str(), O_WRONLY));
    ASSERT_EQ(opened.error(), 0);
    ASSERT_EQ(write(opened.get(), "y", 1), 1);
  }
  EXPECT_EQ(mode_of(file), 0777u);
}

TEST_F(Permissions, WritingByRootLeavesSetIdBits) {
  const std::string file = make_file("file", "x");
  ASSERT_EQ(chmod(file.c_str(), 06777), 0);
  const File opened(open(file.c_str(), O_WRONLY));
  ASSERT_EQ(write(opened.get(), "y", 1), 1);
  EXPECT_EQ(mode_of(file), 06777u);
}

TEST_F(Permissions, WritingWithDirectIoTakesSetIdBitsAwayToo) {
  const std::string file = make_file("file", "x");
  ASSERT_EQ(chmod(file.c_str(), 06777), 0);
  {
    const AsUser alice(kAlice, kAlice);
    const File opened(open(file.c_str(), O_WRONLY | O_DIRECT));
    ASSERT_EQ(opened.error(), 0);
    alignas(4096) static const char block[4096] = {};
    ASSERT_EQ(write(opened.get(), block, sizeof(block)), 4096);
  }
  EXPECT_EQ(mode_of(file), 0777u);
}

TEST_F(Permissions, TruncatingWithoutPrivilegeTakesSetIdBitsAway) {
  for (const bool by_open : {false, true}) {
    const std::string file = make_file(by_open ? "opened" : "truncated", "content");
    ASSERT_EQ(chmod(file.c_str(), 06777), 0);
    {
      const AsUser alice(kAlice, kAlice);
      if (by_open) {
        EXPECT_EQ(File(open(file.c_str(), O_WRONLY | O_TRUNC)).error(), 0);
      } else {
        EXPECT_EQ(error_of(truncate(file.c_str(), 2)), 0);
      }
    }
    EXPECT_EQ(mode_of(file), 0777u) << by_open;
  }
}

TEST_F(Permissions, ChmodOutsideTheOwnGroupsDropsSetGid) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, 2000), 0);
  const AsUser alice(kAlice, kAlice);
  ASSERT_EQ(error_of(chmod(file.c_str(), 02755)), 0);
  EXPECT_EQ(mode_of(file), 0755u);
}

TEST_F(Permissions, SetGidDirectoryHandsItsGroupDown) {
  const std::string directory = make_directory("directory");
  ASSERT_EQ(chown(directory.c_str(), 0, 2000), 0);
  ASSERT_EQ(chmod(directory.c_str(), 02777), 0);
  {
    const AsUser alice(kAlice, kAlice);
    ASSERT_EQ(error_of(mkdir((directory + "/sub").c_str(), 0755)), 0);
    ASSERT_EQ(try_open(directory + "/file", O_WRONLY | O_CREAT), 0);
  }
  EXPECT_EQ(stat_of(directory + "/sub").st_gid, 2000u);
  EXPECT_EQ(mode_of(directory + "/sub"), 02755u);
  EXPECT_EQ(stat_of(directory + "/file").st_gid, 2000u);
  EXPECT_EQ(stat_of(directory + "/file").st_uid, kAlice);
}

TEST_F(Permissions, NewFilesAreTheirCreatorsAndObeyTheUmask) {
  const std::string directory = make_directory("directory", 0777);
  umask(027);
  {
    const AsUser alice(kAlice, kBob);
    EXPECT_EQ(error_of(mkdir((directory + "/sub").c_str(), 0777)), 0);
    EXPECT_EQ(File(open((directory + "/file").c_str(), O_WRONLY | O_CREAT, 0666)).error(), 0);
    EXPECT_EQ(error_of(mkfifo((directory + "/fifo").c_str(), 0666)), 0);
  }
  umask(0);
  EXPECT_EQ(mode_of(directory + "/sub"), 0750u);
  EXPECT_EQ(mode_of(directory + "/file"), 0640u);
  EXPECT_EQ(mode_of(directory + "/fifo"), 0640u);
  EXPECT_EQ(stat_of(directory + "/file").st_uid, kAlice);
  EXPECT_EQ(stat_of(directory + "/file").st_gid, kBob);
}

TEST_F(Permissions, CreatorMayWriteWhatItMadeReadOnly) {
  const AsUser alice(kAlice, kAlice);
  const File file(open(path("file").c_str(), O_RDWR | O_CREAT, 0444));
  ASSERT_EQ(file.error(), 0);
  EXPECT_EQ(write(file.get(), "abc", 3), 3);
  EXPECT_EQ(try_open(path("file"), O_WRONLY), EACCES);
}

TEST_F(Permissions, OpenFileStaysUsableAfterChmod) {
  const std::string name = make_file("file", "content");
  ASSERT_EQ(chown(name.c_str(), kAlice, kAlice), 0);
  const AsUser alice(kAlice, kAlice);
  const File file(open(name.c_str(), O_RDWR));
  ASSERT_EQ(chmod(name.c_str(), 0), 0);
  char byte = 0;
  EXPECT_EQ(pread(file.get(), &byte, 1, 0), 1);
  EXPECT_EQ(pwrite(file.get(), "x", 1, 0), 1);
}

TEST_F(Permissions, ExecutionNeedsABitEvenForRoot) {
  const std::string file = make_file("script", "#!/bin/sh\nexit 7\n");
  EXPECT_EQ(error_of(access(file.c_str(), X_OK)), EACCES);
  ASSERT_EQ(chmod(file.c_str(), 0755), 0);
  EXPECT_EQ(error_of(access(file.c_str(), X_OK)), 0);
  EXPECT_EQ(in_child([&] {
              execl(file.c_str(), file.c_str(), nullptr);
              return 1;
            }),
            7);
}

TEST_F(Permissions, TimesAreSetByOwnersAndToNowByWriters) {
  const std::string file = make_file("file");
  ASSERT_EQ(chown(file.c_str(), kAlice, kAlice), 0);
  ASSERT_EQ(chmod(file.c_str(), 0666), 0);
  const timespec past[2] = {{1000, 5}, {2000, 7}};
  {
    const AsUser bob(kBob, kBob);
    EXPECT_EQ(error_of(utimensat(AT_FDCWD, file.c_str(), past, 0)), EPERM);
    EXPECT_EQ(error_of(utimensat(AT_FDCWD, file.c_str(), nullptr, 0)), 0);
  }
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  {
    const AsUser bob(kBob, kBob);
    EXPECT_EQ(error_of(utimensat(AT_FDCWD, file.c_str(), nullptr, 0)), EACCES);
  }
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(error_of(utimensat(AT_FDCWD, file.c_str(), past, 0)), 0);
}

TEST_F(Permissions, MovingADirectoryNeedsWritingInIt) {
  // Its ".." changes: POSIX rename, EACCES.
  const std::string from = make_directory("from", 0777), to = make_directory("to", 0777);
  make_directory("from/roots", 0755);
  const AsUser alice(kAlice, kAlice);
  EXPECT_EQ(error_of(rename((from + "/roots").c_str(), (to + "/roots").c_str())), EACCES);
  EXPECT_EQ(error_of(rename((from + "/roots").c_str(), (from + "/renamed").c_str())), 0);
}

}  // namespace
}  // namespace shima
