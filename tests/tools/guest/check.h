// What the rules of shima-guest-check share. A rule is one sentence about a file system, checked in a folder
// of its own by system calls alone; it ends at its first violation. Processes are forked, never threads: each
// rule says by itself what "two processes" means to the kernel's NFS client.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rule {
  const char* name;
  void (*check)(void);  // runs with the rule's empty folder as working directory
};

// Tables of rules; each ends with a null name.
extern const struct rule data_rules[];
extern const struct rule direct_rules[];
extern const struct rule name_rules[];
extern const struct rule race_rules[];
extern const struct rule attribute_rules[];
extern const struct rule lock_rules[];
extern const struct rule second_client_rules[];

// Notes that the rule does not hold, and why. Only the first reason is printed.
void violated(const char* file, int line, const char* format, ...) __attribute__((format(printf, 3, 4)));

// Ends the rule where the condition does not hold; the text says what was found. errno is told as well.
#define REQUIRE(condition, ...)                  \
  do {                                           \
    if (!(condition)) {                          \
      violated(__FILE__, __LINE__, __VA_ARGS__); \
      return;                                    \
    }                                            \
  } while (0)
// In functions that return false when they have noted a violation.
#define ENSURE(condition, ...)                   \
  do {                                           \
    if (!(condition)) {                          \
      violated(__FILE__, __LINE__, __VA_ARGS__); \
      return false;                              \
    }                                            \
  } while (0)
// The call must fail with this errno.
#define REQUIRE_ERRNO(call, wanted)                                                                  \
  do {                                                                                               \
    errno = 0;                                                                                       \
    long result_ = (long)(call);                                                                     \
    REQUIRE(result_ == -1 && errno == (wanted), "%s returned %ld; wanted -1 and %s", #call, result_, \
            strerrorname_np(wanted));                                                                \
  } while (0)

enum { PAGE = 4096, MIB = 1 << 20 };

// A pattern that tells seed and place: bytes of any other place or seed differ.
void fill(void* buffer, size_t length, uint64_t offset, uint64_t seed);
// The first byte that is not the pattern's, or `length`.
size_t first_difference(const void* buffer, size_t length, uint64_t offset, uint64_t seed);
bool all_zero(const void* buffer, size_t length);

// Page-aligned memory that lives as long as the process of the rule.
void* pages(size_t length);

// Writes or reads all of it; false (with a violation noted) if the kernel does not.
bool write_pattern(int file, uint64_t offset, size_t length, uint64_t seed);
bool read_pattern(int file, uint64_t offset, size_t length, uint64_t seed);
// A new file of so many bytes of the pattern, closed; false with a violation noted.
bool make_file(const char* path, size_t length, uint64_t seed);
// The whole file has so many bytes of the pattern.
bool file_is(const char* path, size_t length, uint64_t seed);

// Runs `work` in a new process; the process exits 0 if the work noted no violation.
pid_t start(void (*work)(void*), void* argument);
// Waits for it; false if it noted a violation (which the rule then has too) or died.
bool finished(pid_t process);

// Forgets clean pages, names and attributes, so that what follows asks the server.
void drop_caches(void);
double now_s(void);

// Where the export is mounted once more (number: 1 to MOUNTS_MORE) with `nosharecache`, as if by another
// machine: with caches and locks of its own; it remembers no attributes and names unless said so. Null, with
// a violation noted, if that cannot be done.
const char* mount_again(int number, bool remembers);
enum { MOUNTS_MORE = 4 };
// The rule's folder, relative to the mount.
const char* rule_folder(void);

// mount(2) of an NFSv3 export. `more`: further options or null. 0 or an exit code.
int mount_export(const char* host, const char* port, const char* mount_port, const char* export_path,
                 const char* folder, const char* more);

// Writes, renames, removes and verifies in `folder` for so many seconds, while a test ends and starts
// servers. Exit code.
int endure(double seconds, const char* folder);
