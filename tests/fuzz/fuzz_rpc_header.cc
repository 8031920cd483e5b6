// The header of an RPC call: never reads beyond the record, and bounds what it takes.
#include "accessserver/nfs/rpc/rpc_message.h"
#include "common/status/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shima;
  XdrReader record(Buffer::copy_of(std::span(data, size)));
  RpcCall call = take_rpc_call(record);
  SHIMA_CHECK(call.credentials.group_count <= kMaxRpcGroups, "more groups than there is room for");
  SHIMA_CHECK(call.verdict != RpcCall::Verdict::kGood || record.good(), "a good call in a bad record");
  RpcReply reply = rpc_auth_error(call.xid, call.auth_status);
  SHIMA_CHECK(reply.size() == 24, "an answer of the wrong size");
  return 0;
}
