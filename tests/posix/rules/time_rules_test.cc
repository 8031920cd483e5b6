// Times: which calls change which (POSIX.1-2017, XBD 4.9), and utimensat(2). Reading need not change atime:
// noatime is allowed to a mount.
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

class FileTimes : public PosixRules {
 protected:
  // "mtime ctime " of the path, as far as the work changes them.
  static std::string changed_by(const std::string& path, const std::function<void()>& work) {
    const Times before = times_of(path);
    usleep(12'000);  // a kernel without fine-grained times counts ticks
    work();
    const Times after = times_of(path);
    return std::string(before.modified == after.modified ? "" : "mtime ") +
           (before.changed == after.changed ? "" : "ctime ");
  }
  // Is it of the time since `before`, give or take a difference of clocks?
  static bool is_since(time_t before, const timespec& time) {
    return time.tv_sec > before - 5 && time.tv_sec < ::time(nullptr) + 5;
  }
  static void expect_done(int result) { EXPECT_EQ(result, 0) << "errno " << errno; }
};

TEST_F(FileTimes, WritingMarksTheFile) {
  const std::string name = make_file("file", "content");
  const File file(open(name.c_str(), O_WRONLY));
  EXPECT_EQ(changed_by(name, [&] { EXPECT_EQ(pwrite(file.get(), "x", 1, 0), 1); }), "mtime ctime ");
  EXPECT_EQ(changed_by(name, [&] { EXPECT_EQ(pwrite(file.get(), "x", 1, 100), 1); }), "mtime ctime ");
  EXPECT_EQ(changed_by(directory_, [&] { EXPECT_EQ(pwrite(file.get(), "x", 1, 0), 1); }), "");
}

TEST_F(FileTimes, TruncationMarksTheFile) {
  const std::string name = make_file("file", "content");
  EXPECT_EQ(changed_by(name, [&] { expect_done(truncate(name.c_str(), 3)); }), "mtime ctime ");
  EXPECT_EQ(changed_by(name, [&] { expect_done(truncate(name.c_str(), 30)); }), "mtime ctime ");
  EXPECT_EQ(changed_by(name, [&] { File(open(name.c_str(), O_WRONLY | O_TRUNC)); }), "mtime ctime ");
}

TEST_F(FileTimes, AttributesMarkCtimeOnly) {
  const std::string name = make_file("file", "content");
  EXPECT_EQ(changed_by(name, [&] { expect_done(chmod(name.c_str(), 0600)); }), "ctime ");
  EXPECT_EQ(changed_by(name, [&] { expect_done(chown(name.c_str(), kAlice, kAlice)); }), "ctime ");
  EXPECT_EQ(changed_by(name, [&] { expect_done(link(name.c_str(), path("link").c_str())); }), "ctime ");
  EXPECT_EQ(changed_by(name, [&] { expect_done(unlink(path("link").c_str())); }), "ctime ");
}

TEST_F(FileTimes, NamesMarkTheirDirectory) {
  const std::string both = "mtime ctime ";
  EXPECT_EQ(changed_by(directory_, [&] { make_file("file"); }), both);
  EXPECT_EQ(changed_by(directory_, [&] { make_directory("sub"); }), both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(symlink("x", path("symlink").c_str())); }), both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(mkfifo(path("fifo").c_str(), 0644)); }), both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(link(path("file").c_str(), path("link").c_str())); }),
            both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(unlink(path("link").c_str())); }), both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(rename(path("file").c_str(), path("moved").c_str())); }),
            both);
  EXPECT_EQ(
      changed_by(path("sub"), [&] { expect_done(rename(path("moved").c_str(), path("sub/in").c_str())); }),
      both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(rename(path("sub/in").c_str(), path("out").c_str())); }),
            both);
  EXPECT_EQ(changed_by(directory_, [&] { expect_done(rmdir(path("sub").c_str())); }), both);
}

TEST_F(FileTimes, FailuresMarkNothing) {
  make_file("file");
  EXPECT_EQ(changed_by(directory_,
                       [&] {
                         EXPECT_NE(mkdir(path("file").c_str(), 0755), 0);
                         EXPECT_NE(unlink(path("missing").c_str()), 0);
                         EXPECT_NE(rename(path("missing").c_str(), path("x").c_str()), 0);
                       }),
            "");
}

TEST_F(FileTimes, LookingMarksNothing) {
  make_file("file", "content");
  EXPECT_EQ(changed_by(path("file"),
                       [&] {
                         EXPECT_EQ(content_of(path("file")), "content");
                         EXPECT_EQ(access(path("file").c_str(), R_OK), 0);
                         names_in(directory_);
                       }),
            "");
}

TEST_F(FileTimes, UtimensatSetsNanoseconds) {
  const std::string name = make_file("file");
  for (const timespec time : {timespec{1'234'567'890, 123'456'789}, timespec{0, 1},
                              timespec{-100, 999'999'999}, timespec{4'294'967'296, 0}}) {
    const timespec times[2] = {time, {time.tv_sec + 5, time.tv_nsec}};
    ASSERT_EQ(error_of(utimensat(AT_FDCWD, name.c_str(), times, 0)), 0);
    const Times now = times_of(name);
    EXPECT_TRUE(now.accessed == times[0]) << time.tv_sec << " became " << now.accessed.tv_sec;
    EXPECT_TRUE(now.modified == times[1]);
  }
}

TEST_F(FileTimes, UtimensatOmitsAndTakesNow) {
  const std::string name = make_file("file");
  const timespec past[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(utimensat(AT_FDCWD, name.c_str(), past, 0), 0);
  const time_t before = time(nullptr);
  const timespec first[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  ASSERT_EQ(utimensat(AT_FDCWD, name.c_str(), first, 0), 0);
  Times now = times_of(name);
  EXPECT_TRUE(now.accessed == past[0]);
  EXPECT_TRUE(is_since(before, now.modified));
  const timespec second[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  ASSERT_EQ(utimensat(AT_FDCWD, name.c_str(), second, 0), 0);
  EXPECT_TRUE(times_of(name).modified == now.modified);
  EXPECT_TRUE(is_since(before, times_of(name).accessed));
}

TEST_F(FileTimes, UtimensatOfSymlinksAndDirectories) {
  make_directory("directory");
  ASSERT_EQ(symlink("directory", path("symlink").c_str()), 0);
  const timespec past[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(utimensat(AT_FDCWD, path("symlink").c_str(), past, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_TRUE(times_of(path("symlink")).modified == past[1]);
  EXPECT_FALSE(times_of(path("directory")).modified == past[1]);
  ASSERT_EQ(utimensat(AT_FDCWD, path("symlink").c_str(), past, 0), 0);
  EXPECT_TRUE(times_of(path("directory")).modified == past[1]);
}

TEST_F(FileTimes, SetTimesStayAfterEarlierWrites) {
  const std::string name = make_file("file");
  const File file(open(name.c_str(), O_WRONLY));
  ASSERT_EQ(write(file.get(), "content", 7), 7);
  const timespec past[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(futimens(file.get(), past), 0);
  EXPECT_TRUE(times_of(name).modified == past[1]);
  ASSERT_EQ(pwrite(file.get(), "x", 1, 0), 1);
  EXPECT_FALSE(times_of(name).modified == past[1]);
  ASSERT_EQ(futimens(file.get(), past), 0);
  EXPECT_TRUE(times_of(name).modified == past[1]);
  usleep(2'500'000);  // what data servers know of the writes must not come back
  EXPECT_TRUE(times_of(name).modified == past[1]);
}

TEST_F(FileTimes, NewFilesAreFromNow) {
  const time_t before = time(nullptr);
  make_file("file");
  const Times times = times_of(path("file"));
  for (const timespec& time : {times.accessed, times.modified, times.changed})
    EXPECT_TRUE(is_since(before, time));
}

}  // namespace
}  // namespace shima
