// endure: four processes work on and on while a test ends and starts servers. A hard mount waits for a server
// that is away, so none of them may ever see an error; at the end all that was done is verified against what
// the server has.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { DISK_PAGES = 2048, WORKERS = 4, KEPT_NAMES = 5 };

// Shared by the processes; each worker writes its own parts only.
struct progress {
  uint64_t operations[WORKERS];
  double slowest_s[WORKERS];        // operation since the last line was printed
  uint64_t disk_seeds[DISK_PAGES];  // of the last write that was done; 0: none
  uint64_t log_records, names, large_rounds, lost_answers;
};

static struct progress* progress;
static double end_s;

static bool goes_on(void) { return now_s() < end_s; }

static void count(int worker, double began_s) {
  const double took_s = now_s() - began_s;
  progress->operations[worker]++;
  if (took_s > progress->slowest_s[worker]) progress->slowest_s[worker] = took_s;
}

// A VM's disk: O_DIRECT writes anywhere, each read again later.
static void work_on_disk(void* unused) {
  (void)unused;
  const int file = open("disk", O_RDWR | O_CREAT | O_DIRECT, 0644);
  REQUIRE(file >= 0 && ftruncate(file, DISK_PAGES * PAGE) == 0, "the disk cannot be made");
  srand(99);
  for (uint64_t seed = 1; goes_on(); seed++) {
    const double began_s = now_s();
    const uint64_t page = (uint64_t)rand() % DISK_PAGES, other = (uint64_t)rand() % DISK_PAGES;
    if (!write_pattern(file, page * PAGE, PAGE, seed)) return;
    progress->disk_seeds[page] = seed;
    const uint64_t wanted = progress->disk_seeds[other];
    if (wanted != 0 && !read_pattern(file, other * PAGE, PAGE, wanted)) return;
    count(0, began_s);
  }
}

// A log: O_SYNC appends.
static void work_on_log(void* unused) {
  (void)unused;
  const int file = open("log", O_WRONLY | O_CREAT | O_APPEND | O_SYNC, 0644);
  REQUIRE(file >= 0, "the log cannot be made");
  uint8_t record[1000];
  while (goes_on()) {
    const double began_s = now_s();
    fill(record, sizeof record, progress->log_records * sizeof record, 1);
    REQUIRE(write(file, record, sizeof record) == sizeof record, "append of record %llu",
            (unsigned long long)progress->log_records);
    progress->log_records++;
    count(1, began_s);
    usleep(2000);
  }
}

// An NFSv3 server that dies after it did something and before it answered is asked again when it is back, and
// by then the request looks wrong: what was to be made is there, what was to be removed is not. That is
// counted, not hidden: a test knows how often it killed a server, and one worker has one request under way.
static bool done(int result, int errno_of_a_repetition, const char* what, const char* name) {
  const int error = errno;
  if (result == 0) return true;
  ENSURE(error == errno_of_a_repetition, "%s of %s", what, name);
  progress->lost_answers++;
  printf("endure: %s of %s: %s: it was done before\n", what, name, strerror(error));
  return true;
}

// Names: made, renamed, linked, removed; the last few stay.
static bool one_name(uint64_t number) {
  char fresh[48], name[48], link_name[48];
  snprintf(fresh, sizeof fresh, "names/new-%llu", (unsigned long long)number);
  snprintf(name, sizeof name, "names/kept-%llu", (unsigned long long)number);
  snprintf(link_name, sizeof link_name, "names/link-%llu", (unsigned long long)number);
  if (!make_file(fresh, 3000, number)) return false;
  if (!done(rename(fresh, name), ENOENT, "rename", fresh)) return false;
  if (!done(link(name, link_name), EEXIST, "link", link_name)) return false;
  if (!done(unlink(link_name), ENOENT, "unlink", link_name)) return false;
  if (!done(mkdir(fresh, 0755), EEXIST, "mkdir", fresh)) return false;
  if (!done(rmdir(fresh), ENOENT, "rmdir", fresh)) return false;
  if (number < KEPT_NAMES) return true;
  snprintf(name, sizeof name, "names/kept-%llu", (unsigned long long)(number - KEPT_NAMES));
  return done(unlink(name), ENOENT, "unlink", name);
}

static void work_on_names(void* unused) {
  (void)unused;
  REQUIRE(mkdir("names", 0755) == 0, "mkdir");
  while (goes_on()) {
    const double began_s = now_s();
    if (!one_name(progress->names)) return;
    progress->names++;
    count(2, began_s);
  }
}

// A large file through the page cache: written, synced, cut, written again.
static void work_on_large_file(void* unused) {
  (void)unused;
  while (goes_on()) {
    const double began_s = now_s();
    const uint64_t round = progress->large_rounds + 1;
    const int file = open("large", O_RDWR | O_CREAT | (round % 3 == 0 ? O_TRUNC : 0), 0644);
    REQUIRE(file >= 0, "the large file cannot be opened");
    for (uint64_t i = 0; i < 3; i++) {
      if (!write_pattern(file, i * MIB, MIB, round)) return;
    }
    REQUIRE(fsync(file) == 0, "fsync");
    REQUIRE(close(file) == 0, "close");
    progress->large_rounds = round;
    count(3, began_s);
    usleep(300000);
  }
}

static bool verify(void) {
  drop_caches();
  const int disk = open("disk", O_RDONLY);
  ENSURE(disk >= 0, "open of the disk");
  for (uint64_t page = 0; page < DISK_PAGES; page++) {
    const uint64_t seed = progress->disk_seeds[page];
    if (seed != 0 && !read_pattern(disk, page * PAGE, PAGE, seed)) return false;
  }
  close(disk);
  if (!file_is("log", progress->log_records * 1000, 1)) return false;
  if (!file_is("large", 3 * MIB, progress->large_rounds)) return false;
  const uint64_t names = progress->names;
  for (uint64_t number = names < KEPT_NAMES ? 0 : names - KEPT_NAMES; number < names; number++) {
    char name[48];
    snprintf(name, sizeof name, "names/kept-%llu", (unsigned long long)number);
    if (!file_is(name, 3000, number)) return false;
    ENSURE(unlink(name) == 0, "unlink of %s", name);
  }
  ENSURE(rmdir("names") == 0, "something is left in the folder of names");
  ENSURE(unlink("disk") == 0 && unlink("log") == 0 && unlink("large") == 0,
         "what was made cannot be removed");
  ENSURE(chdir("..") == 0 && rmdir("endure") == 0, "something is left");
  return true;
}

// One line a second; false once a worker has ended early.
static bool report(const pid_t* workers) {
  while (goes_on()) {
    sleep(1);
    printf("endure: %2.0f s left", end_s - now_s());
    static const char* const what[WORKERS] = {"disk", "log", "names", "large"};
    for (int i = 0; i < WORKERS; i++) {
      printf(", %s %llu (slowest %.2f s)", what[i], (unsigned long long)progress->operations[i],
             progress->slowest_s[i]);
      progress->slowest_s[i] = 0;
    }
    printf("\n");
    fflush(stdout);
    for (int i = 0; i < WORKERS; i++) {
      siginfo_t ended = {0};
      if (waitid(P_PID, (id_t)workers[i], &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0 &&
          goes_on())
        return false;
    }
  }
  return true;
}

int endure(double seconds, const char* folder) {
  progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (progress == MAP_FAILED || chdir(folder) != 0 || mkdir("endure", 0755) != 0 || chdir("endure") != 0) {
    perror("shima-guest-check: cannot begin to endure");
    return 2;
  }
  end_s = now_s() + seconds;
  pid_t workers[WORKERS] = {start(work_on_disk, NULL), start(work_on_log, NULL), start(work_on_names, NULL),
                            start(work_on_large_file, NULL)};
  printf("endure: under way\n");
  bool right = report(workers);
  if (!right) end_s = 0;
  for (int i = 0; i < WORKERS; i++) {
    if (!right) kill(workers[i], SIGKILL);
    right = finished(workers[i]) && right;
  }
  right = right && verify();
  printf(
      "endure: %s: %llu writes to the disk, %llu log records, %llu names, %llu rounds of the large file; "
      "%llu answers were lost\n",
      right ? "all verified" : "FAILED", (unsigned long long)progress->operations[0],
      (unsigned long long)progress->log_records, (unsigned long long)progress->names,
      (unsigned long long)progress->large_rounds, (unsigned long long)progress->lost_answers);
  return right ? 0 : 1;
}
