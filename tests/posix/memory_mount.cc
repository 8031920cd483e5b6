// posix_memory_mount: mounts a volume that lives in this process's memory, at one or several mount points
// (each is then an access server with a session of its own), until SIGINT or SIGTERM: for tests of what lies
// above VolumeAccess without a cluster. What is in it is gone afterwards.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/fileops/file_system.h"
#include "accessserver/fuse/fuse_mount.h"
#include "common/observe/log.h"
#include "tests/support/memory_volume/memory_volume.h"

namespace shima {
namespace {

struct Settings {
  std::vector<std::string> mount_points;
  MemoryVolumeOptions volume;
  FuseOptions fuse;
  bool no_cache = false;
};

struct Mount {
  std::unique_ptr<FileSystem> files;
  std::unique_ptr<FuseMount> mount;  // before files
};

int serve(const Settings& settings, const sigset_t& signals) {
  MemoryVolume volume(settings.volume);
  std::vector<Mount> mounts;
  for (const std::string& point : settings.mount_points) {
    Mount& added = mounts.emplace_back();
    added.files = make_file_system(volume, {.session_name = "memory:" + point});
    FuseOptions fuse = settings.fuse;
    fuse.mount_point = point;
    if (settings.no_cache) fuse.cache = FuseCache::kNone;
    auto mounted = FuseMount::mount(*added.files, fuse);
    if (!mounted) {
      std::fprintf(stderr, "%s\n", mounted.status().to_string().c_str());
      return 1;
    }
    added.mount = std::move(*mounted);
  }
  std::printf("mounted\n");
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  int result = 0;
  for (Mount& mount : mounts) {
    if (const Status status = mount.mount->unmount(); !status.is_ok()) {
      log(LogLevel::kWarning, "memory_mount", status.to_string() + "; unmounting with force");
      result = 1;
    }
    mount.mount.reset();
  }
  return result;
}

}  // namespace
}  // namespace shima

namespace {

int run(int argc, char** argv) {
  shima::Settings settings;
  settings.volume.block_size = 64 << 10;  // small, so that small files have many
  CLI::App app("Mounts a volume in memory until SIGINT or SIGTERM. Prints 'mounted' when it is there.");
  app.add_option("mount_points", settings.mount_points, "each with a session of its own")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--block-size", settings.volume.block_size, "bytes")->capture_default_str();
  app.add_option("--threads", settings.fuse.threads, "that read requests, each mount")->capture_default_str();
  app.add_option("--max-delay-ms", settings.volume.max_delay_ms,
                 "each request and reply waits so long at most")
      ->capture_default_str();
  app.add_option("--capacity", settings.volume.capacity_bytes, "bytes; 0: no end")->capture_default_str();
  app.add_option("--attribute-timeout-ms", settings.fuse.attribute_timeout_ms, "as in FuseOptions")
      ->capture_default_str();
  app.add_flag("--reorder", settings.volume.reorder, "of all steps that could happen next a random one does");
  app.add_option("--seed", settings.volume.seed, "of --reorder and --max-delay-ms")->capture_default_str();
  app.add_flag("--no-cache", settings.no_cache, "every read and write goes to the volume");
  app.add_flag("--read-only", settings.fuse.read_only, "mount read-only");
  CLI11_PARSE(app, argc, argv);

  // Before any thread starts, so that none but sigwait gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return shima::serve(settings, signals);
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
