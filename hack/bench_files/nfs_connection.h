// One TCP connection to an NFSv3 server, with libnfs' raw calls: many may be in flight, and WRITE is what the
// caller says. Everything on the caller's thread: callbacks come out of run_until().
#pragma once

// The first defines what the others need.
// clang-format off
#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
// clang-format on

#include <functional>
#include <memory>
#include <string>

#include "common/status/status.h"

namespace shima {

struct NfsAddress {
  std::string host;
  int port = 2049;
  int mount_port = 2049;
  std::string export_path;
};

class NfsConnection {
 public:
  // A file handle of its own memory.
  using Handle = std::string;

  static Result<std::unique_ptr<NfsConnection>> open(const NfsAddress& address);
  ~NfsConnection();

  rpc_context* rpc() { return rpc_; }
  const Handle& root() const { return root_; }

  // Sends and receives until `done` says so. Errors: the connection broke, or nothing came for 30 s.
  Status run_until(const std::function<bool()>& done);

  Result<Handle> make_directory(const Handle& parent, const std::string& name);  // one that is there is taken
  Result<Handle> make_file(const Handle& parent, const std::string& name);       // one that is there is taken
  Status remove_directory(const Handle& parent, const std::string& name);
  Result<uint64_t> size_of(const Handle& file);

 private:
  NfsConnection() = default;
  Status connect(const std::string& host, int port, int program, int version);

  rpc_context* rpc_ = nullptr;
  Handle root_;
};

inline nfs_fh3 nfs_handle(const NfsConnection::Handle& handle) {
  nfs_fh3 result;
  result.data.data_len = static_cast<u_int>(handle.size());
  result.data.data_val = const_cast<char*>(handle.data());
  return result;
}

Status nfs_error(const std::string& what, int rpc_status, const void* data, int nfs_status);

}  // namespace shima
