#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool violation_noted;

void violated(const char* file, int line, const char* format, ...) {
  if (violation_noted) return;
  violation_noted = true;
  const int error = errno;
  const char* slash = strrchr(file, '/');
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  printf("     %s:%d: %s (errno %d, %s)\n", slash ? slash + 1 : file, line, text, error, strerror(error));
  fflush(stdout);
}

// The pattern is a function of seed and place by 8-byte words (splitmix64), so any slice can be made and
// checked.
static uint64_t word_at(uint64_t index, uint64_t seed) {
  uint64_t z = index * 0x9e3779b97f4a7c15u + seed * 0xd1342543de82ef95u + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint8_t byte_at(uint64_t offset, uint64_t seed) {
  return (uint8_t)(word_at(offset / 8, seed) >> (8 * (offset % 8)));
}

void fill(void* buffer, size_t length, uint64_t offset, uint64_t seed) {
  uint8_t* bytes = buffer;
  size_t i = 0;
  for (; i < length && (offset + i) % 8 != 0; i++) bytes[i] = byte_at(offset + i, seed);
  for (; i + 8 <= length; i += 8) {
    const uint64_t word = word_at((offset + i) / 8, seed);
    memcpy(bytes + i, &word, 8);
  }
  for (; i < length; i++) bytes[i] = byte_at(offset + i, seed);
}

size_t first_difference(const void* buffer, size_t length, uint64_t offset, uint64_t seed) {
  const uint8_t* bytes = buffer;
  size_t i = 0;
  for (; i < length && (offset + i) % 8 != 0; i++) {
    if (bytes[i] != byte_at(offset + i, seed)) return i;
  }
  for (; i + 8 <= length; i += 8) {
    const uint64_t word = word_at((offset + i) / 8, seed);
    if (memcmp(bytes + i, &word, 8) != 0) break;
  }
  for (; i < length; i++) {
    if (bytes[i] != byte_at(offset + i, seed)) return i;
  }
  return length;
}

bool all_zero(const void* buffer, size_t length) {
  const uint8_t* bytes = buffer;
  return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

void* pages(size_t length) {
  void* memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("shima-guest-check: no memory");
    exit(2);
  }
  return memory;
}

bool write_pattern(int file, uint64_t offset, size_t length, uint64_t seed) {
  uint8_t* buffer = pages(length);
  fill(buffer, length, offset, seed);
  const ssize_t count = pwrite(file, buffer, length, (off_t)offset);
  munmap(buffer, length);
  ENSURE(count == (ssize_t)length, "write of %zu bytes at %llu returned %zd", length,
         (unsigned long long)offset, count);
  return true;
}

bool read_pattern(int file, uint64_t offset, size_t length, uint64_t seed) {
  uint8_t* buffer = pages(length);
  const ssize_t count = pread(file, buffer, length, (off_t)offset);
  const size_t right = count == (ssize_t)length ? first_difference(buffer, length, offset, seed) : 0;
  munmap(buffer, length);
  ENSURE(count == (ssize_t)length, "read of %zu bytes at %llu returned %zd", length,
         (unsigned long long)offset, count);
  ENSURE(right == length, "the byte at %llu is not what was written (seed %llu)",
         (unsigned long long)(offset + right), (unsigned long long)seed);
  return true;
}

bool make_file(const char* path, size_t length, uint64_t seed) {
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  ENSURE(file >= 0, "cannot make %s", path);
  const bool written = length == 0 || write_pattern(file, 0, length, seed);
  ENSURE(close(file) == 0, "close of %s", path);
  return written;
}

bool file_is(const char* path, size_t length, uint64_t seed) {
  const int file = open(path, O_RDONLY);
  ENSURE(file >= 0, "cannot open %s", path);
  struct stat status;
  ENSURE(fstat(file, &status) == 0, "fstat of %s", path);
  ENSURE((size_t)status.st_size == length, "%s has %lld bytes, wanted %zu", path, (long long)status.st_size,
         length);
  const bool right = length == 0 || read_pattern(file, 0, length, seed);
  close(file);
  return right;
}

pid_t start(void (*work)(void*), void* argument) {
  fflush(stdout);
  const pid_t process = fork();
  if (process == 0) {
    work(argument);
    fflush(stdout);
    _exit(violation_noted ? 1 : 0);
  }
  if (process < 0) violated(__FILE__, __LINE__, "fork");
  return process;
}

bool finished(pid_t process) {
  int status = 0;
  ENSURE(process > 0 && waitpid(process, &status, 0) == process, "waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1) violation_noted = true;  // it has printed its reason
  ENSURE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process ended with wait status 0x%x",
         (unsigned)status);
  return true;
}

void drop_caches(void) {
  sync();
  const int file = open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (file < 0 || write(file, "3\n", 2) != 2) violated(__FILE__, __LINE__, "cannot drop caches (root?)");
  if (file >= 0) close(file);
}

double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
