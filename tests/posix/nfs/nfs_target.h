// NfsTarget: which servers a tester asks: those of a cluster, or servers of its own over a volume in memory.
// Threads: one at a time.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tests/posix/nfs/memory_nfs.h"

namespace shima {

struct NfsTarget {
  std::vector<std::string> servers;  // HOST:PORT
  std::string volume = "memory";
  MemoryNfsOptions memory;
  std::unique_ptr<MemoryNfs> own;

  void add_options(CLI::App& app) {
    memory.volume.block_size = 64 << 10;  // small, so that small files have many
    app.add_option("--server", servers, "HOST:PORT; several: access servers of one volume, used in turn");
    app.add_option("--volume", volume, "its name")->capture_default_str();
    app.add_option("--memory-servers", memory.servers,
                   "without --server: so many servers in this process, over a volume in memory")
        ->check(CLI::Range(1u, 64u))
        ->capture_default_str();
    app.add_flag("--reorder", memory.volume.reorder,
                 "of a volume in memory: requests to the volume overtake each other");
  }
  // Says why and returns false if its own servers do not start.
  bool start(uint64_t seed) {
    if (!servers.empty()) return true;
    memory.volume.name = volume;
    memory.volume.seed = seed;
    auto started = MemoryNfs::start(memory);
    if (!started) {
      std::fprintf(stderr, "%s\n", started.status().to_string().c_str());
      return false;
    }
    own = std::move(*started);
    servers = own->servers();
    return true;
  }
};

}  // namespace shima
