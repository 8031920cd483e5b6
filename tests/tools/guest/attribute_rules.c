// Rules about owners, modes, times and sizes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { SOMEBODY = 1234, SOMEGROUP = 2345, NOBODY_ELSE = 4321 };

static bool become(uid_t uid, gid_t gid) {
  ENSURE(setgroups(0, NULL) == 0 && setgid(gid) == 0 && setuid(uid) == 0, "cannot become user %u",
         (unsigned)uid);
  return true;
}

static bool mode_is(const char* path, mode_t wanted) {
  struct stat status;
  ENSURE(stat(path, &status) == 0, "stat of %s", path);
  ENSURE((status.st_mode & 07777) == wanted, "mode of %s is %04o, wanted %04o", path, status.st_mode & 07777,
         wanted);
  return true;
}

static void root_changes_mode_and_owner(void) {
  if (!make_file("f", 10, 1)) return;
  REQUIRE(mkdir("d", 0750) == 0, "mkdir");
  REQUIRE(chmod("f", 06755) == 0 && chmod("d", 01777) == 0, "chmod");
  drop_caches();
  if (!mode_is("f", 06755) || !mode_is("d", 01777)) return;
  REQUIRE(chown("f", 107, 107) == 0, "chown to 107:107, as KubeVirt does");
  REQUIRE(symlink("f", "l") == 0 && lchown("l", SOMEBODY, SOMEGROUP) == 0, "lchown");
  drop_caches();
  struct stat status;
  REQUIRE(stat("f", &status) == 0 && status.st_uid == 107 && status.st_gid == 107, "owner is %u:%u",
          (unsigned)status.st_uid, (unsigned)status.st_gid);
  REQUIRE(lstat("l", &status) == 0 && status.st_uid == SOMEBODY && status.st_gid == SOMEGROUP,
          "the link's owner");
  REQUIRE(
      chown("f", (uid_t)-1, 5) == 0 && stat("f", &status) == 0 && status.st_uid == 107 && status.st_gid == 5,
      "chown of the group only");
}

static void a_chown_clears_set_id(void) {
  if (!make_file("f", 10, 1)) return;
  REQUIRE(chown("f", SOMEBODY, SOMEGROUP) == 0 && chmod("f", 06755) == 0, "preparation");
  if (!become(SOMEBODY, SOMEGROUP)) return;
  REQUIRE(chown("f", (uid_t)-1, SOMEGROUP) == 0, "the owner's chown to a group of his");
  if (!mode_is("f", 0755)) return;
  REQUIRE(chmod("f", 04755) == 0, "the owner's chmod");
  if (!mode_is("f", 04755)) return;
}

static void a_write_clears_set_id(void) {
  if (!make_file("f", 10, 1)) return;
  REQUIRE(chmod("f", 06777) == 0, "chmod");
  if (!become(SOMEBODY, SOMEGROUP)) return;
  const int file = open("f", O_WRONLY);
  if (!write_pattern(file, 0, 20, 1)) return;
  REQUIRE(close(file) == 0, "close");
  if (!mode_is("f", 0777)) return;
}

static void permissions_are_kept(void) {
  REQUIRE(mkdir("closed", 0700) == 0 && mkdir("open", 0755) == 0 && mkdir("sticky", 0777) == 0, "mkdir");
  REQUIRE(chmod("sticky", 01777) == 0, "chmod");
  if (!make_file("closed/f", 10, 1) || !make_file("secret", 10, 1) || !make_file("sticky/f", 10, 1)) return;
  REQUIRE(chmod("secret", 0600) == 0 && chmod("sticky/f", 0666) == 0, "chmod");
  if (!become(SOMEBODY, SOMEGROUP)) return;
  REQUIRE_ERRNO(open("secret", O_RDONLY), EACCES);
  REQUIRE_ERRNO(open("closed/f", O_RDONLY), EACCES);
  REQUIRE_ERRNO(open("open/new", O_CREAT | O_WRONLY, 0644), EACCES);
  REQUIRE_ERRNO(mkdir("open/new", 0755), EACCES);
  REQUIRE_ERRNO(rename("secret", "open/secret"), EACCES);
  REQUIRE_ERRNO(unlink("secret"), EACCES);
  REQUIRE_ERRNO(chmod("secret", 0666), EPERM);
  REQUIRE_ERRNO(chown("secret", SOMEBODY, SOMEGROUP), EPERM);
  REQUIRE_ERRNO(truncate("secret", 0), EACCES);
  errno = 0;
  REQUIRE(unlink("sticky/f") == -1 && (errno == EPERM || errno == EACCES),
          "another's file in a sticky folder");
  REQUIRE(access("secret", R_OK) == -1 && errno == EACCES, "access(2)");
  if (!make_file("sticky/own", 10, 1)) return;
  struct stat status;
  REQUIRE(stat("sticky/own", &status) == 0 && status.st_uid == SOMEBODY && status.st_gid == SOMEGROUP,
          "new file's owner");
  REQUIRE(unlink("sticky/own") == 0, "one's own file in a sticky folder");
}

static void the_owner_of_a_read_only_file_goes_on_writing(void) {
  REQUIRE(chmod(".", 0777) == 0, "chmod");
  if (!become(SOMEBODY, SOMEGROUP)) return;
  const int file = open("f", O_CREAT | O_RDWR, 0400);  // opened for writing although its mode forbids it
  REQUIRE(file >= 0, "open");
  if (!write_pattern(file, 0, 9000, 1)) return;
  REQUIRE(fsync(file) == 0, "fsync");
  REQUIRE(fchmod(file, 0) == 0, "fchmod");
  if (!write_pattern(file, 9000, 9000, 1)) return;
  REQUIRE(fsync(file) == 0, "fsync after chmod 0");
  if (!read_pattern(file, 0, 18000, 1)) return;
}

static void set_gid_folders_pass_their_group_on(void) {
  REQUIRE(mkdir("g", 0777) == 0 && chown("g", 0, SOMEGROUP) == 0 && chmod("g", 02777) == 0, "preparation");
  if (!become(SOMEBODY, NOBODY_ELSE)) return;
  if (!make_file("g/f", 1, 1)) return;
  REQUIRE(mkdir("g/d", 0755) == 0, "mkdir");
  struct stat file, folder;
  REQUIRE(stat("g/f", &file) == 0 && stat("g/d", &folder) == 0, "stat");
  REQUIRE(file.st_gid == SOMEGROUP && folder.st_gid == SOMEGROUP, "groups are %u and %u",
          (unsigned)file.st_gid, (unsigned)folder.st_gid);
  REQUIRE((folder.st_mode & S_ISGID) != 0, "the new folder is not set-gid itself");
}

static void times_can_be_set(void) {
  if (!make_file("f", 10, 1)) return;
  const struct timespec times[2] = {{1000000000, 123456789}, {1234567890, 987654321}};
  REQUIRE(utimensat(AT_FDCWD, "f", times, 0) == 0, "utimensat");
  drop_caches();
  struct stat status;
  REQUIRE(stat("f", &status) == 0, "stat");
  REQUIRE(status.st_atim.tv_sec == 1000000000 && status.st_mtim.tv_sec == 1234567890, "seconds");
  REQUIRE(status.st_atim.tv_nsec == 123456789 && status.st_mtim.tv_nsec == 987654321,
          "nanoseconds: %ld and %ld", status.st_atim.tv_nsec, status.st_mtim.tv_nsec);
  const struct timespec only_mtime[2] = {{0, UTIME_OMIT}, {5, 6}};
  REQUIRE(utimensat(AT_FDCWD, "f", only_mtime, 0) == 0 && stat("f", &status) == 0,
          "utimensat with UTIME_OMIT");
  REQUIRE(status.st_atim.tv_sec == 1000000000 && status.st_mtim.tv_sec == 5 && status.st_mtim.tv_nsec == 6,
          "UTIME_OMIT");
  const int file = open("f", O_WRONLY);
  if (!write_pattern(file, 0, 10, 2)) return;
  REQUIRE(close(file) == 0, "close");
  drop_caches();
  REQUIRE(stat("f", &status) == 0 && status.st_mtim.tv_sec > 1500000000,
          "a write after utimes leaves mtime %lld", (long long)status.st_mtim.tv_sec);
  REQUIRE(utimensat(AT_FDCWD, "f", only_mtime, 0) == 0, "utimes after a write");
  drop_caches();
  REQUIRE(stat("f", &status) == 0 && status.st_mtim.tv_sec == 5, "utimes after a write leaves mtime %lld",
          (long long)status.st_mtim.tv_sec);
}

static double seconds_of(struct timespec time) { return (double)time.tv_sec + (double)time.tv_nsec / 1e9; }

static bool times_of(const char* path, double* mtime, double* ctime) {
  struct stat status;
  drop_caches();
  ENSURE(stat(path, &status) == 0, "stat of %s", path);
  *mtime = seconds_of(status.st_mtim), *ctime = seconds_of(status.st_ctim);
  return true;
}

static void changes_move_times_on(void) {
  double m0, c0, m1, c1;
  REQUIRE(mkdir("d", 0755) == 0, "mkdir");
  if (!make_file("d/f", 10, 1) || !times_of("d", &m0, &c0)) return;
  usleep(20000);
  if (!make_file("d/g", 10, 1) || !times_of("d", &m1, &c1)) return;
  REQUIRE(m1 > m0 && c1 > c0, "a creation does not move the folder's times");
  if (!times_of("d/f", &m0, &c0)) return;
  usleep(20000);
  REQUIRE(chmod("d/f", 0600) == 0, "chmod");
  if (!times_of("d/f", &m1, &c1)) return;
  REQUIRE(c1 > c0 && m1 == m0, "chmod must move ctime (%+.3f s) and not mtime (%+.3f s)", c1 - c0, m1 - m0);
  usleep(20000);
  const int file = open("d/f", O_WRONLY);
  if (!write_pattern(file, 0, 5, 2)) return;
  REQUIRE(close(file) == 0, "close");
  if (!times_of("d/f", &m0, &c0)) return;
  REQUIRE(m0 > m1 && c0 > c1, "a write must move mtime (%+.3f s) and ctime (%+.3f s)", m0 - m1, c0 - c1);
  usleep(20000);
  REQUIRE(rename("d/f", "d/h") == 0, "rename");
  if (!times_of("d/h", &m1, &c1)) return;
  REQUIRE(m1 == m0, "rename moves the file's mtime");
}

static void mtime_does_not_run_backwards_after_writing_pauses(void) {
  double m0, c0, m1, c1;
  if (!make_file("f", 100000, 1) || !times_of("f", &m0, &c0)) return;
  sleep(5);  // an access server takes its mark away after 2 s
  if (!times_of("f", &m1, &c1)) return;
  REQUIRE(m1 == m0 && c1 == c0, "without a change times moved by %+.6f and %+.6f s", m1 - m0, c1 - c0);
  struct stat status;
  REQUIRE(stat("f", &status) == 0 && status.st_blocks * 512 >= 100000, "%lld blocks for 100,000 bytes",
          (long long)status.st_blocks);
}

static void statistics_of_the_volume(void) {
  struct statvfs before, after;
  REQUIRE(statvfs(".", &before) == 0, "statvfs");
  REQUIRE(before.f_blocks > 0 && before.f_bfree <= before.f_blocks && before.f_bavail <= before.f_bfree,
          "%llu blocks, %llu free, %llu available", (unsigned long long)before.f_blocks,
          (unsigned long long)before.f_bfree, (unsigned long long)before.f_bavail);
  REQUIRE(before.f_files > 0 && before.f_ffree <= before.f_files, "inodes: %llu, %llu free",
          (unsigned long long)before.f_files, (unsigned long long)before.f_ffree);
  REQUIRE(before.f_namemax == 255, "names of %lu bytes", before.f_namemax);
  if (!make_file("f", 100, 1)) return;
  REQUIRE(statvfs(".", &after) == 0 && after.f_blocks == before.f_blocks, "the total changed");
}

static void umask_and_modes_of_new_files(void) {
  umask(027);
  const int file = open("f", O_CREAT | O_WRONLY, 0666);
  REQUIRE(file >= 0 && close(file) == 0 && mkdir("d", 0777) == 0, "creation");
  drop_caches();
  if (!mode_is("f", 0640) || !mode_is("d", 0750)) return;
}

const struct rule attribute_rules[] = {
    {"root changes mode and owner", root_changes_mode_and_owner},
    {"chown by the owner clears set-uid and set-gid", a_chown_clears_set_id},
    {"a write by another clears set-uid and set-gid", a_write_clears_set_id},
    {"permissions are kept", permissions_are_kept},
    {"the owner goes on writing to a file whose mode forbids it",
     the_owner_of_a_read_only_file_goes_on_writing},
    {"set-gid folders pass their group on", set_gid_folders_pass_their_group_on},
    {"times can be set, to the nanosecond", times_can_be_set},
    {"changes move mtime and ctime on", changes_move_times_on},
    {"times and blocks are right after writing paused", mtime_does_not_run_backwards_after_writing_pauses},
    {"statfs tells the volume's size", statistics_of_the_volume},
    {"umask and modes of new files", umask_and_modes_of_new_files},
    {NULL, NULL},
};
