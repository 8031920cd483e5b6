// The headers of ONC RPC version 2 (RFC 5531): what a call says of itself, and how it is answered.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "accessserver/nfs/xdr/xdr_reader.h"
#include "accessserver/nfs/xdr/xdr_writer.h"

namespace shima {

inline constexpr size_t kMaxRpcGroups = 16;            // of AUTH_SYS, RFC 5531 appendix A
inline constexpr size_t kMaxRpcMachineName = 255;      // bytes, the same
inline constexpr size_t kMaxRpcCredentialBytes = 400;  // RFC 5531 section 8.2

enum class RpcAuthFlavor : uint32_t { kNone = 0, kSys = 1 };

// Why credentials are refused (auth_stat).
enum class RpcAuthStatus : uint32_t { kOk = 0, kBadCredentials = 1, kBadVerifier = 3, kTooWeak = 5 };

enum class RpcAcceptStatus : uint32_t {
  kSuccess = 0,
  kProgramUnavailable = 1,
  kProgramMismatch = 2,
  kProcedureUnavailable = 3,
  kGarbageArguments = 4,
  kSystemError = 5,
};

// Who calls: AUTH_SYS's word, which is believed as NFS does. AUTH_NONE: nobody in particular.
struct RpcCredentials {
  RpcAuthFlavor flavor = RpcAuthFlavor::kNone;
  uint32_t uid = 0, gid = 0;
  std::array<uint32_t, kMaxRpcGroups> group_list{};
  uint32_t group_count = 0;
  std::span<const uint32_t> groups() const { return {group_list.data(), group_count}; }
};

struct RpcCall {
  enum class Verdict : uint8_t {
    kGood,
    kNotACall,     // not even an answer is possible: close the connection
    kRpcMismatch,  // not RPC version 2
    kRefused,      // see auth_status
  };
  Verdict verdict = Verdict::kNotACall;
  RpcAuthStatus auth_status = RpcAuthStatus::kOk;
  uint32_t xid = 0, program = 0, version = 0, procedure = 0;
  RpcCredentials credentials;
};

// Takes a call's header; `record` then stands at the arguments.
RpcCall take_rpc_call(XdrReader& record);

// A reply with its record mark, as one fragment. Its bytes: head, then body (see XdrWriter).
struct RpcReply {
  std::array<uint8_t, 36> head{};
  size_t head_size = 0;
  XdrWriter body;
  size_t size() const { return head_size + body.size(); }
};

RpcReply rpc_success(uint32_t xid, XdrWriter results);
RpcReply rpc_error(uint32_t xid, RpcAcceptStatus status);  // those without a body
RpcReply rpc_program_mismatch(uint32_t xid, uint32_t lowest, uint32_t highest);
RpcReply rpc_version_mismatch(uint32_t xid);
RpcReply rpc_auth_error(uint32_t xid, RpcAuthStatus status);

}  // namespace shima
