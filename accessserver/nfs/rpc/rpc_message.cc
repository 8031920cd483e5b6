#include "accessserver/nfs/rpc/rpc_message.h"

#include <initializer_list>

namespace shima {
namespace {

constexpr uint32_t kRpcVersion = 2;
constexpr uint32_t kCall = 0, kReply = 1;
constexpr uint32_t kAccepted = 0, kDenied = 1;
constexpr uint32_t kRpcMismatch = 0, kAuthError = 1;

// authsys_parms. False: malformed.
bool take_auth_sys(XdrReader body, RpcCredentials& credentials) {
  body.u32();  // stamp
  body.opaque(kMaxRpcMachineName);
  credentials.uid = body.u32();
  credentials.gid = body.u32();
  credentials.group_count = body.choice(kMaxRpcGroups);
  for (uint32_t i = 0; i < credentials.group_count; i++) credentials.group_list[i] = body.u32();
  return body.good();
}

void take_credentials(XdrReader& record, RpcCall& call) {
  uint32_t flavor = record.u32();
  Buffer body = record.opaque(kMaxRpcCredentialBytes);
  uint32_t verifier_flavor = record.u32();
  record.opaque(kMaxRpcCredentialBytes);
  bool good = record.good() && flavor <= static_cast<uint32_t>(RpcAuthFlavor::kSys);
  if (good) call.credentials.flavor = static_cast<RpcAuthFlavor>(flavor);
  if (good && call.credentials.flavor == RpcAuthFlavor::kSys) {
    good = take_auth_sys(XdrReader(body), call.credentials);
  }
  if (!good) {
    call.auth_status = RpcAuthStatus::kBadCredentials;
  } else if (verifier_flavor != 0) {
    call.auth_status = RpcAuthStatus::kBadVerifier;  // neither flavour has one
  }
}

// `words`: everything between the record mark and the body.
RpcReply make_reply(std::initializer_list<uint32_t> words, XdrWriter body) {
  RpcReply reply;
  auto put = [&](uint32_t word) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      reply.head[reply.head_size++] = static_cast<uint8_t>(word >> shift);
    }
  };
  put(1u << 31 | static_cast<uint32_t>(4 * words.size() + body.size()));
  for (uint32_t word : words) put(word);
  reply.body = std::move(body);
  return reply;
}

constexpr uint32_t word(RpcAcceptStatus status) { return static_cast<uint32_t>(status); }

}  // namespace

RpcCall take_rpc_call(XdrReader& record) {
  RpcCall call;
  call.xid = record.u32();
  bool is_call = record.u32() == kCall;
  uint32_t rpc_version = record.u32();
  if (!record.good() || !is_call) return call;
  if (rpc_version != kRpcVersion) {
    call.verdict = RpcCall::Verdict::kRpcMismatch;
    return call;
  }
  call.program = record.u32();
  call.version = record.u32();
  call.procedure = record.u32();
  if (!record.good()) return call;
  take_credentials(record, call);
  call.verdict =
      call.auth_status == RpcAuthStatus::kOk ? RpcCall::Verdict::kGood : RpcCall::Verdict::kRefused;
  return call;
}

// The two zeros are the verifier: AUTH_NONE, empty.
RpcReply rpc_success(uint32_t xid, XdrWriter results) {
  return make_reply({xid, kReply, kAccepted, 0, 0, word(RpcAcceptStatus::kSuccess)}, std::move(results));
}

RpcReply rpc_error(uint32_t xid, RpcAcceptStatus status) {
  return make_reply({xid, kReply, kAccepted, 0, 0, word(status)}, {});
}

RpcReply rpc_program_mismatch(uint32_t xid, uint32_t lowest, uint32_t highest) {
  return make_reply({xid, kReply, kAccepted, 0, 0, word(RpcAcceptStatus::kProgramMismatch), lowest, highest},
                    {});
}

RpcReply rpc_version_mismatch(uint32_t xid) {
  return make_reply({xid, kReply, kDenied, kRpcMismatch, kRpcVersion, kRpcVersion}, {});
}

RpcReply rpc_auth_error(uint32_t xid, RpcAuthStatus status) {
  return make_reply({xid, kReply, kDenied, kAuthError, static_cast<uint32_t>(status)}, {});
}

}  // namespace shima
