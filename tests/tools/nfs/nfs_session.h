// NfsSession: an NFSv3 mount of a volume through libnfs, for tests: many reads or writes in flight, and
// servers to go on at when one is gone.
//
// One thread. Errors: kNotFound, kAlreadyExists, kNoSpace, kPermissionDenied for their NFS errors;
// kUnavailable: the connection is lost or no server answers; kIo: any other, with libnfs' words.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status/status.h"

struct nfs_context;
struct nfsfh;

namespace shima {

struct NfsTarget {
  std::vector<std::string> servers;  // HOST:PORT, tried in order
  std::string volume;
  int timeout_ms = 60'000;  // of one request
  // Lost connections and "ask again" are told (kUnavailable), for the caller to go on at the next server.
  // Without it the session connects anew and asks again, as an NFS client in a kernel does.
  bool fails_over = false;
};

class NfsSession {
 public:
  explicit NfsSession(NfsTarget target) : target_(std::move(target)) {}
  ~NfsSession();
  NfsSession(const NfsSession&) = delete;
  NfsSession& operator=(const NfsSession&) = delete;

  // Mounts at the server that is next; a connection that was there is dropped without a word.
  Status connect();
  // Again for a while if it is not there, or says "ask again"; a file that was open is opened again.
  Status connect_patiently();
  Status connect_to_next();
  const std::string& server() const { return target_.servers[at_]; }

  Status open(const std::string& path, int flags, int mode);
  Status truncate(uint64_t size);
  Status close();
  // Of the open file, one at a time.
  Status write(uint64_t offset, std::span<const uint8_t> bytes);
  Status read(uint64_t offset, std::span<uint8_t> bytes);  // kIo: the file ends before

  // Runs up to `depth` at a time, until next() gives no more: bytes of the open file, written or read in
  // place. `done` of each comes in any order.
  struct Piece {
    uint64_t offset = 0;
    std::span<uint8_t> bytes;
    std::function<void()> done;
  };
  Status pipeline(bool writes, size_t depth, const std::function<bool(Piece&)>& next);

  // Calls a function of libnfs that returns 0 or -errno.
  Status call(const std::string& what, const std::function<int(nfs_context*)>& function);

 private:
  struct InFlight;
  Status status_of(int error, const std::string& what) const;
  Status serve_events(int timeout_ms);
  void drop();

  const NfsTarget target_;
  size_t at_ = 0;
  nfs_context* nfs_ = nullptr;
  nfsfh* file_ = nullptr;
  std::string path_;  // of the open file
  int flags_ = 0, mode_ = 0;
  bool reconnecting_ = false;
};

}  // namespace shima
