// NfsCall: one NFSv3 call on its way from the arguments to the answer. Private to accessserver/nfs.
//
// Ownership: whoever works on the call holds it; dropping it unanswered answers SYSTEM_ERR (RpcRequest).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "accessserver/nfs/nfs_handle.h"
#include "accessserver/nfs/nfs_status.h"
#include "accessserver/nfs/rpc/rpc_request.h"
#include "accessserver/server/exports.h"

namespace shima {

inline constexpr uint32_t kNfs3Procedures = 22;

struct Nfs3Counters {
  std::array<std::atomic<uint64_t>, kNfs3Procedures> requests{};
  std::array<std::atomic<uint64_t>, kNfs3Procedures> errors{};  // answered with another status than OK
};

struct NfsCall;
using NfsCallPtr = std::shared_ptr<NfsCall>;

struct NfsCall {
  NfsCall(RpcRequestPtr r, Nfs3Counters& c)
      : request(std::move(r)), procedure(request->call().procedure), counters(c) {}

  XdrReader& arguments() { return request->arguments(); }
  metadata::v1::Credentials credentials() const;
  metadata::v1::JobRequest job() const;  // one in the caller's name
  uint64_t volume_id() const { return handle.volume; }
  // A handle of another inode of the same volume.
  std::string handle_of(uint64_t inode) const;

  static void reply(NfsCallPtr call, XdrWriter results);
  // The failure results of the procedure without any attributes.
  static void fail(NfsCallPtr call, NfsStatus status);
  static void garbage(NfsCallPtr call);  // GARBAGE_ARGS
  void count_error() { counters.errors[procedure].fetch_add(1, std::memory_order_relaxed); }

  RpcRequestPtr request;
  const uint32_t procedure;
  Nfs3Counters& counters;
  NfsHandle handle;        // the first of the arguments
  bool bad_handle = true;  // until it was taken
  Access access;
  FileSystem* volume = nullptr;  // kept by the request
};

// Takes an nfs_fh3. Nothing: not one of ours. Malformed: makes `in` bad.
std::optional<NfsHandle> take_handle(XdrReader& in);

// A filename3 as RFC 1813 section 3.2 wants it: kOk, kAccess (empty, or with '/' or NUL) or kNameTooLong.
NfsStatus check_name(const std::string& name);
inline bool is_dot_name(const std::string& name) { return name == "." || name == ".."; }

// Attributes of an inode that has no name any more: its handles are stale.
inline bool is_gone(const FileAttributes& attributes) { return attributes.nlink() == 0; }

}  // namespace shima
