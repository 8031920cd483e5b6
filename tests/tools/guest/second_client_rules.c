// Rules about two clients: the export is mounted a second time, with caches of its own, as if by another
// machine. What one has closed (or fsynced) the other sees when it opens: close-to-open.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char other_path[160];

// The name as the second client sees it.
static const char* other(const char* name) {
  snprintf(other_path, sizeof other_path, "/tmp/mount-1/%s/%s", rule_folder(), name);
  return other_path;
}

static void what_one_closes_the_other_opens(void) {
  if (mount_again(1, false) == NULL) return;
  for (uint64_t round = 1; round <= 8; round++) {
    const int file = open(round % 2 ? "f" : other("f"), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    REQUIRE(file >= 0, "open in round %d", (int)round);
    if (!write_pattern(file, 0, 3000 * round, round)) return;
    REQUIRE(close(file) == 0, "close");
    if (!file_is(round % 2 ? other("f") : "f", 3000 * round, round)) return;
  }
}

static void names_are_seen_at_once(void) {
  if (mount_again(1, false) == NULL) return;
  struct stat status;
  for (int i = 0; i < 20; i++) {
    char name[16], to[16];
    snprintf(name, sizeof name, "n%d", i), snprintf(to, sizeof to, "m%d", i);
    if (!make_file(name, 10, 1)) return;
    REQUIRE(stat(other(name), &status) == 0, "a new file is not seen");
    REQUIRE(rename(name, to) == 0, "rename");
    REQUIRE(stat(other(name), &status) == -1 && errno == ENOENT, "a name that is gone is seen");
    REQUIRE(stat(other(to), &status) == 0 && status.st_size == 10, "a new name is not seen");
    REQUIRE(unlink(other(to)) == 0, "unlink by the second client");
    REQUIRE(open(to, O_RDONLY) == -1, "a file that the second client removed can be opened");
  }
}

static void sizes_and_modes_are_seen_at_once(void) {
  if (mount_again(1, false) == NULL || !make_file("f", 0, 0)) return;
  struct stat status;
  const int file = open("f", O_WRONLY);
  for (uint64_t i = 1; i <= 20; i++) {
    if (!write_pattern(file, i * 1000, 1000, 1)) return;
    REQUIRE(fsync(file) == 0 && chmod("f", i % 2 ? 0600 : 0640) == 0, "fsync and chmod");
    REQUIRE(stat(other("f"), &status) == 0, "stat");
    REQUIRE(status.st_size == (off_t)(i * 1000 + 1000), "size is %lld in round %d", (long long)status.st_size,
            (int)i);
    REQUIRE((status.st_mode & 0777) == (i % 2 ? 0600 : 0640), "mode is %o", status.st_mode & 0777);
    REQUIRE(truncate(other("f"), (off_t)(i * 500)) == 0, "truncate by the second client");
    REQUIRE(truncate(other("f"), (off_t)(i * 1000 + 1000)) == 0, "truncate by the second client");
  }
}

static void append_from_both(void* name) {
  const int file = open(name, O_WRONLY | O_DIRECT);
  uint8_t* buffer = pages(PAGE);
  const int first = strncmp(name, "/tmp", 4) == 0;
  for (uint64_t i = (uint64_t)first; i < 100; i += 2) {
    fill(buffer, PAGE, i * PAGE, 3);
    REQUIRE(pwrite(file, buffer, PAGE, (off_t)(i * PAGE)) == PAGE, "pwrite");
  }
}

static void two_clients_write_one_file(void) {
  if (mount_again(1, false) == NULL || !make_file("shared", 0, 0)) return;
  const pid_t processes[] = {start(append_from_both, "shared"),
                             start(append_from_both, (void*)other("shared"))};
  if (!finished(processes[0]) || !finished(processes[1])) return;
  drop_caches();
  if (!file_is("shared", 100 * PAGE, 3) || !file_is(other("shared"), 100 * PAGE, 3)) return;
}

static void a_folder_of_the_other_client_lists_right(void) {
  if (mount_again(1, false) == NULL) return;
  REQUIRE(mkdir("d", 0755) == 0, "mkdir");
  for (int i = 0; i < 100; i++) {
    char name[32];
    snprintf(name, sizeof name, "d/s%d", i);
    REQUIRE(symlink("t", other(name)) == 0, "symlink by the second client");
  }
  REQUIRE(rmdir("d") == -1 && errno == ENOTEMPTY, "rmdir of a folder that the second client filled");
  for (int i = 0; i < 100; i++) {
    char name[32];
    snprintf(name, sizeof name, "d/s%d", i);
    REQUIRE(unlink(i % 2 ? name : other(name)) == 0, "unlink %d", i);
  }
  REQUIRE(rmdir(other("d")) == 0, "rmdir");
  struct stat status;
  REQUIRE(stat("d", &status) == -1 || (drop_caches(), stat("d", &status) == -1), "the folder is still seen");
}

const struct rule second_client_rules[] = {
    {"what one client closes the other opens", what_one_closes_the_other_opens},
    {"names change for both clients at once", names_are_seen_at_once},
    {"sizes and modes change for both clients at once", sizes_and_modes_are_seen_at_once},
    {"two clients write pages of one file in turn", two_clients_write_one_file},
    {"a folder that both clients fill and empty", a_folder_of_the_other_client_lists_right},
    {NULL, NULL},
};
