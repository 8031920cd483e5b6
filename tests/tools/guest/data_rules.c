// Rules about bytes through the page cache.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

static void what_was_written_is_read(void) {
  const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, 1000003, 3 * MIB + 5};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char name[32];
    snprintf(name, sizeof name, "f%zu", i);
    if (!make_file(name, sizes[i], i)) return;
  }
  drop_caches();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char name[32];
    snprintf(name, sizeof name, "f%zu", i);
    if (!file_is(name, sizes[i], i)) return;
  }
}

static void large_file_is_written_and_read(void) {
  const int file = open("large", O_RDWR | O_CREAT, 0644);
  REQUIRE(file >= 0, "open");
  for (int i = 0; i < 24; i++) {
    if (!write_pattern(file, (uint64_t)i * MIB, MIB, 7)) return;
  }
  REQUIRE(fsync(file) == 0, "fsync");
  drop_caches();
  for (int i = 23; i >= 0; i--) {  // backwards: the kernel's read-ahead is of no use
    if (!read_pattern(file, (uint64_t)i * MIB, MIB, 7)) return;
  }
  close(file);
}

static void small_writes_anywhere_land_where_they_should(void) {
  enum { SIZE = 256 * 1024, WRITES = 400 };
  uint8_t* expected = pages(SIZE);
  uint8_t* found = pages(SIZE);
  const int file = open("random", O_RDWR | O_CREAT, 0644);
  REQUIRE(file >= 0 && ftruncate(file, SIZE) == 0, "open and ftruncate");
  srand(42);
  for (int i = 0; i < WRITES; i++) {
    const size_t length = 1 + (size_t)(rand() % 9000), at = (size_t)rand() % (SIZE - length);
    fill(expected + at, length, at, (uint64_t)i);
    REQUIRE(pwrite(file, expected + at, length, (off_t)at) == (ssize_t)length, "pwrite %d", i);
    if (i % 50 == 49) REQUIRE(fsync(file) == 0, "fsync");
  }
  close(file);
  drop_caches();
  const int again = open("random", O_RDONLY);
  REQUIRE(again >= 0 && pread(again, found, SIZE, 0) == SIZE, "reading it");
  REQUIRE(memcmp(expected, found, SIZE) == 0, "the file is not what was written last everywhere");
}

static void gathered_writes_and_scattered_reads(void) {
  uint8_t *head = pages(PAGE), *tail = pages(PAGE);
  fill(head, 1000, 0, 5);
  fill(tail, 3000, 1000, 5);
  const int file = open("vectors", O_RDWR | O_CREAT, 0644);
  struct iovec parts[2] = {{head, 1000}, {tail, 3000}};
  REQUIRE(writev(file, parts, 2) == 4000, "writev");
  REQUIRE(fsync(file) == 0, "fsync");
  memset(head, 0, PAGE), memset(tail, 0, PAGE);
  REQUIRE(preadv(file, parts, 2, 0) == 4000, "preadv");
  REQUIRE(first_difference(head, 1000, 0, 5) == 1000, "first part");
  REQUIRE(first_difference(tail, 3000, 1000, 5) == 3000, "second part");
}

static void holes_read_as_zero(void) {
  const int file = open("holes", O_RDWR | O_CREAT, 0644);
  uint8_t* buffer = pages(MIB);
  if (!write_pattern(file, 0, 100, 1) || !write_pattern(file, 5 * MIB + 77, 5000, 1)) return;
  if (!write_pattern(file, (uint64_t)3 << 30, 4096, 1)) return;
  REQUIRE(fsync(file) == 0, "fsync");
  drop_caches();
  if (!read_pattern(file, 0, 100, 1) || !read_pattern(file, 5 * MIB + 77, 5000, 1)) return;
  if (!read_pattern(file, (uint64_t)3 << 30, 4096, 1)) return;
  REQUIRE(pread(file, buffer, MIB, 100) == MIB && all_zero(buffer, MIB), "behind the first piece");
  REQUIRE(pread(file, buffer, MIB, 5 * MIB - 1000) == MIB && all_zero(buffer, 1077),
          "before the second piece");
  REQUIRE(pread(file, buffer, MIB, (off_t)1 << 30) == MIB && all_zero(buffer, MIB), "in the middle");
  struct stat status;
  REQUIRE(fstat(file, &status) == 0, "fstat");
  REQUIRE(status.st_size == ((off_t)3 << 30) + 4096, "size is %lld", (long long)status.st_size);
}

static void large_offsets_work(void) {
  const int file = open("far", O_RDWR | O_CREAT, 0644);
  const uint64_t far = ((uint64_t)1 << 42) + 12345;  // 4 TiB
  if (!write_pattern(file, far, 8192, 9)) return;
  REQUIRE(fsync(file) == 0, "fsync");
  drop_caches();
  if (!read_pattern(file, far, 8192, 9)) return;
  REQUIRE(lseek(file, 0, SEEK_END) == (off_t)(far + 8192), "the end is at %lld",
          (long long)lseek(file, 0, SEEK_END));
}

static void truncation_drops_bytes_for_good(void) {
  if (!make_file("cut", 3 * MIB, 2)) return;
  REQUIRE(truncate("cut", 1000001) == 0, "truncate to less");
  REQUIRE(truncate("cut", 2 * MIB) == 0, "truncate to more");
  drop_caches();
  const int file = open("cut", O_RDWR);
  uint8_t* buffer = pages(2 * MIB);
  REQUIRE(pread(file, buffer, 2 * MIB, 0) == 2 * MIB, "reading it");
  REQUIRE(first_difference(buffer, 1000001, 0, 2) == 1000001, "the bytes that stay");
  REQUIRE(all_zero(buffer + 1000001, 2 * MIB - 1000001), "cut bytes are back");
  REQUIRE(ftruncate(file, 0) == 0, "ftruncate to 0");
  REQUIRE(ftruncate(file, 4096) == 0 && pread(file, buffer, 8192, 0) == 4096 && all_zero(buffer, 4096),
          "after 0");
  close(file);
  const int fresh = open("cut", O_WRONLY | O_TRUNC);
  struct stat status;
  REQUIRE(fresh >= 0 && fstat(fresh, &status) == 0 && status.st_size == 0, "O_TRUNC leaves %lld bytes",
          (long long)status.st_size);
}

static void reads_end_where_the_file_ends(void) {
  if (!make_file("short", 5000, 3)) return;
  const int file = open("short", O_RDONLY);
  uint8_t* buffer = pages(3 * PAGE);
  REQUIRE(pread(file, buffer, 3 * PAGE, 0) == 5000, "a read across the end");
  REQUIRE(pread(file, buffer, PAGE, 4999) == 1, "the last byte");
  REQUIRE(pread(file, buffer, PAGE, 5000) == 0, "at the end");
  REQUIRE(pread(file, buffer, PAGE, 1 << 20) == 0, "behind the end");
}

static void appends_go_to_the_end(void) {
  if (!make_file("log", 0, 0)) return;
  for (int i = 0; i < 50; i++) {
    const int file = open("log", O_WRONLY | O_APPEND);
    uint8_t buffer[777];
    fill(buffer, sizeof buffer, (uint64_t)i * sizeof buffer, 4);
    REQUIRE(lseek(file, 0, SEEK_SET) == 0, "lseek");
    REQUIRE(write(file, buffer, sizeof buffer) == sizeof buffer, "append %d", i);
    REQUIRE(close(file) == 0, "close");
  }
  drop_caches();
  if (!file_is("log", 50 * 777, 4)) return;
}

static void append_lines(void* seed) {
  const int file = open("lines", O_WRONLY | O_APPEND);
  char line[64];
  for (int i = 0; i < 200; i++) {
    const int length = snprintf(line, sizeof line, "%d %d abcdefghijklmnopqrstuvwxyz\n", *(int*)seed, i);
    REQUIRE(write(file, line, (size_t)length) == length, "append");
  }
  REQUIRE(close(file) == 0, "close");
}

static void two_processes_append_without_loss(void) {
  if (!make_file("lines", 0, 0)) return;
  int first = 1, second = 2;
  const pid_t processes[] = {start(append_lines, &first), start(append_lines, &second)};
  if (!finished(processes[0]) || !finished(processes[1])) return;
  drop_caches();
  FILE* file = fopen("lines", "r");
  REQUIRE(file != NULL, "open");
  int next[3] = {0, 0, 0}, who, number;
  char rest[64];
  while (fscanf(file, "%d %d %63s\n", &who, &number, rest) == 3) {
    REQUIRE(who >= 1 && who <= 2 && number == next[who], "line %d of process %d came after %d", number, who,
            next[who] - 1);
    next[who]++;
  }
  REQUIRE(next[1] == 200 && next[2] == 200, "%d and %d lines of 200 each", next[1], next[2]);
}

static void mapped_memory_is_written_and_read(void) {
  const int file = open("mapped", O_RDWR | O_CREAT, 0644);
  REQUIRE(ftruncate(file, MIB) == 0, "ftruncate");
  uint8_t* memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  REQUIRE(memory != MAP_FAILED, "mmap");
  REQUIRE(all_zero(memory, MIB), "a new file's memory");
  fill(memory + 5000, 700000, 5000, 6);
  REQUIRE(msync(memory, MIB, MS_SYNC) == 0, "msync");
  REQUIRE(munmap(memory, MIB) == 0, "munmap");
  drop_caches();
  if (!read_pattern(file, 5000, 700000, 6)) return;
  if (!write_pattern(file, 8192, 4096, 60)) return;
  memory = mmap(NULL, MIB, PROT_READ, MAP_PRIVATE, file, 0);
  REQUIRE(memory != MAP_FAILED, "mmap to read");
  REQUIRE(first_difference(memory + 8192, 4096, 8192, 60) == 4096,
          "what write(2) wrote is not in the mapping");
  REQUIRE(first_difference(memory + 5000, 3192, 5000, 6) == 3192, "the mapping's other bytes");
}

static void overwriting_keeps_the_rest(void) {
  if (!make_file("base", 2 * MIB + 100, 1)) return;
  const int file = open("base", O_RDWR);
  if (!write_pattern(file, MIB - 10, 20, 2) || !write_pattern(file, 4095, 2, 3))
    return;  // across a block, a page
  REQUIRE(close(file) == 0, "close");
  drop_caches();
  const int again = open("base", O_RDONLY);
  const bool right = read_pattern(again, 0, 4095, 1) && read_pattern(again, 4095, 2, 3) &&
                     read_pattern(again, 4097, 6000, 1) && read_pattern(again, MIB - 10, 20, 2) &&
                     read_pattern(again, MIB + 10, MIB - 10 + 100, 1);
  if (!right) return;
}

static void synchronous_writes_work(void) {
  const int file = open("sync", O_RDWR | O_CREAT | O_SYNC, 0644);
  for (int i = 0; i < 32; i++) {
    if (!write_pattern(file, (uint64_t)(i * 5000), 5000, 11)) return;
  }
  REQUIRE(fdatasync(file) == 0 && close(file) == 0, "fdatasync and close");
  drop_caches();
  if (!file_is("sync", 160000, 11)) return;
}

const struct rule data_rules[] = {
    {"what was written is read, at sizes around pages and blocks", what_was_written_is_read},
    {"a file of 24 MiB is written and read backwards", large_file_is_written_and_read},
    {"small writes anywhere land where they should", small_writes_anywhere_land_where_they_should},
    {"gathered writes and scattered reads", gathered_writes_and_scattered_reads},
    {"holes read as zero", holes_read_as_zero},
    {"offsets beyond 4 TiB work", large_offsets_work},
    {"truncation drops bytes for good", truncation_drops_bytes_for_good},
    {"reads end where the file ends", reads_end_where_the_file_ends},
    {"appends go to the end", appends_go_to_the_end},
    {"two processes append without loss", two_processes_append_without_loss},
    {"mapped memory is written and read", mapped_memory_is_written_and_read},
    {"overwriting keeps the rest", overwriting_keeps_the_rest},
    {"O_SYNC writes and fdatasync work", synchronous_writes_work},
    {NULL, NULL},
};
