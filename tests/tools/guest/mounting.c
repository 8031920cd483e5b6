// NFS mounts by mount(2) with the options that mount.nfs would have made of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

// What the last mount was made of, for mount_again().
static const char* const REMEMBERED = "/tmp/shima-guest-mount";

static int mount_with(const char* source, const char* folder, const char* options) {
  if (mount(source, folder, "nfs", 0, options) == 0) return 0;
  fprintf(stderr, "shima-guest-check: mount of %s at %s with %s: %s\n", source, folder, options,
          strerror(errno));
  return 1;
}

int mount_export(const char* host, const char* port, const char* mount_port, const char* export_path,
                 const char* folder, const char* more) {
  char source[512], options[768];
  snprintf(source, sizeof source, "%s:%s", host, export_path);
  // hard: a server that is away is waited for, and no error comes of it. retrans and timeo make a new
  // connection within seconds; nolock: locks are this kernel's own, since there is no NLM.
  snprintf(
      options, sizeof options,
      "addr=%s,mountaddr=%s,port=%s,mountport=%s,proto=tcp,mountproto=tcp,vers=3,mountvers=3,nolock,hard,"
      "timeo=50,retrans=2,sec=sys%s%s",
      host, host, port, mount_port, more ? "," : "", more ? more : "");
  if (mount_with(source, folder, options) != 0) return 1;
  FILE* file = fopen(REMEMBERED, "w");
  if (file == NULL) return 0;  // only mount_again() needs it
  fprintf(file, "%s\n%s\n", source, options);
  fclose(file);
  return 0;
}

const char* mount_again(int number, bool remembers) {
  static char folders[MOUNTS_MORE + 1][40];
  char source[512], options[900];
  FILE* file = fopen(REMEMBERED, "r");
  if (file == NULL || fscanf(file, "%511s %767s", source, options) != 2) {
    if (file != NULL) fclose(file);
    violated(__FILE__, __LINE__, "the first mount was not made by this program");
    return NULL;
  }
  fclose(file);
  char* folder = folders[number];
  snprintf(folder, sizeof folders[number], "/tmp/mount-%d", number);
  strcat(options, remembers ? ",nosharecache" : ",nosharecache,actimeo=0,lookupcache=none");
  umount2(folder, MNT_DETACH);  // of the rule before
  mkdir(folder, 0755);
  if (mount_with(source, folder, options) == 0) return folder;
  violated(__FILE__, __LINE__, "mounting once more failed");
  return NULL;
}
