// shima-guest-check: checks the rules of a file system through the system calls of a real kernel. Built
// without libraries, for a guest that has none (hack/guest nfs); runs anywhere, on any mounted folder.
//
//   shima-guest-check all FOLDER            every rule
//   shima-guest-check only WORD FOLDER      the rules whose names contain WORD
//   shima-guest-check endure SECONDS FOLDER
//   shima-guest-check mount HOST PORT MOUNT_PORT EXPORT FOLDER [OPTIONS]
//
// One line a rule, `ok` or `FAIL`. Exit code 0: all hold; 1: some do not; 2: wrong use.
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { RULE_TIMEOUT_S = 400 };

static const struct rule* const tables[] = {data_rules,      direct_rules, name_rules,         race_rules,
                                            attribute_rules, lock_rules,   second_client_rules};
static char folder_of_rule[64];

const char* rule_folder(void) { return folder_of_rule; }

static int remove_entry(const char* path, const struct stat* status, int type, struct FTW* where) {
  (void)status, (void)where;
  return (type == FTW_DP ? rmdir(path) : unlink(path)) == 0 ? 0 : -1;
}

// Nothing may be left behind. The client removes silly-renamed files a moment after they were closed, so that
// one may go while it is looked at.
static bool remove_folder(const char* root) {
  if (chdir(root) != 0) return false;
  for (const double end = now_s() + 60; nftw(folder_of_rule, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0;
       usleep(50000)) {
    if (now_s() > end) return false;
  }
  return true;
}

static void check_alone(void* rule) {
  setpgid(0, 0);
  alarm(RULE_TIMEOUT_S);
  umask(022);
  ((const struct rule*)rule)->check();
}

// In a process group of its own: what it leaves open, locked or running goes with it, and a hang is an alarm.
static bool holds(const struct rule* rule, const char* root) {
  if (chdir(root) != 0 || mkdir(folder_of_rule, 0777) != 0 || chdir(folder_of_rule) != 0) {
    violated(__FILE__, __LINE__, "cannot make the rule's folder");
    return false;
  }
  const pid_t process = start(check_alone, (void*)rule);
  int status = -1;
  waitpid(process, &status, 0);
  kill(-process, SIGKILL);
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    printf("     ended by signal %d%s\n", number, number == SIGALRM ? ": it took too long" : "");
  }
  bool held = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  const bool removed = remove_folder(root);
  if (!removed) printf("     its folder cannot be removed: %s\n", strerror(errno));
  return held && removed;
}

static int run_rules(const char* word, const char* root) {
  int count = 0, failed = 0;
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
    for (const struct rule* rule = tables[t]; rule->name != NULL; rule++) {
      if (word != NULL && strstr(rule->name, word) == NULL) continue;
      snprintf(folder_of_rule, sizeof folder_of_rule, "rule-%d-%d", (int)getpid(), ++count);
      const double begin = now_s();
      const bool held = holds(rule, root);
      printf("%s %s (%.2f s)\n", held ? "ok  " : "FAIL", rule->name, now_s() - begin);
      fflush(stdout);
      failed += held ? 0 : 1;
    }
  }
  printf("shima-guest-check: %d rules, %d failed\n", count, failed);
  return count > 0 && failed == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 3 && strcmp(argv[1], "all") == 0) return run_rules(NULL, argv[2]);
  if (argc == 4 && strcmp(argv[1], "only") == 0) return run_rules(argv[2], argv[3]);
  if (argc == 4 && strcmp(argv[1], "endure") == 0) return endure(atof(argv[2]), argv[3]);
  if ((argc == 7 || argc == 8) && strcmp(argv[1], "mount") == 0) {
    return mount_export(argv[2], argv[3], argv[4], argv[5], argv[6], argc == 8 ? argv[7] : NULL);
  }
  fprintf(stderr,
          "usage: shima-guest-check all FOLDER | only WORD FOLDER | endure SECONDS FOLDER | mount HOST PORT "
          "MOUNT_PORT EXPORT "
          "FOLDER [OPTIONS]\n");
  return 2;
}
