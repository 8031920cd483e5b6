// The table of RPC programs behind one port: takes a record, finds the program, hands it the call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/nfs/rpc/reply_cache.h"
#include "accessserver/nfs/rpc/rpc_request.h"
#include "common/status/status.h"

namespace shima {

// One version of an RPC program.
class RpcProgram {
 public:
  virtual ~RpcProgram() = default;
  virtual uint32_t number() const = 0;
  virtual uint32_t version() const = 0;
  virtual uint32_t procedures() const = 0;                // 0 .. procedures() - 1 exist
  virtual bool repeatable(uint32_t procedure) const = 0;  // false: doing it twice is not the same as once
  // Decodes and begins the call; must not block. Any thread. GARBAGE_ARGS is the program's to answer.
  virtual void call(RpcRequestPtr request) = 0;
};

struct RpcCounters {
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> refused{
      0};  // with an error of the RPC layer: mismatch, authentication, no such program
  std::atomic<uint64_t> repetitions{0};  // answered from, or waiting in, the reply cache
  std::atomic<uint64_t> malformed{0};    // records that are not calls
};

class RpcPrograms {
 public:
  explicit RpcPrograms(size_t remembered_replies = 4096);
  void add(std::unique_ptr<RpcProgram> program);  // before the first dispatch()

  // Begins the call in `record`; every answer goes to `sink`, which has counted `charged` bytes for it.
  // kCorrupt: not a call, nothing was begun and the stream is not to be believed any more. Any thread.
  Status dispatch(Buffer record, std::shared_ptr<const std::string> client,
                  std::shared_ptr<RpcReplySink> sink, size_t charged);

  const RpcCounters& counters() const { return counters_; }

 private:
  void route(RpcRequestPtr request);
  void run(RpcProgram& program, RpcRequestPtr request);

  std::vector<std::unique_ptr<RpcProgram>> programs_;
  std::shared_ptr<ReplyCache> cache_;
  RpcCounters counters_;
};

}  // namespace shima
