// Rules about two processes that do the same at the same time.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

enum { NAMES = 150 };

struct contest {
  int (*attempt)(const char* name);  // 0 or -1 and errno
  int loser_errno;
  int* wins;  // shared by the contestants
  int who;
};

static void contest(void* argument) {
  const struct contest* contest = argument;
  char name[32];
  for (int i = 0; i < NAMES; i++) {
    snprintf(name, sizeof name, "c%d", i);
    const int result = contest->attempt(name);
    REQUIRE(result == 0 || errno == contest->loser_errno, "attempt at %s", name);
    if (result == 0) __atomic_add_fetch(&contest->wins[i], 1, __ATOMIC_SEQ_CST);
  }
}

// Each of the names has exactly one winner.
static bool one_wins(int (*attempt)(const char*), int loser_errno) {
  int* wins = mmap(NULL, NAMES * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ENSURE(wins != MAP_FAILED, "mmap");
  struct contest contests[3];
  pid_t processes[3];
  for (int i = 0; i < 3; i++) {
    contests[i] = (struct contest){attempt, loser_errno, wins, i};
    processes[i] = start(contest, &contests[i]);
  }
  bool right = true;
  for (int i = 0; i < 3; i++) right = finished(processes[i]) && right;
  for (int i = 0; i < NAMES && right; i++) ENSURE(wins[i] == 1, "%d processes won c%d", wins[i], i);
  return right;
}

static int create_it(const char* name) {
  const int file = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (file >= 0) close(file);
  return file >= 0 ? 0 : -1;
}
static int unlink_it(const char* name) { return unlink(name); }
static int mkdir_it(const char* name) { return mkdir(name, 0755); }
static int rmdir_it(const char* name) { return rmdir(name); }
static int link_it(const char* name) { return link("target", name); }
static int rename_it(const char* name) {
  char to[40];
  snprintf(to, sizeof to, "to-%s-%d", name, (int)getpid());
  return rename(name, to);
}

static void one_process_creates_a_file(void) {
  if (!one_wins(create_it, EEXIST)) return;
}
static void one_process_removes_a_file(void) {
  char name[32];
  for (int i = 0; i < NAMES; i++) {
    snprintf(name, sizeof name, "c%d", i);
    if (!make_file(name, 0, 0)) return;
  }
  if (!one_wins(unlink_it, ENOENT)) return;
}
static void one_process_makes_and_removes_a_folder(void) {
  if (!one_wins(mkdir_it, EEXIST)) return;
  if (!one_wins(rmdir_it, ENOENT)) return;
}
static void one_process_links(void) {
  if (!make_file("target", 1, 1) || !one_wins(link_it, EEXIST)) return;
  drop_caches();
  struct stat status;
  REQUIRE(stat("target", &status) == 0 && status.st_nlink == NAMES + 1, "link count is %u, wanted %d",
          (unsigned)status.st_nlink, NAMES + 1);
}
static void one_process_renames_away(void) {
  char name[32];
  for (int i = 0; i < NAMES; i++) {
    snprintf(name, sizeof name, "c%d", i);
    REQUIRE(symlink("t", name) == 0, "symlink");
  }
  if (!one_wins(rename_it, ENOENT)) return;
}

static void rename_to_and_fro(void* argument) {
  const char** names = argument;
  const double end = now_s() + 120;
  for (int done = 0; done < 60; usleep(500)) {  // each waits for the other: a rename is done by one at a time
    REQUIRE(now_s() < end, "%s was renamed to %s only %d times", names[0], names[1], done);
    if (rename(names[0], names[1]) == 0) {
      done++;
    } else {
      REQUIRE(errno == ENOENT, "rename of %s to %s", names[0], names[1]);
    }
  }
}

static void a_file_renamed_to_and_fro_stays_one(void) {
  if (!make_file("here", 9000, 8)) return;
  const char *there[] = {"here", "there"}, *back[] = {"there", "here"};
  const pid_t processes[] = {start(rename_to_and_fro, there), start(rename_to_and_fro, back)};
  if (!finished(processes[0]) || !finished(processes[1])) return;
  drop_caches();
  struct stat status;
  const bool is_here = stat("here", &status) == 0, is_there = stat("there", &status) == 0;
  REQUIRE(is_here != is_there, "it is at %s", is_here ? "both names" : "neither name");
  if (!file_is(is_here ? "here" : "there", 9000, 8)) return;
}

static void replace_it(void* argument) {
  (void)argument;
  char name[32];
  for (uint64_t i = 2; i < 80; i++) {
    snprintf(name, sizeof name, "new-%d", (int)i);
    if (!make_file(name, 5000, i)) return;
    REQUIRE(rename(name, "current") == 0, "rename %d", (int)i);
  }
}

static void a_replaced_name_is_always_there(void) {
  if (!make_file("current", 5000, 1)) return;
  const pid_t process = start(replace_it, NULL);
  uint8_t* buffer = pages(2 * PAGE);
  uint64_t newest = 1;
  for (double end = now_s() + 3; now_s() < end;) {
    const int file = open("current", O_RDONLY);
    REQUIRE(file >= 0, "open of a name that is only ever replaced");
    const ssize_t count = read(file, buffer, 2 * PAGE);
    const int error = errno;
    close(file);
    if (count == -1 && error == ESTALE) continue;  // replaced between open and read: NFSv3 has no open files
    REQUIRE(count == 5000, "read returned %zd", count);
    uint64_t seed = newest;
    while (seed < 80 && first_difference(buffer, 5000, 0, seed) != 5000) seed++;
    REQUIRE(seed < 80, "neither of the files that it was since version %d", (int)newest);
    newest = seed;
  }
  if (!finished(process)) return;
}

static void churn(void* argument) {
  const int who = *(int*)argument;
  char name[32], other[32];
  for (int i = 0; i < 120; i++) {
    snprintf(name, sizeof name, "churn/%d-%d", who, i);
    snprintf(other, sizeof other, "churn/%d-%d.moved", who, i);
    if (!make_file(name, 100, (uint64_t)i)) return;
    REQUIRE(rename(name, other) == 0, "rename");
    if (!file_is(other, 100, (uint64_t)i)) return;
    REQUIRE(unlink(other) == 0, "unlink");
  }
}

static void two_processes_churn_one_folder(void) {
  REQUIRE(mkdir("churn", 0755) == 0, "mkdir");
  int first = 1, second = 2;
  const pid_t processes[] = {start(churn, &first), start(churn, &second)};
  if (!finished(processes[0]) || !finished(processes[1])) return;
  REQUIRE(rmdir("churn") == 0, "something is left");
}

const struct rule race_rules[] = {
    {"of three processes one creates a file (O_EXCL)", one_process_creates_a_file},
    {"of three processes one removes a file", one_process_removes_a_file},
    {"of three processes one makes and one removes a folder", one_process_makes_and_removes_a_folder},
    {"of three processes one makes a link", one_process_links},
    {"of three processes one renames a file away", one_process_renames_away},
    {"a file renamed to and fro stays one", a_file_renamed_to_and_fro_stays_one},
    {"a name that is replaced is always there, and whole", a_replaced_name_is_always_there},
    {"two processes create, rename and remove in one folder", two_processes_churn_one_folder},
    {NULL, NULL},
};
