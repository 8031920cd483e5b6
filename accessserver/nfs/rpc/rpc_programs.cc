#include "accessserver/nfs/rpc/rpc_programs.h"

#include <algorithm>

#include "common/types/crc32c.h"

namespace shima {
namespace {

void count(std::atomic<uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

RpcCallKey key_of(RpcRequest& request) {
  const RpcCall& call = request.call();
  Buffer arguments = request.arguments().rest();
  uint32_t who = call.credentials.uid ^ call.credentials.gid << 16;
  return {.client = request.client(),
          .xid = call.xid,
          .program = call.program,
          .version = call.version,
          .procedure = call.procedure,
          .checksum = crc32c(arguments.span(), who),
          .size = static_cast<uint32_t>(arguments.size())};
}

}  // namespace

RpcPrograms::RpcPrograms(size_t remembered_replies)
    : cache_(std::make_shared<ReplyCache>(remembered_replies)) {}

void RpcPrograms::add(std::unique_ptr<RpcProgram> program) { programs_.push_back(std::move(program)); }

Status RpcPrograms::dispatch(Buffer record, std::shared_ptr<const std::string> client,
                             std::shared_ptr<RpcReplySink> sink, size_t charged) {
  size_t size = record.size();
  XdrReader reader(std::move(record));
  RpcCall call = take_rpc_call(reader);
  if (call.verdict == RpcCall::Verdict::kNotACall) {
    count(counters_.malformed);
    return {Code::kCorrupt, "a record of " + std::to_string(size) + " bytes that is no RPC call"};
  }
  count(counters_.calls);
  route(std::make_shared<RpcRequest>(call, std::move(reader), std::move(client), std::move(sink), charged));
  return {};
}

void RpcPrograms::route(RpcRequestPtr request) {
  const RpcCall& call = request->call();
  uint32_t lowest = UINT32_MAX, highest = 0;
  RpcProgram* program = nullptr;
  for (const auto& candidate : programs_) {
    if (candidate->number() != call.program) continue;
    lowest = std::min(lowest, candidate->version());
    highest = std::max(highest, candidate->version());
    if (candidate->version() == call.version) program = candidate.get();
  }
  if (call.verdict == RpcCall::Verdict::kGood && program && call.procedure < program->procedures()) {
    return run(*program, std::move(request));
  }
  count(counters_.refused);
  uint32_t xid = call.xid;
  if (call.verdict == RpcCall::Verdict::kRpcMismatch) {
    return RpcRequest::refuse(std::move(request), rpc_version_mismatch(xid));
  }
  if (call.verdict == RpcCall::Verdict::kRefused) {
    RpcAuthStatus status = call.auth_status;
    return RpcRequest::refuse(std::move(request), rpc_auth_error(xid, status));
  }
  if (program) return RpcRequest::fail(std::move(request), RpcAcceptStatus::kProcedureUnavailable);
  if (highest == 0) return RpcRequest::fail(std::move(request), RpcAcceptStatus::kProgramUnavailable);
  RpcRequest::refuse(std::move(request), rpc_program_mismatch(xid, lowest, highest));
}

void RpcPrograms::run(RpcProgram& program, RpcRequestPtr request) {
  if (program.repeatable(request->call().procedure)) return program.call(std::move(request));
  RpcCallKey key = key_of(*request);
  XdrWriter results;
  switch (cache_->begin(key, request, results)) {
    case ReplyCache::Verdict::kRun:
      request->remember_in(cache_, std::move(key));
      break;
    case ReplyCache::Verdict::kUncached:
      break;
    case ReplyCache::Verdict::kWaits:
      return count(counters_.repetitions);
    case ReplyCache::Verdict::kTooMany:
      count(counters_.repetitions);
      return RpcRequest::ignore(std::move(request));
    case ReplyCache::Verdict::kAnswered:
      count(counters_.repetitions);
      return RpcRequest::reply(std::move(request), std::move(results));
  }
  program.call(std::move(request));
}

}  // namespace shima
