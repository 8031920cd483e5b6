// MemoryNfs: one volume in memory behind one or several NFS servers (each an access server with a session of
// its own) in this process: NFS, file layer and jobs as they are, without a cluster.
//
// Threads: methods from any thread. Destroying it closes all connections.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "accessserver/server/exports.h"
#include "common/status/status.h"
#include "tests/support/memory_volume/memory_volume.h"

namespace shima {

struct MemoryNfsOptions {
  MemoryVolumeOptions volume;
  uint32_t servers = 1;
  std::vector<uint16_t> ports;  // of the servers, on 127.0.0.1; 0 or missing: the kernel chooses
};

class MemoryNfs {
 public:
  static Result<std::unique_ptr<MemoryNfs>> start(const MemoryNfsOptions& options);
  virtual ~MemoryNfs() = default;

  virtual const std::vector<std::string>& servers() const = 0;  // HOST:PORT
  virtual void set_access(const Access& access) = 0;            // of every client; at first: all is allowed
  virtual MemoryVolume& volume() = 0;
};

}  // namespace shima
