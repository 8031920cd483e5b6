// MountProgram: MOUNT versions 3 and 1 (RFC 1813 section 5, RFC 1094 appendix A; program 100005).
//
// "/VOLUME" is the root of a volume, "/VOLUME/a/b" a directory in it. Symlinks are not followed, and ".." is
// refused. Mounting gives a handle; each NFS call checks the export again. Version 1 is for its UMNT and
// DUMP, which old clients use whatever they mounted with.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <set>

#include "accessserver/nfs/nfs_status.h"
#include "accessserver/nfs/rpc/rpc_programs.h"
#include "accessserver/server/exports.h"

namespace shima {

inline constexpr uint32_t kMountProgram = 100005;
inline constexpr uint32_t kMountProcedures = 6;

// Who has mounted what, as DUMP tells: for people only; forgotten at a restart (RFC 1813 section 5.2.2).
// Bounded: more than kMax are not noted. Threads: any.
class MountList {
 public:
  static constexpr size_t kMax = 1024;
  void add(const std::string& client, const std::string& path);
  void remove(const std::string& client, const std::string& path);
  void remove_all(const std::string& client);
  std::set<std::pair<std::string, std::string>> all() const;  // client, path

 private:
  mutable std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> mounts_;
};

struct MountCounters {
  std::array<std::atomic<uint64_t>, kMountProcedures> requests{};
  std::atomic<uint64_t> refused{0};  // MNTs
};

class MountProgram final : public RpcProgram {
 public:
  // `version`: 1 or 3. All must outlive it, and all calls in work.
  MountProgram(uint32_t version, Exports& exports, MountList& mounts, MountCounters& counters)
      : version_(version), exports_(exports), mounts_(mounts), counters_(counters) {}

  uint32_t number() const override { return kMountProgram; }
  uint32_t version() const override { return version_; }
  uint32_t procedures() const override { return kMountProcedures; }
  bool repeatable(uint32_t) const override { return true; }
  void call(RpcRequestPtr request) override;

 private:
  struct Mounting;
  using MountingPtr = std::shared_ptr<Mounting>;

  void mount(RpcRequestPtr request, const std::string& path);
  void refuse_unknown_or_forbidden(MountingPtr mounting);
  void walk(MountingPtr mounting, uint64_t inode, size_t next);
  void step(MountingPtr mounting, size_t next, const metadata::v1::JobReply& reply);
  void answer(MountingPtr mounting, NfsStatus status, uint64_t inode);
  void dump(RpcRequestPtr request);
  void list_exports(RpcRequestPtr request);

  const uint32_t version_;
  Exports& exports_;
  MountList& mounts_;
  MountCounters& counters_;
};

}  // namespace shima
