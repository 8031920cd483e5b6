// Nfs3Program: NFS version 3 (RFC 1813, program 100003) over the volumes of Exports.
//
// Every WRITE is on disk twice before it is answered FILE_SYNC (R21), so COMMIT has nothing to do and the
// write verifier is a constant. Directory cookies are valid for ever, so the cookie verifier is one, too.
// Handles of an older life of a volume are stale (R13).
#pragma once

#include "accessserver/nfs/nfs3_call.h"
#include "accessserver/nfs/rpc/rpc_programs.h"

namespace shima {

inline constexpr uint32_t kNfsProgram = 100003;
inline constexpr uint32_t kNfsMaxTransferBytes = 1u << 20;         // rtmax, wtmax
inline constexpr uint32_t kNfsDirectoryBytes = 64u << 10;          // dtpref
inline constexpr uint64_t kNfsMaxFileBytes = 1ull << 44;           // 16 TiB
inline constexpr uint64_t kNfsWriteVerifier = 0x5348494d41000001;  // "SHIMA", version 1
inline constexpr uint64_t kNfsCookieVerifier = 0x5348494d41000001;

class Nfs3Program final : public RpcProgram {
 public:
  // Both must outlive it, and all calls in work.
  Nfs3Program(Exports& exports, Nfs3Counters& counters) : exports_(exports), counters_(counters) {}

  uint32_t number() const override { return kNfsProgram; }
  uint32_t version() const override { return 3; }
  uint32_t procedures() const override { return kNfs3Procedures; }
  bool repeatable(uint32_t procedure) const override;
  void call(RpcRequestPtr request) override;

 private:
  using Handler = void (Nfs3Program::*)(NfsCallPtr);
  struct Procedure {
    Handler handler;
    bool changes;  // refused with ROFS where the volume is read-only for the client
  };
  static const std::array<Procedure, kNfs3Procedures> kProcedures;

  // Finds the volume of the call's handle, checks life and export, and goes on with `next(NfsCallPtr)`; or
  // answers with an error.
  template <typename Next>
  void enter(NfsCallPtr call, Next next) {
    if (call->bad_handle) return NfsCall::fail(std::move(call), NfsStatus::kBadHandle);
    if (std::shared_ptr<FileSystem> volume = exports_.open_now(call->handle.volume)) {
      if (admit(call, std::move(volume))) next(std::move(call));
      return;
    }
    uint64_t id = call->handle.volume;
    exports_.by_id(id, [this, call = std::move(call),
                        next = std::move(next)](Result<std::shared_ptr<FileSystem>> opened) mutable {
      if (!opened) return NfsCall::fail(std::move(call), nfs_status_of(opened.status()));
      if (admit(call, std::move(*opened))) next(std::move(call));
    });
  }
  // False: the call was answered.
  bool admit(NfsCallPtr& call, std::shared_ptr<FileSystem> volume);

  // attributes: nfs3_attribute_procedures.cc
  void null(NfsCallPtr call);
  void getattr(NfsCallPtr call);
  void setattr(NfsCallPtr call);
  void access(NfsCallPtr call);
  void fsstat(NfsCallPtr call);
  void fsinfo(NfsCallPtr call);
  void pathconf(NfsCallPtr call);
  // bytes: nfs3_data_procedures.cc
  void readlink(NfsCallPtr call);
  void read(NfsCallPtr call);
  void write(NfsCallPtr call);
  void commit(NfsCallPtr call);
  // names: nfs3_name_procedures.cc
  void lookup(NfsCallPtr call);
  void create(NfsCallPtr call);
  void mkdir(NfsCallPtr call);
  void symlink(NfsCallPtr call);
  void mknod(NfsCallPtr call);
  void remove(NfsCallPtr call);
  void rmdir(NfsCallPtr call);
  void rename(NfsCallPtr call);
  void link(NfsCallPtr call);
  void make(NfsCallPtr call, metadata::v1::Create create, NfsStatus valid);
  void unlink(NfsCallPtr call, bool directory);
  // listings: nfs3_listing_procedures.cc
  void readdir(NfsCallPtr call);
  void readdirplus(NfsCallPtr call);

  Exports& exports_;
  Nfs3Counters& counters_;
};

// Runs a job and goes on with `done(NfsCallPtr, JobReply&)` on the volume's thread.
template <typename Done>
void run_job(NfsCallPtr call, metadata::v1::JobRequest&& job, Done done) {
  FileSystem& volume = *call->volume;
  volume.run(std::move(job), [call = std::move(call), done = std::move(done)](
                                 metadata::v1::JobReply reply) mutable { done(std::move(call), reply); });
}

// The attributes of the call's inode: `done(NfsCallPtr, const FileAttributes&)`; or the call fails.
template <typename Done>
void with_attributes(NfsCallPtr call, Done done) {
  metadata::v1::JobRequest job = call->job();
  job.mutable_get_attributes()->set_inode(call->handle.inode);
  run_job(std::move(call), std::move(job),
          [done = std::move(done)](NfsCallPtr call, metadata::v1::JobReply& reply) mutable {
            if (reply.error()) return NfsCall::fail(std::move(call), nfs_status_of_errno(reply.error()));
            if (is_gone(reply.attributes())) return NfsCall::fail(std::move(call), NfsStatus::kStale);
            done(std::move(call), reply.attributes());
          });
}

}  // namespace shima
