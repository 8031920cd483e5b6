// RpcRequest: one call in work. It is answered once, by whoever holds it, on any thread.
//
// A request that is dropped without an answer (a callback that will never come) answers SYSTEM_ERR by itself,
// so that no client waits for ever and no count leaks. Threads: before the program's call() returns, the
// thread that made it; after that one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "accessserver/nfs/rpc/rpc_message.h"

namespace shima {

class ReplyCache;
class RpcRequest;
using RpcRequestPtr = std::shared_ptr<RpcRequest>;

// Where answers go: a connection.
class RpcReplySink {
 public:
  virtual ~RpcReplySink() = default;
  // More memory is bound by a request than when it came. On the connection's thread.
  virtual void charge(size_t bytes) = 0;
  // Exactly once for each request, on any thread: its answer, what was charged for it, and something that
  // must live until then and be dropped on the connection's thread (may be null).
  virtual void finish(RpcReply reply, size_t charged, std::shared_ptr<void> keep) = 0;
};

// Identifies a retransmission: clients repeat a call with the same xid, on a new connection too.
struct RpcCallKey {
  std::string client;
  uint32_t xid = 0, program = 0, version = 0, procedure = 0;
  uint32_t checksum = 0, size = 0;  // of credentials and arguments
  auto operator<=>(const RpcCallKey&) const = default;
};

class RpcRequest {
 public:
  // `charged`: bytes that the sink has counted for it already.
  RpcRequest(const RpcCall& call, XdrReader arguments, std::shared_ptr<const std::string> client,
             std::shared_ptr<RpcReplySink> sink, size_t charged);
  ~RpcRequest();
  RpcRequest(const RpcRequest&) = delete;
  RpcRequest& operator=(const RpcRequest&) = delete;

  const RpcCall& call() const { return call_; }
  const std::string& client() const { return *client_; }  // address without port
  XdrReader& arguments() { return arguments_; }

  // The answer may take so many bytes. Only before call() of the program returns.
  void charge(size_t bytes);
  // Lives until the answer is on its way, and is then dropped on the connection's thread.
  void keep(std::shared_ptr<void> object) { keep_ = std::move(object); }
  // The answer goes into the cache, from where repetitions get it.
  void remember_in(std::shared_ptr<ReplyCache> cache, RpcCallKey key);
  // The same for the same call at any access server; 0 for calls that are not remembered.
  uint64_t retry_key() const;

  static void reply(RpcRequestPtr request, XdrWriter results);
  static void fail(RpcRequestPtr request, RpcAcceptStatus status);
  static void refuse(RpcRequestPtr request, RpcReply reply);  // any other answer of the RPC layer
  static void ignore(RpcRequestPtr request);                  // the client will ask again, or has the answer

 private:
  void send(RpcReply reply);

  const RpcCall call_;
  XdrReader arguments_;
  std::shared_ptr<const std::string> client_;
  std::shared_ptr<RpcReplySink> sink_;  // null: answered
  size_t charged_;
  std::shared_ptr<void> keep_;
  std::shared_ptr<ReplyCache> cache_;
  RpcCallKey key_;
};

}  // namespace shima
