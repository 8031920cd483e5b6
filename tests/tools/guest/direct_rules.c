// Rules about O_DIRECT: what a VM's disk image lives on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void direct_writes_are_read_directly(void) {
  const int file = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644);
  REQUIRE(file >= 0, "open with O_DIRECT");
  const size_t sizes[] = {512, 4096, 12288, 65536, MIB, 2 * MIB};
  uint64_t offset = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; offset += sizes[i++]) {
    if (!write_pattern(file, offset, sizes[i], 21)) return;
  }
  REQUIRE(fsync(file) == 0, "fsync");
  offset = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; offset += sizes[i++]) {
    if (!read_pattern(file, offset, sizes[i], 21)) return;
  }
  struct stat status;
  REQUIRE(fstat(file, &status) == 0 && status.st_size == (off_t)offset, "size is %lld, wanted %llu",
          (long long)status.st_size, (unsigned long long)offset);
}

static void direct_writes_at_random_places(void) {
  enum { PAGES = 256, WRITES = 300 };
  uint64_t seeds[PAGES] = {0};
  const int file = open("disk", O_RDWR | O_CREAT | O_DIRECT, 0644);
  REQUIRE(file >= 0 && ftruncate(file, PAGES * PAGE) == 0, "open and ftruncate");
  uint8_t* buffer = pages(PAGE);
  srand(7);
  for (uint64_t i = 1; i <= WRITES; i++) {
    const int page = rand() % PAGES;
    if (!write_pattern(file, (uint64_t)page * PAGE, PAGE, i)) return;
    seeds[page] = i;
    const int other = rand() % PAGES;
    REQUIRE(pread(file, buffer, PAGE, (off_t)other * PAGE) == PAGE, "pread");
    REQUIRE(seeds[other] == 0 ? all_zero(buffer, PAGE)
                              : first_difference(buffer, PAGE, (uint64_t)other * PAGE, seeds[other]) == PAGE,
            "page %d is not what write %llu left", other, (unsigned long long)seeds[other]);
  }
  close(file);
  const int cached = open("disk", O_RDONLY);
  for (int page = 0; page < PAGES; page++) {
    if (seeds[page] != 0 && !read_pattern(cached, (uint64_t)page * PAGE, PAGE, seeds[page])) return;
  }
}

static void direct_and_cached_see_each_other(void) {
  if (!make_file("both", 64 * PAGE, 1)) return;
  const int cached = open("both", O_RDWR), direct = open("both", O_RDWR | O_DIRECT);
  REQUIRE(cached >= 0 && direct >= 0, "open");
  if (!read_pattern(cached, 0, 64 * PAGE, 1)) return;
  if (!write_pattern(direct, 8 * PAGE, 4 * PAGE, 2) || !read_pattern(cached, 8 * PAGE, 4 * PAGE, 2)) return;
  if (!write_pattern(cached, 20 * PAGE, 100, 3)) return;
  REQUIRE(fsync(cached) == 0, "fsync");
  uint8_t* buffer = pages(PAGE);
  REQUIRE(pread(direct, buffer, PAGE, 20 * PAGE) == PAGE, "direct read");
  REQUIRE(first_difference(buffer, 100, 20 * PAGE, 3) == 100, "a direct read does not see what fsync wrote");
  REQUIRE(first_difference(buffer + 100, PAGE - 100, 20 * PAGE + 100, 1) == PAGE - 100,
          "the rest of the page");
}

static void direct_writes_at_the_end_extend(void) {
  const int file =
      open("extend", O_WRONLY | O_CREAT | O_DIRECT, 0644);  // with O_APPEND the NFS client refuses
  REQUIRE(file >= 0, "open");
  for (uint64_t i = 0; i < 40; i++) {
    if (!write_pattern(file, i * PAGE, PAGE, 5)) return;
    struct stat status;
    REQUIRE(fstat(file, &status) == 0 && status.st_size == (off_t)((i + 1) * PAGE),
            "size is %lld after write %d", (long long)status.st_size, (int)i);
  }
  REQUIRE(close(file) == 0, "close");
  drop_caches();
  if (!file_is("extend", 40 * PAGE, 5)) return;
}

static void write_my_half(void* argument) {
  const uint64_t first = *(uint64_t*)argument;
  const int file = open("shared", O_RDWR | O_DIRECT);
  REQUIRE(file >= 0, "open");
  for (uint64_t i = first; i < 128; i += 2) {
    if (!write_pattern(file, i * PAGE, PAGE, first)) return;
  }
}

static void two_processes_write_one_file_directly(void) {
  if (!make_file("shared", 0, 0)) return;
  uint64_t even = 0, odd = 1;
  const pid_t processes[] = {start(write_my_half, &even), start(write_my_half, &odd)};
  if (!finished(processes[0]) || !finished(processes[1])) return;
  drop_caches();
  const int file = open("shared", O_RDONLY);
  for (uint64_t i = 0; i < 128; i++) {
    if (!read_pattern(file, i * PAGE, PAGE, i % 2)) return;
  }
}

const struct rule direct_rules[] = {
    {"O_DIRECT writes are read by O_DIRECT reads", direct_writes_are_read_directly},
    {"O_DIRECT at random places, as a VM's disk", direct_writes_at_random_places},
    {"O_DIRECT and cached I/O see each other", direct_and_cached_see_each_other},
    {"O_DIRECT writes at the end extend the file", direct_writes_at_the_end_extend},
    {"two processes write one file by O_DIRECT", two_processes_write_one_file_directly},
    {NULL, NULL},
};
