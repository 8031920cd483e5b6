// shima-disk-load DEVICE SEED: verified load on a virtual machine's disk, for tests that move the machine.
//
// Static, for a guest that has nothing but busybox. Two writers and a reader use the device by O_DIRECT |
// O_SYNC. Each 4 KiB block that is written gets a number, one higher than its last, and bytes that follow
// from (seed, block, number); some ranges are zeroed, or are punched as holes. What was
// acknowledged is remembered in memory only, and the reader compares every byte with it: old data, data of
// another place, torn writes and holes all show. Blocks never written must read as zeros, so the device must
// be new.
//
// Every 100 ms a line on stdout: "load: acks=N reads=N zeroed=N gap_ms=N", the longest time without an
// acknowledged write that ended, or grew, since the last line, by the guest's clock, which stands still while
// the machine does. A line "end" on stdin stops the load: then all is read and compared once more,
// "load: verified blocks=N written=N" is printed, and the exit code is 0. At the first difference or I/O
// error: "LOAD FAILED: ..." and exit code 1.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
  BLOCK = 4096,
  WORDS = BLOCK / 8,
  GROUP = 8,  // blocks of one operation at most; locked together
  WRITERS = 2,
  HOT_GROUPS = 16,  // half of all operations go there: what is old somewhere is found soon
  ZERO_PERCENT = 5,
  LINE_MS = 100,
};

struct block_state {
  uint32_t number;  // of the last acknowledged operation on it; 0: none
  bool zeroed;      // which was a zeroing
};

static int device;
static uint64_t seed, groups;
static struct block_state* blocks;
static pthread_mutex_t* group_locks;
static atomic_bool stopped;
static atomic_ullong acks, reads, zeroings;
static pthread_mutex_t gap_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_ack_us, longest_gap_us;

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// Ends the process: nothing that is done after the first failure says more.
static void fail(const char* format, ...) {
  static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&once);
  va_list arguments;
  va_start(arguments, format);
  printf("\nLOAD FAILED: ");
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  tcdrain(STDOUT_FILENO);
  _exit(1);
}

// splitmix64 (Steele, Lea, Flood 2014).
static uint64_t next_random(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// The first two words tell a person whose block it is; all others follow from them.
static void fill(uint64_t* words, uint64_t block, struct block_state state) {
  if (state.number == 0 || state.zeroed) {
    memset(words, 0, BLOCK);
    return;
  }
  uint64_t random = seed ^ (block << 32) ^ state.number;
  words[0] = block;
  words[1] = state.number;
  for (int i = 2; i < WORDS; i++) words[i] = next_random(&random);
}

static void compare(const uint64_t* found, uint64_t block) {
  uint64_t wanted[WORDS];
  fill(wanted, block, blocks[block]);
  if (memcmp(found, wanted, BLOCK) == 0) return;
  int word = 0;
  while (found[word] == wanted[word]) word++;
  fail(
      "block %llu differs from byte %d on: wanted what write %u%s left; found the words %llx %llx (those of "
      "a written "
      "block are its place and its write)",
      (unsigned long long)block, word * 8, blocks[block].number, blocks[block].zeroed ? " (zeros)" : "",
      (unsigned long long)found[0], (unsigned long long)found[1]);
}

static void* new_buffer(void) {
  void* buffer = NULL;
  if (posix_memalign(&buffer, BLOCK, (size_t)GROUP * BLOCK) != 0) fail("no memory");
  return buffer;
}

static uint64_t choose_group(uint64_t* random) {
  const bool hot = next_random(random) % 2 == 0 && groups > HOT_GROUPS;
  return next_random(random) % (hot ? HOT_GROUPS : groups);
}

static void note_ack(void) {
  acks++;
  pthread_mutex_lock(&gap_lock);
  const uint64_t now = now_us();
  if (now - last_ack_us > longest_gap_us) longest_gap_us = now - last_ack_us;
  last_ack_us = now;
  pthread_mutex_unlock(&gap_lock);
}

// Writes zeros, or punches a hole, which promises to read as zeros and that nothing is kept: WRITE ZEROES to
// the disk, without and with leave to unmap.
static void zero_out(uint64_t first, uint64_t count, bool punch) {
  uint64_t range[2] = {first * BLOCK, count * BLOCK};
  const int result =
      punch ? fallocate(device, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range[0], (off_t)range[1])
            : ioctl(device, BLKZEROOUT, range);
  if (result != 0) {
    fail("zeroing %llu blocks from %llu on: %s", (unsigned long long)count, (unsigned long long)first,
         strerror(errno));
  }
  zeroings++;
}

static void write_out(const uint8_t* buffer, uint64_t first, uint64_t count) {
  const ssize_t wanted = (ssize_t)(count * BLOCK),
                done = pwrite(device, buffer, (size_t)wanted, (off_t)(first * BLOCK));
  if (done != wanted) {
    fail("writing %llu blocks from %llu on: %zd bytes, %s", (unsigned long long)count,
         (unsigned long long)first, done, done < 0 ? strerror(errno) : "too few");
  }
}

static void* write_on(void* number) {
  uint64_t random = seed + 1 + (uint64_t)(uintptr_t)number;
  uint8_t* buffer = new_buffer();
  while (!stopped) {
    const uint64_t group = choose_group(&random), offset = next_random(&random) % GROUP;
    const uint64_t first = group * GROUP + offset, count = 1 + next_random(&random) % (GROUP - offset);
    struct block_state states[GROUP];
    const bool zero = next_random(&random) % 100 < ZERO_PERCENT;
    pthread_mutex_lock(&group_locks[group]);
    for (uint64_t i = 0; i < count; i++) {
      states[i] = (struct block_state){blocks[first + i].number + 1, zero};
      fill((uint64_t*)(buffer + i * BLOCK), first + i, states[i]);
    }
    if (zero) {
      zero_out(first, count, next_random(&random) % 2 == 0);
    } else {
      write_out(buffer, first, count);
    }
    memcpy(&blocks[first], states, count * sizeof states[0]);
    pthread_mutex_unlock(&group_locks[group]);
    note_ack();
  }
  return NULL;
}

static void read_and_compare(uint8_t* buffer, uint64_t group) {
  pthread_mutex_lock(&group_locks[group]);
  const ssize_t wanted = (ssize_t)GROUP * BLOCK,
                done = pread(device, buffer, (size_t)wanted, (off_t)(group * (uint64_t)wanted));
  if (done != wanted) {
    fail("reading from block %llu on: %zd bytes, %s", (unsigned long long)group * GROUP, done,
         done < 0 ? strerror(errno) : "too few");
  }
  for (uint64_t i = 0; i < GROUP; i++) compare((const uint64_t*)(buffer + i * BLOCK), group * GROUP + i);
  pthread_mutex_unlock(&group_locks[group]);
}

static void* read_on(void* unused) {
  (void)unused;
  uint64_t random = seed;
  uint8_t* buffer = new_buffer();
  for (; !stopped; reads++) read_and_compare(buffer, choose_group(&random));
  return NULL;
}

static void print_progress(void) {
  pthread_mutex_lock(&gap_lock);
  const uint64_t open_gap_us = now_us() - last_ack_us;
  const uint64_t gap_us = open_gap_us > longest_gap_us ? open_gap_us : longest_gap_us;
  longest_gap_us = 0;
  pthread_mutex_unlock(&gap_lock);
  printf("load: acks=%llu reads=%llu zeroed=%llu gap_ms=%llu\n", (unsigned long long)acks,
         (unsigned long long)reads, (unsigned long long)zeroings, (unsigned long long)gap_us / 1000);
  fflush(stdout);
}

static void print_until_the_end(void) {
  char line[16];
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  for (;;) {
    if (poll(&input, 1, LINE_MS) > 0) {
      if (fgets(line, sizeof line, stdin) == NULL) fail("stdin has ended without a line 'end'");
      if (strcmp(line, "end\n") == 0) return;
      fail("wanted the line 'end' on stdin, found something else");
    }
    print_progress();
  }
}

static void verify_all(void) {
  uint8_t* buffer = new_buffer();
  uint64_t written = 0;
  for (uint64_t group = 0; group < groups; group++) read_and_compare(buffer, group);
  for (uint64_t block = 0; block < groups * GROUP; block++) written += blocks[block].number != 0;
  printf("load: verified blocks=%llu written=%llu\n", (unsigned long long)groups * GROUP,
         (unsigned long long)written);
  fflush(stdout);
}

static void open_device(const char* path) {
  uint64_t bytes = 0;
  device = open(path, O_RDWR | O_DIRECT | O_SYNC);
  if (device < 0 || ioctl(device, BLKGETSIZE64, &bytes) != 0) fail("%s: %s", path, strerror(errno));
  groups = bytes / ((uint64_t)GROUP * BLOCK);
  if (groups == 0)
    fail("%s has %llu bytes; wanted at least %d", path, (unsigned long long)bytes, GROUP * BLOCK);
  blocks = calloc(groups * GROUP, sizeof *blocks);
  group_locks = calloc(groups, sizeof *group_locks);
  if (blocks == NULL || group_locks == NULL) fail("no memory");
  for (uint64_t group = 0; group < groups; group++) pthread_mutex_init(&group_locks[group], NULL);
}

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: shima-disk-load DEVICE SEED");
  seed = strtoull(argv[2], NULL, 10);
  open_device(argv[1]);
  last_ack_us = now_us();
  pthread_t threads[WRITERS + 1];
  for (uintptr_t i = 0; i <= WRITERS; i++) {
    if (pthread_create(&threads[i], NULL, i < WRITERS ? write_on : read_on, (void*)i) != 0)
      fail("no threads");
  }
  print_until_the_end();
  stopped = true;
  for (int i = 0; i <= WRITERS; i++) pthread_join(threads[i], NULL);
  verify_all();
  return 0;
}
