// Rules about locks. Mounted with nolock they are the client kernel's own: what is checked is that they work
// at all.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static int set_lock(int file, int command, short type, off_t begin, off_t length) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = begin, .l_len = length};
  return fcntl(file, command, &lock);
}

static void the_other_process(void* argument) {
  (void)argument;
  const int file = open("locked", O_RDWR);
  REQUIRE(set_lock(file, F_SETLK, F_WRLCK, 50, 10) == -1 && (errno == EAGAIN || errno == EACCES),
          "a locked range");
  REQUIRE(set_lock(file, F_SETLK, F_WRLCK, 100, 10) == 0, "a free range");
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
  REQUIRE(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == getppid(), "F_GETLK");
}

static void byte_ranges_exclude(void) {
  if (!make_file("locked", 1000, 1)) return;
  const int file = open("locked", O_RDWR);
  REQUIRE(set_lock(file, F_SETLK, F_WRLCK, 0, 100) == 0, "F_SETLK");
  if (!finished(start(the_other_process, NULL))) return;
  REQUIRE(set_lock(file, F_SETLK, F_UNLCK, 0, 0) == 0, "unlock");
  REQUIRE(set_lock(file, F_SETLK, F_WRLCK, 0, 0) == 0, "the other process's locks are still there");
}

enum { ROUNDS = 60 };

static void count_up(void* argument) {
  const int command = *(int*)argument;
  const int file = open("counter", O_RDWR);
  for (int i = 0; i < ROUNDS; i++) {
    uint32_t count = 0;
    REQUIRE((command ? set_lock(file, command, F_WRLCK, 0, 4) : flock(file, LOCK_EX)) == 0, "lock");
    REQUIRE(pread(file, &count, 4, 0) == 4, "read");
    count++;
    REQUIRE(pwrite(file, &count, 4, 0) == 4, "write");
    REQUIRE((command ? set_lock(file, command, F_UNLCK, 0, 4) : flock(file, LOCK_UN)) == 0, "unlock");
  }
}

static void counting_under(int command) {
  uint32_t count = 0;
  const int file = open("counter", O_RDWR | O_CREAT, 0644);
  REQUIRE(pwrite(file, &count, 4, 0) == 4, "write");
  const pid_t processes[] = {start(count_up, &command), start(count_up, &command)};
  if (!finished(processes[0]) || !finished(processes[1])) return;
  REQUIRE(pread(file, &count, 4, 0) == 4 && count == 2 * ROUNDS, "counted to %u, wanted %d", count,
          2 * ROUNDS);
}

static void counting_under_fcntl(void) { counting_under(F_SETLKW); }
static void counting_under_open_file_locks(void) { counting_under(F_OFD_SETLKW); }
static void counting_under_flock(void) { counting_under(0); }

const struct rule lock_rules[] = {
    {"byte-range locks exclude another process", byte_ranges_exclude},
    {"two processes count under fcntl locks", counting_under_fcntl},
    {"two processes count under open-file-description locks", counting_under_open_file_locks},
    {"two processes count under flock", counting_under_flock},
    {NULL, NULL},
};
