// Nfs3Client: every procedure of NFSv3 (RFC 1813), one at a time, with its bare nfsstat3: libnfs' raw calls,
// since its file calls hide errors, attributes and handles.
//
// MOUNT and NFS are asked on one connection, without a portmapper. JUKEBOX is asked again, as clients do, for
// 60 s at most. Threads: one at a time. Errors: the answer's status is an nfsstat3, or kNoAnswer when the
// connection is lost or the server does not answer within 60 s; error() then says why.
#pragma once

#include <nfsc/libnfs.h>
// These want what libnfs.h declares.
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct NfsCaller {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;  // supplementary, 16 at most
};

// What sattr3 says; what is not set does not change. Times in ns since 1970.
struct NfsSet {
  std::optional<uint32_t> mode, uid, gid;
  std::optional<uint64_t> size;  // bytes
  std::optional<int64_t> atime_ns, mtime_ns;
  bool atime_now = false, mtime_now = false;  // the server's time
};

constexpr int kNoAnswer = -1;
constexpr int kNfsPatienceSeconds = 60;

struct NfsAnswer {
  int status = kNoAnswer;
  std::string handle;                    // of what was found or made
  std::optional<fattr3> attributes;      // of the object, after
  std::optional<wcc_attr> before;        // of the object, if it was changed; else of its directory
  std::optional<fattr3> directory;       // of the directory, after
  std::optional<fattr3> from_directory;  // RENAME
  std::string bytes;                     // READ, READLINK
  bool end = false;                      // READ
  uint32_t word = 0;                     // WRITE: bytes written; ACCESS: what is allowed
};

struct NfsEntry {
  std::string name, handle;
  uint64_t inode = 0, cookie = 0;
  std::optional<fattr3> attributes;  // READDIRPLUS
};

struct NfsListing {
  int status = kNoAnswer;
  std::vector<NfsEntry> entries;
  std::string verifier;
  bool end = false;
};

struct NfsStatistics3 {
  int status = kNoAnswer;
  FSSTAT3resok space{};
  FSINFO3resok limits{};
  PATHCONF3resok names{};
};

class Nfs3Client {
 public:
  // `server`: HOST:PORT; `path`: "/VOLUME", perhaps with a directory below. The status of MOUNT (mountstat3)
  // is in the text of the error.
  static Result<std::unique_ptr<Nfs3Client>> mount(const std::string& server, const std::string& path);
  ~Nfs3Client();
  Nfs3Client(const Nfs3Client&) = delete;
  Nfs3Client& operator=(const Nfs3Client&) = delete;

  void act_as(const NfsCaller& caller);
  const std::string& root() const { return root_; }
  std::string error() const;
  uint64_t asked_again() const { return asked_again_; }  // because of JUKEBOX

  NfsAnswer getattr(const std::string& handle);
  NfsAnswer setattr(const std::string& handle, const NfsSet& set,
                    std::optional<nfstime3> guard = std::nullopt);
  NfsAnswer lookup(const std::string& directory, const std::string& name);
  NfsAnswer access(const std::string& handle, uint32_t wanted);
  NfsAnswer readlink(const std::string& handle);
  NfsAnswer read(const std::string& handle, uint64_t offset, uint32_t count);
  NfsAnswer write(const std::string& handle, uint64_t offset, std::span<const uint8_t> bytes,
                  stable_how stable = FILE_SYNC);
  NfsAnswer create(const std::string& directory, const std::string& name, createmode3 how, const NfsSet& set,
                   uint64_t verifier = 0);
  NfsAnswer mkdir(const std::string& directory, const std::string& name, const NfsSet& set);
  NfsAnswer symlink(const std::string& directory, const std::string& name, const std::string& target);
  NfsAnswer mknod(const std::string& directory, const std::string& name, ftype3 type, const NfsSet& set,
                  uint32_t major = 0, uint32_t minor = 0);
  NfsAnswer remove(const std::string& directory, const std::string& name);
  NfsAnswer rmdir(const std::string& directory, const std::string& name);
  NfsAnswer rename(const std::string& from_directory, const std::string& from,
                   const std::string& to_directory, const std::string& to);
  NfsAnswer link(const std::string& file, const std::string& directory, const std::string& name);
  // One page; from the beginning with cookie 0 and no verifier. `count`: bytes of the reply.
  NfsListing readdir(const std::string& directory, bool plus, uint32_t count, uint64_t cookie = 0,
                     const std::string& verifier = "");
  // All pages.
  NfsListing list(const std::string& directory, bool plus, uint32_t count);
  NfsStatistics3 statistics(const std::string& handle);
  NfsAnswer commit(const std::string& handle, uint64_t offset, uint32_t count);

  struct Piece {
    uint64_t offset = 0;
    std::span<const uint8_t> bytes;
  };
  // WRITEs that are all under way at once; the answers in the order of `pieces`. JUKEBOX is not asked again.
  std::vector<NfsAnswer> write_together(const std::string& handle, const std::vector<Piece>& pieces);

 private:
  Nfs3Client() = default;
  using Send = std::function<int(rpc_cb, void*)>;
  Status connect(const std::string& host, int port);
  // Sends a call and waits; `take` sees the XDR result.
  bool exchange(const Send& send, const std::function<void(void*)>& take);
  bool wait_for(const size_t& open);
  // As exchange, of a procedure whose result begins with its status.
  template <typename R>
  int ask(const Send& send, const std::function<void(const R&)>& take);

  rpc_context* rpc_ = nullptr;
  std::string root_;
  uint64_t asked_again_ = 0;
};

// The errno that a client's system call would show; 0: OK. NOT_SYNC, BADTYPE and others that no system call
// knows: EIO.
int errno_of_nfs(int status);
int64_t nanoseconds(const nfstime3& time);

}  // namespace shima
