// Rules about names: folders, links, renames, removals.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "check.h"

static bool exists(const char* path) {
  struct stat status;
  return lstat(path, &status) == 0;
}

static void exclusive_creation_fails_where_there_is_one(void) {
  if (!make_file("one", 10, 1)) return;
  REQUIRE_ERRNO(open("one", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
  drop_caches();
  REQUIRE_ERRNO(open("one", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
  REQUIRE_ERRNO(mkdir("one", 0755), EEXIST);
  REQUIRE_ERRNO(symlink("x", "one"), EEXIST);
  REQUIRE_ERRNO(open("none", O_RDONLY), ENOENT);
  REQUIRE_ERRNO(open("one/below", O_RDONLY), ENOTDIR);
  if (!file_is("one", 10, 1)) return;
}

static void rename_replaces(void) {
  if (!make_file("old", 5000, 1) || !make_file("new", 100, 2)) return;
  REQUIRE(rename("old", "new") == 0, "rename onto a file");
  drop_caches();
  REQUIRE(!exists("old"), "the old name is still there");
  if (!file_is("new", 5000, 1)) return;
  REQUIRE(mkdir("d1", 0755) == 0 && mkdir("d2", 0755) == 0 && mkdir("full", 0755) == 0, "mkdir");
  if (!make_file("full/x", 1, 1)) return;
  REQUIRE(rename("d1", "d2") == 0 && !exists("d1"), "a folder onto an empty one");
  errno = 0;
  const bool refused = rename("d2", "full") == -1 && (errno == ENOTEMPTY || errno == EEXIST);
  REQUIRE(refused, "a folder onto one that is not empty");
  REQUIRE_ERRNO(rename("new", "d2"), EISDIR);
  REQUIRE_ERRNO(rename("d2", "new"), ENOTDIR);
  REQUIRE_ERRNO(rename("none", "new"), ENOENT);
  REQUIRE_ERRNO(rename("full", "full/below"), EINVAL);
  REQUIRE(rename("new", "full/moved") == 0, "into another folder");
  if (!file_is("full/moved", 5000, 1)) return;
  REQUIRE(rename("full", "renamed") == 0, "of a folder with files");
  if (!file_is("renamed/moved", 5000, 1)) return;
}

static void folders_move_with_dotdot(void) {
  REQUIRE(mkdir("a", 0755) == 0 && mkdir("a/sub", 0755) == 0 && mkdir("b", 0755) == 0, "mkdir");
  REQUIRE(rename("a/sub", "b/sub") == 0, "rename");
  drop_caches();
  struct stat b, up, a;
  REQUIRE(stat("b", &b) == 0 && stat("b/sub/..", &up) == 0 && stat("a", &a) == 0, "stat");
  REQUIRE(b.st_ino == up.st_ino, "'..' of a moved folder is not its new parent");
  REQUIRE(a.st_nlink == 2 && b.st_nlink == 3, "link counts are %u and %u, wanted 2 and 3",
          (unsigned)a.st_nlink, (unsigned)b.st_nlink);
}

static void removal_rules(void) {
  REQUIRE(mkdir("d", 0755) == 0, "mkdir");
  if (!make_file("d/f", 1, 1)) return;
  REQUIRE_ERRNO(rmdir("d"), ENOTEMPTY);
  REQUIRE_ERRNO(rmdir("d/f"), ENOTDIR);
  REQUIRE_ERRNO(unlink("none"), ENOENT);
  errno = 0;
  REQUIRE(unlink("d") == -1 && (errno == EISDIR || errno == EPERM), "unlink of a folder");
  REQUIRE(unlink("d/f") == 0 && rmdir("d") == 0, "removal");
  drop_caches();
  REQUIRE(!exists("d"), "the folder is still there");
}

static void hard_links_share_an_inode(void) {
  if (!make_file("first", 4000, 1)) return;
  REQUIRE(mkdir("d", 0755) == 0 && link("first", "d/second") == 0, "link");
  REQUIRE_ERRNO(link("first", "d/second"), EEXIST);
  REQUIRE(link("d", "e") == -1, "a folder was linked");
  struct stat one, two;
  REQUIRE(stat("first", &one) == 0 && stat("d/second", &two) == 0, "stat");
  REQUIRE(one.st_ino == two.st_ino && one.st_nlink == 2 && two.st_nlink == 2,
          "inode or link count (%u) differ", (unsigned)two.st_nlink);
  const int file = open("d/second", O_WRONLY);
  if (!write_pattern(file, 0, 8000, 2)) return;
  REQUIRE(close(file) == 0, "close");
  if (!file_is("first", 8000, 2)) return;
  REQUIRE(rename("first", "d/second") == 0, "renaming one name of a file onto another does nothing");
  REQUIRE(exists("first") && exists("d/second"), "POSIX keeps both names");
  REQUIRE(unlink("first") == 0, "unlink");
  drop_caches();
  if (!file_is("d/second", 8000, 2)) return;
  REQUIRE(stat("d/second", &two) == 0 && two.st_nlink == 1, "link count is %u after the removal",
          (unsigned)two.st_nlink);
}

static void symbolic_links(void) {
  char target[2000], found[4096];
  memset(target, 'x', sizeof target);
  target[sizeof target - 1] = 0;
  REQUIRE(symlink("file", "link") == 0 && symlink(target, "long") == 0 && symlink("nowhere", "broken") == 0,
          "symlink");
  if (!make_file("file", 300, 1)) return;
  drop_caches();
  if (!file_is("link", 300, 1)) return;
  REQUIRE(readlink("long", found, sizeof found) == (ssize_t)strlen(target), "readlink's length");
  REQUIRE(memcmp(found, target, strlen(target)) == 0, "readlink's text");
  REQUIRE_ERRNO(open("broken", O_RDONLY), ENOENT);
  struct stat status;
  REQUIRE(lstat("link", &status) == 0 && S_ISLNK(status.st_mode) && status.st_size == 4, "lstat: size %lld",
          (long long)status.st_size);
  REQUIRE_ERRNO(readlink("file", found, sizeof found), EINVAL);
  REQUIRE(unlink("link") == 0 && exists("file"), "unlink of a link");
}

// A name in the rule's folder; null if it is empty.
static const char* left_behind(void) {
  static char name[300];
  name[0] = 0;
  DIR* folder = opendir(".");
  for (struct dirent* entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    const bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (!dots) snprintf(name, sizeof name, "%s", entry->d_name);
  }
  if (folder != NULL) closedir(folder);
  return name[0] ? name : NULL;
}

static void an_open_file_survives_its_removal(void) {
  if (!make_file("gone", 100000, 3)) return;
  const int file = open("gone", O_RDWR);
  REQUIRE(unlink("gone") == 0, "unlink");
  REQUIRE(!exists("gone"), "the name is still there");
  drop_caches();
  if (!read_pattern(file, 0, 100000, 3)) return;
  if (!write_pattern(file, 50000, 100000, 4)) return;
  REQUIRE(fsync(file) == 0, "fsync");
  drop_caches();
  if (!read_pattern(file, 0, 50000, 3) || !read_pattern(file, 50000, 100000, 4)) return;
  REQUIRE(close(file) == 0, "close");
  // The client removes the name that it gave the file, but close() does not wait for that.
  for (const double end = now_s() + 60; left_behind() != NULL; usleep(50000)) {
    REQUIRE(now_s() < end, "left behind: %s", left_behind());
    drop_caches();
  }
}

static void a_replaced_file_that_is_open_stays_readable(void) {
  if (!make_file("kept", 30000, 1) || !make_file("over", 10, 2)) return;
  const int file = open("kept", O_RDONLY);
  REQUIRE(rename("over", "kept") == 0, "rename");
  drop_caches();
  if (!read_pattern(file, 0, 30000, 1) || !file_is("kept", 10, 2)) return;
  close(file);
}

enum { MANY = 5000 };

// How often each name "entry-NUMBER" is listed; false with a violation noted for a name that is none of them.
static bool list(uint8_t* seen) {
  memset(seen, 0, MANY);
  DIR* folder = opendir("many");
  ENSURE(folder != NULL, "opendir");
  bool dot = false, dotdot = false;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0) {
      dot = true;
    } else if (strcmp(entry->d_name, "..") == 0) {
      dotdot = true;
    } else {
      int number = -1;
      ENSURE(sscanf(entry->d_name, "entry-%d-", &number) == 1 && number >= 0 && number < MANY, "found %s",
             entry->d_name);
      seen[number]++;
    }
  }
  closedir(folder);
  ENSURE(dot && dotdot, "'.' or '..' is missing");
  return true;
}

struct hand {
  const char* mount;
  int first, step;
  bool make;  // else: remove
};

static void make_or_remove(void* argument) {
  const struct hand* hand = argument;
  char name[200];
  snprintf(name, sizeof name, "%s/%s/many", hand->mount, rule_folder());
  REQUIRE(chdir(name) == 0, "chdir to %s", name);
  for (int i = hand->first; i < MANY; i += hand->step) {
    snprintf(name, sizeof name, "entry-%d-%.*s", i, i % 40, "abcdefghijklmnopqrstuvwxyz0123456789abcd");
    // Symlinks: one request each, where a file takes three.
    REQUIRE((hand->make ? symlink("t", name) : unlink(name)) == 0, "%s of %s",
            hand->make ? "symlink" : "unlink", name);
  }
}

// Makes or removes every step-th entry from `first` on, by several clients: the kernel lets one process at a
// time change a folder of a mount.
static bool many(bool make, int first, int step) {
  struct hand hands[MOUNTS_MORE];
  pid_t processes[MOUNTS_MORE];
  for (int i = 0; i < MOUNTS_MORE; i++) {
    hands[i] = (struct hand){mount_again(i + 1, true), first + i * step, MOUNTS_MORE * step, make};
    if (hands[i].mount == NULL) return false;
  }
  for (int i = 0; i < MOUNTS_MORE; i++) processes[i] = start(make_or_remove, &hands[i]);
  bool right = true;
  for (int i = 0; i < MOUNTS_MORE; i++) right = finished(processes[i]) && right;
  return right;
}

static void a_folder_of_5000_lists_each_once(void) {
  static uint8_t seen[MANY];
  REQUIRE(mkdir("many", 0755) == 0, "mkdir");
  if (!many(true, 0, 1)) return;
  drop_caches();
  if (!list(seen)) return;
  for (int i = 0; i < MANY; i++) REQUIRE(seen[i] == 1, "entry %d is listed %d times", i, seen[i]);
  if (!many(false, 0, 2)) return;
  drop_caches();
  if (!list(seen)) return;
  for (int i = 0; i < MANY; i++)
    REQUIRE(seen[i] == i % 2, "entry %d is listed %d times after half went", i, seen[i]);
  if (!many(false, 1, 2)) return;
}

static void removal_while_listing_skips_nothing(void) {
  char name[64];
  REQUIRE(mkdir("many", 0755) == 0, "mkdir");
  for (int i = 0; i < 600; i++) {
    snprintf(name, sizeof name, "many/entry-%d-", i);
    REQUIRE(symlink("t", name) == 0, "symlink %d", i);
  }
  drop_caches();
  DIR* folder = opendir("many");
  int removed = 0;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {  // what `rm -r` does
    if (entry->d_name[0] == '.') continue;
    REQUIRE(unlinkat(dirfd(folder), entry->d_name, 0) == 0, "unlink of listed %s", entry->d_name);
    removed++;
  }
  closedir(folder);
  REQUIRE(removed == 600, "%d of 600 were listed", removed);
  REQUIRE(rmdir("many") == 0, "the folder is not empty after all that was listed was removed");
}

static void names_have_255_bytes_at_most(void) {
  char name[300];
  memset(name, 'n', sizeof name);
  name[255] = 0;
  if (!make_file(name, 10, 1)) return;
  drop_caches();
  if (!file_is(name, 10, 1)) return;
  name[255] = 'n', name[256] = 0;
  REQUIRE_ERRNO(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
  static const char* const odd[] = {
      "sp ace", "new\nline", "\xc3\xa4\xe2\x82\xac", "back\\slash", "-rf", "*", "\xff\xfe", "a."};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    if (!make_file(odd[i], i, 1)) return;
  }
  drop_caches();
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    if (!file_is(odd[i], i, 1)) return;
  }
  REQUIRE(!exists("A."), "names do not depend on letter case");
}

static void special_files(void) {
  REQUIRE(mknod("fifo", S_IFIFO | 0600, 0) == 0, "fifo");
  REQUIRE(mknod("char", S_IFCHR | 0600, makedev(1, 3)) == 0, "character device");
  REQUIRE(mknod("block", S_IFBLK | 0640, makedev(259, 70000)) == 0, "block device");
  REQUIRE(mknod("socket", S_IFSOCK | 0600, 0) == 0, "socket");
  drop_caches();
  struct stat status;
  REQUIRE(stat("fifo", &status) == 0 && S_ISFIFO(status.st_mode), "fifo's type");
  REQUIRE(stat("char", &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3),
          "char's number");
  REQUIRE(stat("block", &status) == 0 && S_ISBLK(status.st_mode), "block's type");
  REQUIRE(status.st_rdev == makedev(259, 70000), "block device %u:%u", major(status.st_rdev),
          minor(status.st_rdev));
  REQUIRE(stat("socket", &status) == 0 && S_ISSOCK(status.st_mode), "socket's type");
}

static void deep_folders(void) {
  enum { DEPTH = 60 };
  for (int i = 0; i < DEPTH; i++) REQUIRE(mkdir("deeper", 0755) == 0 && chdir("deeper") == 0, "level %d", i);
  if (!make_file("bottom", 9, 1)) return;
  for (int i = 0; i < DEPTH; i++) REQUIRE(chdir("..") == 0, "up from level %d", DEPTH - i);
  struct stat status;
  REQUIRE(stat("deeper", &status) == 0 && status.st_nlink == 3, "not where it began");
}

const struct rule name_rules[] = {
    {"exclusive creation fails where there is one", exclusive_creation_fails_where_there_is_one},
    {"rename replaces, and refuses what POSIX says", rename_replaces},
    {"'..' and link counts follow a moved folder", folders_move_with_dotdot},
    {"removals refuse what POSIX says", removal_rules},
    {"hard links share an inode", hard_links_share_an_inode},
    {"symbolic links", symbolic_links},
    {"an open file survives its removal (silly rename)", an_open_file_survives_its_removal},
    {"an open file that is renamed over stays readable", a_replaced_file_that_is_open_stays_readable},
    {"a folder of 5,000 entries lists each once", a_folder_of_5000_lists_each_once},
    {"removal while listing skips nothing", removal_while_listing_skips_nothing},
    {"names have at most 255 bytes, of any kind", names_have_255_bytes_at_most},
    {"fifos, devices and sockets can be made", special_files},
    {"folders 60 deep", deep_folders},
    {NULL, NULL},
};
