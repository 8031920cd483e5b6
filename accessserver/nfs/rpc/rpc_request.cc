#include "accessserver/nfs/rpc/rpc_request.h"

#include <utility>

#include "accessserver/nfs/rpc/reply_cache.h"
#include "common/types/block_routing.h"
#include "common/types/crc32c.h"

namespace shima {

RpcRequest::RpcRequest(const RpcCall& call, XdrReader arguments, std::shared_ptr<const std::string> client,
                       std::shared_ptr<RpcReplySink> sink, size_t charged)
    : call_(call),
      arguments_(std::move(arguments)),
      client_(std::move(client)),
      sink_(std::move(sink)),
      charged_(charged) {}

RpcRequest::~RpcRequest() {
  if (cache_) cache_->forget(key_);  // those that wait for this answer are dropped, too
  if (sink_) send(rpc_error(call_.xid, RpcAcceptStatus::kSystemError));
}

void RpcRequest::charge(size_t bytes) {
  charged_ += bytes;
  sink_->charge(bytes);
}

uint64_t RpcRequest::retry_key() const {
  if (!cache_) return 0;
  std::span client(reinterpret_cast<const uint8_t*>(key_.client.data()), key_.client.size());
  uint64_t hash = mix64(crc32c(client));
  for (uint64_t part : {key_.xid, key_.program, key_.version, key_.procedure, key_.checksum, key_.size})
    hash = mix64(hash ^ part);
  return hash ? hash : 1;
}

void RpcRequest::remember_in(std::shared_ptr<ReplyCache> cache, RpcCallKey key) {
  cache_ = std::move(cache);
  key_ = std::move(key);
}

void RpcRequest::reply(RpcRequestPtr request, XdrWriter results) {
  if (std::shared_ptr<ReplyCache> cache = std::exchange(request->cache_, nullptr)) {
    for (RpcRequestPtr& repetition : cache->finish(request->key_, results)) {
      reply(std::move(repetition), results);
    }
  }
  request->send(rpc_success(request->call_.xid, std::move(results)));
  request.reset();
}

void RpcRequest::fail(RpcRequestPtr request, RpcAcceptStatus status) {
  request->send(rpc_error(request->call_.xid, status));
  request.reset();
}

void RpcRequest::refuse(RpcRequestPtr request, RpcReply reply) {
  request->send(std::move(reply));
  request.reset();
}

void RpcRequest::ignore(RpcRequestPtr request) {
  request->send(RpcReply());
  request.reset();
}

void RpcRequest::send(RpcReply reply) {
  arguments_ = XdrReader();  // their memory goes before the answer waits in a queue
  std::shared_ptr<RpcReplySink> sink = std::move(sink_);
  sink->finish(std::move(reply), charged_, std::move(keep_));
}

}  // namespace shima
